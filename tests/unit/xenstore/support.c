// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the unit tests of xenstored share: a hypervisor made of arrays, and clients made of buffers.
 * A privileged client is a connection over memory; a guest is a real ring that the test fills.
 * Everything is freed at teardown, so that the leak checker sees what the daemon forgot.
 */
#include "support.h"

struct client *d0;
struct hv_dominfo fake_info[16];
int fake_infos;
unsigned int fake_maps, fake_notifies;
static void *pages[64];
static struct client *clients[32];
static unsigned int num_clients;

/* ---- hv.h ---- */

int hv_event_fd(void)
{
	return -1;
}

bool hv_next_event(uint32_t *port)
{
	(void)port;
	return false;
}

int hv_bind(unsigned int domid, uint32_t remote_port)
{
	return remote_port == 666 ? -EINVAL : (int)domid + 10;
}

void hv_unbind(uint32_t port)
{
	(void)port;
}

void hv_notify(uint32_t port)
{
	(void)port;
	fake_notifies++;
}

int hv_bind_dom_exc(void)
{
	return 5;
}

void *hv_map_ring(unsigned int domid)
{
	if (domid >= ARRAY_SIZE(pages) || !pages[domid]) {
		errno = ENXIO;
		return NULL;
	}
	fake_maps++;
	return pages[domid];
}

void hv_unmap_ring(void *page)
{
	(void)page;
	fake_maps--;
}

int hv_dom0_ring(void **page, uint32_t *remote_port)
{
	(void)page;
	(void)remote_port;
	return -ENODEV;
}

int hv_dominfo(unsigned int first, unsigned int max, struct hv_dominfo *out)
{
	unsigned int n = 0;

	if (fake_infos < 0)
		return -ENOSYS;
	for (int i = 0; i < fake_infos && n < max; i++)
		if (fake_info[i].domid >= first)
			out[n++] = fake_info[i];
	return (int)n;
}

/* ---- clients ---- */

static char *mem_in;
static size_t mem_len;

static ssize_t mem_read(struct conn *c, void *buf, size_t len)
{
	if (c != d0->c && !mem_len)
		return 0;
	len = len < mem_len ? len : mem_len;
	memcpy(buf, mem_in, len);
	mem_in += len;
	mem_len -= len;
	return (ssize_t)len;
}

static struct client *client_of(struct conn *c)
{
	for (unsigned int i = 0; i < num_clients; i++)
		if (clients[i]->c == c)
			return clients[i];
	return NULL;
}

static ssize_t mem_write(struct conn *c, const void *buf, size_t len)
{
	struct client *cl = client_of(c);

	assert_true(cl->len + len <= sizeof(cl->buf));
	memcpy(cl->buf + cl->len, buf, len);
	cl->len += len;
	return (ssize_t)len;
}

static void mem_fail(struct conn *c, int why)
{
	(void)why;
	c->dead = true;
	client_of(c)->c = NULL;
}

static void mem_close(struct conn *c)
{
	(void)c;
}

static const struct transport mem_transport = {
	.read = mem_read,
	.write = mem_write,
	.fail = mem_fail,
	.close = mem_close,
};

struct client *priv_new(void)
{
	struct client *cl = xzalloc(sizeof(*cl));

	clients[num_clients++] = cl;
	cl->c = conn_new(0, &mem_transport);
	return cl;
}

void page_set(unsigned int domid, void *page)
{
	pages[domid] = page;
}

struct client *guest_new(unsigned int domid)
{
	struct client *cl = xzalloc(sizeof(*cl));
	bool fresh;

	clients[num_clients++] = cl;
	cl->domid = domid;
	if (!pages[domid])
		pages[domid] = xzalloc(4096);
	cl->ring = pages[domid];
	assert_int_equal(domain_introduce(domid, 1, 1, &fresh), 0);
	return cl;
}

void client_free(struct client *cl)
{
	for (unsigned int i = 0; i < num_clients; i++)
		if (clients[i] == cl)
			clients[i] = clients[--num_clients];
	if (cl->c)
		conn_free(cl->c);
	free(cl);
}

int setup(void **state)
{
	(void)state;
	log_open("/dev/null");
	store_set_gen(0);
	store_init();
	watch_init();
	domains_init();
	fake_infos = -1;
	d0 = priv_new();
	return 0;
}

int teardown(void **state)
{
	struct conn *c;

	(void)state;
	while ((c = TAILQ_FIRST(&conns))) {
		for (unsigned int i = 0; i < num_clients; i++)
			if (clients[i]->c == c)
				clients[i]->c = NULL;
		conn_free(c);
	}
	while (num_clients)
		client_free(clients[0]);
	watch_exit();
	store_exit();
	for (unsigned int i = 0; i < ARRAY_SIZE(pages); i++) {
		free(pages[i]);
		pages[i] = NULL;
	}
	assert_int_equal(fake_maps, 0);
	return 0;
}

static void take_ring(struct client *cl)
{
	struct xenstore_domain_interface *r = cl->ring;

	while (r->rsp_prod - r->rsp_cons && r->rsp_prod - r->rsp_cons <= XENSTORE_RING_SIZE)
		cl->buf[cl->len++] = r->rsp[MASK_XENSTORE_IDX(r->rsp_cons++)];
}

