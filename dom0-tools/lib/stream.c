// SPDX-License-Identifier: BSD-2-Clause
/*
 * The stream of a saved domain: headers, records, sums and their order, in and out (docs/save-format.md).
 * Owns all that is trusted of a stream before its content is looked at; that is stream_body.c's.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "pavise.h"
#include "pvstream.h"
#include "sum.h"

#define MAGIC 0x44535650u /* "PVSD" */
#define PIECES 6

#define SUMMED(s) offsetof(__typeof__(s), sum)

static uint32_t round8(uint32_t n)
{
	return (n + 7) & ~7u;
}

/* --- the table of records -------------------------------------------------------------------- */

/* What may come after what: a record of the phase before moves the stream on, one of its own may come again. */
enum phase {
	WANT_HOST,
	WANT_CONFIG,
	WANT_MAP,
	WANT_DISKS,
	WANT_STATIC_END,
	PAGES,
	WANT_PARAMS,
	WANT_STORE,
	WANT_CONNECTION,
	WANT_END,
	OVER
};

static const struct kind {
	uint32_t type;
	const char *name;
	uint32_t min, max; /* bytes */
	enum phase in, then;
} kinds[] = {
	{ PV_REC_HOST, "HOST", sizeof(struct pv_stream_host),
	  sizeof(struct pv_stream_host) + PV_STREAM_ISA, WANT_HOST, WANT_CONFIG },
	{ PV_REC_CONFIG, "CONFIG", 1, 256 << 10, WANT_CONFIG, WANT_MAP },
	{ PV_REC_MEMORY_MAP, "MEMORY_MAP", sizeof(struct pv_stream_run),
	  PV_STREAM_RUNS * sizeof(struct pv_stream_run), WANT_MAP, WANT_STATIC_END },
	{ PV_REC_DISKS, "DISKS", sizeof(struct pv_stream_disk) + 8,
	  PV_STREAM_DISKS_MAX *(sizeof(struct pv_stream_disk) + PV_STREAM_DISK_PATH), WANT_DISKS,
	  WANT_STATIC_END },
	{ PV_REC_STATIC_DATA_END, "STATIC_DATA_END", 0, 0, WANT_STATIC_END, PAGES },
	{ PV_REC_PAGE_DATA, "PAGE_DATA", sizeof(struct pv_stream_pages) + 8, PV_STREAM_PAGES_MAX,
	  PAGES, PAGES },
	{ PV_REC_PAGE_PACKED, "PAGE_PACKED", 9, PV_STREAM_PAGES_MAX, PAGES, PAGES },
	{ PV_REC_DISK, "DISK", sizeof(struct pv_stream_disk_data),
	  sizeof(struct pv_stream_disk_data) + PV_STREAM_DISK_BYTES, PAGES, PAGES },
	{ PV_REC_HVM_CONTEXT, "HVM_CONTEXT", 8, PV_STREAM_MAX, PAGES, WANT_PARAMS },
	{ PV_REC_HVM_PARAMS, "HVM_PARAMS", 0, 256 * sizeof(struct pv_stream_param), WANT_PARAMS,
	  WANT_STORE },
	{ PV_REC_STORE, "STORE", 0, 1 << 20, WANT_STORE, WANT_END },
	{ PV_REC_CONNECTION, "CONNECTION", 8, PV_STREAM_MAX, WANT_CONNECTION, WANT_END },
	{ PV_REC_END, "END", sizeof(struct pv_stream_end), sizeof(struct pv_stream_end), WANT_END,
	  OVER },
};

static const char *const wanted[] = {
	[WANT_HOST] = "HOST",
	[WANT_CONFIG] = "CONFIG",
	[WANT_MAP] = "MEMORY_MAP",
	[WANT_DISKS] = "DISKS",
	[WANT_STATIC_END] = "STATIC_DATA_END",
	[PAGES] = "PAGE_DATA or HVM_CONTEXT",
	[WANT_PARAMS] = "HVM_PARAMS",
	[WANT_STORE] = "STORE",
	[WANT_CONNECTION] = "CONNECTION",
	[WANT_END] = "END",
	[OVER] = "nothing",
};

static const struct kind *find_kind(uint32_t type)
{
	unsigned int i;

	for (i = 0; i < pv_container_size(kinds); i++)
		if (kinds[i].type == type)
			return &kinds[i];
	return NULL;
}

const char *pv_stream_name(uint32_t type)
{
	const struct kind *k = find_kind(type);

	return k ? k->name : "of an unknown type";
}

