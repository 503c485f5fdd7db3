// SPDX-License-Identifier: BSD-2-Clause
/*
 * The daemon dies at every point at which dying makes a difference, and nobody may notice.
 * A process is a daemon and its guests; what survives it are the journal's file and a page of shared
 * memory: the rings, and the guests with all that they have sent and received. The points are those
 * of JOURNAL_POINT: before and after each commit word, each store of an index, each rename.
 *
 * Guests send fixed requests, in pieces, and write down each byte that comes. At the end each reply
 * must have come once, in order, with the contents that a run without a crash gave; each event once;
 * and the store must be the same. Meanwhile guest 2 becomes domain 4, by a file, in the middle of a request.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "journal.h"
#include "record.h"
#include "state.h"
#include "support.h"

#define GUESTS 3
#define GOT_MAX 65536
#define CRASHED 77
#define MOVER 2 /* becomes the next number after all guests' */
#define BECOMES (GUESTS + 1)

/* What survives the daemon. */
struct guest {
	struct xenstore_domain_interface ring __attribute__((aligned(4096)));
	uint32_t next; /* bytes of its requests that it has put into the ring */
	uint32_t got_len;
	char got[GOT_MAX];
};

static struct world {
	struct guest g[GUESTS];
	uint64_t points; /* until the daemon dies; 0: never */
	uint64_t passed;
	unsigned int introduced;
	enum { STAYS, EXPORTED, RELEASED, PARKED, INTRODUCED, IMPORTED, MOVED } moved;
	bool stay; /* it does not move */
	bool done;
	char dump[65536]; /* the store at the end */
	uint32_t differs;
} * world;

static char dir[64], path[96], moving[96];
static bool stays; /* nobody moves */
static uint64_t step = 1; /* only each such point: for runs that are slow */

/* ---- what the guests say ---- */

static struct script {
	char msg[32768];
	uint32_t len;
	uint32_t piece; /* bytes at a time */
	uint32_t move_at; /* when so many have been said it moves */
} scripts[GUESTS];

static void say(struct script *s, uint32_t type, uint32_t tx, const void *body, uint32_t len)
{
	struct xsd_sockmsg h = { .type = type, .tx_id = tx, .len = len, .req_id = s->len };

	assert_true(s->len + sizeof(h) + len < sizeof(s->msg));
	memcpy(s->msg + s->len, &h, sizeof(h));
	memcpy(s->msg + s->len + sizeof(h), body, len);
	s->len += (uint32_t)sizeof(h) + len;
}

static void say_path(struct script *s, uint32_t type, uint32_t tx, const char *p)
{
	say(s, type, tx, p, (uint32_t)strlen(p) + 1);
}

static void say_write(struct script *s, uint32_t tx, const char *p, const char *fmt, int n)
{
	char body[3000];
	size_t len = strlen(p) + 1;

	memcpy(body, p, len);
	len += (size_t)sprintf(body + len, fmt, n);
	say(s, XS_WRITE, tx, body, (uint32_t)len);
}

static void say_watch(struct script *s, const char *p, const char *token)
{
	char body[256];
	size_t n = strlen(p) + 1;

	memcpy(body, p, n);
	strcpy(body + n, token);
	say(s, XS_WATCH, 0, body, (uint32_t)(n + strlen(token) + 1));
}

