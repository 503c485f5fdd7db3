// SPDX-License-Identifier: BSD-2-Clause
/*
 * The disk specification: "/dev/vg/root,raw,xvda,w" and "format=raw, vdev=xvda, target=/...".
 * Owns which of Xen's words mean something here; the others get an answer that names them.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "disk.h"
#include "text.h"
#include "words.h"

struct parse {
	struct xl_disk *d;
	bool have_format, have_access, have_target, have_backend, prefixed;
	char *msg;
	size_t size;
};

#define FORMATS "raw, qcow2, qed, vmdk, vdi or vhd"
/* Its qemu-nbd has been seen to end under a guest's writes. */
#define NO_QCOW \
	"format 'qcow' (version 1) is not supported: qemu-img convert -f qcow -O qcow2 " \
	"makes a qcow2 image of it"
#define FAIL(p, ...) (snprintf((p)->msg, (p)->size, __VA_ARGS__), -1)

static int letters_index(const char *s, const char **end)
{
	int n = 0;

	while (*s >= 'a' && *s <= 'z' && n < 10000) {
		n = n * 26 + (*s++ - 'a' + 1);
	}
	*end = s;
	return n - 1;
}

static int split_number(const char *s, const char **end)
{
	int n = 0, digits = 0;

	while (isdigit((unsigned char)*s) && digits++ < 6)
		n = n * 10 + (*s++ - '0');
	*end = s;
	return digits ? n : -1;
}

/* The numbers are an ABI: Linux's blkfront makes the names from them. */
static int number_of(char kind, int disk, int part, unsigned int *devid)
{
	switch (kind) {
	case 'x':
		if (disk < 16 && part < 16)
			*devid = 202u << 8 | disk << 4 | part;
		else if (disk < (1 << 20) && part < 256)
			*devid = 1u << 28 | (unsigned int)disk << 8 | part;
		else
			return -1;
		return 0;
	case 's':
		if (disk >= 16 || part >= 16)
			return -1;
		*devid = 8u << 8 | disk << 4 | part;
		return 0;
	default:
		if (disk >= 4 || part >= 64)
			return -1;
		*devid = (disk < 2 ? 3u : 22u) << 8 | (disk & 1) << 6 | part;
		return 0;
	}
}

int disk_devid(const char *vdev, unsigned int *devid)
{
	const char *p;
	int disk, part = 0;

	if (isdigit((unsigned char)*vdev)) {
		char *end;
		unsigned long n = strtoul(vdev, &end, 0);

		if (*end || n > (1u << 28 | 0xfffffff))
			return -1;
		*devid = n;
		return 0;
	}
	if (vdev[0] == 'd' && isdigit((unsigned char)vdev[1])) {
		disk = split_number(vdev + 1, &p);
		if (*p == 'p')
			part = split_number(p + 1, &p);
		return *p || part < 0 ? -1 : number_of('x', disk, part, devid);
	}
	if (!strncmp(vdev, "xvd", 3))
		disk = letters_index(vdev + 3, &p);
	else if (!strncmp(vdev, "hd", 2) || !strncmp(vdev, "sd", 2))
		disk = letters_index(vdev + 2, &p);
	else
		return -1;
	if (disk < 0)
		return -1;
	if (*p)
		part = split_number(p, &p);
	return *p || part < 0 ? -1 : number_of(vdev[0], disk, part, devid);
}

/* Xen's old spelling, "file:/x" or "tap:aio:/x": what stands before the path, or 0. */
static int prefix_length(struct parse *p, const char *v)
{
	static const char *const raw[] = { "phy:",     "file:",	    "raw:",	"aio:",
					   "tap:aio:", "tap2:aio:", "tap:raw:", "tap2:raw:" };
	enum image_format format;
	const char *kind = v;
	unsigned int i;
	size_t n;

	for (i = 0; i < sizeof(raw) / sizeof(*raw); i++)
		if (!strncmp(v, raw[i], strlen(raw[i])))
			return (int)strlen(raw[i]);
	if (!strncmp(v, "tap:", 4) || !strncmp(v, "tap2:", 5))
		kind = strchr(v, ':') + 1;
	n = strcspn(kind, ":/");
	format = kind[n] == ':' ? image_format_of(kind, n) : IMAGE_UNKNOWN;
	if (format != IMAGE_UNKNOWN) {
		if (p->have_format && format != p->d->format)
			return FAIL(p, "format given twice");
		p->have_format = true;
		p->d->format = format;
		return (int)(kind + n + 1 - v);
	}
	if (!strncmp(kind, "qcow:", 5))
		return FAIL(p, NO_QCOW);
	n = strcspn(v, ":/");
	if (v[n] == ':')
		return FAIL(p,
			    "prefix '%.*s:' is none of phy:, file:, raw:, qcow2:, tap:aio:", (int)n,
			    v);
	return 0;
}