static uint64_t header_sum(const struct pv_stream_record *h, uint64_t key)
{
	return sum64(key, h, SUMMED(*h));
}

/* Until it can be read or written. 0, -ETIMEDOUT, or -EINTR. @ms: 0: for ever. */
static int await(int fd, short events, int ms)
{
	struct pollfd pfd = { .fd = fd, .events = events };
	int rc = poll(&pfd, 1, ms ?: -1);

	return rc > 0 ? 0 : rc ? -errno : -ETIMEDOUT;
}

/* --- writing --------------------------------------------------------------------------------- */

static bool is_stopped(const struct pv_stream_out *o)
{
	return o->stop && *o->stop;
}

/* Nothing was taken. 0: again. */
static int retry(struct pv_stream_out *o, int error)
{
	int rc = error == EAGAIN ? await(o->fd, POLLOUT, o->patience) : -error;

	return rc == -EINTR ? 0 : rc;
}

static int cannot(const struct pv_stream_out *o, int rc, const char *why, struct pv_err *err)
{
	return pv_fail(err, rc, "at byte %llu: cannot write: %s", (unsigned long long)o->bytes,
		       why);
}

static int write_all(struct pv_stream_out *o, struct iovec *v, int n, struct pv_err *err)
{
	ssize_t done;
	int rc;

	while (n) {
		/* A signal may have come behind the first bytes of what is taken in part. */
		if (is_stopped(o))
			return cannot(o, -EINTR, "interrupted", err);
		done = writev(o->fd, v, n);
		rc = done < 0 ? retry(o, errno) : 0;
		if (rc)
			return cannot(o, rc,
				      rc == -ETIMEDOUT ? "nothing is taken any more" :
							 strerror(-rc),
				      err);
		if (!done)
			return cannot(o, -EIO, "nothing was taken", err);
		if (done < 0)
			continue;
		o->bytes += done;
		for (; n && (size_t)done >= v->iov_len; v++, n--)
			done -= v->iov_len;
		if (n) {
			v->iov_base = (char *)v->iov_base + done;
			v->iov_len -= done;
		}
	}
	return 0;
}

int pv_stream_begin(struct pv_stream_out *o, int fd, uint32_t options, uint32_t hv_major,
		    uint32_t hv_minor, struct pv_err *err)
{
	struct pv_stream_image_header image = {
		.marker = UINT64_MAX,
		.magic = MAGIC,
		.major = PV_STREAM_MAJOR,
		.minor = PV_STREAM_MINOR,
		.options = options,
	};
	struct pv_stream_domain_header domain = {
		.type = PV_STREAM_DOMAIN,
		.page_shift = PV_PAGE_SHIFT,
		.hv_major = hv_major,
		.hv_minor = hv_minor,
	};
	struct iovec v[] = { { &image, sizeof(image) }, { &domain, sizeof(domain) } };

	*o = (struct pv_stream_out){ .fd = fd };
	if (options & PV_STREAM_PACKED) {
		o->packer = pv_pack_begin();
		if (!o->packer)
			return pv_fail(err, -ENOMEM, "out of memory");
	}
	if (getrandom(&image.key, sizeof(image.key), 0) != sizeof(image.key))
		return pv_fail(err, -errno, "no random numbers: %s", strerror(errno));
	o->key = image.key;
	image.sum = sum64(o->key, &image, SUMMED(image));
	domain.sum = sum64(o->key, &domain, SUMMED(domain));
	return write_all(o, v, 2, err);
}

static int put(struct pv_stream_out *o, uint32_t type, const uint8_t *body, uint32_t length,
	       struct pv_err *err)
{
	static uint8_t zeros[8];
	struct pv_stream_record h = { .type = type, .length = length, .seq = o->end.records };
	struct iovec v[] = { { &h, sizeof(h) },
			     { (void *)body, length },
			     { zeros, round8(length) - length } };
	int rc;

	h.sum = sum64(header_sum(&h, o->key), body, length);
	rc = write_all(o, v, 3, err);
	if (rc)
		return rc;
	o->end.records++;
	o->end.sums = sum64(o->end.sums, &h.sum, sizeof(h.sum));
	return 0;
}

int pv_stream_readable(uint32_t type, const void *body, size_t length, struct pv_err *err)
{
	const struct pv_record r = { type, length, body };
	const struct kind *k = find_kind(type);
	struct pv_stream_in i = { .fd = -1 };
	const char *why;

	if (!k || length < k->min || length > k->max)
		return pv_fail(err, -E2BIG, "%s of %zu bytes: none can be so long or short",
			       pv_stream_name(type), length);
	why = pv_stream_check(&i, &r);
	pv_stream_close(&i);
	return why ? pv_fail(err, -EINVAL, "%s: %s", k->name, why) : 0;
}