/* All on its own nodes: whatever the others do meanwhile, it sees the same. */
static void write_script(struct script *s, int domid)
{
	char p[64], big[2000];

	s->piece = domid == 1 ? 1024 : domid == 2 ? 7 : 61;
	say_watch(s, "w", "token");
	sprintf(p, "/local/domain/%d/w", domid);
	say_watch(s, p, "abs");
	say_write(s, 0, "added/n", "%d", domid);
	/* what comes with the file is told to who watches: once */
	if (domid == MOVER)
		say(s, XS_SET_PERMS, 0, "added/n\0r2", 11);
	else
		say_watch(s, "/local/domain/4/added/n", "came");
	for (int i = 0; i < 6; i++) {
		sprintf(p, "w/%d", i);
		say_write(s, 0, p, "value %d", i);
		say_path(s, XS_READ, 0, p);
		say_path(s, XS_RM, 0, p);
		if (i == 3 && domid == MOVER)
			s->move_at = s->len + 9;
	}
	say_path(s, XS_READ, 0, "missing");
	/* a value that does not fit into the ring, there and back */
	memset(big, 'a' + domid, sizeof(big));
	memcpy(big, "big", 4);
	say(s, XS_WRITE, 0, big, 1800);
	say_path(s, XS_READ, 0, "big");
	/* two transactions, mixed: ids are counted from 1 in each connection */
	say_path(s, XS_TRANSACTION_START, 0, "");
	say_path(s, XS_TRANSACTION_START, 0, "");
	say_write(s, 1, "w/tx", "first %d", domid);
	say_write(s, 1, "count", "%d", 1);
	say_path(s, XS_READ, 2, "count");
	say_write(s, 2, "count", "%d", 2);
	say_path(s, XS_DIRECTORY, 1, "w");
	say_path(s, XS_TRANSACTION_END, 1, "T");
	say_path(s, XS_READ, 2, "w/tx");
	say_path(s, XS_TRANSACTION_END, 2, "T"); /* EAGAIN */
	say_path(s, XS_READ, 0, "count");
	say_path(s, XS_TRANSACTION_START, 0, "");
	say_path(s, XS_RM, 3, "w");
	say_path(s, XS_TRANSACTION_END, 3, "F");
	say_path(s, XS_DIRECTORY, 0, "w");
	say(s, XS_UNWATCH, 0, "w\0token", 8);
	say_write(s, 0, "w/last", "%d", domid);
	say(s, 99, 0, "?", 1); /* ENOSYS */
	say_path(s, XS_GET_DOMAIN_PATH, 0, "0");
}

/* ---- the daemon's life ---- */

static void point(void)
{
	world->passed++;
	if (world->points && !--world->points)
		_exit(CRASHED);
}

static void daemon_start(void)
{
	bool found;

	log_open(getenv("CRASH_LOG") ? getenv("CRASH_LOG") : "/dev/null");
	store_set_gen(0);
	store_init();
	watch_init();
	domains_init();
	fake_infos = -1;
	clock_update();
	journal_point = point;
	found = recover(path);
	record_path(path);
	if (found)
		record_checkpoint();
	if (found)
		recover_attach(false);
	record_checkpoint();
	d0 = priv_new();
}

/* As the toolstack does it; it asks again when it got no answer. */
static void introduce(void)
{
	char home[64], perms[64];
	int n;

	for (unsigned int i = world->introduced + 1; i <= GUESTS; i++) {
		sprintf(home, "/local/domain/%u", i);
		n = sprintf(perms, "%u", i) + 1;
		n += sprintf(perms + n, "1") + 1;
		n += sprintf(perms + n, "5") + 1;
		assert_int_equal(request(d0, XS_INTRODUCE, 0, perms, (size_t)n), 0);
		sprintf(perms, "n%u", i);
		assert_int_equal(xpath(d0, XS_MKDIR, 0, home), 0);
		assert_int_equal(xperms(d0, 0, home, perms), 0);
		/* As of a guest that was saved */
		n = sprintf(perms, "watch-add") + 1;
		n += sprintf(perms + n, "%u", i) + 1;
		n += sprintf(perms + n, "added") + 1;
		n += sprintf(perms + n, "by xl") + 1;
		n = request(d0, XS_CONTROL, 0, perms, (size_t)n);
		assert_true(!n || n == -EEXIST);
		world->introduced = i;
	}
}

static int control(const char *what, unsigned int domid, const char *arg)
{
	char body[256];
	size_t n = (size_t)sprintf(body, "%s%c%u%c%s", what, 0, domid, 0, arg) + (arg[0] != 0);

	return request(d0, XS_CONTROL, 0, body, n);
}

