// SPDX-License-Identifier: BSD-2-Clause
/*
 * A guest goes on elsewhere: its connection and tree through a file.
 * Two hosts are one daemon before and after it forgot everything; what goes along is the guest's page
 * and what the guest itself remembers. The model is the guest that stayed.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "journal.h"
#include "move.h"
#include "record.h"
#include "spell.h"
#include "support.h"

#define CONTROL(text) request(d0, XS_CONTROL, 0, text, sizeof(text))

static char dir[64], file[96];

static int control(const char *what, unsigned int domid, const char *arg)
{
	char body[512];
	size_t n = (size_t)sprintf(body, "%s", what) + 1;

	n += (size_t)sprintf(body + n, "%u", domid) + 1;
	if (arg)
		n += (size_t)sprintf(body + n, "%s", arg) + 1;
	return request(d0, XS_CONTROL, 0, body, n);
}

/* The reply without the file's name in front. */
static const char *said(void)
{
	const char *s = d0->rep.body;

	return strncmp(s, file, strlen(file)) ? s : s + strlen(file) + 2;
}

#define expect_said(what, domid, text) \
	do { \
		assert_int_equal(control(what, domid, file), 0); \
		assert_string_equal(said(), text); \
	} while (0)

static void resume(unsigned int domid)
{
	char id[8];

	sprintf(id, "%u", domid);
	assert_int_equal(xpath(d0, XS_RESUME, 0, id), 0);
}

/* A guest with a home that is its own. */
static struct client *born(unsigned int domid)
{
	struct client *g = guest_new(domid);
	char home[32], perms[16];

	sprintf(home, "/local/domain/%u", domid);
	sprintf(perms, "n%u", domid);
	xwrite(d0, 0, home, "");
	xperms(d0, 0, home, perms);
	return g;
}

/* What the guest has in its memory. */
struct memory {
	struct xenstore_domain_interface page;
	struct client *cl;
};

static void freeze(struct client *g, struct memory *m)
{
	expect_said("export-domain", g->domid, "OK");
	m->page = *g->ring;
	m->cl = xmalloc(sizeof(*m->cl));
	*m->cl = *g;
}

/* Another host, which knows nobody. */
static void other_host(void)
{
	teardown(NULL);
	setup(NULL);
	xwrite(d0, 0, "/local/domain", "");
	/* the counts of hosts differ */
	store_set_gen(store_gen() + 1000);
}

/* The domain that the guest is to become, with its memory, introduced and parked. */
static struct client *landing(unsigned int domid, const struct memory *m)
{
	void *page = xzalloc(4096);
	struct client *g;

	memcpy(page, &m->page, sizeof(m->page));
	page_set(domid, page);
	assert_int_equal(control("park-domain", domid, NULL), 0);
	g = guest_new(domid);
	memcpy(g->buf, m->cl->buf, m->cl->len);
	g->len = m->cl->len;
	assert_memory_equal(page, &m->page, sizeof(m->page));
	return g;
}

static struct client *arrive(unsigned int domid, struct memory *m)
{
	struct client *g = landing(domid, m);

	expect_said("import-domain", domid, "OK");
	assert_memory_equal(g->ring, &m->page, sizeof(m->page));
	free(m->cl);
	return g;
}

/* To another host and on. */
static struct client *move(struct client *g, unsigned int domid)
{
	struct memory m;

	freeze(g, &m);
	other_host();
	g = arrive(domid, &m);
	resume(domid);
	return g;
}

static char *slurp(size_t *len)
{
	int fd = open(file, O_RDONLY);
	char *p;

	*len = (size_t)lseek(fd, 0, SEEK_END);
	p = xmalloc(*len);
	assert_int_equal(pread(fd, p, *len, 0), *len);
	close(fd);
	return p;
}

static void spill(const char *p, size_t len)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_int_equal(write(fd, p, len), len);
	close(fd);
}

/* Exports and imports into the same number elsewhere until resume: the file must come out again. */
static struct client *expect_same(struct client *g)
{
	struct memory m;
	char *a, *b;
	size_t na, nb;

	freeze(g, &m);
	a = slurp(&na);
	other_host();
	g = arrive(m.cl->domid, &m);
	expect_said("export-domain", g->domid, "OK");
	b = slurp(&nb);
	assert_int_equal(na, nb);
	assert_memory_equal(a, b, na);
	assert_int_equal(CONTROL("check"), 0);
	assert_string_equal(d0->rep.body, "OK");
	free(a);
	free(b);
	resume(g->domid);
	return g;
}

/* Nothing on its way: a tree with rights of all kinds, in the same domain and in another. */
static void test_idle(void **state)
{
	struct client *g = born(3);
	struct stat st;

	(void)state;
	guest_new(7);
	xwrite(g, 0, "data/a", "one");
	xwrite(g, 0, "data/b", "");
	xperms(g, 0, "data", "n3 r0 b7");
	xperms(g, 0, "data/b", "r3");
	xwrite(d0, 0, "/local/domain/3/name", "guest");
	xperms(d0, 0, "/local/domain/3/name", "n0 r3 r7");
	xwrite(d0, 0, "/local/domain/3/theirs", "x");
	xperms(d0, 0, "/local/domain/3/theirs", "b7 r3");
	xwrite(d0, 0, "/local/domain/3/all", "x");
	xperms(d0, 0, "/local/domain/3/all", "n3 r32757");
	g = move(g, 5);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0600);
	/* the new number in place of the old one, everybody else is a stranger */
	guest_new(7);
	assert_int_equal(xpath(d0, XS_GET_PERMS, 0, "/local/domain/5/data"), 0);
	assert_memory_equal(d0->rep.body, "n5\0r0", 6);
	assert_int_equal(d0->rep.hdr.len, 6);
	assert_int_equal(xpath(d0, XS_GET_PERMS, 0, "/local/domain/5/data/b"), 0);
	assert_string_equal(d0->rep.body, "r5");
	assert_int_equal(xpath(d0, XS_GET_PERMS, 0, "/local/domain/5/name"), 0);
	assert_memory_equal(d0->rep.body, "n0\0r5", 6);
	assert_int_equal(d0->rep.hdr.len, 6);
	assert_int_equal(xpath(d0, XS_GET_PERMS, 0, "/local/domain/5/theirs"), 0);
	assert_memory_equal(d0->rep.body, "n0\0r5", 6);
	assert_int_equal(xpath(d0, XS_GET_PERMS, 0, "/local/domain/5/all"), 0);
	assert_memory_equal(d0->rep.body, "n5\0r32757", 10);
	assert_int_equal(xread(g, 0, "data/a"), 0);
	assert_string_equal(g->rep.body, "one");
	assert_int_equal(xread(g, 0, "name"), 0);
	assert_string_equal(g->rep.body, "guest");
	assert_int_equal(xpath(g, XS_DIRECTORY, 0, "data"), 0);
	assert_memory_equal(g->rep.body, "a\0b", 4);
	assert_int_equal(xwrite(g, 0, "name", "another"), -EACCES);
	assert_int_equal(dom_find(5)->nodes, 5);
	assert_int_equal(dom_find(7)->nodes, 0);
	assert_int_equal(CONTROL("check"), 0);
	assert_string_equal(d0->rep.body, "OK");
	expect_same(g);
}

