// SPDX-License-Identifier: BSD-2-Clause
/*
 * From index.json over the manifest to configuration and layers.
 * Owns what is taken of these, all of which may be hostile: each is a text of bounded length whose digest was compared.
 */
#define _GNU_SOURCE
#include "image.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sha256.h"
#include "tar.h"

#define INDEX_DEPTH 4
#define NAMES 256 /* bytes of a message with the images that there are */

#define TYPE_INDEX "application/vnd.oci.image.index.v1+json"
#define TYPE_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define TYPE_LAYER "application/vnd.oci.image.layer."
#define DOCKER_INDEX "application/vnd.docker.distribution.manifest.list.v2+json"
#define DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define DOCKER_LAYER "application/vnd.docker.image.rootfs.diff.tar"

struct archive {
	struct image *im;
	int fd;
	struct blob *blob;
	int nr;
	struct blob index;
	bool have_index, have_layout;
	const char *ref, *arch;
};

static int fail(struct image *im, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static int fail(struct image *im, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(im->why, sizeof(im->why), fmt, ap);
	va_end(ap);
	return -1;
}

/* --- what is in the archive ------------------------------------------------------------------ */

static bool is_digest(const char *text)
{
	return strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64;
}

static int note_member(struct archive *a, const struct tar_entry *e)
{
	const char *path = e->path;

	while (!strncmp(path, "./", 2))
		path += 2;
	if (e->type != '0')
		return 0;
	if (!strcmp(path, "index.json")) {
		a->index = (struct blob){ .offset = e->offset, .size = e->size };
		a->have_index = true;
	}
	a->have_layout |= !strcmp(path, "oci-layout");
	if (strncmp(path, "blobs/sha256/", 13) || !is_digest(path + 13))
		return 0;
	if (a->nr == IMAGE_BLOBS)
		return fail(a->im, "the archive has more than %d blobs", IMAGE_BLOBS);
	strcpy(a->blob[a->nr].digest, path + 13);
	a->blob[a->nr].offset = e->offset;
	a->blob[a->nr++].size = e->size;
	return 0;
}

static int list_members(struct archive *a)
{
	struct tar_entry *e = malloc(sizeof(*e));
	struct tar t;
	int rc = -1, n = 0;

	if (lseek(a->fd, 0, SEEK_SET) < 0)
		fail(a->im, "cannot be read: %s", strerror(errno));
	tar_begin(&t, a->fd, true);
	while (e && (rc = tar_next(&t, e)) > 0)
		if (note_member(a, e) || ++n > 2 * IMAGE_BLOBS)
			break;
	free(e);
	if (rc < 0)
		return fail(a->im, "%s", t.why[0] ? t.why : "there is no memory for it");
	if (rc > 0)
		return a->im->why[0] ? -1 : fail(a->im, "the archive has too many members");
	if (!a->have_index || !a->have_layout)
		return fail(a->im, "no archive of an OCI layout: %s is not in it",
			    a->have_index ? "oci-layout" : "index.json");
	return 0;
}

static const struct blob *find_blob(const struct archive *a, const char *digest)
{
	int i;

	for (i = 0; i < a->nr; i++)
		if (!strcmp(a->blob[i].digest, digest))
			return &a->blob[i];
	return NULL;
}

/* --- a JSON text that is a blob -------------------------------------------------------------- */

static char *read_text(struct archive *a, const struct blob *b, const char *what)
{
	char *buf = NULL;
	uint64_t have = 0;
	ssize_t got;

	if (b->size > JSON_BYTES)
		fail(a->im, "its %s has %llu bytes", what, (unsigned long long)b->size);
	else if (!(buf = malloc(b->size + 1)))
		fail(a->im, "there is no memory for its %s", what);
	while (buf && have < b->size) {
		got = pread(a->fd, buf + have, b->size - have, (off_t)(b->offset + have));
		if (got > 0) {
			have += (uint64_t)got;
			continue;
		}
		fail(a->im, "its %s cannot be read: %s", what,
		     got ? strerror(errno) : "it ends early");
		free(buf);
		buf = NULL;
	}
	return buf;
}

/* @digest: NULL for index.json, which has none. The text is the value's, and to be freed behind it. */
static struct json *read_json(struct archive *a, const struct blob *b, bool check, const char *what,
			      char **text)
{
	char digest[SHA256_TEXT];
	struct sha256 s;
	const char *why;
	struct json *v;
	size_t at;

	*text = read_text(a, b, what);
	if (!*text)
		return NULL;
	sha256_begin(&s);
	sha256_add(&s, *text, b->size);
	sha256_end(&s, digest);
	if (check && strcmp(digest, b->digest)) {
		fail(a->im, "its %s is damaged: it is not what sha256:%s says", what, b->digest);
		free(*text);
		*text = NULL;
		return NULL;
	}
	v = json_parse(*text, b->size, &why, &at);
	if (!v) {
		fail(a->im, "its %s is no JSON: at byte %zu: %s", what, at, why);
		free(*text);
		*text = NULL;
	}
	return v;
}

/* The blob that a descriptor speaks of (descriptor.md). */
static const struct blob *described(struct archive *a, const struct json *d, const char *what)
{
	const char *digest = json_string(d, "digest");
	const struct blob *b;

	if (!digest || strncmp(digest, "sha256:", 7) || !is_digest(digest + 7)) {
		fail(a->im, "its %s has no SHA-256 digest", what);
		return NULL;
	}
	b = find_blob(a, digest + 7);
	if (!b)
		fail(a->im, "its %s, %s, is not in the archive", what, digest);
	else if (json_integer(d, "size") != (long long)b->size)
		fail(a->im, "its %s, %s, has another size than the image says", what, digest);
	else
		return b;
	return NULL;
}

/* --- index → manifest ------------------------------------------------------------------------ */

static bool has_type(const struct json *d, const char *oci, const char *docker)
{
	const char *type = json_string(d, "mediaType");

	return type && (!strcmp(type, oci) || !strcmp(type, docker));
}

static const char *name_of(const struct json *d)
{
	return json_string(json_get(d, "annotations", JSON_OBJECT),
			   "org.opencontainers.image.ref.name");
}

/* No platform is any: the configuration says which. */
static bool is_for(const struct json *d, const char *arch)
{
	const struct json *p = json_get(d, "platform", JSON_OBJECT);
	const char *a = json_string(p, "architecture"), *os = json_string(p, "os");

	return !p || ((!a || !strcmp(a, arch)) && (!os || !strcmp(os, "linux")));
}

/* The one entry of an index. @ref: NULL when a name was found further up. */
static const struct json *choose(struct archive *a, const struct json *index, const char *ref)
{
	const struct json *list = json_get(index, "manifests", JSON_ARRAY), *d, *found = NULL;
	char names[NAMES] = "";
	int nr = 0, others = 0;

	for (d = list ? list->child : NULL; d; d = d->next) {
		const char *name = name_of(d);
		size_t n = strlen(names);

		if (!has_type(d, TYPE_INDEX, DOCKER_INDEX) &&
		    !has_type(d, TYPE_MANIFEST, DOCKER_MANIFEST))
			continue;
		snprintf(names + n, sizeof(names) - n, " %s", name ? name : "(no name)");
		if (ref && (!name || strcmp(name, ref)))
			continue;
		if (!is_for(d, a->arch)) {
			others++;
			continue;
		}
		found = d;
		nr++;
	}
	if (nr == 1)
		return found;
	if (nr)
		fail(a->im, "%s; there are:%s",
		     ref ? "two images have that name" : "there are several images: say which",
		     names);
	else if (others)
		fail(a->im, "there is no image for %s in it", a->arch);
	else if (ref)
		fail(a->im, "there is no image '%s' in it; there are:%s", ref,
		     names[0] ? names : " none");
	else
		fail(a->im, "there is no image in it");
	return NULL;
}

/* The manifest's blob: an index may speak of another. */
static const struct blob *find_manifest(struct archive *a)
{
	const struct blob *b = &a->index;
	const char *ref = a->ref;
	int depth;

	for (depth = 0; b && depth < INDEX_DEPTH; depth++) {
		char *text;
		struct json *index = read_json(a, b, depth, "index", &text);
		const struct json *d = index ? choose(a, index, ref) : NULL;
		bool last = d && has_type(d, TYPE_MANIFEST, DOCKER_MANIFEST);

		ref = NULL;
		b = d ? described(a, d, last ? "manifest" : "index") : NULL;
		json_free(index);
		free(text);
		if (last)
			return b;
	}
	if (b)
		fail(a->im, "an index that speaks of an index, again and again");
	return NULL;
}

/* --- manifest → configuration, layers -------------------------------------------------------- */

static int add_layer(struct archive *a, const struct json *d)
{
	const char *type = json_string(d, "mediaType"), *rest;
	struct image *im = a->im;
	const struct blob *b;

	if (im->nr_layers == IMAGE_LAYERS)
		return fail(im, "it has more than %d layers", IMAGE_LAYERS);
	b = described(a, d, "layer");
	if (!b)
		return -1;
	rest = type ? strrchr(type, '.') : NULL;
	if (!rest || (strncmp(type, TYPE_LAYER, strlen(TYPE_LAYER)) &&
		      strncmp(type, DOCKER_LAYER, strlen(DOCKER_LAYER))))
		return fail(im, "a layer's type is '%s', which is none of an image",
			    type ? type : "");
	im->layer[im->nr_layers].blob = *b;
	if (!strcmp(rest, ".tar")) {
		im->layer[im->nr_layers++].format = LAYER_TAR;
		return 0;
	}
	if (!strcmp(rest, ".gzip") || !strcmp(rest, ".tar+gzip")) {
		im->layer[im->nr_layers++].format = LAYER_GZIP;
		return 0;
	}
	if (!strcmp(rest, ".zstd") || !strcmp(rest, ".tar+zstd")) {
		im->layer[im->nr_layers++].format = LAYER_ZSTD;
		return 0;
	}
	return fail(im,
		    "a layer's type is '%s'; only tar, gzip and zstd can be unpacked here (skopeo "
		    "copy --dest-compress-format gzip makes such a copy)",
		    type);
}

static int take_manifest(struct archive *a, const struct json *manifest)
{
	const struct json *layers = json_get(manifest, "layers", JSON_ARRAY), *d, *ids;
	struct image *im = a->im;
	const struct blob *config;
	const char *arch, *os;
	int n = 0;

	config = described(a, json_get(manifest, "config", JSON_OBJECT), "configuration");
	if (!config)
		return -1;
	im->roots[0] = read_json(a, config, true, "configuration", &im->texts[0]);
	if (!im->roots[0])
		return -1;
	arch = json_string(im->roots[0], "architecture");
	os = json_string(im->roots[0], "os");
	if (!arch || !os || strcmp(arch, a->arch) || strcmp(os, "linux"))
		return fail(im, "it is for %.40s on %.40s, not for linux on %s", os ? os : "?",
			    arch ? arch : "?", a->arch);
	for (d = layers ? layers->child : NULL; d; d = d->next)
		if (add_layer(a, d))
			return -1;
	ids = json_get(json_get(im->roots[0], "rootfs", JSON_OBJECT), "diff_ids", JSON_ARRAY);
	for (d = ids ? ids->child : NULL; d; d = d->next)
		n++;
	if (n != im->nr_layers)
		return fail(im, "its configuration speaks of %d layers, its manifest of %d", n,
			    im->nr_layers);
	im->config = json_get(im->roots[0], "config", JSON_OBJECT);
	return 0;
}

int image_open(struct image *im, int fd, const char *ref, const char *arch)
{
	struct archive a = { .im = im, .fd = fd, .ref = ref, .arch = arch };
	const struct blob *b;
	int rc = -1;

	memset(im, 0, sizeof(*im));
	a.blob = calloc(IMAGE_BLOBS, sizeof(*a.blob));
	if (!a.blob)
		return fail(im, "there is no memory for it");
	if (!list_members(&a)) {
		b = find_manifest(&a);
		im->roots[1] = b ? read_json(&a, b, true, "manifest", &im->texts[1]) : NULL;
		if (im->roots[1])
			rc = take_manifest(&a, im->roots[1]);
	}
	free(a.blob);
	return rc;
}

void image_free(struct image *im)
{
	int i;

	for (i = 0; i < 2; i++) {
		json_free(im->roots[i]);
		free(im->texts[i]);
	}
}