/* As the toolstack does it; it does again what got no answer. */
static void move_on(void)
{
	char args[64];
	int err = 0, n;

	if (world->stay || world->g[MOVER - 1].next < scripts[MOVER - 1].move_at)
		return;
	for (; world->moved != MOVED; world->moved++) {
		switch (world->moved) {
		case STAYS:
			assert_int_equal(control("export-domain", MOVER, moving), 0);
			assert_string_equal(d0->rep.body, "OK");
			break;
		case EXPORTED:
			n = sprintf(args, "%u", MOVER) + 1;
			err = request(d0, XS_RELEASE, 0, args, (size_t)n);
			assert_true(!err || err == -ENOENT);
			break;
		case RELEASED:
			assert_int_equal(control("park-domain", BECOMES, ""), 0);
			break;
		case PARKED:
			n = sprintf(args, "%u%c1%c5", BECOMES, 0, 0) + 1;
			assert_int_equal(request(d0, XS_INTRODUCE, 0, args, (size_t)n), 0);
			break;
		case INTRODUCED:
			assert_int_equal(control("import-domain", BECOMES, moving), 0);
			if (strcmp(d0->rep.body, "OK"))
				assert_non_null(
					strstr(d0->rep.body, "has been given a connection"));
			break;
		default:
			n = sprintf(args, "%u", BECOMES) + 1;
			assert_int_equal(request(d0, XS_RESUME, 0, args, (size_t)n), 0);
			break;
		}
	}
}

static struct conn *conn_of(int i)
{
	struct dom *d = dom_find(i == MOVER - 1 && world->moved ? BECOMES : (unsigned int)i + 1);

	return d ? d->conn : NULL;
}

/* A guest takes what has come, and sends a piece. True: it has something left to do. */
static bool guest_step(int i)
{
	const struct script *s = &scripts[i];
	struct guest *g = &world->g[i];
	uint32_t n = s->len - g->next < s->piece ? s->len - g->next : s->piece;
	uint32_t used = g->ring.req_prod - g->ring.req_cons;
	bool moved = n || g->ring.rsp_prod != g->ring.rsp_cons;

	while (g->ring.rsp_cons != g->ring.rsp_prod) {
		assert_true(g->got_len < GOT_MAX);
		g->got[g->got_len++] = g->ring.rsp[MASK_XENSTORE_IDX(g->ring.rsp_cons)];
		g->ring.rsp_cons++;
	}
	while (n-- && used++ < XENSTORE_RING_SIZE) {
		g->ring.req[MASK_XENSTORE_IDX(g->ring.req_prod)] = s->msg[g->next++];
		g->ring.req_prod++;
	}
	return moved;
}

struct lines {
	char **v;
	size_t num;
};