int pv_stream_put(struct pv_stream_out *o, uint32_t type, const struct iovec *piece, int n,
		  struct pv_err *err)
{
	size_t length = 0, at = 0;
	uint8_t *body;
	int i, rc;

	for (i = 0; i < n; i++)
		length += piece[i].iov_len;
	if (n > PIECES || length > PV_STREAM_MAX)
		return pv_fail(err, -E2BIG, "%s of %zu bytes: more than a record can have",
			       pv_stream_name(type), length);
	if (n == 1)
		return put(o, type, piece->iov_base, length, err);
	body = malloc(length + !length);
	if (!body)
		return pv_fail(err, -ENOMEM, "out of memory");
	for (i = 0; i < n; at += piece[i++].iov_len)
		if (piece[i].iov_len)
			memcpy(body + at, piece[i].iov_base, piece[i].iov_len);
	rc = put(o, type, body, length, err);
	free(body);
	return rc;
}

/* As it is, where that is no longer. */
static int put_packed(struct pv_stream_out *o, const uint8_t *body, uint32_t length,
		      struct pv_err *err)
{
	size_t room = pv_pack_bound(length), n;
	uint8_t *packed = malloc(room);
	int rc;

	if (!packed)
		return pv_fail(err, -ENOMEM, "out of memory");
	n = pv_pack_pages(o->packer, body, length, packed, room);
	rc = n ? put(o, PV_REC_PAGE_PACKED, packed, n, err) :
		 put(o, PV_REC_PAGE_DATA, body, length, err);
	free(packed);
	return rc;
}

int pv_stream_put_pages(struct pv_stream_out *o, const uint64_t *gfns, const uint8_t *kind,
			unsigned int n, const void *pages, struct pv_err *err)
{
	struct pv_stream_pages head = { .count = n };
	const uint8_t *from = pages;
	uint64_t *word;
	uint8_t *body, *to;
	unsigned int i;
	int rc;

	if (!n || n > PV_STREAM_BATCH)
		return pv_fail(err, -E2BIG, "PAGE_DATA of %u pages", n);
	body = malloc(sizeof(head) + n * (8 + PV_PAGE_SIZE));
	if (!body)
		return pv_fail(err, -ENOMEM, "out of memory");
	memcpy(body, &head, sizeof(head));
	word = (uint64_t *)(body + sizeof(head));
	to = body + sizeof(head) + 8 * n;
	for (i = 0; i < n; i++) {
		word[i] = gfns[i] | (uint64_t)kind[i] << PV_STREAM_KIND;
		if (kind[i] != PV_STREAM_DATA)
			continue;
		memcpy(to, from + i * PV_PAGE_SIZE, PV_PAGE_SIZE);
		to += PV_PAGE_SIZE;
	}
	rc = o->packer ? put_packed(o, body, to - body, err) :
			 put(o, PV_REC_PAGE_DATA, body, to - body, err);
	free(body);
	for (i = 0; i < n && !rc; i++)
		o->end.pages[kind[i]]++;
	return rc;
}

int pv_stream_put_end(struct pv_stream_out *o, struct pv_err *err)
{
	struct pv_stream_end end = o->end;

	return put(o, PV_REC_END, (uint8_t *)&end, sizeof(end), err);
}

void pv_stream_finish(struct pv_stream_out *o)
{
	pv_pack_end(o->packer);
	o->packer = NULL;
}

/* --- reading --------------------------------------------------------------------------------- */

static int read_all(struct pv_stream_in *i, void *to, size_t n, size_t *got)
{
	ssize_t part;
	int rc;

	for (*got = 0; *got < n; *got += part, i->at += part) {
		rc = i->patience ? await(i->fd, POLLIN, i->patience) : 0;
		if (rc)
			return rc;
		part = read(i->fd, (char *)to + *got, n - *got);
		/* EINTR as well: whoever catches a signal wants an end, and a pipe's may never come. */
		if (part <= 0)
			return part ? -errno : -ENODATA;
	}
	return 0;
}

static const char *in_words(int rc)
{
	return rc == -ENODATA	? "the stream is cut short here" :
	       rc == -ETIMEDOUT ? "nothing has come for too long" :
				  strerror(-rc);
}

static int header_wrong(struct pv_err *err, int rc, const char *which, const char *why)
{
	return pv_fail(err, rc, "%s header: %s", which, why ?: in_words(rc));
}