/* Whole messages out of the bytes. */
static void sort_out(struct client *cl)
{
	struct xsd_sockmsg hdr;
	size_t at = 0, n;

	while (cl->len - at >= sizeof(hdr)) {
		const char *body = cl->buf + at + sizeof(hdr);

		memcpy(&hdr, cl->buf + at, sizeof(hdr));
		assert_true(hdr.len <= XENSTORE_PAYLOAD_MAX);
		if (cl->len - at < sizeof(hdr) + hdr.len)
			break;
		at += sizeof(hdr) + hdr.len;
		if (hdr.type != XS_WATCH_EVENT) {
			cl->rep.hdr = hdr;
			memcpy(cl->rep.body, body, hdr.len);
			cl->rep.body[hdr.len] = 0;
			continue;
		}
		n = strlen(body) + 1;
		assert_int_equal(n + strlen(body + n) + 1, hdr.len);
		assert_int_equal(hdr.req_id, 0);
		assert_int_equal(hdr.tx_id, 0);
		if (cl->num_events < ARRAY_SIZE(cl->events)) {
			snprintf(cl->events[cl->num_events][0], 256, "%s", body);
			snprintf(cl->events[cl->num_events][1], 256, "%s", body + n);
		}
		cl->num_events++;
	}
	memmove(cl->buf, cl->buf + at, cl->len - at);
	cl->len -= at;
}

void run(struct client *cl)
{
	struct conn *c = NULL;
	size_t before;

	do {
		before = cl->len;
		if (cl->ring && !cl->no_drain) {
			if (dom_find(cl->domid))
				c = dom_find(cl->domid)->conn;
			if (c)
				ring_event(c);
		}
		while (conn_run_all())
			;
		if (cl->ring && !cl->no_drain)
			take_ring(cl);
	} while (cl->len != before);
	sort_out(cl);
}

void ring_put(struct client *cl, const void *data, size_t len)
{
	const char *p = data;

	while (len) {
		uint32_t used = cl->ring->req_prod - cl->ring->req_cons;

		if (used >= XENSTORE_RING_SIZE) {
			run(cl);
			if (cl->ring->req_prod - cl->ring->req_cons >= XENSTORE_RING_SIZE)
				return; /* the daemon does not take it */
			continue;
		}
		cl->ring->req[MASK_XENSTORE_IDX(cl->ring->req_prod)] = *p++;
		cl->ring->req_prod++;
		len--;
	}
}

int request(struct client *cl, uint32_t type, uint32_t tx, const void *body, size_t len)
{
	static uint32_t id;
	struct xsd_sockmsg hdr = { .type = type, .tx_id = tx, .len = (uint32_t)len };
	char msg[MSG_MAX];

	hdr.req_id = ++id;
	memcpy(msg, &hdr, sizeof(hdr));
	memcpy(msg + sizeof(hdr), body, len);
	memset(&cl->rep.hdr, 0xff, sizeof(cl->rep.hdr));
	if (cl->ring) {
		ring_put(cl, msg, sizeof(hdr) + len);
	} else {
		mem_in = msg;
		mem_len = sizeof(hdr) + len;
		cl->c->can_read = true;
		conn_wake(cl->c);
	}
	run(cl);
	assert_int_equal(cl->rep.hdr.req_id, id);
	assert_int_equal(cl->rep.hdr.tx_id, tx);
	if (cl->rep.hdr.type == type)
		return 0;
	assert_int_equal(cl->rep.hdr.type, XS_ERROR);
	assert_int_equal(strlen(cl->rep.body) + 1, cl->rep.hdr.len);
	for (unsigned int i = 0; i < ARRAY_SIZE(xsd_errors); i++)
		if (!strcmp(xsd_errors[i].errstring, cl->rep.body))
			return -xsd_errors[i].errnum;
	fail_msg("unknown error name %s", cl->rep.body);
	return -1;
}

int xpath(struct client *cl, uint32_t type, uint32_t tx, const char *path)
{
	return request(cl, type, tx, path, strlen(path) + 1);
}

int xread(struct client *cl, uint32_t tx, const char *path)
{
	return xpath(cl, XS_READ, tx, path);
}

int xwrite(struct client *cl, uint32_t tx, const char *path, const char *val)
{
	char body[XENSTORE_PAYLOAD_MAX];
	int n = snprintf(body, sizeof(body), "%s", path) + 1;

	memcpy(body + n, val, strlen(val));
	return request(cl, XS_WRITE, tx, body, (size_t)n + strlen(val));
}

static int two(struct client *cl, uint32_t type, uint32_t tx, const char *a, const char *b)
{
	char body[XENSTORE_PAYLOAD_MAX];
	size_t na = strlen(a) + 1, nb = strlen(b) + 1;

	memcpy(body, a, na);
	memcpy(body + na, b, nb);
	for (size_t i = na; type == XS_SET_PERMS && i < na + nb; i++)
		if (body[i] == ' ')
			body[i] = 0;
	return request(cl, type, tx, body, na + nb);
}

int xperms(struct client *cl, uint32_t tx, const char *path, const char *perms)
{
	return two(cl, XS_SET_PERMS, tx, path, perms);
}

int xwatch(struct client *cl, const char *path, const char *token)
{
	return two(cl, XS_WATCH, 0, path, token);
}

uint32_t xstart(struct client *cl)
{
	assert_int_equal(xpath(cl, XS_TRANSACTION_START, 0, ""), 0);
	return (uint32_t)strtoul(cl->rep.body, NULL, 10);
}

int xend(struct client *cl, uint32_t tx, bool commit)
{
	return xpath(cl, XS_TRANSACTION_END, tx, commit ? "T" : "F");
}

void expect_events(struct client *cl, const char *list)
{
	char all[64 * 520] = "";

	run(cl);
	for (unsigned int i = 0; i < cl->num_events && i < ARRAY_SIZE(cl->events); i++)
		sprintf(all + strlen(all), "%s%s:%s", i ? " " : "", cl->events[i][0],
			cl->events[i][1]);
	cl->num_events = 0;
	assert_string_equal(all, list);
}
