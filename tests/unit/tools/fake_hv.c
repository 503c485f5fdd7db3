// SPDX-License-Identifier: BSD-2-Clause
/*
 * What others do to the hypervisor behind the toolstack's back:
 *	fake-hv N		the N-th call from now on fails; 0 = none
 *	fake-hv unpause		unpauses every guest that is paused, for ever
 *	fake-hv hold DOMID	somebody has its pages mapped
 *	fake-hv let-go DOMID	and has them no more
 *	fake-hv list 0|1	listing the domains fails, or works
 *	fake-hv take N		takes N pages of the free memory; less than 0: gives them back
 *	fake-hv cpu DOMID MS	the domain has run so much longer
 *	fake-hv end DOMID	the domain powers off
 *	fake-hv next DOMID	the number of the next domain, unless it is taken then: the numbers have gone round
 *	fake-hv logged DOMID	0: what the domain writes is logged
 *	fake-hv add N		N running domains that have nothing but a number
 */
#include <string.h>

#include "fake.h"

static void unpause_all(struct fake *f)
{
	int i;

	for (i = 0; i < FAKE_DOMAINS; i++)
		if (f->dom[i].used)
			fake_unpause(&f->dom[i]);
}

static int hold(struct fake *f, uint32_t domid, bool held)
{
	struct fake_domain *d = fake_find(f, domid);

	if (!d)
		return 1;
	d->held = held;
	if (!held && d->flags & XEN_DOMINF_dying) {
		__atomic_fetch_add(&f->free_pages, d->pages, __ATOMIC_SEQ_CST);
		__atomic_store_n(&d->used, 0, __ATOMIC_SEQ_CST);
	}
	return 0;
}

static int is_logged(struct fake *f, uint32_t domid)
{
	const struct fake_domain *d = fake_find(f, domid);

	return !d || !d->logged;
}

static int run_longer(struct fake *f, uint32_t domid, uint64_t ms)
{
	struct fake_domain *d = fake_find(f, domid);

	if (d)
		__atomic_fetch_add(&d->cpu_ns, ms * 1000000, __ATOMIC_SEQ_CST);
	return !d;
}

static int power_off(struct fake *f, uint32_t domid)
{
	struct fake_domain *d = fake_find(f, domid);

	if (d)
		d->flags = XEN_DOMINF_shutdown;
	return !d;
}

static int add(struct fake *f, int n)
{
	int i;

	for (i = 0; i < FAKE_DOMAINS && n; i++) {
		struct fake_domain *d = &f->dom[i];

		if (d->used)
			continue;
		memset(d, 0, sizeof(*d));
		d->domid = f->next_domid++;
		d->flags = XEN_DOMINF_blocked;
		d->vcpus = 1;
		d->pages = d->max_pages = 256;
		d->cpu_ns = (n % 7) * 1000000000ULL;
		d->used = 1;
		n--;
	}
	return n != 0;
}

int main(int argc, char **argv)
{
	struct fake *f = fake_map();

	if (argc == 3 && !strcmp(argv[1], "add"))
		return add(f, atoi(argv[2]));
	if (argc == 4 && !strcmp(argv[1], "cpu"))
		return run_longer(f, atoi(argv[2]), strtoull(argv[3], NULL, 10));
	if (argc == 2 && !strcmp(argv[1], "unpause")) {
		for (;; usleep(200))
			unpause_all(f);
	}
	if (argc == 3 && !strcmp(argv[1], "list"))
		return f->no_list = !atoi(argv[2]), 0;
	if (argc == 3 && !strcmp(argv[1], "take"))
		return __atomic_sub_fetch(&f->free_pages, atoi(argv[2]), __ATOMIC_SEQ_CST), 0;
	if (argc == 3 && !strcmp(argv[1], "next"))
		return f->next_domid = atoi(argv[2]), 0;
	if (argc == 3 && !strcmp(argv[1], "end"))
		return power_off(f, atoi(argv[2]));
	if (argc == 3 && !strcmp(argv[1], "logged"))
		return is_logged(f, atoi(argv[2]));
	if (argc == 3)
		return hold(f, atoi(argv[2]), !strcmp(argv[1], "hold"));
	f->fail_at = argc > 1 ? atoi(argv[1]) : 0;
	f->calls = 0;
	return 0;
}