static int open_domain(struct pv_stream_in *i, struct pv_err *err)
{
	struct pv_stream_domain_header *d = &i->domain;
	size_t got;
	int rc = read_all(i, d, sizeof(*d), &got);

	if (rc)
		return header_wrong(err, rc, "domain", NULL);
	if (d->sum != sum64(i->key, d, SUMMED(*d)))
		return header_wrong(err, -EBADMSG, "domain", "its sum is wrong: it is damaged");
	if (d->type != PV_STREAM_DOMAIN || d->page_shift != PV_PAGE_SHIFT || d->reserved)
		return header_wrong(err, -EOPNOTSUPP, "domain",
				    "this is a domain of a kind that is not known here");
	return 0;
}

int pv_stream_open_peer(struct pv_stream_in *i, int fd, int patience, struct pv_err *err)
{
	struct pv_stream_image_header *h = &i->image;
	size_t got;
	int rc;

	*i = (struct pv_stream_in){ .fd = fd, .phase = OVER, .patience = patience };
	rc = read_all(i, h, sizeof(*h), &got);
	if (got >= offsetof(struct pv_stream_image_header, major) &&
	    (h->marker != UINT64_MAX || h->magic != MAGIC))
		return header_wrong(err, -EOPNOTSUPP, "image", "this is no saved domain of Pavise");
	if (rc)
		return header_wrong(err, rc, "image", NULL);
	/* What a newer one has behind these fields is not known; so this comes before the sum. */
	if (h->major > PV_STREAM_MAJOR)
		return pv_fail(err, -EOPNOTSUPP,
			       "image header: version %u.%u is newer than %u.%u, the newest that "
			       "can be read here (or it is damaged)",
			       h->major, h->minor, PV_STREAM_MAJOR, PV_STREAM_MINOR);
	if (h->sum != sum64(h->key, h, SUMMED(*h)))
		return header_wrong(err, -EBADMSG, "image", "its sum is wrong: it is damaged");
	if (!h->major || h->options & ~(PV_STREAM_HOW | PV_STREAM_PACKED | PV_STREAM_DISKS) ||
	    (h->options & PV_STREAM_HOW) == PV_STREAM_HOW || h->reserved)
		return header_wrong(err, -EOPNOTSUPP, "image",
				    "it asks for what is not known here");
	i->key = h->key;
	rc = open_domain(i, err);
	if (!rc)
		i->phase = WANT_HOST;
	return rc;
}

int pv_stream_open(struct pv_stream_in *i, int fd, struct pv_err *err)
{
	return pv_stream_open_peer(i, fd, 0, err);
}

/* Says which record it is about, and ends the reading. */
static int wrong(struct pv_stream_in *i, int rc, const struct pv_stream_record *h, const char *why,
		 struct pv_err *err)
{
	i->phase = OVER;
	return pv_fail(err, rc, "record %llu (%s, type 0x%x, at byte %llu): %s",
		       (unsigned long long)i->end.records, pv_stream_name(h->type), h->type,
		       (unsigned long long)i->record_at, why ?: in_words(rc));
}

/* Everything about a header that needs no body. *@k: NULL for one to be skipped. */
static int check_header(struct pv_stream_in *i, const struct pv_stream_record *h,
			const struct kind **k, struct pv_err *err)
{
	uint32_t max = PV_STREAM_MAX, min = 0;
	char why[160];

	*k = find_kind(h->type);
	if (h->seq != i->end.records) {
		snprintf(why, sizeof(why),
			 "it says that it is record %llu: one is missing, twice there or in the "
			 "wrong place, or this one is damaged",
			 (unsigned long long)h->seq);
		return wrong(i, -EBADMSG, h, why, err);
	}
	if (!*k && !(h->type & PV_REC_OPTIONAL))
		return wrong(i, -EOPNOTSUPP, h,
			     "it is not known here, and may not be left out: written by a newer "
			     "version, or damaged",
			     err);
	if (*k) {
		max = (*k)->max;
		min = (*k)->min;
	}
	if (h->length < min || h->length > max) {
		snprintf(why, sizeof(why), "its length is %u, and %u to %u is right", h->length,
			 min, max);
		return wrong(i, -EBADMSG, h, why, err);
	}
	return 0;
}