static int set_target(struct parse *p, const char *v)
{
	int n = 0;

	if (p->have_target)
		return FAIL(p, "target given twice");
	p->have_target = true;
	/* What a script of one's own takes is its own matter. */
	if (!p->d->script)
		n = prefix_length(p, v);
	if (n < 0)
		return -1;
	/* The old spelling has no format of its own: the next word is the vdev. */
	p->prefixed = n > 0;
	if (v[n])
		p->d->target = words_copy(v + n);
	return 0;
}

static int set_script(struct parse *p, const char *v)
{
	if (p->d->script)
		return FAIL(p, "script given twice");
	if (!*v)
		return FAIL(p, "script is empty");
	p->d->script = words_copy(v);
	return 0;
}

static int set_format(struct parse *p, const char *v)
{
	if (p->have_format)
		return FAIL(p, "format given twice");
	p->have_format = true;
	if (!strcmp(v, "qcow"))
		return FAIL(p, NO_QCOW);
	if (*v)
		p->d->format = image_format_of(v, strlen(v));
	return p->d->format == IMAGE_UNKNOWN ?
		       FAIL(p, "format '%s' is not supported, only " FORMATS, v) :
		       0;
}

static int set_devtype(struct parse *p, const char *v)
{
	if (strcmp(v, "cdrom") && strcmp(v, "disk") && strcmp(v, "hd"))
		return FAIL(p, "devtype '%s' is not supported, only disk and cdrom", v);
	p->d->cdrom = !strcmp(v, "cdrom");
	return 0;
}

static int set_vdev(struct parse *p, const char *v)
{
	struct xl_disk *d = p->d;
	const char *colon;
	size_t len;

	if (d->vdev[0])
		return FAIL(p, "vdev given twice");
	/* Xen's old spellings: ioemu:hda, hdc:cdrom */
	if (!strncmp(v, "ioemu:", 6))
		v += 6;
	colon = strchr(v, ':');
	len = colon ? (size_t)(colon - v) : strlen(v);
	if (colon && set_devtype(p, colon + 1))
		return -1;
	if (len < sizeof(d->vdev))
		snprintf(d->vdev, sizeof(d->vdev), "%.*s", (int)len, v);
	if (!d->vdev[0] || disk_devid(d->vdev, &d->devid))
		return FAIL(p, "vdev '%s' is not a virtual disk (xvda, xvdb1, hda, sda, d0p1, ...)",
			    v);
	return 0;
}

static int set_access(struct parse *p, const char *v)
{
	if (p->have_access)
		return FAIL(p, "access given twice");
	p->have_access = true;
	if (!strcmp(v, "rw") || !strcmp(v, "w") || !*v)
		p->d->readonly = false;
	else if (!strcmp(v, "ro") || !strcmp(v, "r"))
		p->d->readonly = true;
	else
		return FAIL(p, "access '%s' is none of rw, w, ro, r", v);
	return 0;
}

static int set_backend(struct parse *p, const char *v)
{
	if (p->have_backend)
		return FAIL(p, "backend given twice");
	p->have_backend = true;
	if (!*v)
		return FAIL(p, "backend is empty");
	if (strcmp(v, "0") && strcmp(v, "Domain-0"))
		p->d->backend = words_copy(v);
	return 0;
}

/* Given again for what that is based on in turn. */
static int set_backing(struct parse *p, const char *v)
{
	struct xl_disk *d = p->d;
	enum image_format format;
	const char *path = image_backing_path(v, &format);

	if (!strncmp(v, "qcow:", 5))
		return FAIL(p, NO_QCOW);
	if (*path != '/')
		return FAIL(p,
			    "backing '%s' is neither an absolute path nor one behind " FORMATS
			    " and a colon",
			    v);
	if (d->nr_backing == IMAGE_BACKING_MAX)
		return FAIL(p, "more than %d of backing", IMAGE_BACKING_MAX);
	d->backing = realloc(d->backing, (d->nr_backing + 1) * sizeof(*d->backing));
	if (!d->backing)
		abort();
	d->backing[d->nr_backing++] = words_copy(v);
	return 0;
}

static int set_named(struct parse *p, const char *key, const char *v)
{
	static const char *const known[] = { "format",	    "vdev",    "access",
					     "backendtype", "devtype", "backend",
					     "target",	    "script",  "backing" };
	const char *near = NULL;
	unsigned int i;

	if (!strcmp(key, "format"))
		return set_format(p, v);
	if (!strcmp(key, "vdev"))
		return set_vdev(p, v);
	if (!strcmp(key, "access"))
		return set_access(p, v);
	if (!strcmp(key, "backendtype"))
		return !strcmp(v, "phy") ?
			       0 :
			       FAIL(p, "backendtype '%s' is not supported, only phy", v);
	if (!strcmp(key, "devtype"))
		return set_devtype(p, v);
	if (!strcmp(key, "backend"))
		return set_backend(p, v);
	if (!strcmp(key, "script"))
		return set_script(p, v);
	if (!strcmp(key, "backing"))
		return set_backing(p, v);
	for (i = 0; i < sizeof(known) / sizeof(*known); i++)
		words_nearest(key, known[i], &near);
	return FAIL(p, "unknown key '%s'%s%s%s", key, near ? "; did you mean '" : "",
		    near ? near : "", near ? "'?" : "");
}

