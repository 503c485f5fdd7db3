// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a guest is to be in its next life, and how that is known to those who change it.
 * Owns the file with it: an xl.cfg with all keys that were given, behind a line that tells, once somebody has changed it, what
 * memory, vCPUs and CPU pool the guest was to have at that moment: whatever is said of those later counts more.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bootloader.h"
#include "next.h"
#include "oci.h"
#include "pools.h"

#define UPDATED "# updated: "

/* What xenstore says of a domain now. */
struct said {
	long target, max; /* KiB */
	unsigned int vcpus;
	long pool; /* not xenstore, but the hypervisor; -1: nobody knows */
};

static void read_said(struct xl *xl, uint32_t domid, struct said *s)
{
	struct xen_domctl_getdomaininfo info;
	unsigned int i, n;
	char **cpu = st_list(xl, &n, "/local/domain/%u/cpu", domid), *v;

	s->target = st_read_long(xl, "/local/domain/%u/memory/target", domid);
	s->max = st_read_long(xl, "/local/domain/%u/memory/static-max", domid);
	s->vcpus = 0;
	s->pool = pv_domain_info(xl->pv, domid, &info) || info.flags & XEN_DOMINF_dying ?
			  -1 :
			  (long)info.cpupool;
	for (i = 0; i < n; i++) {
		v = st_read(xl, XBT_NULL, "/local/domain/%u/cpu/%s/availability", domid, cpu[i]);
		s->vcpus += v && !strcmp(v, "online");
		free(v);
	}
	free(cpu);
}

/* --- the file -------------------------------------------------------------------------------- */

static void put_string(FILE *f, const char *p)
{
	fputc('"', f);
	for (; *p; p++) {
		if (*p == '\n' || *p == '\t') {
			fputs(*p == '\n' ? "\\n" : "\\t", f);
			continue;
		}
		if (*p == '"' || *p == '\\')
			fputc('\\', f);
		fputc(*p, f);
	}
	fputc('"', f);
}

void next_list_begin(struct next_list *l, const char *key)
{
	l->f = open_memstream(&l->text, &l->size);
	if (!l->f)
		abort();
	fprintf(l->f, "%s=[ ", key);
}

void next_list_add(struct next_list *l, char *item)
{
	if (!item)
		return;
	put_string(l->f, item);
	fputs(", ", l->f);
	free(item);
}

char *next_list_end(struct next_list *l, int rc)
{
	fputs("]", l->f);
	if (fclose(l->f))
		abort();
	if (!rc)
		return l->text;
	free(l->text);
	return NULL;
}

static void put_value(FILE *f, const struct cfg_value *v)
{
	if (v->number)
		fputs(v->text, f);
	else
		put_string(f, v->text);
}

static void put_config(FILE *f, const struct xl_config *cfg)
{
	const struct cfg_setting *s;
	int i;

	for (s = cfg->tree.first; s; s = s->next) {
		struct cfg_value path = { .text = NULL };

		if (!strcmp(s->key, "kernel"))
			path.text = cfg->kernel;
		else if (!strcmp(s->key, "ramdisk"))
			path.text = cfg->ramdisk;
		else if (!strcmp(s->key, "oci"))
			path.text = cfg->oci->spec;
		fprintf(f, s->list ? "%s = [ " : "%s = ", s->key);
		for (i = 0; i < s->nr; i++) {
			if (i)
				fputs(", ", f);
			put_value(f, path.text ? &path : &s->v[i]);
		}
		fputs(s->list ? " ]\n" : "\n", f);
	}
}

/* A half-written one never has its name. @s: since when it is an updated one, or NULL. 0 or -errno. */
static int put_file(const char *path, const struct xl_config *cfg, const struct said *s)
{
	char *temp = xl_sprintf("%s.new", path);
	int fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), rc = 0;
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");

	if (!f) {
		rc = -errno;
		if (fd >= 0)
			close(fd);
	} else {
		if (s)
			fprintf(f, UPDATED "%ld %ld %u %ld\n", s->target, s->max, s->vcpus,
				s->pool);
		put_config(f, cfg);
		rc = ferror(f) ? -EIO : 0;
		if (fclose(f) && !rc)
			rc = -errno;
	}
	if (!rc && rename(temp, path))
		rc = -errno;
	if (rc)
		unlink(temp);
	free(temp);
	return rc;
}

int next_save(const char *path, const struct xl_config *cfg)
{
	return put_file(path, cfg, NULL);
}

/* True when there is one that was updated, with what was said then. */
static bool is_updated(uint32_t domid, struct said *s)
{
	char *path = xl_sprintf(XL_NEXT_FILE, domid);
	FILE *f = fopen(path, "re");
	bool yes = f && fscanf(f, UPDATED "%ld %ld %u %ld", &s->target, &s->max, &s->vcpus,
			       &s->pool) >= 3;

	if (f)
		fclose(f);
	free(path);
	return yes;
}