/* Nodes that only this host has stay; others hear of what came, the guest does not. */
static void test_put_over(void **state)
{
	struct client *g = born(3), *other;
	struct memory m;

	(void)state;
	xwrite(g, 0, "data/a", "one");
	xwrite(g, 0, "data/b", "forged");
	xwatch(g, "data", "mine");
	expect_events(g, "data:mine");
	freeze(g, &m);
	other_host();
	other = priv_new();
	xwrite(d0, 0, "/local/domain/5/data/a", "stale");
	xperms(d0, 0, "/local/domain/5/data/a", "n5");
	xwrite(d0, 0, "/local/domain/5/data/b", "this host's");
	xwrite(d0, 0, "/local/domain/5/host", "here");
	xwatch(other, "/local/domain/5/data/a", "below");
	xwatch(other, "/local/domain", "above");
	xwatch(other, "/local/domain/6", "beside");
	expect_events(other,
		      "/local/domain/5/data/a:below /local/domain:above /local/domain/6:beside");
	g = arrive(5, &m);
	resume(5);
	expect_events(other, "/local/domain/5:above /local/domain/5/data/a:below");
	expect_events(g, "");
	assert_int_equal(xread(g, 0, "data/a"), 0);
	assert_string_equal(g->rep.body, "one");
	assert_int_equal(xread(d0, 0, "/local/domain/5/host"), 0);
	assert_string_equal(d0->rep.body, "here");
	assert_int_equal(xread(d0, 0, "/local/domain/5/data/b"), 0);
	assert_string_equal(d0->rep.body, "this host's");
	assert_int_equal(dom_find(5)->nodes, 1);
	assert_int_equal(xwrite(g, 0, "data/a", "two"), 0);
	expect_events(g, "data/a:mine");
}

/* The source is parked: nothing comes or goes until the guest goes on there. */
static void test_parked(void **state)
{
	struct client *g = born(3);
	struct xenstore_domain_interface page;
	const struct xsd_sockmsg h = { .type = XS_READ, .len = 5 };

	(void)state;
	xwatch(g, "w", "t");
	expect_events(g, "w:t");
	expect_said("export-domain", 3, "OK");
	ring_put(g, &h, sizeof(h));
	ring_put(g, "miss", 5);
	g->ring->connection = XENSTORE_RECONNECT;
	page = *g->ring;
	ring_event(dom_find(3)->conn);
	run(d0);
	xwrite(d0, 0, "/local/domain/3/w", "changed");
	run(g);
	assert_memory_equal(g->ring, &page, sizeof(page));
	g->ring->connection = XENSTORE_CONNECTED;
	memset(&g->rep, 0, sizeof(g->rep));
	resume(3);
	expect_events(g, "w:t");
	assert_int_equal(g->rep.hdr.type, XS_ERROR);
	assert_string_equal(g->rep.body, "ENOENT");
	assert_int_equal(xwrite(g, 0, "w", "x"), 0);
	/* a release ends it, too */
	assert_int_equal(control("park-domain", 3, NULL), 0);
	assert_int_equal(xpath(d0, XS_RELEASE, 0, "3"), 0);
	assert_false(dom_find(3) && dom_find(3)->parked);
}

/* Who may not, and what is none. */
static void test_refused(void **state)
{
	struct client *g = born(3);
	struct memory m;
	char *p;
	size_t len;

	(void)state;
	assert_int_equal(request(g, XS_CONTROL, 0, "export-domain\0003\0/x", 19), -EACCES);
	assert_int_equal(control("export-domain", 9, file), -ENOENT);
	assert_int_equal(control("export-domain", 0, file), -EINVAL);
	assert_int_equal(control("export-domain", 3, "relative"), -EINVAL);
	assert_int_equal(control("export-domain", 3, NULL), -EINVAL);
	assert_int_equal(control("park-domain", 0, NULL), -EINVAL);
	assert_int_equal(control("park-domain", 40000, NULL), -EINVAL);
	fake_infos = 0;
	assert_int_equal(control("park-domain", 9, NULL), -ENOENT);
	fake_infos = -1;
	/* names: a directory, a missing one, a loop */
	assert_int_equal(control("export-domain", 3, "/proc"), 0);
	assert_string_not_equal(d0->rep.body, "OK");
	assert_int_equal(control("export-domain", 3, "/no/such/directory"), 0);
	assert_string_equal(d0->rep.body, "/no/such/directory: No such file or directory");
	assert_false(dom_find(3)->parked);
	assert_int_equal(access(file, F_OK), -1);
	freeze(g, &m);
	expect_said("import-domain", 3, "the domain has been served already");
	resume(3);
	expect_said("import-domain", 3, "the domain is not parked");
	other_host();
	assert_int_equal(control("import-domain", 5, file), -ENOENT);
	g = landing(5, &m);
	assert_int_equal(control("import-domain", 5, "/no/such/file"), 0);
	assert_string_equal(d0->rep.body, "/no/such/file: No such file or directory");
	assert_int_equal(control("import-domain", 5, dir), 0);
	assert_non_null(strstr(d0->rep.body, "it is no file"));
	p = slurp(&len);
	truncate(file, (off_t)MOVE_MAX + 1);
	expect_said("import-domain", 5, "Argument list too long");
	spill(p, len);
	/* another domain's page */
	((struct xenstore_domain_interface *)g->ring)->req_cons++;
	g->ring->req_prod++;
	xpath(d0, XS_RELEASE, 0, "5");
	control("park-domain", 5, NULL);
	client_free(g);
	g = guest_new(5);
	expect_said(
		"import-domain", 5,
		"its ring is not where the file has it: another domain's file, or of another time");
	assert_null(tree_get(store_root, "/local/domain/5"));
	g->ring->req_cons--;
	xpath(d0, XS_RELEASE, 0, "5");
	control("park-domain", 5, NULL);
	client_free(g);
	g = guest_new(5);
	expect_said("import-domain", 5, "OK");
	expect_said("import-domain", 5, "the domain has been given a connection before");
	free(p);
	free(m.cl);
}

