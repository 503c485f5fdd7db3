// SPDX-License-Identifier: BSD-2-Clause
/*
 * A guest goes on elsewhere: its connection and tree through a file, in the middle of anything.
 */
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "moving.h"

/* Nothing on its way: a tree with rights of all kinds, in the same domain and in another. */
static void test_idle(void **state)
{
	struct client *g = born(3), *stranger;
	struct memory m;
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
	freeze(g, &m);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0600);
	/* the new number in place of the old one, everybody else is a stranger, also who lives already */
	other_host();
	stranger = guest_new(7);
	g = arrive(5, &m);
	resume(5);
	assert_int_equal(xread(stranger, 0, "/local/domain/5/theirs"), -EACCES);
	assert_int_equal(xread(stranger, 0, "/local/domain/5/name"), -EACCES);
	assert_int_equal(xpath(stranger, XS_DIRECTORY, 0, "/local/domain/5/data"), -EACCES);
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

static uint64_t generation(struct client *cl, const char *body, size_t len)
{
	assert_int_equal(request(cl, XS_DIRECTORY_PART, 0, body, len), 0);
	return strtoull(cl->rep.body, NULL, 10);
}

#define GUESTS_GEN(g) generation(g, "data\0000", 7)
#define REAL_GEN() generation(d0, "/local/domain/3/data\0000", 23)

/* As move(), with that many generations given elsewhere before. */
static struct client *move_at(struct client *g, uint64_t gen)
{
	struct memory m;

	freeze(g, &m);
	other_host();
	store_set_gen(gen);
	g = arrive(3, &m);
	resume(3);
	return g;
}

/* A directory that is read in parts is begun again, by the guest alone. */
static void test_generations(void **state)
{
	struct client *g;
	uint64_t gen, delta;

	(void)state;
	store_set_gen(50000);
	g = born(3);
	xwrite(g, 0, "data/a", "one");
	gen = GUESTS_GEN(g);
	assert_int_equal(gen, REAL_GEN());
	g = move_at(g, 40000);
	delta = REAL_GEN() - 40000;
	assert_int_not_equal(GUESTS_GEN(g), gen);
	/* where the store happens to count as far as the other did */
	g = move_at(g, gen - delta);
	assert_int_equal(REAL_GEN(), gen);
	assert_int_not_equal(GUESTS_GEN(g), gen);
	gen = GUESTS_GEN(g);
	assert_int_equal(GUESTS_GEN(g), gen);
	xwrite(g, 0, "data/b", "two");
	assert_int_not_equal(GUESTS_GEN(g), gen);
}

/* What its ring was offered, and no more, whatever this host offers to others. */
static void test_features(void **state)
{
	struct client *g;

	(void)state;
	assert_int_equal(request(d0, XS_SET_FEATURE_, 0, "3\0001", 4), 0);
	g = born(3);
	assert_int_equal(g->ring->server_features, FEATURE_RECONNECTION);
	g = move(g, 5);
	assert_int_equal(g->ring->server_features, FEATURE_RECONNECTION);
	assert_int_equal(g->ring->connection, XENSTORE_CONNECTED);
	assert_int_equal(request(g, XS_WATCH, 0, "data\0t\0001", 9), -EINVAL);
	expect_same(g);
}

/* The disk is full: no file, not even a part of one, and the guest goes on. */
static void test_disk_full(void **state)
{
	struct rlimit was, small = { .rlim_cur = 100 };
	struct client *g = born(3);
	char name[112];

	(void)state;
	xwrite(g, 0, "data/a", "one");
	sprintf(name, "%s.new", file);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	small.rlim_max = was.rlim_max;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	expect_said("export-domain", 3, "File too large");
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
	assert_int_equal(access(file, F_OK), -1);
	assert_int_equal(access(name, F_OK), -1);
	assert_int_equal(xread(g, 0, "data/a"), 0);
	/* what has the name already is replaced, and what a daemon that died left beside it */
	spill("old", 3);
	assert_int_equal(symlink("/etc/passwd", name), 0);
	g = expect_same(g);
	assert_int_equal(xread(g, 0, "data/a"), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, move_start, move_stop)

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
		T(test_features),
		T(test_disk_full),
	};
	/* clang-format on */

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
