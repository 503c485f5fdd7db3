// SPDX-License-Identifier: BSD-2-Clause
/*
 * Unit tests of domains: introduction, death, what is left of the dead, targets, features of a ring.
 * The hypervisor is a list that the test writes (fake_info).
 * Tests called xsa_* are named after the advisory whose mistake they look for.
 */
#include <unistd.h>
#include "support.h"

static void test_domains(void **state)
{
	(void)state;
	assert_int_equal(xwatch(d0, "@introduceDomain", "i"), 0);
	assert_int_equal(xwatch(d0, "@releaseDomain", "r"), 0);
	expect_events(d0, "@introduceDomain:i @releaseDomain:r");
	assert_int_equal(xpath(d0, XS_IS_DOMAIN_INTRODUCED, 0, "3"), 0);
	assert_string_equal(d0->rep.body, "F");
	assert_int_equal(request(d0, XS_INTRODUCE, 0,
				 "3\0"
				 "1\0"
				 "1",
				 6),
			 -EINVAL); /* no page */
	assert_int_equal(request(d0, XS_INTRODUCE, 0,
				 "0\0"
				 "1\0"
				 "1",
				 6),
			 -EINVAL);
	assert_int_equal(request(d0, XS_INTRODUCE, 0,
				 "32752\0"
				 "1\0"
				 "1",
				 10),
			 -EINVAL);
	assert_int_equal(request(d0, XS_INTRODUCE, 0,
				 "3\0"
				 "1",
				 4),
			 -EINVAL);
	assert_int_equal(request(d0, XS_INTRODUCE, 0,
				 "3\0x\0"
				 "1",
				 6),
			 -EINVAL);
	expect_events(d0, "");
	client_free(guest_new(3)); /* makes the page */
	assert_int_equal(xpath(d0, XS_RELEASE, 0, "3"), 0);
	assert_string_equal(d0->rep.body, "OK");
	expect_events(d0, "@releaseDomain:r");
	assert_int_equal(request(d0, XS_INTRODUCE, 0,
				 "3\0"
				 "1\0"
				 "666",
				 8),
			 -EINVAL); /* no such port */
	assert_int_equal(fake_maps, 0);
	assert_int_equal(request(d0, XS_INTRODUCE, 0,
				 "3\0"
				 "1\0"
				 "1",
				 6),
			 0);
	expect_events(d0, "@introduceDomain:i");
	assert_int_equal(request(d0, XS_INTRODUCE, 0,
				 "3\0"
				 "1\0"
				 "2",
				 6),
			 0); /* a new port: no new domain */
	expect_events(d0, "");
	assert_int_equal(xpath(d0, XS_IS_DOMAIN_INTRODUCED, 0, "3"), 0);
	assert_string_equal(d0->rep.body, "T");
	assert_int_equal(xpath(d0, XS_RESUME, 0, "3"), 0);
	assert_int_equal(xpath(d0, XS_RESUME, 0, "4"), -ENOENT);
	assert_int_equal(xpath(d0, XS_RELEASE, 0, "4"), -ENOENT);
	assert_int_equal(xpath(d0, XS_RELEASE, 0, "0"), -EINVAL);
	assert_int_equal(xpath(d0, XS_RELEASE, 0, "3"), 0);
	assert_int_equal(fake_maps, 0);
}

static void test_target(void **state)
{
	struct client *stub = guest_new(5);

	(void)state;
	guest_new(3);
	xwrite(d0, 0, "/t3", "");
	xperms(d0, 0, "/t3", "n3");
	xwrite(d0, 0, "/l3", "");
	xperms(d0, 0, "/l3", "n0 r3");
	assert_int_equal(xread(stub, 0, "/t3"), -EACCES);
	assert_int_equal(request(d0, XS_SET_TARGET, 0,
				 "5\0"
				 "9",
				 4),
			 -ENOENT);
	assert_int_equal(request(d0, XS_SET_TARGET, 0,
				 "5\0"
				 "3",
				 4),
			 0);
	assert_int_equal(xread(stub, 0, "/t3"), 0);
	assert_int_equal(xwrite(stub, 0, "/t3/x", ""), 0);
	assert_int_equal(xread(stub, 0, "/l3"), 0);
	assert_int_equal(xwrite(stub, 0, "/l3", ""), -EACCES);
	/* the target dies: what came from it is gone */
	xpath(d0, XS_RELEASE, 0, "3");
	assert_int_equal(xread(stub, 0, "/l3"), -EACCES);
}