/* ---- in the middle of something ---- */

struct stream {
	char v[65536];
	size_t len;
};

static void say(struct stream *s, uint32_t type, uint32_t tx, const void *body, size_t len)
{
	struct xsd_sockmsg h = { .type = type, .tx_id = tx, .len = (uint32_t)len };

	h.req_id = (uint32_t)s->len;
	memcpy(s->v + s->len, &h, sizeof(h));
	memcpy(s->v + s->len + sizeof(h), body, len);
	s->len += sizeof(h) + len;
}

/* Takes up to max bytes out of the ring. */
static void take(struct client *g, struct stream *to, size_t max)
{
	struct xenstore_domain_interface *r = g->ring;

	while (max-- && r->rsp_prod != r->rsp_cons)
		to->v[to->len++] = r->rsp[MASK_XENSTORE_IDX(r->rsp_cons++)];
}

static void let_run(struct client *g)
{
	ring_event(dom_find(g->domid)->conn);
	while (conn_run_all())
		;
}

/* Sends from *at up to end, and takes up to max bytes of what comes, again and again. */
static void talk(struct client *g, const struct stream *s, size_t *at, size_t end,
		 struct stream *to, size_t max)
{
	size_t before;

	do {
		before = *at + to->len;
		while (*at < end && g->ring->req_prod - g->ring->req_cons < XENSTORE_RING_SIZE) {
			g->ring->req[MASK_XENSTORE_IDX(g->ring->req_prod)] = s->v[(*at)++];
			g->ring->req_prod++;
		}
		let_run(g);
		take(g, to, max - to->len);
		let_run(g);
	} while (*at + to->len != before);
}

static struct client *quiet(unsigned int domid)
{
	struct client *g = born(domid);

	g->no_drain = true;
	return g;
}

/*
 * The guest says half of s and takes half of what comes, moves, and goes on: the same bytes as
 * if it had stayed.
 */
static void moved_between(const struct stream *s, size_t half, size_t taken,
			  const struct stream *truth)
{
	static struct stream got;
	struct client *g;
	size_t at = 0;

	other_host();
	got.len = 0;
	g = quiet(3);
	talk(g, s, &at, half, &got, taken);
	g = expect_same(g);
	g = move(g, half % 2 ? 5 : 3);
	g->no_drain = true;
	talk(g, s, &at, s->len, &got, sizeof(got.v));
	if (got.len != truth->len || memcmp(got.v, truth->v, got.len))
		fail_msg("moved after %zu bytes said and %zu taken: other answers", half, taken);
	assert_int_equal(at, s->len);
}

/* Half a request, at each byte. */
static void test_half_a_request(void **state)
{
	static struct stream s, truth;
	size_t at = 0;

	(void)state;
	s.len = truth.len = 0;
	say(&s, XS_WATCH, 0, "w\0token", 8);
	say(&s, XS_WRITE, 0, "w/a\0one", 7);
	say(&s, XS_READ, 0, "w/a", 4);
	say(&s, 99, 0, "?", 1);
	say(&s, XS_DIRECTORY, 0, "w", 2);
	say(&s, XS_UNWATCH, 0, "w\0token", 8);
	say(&s, XS_RM, 0, "w", 2);
	talk(quiet(3), &s, &at, s.len, &truth, sizeof(truth.v));
	for (size_t n = 0; n <= s.len; n++)
		moved_between(&s, n, sizeof(truth.v), &truth);
	/* nobody takes anything: what came before waits, too */
	for (size_t n = 0; n <= s.len; n += 7)
		moved_between(&s, n, 0, &truth);
}

/* Half a reply, at each byte: the ring holds a bit more than one of them. */
static void test_half_a_reply(void **state)
{
	static struct stream s, truth;
	size_t at = 0;
	char big[900];

	(void)state;
	s.len = truth.len = 0;
	memset(big, 'x', sizeof(big));
	memcpy(big, "big", 4);
	say(&s, XS_WRITE, 0, big, sizeof(big));
	say(&s, XS_WATCH, 0, "big\0t", 6);
	for (int i = 0; i < 3; i++)
		say(&s, XS_READ, 0, "big", 4);
	say(&s, XS_WRITE, 0, "big\0small", 9);
	talk(quiet(3), &s, &at, s.len, &truth, sizeof(truth.v));
	assert_true(truth.len > 2 * XENSTORE_RING_SIZE);
	/* all of one message, and some of the others */
	for (size_t n = 0; n <= truth.len; n += n < 1000 ? 1 : 37)
		moved_between(&s, s.len, n, &truth);
}

/* Watches that have fired, with events that wait and some that did not fit. */
static void test_watches(void **state)
{
	struct client *g = born(3);
	char long_token[300];
	bool found = false;

	(void)state;
	memset(long_token, 't', sizeof(long_token) - 1);
	long_token[sizeof(long_token) - 1] = 0;
	xwatch(g, "data/a", "one\ntoken");
	xwatch(g, "/local/domain/3/data", "absolute");
	xwatch(g, "@releaseDomain", "special");
	xwatch(g, "data/b", long_token);
	xwatch(g, "/", "");
	request(g, XS_WATCH, 0, "data\0depth\0001", 13);
	run(g);
	g->num_events = 0;
	g = expect_same(g);
	expect_events(g, "");
	/* waiting in the queue */
	g->no_drain = true;
	for (int i = 0; i < 5; i++) {
		xwrite(d0, 0, "/local/domain/3/data/b", i & 1 ? "x" : "y");
		xwrite(d0, 0, "/local/domain/3/data/c", i & 1 ? "x" : "y");
	}
	let_run(g);
	assert_true(dom_find(3)->conn->out_events > 10);
	g = expect_same(g);
	/* more than there is room for: the watch itself is told, once */
	dom_find(3)->limit[Q_EVENTS] = dom_find(3)->conn->out_events;
	xwrite(d0, 0, "/local/domain/3/data/a", "x");
	assert_true(dom_find(3)->conn->overflow);
	/* there is room where it comes */
	g = expect_same(g);
	assert_false(dom_find(3)->conn->overflow);
	assert_int_equal(dom_find(3)->watches, 6);
	g->no_drain = false;
	run(g);
	assert_true(g->num_events < ARRAY_SIZE(g->events));
	for (unsigned int i = 0; i < g->num_events; i++)
		found |= !strcmp(g->events[i][0], "data/a") &&
			 !strcmp(g->events[i][1], "one\ntoken");
	assert_true(found);
	assert_int_equal(dom_find(3)->conn->out_events, 0);
	assert_false(dom_find(3)->conn->overflow);
	g->num_events = 0;
	/* each is where it was */
	assert_int_equal(request(g, XS_UNWATCH, 0, "data/a\0one\ntoken", 17), 0);
	assert_int_equal(request(g, XS_UNWATCH, 0, "/\0", 3), 0);
	assert_int_equal(request(g, XS_UNWATCH, 0, "data\0depth", 11), 0);
	assert_int_equal(dom_find(3)->watches, 3);
}