static bool dump_one(const struct node *n, const char *p, void *ctx)
{
	struct lines *l = ctx;

	l->v = xrealloc(l->v, (l->num + 1) * sizeof(*l->v));
	l->v[l->num++] = xasprintf("%s = %.*s, owner %u, rights %u, of %u", p,
				   n->value ? (int)n->value->len : 0,
				   n->value ? n->value->data : "", n->perms->p[0].domid,
				   n->perms->p[0].rights, n->perms->num);
	return true;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The store and the accounts, sorted: who was served first does not count. */
static void dump(void)
{
	struct lines l = { 0 };
	char *to = world->dump;

	tree_paths(store_root, "/", dump_one, &l);
	for (const struct dom *d = dom_first(); d; d = d->next) {
		if (!d->domid)
			continue;
		l.v = xrealloc(l.v, (l.num + 1) * sizeof(*l.v));
		l.v[l.num++] = xasprintf("%u: %ld nodes %ld watches %ld tx %ld bytes", d->domid,
					 d->nodes, d->watches, d->txs, d->mem);
	}
	qsort(l.v, l.num, sizeof(*l.v), by_text);
	for (size_t i = 0; i < l.num; i++)
		to += sprintf(to, "%s\n", l.v[i]);
}

static void live(void)
{
	unsigned int rounds = 0;
	bool more = true;

	for (int i = 0; i < GUESTS; i++)
		page_set((unsigned int)i + 1, &world->g[i].ring);
	page_set(BECOMES, &world->g[MOVER - 1].ring);
	daemon_start();
	introduce();
	while (more) {
		assert_true(rounds++ < 100000);
		more = false;
		move_on();
		for (int i = 0; i < GUESTS; i++) {
			more |= guest_step(i);
			ring_event(conn_of(i));
		}
		while (conn_run_all())
			;
		for (int i = 0; i < GUESTS; i++)
			more |= world->g[i].ring.rsp_cons != world->g[i].ring.rsp_prod;
	}
	assert_int_equal(xpath(d0, XS_CONTROL, 0, "check"), 0);
	assert_string_equal(d0->rep.body, "OK");
	dump();
	world->differs = replay_differs;
	world->done = true;
}

/* Lives until the work is done, each ending after every `points` points. Returns how many. */
static int lives(uint64_t first, uint64_t later)
{
	uint64_t points = first;
	int n = 0, status;
	pid_t pid;

	memset(world, 0, sizeof(*world));
	world->stay = stays;
	journal_drop(path);
	while (!world->done) {
		world->points = points;
		pid = fork();
		assert_true(pid >= 0);
		if (!pid) {
			live();
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (!WIFEXITED(status) || (WEXITSTATUS(status) && WEXITSTATUS(status) != CRASHED))
			fail_msg("the daemon died by itself (status %x) in life %d, first crash "
				 "after %llu points",
				 status, n, (unsigned long long)first);
		n++;
		points = later;
		assert_true(n < 10000);
	}
	assert_int_equal(world->differs, 0);
	return n;
}

/* ---- what came ---- */

struct story {
	char *replies;
	size_t replies_len;
	char *events;
	size_t events_len;
};

/* Replies and events of one guest, each in their order. */
static struct story story(const struct guest *g)
{
	struct story s = { 0 };
	struct xsd_sockmsg h;
	FILE *r = open_memstream(&s.replies, &s.replies_len);
	FILE *e = open_memstream(&s.events, &s.events_len);

	for (uint32_t at = 0; at < g->got_len; at += (uint32_t)sizeof(h) + h.len) {
		assert_true(at + sizeof(h) <= g->got_len);
		memcpy(&h, g->got + at, sizeof(h));
		assert_true(at + sizeof(h) + h.len <= g->got_len);
		fwrite(g->got + at, 1, sizeof(h) + h.len, h.type == XS_WATCH_EVENT ? e : r);
	}
	fclose(r);
	fclose(e);
	return s;
}

static struct story truth[GUESTS];
static char *true_dump;

static void compare(const char *what, unsigned long long a, unsigned long long b)
{
	for (int i = 0; i < GUESTS; i++) {
		struct story s = story(&world->g[i]);

		if (s.replies_len != truth[i].replies_len ||
		    memcmp(s.replies, truth[i].replies, s.replies_len))
			fail_msg("%s %llu %llu: guest %d got other replies", what, a, b, i + 1);
		if (s.events_len != truth[i].events_len ||
		    memcmp(s.events, truth[i].events, s.events_len))
			fail_msg("%s %llu %llu: guest %d got other events", what, a, b, i + 1);
		free(s.replies);
		free(s.events);
	}
	if (strcmp(world->dump, true_dump))
		fail_msg("%s %llu %llu: another store:\n%s\ninstead of\n%s", what, a, b,
			 world->dump, true_dump);
}

static int prepare(void **state)
{
	(void)state;
	/* tmpfs where there is one, as in service */
	snprintf(dir, sizeof(dir), "%s/pavise-crash-XXXXXX",
		 access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	assert_non_null(mkdtemp(dir));
	sprintf(path, "%s/journal", dir);
	sprintf(moving, "%s/guest", dir);
	world = mmap(NULL, sizeof(*world), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	assert_ptr_not_equal(world, MAP_FAILED);
	for (int i = 0; i < GUESTS; i++)
		write_script(&scripts[i], i + 1);
	assert_int_equal(lives(0, 0), 1);
	for (int i = 0; i < GUESTS; i++)
		truth[i] = story(&world->g[i]);
	true_dump = xstrdup(world->dump);
	return 0;
}

static int tidy(void **state)
{
	char name[128];

	(void)state;
	unlink(moving);
	unlink(path);
	sprintf(name, "%s.old", path);
	unlink(name);
	sprintf(name, "%s.new", path);
	unlink(name);
	rmdir(dir);
	for (int i = 0; i < GUESTS; i++) {
		free(truth[i].replies);
		free(truth[i].events);
	}
	free(true_dump);
	return 0;
}

/* The workload is what it should be: as many replies as requests, and events. */
static void test_the_truth(void **state)
{
	struct xsd_sockmsg h;

	(void)state;
	for (int i = 0; i < GUESTS; i++) {
		const char *r = truth[i].replies, *s = scripts[i].msg;
		struct xsd_sockmsg q;
		unsigned int n = 0;

		while (r < truth[i].replies + truth[i].replies_len) {
			memcpy(&h, r, sizeof(h));
			memcpy(&q, s, sizeof(q));
			assert_int_equal(h.req_id, q.req_id);
			r += sizeof(h) + h.len;
			s += sizeof(q) + q.len;
			n++;
		}
		assert_ptr_equal(s, scripts[i].msg + scripts[i].len);
		assert_true(n > 35);
		assert_true(truth[i].events_len > 20 * sizeof(h));
	}
	assert_non_null(strstr(true_dump, "/local/domain/3/count = 1"));
}

/* It has not noticed that it moved. */
static void test_moved(void **state)
{
	struct story s;

	(void)state;
	stays = true;
	lives(0, 0);
	stays = false;
	s = story(&world->g[MOVER - 1]);
	assert_null(strstr(world->dump, "/local/domain/4"));
	assert_non_null(strstr(true_dump, "/local/domain/4/count = 1"));
	assert_null(strstr(true_dump, "/local/domain/2"));
	assert_int_equal(s.replies_len, truth[MOVER - 1].replies_len);
	assert_memory_equal(s.replies, truth[MOVER - 1].replies, s.replies_len);
	assert_int_equal(s.events_len, truth[MOVER - 1].events_len);
	assert_memory_equal(s.events, truth[MOVER - 1].events, s.events_len);
	free(s.replies);
	free(s.events);
}

/* Once, at each point in turn. */
static void test_each_point(void **state)
{
	uint64_t total = 0;

	(void)state;
	lives(0, 0);
	total = world->passed;
	assert_true(total > 500);
	for (uint64_t p = 1; p <= total; p += step) {
		lives(p, 0);
		compare("crash after", p, 0);
	}
	print_message("%llu points\n", (unsigned long long)total);
}

/* Again and again: also while recovering, and while what was recovered is finished. */
static void test_many_crashes(void **state)
{
	static const uint64_t every[] = { 24, 25, 26, 29, 40, 71, 150 };
	int n = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(every); i++)
		for (uint64_t first = 1; first < 6; first++) {
			n += lives(first * step, every[i]);
			compare("crash every", every[i], first);
		}
	print_message("%d lives\n", n);
}

/* ---- damage ---- */

static char *image;
static size_t image_len;

static void read_image(void)
{
	int fd = open(path, O_RDONLY);

	image_len = (size_t)lseek(fd, 0, SEEK_END);
	image = xrealloc(image, image_len);
	assert_int_equal(pread(fd, image, image_len, 0), image_len);
	close(fd);
}

static void write_image(size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_int_equal(write(fd, image, len), len);
	close(fd);
}

enum { NOTHING = 100, LOST, FINE };

/* Recovers in a process of its own; what it found. The state that results must be whole. */
static int try_recover(void)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		bool found;

		log_open("/dev/null");
		store_set_gen(0);
		store_init();
		watch_init();
		fake_infos = -1;
		for (int i = 0; i < GUESTS; i++)
			page_set((unsigned int)i + 1, &world->g[i].ring);
		page_set(BECOMES, &world->g[MOVER - 1].ring);
		found = recover(path);
		recover_attach(false);
		d0 = priv_new();
		assert_int_equal(xpath(d0, XS_CONTROL, 0, "check"), 0);
		if (strcmp(d0->rep.body, "OK"))
			_exit(1);
		_exit(!found ? NOTHING : recover_lost || replay_differs ? LOST : FINE);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status) < NOTHING)
		fail_msg("recovery died or left nonsense: status %x", status);
	return WEXITSTATUS(status);
}