static void test_death(void **state)
{
	(void)state;
	guest_new(3);
	guest_new(4);
	xwatch(d0, "@releaseDomain", "r");
	xwatch(d0, "@releaseDomain/4", "only4");
	expect_events(d0, "@releaseDomain:r @releaseDomain/4:only4");
	fake_info[0] = (struct hv_dominfo){ .domid = 0 };
	fake_info[1] = (struct hv_dominfo){ .domid = 3 };
	fake_info[2] = (struct hv_dominfo){ .domid = 4 };
	fake_infos = 3;
	domains_event(5);
	expect_events(d0, "");
	fake_info[1].shutdown = true;
	domains_event(5);
	domains_event(5);
	expect_events(d0, "@releaseDomain:r");
	assert_int_equal(xpath(d0, XS_RESUME, 0, "3"), 0);
	domains_event(5);
	expect_events(d0, "@releaseDomain:r");
	fake_info[1].dying = true;
	domains_event(5);
	domains_event(5);
	expect_events(d0, "@releaseDomain:r");
	assert_int_equal(fake_maps, 1); /* only 4's: a mapping would keep 3 from going */
	fake_infos = 1;
	domains_event(5);
	/* 4 at once, and 3 is gone for good */
	expect_events(d0, "@releaseDomain:r @releaseDomain/4:only4 @releaseDomain:r");
	assert_null(dom_find(3));
	assert_null(dom_find(4));
}

/* XSA-322: what was granted to a domain must not serve the next one with its number. */
static void test_xsa_322_dead_domain(void **state)
{
	struct client *g = guest_new(3);

	(void)state;
	xwrite(d0, 0, "/own", "secret");
	xperms(d0, 0, "/own", "r3 r4");
	xwrite(d0, 0, "/list", "secret");
	xperms(d0, 0, "/list", "n0 b3 r4");
	assert_int_equal(xread(g, 0, "/own"), 0);
	assert_int_equal(xread(g, 0, "/list"), 0);
	assert_int_equal(xwrite(g, 0, "/own/child", ""), 0);
	assert_int_equal(dom_find(3)->nodes, 2);
	xpath(d0, XS_RELEASE, 0, "3");
	client_free(g);
	assert_int_equal(xread(d0, 0, "/own"), -ENOENT);
	assert_int_equal(xread(d0, 0, "/list"), 0);
	assert_int_equal(xpath(d0, XS_GET_PERMS, 0, "/list"), 0);
	assert_memory_equal(d0->rep.body, "n0\0r4", 6);
	g = guest_new(3);
	assert_int_equal(xread(g, 0, "/own"), -EACCES);
	assert_int_equal(xread(g, 0, "/list"), -EACCES);
	assert_int_equal(xwrite(g, 0, "/own/child", ""), -EACCES);
	assert_int_equal(dom_find(3)->nodes, 0);
	assert_int_equal(xpath(d0, XS_CONTROL, 0, "check"), 0);
	assert_string_equal(d0->rep.body, "OK");
	/*
	 * the root stays when its owner goes, and what is made below it is not the new domain's
	 * either
	 */
	xperms(d0, 0, "/", "n3");
	xpath(d0, XS_RELEASE, 0, "3");
	assert_int_equal(xpath(d0, XS_GET_PERMS, 0, "/"), 0);
	assert_string_equal(d0->rep.body, "n0");
	xwrite(d0, 0, "/new", "");
	client_free(g);
	g = guest_new(3);
	assert_int_equal(xread(g, 0, "/new"), -EACCES);
	assert_int_equal(xpath(g, XS_DIRECTORY, 0, "/"), -EACCES);
}

