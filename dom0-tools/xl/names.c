// SPDX-License-Identifier: BSD-2-Clause
/*
 * Is a name taken? With hundreds of guests, asking xenstore for the name of each would be most of what making one more costs, and so
 * would be looking at what is noted of each. Owns two directories that have a directory for each domain whose name is known, in the
 * first DOMID-HANDLE-NAME and in the second NAME: when both have as many as there are domains, who is not in the second is nobody's.
 * Else, and of a name that is there, each note is looked at; it counts for the domain with that number and that handle alone. All of it
 * is done by whoever holds xl_lock(), as are all changes of names. A name is noted before a domain has it, and as long as it may have
 * it: whoever is killed leaves a note too many, never one too few.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "migrate.h"
#include "pools.h"

#define NAMES_DIR XL_RUN_DIR "/names"
#define TAKEN_DIR XL_RUN_DIR "/names-taken"
#define HANDLE_HEX 32

struct names {
	struct xen_domctl_getdomaininfo *list;
	char **known; /* of each in the list: its name, or NULL */
	bool *twice; /* there are several notes of it, and so none that counts */
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

/* A note is a directory; whatever else lies there may be a file. */
static void drop(int dir, const char *file)
{
	if (unlinkat(dir, file, AT_REMOVEDIR) && errno == ENOTDIR)
		unlinkat(dir, file, 0);
}

/* What is noted of a domain that is there; the rest goes. */
static void look_at(struct names *s, int dir, const struct dirent *e)
{
	const char *file = e->d_name, *name;
	uint8_t handle[16];
	uint32_t domid;
	int i;

	if (e->d_type == DT_REG || !parse(file, &domid, handle, &name)) {
		if (*file != '.')
			drop(dir, file);
		return;
	}
	i = s->at[domid] - 1;
	if (i < 0 || memcmp(handle, s->list[i].handle, sizeof(handle))) {
		drop(dir, file);
	} else if (s->known[i]) {
		drop(dir, file);
		s->twice[i] = true;
	} else if (!(s->known[i] = strdup(name))) {
		abort();
	}
}

static char *path_of(uint32_t domid, const uint8_t handle[16], const char *name)
{
	char text[HANDLE_HEX + 1];
	int i;

	for (i = 0; i < 16; i++)
		sprintf(text + 2 * i, "%02x", handle[i]);
	return xl_sprintf(NAMES_DIR "/%u-%s-%s", domid, text, name);
}

static void forget_known(struct names *s, int i)
{
	char *path = path_of(s->list[i].domain, s->list[i].handle, s->known[i]);

	drop(AT_FDCWD, path);
	free(path);
	free(s->known[i]);
	s->known[i] = NULL;
}

static void read_known(struct names *s)
{
	DIR *d = opendir(NAMES_DIR);
	struct dirent *e;
	int i;

	while (d && (e = readdir(d)))
		look_at(s, dirfd(d), e);
	/* Somebody was killed who renamed it. */
	for (i = 0; i < s->nr; i++)
		if (s->twice[i])
			forget_known(s, i);
	if (d)
		closedir(d);
}

static void make(const char *dir, const char *path)
{
	if (!mkdir(path, 0700) || errno != ENOENT || xl_mkdir(XL_RUN_DIR) || mkdir(dir, 0700))
		return;
	mkdir(path, 0700);
}

void names_note(uint32_t domid, const uint8_t handle[16], const char *name)
{
	char *path;

	/* One that no xl has given: it may have anything in it. */
	if (config_bad_name(name))
		return;
	path = xl_sprintf(TAKEN_DIR "/%s", name);
	make(TAKEN_DIR, path);
	free(path);
	path = path_of(domid, handle, name);
	make(NAMES_DIR, path);
	free(path);
}

void names_forget(uint32_t domid, const uint8_t handle[16], const char *name)
{
	char *path;

	if (config_bad_name(name))
		return;
	path = path_of(domid, handle, name);
	/* Of another's name that it is taken stays noted. */
	if (!rmdir(path)) {
		free(path);
		path = xl_sprintf(TAKEN_DIR "/%s", name);
		rmdir(path);
	}
	free(path);
}

void names_gone(uint32_t domid, const uint8_t handle[16], const char *name)
{
	bool mine;
	int lock = xl_try_lock(&mine);

	/* Else whoever has it, or has it next, finds a note of nobody's. */
	if (mine)
		names_forget(domid, handle, name);
	xl_unlock(lock);
}