/* Where the last whole record of that file ends. */
static size_t used(void)
{
	struct {
		uint32_t len, type;
		uint64_t seq, sum;
	} r;
	size_t at = ((uint64_t *)image)[6];

	for (;;) {
		memcpy(&r, image + at, sizeof(r));
		if (!r.sum)
			return at;
		at += sizeof(r) + ((r.len + 7u) & ~7u);
	}
}

static void make_image(void)
{
	char old[128];

	/* dies in the middle of work, so that the log has some of everything: before the move, which begins a new one */
	memset(world, 0, sizeof(*world));
	journal_drop(path);
	world->points = 600;
	if (!fork()) {
		live();
		_exit(0);
	}
	wait(NULL);
	assert_false(world->done);
	sprintf(old, "%s.old", path);
	unlink(old);
	read_image();
	assert_int_equal(try_recover(), FINE);
}

/* The file ends early: at every byte. */
static void test_cut(void **state)
{
	size_t end;

	(void)state;
	make_image();
	end = used();
	for (size_t n = 0; n < end; n += step * (n < 1000 || n > end - 1000 ? 1 : 61)) {
		write_image(n);
		assert_int_not_equal(try_recover(), FINE);
	}
	print_message("%zu bytes\n", end);
}

/* A bit is wrong: it is always noticed. */
static void test_flipped(void **state)
{
	size_t end;
	int fd;

	(void)state;
	make_image();
	end = used();
	write_image(image_len);
	fd = open(path, O_WRONLY);
	for (size_t n = 0; n < end; n += 9 * step) {
		char bad = (char)(image[n] ^ 1 << n % 8);

		assert_int_equal(pwrite(fd, &bad, 1, (off_t)n), 1);
		if (try_recover() == FINE)
			fail_msg("bit %zu of byte %zu: not noticed", n % 8, n);
		assert_int_equal(pwrite(fd, image + n, 1, (off_t)n), 1);
	}
	close(fd);
	print_message("%zu bytes\n", end);
}