/* Transactions begin again. */
static void test_transactions(void **state)
{
	struct client *g = born(3);
	uint32_t a, b, c;

	(void)state;
	a = xstart(g);
	xwrite(g, a, "data/a", "one");
	b = xstart(g);
	c = xstart(g);
	assert_int_equal(xread(g, b, "data/a"), -ENOENT);
	g = expect_same(g);
	g = move(g, 5);
	assert_int_equal(dom_find(5)->txs, 3);
	assert_int_equal(xwrite(g, a, "data/b", "two"), -EAGAIN);
	assert_int_equal(xend(g, a, true), -EAGAIN);
	assert_int_equal(xend(g, b, true), -EAGAIN);
	assert_int_equal(xend(g, c, false), 0);
	assert_int_equal(xend(g, a, true), -ENOENT);
	assert_int_equal(xread(g, 0, "data/a"), -ENOENT);
	/* no number is given twice */
	assert_true(xstart(g) > c);
	assert_int_equal(CONTROL("check"), 0);
}

/* One that broke the rules, and one that asked to begin again. */
static void test_broken_rings(void **state)
{
	struct client *g = born(3);

	(void)state;
	xwatch(g, "w", "t");
	g->ring->req_prod = g->ring->req_cons + 2000;
	let_run(g);
	assert_true(dom_find(3)->conn->failed);
	g = expect_same(g);
	g = move(g, 5);
	assert_true(dom_find(5)->conn->failed);
	assert_int_equal(g->ring->error, XENSTORE_ERROR_RINGIDX);
	/* it asks, and is saved before it was heard */
	g->ring->connection = XENSTORE_RECONNECT;
	g = move(g, 6);
	assert_int_equal(g->ring->connection, XENSTORE_CONNECTED);
	assert_false(dom_find(6)->conn->failed);
	g->len = 0;
	g->num_events = 0;
	assert_int_equal(xwrite(g, 0, "w", "x"), 0);
	expect_events(g, "");
}

/* A directory that is read in parts is begun again, by the guest alone. */
static void test_generations(void **state)
{
	struct client *g = born(3);
	char gen[32];

	(void)state;
	xwrite(g, 0, "data/a", "one");
	assert_int_equal(request(g, XS_DIRECTORY_PART, 0, "data\0000", 7), 0);
	strcpy(gen, g->rep.body);
	g = move(g, 3);
	assert_int_equal(request(g, XS_DIRECTORY_PART, 0, "data\0000", 7), 0);
	assert_string_not_equal(g->rep.body, gen);
	strcpy(gen, g->rep.body);
	assert_int_equal(request(g, XS_DIRECTORY_PART, 0, "data\0000", 7), 0);
	assert_string_equal(g->rep.body, gen);
	xwrite(g, 0, "data/b", "two");
	assert_int_equal(request(g, XS_DIRECTORY_PART, 0, "data\0000", 7), 0);
	assert_string_not_equal(g->rep.body, gen);
	/* dom0 sees the store's own */
	assert_int_equal(request(d0, XS_DIRECTORY_PART, 0, "/local/domain/3/data\0000", 23), 0);
	assert_true(strtoull(d0->rep.body, NULL, 10) <= store_gen());
}

/* ---- forged files ---- */

static void count(const struct node *n, void *ctx)
{
	acct_add(ctx, n, 1);
}

/* Nodes are what the accounts say, for each domain. */
static void expect_accounts(void)
{
	struct acct a = { 0 };

	tree_walk(store_root, count, &a);
	for (struct dom *d = dom_first(); d; d = d->next)
		if (d->domid)
			assert_int_equal(acct_of(&a, d->domid)->nodes, d->nodes);
	acct_free(&a);
}

static void right_sum(char *p, size_t len)
{
	uint64_t h[4], body = len - sizeof(h);

	memcpy(h, p, sizeof(h));
	h[2] = body;
	h[3] = journal_sum(journal_sum(h[0], h, 24), p + sizeof(h), body);
	memcpy(p, h, sizeof(h));
}

/* Puts it into d and takes it out again: not a trace. Returns whether it was taken. */
static bool try(struct dom *d, const char *p, size_t len)
{
	const long nodes = d->nodes, mem = d->mem;
	struct node *root = store_root;
	const uint64_t gen = store_gen();
	struct arrival a;
	const char *why = move_load(d, p, len, &a);

	if (!why) {
		expect_accounts();
		assert_true(d->nodes <= d->limit[Q_NODES]);
		assert_true(d->watches <= d->limit[Q_WATCHES]);
		assert_true(d->txs <= d->limit[Q_TRANSACTIONS]);
		move_undo(d, &a);
	}
	assert_ptr_equal(store_root, root);
	assert_true(move_empty(d));
	assert_int_equal(d->nodes, nodes);
	assert_int_equal(d->mem, mem);
	assert_int_equal(store_gen(), gen);
	assert_int_equal(d->was, DOM_NONE);
	assert_int_equal(d->watches + d->txs, 0);
	assert_false(d->imported || d->untold || d->conn->failed || d->conn->overflow);
	return !why;
}

static bool try_file(struct dom *d)
{
	size_t len;
	char *p = slurp(&len);
	bool taken = try(d, p, len);

	free(p);
	return taken;
}

/* Everything that a file can have, in few bytes. */
static struct client *rich(unsigned int domid)
{
	struct client *g = born(domid);

	xwrite(g, 0, "a/b", "one");
	xperms(g, 0, "a", "n3 r0 b7");
	xwatch(g, "a", "t");
	xwatch(g, "/local/domain/3", "u");
	xstart(g);
	xstart(g);
	run(g);
	g->no_drain = true;
	g->ring->rsp_cons = g->ring->rsp_prod - XENSTORE_RING_SIZE + 5;
	xwrite(d0, 0, "/local/domain/3/a/b", "two");
	ring_put(g, "\5\0", 2);
	let_run(g);
	assert_int_equal(dom_find(domid)->conn->out_off, 5);
	assert_int_equal(dom_find(domid)->conn->in_len, 2);
	return g;
}