/* What a dead domain owned goes with all below it, wherever it is, and its watchers hear of it. */
static void test_orphans(void **state)
{
	struct client *g = guest_new(3);

	(void)state;
	guest_new(4);
	xwrite(d0, 0, "/local/domain/3", "");
	xwrite(d0, 0, "/local/domain/3/data", "");
	xperms(d0, 0, "/local/domain/3/data", "n3");
	xwrite(g, 0, "data/a/b", "x");
	xwrite(d0, 0, "/local/domain/3/data/dom0s", "");
	xperms(d0, 0, "/local/domain/3/data/dom0s", "n0");
	xwrite(d0, 0, "/elsewhere/deep/theirs/x", "");
	xperms(d0, 0, "/elsewhere/deep/theirs", "n3");
	xwrite(d0, 0, "/elsewhere/others", "");
	xperms(d0, 0, "/elsewhere/others", "n4 r3");
	assert_int_equal(xwatch(d0, "/elsewhere/deep", "w"), 0);
	assert_int_equal(xwatch(d0, "/local/domain/3/data/a", "w"), 0);
	assert_int_equal(xwatch(d0, "@releaseDomain", "r"), 0);
	d0->num_events = 0;
	assert_int_equal(xpath(d0, XS_RELEASE, 0, "3"), 0);
	/* each once, and all before the domain is said to be gone */
	expect_events(d0, "/local/domain/3/data/a:w /elsewhere/deep/theirs:w @releaseDomain:r");
	assert_int_equal(xread(d0, 0, "/local/domain/3/data"), -ENOENT);
	assert_int_equal(xread(d0, 0, "/elsewhere/deep/theirs"), -ENOENT);
	assert_int_equal(xread(d0, 0, "/local/domain/3"), 0);
	assert_int_equal(xread(d0, 0, "/elsewhere/deep"), 0);
	assert_int_equal(xpath(d0, XS_GET_PERMS, 0, "/elsewhere/others"), 0);
	assert_int_equal(d0->rep.hdr.len, 3);
	assert_string_equal(d0->rep.body, "n4");
	assert_int_equal(xpath(d0, XS_CONTROL, 0, "check"), 0);
	assert_string_equal(d0->rep.body, "OK");
}

static void count_nodes(const struct node *n, void *ctx)
{
	(void)n;
	++*(unsigned int *)ctx;
}

/*
 * XSA-419: two guests together must not get more nodes than their quotas: what one made in the
 * other's tree goes with its maker, and does not become dom0's.
 */
static void test_xsa_419_cooperating_guests(void **state)
{
	unsigned int nodes = 0;
	char path[32];

	(void)state;
	guest_new(3);
	xwrite(d0, 0, "/a", "");
	xperms(d0, 0, "/a", "n3 b4");
	for (int life = 0; life < 5; life++) {
		struct client *b = guest_new(4);
		int made = 0;

		xperms(d0, 0, "/a", "n3 b4");
		for (int i = 0; i < 1100; i++) {
			snprintf(path, sizeof(path), "/a/%d-%d", life, i);
			made += !xwrite(b, 0, path, "");
		}
		assert_int_equal(made, 1000);
		xpath(d0, XS_RELEASE, 0, "4");
		client_free(b);
	}
	tree_walk(store_root, count_nodes, &nodes);
	assert_true(nodes < 10);
}

/* XSA-483: what the last domain with a number used does not count against the next. */
static void test_xsa_483_quota_of_the_dead(void **state)
{
	char path[32];

	(void)state;
	for (int life = 0; life < 3; life++) {
		struct client *g = guest_new(3);

		assert_int_equal(dom_find(3)->nodes, 0);
		assert_int_equal(dom_find(3)->mem, 0);
		xwrite(d0, 0, "/g", "");
		xperms(d0, 0, "/g", "n3");
		for (int i = 0; i < 999; i++) {
			snprintf(path, sizeof(path), "/g/%d", i);
			assert_int_equal(xwrite(g, 0, path, ""), 0);
		}
		assert_int_equal(xwrite(g, 0, "/g/more", ""), -ENOSPC);
		for (int i = 0; i < 10; i++)
			assert_int_equal(xwrite(g, xstart(g), "/g/1", "t"), 0);
		for (int i = 0; i < 128; i++) {
			snprintf(path, sizeof(path), "/g/%d", i);
			assert_int_equal(xwatch(g, path, "t"), 0);
		}
		xpath(d0, XS_RELEASE, 0, "3");
		client_free(g);
	}
}

static int set_feature(const char *domid, const char *val)
{
	char body[32];
	int n = sprintf(body, "%s%c%s", domid, 0, val) + 1;

	return request(d0, XS_SET_FEATURE_, 0, body, (size_t)n);
}

