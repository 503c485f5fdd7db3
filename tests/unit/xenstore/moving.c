// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the tests of guests that move share: from one host to another by a file.
 * It owns the test's directory.
 */
#include <fcntl.h>
#include <unistd.h>
#include "moving.h"

char dir[64], file[96];

void let_run(struct client *g)
{
	ring_event(dom_find(g->domid)->conn);
	while (conn_run_all())
		;
}

int control(const char *what, unsigned int domid, const char *arg)
{
	char body[512];
	size_t n = (size_t)sprintf(body, "%s", what) + 1;

	n += (size_t)sprintf(body + n, "%u", domid) + 1;
	if (arg)
		n += (size_t)sprintf(body + n, "%s", arg) + 1;
	return request(d0, XS_CONTROL, 0, body, n);
}

/* The reply without the file's name in front. */
const char *said(void)
{
	const char *s = d0->rep.body;

	return strncmp(s, file, strlen(file)) ? s : s + strlen(file) + 2;
}

void resume(unsigned int domid)
{
	char id[8];

	sprintf(id, "%u", domid);
	assert_int_equal(xpath(d0, XS_RESUME, 0, id), 0);
}

/* A guest with a home that is its own. */
struct client *born(unsigned int domid)
{
	struct client *g = guest_new(domid);
	char home[32], perms[16];

	sprintf(home, "/local/domain/%u", domid);
	sprintf(perms, "n%u", domid);
	xwrite(d0, 0, home, "");
	xperms(d0, 0, home, perms);
	return g;
}

void freeze(struct client *g, struct memory *m)
{
	expect_said("export-domain", g->domid, "OK");
	m->page = *g->ring;
	m->cl = xmalloc(sizeof(*m->cl));
	*m->cl = *g;
}

/* Another host, which knows nobody. */
void other_host(void)
{
	teardown(NULL);
	setup(NULL);
	xwrite(d0, 0, "/local/domain", "");
	/* the counts of hosts differ */
	store_set_gen(store_gen() + 1000);
}

/* The domain that the guest is to become, with its memory, introduced and parked. */
struct client *landing(unsigned int domid, const struct memory *m)
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

struct client *arrive(unsigned int domid, struct memory *m)
{
	struct client *g = landing(domid, m);

	expect_said("import-domain", domid, "OK");
	assert_memory_equal(g->ring, &m->page, sizeof(m->page));
	free(m->cl);
	return g;
}

/* To another host and on. */
struct client *move(struct client *g, unsigned int domid)
{
	struct memory m;

	freeze(g, &m);
	other_host();
	g = arrive(domid, &m);
	resume(domid);
	return g;
}

char *slurp(size_t *len)
{
	int fd = open(file, O_RDONLY);
	char *p;

	*len = (size_t)lseek(fd, 0, SEEK_END);
	p = xmalloc(*len);
	assert_int_equal(pread(fd, p, *len, 0), *len);
	close(fd);
	return p;
}

void spill(const char *p, size_t len)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_int_equal(write(fd, p, len), len);
	close(fd);
}

/* Exports and imports into the same number elsewhere until resume: the file must come out again. */
struct client *expect_same(struct client *g)
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

/* Everything that a file can have, in few bytes. */
struct client *rich(unsigned int domid)
{
	struct client *g = born(domid);

	guest_new(7);
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

int move_start(void **state)
{
	snprintf(dir, sizeof(dir), "%s/pavise-move-XXXXXX",
		 access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	assert_non_null(mkdtemp(dir));
	sprintf(file, "%s/guest", dir);
	return setup(state);
}

int move_stop(void **state)
{
	char name[128];

	/* nothing but the file is left */
	unlink(file);
	sprintf(name, "%s.new", file);
	assert_int_equal(access(name, F_OK), -1);
	assert_int_equal(rmdir(dir), 0);
	return teardown(state);
}
