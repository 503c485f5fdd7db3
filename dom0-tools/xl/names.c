// SPDX-License-Identifier: BSD-2-Clause
/*
 * Is a name taken? With hundreds of guests, asking xenstore for the name of each would be most of what making one more costs.
 * Owns a directory with an empty file for each domain whose name is known, called DOMID-HANDLE-NAME. All of it is done by whoever
 * holds xl_lock(), as are all changes of names; and a file counts for the domain with that number and that handle alone.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "xl.h"

#define NAMES_DIR XL_RUN_DIR "/names"
#define HANDLE_HEX 32

struct names {
	struct xen_domctl_getdomaininfo *list;
	char **known; /* of each in the list: its name, or NULL */
	int nr, *at; /* a number's place in the list + 1; 0: there is no such domain */
};

static int hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Its "DOMID-HANDLE-NAME", as far as it is one: the number, and where the name begins. */
static bool parse(const char *file, uint32_t *domid, uint8_t handle[16], const char **name)
{
	unsigned long n;
	char *p;
	int i;

	if (*file < '0' || *file > '9')
		return false;
	n = strtoul(file, &p, 10);
	if (n >= DOMID_FIRST_RESERVED || *p++ != '-' || strlen(p) <= HANDLE_HEX + 1 ||
	    p[HANDLE_HEX] != '-')
		return false;
	for (i = 0; i < 16; i++) {
		int high = hex(p[2 * i]), low = hex(p[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		handle[i] = high << 4 | low;
	}
	*domid = n;
	*name = p + HANDLE_HEX + 1;
	return true;
}

/* What is noted of a domain that is there; the rest goes. */
static void look_at(struct names *s, int dir, const char *file)
{
	uint8_t handle[16];
	const char *name;
	uint32_t domid;
	int i;

	if (!parse(file, &domid, handle, &name)) {
		if (*file != '.')
			unlinkat(dir, file, 0);
		return;
	}
	i = s->at[domid] - 1;
	if (i < 0 || memcmp(handle, s->list[i].handle, sizeof(handle)) || s->known[i])
		unlinkat(dir, file, 0);
	else if (!(s->known[i] = strdup(name)))
		abort();
}

static void read_known(struct names *s)
{
	DIR *d = opendir(NAMES_DIR);
	struct dirent *e;

	while (d && (e = readdir(d)))
		look_at(s, dirfd(d), e->d_name);
	if (d)
		closedir(d);
}

static char *path_of(const struct xen_domctl_getdomaininfo *info, const char *name)
{
	char text[HANDLE_HEX + 1];
	int i;

	for (i = 0; i < 16; i++)
		sprintf(text + 2 * i, "%02x", info->handle[i]);
	return xl_sprintf(NAMES_DIR "/%u-%s-%s", info->domain, text, name);
}

/* Without the directory each is asked for again. */
static void note(const struct xen_domctl_getdomaininfo *info, const char *name)
{
	char *path;
	int fd;

	/* One that no xl has given: it may have anything in it. */
	if (config_bad_name(name))
		return;
	path = path_of(info, name);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 && errno == ENOENT && (!xl_mkdir(XL_RUN_DIR) || errno == EEXIST) &&
	    !mkdir(NAMES_DIR, 0700))
		fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd >= 0)
		close(fd);
	free(path);
}

void names_forget(uint32_t domid)
{
	DIR *d = opendir(NAMES_DIR);
	uint8_t handle[16];
	struct dirent *e;
	const char *name;
	uint32_t other;

	while (d && (e = readdir(d)))
		if (parse(e->d_name, &other, handle, &name) && other == domid)
			unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
}

/* Is it the one's at @i? What is noted saves asking those who are called something else. */
static bool is_called(struct xl *xl, struct names *s, int i, const char *name)
{
	char *have;
	bool same;

	if (s->known[i] && strcmp(s->known[i], name))
		return false;
	have = domain_name(xl, s->list[i].domain);
	same = have && !strcmp(have, name);
	if (have && !s->known[i])
		note(&s->list[i], have);
	free(have);
	return same;
}

bool domain_name_used(struct xl *xl, const char *name, uint32_t except)
{
	struct names s = { .at = calloc(DOMID_FIRST_RESERVED, sizeof(int)) };
	bool used = false;
	int i;

	s.nr = pv_domain_list(xl->pv, &s.list);
	if (s.nr < 0) {
		xl_error("cannot list the domains: %s", strerror(-s.nr));
		s.nr = 0;
		s.list = NULL;
	}
	s.known = calloc(s.nr + 1, sizeof(*s.known));
	if (!s.at || !s.known)
		abort();
	for (i = 0; i < s.nr; i++)
		if (s.list[i].domain < DOMID_FIRST_RESERVED)
			s.at[s.list[i].domain] = i + 1;
	read_known(&s);
	for (i = 0; i < s.nr; i++) {
		if (!used && s.list[i].domain != except)
			used = is_called(xl, &s, i, name);
		free(s.known[i]);
	}
	free(s.known);
	free(s.list);
	free(s.at);
	return used;
}