static void test_features(void **state)
{
	struct client *g;

	(void)state;
	fake_info[0] = (struct hv_dominfo){ .domid = 3 };
	fake_info[1] = (struct hv_dominfo){ .domid = 4 };
	fake_infos = 2;
	assert_int_equal(xpath(d0, XS_GET_FEATURE_, 0, ""), 0);
	assert_string_equal(d0->rep.body, "15");
	assert_int_equal(xpath(d0, XS_GET_FEATURE_, 0, "9"), -ENOENT);
	assert_int_equal(set_feature("9", "1"), -ENOENT);
	assert_int_equal(set_feature("0", "1"), -EBUSY);
	assert_int_equal(set_feature("3", "16"), -EINVAL);
	assert_int_equal(set_feature("3", "x"), -EINVAL);
	assert_int_equal(xpath(d0, XS_GET_FEATURE_, 0, "3"), 0);
	assert_string_equal(d0->rep.body, "15");
	assert_int_equal(set_feature("3", "0"), 0);
	assert_int_equal(xpath(d0, XS_GET_FEATURE_, 0, "3"), 0);
	assert_string_equal(d0->rep.body, "0");
	g = guest_new(3);
	assert_int_equal(g->ring->server_features, 0);
	assert_int_equal(set_feature("3", "15"), -EBUSY);
	/* the guest may ask for its own only */
	assert_int_equal(xpath(g, XS_GET_FEATURE_, 0, ""), 0);
	assert_string_equal(g->rep.body, "0");
	assert_int_equal(xpath(g, XS_GET_FEATURE_, 0, "3"), -EACCES);
	assert_int_equal(xpath(g, XS_SET_FEATURE_, 0, "3"), -EACCES);
	assert_int_equal(xpath(g, XS_GET_QUOTA_, 0, "nodes"), -EACCES);
}

/* What was not offered does not work; what was offered does. */
static void test_features_are_honest(void **state)
{
	static const char depth[] = "/x\0t\0"
				    "0",
			  plain[] = "/x\0u\0";
	struct client *g, *h;

	(void)state;
	dom_need(3);
	assert_int_equal(set_feature("3", "0"), 0);
	g = guest_new(3);
	h = guest_new(4);
	xwrite(d0, 0, "/g", "");
	xperms(d0, 0, "/g", "n3");
	xwrite(d0, 0, "/h", "");
	xperms(d0, 0, "/h", "n4");

	assert_int_equal(request(g, XS_WATCH, 0, depth, sizeof(depth)), -EINVAL);
	assert_int_equal(request(g, XS_WATCH, 0, plain, sizeof(plain)), 0);
	assert_int_equal(request(h, XS_WATCH, 0, depth, sizeof(depth)), 0);

	/* 0x7ff5 is everybody; without the feature such entries are left out */
	assert_int_equal(xperms(g, 0, "/g", "n3 r32757"), 0);
	assert_int_equal(xread(h, 0, "/g"), -EACCES);
	assert_int_equal(xpath(d0, XS_GET_PERMS, 0, "/g"), 0);
	assert_int_equal(d0->rep.hdr.len, 3);
	assert_int_equal(xperms(h, 0, "/h", "n4 r32757"), 0);
	assert_int_equal(xread(g, 0, "/h"), 0);
	assert_int_equal(xwrite(g, 0, "/h", ""), -EACCES);
	assert_int_equal(xpath(d0, XS_GET_PERMS, 0, "/h"), 0);
	assert_memory_equal(d0->rep.body, "n4\0r32757", 10);
	/* everybody owns nothing, and the first that fits counts */
	assert_int_equal(xperms(d0, 0, "/h", "n32757"), -EINVAL);
	assert_int_equal(xperms(d0, 0, "/h", "n4 n3 b32757"), 0);
	assert_int_equal(xread(g, 0, "/h"), -EACCES);
	assert_int_equal(xperms(d0, 0, "/h", "n4 b32757 n3"), 0);
	assert_int_equal(xwrite(g, 0, "/h", ""), 0);

	/* no reconnection and no error field for 3 */
	g->ring->connection = XENSTORE_RECONNECT;
	assert_int_equal(xread(g, 0, "/g"), 0);
	assert_int_equal(g->ring->connection, XENSTORE_RECONNECT);
	g->ring->req_prod = g->ring->req_cons + 5000;
	run(g);
	assert_true(dom_find(3)->conn->failed);
	assert_int_equal(g->ring->error, XENSTORE_ERROR_NONE);
	h->ring->req_prod = h->ring->req_cons + 5000;
	run(h);
	assert_int_equal(h->ring->error, XENSTORE_ERROR_RINGIDX);
}