static int read_body(struct pv_stream_in *i, const struct pv_stream_record *h, struct pv_err *err)
{
	uint32_t all = round8(h->length);
	uint8_t *more;
	size_t got;
	int rc;

	if (all > i->room) {
		more = realloc(i->body, all);
		if (!more)
			return wrong(i, -ENOMEM, h, "out of memory", err);
		i->body = more;
		i->room = all;
	}
	rc = read_all(i, i->body, all, &got);
	if (rc)
		return wrong(i, rc, h, NULL, err);
	if (h->sum != sum64(header_sum(h, i->key), i->body, h->length))
		return wrong(i, -EBADMSG, h, "its sum is wrong: it is damaged", err);
	while (all > h->length)
		if (i->body[--all])
			return wrong(i, -EBADMSG, h, "what fills it up is not zero", err);
	return 0;
}

/* NULL, or what is wrong. *@r becomes the PAGE_DATA that it was. */
static const char *unpack(struct pv_stream_in *i, struct pv_record *r)
{
	size_t n;

	if (!(i->image.options & PV_STREAM_PACKED))
		return "the stream says that it has none of them";
	if (!i->unpacker)
		i->unpacker = pv_unpack_begin();
	if (!i->unpacked)
		i->unpacked = malloc(PV_STREAM_PAGES_MAX);
	if (!i->unpacker || !i->unpacked)
		return "there is no memory to unpack it";
	n = pv_unpack_pages(i->unpacker, r->body, r->length, i->unpacked, PV_STREAM_PAGES_MAX);
	if (n < sizeof(struct pv_stream_pages) + 8)
		return "it cannot be unpacked to a PAGE_DATA";
	*r = (struct pv_record){ PV_REC_PAGE_DATA, n, i->unpacked };
	return NULL;
}

static int next_phase(const struct pv_stream_in *i, const struct kind *k)
{
	if (k->type == PV_REC_STORE && i->image.options & PV_STREAM_CONNECTED)
		return WANT_CONNECTION;
	if (k->type == PV_REC_MEMORY_MAP && i->image.options & PV_STREAM_DISKS)
		return WANT_DISKS;
	return k->then;
}

/* One record of any kind: 1, 0 for END, 2 for one that was skipped. */
static int one(struct pv_stream_in *i, struct pv_record *r, struct pv_err *err)
{
	struct pv_stream_record h = { .type = UINT32_MAX };
	const struct kind *k;
	const char *why;
	char text[120];
	size_t got;
	int rc;

	i->record_at = i->at;
	rc = read_all(i, &h, sizeof(h), &got);
	if (rc && got < sizeof(h)) {
		i->phase = OVER;
		return pv_fail(err, rc, "record %llu (at byte %llu): %s",
			       (unsigned long long)i->end.records, (unsigned long long)i->record_at,
			       in_words(rc));
	}
	rc = check_header(i, &h, &k, err);
	if (!rc)
		rc = read_body(i, &h, err);
	if (rc)
		return rc;
	if (k && (int)k->in != i->phase) {
		snprintf(text, sizeof(text), "it is in the wrong place: %s should be here",
			 wanted[i->phase]);
		return wrong(i, -EBADMSG, &h, text, err);
	}
	*r = (struct pv_record){ h.type, h.length, i->body };
	why = h.type == PV_REC_PAGE_PACKED ? unpack(i, r) : NULL;
	if (!why && k)
		why = pv_stream_check(i, r);
	if (why)
		return wrong(i, -EBADMSG, &h, why, err);
	i->end.records++;
	i->end.sums = sum64(i->end.sums, &h.sum, sizeof(h.sum));
	if (!k)
		return 2;
	i->phase = next_phase(i, k);
	return h.type != PV_REC_END;
}

int pv_stream_next(struct pv_stream_in *i, struct pv_record *r, struct pv_err *err)
{
	int rc;

	if (i->phase == OVER)
		return pv_fail(err, -EINVAL, "there is nothing more to be read");
	do
		rc = one(i, r, err);
	while (rc == 2);
	return rc;
}

int pv_stream_at_end(struct pv_stream_in *i, struct pv_err *err)
{
	uint64_t at = i->at;
	size_t got;
	char c;
	int rc = read_all(i, &c, 1, &got);

	if (rc == -ENODATA)
		return 0;
	return pv_fail(err, rc ?: -EBADMSG, "at byte %llu: %s", (unsigned long long)at,
		       rc ? strerror(-rc) : "there is something behind END");
}

void pv_stream_close(struct pv_stream_in *i)
{
	pv_unpack_end(i->unpacker);
	i->unpacker = NULL;
	free(i->unpacked);
	i->unpacked = NULL;
	while (i->nr_disks)
		free(i->disk[--i->nr_disks].path);
	free(i->disk);
	i->disk = NULL;
	free(i->body);
	free(i->run);
	i->body = NULL;
	i->run = NULL;
	i->phase = OVER;
}