static void test_forged(void **state)
{
	struct client *g = rich(3);
	unsigned long taken = 0;
	struct memory m;
	struct dom *d;
	size_t len;
	char *p;

	(void)state;
	freeze(g, &m);
	p = slurp(&len);
	other_host();
	born(3);
	xwrite(d0, 0, "/local/domain/3/secret", "x");
	landing(5, &m);
	free(m.cl);
	d = dom_find(5);
	assert_true(try(d, p, len));
	/* every length, as it is and with the head made right */
	for (size_t n = 0; n < len; n++) {
		char *cut = xmalloc(n);

		memcpy(cut, p, n);
		assert_false(try(d, cut, n));
		if (n >= 32)
			right_sum(cut, n);
		assert_false(try(d, cut, n));
		free(cut);
	}
	/* a byte more */
	p = xrealloc(p, len + 1);
	p[len] = 0;
	assert_false(try(d, p, len + 1));
	right_sum(p, len + 1);
	assert_false(try(d, p, len + 1));
	right_sum(p, len);
	/* every bit */
	for (size_t bit = 0; bit < len * 8; bit++) {
		p[bit / 8] ^= (char)(1 << bit % 8);
		if (try(d, p, len))
			fail_msg("bit %zu of byte %zu: not noticed", bit % 8, bit / 8);
		if (bit / 8 >= 32) {
			right_sum(p, len);
			taken += try(d, p, len);
		}
		p[bit / 8] ^= (char)(1 << bit % 8);
		right_sum(p, len);
	}
	print_message("%zu bytes, %lu of %zu wrong bits make another file\n", len, taken, len * 8);
	/* every byte at its extremes, and words as numbers are */
	for (size_t n = 32; n + 4 <= len; n++) {
		static const uint32_t words[] = { 0, 1, 0xff, 0x7fff, 0xffff, 1u << 31, ~0u };

		for (size_t k = 0; k < ARRAY_SIZE(words); k++) {
			char was[4];

			memcpy(was, p + n, 4);
			memcpy(p + n, &words[k], 4);
			right_sum(p, len);
			try(d, p, len);
			memcpy(p + n, was, 4);
		}
	}
	right_sum(p, len);
	assert_true(try(d, p, len));
	assert_int_equal(xread(d0, 0, "/local/domain/3/secret"), 0);
	free(p);
}

/* The limits here hold, whatever they are elsewhere; what fits just so is taken. */
static void test_quotas(void **state)
{
	static const struct {
		enum quota q;
		long used;
		const char *why;
	} cases[] = {
		{ Q_NODES, 3, "its tree has more nodes than the domain may have" },
		{ Q_WATCHES, 2, "it has more watches than the domain may have" },
		{ Q_TRANSACTIONS, 2, "it has more transactions than the domain may have" },
		{ Q_OUTSTANDING, 3, "more replies wait in it than the domain may have" },
		{ Q_EVENTS, 2, "more events wait in it than the domain may have" },
	};
	struct client *g = rich(3);
	struct memory m;
	struct dom *d;
	long mem;

	(void)state;
	for (int i = 0; i < 3; i++) {
		const struct xsd_sockmsg h = { .type = XS_READ, .len = 4 };

		g->ring->req_prod = g->ring->req_cons;
		dom_find(3)->conn->in_len = 0;
		ring_put(g, &h, sizeof(h));
		ring_put(g, "a/b", 4);
		let_run(g);
	}
	d = dom_find(3);
	freeze(g, &m);
	assert_int_equal(d->nodes, 3);
	assert_int_equal(d->conn->out_replies, 3);
	assert_int_equal(d->conn->out_events, 2);
	other_host();
	landing(5, &m);
	d = dom_find(5);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		long limit = d->limit[cases[i].q];

		d->limit[cases[i].q] = cases[i].used - 1;
		expect_said("import-domain", 5, cases[i].why);
		assert_int_equal(d->mem, 0);
		d->limit[cases[i].q] = cases[i].used;
		assert_true(try_file(d));
		d->limit[cases[i].q] = limit;
	}
	d->limit[Q_MEMORY] = 1;
	assert_true(try_file(d));
	/* a tree beyond what a guest in order can have */
	free(m.cl);
	teardown(NULL);
	setup(NULL);
	g = born(3);
	for (int i = 0; i < 8; i++) {
		char path[16], big[1500];

		memset(big, 'x', sizeof(big) - 1);
		big[sizeof(big) - 1] = 0;
		sprintf(path, "n%d", i);
		assert_int_equal(xwrite(g, 0, path, big), 0);
	}
	freeze(g, &m);
	mem = dom_find(3)->mem;
	other_host();
	landing(5, &m);
	d = dom_find(5);
	d->limit[Q_MEMORY] = mem - 2 * (long)MSG_MAX - 1;
	expect_said("import-domain", 5, "it takes more memory than the domain may have");
	assert_int_equal(d->mem, 0);
	d->limit[Q_MEMORY]++;
	expect_said("import-domain", 5, "OK");
	assert_int_equal(d->mem, mem);
	free(m.cl);
	/* nodes of dom0's are counted apart */
	teardown(NULL);
	setup(NULL);
	g = born(3);
	for (int i = 0; i < 8; i++) {
		char path[64];

		sprintf(path, "/local/domain/3/n%d", i);
		xwrite(d0, 0, path, "x");
		xperms(d0, 0, path, "n0 r3");
	}
	freeze(g, &m);
	other_host();
	landing(5, &m);
	dom_find(5)->limit[Q_NODES] = 7;
	expect_said("import-domain", 5, "its tree has more nodes than the domain may have");
	dom_find(5)->limit[Q_NODES] = 8;
	expect_said("import-domain", 5, "OK");
	free(m.cl);
}

/* Without a limit there still is one. */
static void test_no_quotas(void **state)
{
	struct client *g = born(3);
	struct memory m;

	(void)state;
	memset(dom_find(3)->limit, 0, sizeof(dom_find(3)->limit));
	for (int i = 0; i < 4097; i++)
		xstart(g);
	freeze(g, &m);
	other_host();
	landing(5, &m);
	memset(dom_find(5)->limit, 0, sizeof(dom_find(5)->limit));
	expect_said("import-domain", 5, "it has more transactions than the domain may have");
	assert_int_equal(dom_find(5)->txs, 0);
	free(m.cl);
}