static int set_positional(struct parse *p, int *position, const char *v)
{
	if (*position == 1 && p->prefixed)
		(*position)++;
	switch ((*position)++) {
	case 0:
		return set_target(p, v);
	case 1:
		return set_format(p, v);
	case 2:
		return set_vdev(p, v);
	case 3:
		return set_access(p, v);
	}
	return FAIL(p, "unexpected '%s' after the four positional parameters", v);
}

static bool is_key(const char *word, const char *eq)
{
	const char *c;

	for (c = word; c < eq; c++)
		if (!isalnum((unsigned char)*c) && *c != '-' && *c != '_' && *c != ' ')
			return false;
	return eq > word;
}

/* Words that stand alone. */
static bool set_flag(struct xl_disk *d, const char *word)
{
	if (!strcmp(word, "discard") || !strcmp(word, "no-discard"))
		d->no_discard = *word == 'n';
	else if (!strcmp(word, "direct-io-safe"))
		d->direct_io_safe = true;
	else if (!strcmp(word, "cdrom"))
		d->cdrom = true;
	else
		return false;
	return true;
}

static int parse_words(struct parse *p, char *spec)
{
	char *s = spec, *comma, *word, *eq;
	int position = 0, rc;

	for (;;) {
		while (isspace((unsigned char)*s))
			s++;
		/* target= takes all the rest, commas included; Xen's rule. */
		if (!strncmp(s, "target=", 7))
			return set_target(p, text_trim(s + 7));
		comma = strchr(s, ',');
		if (comma)
			*comma = '\0';
		word = text_trim(s);
		eq = strchr(word, '=');
		if (eq && is_key(word, eq)) {
			*eq = '\0';
			rc = set_named(p, text_trim(word), text_trim(eq + 1));
		} else if (!strcmp(word, "readonly")) {
			rc = set_access(p, "ro");
		} else if (set_flag(p->d, word)) {
			rc = 0;
		} else if (*word || comma) {
			rc = set_positional(p, &position, word);
		} else {
			rc = 0;
		}
		if (rc || !comma)
			return rc;
		s = comma + 1;
	}
}

/* What can be said only when all words are known. */
static int check_whole(struct parse *p)
{
	struct xl_disk *d = p->d;

	if (!d->target && !d->cdrom)
		return p->have_target ? FAIL(p, "target is empty") : FAIL(p, "no target");
	if (d->target && !d->script && *d->target != '/')
		return FAIL(p, "target '%s' is not an absolute path", d->target);
	if (!d->vdev[0])
		return FAIL(p, "no vdev");
	if (d->cdrom && d->backend)
		return FAIL(p, "a CD drive's media are dom0's; backend is for disks");
	if (d->format != IMAGE_RAW && d->script)
		return FAIL(p, "format '%s' and a script: a disk of one's own script is raw",
			    image_format_name(d->format));
	if (d->format != IMAGE_RAW && d->backend)
		return FAIL(p, "format '%s' and backend: a driver domain's disks are raw",
			    image_format_name(d->format));
	if (d->format == IMAGE_RAW && d->nr_backing)
		return FAIL(p, "backing is for images, and the format is raw");
	/* Nobody writes to a CD, whatever access says; Xen's rule. */
	if (d->cdrom)
		d->readonly = true;
	return 0;
}

char *disk_format(const struct xl_disk *d)
{
	char *text;
	size_t size;
	int i;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		abort();
	fprintf(f, "format=%s, vdev=%s, access=%s", image_format_name(d->format), d->vdev,
		d->readonly ? "ro" : "rw");
	fprintf(f, "%s%s%s", d->cdrom ? ", devtype=cdrom" : "", d->no_discard ? ", no-discard" : "",
		d->direct_io_safe ? ", direct-io-safe" : "");
	for (i = 0; i < d->nr_backing; i++)
		fprintf(f, ", backing=%s", d->backing[i]);
	if (d->script)
		fprintf(f, ", script=%s", d->script);
	if (d->backend)
		fprintf(f, ", backend=%s", d->backend);
	fprintf(f, ", target=%s", d->target ? d->target : "");
	fclose(f);
	return text;
}

int disk_parse(const char *spec, struct xl_disk *d, char *msg, size_t size)
{
	struct parse p = { .d = d, .msg = msg, .size = size };
	char *copy = strdup(spec);
	int rc;

	if (!copy)
		abort();
	memset(d, 0, sizeof(*d));
	rc = parse_words(&p, copy);
	if (!rc)
		rc = check_whole(&p);
	free(copy);
	if (rc)
		disk_free(d);
	return rc;
}

void disk_free(struct xl_disk *d)
{
	free(d->target);
	free(d->script);
	free(d->backend);
	while (d->nr_backing > 0)
		free(d->backing[--d->nr_backing]);
	free(d->backing);
	d->backing = NULL;
	d->target = d->script = d->backend = NULL;
}
