// SPDX-License-Identifier: BSD-2-Clause
/*
 * Images against plain copies: domains fork each other and die in any order, their harts and others write to their memory, pages come and go, a log is on or not, and other
 * things happen between the steps of a fork and of a death. Each domain has at any time what a domain alone would have. SEED= and ROUNDS= choose
 * another run.
 */
#include <memory.h>

#include "forks.h"
#include "invariants.h"

#define LARGES 2
#define PER_LARGE 12 /* frames of each that are looked at */
#define FRAMES (U_PAGES + LARGES * PER_LARGE)
#define DOMAINS 7
#define FIRST_ID 10
#define MAPS 6
#define AT 0x1c000UL

static u64 random_state;

/* What a domain should have. [0] is u1 at first; d NULL: there is none. */
static struct model {
	struct domain *d;
	bool busy; /* becomes another's parent, or dies: its memory is nobody's to change */
	bool logged;
	gfn_t hidden_at; /* of shared_info in the place of RAM; 0: nowhere */
	bool there[FRAMES];
	u64 value[FRAMES];
} models[DOMAINS];

/* u2 has mapped a frame; m NULL: it has not. The granter may be dead. */
static struct map {
	struct model *m; /* whose frame it was, while that one lives and has it */
	bool mapped;
	unsigned int frame;
	u32 handle;
} maps[MAPS];

static u64 forks, refused, deaths;

void check_failed(void)
{
}

static u32 rnd(u32 n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (random_state >> 16) % n;
}

static gfn_t gfn_of(unsigned int frame)
{
	unsigned int n = frame - U_PAGES;

	if (frame < U_PAGES)
		return RAM_GFN + frame;
	return LARGE_GFN + n / PER_LARGE * 512 + n % PER_LARGE * 512 / PER_LARGE;
}

static struct model *any(bool alive)
{
	struct model *m = &models[rnd(DOMAINS)];

	return !!m->d == alive && !m->busy ? m : NULL;
}

/* Its RAM, also under what is lent. */
static u64 *ram(struct domain *d, gfn_t gfn)
{
	struct p2m_entry e;
	struct page *pg;

	if (!p2m_lookup(d, gfn, &e))
		return NULL;
	pg = mfn_to_page(e.mfn);
	if (e.type == P2M_FOREIGN)
		pg = pg->hides_at == gfn ? pg->hides : NULL;
	return pg ? page_to_virt(pg) : NULL;
}

static void compare(struct model *m)
{
	for (unsigned int i = 0; i < FRAMES; i++) {
		u64 *word = ram(m->d, gfn_of(i));

		if (!!word != m->there[i] || (word && *word != m->value[i]))
			print_error("d%u frame %lx: %lx, not %lx\n", m->d->id, gfn_of(i),
				    word ? *word : 0, m->value[i]);
		assert_int_equal(!!word, m->there[i]);
		assert_true(!word || *word == m->value[i]);
	}
}

/* ---- what happens ---- */

static void hart_stores(void)
{
	struct model *m = any(true);
	unsigned int i = rnd(FRAMES);

	if (!m || !m->there[i] || m->hidden_at == gfn_of(i))
		return;
	m->value[i] = random_state;
	store(m->d, gfn_of(i), random_state);
}

static void grant_mapping(void)
{
	unsigned int n = rnd(MAPS);
	struct map *map = &maps[n];
	struct model *m = any(true);

	if (map->m && map->m->busy)
		return;
	AS(u2);
	if (map->mapped && rnd(3)) {
		*(u64 *)guest_page(u2, AT + n) = random_state;
		if (map->m)
			map->m->value[map->frame] = random_state;
	} else if (map->mapped) {
		assert_int_equal(unmap_grant(map->handle, AT + n), GNTST_okay);
		map->mapped = false;
		map->m = NULL;
	} else if (m) {
		map->frame = rnd(FRAMES);
		if (!m->there[map->frame] || m->hidden_at == gfn_of(map->frame))
			return;
		grant_access(m->d, 40 + n, 2, gfn_of(map->frame), 0);
		if (map_grant(m->d->id, 40 + n, AT + n, 0, &map->handle) != GNTST_okay)
			return;
		map->m = m;
		map->mapped = true;
	}
}