/* The journal cannot take it: it has not come. */
static void test_no_room(void **state)
{
	struct client *g = rich(3);
	char journal[96], old[104];
	struct node *root;
	struct memory m;
	struct dom *d;

	(void)state;
	sprintf(journal, "%s/journal", dir);
	sprintf(old, "%s.old", journal);
	freeze(g, &m);
	other_host();
	landing(5, &m);
	d = dom_find(5);
	record_path(journal);
	assert_int_equal(record_checkpoint(), 0);
	record_path("/no/such/journal");
	root = store_root;
	expect_said("import-domain", 5, "the journal cannot take it; see the log");
	assert_true(journal_on());
	assert_ptr_equal(store_root, root);
	assert_true(move_empty(d));
	assert_false(d->imported || d->untold);
	assert_int_equal(d->mem + d->nodes + d->watches + d->txs, 0);
	assert_null(tree_get(store_root, "/local/domain/5"));
	record_path(journal);
	expect_said("import-domain", 5, "OK");
	/* both files lead to it */
	assert_int_equal(access(old, F_OK), 0);
	record_path(NULL);
	journal_drop(journal);
	free(m.cl);
}

/* ---- another number ---- */

/* What a path is, of strings alone. back: what it is called. */
static void model(const char *path, unsigned int was, unsigned int now, bool back, char *out)
{
	unsigned int from = back ? now : was, to = back ? was : now;
	char *v[64], copy[512], was_text[8], now_text[8], from_text[8], to_text[8];
	int n = 0, at = 0;

	sprintf(was_text, "%u", was);
	sprintf(now_text, "%u", now);
	sprintf(from_text, "%u", from);
	sprintf(to_text, "%u", to);
	strcpy(copy, path);
	for (char *save, *c = strtok_r(copy, "/", &save); c; c = strtok_r(NULL, "/", &save))
		v[n++] = c;
	if (n >= 3 && !strcmp(v[0], "local") && !strcmp(v[1], "domain")) {
		if (n >= 6 && !strcmp(v[2], was_text) && !strcmp(v[3], "backend") &&
		    (!strcmp(v[5], was_text) || !strcmp(v[5], now_text)))
			at = strcmp(v[5], from_text) ? 0 : 5;
		else if (!strcmp(v[2], from_text))
			at = 2;
		else if (n >= 6 && strcmp(v[2], was_text) && strcmp(v[2], now_text) &&
			 !strcmp(v[3], "backend") && !strcmp(v[5], from_text))
			at = 5;
	}
	if (at)
		v[at] = to_text;
	*out = 0;
	for (int i = 0; i < n; i++) {
		strcat(out, "/");
		strcat(out, v[i]);
	}
	if (!n)
		strcpy(out, "/");
}

static void random_path(char *p)
{
	static const char *const parts[] = { "3", "5",	"33",  "7",	"0",	 "backend",
					     "x", "03", "vbd", "local", "domain" };
	int n = rand() % 4;

	*p = 0;
	if (rand() % 8)
		strcat(p, "/local/domain");
	if (rand() % 2)
		sprintf(p + strlen(p), "/%s", parts[rand() % 5]);
	if (rand() % 2)
		sprintf(p + strlen(p), "/backend/vbd");
	for (int i = 0; i < n; i++)
		sprintf(p + strlen(p), "/%s", parts[rand() % (int)ARRAY_SIZE(parts)]);
	if (!*p)
		strcpy(p, "/");
}

/* A guest that was 3 and is 5, on a host where another is 3. */
static struct client *renumbered(struct client **other)
{
	struct client *g = born(3);

	xwrite(g, 0, "data/a", "one");
	xwatch(g, "/local/domain/3/data", "absolute");
	xwatch(g, "data", "relative");
	run(g);
	g = move(g, 5);
	*other = born(3);
	xwrite(*other, 0, "data/a", "another's");
	xwrite(*other, 0, "data/secret", "another's");
	xperms(*other, 0, "data/secret", "n3 b5");
	g->num_events = 0;
	return g;
}

static void test_alias_model(void **state)
{
	char path[256], is[SPELL_MAX], should[512], buf[SPELL_MAX];
	unsigned int hits = 0;
	struct client *other, *g = renumbered(&other);
	struct conn *c = dom_find(5)->conn;

	(void)state;
	srand(1);
	for (int i = 0; i < 200000; i++) {
		random_path(path);
		model(path, 3, 5, false, should);
		assert_int_equal(spell_path(c, path, is, false), 0);
		if (strcmp(is, should))
			fail_msg("%s is %s and not %s", path, is, should);
		hits += strcmp(path, is) != 0;
		model(path, 3, 5, true, should);
		assert_string_equal(spell_shown(c, path, 0, buf), should);
		/* nobody else has an alias */
		assert_int_equal(spell_path(dom_find(3)->conn, path, is, false), 0);
		assert_string_equal(is, path);
		assert_int_equal(spell_path(d0->c, path, is, false), 0);
		assert_string_equal(is, path);
		assert_string_equal(spell_shown(dom_find(3)->conn, path, 0, buf), path);
	}
	assert_true(hits > 1000);
	(void)g;
	/* a longer number may make it too long */
	memset(path, 'x', sizeof(path));
	dom_find(5)->limit[Q_PATH] = 0;
	char *deep = xmalloc(XENSTORE_ABS_PATH_MAX + 1);
	memset(deep, 'x', XENSTORE_ABS_PATH_MAX);
	deep[XENSTORE_ABS_PATH_MAX] = 0;
	memcpy(deep, "/local/domain/3/", 16);
	assert_int_equal(spell_path(c, deep, is, false), 0);
	assert_int_equal(strlen(is), XENSTORE_ABS_PATH_MAX);
	dom_find(5)->was = 3;
	free(deep);
}