bool next_is_updated(uint32_t domid)
{
	struct said s;

	return is_updated(domid, &s);
}

char *next_text(const struct xl_config *cfg)
{
	size_t n = 0;
	char *text = NULL;
	FILE *f = open_memstream(&text, &n);

	if (!f)
		abort();
	put_config(f, cfg);
	if (fclose(f))
		abort();
	return text;
}

void next_publish(uint32_t domid, const struct xl_config *cfg)
{
	char *path = xl_sprintf(XL_NEXT_FILE, domid);

	put_file(path, cfg, NULL);
	free(path);
}

void next_forget(uint32_t domid)
{
	char *path = xl_sprintf(XL_NEXT_FILE, domid);

	unlink(path);
	free(path);
}

int next_update(struct xl *xl, uint32_t domid, struct xl_config *cfg)
{
	char *path = xl_sprintf(XL_NEXT_FILE, domid);
	struct said s;
	int rc;

	read_said(xl, domid, &s);
	rc = put_file(path, cfg, &s);
	free(path);
	return rc ? xl_error("cannot write " XL_NEXT_FILE ": %s", domid, strerror(-rc)) : 0;
}

/* --- the next life --------------------------------------------------------------------------- */

int next_make_absolute(struct xl_config *cfg)
{
	char **path[] = { &cfg->kernel, &cfg->ramdisk }, *cwd, *whole;
	unsigned int i;

	for (i = 0; i < pv_container_size(path); i++) {
		if (!*path[i] || **path[i] == '/')
			continue;
		cwd = getcwd(NULL, 0);
		if (!cwd)
			return xl_error("%s: it is unknown where this is: %s", *path[i],
					strerror(errno));
		whole = xl_sprintf("%s/%s", strcmp(cwd, "/") ? cwd : "", *path[i]);
		free(cwd);
		free(*path[i]);
		*path[i] = whole;
	}
	return 0;
}

static void keep_macs(struct xl_config *next, const struct xl_config *cfg)
{
	int i, j;

	for (i = 0; i < next->nr_nics; i++)
		for (j = 0; j < cfg->nr_nics; j++)
			if (!next->nic[i].have_mac && !cfg->nic[j].have_mac &&
			    next->nic[i].devid == cfg->nic[j].devid)
				memcpy(next->nic[i].mac, cfg->nic[j].mac, sizeof(cfg->nic[j].mac));
}

bool next_take(uint32_t domid, struct xl_config *cfg, void (*say)(const char *fmt, ...))
{
	struct xl_config next;
	struct said s = { .pool = -1 };
	char *path;
	int rc;

	if (!is_updated(domid, &s))
		return false;
	path = xl_sprintf(XL_NEXT_FILE, domid);
	/* What was there when config-update looked may be gone: the guest is not lost for that. */
	rc = config_read(&next, path, NULL, 0, stderr) || domain_check(&next);
	if (rc) {
		say("%s cannot be used: the next life is as this one", path);
		config_free(&next);
		free(path);
		return false;
	}
	free(path);
	free(next.name);
	next.name = cfg->name;
	cfg->name = NULL;
	keep_macs(&next, cfg);
	bootloader_discard(cfg);
	config_free(cfg);
	*cfg = next;
	return true;
}

/* The administrator may have renamed it; the next life keeps that name. */
static void adopt_name(struct xl *xl, uint32_t domid, struct xl_config *cfg)
{
	char *name = domain_name(xl, domid);

	if (name && !config_bad_name(name)) {
		free(cfg->name);
		cfg->name = name;
	} else {
		free(name);
	}
}

/* The nodes are not the guest's to write. */
void next_adopt(struct xl *xl, uint32_t domid, struct xl_config *cfg)
{
	struct said now, then = { .target = -1, .max = -1, .pool = -1 };
	struct pv_pool there;

	adopt_name(xl, domid, cfg);
	read_said(xl, domid, &now);
	is_updated(domid, &then);
	if (now.target > 0 && now.max >= now.target &&
	    (now.target != then.target || now.max != then.max)) {
		cfg->memory = (now.target + 1023) / 1024;
		cfg->maxmem = (now.max + 1023) / 1024;
	}
	if (now.vcpus && now.vcpus != then.vcpus)
		cfg->vcpus = now.vcpus < cfg->maxvcpus ? now.vcpus : cfg->maxvcpus;
	/* That it was to have may have been renamed, or be gone: the guest is not lost for that. */
	if (now.pool >= 0 && (now.pool || cfg->pool) &&
	    (now.pool != then.pool || (cfg->pool && !pool_named(xl, cfg->pool, &there)))) {
		free(cfg->pool);
		cfg->pool = pool_name(xl, now.pool);
	}
}