static void grant_copy(void)
{
	struct model *m = any(true);
	unsigned int i = rnd(FRAMES);
	struct gnttab_copy op = { .source.u.gmfn = RAM_GFN + 1,
				  .source.domid = DOMID_SELF,
				  .dest.u.ref = 32,
				  .len = 8,
				  .flags = GNTCOPY_dest_gref };

	if (!m || !m->there[i] || m->hidden_at == gfn_of(i))
		return;
	grant_access(m->d, 32, 2, gfn_of(i), 0);
	op.dest.domid = m->d->id;
	AS(u2);
	*(u64 *)guest_page(u2, RAM_GFN + 1) = random_state;
	GNTTAB(GNTTABOP_copy, &op, 1);
	assert_int_equal(op.status, GNTST_okay);
	m->value[i] = random_state;
}

/* The control domain reads, and sometimes writes. */
static void tools(void)
{
	static u8 page[PAGE_SIZE] __aligned(8);
	struct model *m = any(true);
	unsigned int i = rnd(FRAMES);
	bool write = !rnd(4);
	u64 gfn = gfn_of(i);
	u8 kind = 77;
	struct xen_domctl c = { .u.pavise_memory = { .op = write ? PAVISE_MEMORY_write :
								   PAVISE_MEMORY_read,
						     .count = 1,
						     .gfns = U(&gfn),
						     .pages = U(page),
						     .kinds = U(&kind) } };

	if (!m || !m->there[i])
		return;
	memset(page, 0, sizeof(page));
	*(u64 *)page = random_state;
	AS(dom0);
	assert_int_equal(domctl(m->d->id, PAVISE_DOMCTL_memory, &c), 0);
	if (write)
		m->value[i] = random_state;
	else
		assert_true(kind == PAVISE_MEMORY_zero ? !m->value[i] :
							 *(u64 *)page == m->value[i]);
}

static void balloon(void)
{
	struct model *m = any(true);
	unsigned int i = rnd(FRAMES);

	if (!m || m->hidden_at == gfn_of(i))
		return;
	AS(m->d);
	if (!m->there[i]) {
		if (populate(DOMID_SELF, gfn_of(i), 0) != 1)
			return;
		m->value[i] = 0;
	} else {
		assert_int_equal(decrease(DOMID_SELF, gfn_of(i), 0), 1);
		for (unsigned int n = 0; n < MAPS; n++) {
			if (maps[n].m == m && maps[n].frame == i)
				maps[n].m = NULL;
		}
	}
	m->there[i] = !m->there[i];
}

static void hide(void)
{
	struct model *m = any(true);
	gfn_t gfn = gfn_of(rnd(FRAMES));

	if (!m)
		return;
	AS(m->d);
	if (m->hidden_at) {
		assert_int_equal(remove_gfn(DOMID_SELF, m->hidden_at), 0);
		m->hidden_at = 0;
	} else if (ram(m->d, gfn) && !add(DOMID_SELF, XENMAPSPACE_shared_info, 0, gfn)) {
		m->hidden_at = gfn;
	}
}

static void log_it(void)
{
	struct model *m = any(true);
	struct xen_domctl c = { 0 };

	if (!m)
		return;
	c.u.shadow_op.op = m->logged ? XEN_DOMCTL_SHADOW_OP_OFF :
				       XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY;
	AS(dom0);
	assert_int_equal(domctl(m->d->id, XEN_DOMCTL_shadow_op, &c), 0);
	m->logged = !m->logged;
}