/* The guest's own nodes, by each of their names, and nobody else's by any. */
static void test_alias_own_nodes(void **state)
{
	struct client *other, *g = renumbered(&other);
	uint32_t tx;

	(void)state;
	assert_int_equal(xread(g, 0, "/local/domain/3/data/a"), 0);
	assert_string_equal(g->rep.body, "one");
	assert_int_equal(xread(g, 0, "/local/domain/5/data/a"), 0);
	assert_string_equal(g->rep.body, "one");
	assert_int_equal(xread(other, 0, "/local/domain/3/data/a"), 0);
	assert_string_equal(other->rep.body, "another's");
	assert_int_equal(xread(other, 0, "/local/domain/5/data/a"), -EACCES);
	/* the other's node is not there for it, though its rights would do */
	assert_int_equal(xread(g, 0, "/local/domain/3/data/secret"), -ENOENT);
	assert_int_equal(xwrite(g, 0, "/local/domain/3/data/secret", "mine"), 0);
	assert_int_equal(xread(d0, 0, "/local/domain/3/data/secret"), 0);
	assert_string_equal(d0->rep.body, "another's");
	assert_int_equal(xread(d0, 0, "/local/domain/5/data/secret"), 0);
	assert_string_equal(d0->rep.body, "mine");
	assert_int_equal(xpath(g, XS_RM, 0, "/local/domain/3/data/secret"), 0);
	assert_int_equal(xpath(g, XS_MKDIR, 0, "/local/domain/3/data/dir"), 0);
	assert_int_equal(xpath(g, XS_DIRECTORY, 0, "/local/domain/3/data"), 0);
	assert_memory_equal(g->rep.body, "a\0dir", 6);
	assert_int_equal(xpath(d0, XS_DIRECTORY, 0, "/local/domain/3/data"), 0);
	assert_memory_equal(d0->rep.body, "a\0secret", 9);
	/* in a transaction it is the real node that counts */
	tx = xstart(g);
	assert_int_equal(xwrite(g, tx, "/local/domain/3/data/a", "two"), 0);
	xwrite(d0, 0, "/local/domain/3/data/a", "beside");
	assert_int_equal(xend(g, tx, true), 0);
	tx = xstart(g);
	assert_int_equal(xwrite(g, tx, "/local/domain/3/data/a", "three"), 0);
	xwrite(d0, 0, "/local/domain/5/data/a", "changed");
	assert_int_equal(xend(g, tx, true), -EAGAIN);
	assert_int_equal(xpath(g, XS_IS_DOMAIN_INTRODUCED, 0, "3"), 0);
	assert_string_equal(g->rep.body, "T");
	xpath(d0, XS_RELEASE, 0, "3");
	assert_int_equal(xpath(g, XS_IS_DOMAIN_INTRODUCED, 0, "3"), 0);
	assert_string_equal(g->rep.body, "T");
}

static void test_alias_permissions(void **state)
{
	struct client *other, *g = renumbered(&other);

	(void)state;
	assert_int_equal(xpath(g, XS_GET_PERMS, 0, "data/a"), 0);
	assert_string_equal(g->rep.body, "n3");
	assert_int_equal(xperms(g, 0, "/local/domain/3/data/a", "r3 w0"), 0);
	assert_int_equal(xpath(d0, XS_GET_PERMS, 0, "/local/domain/5/data/a"), 0);
	assert_memory_equal(d0->rep.body, "r5\0w0", 6);
	assert_int_equal(xpath(g, XS_GET_PERMS, 0, "data/a"), 0);
	assert_memory_equal(g->rep.body, "r3\0w0", 6);
	assert_int_equal(xperms(g, 0, "data/a", "n5"), 0);
	/* nothing is given to who has the number now */
	assert_int_equal(xperms(g, 0, "data/a", "n3 b3"), 0);
	assert_int_equal(xread(other, 0, "/local/domain/5/data/a"), -EACCES);
	assert_int_equal(xperms(g, 0, "data/a", "n7"), -EPERM);
	/* others' nodes stay theirs */
	assert_int_equal(xperms(g, 0, "/local/domain/0", "n3"), -EACCES);
	assert_int_equal(xperms(other, 0, "data/a", "n3 r5"), 0);
	assert_int_equal(xpath(other, XS_GET_PERMS, 0, "data/a"), 0);
	assert_memory_equal(other->rep.body, "n3\0r5", 6);
}

static void test_alias_events(void **state)
{
	struct client *other, *g = renumbered(&other);

	(void)state;
	/* as each was spelled elsewhere */
	xwrite(d0, 0, "/local/domain/5/data/a", "x");
	expect_events(g, "data/a:relative /local/domain/3/data/a:absolute");
	xwrite(d0, 0, "/local/domain/3/data/a", "x");
	expect_events(g, "");
	assert_int_equal(request(g, XS_UNWATCH, 0, "/local/domain/3/data\0absolute", 30), 0);
	assert_int_equal(request(g, XS_UNWATCH, 0, "data\0relative", 14), 0);
	/* what serves it */
	xwrite(d0, 0, "/local/domain/0/backend/vbd/5/768/state", "1");
	xperms(d0, 0, "/local/domain/0/backend/vbd/5/768/state", "n0 r5");
	xwrite(d0, 0, "/local/domain/0/backend/vbd/3/768/state", "4");
	xperms(d0, 0, "/local/domain/0/backend/vbd/3/768/state", "n0 r5 r3");
	assert_int_equal(xread(g, 0, "/local/domain/0/backend/vbd/3/768/state"), 0);
	assert_string_equal(g->rep.body, "1");
	assert_int_equal(xwatch(g, "/local/domain/0/backend/vbd/3/768/state", "old"), 0);
	assert_int_equal(xwatch(g, "/local/domain/0/backend/vbd/5/768/state", "new"), 0);
	assert_int_equal(xwatch(g, "/local/domain", "above"), 0);
	expect_events(g, "/local/domain/0/backend/vbd/3/768/state:old "
			 "/local/domain/0/backend/vbd/5/768/state:new /local/domain:above");
	xwrite(d0, 0, "/local/domain/0/backend/vbd/5/768/state", "2");
	expect_events(g, "/local/domain/0/backend/vbd/3/768/state:above "
			 "/local/domain/0/backend/vbd/5/768/state:new "
			 "/local/domain/0/backend/vbd/3/768/state:old");
	assert_int_equal(request(g, XS_UNWATCH, 0, "/local/domain\0above", 20), 0);
	/* what is removed with all below is told, too */
	xpath(d0, XS_RM, 0, "/local/domain/0/backend/vbd/5");
	expect_events(g, "/local/domain/0/backend/vbd/5/768/state:new "
			 "/local/domain/0/backend/vbd/3/768/state:old");
	/* what it serves itself is others', by their numbers */
	assert_int_equal(xwrite(g, 0, "backend/vif/3/0", "theirs"), 0);
	assert_int_equal(xwrite(g, 0, "backend/vif/7/0", "7's"), 0);
	assert_int_equal(xread(g, 0, "/local/domain/5/backend/vif/3/0"), 0);
	assert_int_equal(xread(g, 0, "/local/domain/3/backend/vif/7/0"), 0);
	assert_string_equal(g->rep.body, "7's");
	/* the other may serve it */
	assert_int_equal(xwrite(other, 0, "backend/vif/5/0", "for you"), 0);
	assert_int_equal(xperms(other, 0, "backend/vif/5/0", "n3 r5"), 0);
	assert_int_equal(xread(g, 0, "/local/domain/3/backend/vif/5/0"), 0);
	assert_string_equal(g->rep.body, "for you");
	assert_int_equal(xread(g, 0, "/local/domain/3/backend/vif/3/0"), 0);
	assert_string_equal(g->rep.body, "for you");
	expect_same(g);
}