static void test_special_watches(void **state)
{
	struct client *g = guest_new(3);

	(void)state;
	assert_int_equal(xwatch(d0, "@introduceDomain", "i"), 0);
	assert_int_equal(xwatch(d0, "@introduceDomain/5", "i5"), 0);
	assert_int_equal(xwatch(d0, "@releaseDomain/5", "r5"), 0);
	assert_int_equal(xwatch(d0, "@anything/else", "never"), 0);
	assert_int_equal(request(d0, XS_WATCH, 0,
				 "@releaseDomain\0d0\0"
				 "0",
				 20),
			 0);
	assert_int_equal(request(d0, XS_WATCH, 0,
				 "@releaseDomain\0d1\0"
				 "1",
				 20),
			 0);
	assert_int_equal(xwatch(d0, "@", "t"), 0);
	assert_int_equal(xwatch(d0, "@releaseDomain/", "t"), -EINVAL);
	assert_int_equal(xwatch(d0, "@release//Domain", "t"), -EINVAL);
	assert_int_equal(xwatch(d0, "@release Domain", "t"), -EINVAL);
	d0->num_events = 0;
	guest_new(5);
	expect_events(d0, "");
	xpath(d0, XS_RELEASE, 0, "5");
	expect_events(d0, "@releaseDomain/5:d1 @releaseDomain/5:r5");
	assert_int_equal(request(d0, XS_INTRODUCE, 0,
				 "5\0"
				 "-1\0"
				 "1",
				 7),
			 0);
	expect_events(d0, "@introduceDomain:i @introduceDomain/5:i5");
	xpath(d0, XS_RELEASE, 0, "5");
	d0->num_events = 0;

	/* to guests only where dom0 says so, also in the form with a domain */
	assert_int_equal(xwatch(g, "@releaseDomain/5", "g5"), 0);
	assert_int_equal(xwatch(g, "@introduceDomain", "gi"), 0);
	expect_events(g, "@releaseDomain/5:g5 @introduceDomain:gi");
	assert_int_equal(xpath(g, XS_GET_PERMS, 0, "@releaseDomain"), -EACCES);
	assert_int_equal(xpath(d0, XS_GET_PERMS, 0, "@nothing"), -ENOENT);
	assert_int_equal(xpath(d0, XS_GET_PERMS, 0, "@releaseDomain/5"), -ENOENT);
	assert_int_equal(xperms(d0, 0, "@nothing", "n0"), -ENOENT);
	guest_new(5);
	xpath(d0, XS_RELEASE, 0, "5");
	expect_events(g, "");
	assert_int_equal(xperms(d0, 0, "@releaseDomain", "n0 r3"), 0);
	guest_new(5);
	xpath(d0, XS_RELEASE, 0, "5");
	expect_events(g, "@releaseDomain/5:g5");
	assert_int_equal(xpath(g, XS_GET_PERMS, 0, "@releaseDomain"), 0);
	assert_memory_equal(g->rep.body, "n0\0r3", 6);
	/* who owns it may change the list, but not the owner */
	assert_int_equal(xperms(g, 0, "@releaseDomain", "n0 b3"), -EACCES);
	assert_int_equal(xperms(d0, 0, "@releaseDomain", "n3"), 0);
	assert_int_equal(xperms(g, 0, "@releaseDomain", "n0"), -EPERM);
	assert_int_equal(xperms(g, 0, "@releaseDomain", "r3"), 0);
	/* the permission dies with the domain */
	xpath(d0, XS_RELEASE, 0, "3");
	client_free(g);
	g = guest_new(3);
	assert_int_equal(xwatch(g, "@releaseDomain", "g"), 0);
	expect_events(g, "@releaseDomain:g");
	guest_new(5);
	xpath(d0, XS_RELEASE, 0, "5");
	expect_events(g, "");
}

