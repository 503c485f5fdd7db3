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
	assert_int_equal(xpath(g, XS_GET_PERMS, 0, "data"), 0);
	assert_memory_equal(g->rep.body, "n5\0r0", 6);
	assert_int_equal(g->rep.hdr.len, 6);
	assert_int_equal(xpath(g, XS_GET_PERMS, 0, "data/b"), 0);
	assert_string_equal(g->rep.body, "r5");
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
	xwatch(g, "data", "mine");
	expect_events(g, "data:mine");
	freeze(g, &m);
	other_host();
	other = priv_new();
	xwrite(d0, 0, "/local/domain/5/data/a", "stale");
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

static int start(void **state)
{
	snprintf(dir, sizeof(dir), "/tmp/pavise-move-XXXXXX");
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

int main(void)
{
	/* clang-format off */
	const struct CMUnitTest tests[] = {
		T(test_idle),
		T(test_put_over),
		T(test_parked),
		T(test_refused),
	};
	/* clang-format on */

	return cmocka_run_group_tests(tests, NULL, NULL);
}