/* What serves it is found by each number that it has had, and by nobody else's. */
static void test_alias_between(void **state)
{
	struct client *g = born(3);
	char path[64], real[64];

	(void)state;
	for (unsigned int n = 10; n < 30; n++) {
		if (n > 10) {
			/* a device that came here: the guest learns the name of the place */
			sprintf(path, "/local/domain/0/backend/vif/%u/0/state", n - 1);
			assert_int_equal(xwatch(g, path, "t"), 0);
		}
		g = expect_same(g);
		g = move(g, n);
		g->num_events = 0;
		sprintf(real, "/local/domain/0/backend/vif/%u/0/state", n);
		xwrite(d0, 0, real, "4");
		sprintf(path, "n0 r%u", n);
		xperms(d0, 0, real, path);
		run(g);
		g->num_events = 0;
		for (unsigned int k = 9; k <= n; k++) {
			sprintf(path, "/local/domain/0/backend/vif/%u/0/state", k == 9 ? 3 : k);
			/* sixteen of them, and the first and the last */
			assert_int_equal(xread(g, 0, path),
					 k == 9 || k == n || k + 16 >= n ? 0 : -EACCES);
			/* its home has the first alone */
			sprintf(path, "/local/domain/%u", k);
			if (k > 9 && k < n)
				assert_int_equal(xpath(g, XS_GET_PERMS, 0, path), -EACCES);
		}
		if (n > 10) {
			xwrite(d0, 0, real, "5");
			run(g);
			sprintf(path, "/local/domain/0/backend/vif/%u/0/state", n - 1);
			/* as it was spelled by then, for each number */
			assert_true(g->num_events >= 1);
			assert_string_equal(g->events[0][0], path);
		}
		assert_int_equal(request(g, XS_RESET_WATCHES, 0, "", 1), 0);
		g->num_events = 0;
	}
	assert_int_equal(dom_find(29)->num_between, BETWEEN_MAX);
}

/* It moves again and again: one name, which it was born with. */
static void test_alias_chain(void **state)
{
	static const unsigned int numbers[] = { 5, 6, 3, 60, 5 };
	struct client *g = born(3);
	char home[32];

	(void)state;
	xwrite(g, 0, "data/a", "one");
	xwatch(g, "/local/domain/3/data", "t");
	expect_events(g, "/local/domain/3/data:t");
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		g = expect_same(g);
		g = move(g, numbers[i]);
		assert_int_equal(dom_find(numbers[i])->was, 3);
		assert_int_equal(xread(g, 0, "/local/domain/3/data/a"), 0);
		sprintf(home, "/local/domain/%u/data/a", numbers[i]);
		assert_int_equal(xread(g, 0, home), 0);
		xwrite(d0, 0, home, "one");
		expect_events(g, "/local/domain/3/data/a:t");
		if (i)
			assert_int_equal(xread(g, 0, "/local/domain/5/data/a") == 0,
					 numbers[i] == 5);
	}
}

/* Whatever is asked by an alias comes out as if it was asked by the real name: no right is had by it. */
static void test_alias_widens_nothing(void **state)
{
	struct client *other, *g = renumbered(&other);
	char path[256], real[512], body[700];
	int err, found = 0;
	size_t n;

	(void)state;
	srand(2);
	for (int i = 0; i < 300; i++) {
		static const char *const perms[] = {
			"n0", "n0 r5", "n3", "n5", "n3 r5", "n7", "b0"
		};

		random_path(path);
		if (strlen(path) < 15)
			continue;
		if (!xwrite(d0, 0, path, path))
			xperms(d0, 0, path, perms[rand() % (int)ARRAY_SIZE(perms)]);
	}
	for (int i = 0; i < 5000; i++) {
		static const uint32_t types[] = { XS_READ, XS_DIRECTORY, XS_GET_PERMS };
		uint32_t type = types[i % 3];
		struct reply rep;

		random_path(path);
		model(path, 3, 5, false, real);
		err = xpath(g, type, 0, path);
		rep = g->rep;
		assert_int_equal(xpath(g, type, 0, real), err);
		assert_int_equal(g->rep.hdr.len, rep.hdr.len);
		assert_memory_equal(g->rep.body, rep.body, rep.hdr.len);
		found += !err && strcmp(path, real);
		/* what it writes is where its rights are */
		n = (size_t)sprintf(body, "%s/new%d", path, i) + 1;
		if (i % 10 == 0 && !request(g, XS_WRITE, 0, body, n)) {
			sprintf(body, "%s/new%d", real, i);
			assert_int_equal(xpath(d0, XS_GET_PERMS, 0, body), 0);
			assert_memory_equal(d0->rep.body + 1, "5", 2);
			assert_int_equal(xpath(d0, XS_RM, 0, body), 0);
		}
		run(g);
		g->num_events = 0;
	}
	assert_true(found > 50);
	assert_int_equal(CONTROL("check"), 0);
	assert_string_equal(d0->rep.body, "OK");
}

static int start(void **state)
{
	snprintf(dir, sizeof(dir), "%s/pavise-move-XXXXXX",
		 access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	assert_non_null(mkdtemp(dir));
	sprintf(file, "%s/guest", dir);
	return setup(state);
}

static int stop(void **state)
{
	char name[128];

	/* nothing but the file is left */
	unlink(file);
	sprintf(name, "%s.new", file);
	assert_int_equal(access(name, F_OK), -1);
	assert_int_equal(rmdir(dir), 0);
	return teardown(state);
}

#define T(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(int argc, char **argv)
{
	/* clang-format off */
	const struct CMUnitTest tests[] = {
		T(test_idle),
		T(test_put_over),
		T(test_parked),
		T(test_refused),
		T(test_half_a_request),
		T(test_half_a_reply),
		T(test_watches),
		T(test_transactions),
		T(test_broken_rings),
		T(test_generations),
		T(test_forged),
		T(test_quotas),
		T(test_no_quotas),
		T(test_no_room),
		T(test_alias_model),
		T(test_alias_own_nodes),
		T(test_alias_permissions),
		T(test_alias_events),
		T(test_alias_chain),
		T(test_alias_between),
		T(test_alias_widens_nothing),
	};
	/* clang-format on */

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