/* Rights can be given only to who is there. */
static void test_unknown_domains(void **state)
{
	(void)state;
	fake_info[0] = (struct hv_dominfo){ .domid = 3 };
	fake_infos = 1;
	xwrite(d0, 0, "/a", "");
	assert_int_equal(xperms(d0, 0, "/a", "n9"), -ENOENT);
	assert_int_equal(xperms(d0, 0, "/a", "n0 r9 r3"), 0);
	assert_int_equal(xpath(d0, XS_GET_PERMS, 0, "/a"), 0);
	assert_int_equal(d0->rep.hdr.len, 6);
	assert_memory_equal(d0->rep.body, "n0\0r3", 6);
	assert_null(dom_find(9));
	assert_non_null(dom_find(3));
}

static bool logged(const char *file, const char *what)
{
	char text[4096] = "";
	FILE *f = fopen(file, "r");

	assert_non_null(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = 0;
	fclose(f);
	return strstr(text, what);
}

/* The daemon was away: domains whose port it cannot have again have died, and who watches is told. */
static void test_died_meanwhile(void **state)
{
	char file[] = "/tmp/xenstored-test-XXXXXX";
	int fd = mkstemp(file);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	guest_new(3);
	guest_new(4);
	guest_new(5);
	xwatch(d0, "@releaseDomain", "r");
	expect_events(d0, "@releaseDomain:r");
	log_open(file);
	dom_find(3)->remote_port = dom_find(4)->remote_port = 666;
	fake_info[0] = (struct hv_dominfo){ .domid = 3, .dying = true };
	fake_info[1] = (struct hv_dominfo){ .domid = 4 };
	fake_info[2] = (struct hv_dominfo){ .domid = 5 };
	fake_infos = 3;
	/* that one's mapping died with the daemon */
	hv_unmap_ring(dom_find(5)->conn->ring);
	domains_attach();
	expect_events(d0, "@releaseDomain:r");
	assert_null(dom_find(3)->conn);
	assert_true(logged(file, "domain 3 died meanwhile"));
	/* that is no excuse for one that lives */
	assert_null(dom_find(4)->conn);
	assert_true(logged(file, "domain 4: cannot serve its ring again"));
	assert_non_null(dom_find(5)->conn);
	assert_false(logged(file, "domain 5"));
	log_open("/dev/null");
	unlink(file);
}

static int control(const char *body, size_t len)
{
	return request(d0, XS_CONTROL, 0, body, len);
}
#define CONTROL(body) control(body, sizeof(body))

/* What a saved guest would lose with its connection, and how it gets its watches back. */
static void test_connection(void **state)
{
	struct client *g = guest_new(3);
	const struct xsd_sockmsg half = { .type = XS_READ, .len = 6 };
	char val[900];

	(void)state;
	xwrite(d0, 0, "/local/domain/3", "");
	xperms(d0, 0, "/local/domain/3", "n3");
	assert_int_equal(CONTROL("connection\0"
				 "3"),
			 0);
	assert_string_equal(d0->rep.body, "request 0 unsent 0 watches 0 transactions 0\n");
	assert_int_equal(xwatch(g, "data/a", "one\ntoken"), 0);
	assert_int_equal(xwatch(g, "/local/domain/3/b", ""), 0);
	assert_int_not_equal(xstart(g), 0);
	ring_put(g, &half, sizeof(half));
	ring_put(g, "mis", 3);
	run(g);
	assert_int_equal(CONTROL("connection\0"
				 "3"),
			 0);
	assert_string_equal(d0->rep.body, "request 19 unsent 0 watches 2 transactions 1\n");
	assert_int_equal(CONTROL("watch\0"
				 "3\0"
				 "0"),
			 0);
	assert_string_equal(d0->rep.body, "-1 /local/domain/3/b\n");
	assert_int_equal(CONTROL("watch\0"
				 "3\0"
				 "1"),
			 0);
	assert_string_equal(d0->rep.body, "-1 data/a\none\ntoken");
	assert_int_equal(CONTROL("watch\0"
				 "3\0"
				 "2"),
			 -ENOENT);
	/* the rest of it, and replies that it does not fetch */
	ring_put(g, "ing", 3);
	run(g);
	memset(val, 'v', sizeof(val));
	val[sizeof(val) - 1] = 0;
	assert_int_equal(xwrite(g, 0, "data/v", val), 0);
	g->no_drain = true;
	for (int i = 0; i < 2; i++) {
		const struct xsd_sockmsg whole = { .type = XS_READ, .len = 7 };

		ring_put(g, &whole, sizeof(whole));
		ring_put(g, "data/v", 7);
		ring_event(dom_find(3)->conn);
		run(d0);
	}
	assert_int_equal(CONTROL("connection\0"
				 "3"),
			 0);
	/* two replies of 915 bytes, and a ring of 1024 */
	assert_string_equal(d0->rep.body, "request 0 unsent 806 watches 2 transactions 1\n");
	g->no_drain = false;
	run(g);
}

/* They go on in another domain. */
static void test_watch_add(void **state)
{
	struct client *g;

	(void)state;
	g = guest_new(5);
	xwrite(d0, 0, "/local/domain/5", "");
	xperms(d0, 0, "/local/domain/5", "n5");
	assert_int_equal(CONTROL("watch-add\0"
				 "5\0"
				 "data/a\0"
				 "one\ntoken"),
			 0);
	expect_events(g, "data/a:one\ntoken");
	assert_int_equal(xwrite(d0, 0, "/local/domain/5/data/a/b", "x"), 0);
	expect_events(g, "data/a/b:one\ntoken");
	expect_events(d0, "");
	assert_int_equal(CONTROL("watch\0"
				 "5\0"
				 "0"),
			 0);
	assert_string_equal(d0->rep.body, "-1 data/a\none\ntoken");
	assert_int_equal(CONTROL("watch-add\0"
				 "5\0"
				 "data/a\0"
				 "one\ntoken"),
			 -EEXIST);
	assert_int_equal(CONTROL("watch-add\0"
				 "5\0"
				 "no path\0"
				 "t"),
			 -EINVAL);
	/* within its quota */
	dom_find(5)->limit[Q_WATCHES] = 1;
	assert_int_equal(CONTROL("watch-add\0"
				 "5\0"
				 "data/b\0"
				 "t"),
			 -E2BIG);
	assert_int_equal(request(g, XS_UNWATCH, 0, "data/a\0one\ntoken", 17), 0);
	assert_int_equal(dom_find(5)->watches, 0);
}

/* Who is none, and who may not ask. */
static void test_connection_of_nobody(void **state)
{
	struct client *g = guest_new(3);

	(void)state;
	assert_int_equal(CONTROL("connection\0"
				 "9"),
			 -ENOENT);
	assert_int_equal(CONTROL("connection"), -EINVAL);
	assert_int_equal(CONTROL("connection\0x"), -EINVAL);
	assert_int_equal(CONTROL("watch\0"
				 "9\0"
				 "0"),
			 -ENOENT);
	assert_int_equal(CONTROL("watch\0"
				 "3\0x"),
			 -EINVAL);
	assert_int_equal(CONTROL("watch-add\0"
				 "9\0p\0t"),
			 -ENOENT);
	assert_int_equal(CONTROL("watch-add\0"
				 "3\0p"),
			 -EINVAL);
	assert_int_equal(request(g, XS_CONTROL, 0,
				 "connection\0"
				 "3",
				 13),
			 -EACCES);
	assert_int_equal(CONTROL("help"), 0);
	assert_non_null(strstr(d0->rep.body, "connection      <domid>\n"));
	assert_non_null(strstr(d0->rep.body, "watch-add       <domid> <path> <token>\n"));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	/* clang-format off */
	const struct CMUnitTest tests[] = {
		T(test_domains),
		T(test_target),
		T(test_death),
		T(test_xsa_322_dead_domain),
		T(test_xsa_419_cooperating_guests),
		T(test_xsa_483_quota_of_the_dead),
		T(test_orphans),
		T(test_features),
		T(test_features_are_honest),
		T(test_special_watches),
		T(test_unknown_domains),
		T(test_died_meanwhile),
		T(test_connection),
		T(test_watch_add),
		T(test_connection_of_nobody),
	};
	/* clang-format on */

	return cmocka_run_group_tests(tests, NULL, NULL);
}