/* The state is damaged: the file before it and its log lead to the same. */
static void test_old_file(void **state)
{
	int fd;

	(void)state;
	lives(0, 0);
	lives(300, 0); /* the second life took up the first one's and made new files */
	read_image();
	fd = open(path, O_WRONLY);
	image[200] ^= 4;
	assert_int_equal(pwrite(fd, image + 200, 1, 200), 1);
	close(fd);
	assert_int_equal(try_recover(), FINE);
}

/* A journal of another boot says nothing about the domains of this one. */
static void test_other_boot(void **state)
{
	uint64_t *head, sum;

	(void)state;
	make_image();
	head = (uint64_t *)image;
	head[1] ^= 1;
	sum = journal_sum(head[3], head, 64);
	head[8] = sum;
	write_image(image_len);
	assert_int_equal(try_recover(), NOTHING);
}

int main(int argc, char **argv)
{
	/* clang-format off */
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_truth),
		cmocka_unit_test(test_moved),
		cmocka_unit_test(test_each_point),
		cmocka_unit_test(test_many_crashes),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_flipped),
		cmocka_unit_test(test_old_file),
		cmocka_unit_test(test_other_boot),
	};
	/* clang-format on */

	if (argc > 1)
		step = strtoull(argv[1], NULL, 10);
	return cmocka_run_group_tests(tests, prepare, tidy);
}
