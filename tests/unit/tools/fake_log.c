// SPDX-License-Identifier: BSD-2-Clause
/*
 * The log of what a pretended guest writes, and its writing.
 *
 * $FAKE_WRITES says what it does while it is logged, as numbers of pages: the first between the log's beginning and the first look at it, the
 * next up to the second look, and so on, the last again and again. With an M behind it the log tells only that they may have been
 * written, with an m they have not been, either. What it writes just before it is paused is one more of them.
 * $FAKE_BUSY: besides, it writes to a page or two each time that somebody reads of its memory, and each time that it was told of what it has
 * written. $FAKE_NO_LOG: this machine cannot tell.
 */
#include <errno.h>
#include <string.h>

#include <pavise.h>

#include "fake.h"

static const char *entry(uint32_t step)
{
	const char *list = getenv("FAKE_WRITES"), *comma;

	while (list && step-- && (comma = strchr(list, ',')))
		list = comma + 1;
	return list ? list : "0";
}

void fake_writes(struct fake_domain *d)
{
	const char *what = entry(d->step);
	uint64_t first = 2, n, i;
	uint8_t *page = d->page;
	char *end;

	if (!d->logged || d->flags & XEN_DOMINF_paused)
		return;
	n = strtoul(what, &end, 10);
	/* The same ones again only where they are compared with what they were. */
	if (*end != 'm' && *end != 'M')
		first += d->step * 61 % 200;
	d->step++;
	for (i = first; i < first + n && i < d->pages && i < FAKE_TRACKED; i++) {
		if (*end != 'm')
			page[i] = (page[i] & ~FAKE_VERSION) | ((page[i] & FAKE_VERSION) % 15 + 1);
		page[i] |= *end == 'm' || *end == 'M' ? FAKE_MAYBE : FAKE_WRITTEN;
	}
}

static void write_one(struct fake_domain *d, uint64_t i)
{
	if (i >= d->pages)
		return;
	d->page[i] = (d->page[i] & ~FAKE_VERSION) | ((d->page[i] & FAKE_VERSION) % 15 + 1);
	d->page[i] |= FAKE_WRITTEN;
}

void fake_busy(struct fake_domain *d, uint64_t gfn)
{
	static unsigned int calls;
	const uint8_t *page = fake_page(d, gfn);

	if (!d->logged || d->flags & XEN_DOMINF_paused || !getenv("FAKE_BUSY") || ++calls % 3)
		return;
	/* One that has just been read, and one that will be, or was long ago. */
	if (page && page >= d->page + 2)
		write_one(d, page - d->page);
	write_one(d, 2 + calls * 37 % 4000);
}

uint64_t fake_versions(const struct fake_domain *d)
{
	uint64_t sum = 0, i;

	for (i = 0; i < FAKE_TRACKED; i++)
		sum += (d->page[i] & FAKE_VERSION) * (2 * i + 1);
	return sum;
}

int pv_log_alloc(struct pv *pv, uint64_t frames, struct pv_log *l)
{
	if (fake_broken(pv))
		return -ENOMEM;
	l->frames = (frames + 63) & ~63ull;
	l->written = calloc(2, l->frames / 8);
	l->maybe = l->written + l->frames / 64;
	return 0;
}

void pv_log_free(struct pv *pv, struct pv_log *l)
{
	(void)pv;
	free(l->written);
	l->written = l->maybe = NULL;
}

int pv_log_on(struct pv *pv, uint32_t domid)
{
	struct fake_domain *d = fake_find(pv->f, domid);
	int i;

	if (getenv("FAKE_NO_LOG"))
		return -EOPNOTSUPP;
	if (fake_broken(pv))
		return -ENOMEM;
	d->logged = 1;
	d->step = 0;
	for (i = 0; i < FAKE_TRACKED; i++)
		d->page[i] &= ~(FAKE_WRITTEN | FAKE_MAYBE);
	return 0;
}

int pv_log_off(struct pv *pv, uint32_t domid)
{
	struct fake_domain *d = fake_find(pv->f, domid);

	if (!d)
		return -ESRCH;
	d->logged = 0;
	return 0;
}

static void tell(struct pv_log *l, struct fake_domain *d, uint64_t gfn, bool forget, bool held)
{
	uint8_t *page = fake_page(d, gfn);

	if (held || *page & FAKE_WRITTEN)
		l->written[gfn / 64] |= 1ull << gfn % 64;
	else if (*page & FAKE_MAYBE)
		l->maybe[gfn / 64] |= 1ull << gfn % 64;
	if (forget)
		*page &= ~(FAKE_WRITTEN | FAKE_MAYBE);
}

/* Both rings are held by others for good; and what the guest has lent them, which is no RAM of its own, is told each time. */
int pv_log_told(struct pv *pv, uint32_t domid, enum pv_log_how how, struct pv_log *l)
{
	struct fake_domain *d = fake_find(pv->f, domid);
	uint64_t first = GUEST_RAM0_BASE >> PV_PAGE_SHIFT, gfn;

	if (fake_broken(pv))
		return -EFAULT;
	if (!d || !d->logged)
		return -EINVAL;
	if (how == PV_LOG_LOOK)
		fake_writes(d);
	memset(l->written, 0, l->frames / 4);
	for (gfn = GUEST_CONSOLE_PFN; gfn < GUEST_CONSOLE_PFN + 2; gfn++)
		tell(l, d, gfn, how != PV_LOG_LOOK, how == PV_LOG_LAST);
	for (gfn = first; gfn < first + d->pages - 2 && fake_page(d, gfn); gfn++)
		tell(l, d, gfn, how != PV_LOG_LOOK, false);
	l->written[(GUEST_CONSOLE_PFN + 2) / 64] |= 1ull << (GUEST_CONSOLE_PFN + 2) % 64;
	fake_busy(d, first + 7);
	return 0;
}
