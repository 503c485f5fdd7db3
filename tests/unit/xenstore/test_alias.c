// SPDX-License-Identifier: BSD-2-Clause
/*
 * A guest that has another number than it was born with, and does not notice.
 * The model is a few lines about strings, and the same request by the real name.
 */
#include "moving.h"

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
	/* with its first number again it still is found by the others, and serves who has one of them */
	g = move(g, 3);
	xwrite(d0, 0, "/local/domain/0/backend/vif/3/0/state", "4");
	xperms(d0, 0, "/local/domain/0/backend/vif/3/0/state", "n0 r3");
	assert_int_equal(xread(g, 0, "/local/domain/0/backend/vif/28/0/state"), 0);
	assert_int_equal(xwrite(g, 0, "backend/vif/28/0", "x"), 0);
	assert_int_equal(xread(g, 0, "/local/domain/3/backend/vif/28/0"), 0);
	assert_int_equal(xread(g, 0, "/local/domain/3/backend/vif/3/0"), -ENOENT);
	/* what the daemon says by itself of the one who has such a number now is of that one */
	xwrite(d0, 0, "/local/domain/0/backend/vif/28/1", "x");
	xperms(d0, 0, "/local/domain/0/backend/vif/28/1", "n0 r3");
	assert_int_equal(xwatch(g, "/local/domain/0/backend/vif", "above"), 0);
	expect_events(g, "/local/domain/0/backend/vif:above");
	xwrite(d0, 0, "/local/domain/0/backend/vif/28/1", "y");
	expect_events(g, "/local/domain/0/backend/vif/28/1:above");
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

/* The daemon dies and comes again, from a checkpoint. */
static struct client *restarted(struct client *g)
{
	char journal[96];
	struct memory m = { .page = *g->ring };
	struct client *cl = xmalloc(sizeof(*cl));
	unsigned int domid = g->domid;
	void *page = xzalloc(4096);

	*cl = *g;
	memcpy(page, &m.page, sizeof(m.page));
	sprintf(journal, "%s/journal", dir);
	record_path(journal);
	assert_int_equal(record_checkpoint(), 0);
	journal_close();
	record_path(NULL);
	teardown(NULL);
	setup(NULL);
	page_set(domid, page);
	assert_true(recover(journal));
	recover_attach(true);
	journal_drop(journal);
	g = guest_new(domid);
	memcpy(g->buf, cl->buf, cl->len);
	g->len = cl->len;
	free(cl);
	return g;
}

/* What a guest that moved has is the daemon's to keep. */
static void test_restart(void **state)
{
	struct client *g = born(3);
	char gen[32];

	(void)state;
	xwrite(g, 0, "data/a", "one");
	xwatch(g, "/local/domain/3/data", "home");
	g = move(g, 10);
	xwatch(g, "/local/domain/0/backend/vif/10/0", "vif");
	g = move(g, 11);
	assert_int_equal(request(g, XS_DIRECTORY_PART, 0, "data\0000", 7), 0);
	strcpy(gen, g->rep.body);
	run(g);
	g->num_events = 0;
	g = restarted(g);
	assert_int_equal(dom_find(11)->was, 3);
	assert_int_equal(dom_find(11)->num_between, 1);
	assert_int_equal(request(g, XS_DIRECTORY_PART, 0, "data\0000", 7), 0);
	assert_string_equal(g->rep.body, gen);
	xwrite(d0, 0, "/local/domain/0/backend/vif/11/0", "x");
	xperms(d0, 0, "/local/domain/0/backend/vif/11/0", "n0 r11");
	xwrite(d0, 0, "/local/domain/11/data/a", "x");
	expect_events(g, "/local/domain/0/backend/vif/10/0:vif /local/domain/3/data/a:home");
	assert_int_equal(xread(g, 0, "/local/domain/0/backend/vif/10/0"), 0);
	assert_int_equal(request(g, XS_UNWATCH, 0, "/local/domain/3/data\0home", 26), 0);
	/* parked, and in it once only */
	expect_said("export-domain", 11, "OK");
	g->ring->req_prod++;
	g = restarted(g);
	assert_true(dom_find(11)->parked);
	run(g);
	assert_int_equal(g->ring->req_prod - g->ring->req_cons, 1);
	expect_said("import-domain", 11, "the domain has been given a connection before");
	assert_int_equal(dom_find(11)->watches, 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, move_start, move_stop)

int main(int argc, char **argv)
{
	/* clang-format off */
	const struct CMUnitTest tests[] = {
		T(test_alias_model),
		T(test_alias_own_nodes),
		T(test_alias_permissions),
		T(test_alias_events),
		T(test_alias_chain),
		T(test_alias_between),
		T(test_alias_widens_nothing),
		T(test_restart),
	};
	/* clang-format on */

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