/* How many directories are in one; -1: nobody can say. */
static long count(const char *dir)
{
	struct stat st;

	return stat(dir, &st) || !S_ISDIR(st.st_mode) ? -1 : (long)st.st_nlink - 2;
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The second directory after the first. */
static void correct_taken(const struct names *s)
{
	char **sorted = calloc(s->nr + 1, sizeof(*sorted));
	DIR *d = opendir(TAKEN_DIR);
	struct dirent *e;
	size_t n = 0;
	int i;

	if (!sorted)
		abort();
	for (i = 0; i < s->nr; i++)
		if (s->known[i] && !config_bad_name(s->known[i]))
			sorted[n++] = s->known[i];
	qsort(sorted, n, sizeof(*sorted), compare);
	while (d && (e = readdir(d))) {
		char *name = e->d_name;

		if (*name != '.' && !bsearch(&name, sorted, n, sizeof(*sorted), compare))
			drop(dirfd(d), name);
	}
	if (d)
		closedir(d);
	free(sorted);
	if (count(TAKEN_DIR) == (long)n)
		return;
	for (i = 0; i < s->nr; i++)
		if (s->known[i])
			names_note(s->list[i].domain, s->list[i].handle, s->known[i]);
}

static bool is_taken(const char *name)
{
	char *path = xl_sprintf(TAKEN_DIR "/%s", name);
	bool yes = !access(path, F_OK) || errno != ENOENT;

	free(path);
	return yes;
}

/* Is a domain of each name noted, and this one not? */
static bool surely_free(struct xl *xl, const char *name)
{
	struct pv_pool *pool = NULL;
	long domains = 0;
	int n, i;

	if (is_taken(name))
		return false;
	n = pools_all(xl, &pool);
	for (i = 0; i < n; i++)
		domains += pool[i].domains;
	free(pool);
	return n > 0 && count(NAMES_DIR) == domains && count(TAKEN_DIR) == domains;
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
	if (s->known[i] && !same)
		forget_known(s, i);
	if (!have || s->known[i]) {
		free(have);
		return same;
	}
	names_note(s->list[i].domain, s->list[i].handle, have);
	s->known[i] = have;
	return same;
}

/* A name that is taken, and by nobody: then nothing of what is noted counts. */
static void check_known(struct names *s, const char *name)
{
	int i;

	if (!is_taken(name))
		return;
	for (i = 0; i < s->nr; i++)
		if (s->known[i] && !strcmp(s->known[i], name))
			return;
	for (i = 0; i < s->nr; i++)
		if (s->known[i])
			forget_known(s, i);
}

/* Each is looked at, and noted. */
static bool look_at_all(struct xl *xl, struct names *s, const char *name, uint32_t except)
{
	bool used = false;
	int i;

	for (i = 0; i < s->nr; i++)
		if (s->list[i].domain < DOMID_FIRST_RESERVED)
			s->at[s->list[i].domain] = i + 1;
	read_known(s);
	check_known(s, name);
	for (i = 0; i < s->nr; i++)
		if (!used && s->list[i].domain != except)
			used = is_called(xl, s, i, name);
	if (!used)
		correct_taken(s);
	for (i = 0; i < s->nr; i++)
		free(s->known[i]);
	return used;
}

static bool is_used(struct xl *xl, const char *name, uint32_t except)
{
	struct names s = { 0 };
	bool used;

	if (surely_free(xl, name))
		return false;
	s.nr = pv_domain_list(xl->pv, &s.list);
	if (s.nr < 0) {
		xl_error("cannot list the domains: %s", strerror(-s.nr));
		s.nr = 0;
		s.list = NULL;
	}
	s.known = calloc(s.nr + 1, sizeof(*s.known));
	s.twice = calloc(s.nr + 1, sizeof(*s.twice));
	s.at = calloc(DOMID_FIRST_RESERVED, sizeof(*s.at));
	if (!s.known || !s.twice || !s.at)
		abort();
	used = look_at_all(xl, &s, name, except);
	free(s.known);
	free(s.twice);
	free(s.list);
	free(s.at);
	return used;
}

bool domain_name_used(struct xl *xl, const char *name, uint32_t except)
{
	char *incoming;
	bool used = is_used(xl, name, except);

	/* One that is on its way here is to find its name when it has come. */
	if (used)
		return true;
	incoming = xl_sprintf("%s" MIGRATE_INCOMING, name);
	used = is_taken(incoming) && is_used(xl, incoming, except);
	free(incoming);
	return used;
}

int domain_rename(struct xl *xl, uint32_t domid, const char *name)
{
	const char *bad = config_bad_name(name);
	struct xen_domctl_getdomaininfo info;
	char *vm, *old;
	bool ok;

	if (bad)
		return xl_error("%s: %s", name, bad);
	if (domain_name_used(xl, name, domid))
		return xl_error("a domain called '%s' exists already", name);
	if (pv_domain_info(xl->pv, domid, &info))
		return xl_error("domain %u has just gone", domid);
	old = domain_name(xl, domid);
	names_note(domid, info.handle, name);
	vm = st_read(xl, XBT_NULL, "/local/domain/%u/vm", domid);
	ok = st_replace(xl, name, "/local/domain/%u/name", domid);
	if (ok && vm)
		ok = st_replace(xl, name, "%s/name", vm);
	if (ok && old && strcmp(old, name))
		names_forget(domid, info.handle, old);
	free(old);
	free(vm);
	return ok ? 0 : xl_error("cannot rename domain %u: %s", domid, strerror(errno));
}