static void something(void)
{
	static void (*const what[])(void) = {
		hart_stores,   hart_stores,   hart_stores, hart_stores, grant_mapping,
		grant_mapping, grant_mapping, grant_copy,  tools,	balloon,
		balloon,       hide,	      log_it,
	};

	what[rnd(ARRAY_SIZE(what))]();
}

/* Other harts, between two parts of an operation. */
static void meanwhile(void)
{
	void (*between)(void) = host.between;
	unsigned int nr = host.restart_nr, every = host.preempt_every;
	u64 saved[5];

	if (rnd(6))
		return;
	memcpy(saved, host.restart_args, sizeof(saved));
	host.between = NULL;
	host.preempt_every = 0;
	for (u32 n = rnd(6); n; n--)
		something();
	AS(dom0);
	host.between = between;
	host.preempt_every = every;
	host.restart_nr = nr;
	memcpy(host.restart_args, saved, sizeof(saved));
}

static void in_steps(bool is)
{
	host.preempt_every = is ? 1 + rnd(3) : 0;
	host.between = is ? meanwhile : NULL;
}

static void die(void)
{
	struct model *m = any(true);

	if (!m)
		return;
	m->busy = true;
	for (unsigned int n = 0; n < MAPS; n++) {
		if (maps[n].m == m)
			maps[n].m = NULL;
	}
	AS(dom0);
	in_steps(true);
	assert_int_equal(domctl(m->d->id, XEN_DOMCTL_destroydomain, NULL), 0);
	in_steps(false);
	*m = (struct model){ 0 };
	deaths++;
}

/* Sometimes in vain, for want of memory. */
static void be_forked(void)
{
	struct model *m = any(true), *to = any(false);
	static domid_t id;
	struct domain *d;
	long rc;

	if (!m || !to)
		return;
	id = (id + 1) % 5000;
	d = make_child(FIRST_ID + id, m->d);
	m->busy = to->busy = true;
	AS(dom0);
	in_steps(true);
	rc = fork_domain(d->id, m->d->id);
	in_steps(false);
	m->busy = to->busy = false;
	assert_true(!rc || rc == -ENOMEM);
	if (rc) {
		refused++;
		kill_domain(d);
		return;
	}
	forks++;
	*to = *m;
	to->d = d;
	to->logged = false;
	to->hidden_at = 0;
	compare(to);
}

static void prepare(void)
{
	memset(models, 0, sizeof(models));
	memset(maps, 0, sizeof(maps));
	forks = refused = deaths = 0;
	models[0].d = u1;
	u1->max_pages = U_PAGES + LARGES * 512 + 8;
	AS(u1);
	for (unsigned int i = 0; i < LARGES; i++)
		assert_int_equal(populate(DOMID_SELF, LARGE_GFN + i * 512, 9), 1);
	for (unsigned int i = 0; i < FRAMES; i++) {
		models[0].there[i] = true;
		models[0].value[i] = i + 1;
		store(u1, gfn_of(i), i + 1);
	}
}

static void each_has_its_own(void **state)
{
	const char *seed = getenv("SEED"), *rounds = getenv("ROUNDS");
	unsigned int n = rounds ? atoi(rounds) : 400;

	random_state = seed ? strtoull(seed, NULL, 0) : 88172645463325252;
	prepare();
	for (; n; n--) {
		unsigned int alive = 0;

		for (unsigned int i = 0; i < DOMAINS; i++)
			alive += models[i].d != NULL;
		for (u32 i = rnd(40); i; i--)
			something();
		if (alive < 2 || rnd(3))
			be_forked();
		else
			die();
		for (unsigned int i = 0; i < DOMAINS; i++) {
			if (models[i].d)
				compare(&models[i]);
		}
		check_world();
	}
	assert_true(forks > 10 && deaths > 10);
	AS(u2);
	for (unsigned int i = 0; i < MAPS; i++) {
		if (maps[i].mapped)
			assert_int_equal(unmap_grant(maps[i].handle, AT + i), GNTST_okay);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_has_its_own),
	};

	return RUN(tests);
}
