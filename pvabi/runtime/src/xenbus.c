/* SPDX-License-Identifier: MIT */
/*
 * The xenstore client: bytes over the ring, replies told from watch events, events kept in a list.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pv/xenbus.h>

#include "internal.h"

#define LOOK_AGAIN_NS 100000000ULL

struct event {
	struct event *next;
	size_t n;
	char text[]; /* path, NUL, token, NUL, and one more NUL */
};

static struct xenstore_domain_interface *ring;
static evtchn_port_t port;
static pv_spinlock_t lock; /* all below, and the ring */
static uint32_t last_id;
/* In a request's id: nobody waits for the reply. */
#define UNWANTED 0x80000000u
static bool listening; /* the port has a function; it is masked while somebody is in here */
static bool unseen; /* the port had an event, and nobody has looked at the ring since */
/* 0 or 1: a watch event of control.c's has been in the ring, and nobody has taken the wish. Changed without the lock, too. */
static unsigned int wish_seen;
static struct event *first_event, **last_event = &first_event;

static bool connect_ring(void)
{
	uint64_t gfn, evtchn;

	if (ring)
		return true;
	if (pv_hvm_param(HVM_PARAM_STORE_PFN, &gfn) ||
	    pv_hvm_param(HVM_PARAM_STORE_EVTCHN, &evtchn) || !gfn || !evtchn)
		return false;
	port = evtchn;
	ring = (struct xenstore_domain_interface *)(uintptr_t)(gfn << PV_PAGE_SHIFT);
	return true;
}

static bool is_wish(const char *text, size_t n)
{
	size_t path = strnlen(text, n) + 1;

	return path < n && n - path == sizeof(CONTROL_TOKEN) &&
	       !memcmp(text + path, CONTROL_TOKEN, sizeof(CONTROL_TOKEN));
}

/* Copies n bytes from where `at` points into the ring. */
static void peek(XENSTORE_RING_IDX at, void *to, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((char *)to)[i] = ring->rsp[MASK_XENSTORE_IDX(at + i)];
}

/* Goes through the messages that are whole, and takes away those in front that are for nobody else. */
static bool scan(void)
{
	XENSTORE_RING_IDX cons = ring->rsp_cons, at = cons,
			  prod = __atomic_load_n(&ring->rsp_prod, __ATOMIC_ACQUIRE);
	char text[sizeof(CONTROL_TOKEN) + 64];
	struct xsd_sockmsg head;
	bool found = false;

	if (prod - cons > XENSTORE_RING_SIZE)
		return false;
	while (prod - at >= sizeof(head)) {
		bool wish;

		peek(at, &head, sizeof(head));
		if (head.len > prod - at - sizeof(head))
			break;
		wish = head.type == XS_WATCH_EVENT && head.len <= sizeof(text);
		if (wish) {
			peek(at + sizeof(head), text, head.len);
			wish = is_wish(text, head.len);
		}
		found |= wish;
		if (at == cons && (wish || (head.type != XS_WATCH_EVENT && head.req_id & UNWANTED)))
			cons += sizeof(head) + head.len;
		at += sizeof(head) + head.len;
	}
	if (cons != ring->rsp_cons) {
		__atomic_store_n(&ring->rsp_cons, cons, __ATOMIC_RELEASE);
		pv_event_send(port);
	}
	return found;
}

/* lock held. What there is to see in the ring is seen to. */
static void look(void)
{
	if (!__atomic_load_n(&unseen, __ATOMIC_SEQ_CST))
		return;
	/* First, so that what comes meanwhile is not lost. */
	__atomic_store_n(&unseen, false, __ATOMIC_SEQ_CST);
	if (scan())
		__atomic_store_n(&wish_seen, 1, __ATOMIC_SEQ_CST);
}

/*
 * Sleeps until the port is pending or the time has come, or for a while: an upcall of another vCPU that was under way when
 * the port was masked may have taken the event. Clear, look at the ring, then wait.
 */
static void wait(uint64_t until)
{
	uint64_t look = pv_time_ns() + LOOK_AGAIN_NS;
	struct sched_poll poll = { .nr_ports = 1, .timeout = until < look ? until : look };

	set_xen_guest_handle(poll.ports, &port);
	HYPERVISOR_sched_op(SCHEDOP_poll, &poll);
}

/*
 * The ring is for one at a time. The port is masked meanwhile: an upcall would take the event that wait() sleeps for. What it
 * then has to look at is seen to when the ring is free again.
 */
static void enter(void)
{
	/* As within malloc: on this vCPU no wish is answered meanwhile, for the answer needs the ring. */
	pv_cpu()->locks++;
	pv_spin_lock(&lock);
	if (listening)
		pv_event_mask(port);
}

static void leave(void)
{
	bool unmask = listening;

	/* Its event was cleared when the ring was looked at. */
	if (unmask && __atomic_load_n(&ring->rsp_prod, __ATOMIC_RELAXED) != ring->rsp_cons)
		xenbus_event_came();
	/* Now: while others wait for the ring control_look() never finds it free. */
	look();
	/* Before the next one masks it. */
	if (unmask)
		pv_event_unmask(port);
	pv_spin_unlock(&lock);
	if (!--pv_cpu()->locks && xenbus_wish_pending())
		control_look();
}

static int send(const void *data, size_t n)
{
	const char *p = data;

	while (n) {
		XENSTORE_RING_IDX prod = ring->req_prod, cons;
		unsigned int room, chunk;

		pv_event_clear(port);
		cons = __atomic_load_n(&ring->req_cons, __ATOMIC_ACQUIRE);
		if (prod - cons > XENSTORE_RING_SIZE)
			return -EIO;
		room = XENSTORE_RING_SIZE - (prod - cons);
		if (!room) {
			wait(~0UL);
			continue;
		}
		chunk = XENSTORE_RING_SIZE - MASK_XENSTORE_IDX(prod);
		chunk = chunk < room ? chunk : room;
		chunk = chunk < n ? chunk : n;
		memcpy(ring->req + MASK_XENSTORE_IDX(prod), p, chunk);
		__atomic_store_n(&ring->req_prod, prod + chunk, __ATOMIC_RELEASE);
		pv_event_send(port);
		p += chunk;
		n -= chunk;
	}
	return 0;
}

/* -ETIMEDOUT only before the first byte: a message that has begun comes whole. */
static int receive(void *data, size_t n, uint64_t until)
{
	char *p = data;
	size_t wanted = n;

	while (n) {
		XENSTORE_RING_IDX cons = ring->rsp_cons, prod;
		unsigned int there, chunk;

		pv_event_clear(port);
		prod = __atomic_load_n(&ring->rsp_prod, __ATOMIC_ACQUIRE);
		there = prod - cons;
		if (there > XENSTORE_RING_SIZE)
			return -EIO;
		if (!there) {
			if (n == wanted && until != ~0UL && pv_time_ns() >= until)
				return -ETIMEDOUT;
			wait(n == wanted ? until : ~0UL);
			continue;
		}
		chunk = XENSTORE_RING_SIZE - MASK_XENSTORE_IDX(cons);
		chunk = chunk < there ? chunk : there;
		chunk = chunk < n ? chunk : n;
		memcpy(p, ring->rsp + MASK_XENSTORE_IDX(cons), chunk);
		__atomic_store_n(&ring->rsp_cons, cons + chunk, __ATOMIC_RELEASE);
		pv_event_send(port);
		p += chunk;
		n -= chunk;
	}
	return 0;
}

/* Whether a watch event's payload, path and token, has control.c's token. */
/* One message; a watch event goes to the list, one of control.c's nowhere. (*body)->text is the payload. */
static int receive_message(struct xsd_sockmsg *head, struct event **body, uint64_t until)
{
	int rc = receive(head, sizeof(*head), until);

	if (rc)
		return rc;
	if (head->len > XENSTORE_PAYLOAD_MAX)
		return -EIO;
	*body = malloc(sizeof(**body) + head->len + 2);
	if (!*body)
		pv_panic("xenbus: no memory for %u bytes", (unsigned int)head->len);
	rc = receive((*body)->text, head->len, ~0UL);
	(*body)->next = NULL;
	(*body)->n = head->len;
	memset((*body)->text + head->len, 0, 2);
	if (!rc && head->type == XS_WATCH_EVENT && is_wish((*body)->text, head->len)) {
		free(*body);
		*body = NULL;
		__atomic_store_n(&wish_seen, 1, __ATOMIC_SEQ_CST);
	} else if (!rc && head->type == XS_WATCH_EVENT) {
		*last_event = *body;
		last_event = &(*body)->next;
	}
	return rc;
}

/* "ENOENT" and the like; what we do not know is EIO. */
static int error_number(const char *name)
{
	for (size_t i = 0; i < sizeof(xsd_errors) / sizeof(xsd_errors[0]); i++) {
		if (!strcmp(name, xsd_errors[i].errstring))
			return xsd_errors[i].errnum;
	}
	return EIO;
}

static long transact(const struct xsd_sockmsg *request, const void *payload, char **reply)
{
	struct xsd_sockmsg head;
	struct event *body;
	long rc;

	rc = send(request, sizeof(*request));
	if (!rc)
		rc = send(payload, request->len);
	while (!rc) {
		rc = receive_message(&head, &body, ~0UL);
		if (rc || head.type == XS_WATCH_EVENT)
			continue;
		if (head.req_id & UNWANTED) {
			free(body);
			continue;
		}
		if (head.req_id != request->req_id) {
			free(body);
			return -EIO;
		}
		rc = head.type == XS_ERROR ? -error_number(body->text) : (long)head.len;
		if (rc >= 0 && reply) {
			memmove(body, body->text, head.len + 1);
			*reply = (char *)body;
		} else {
			free(body);
		}
		return rc;
	}
	return rc;
}

long pv_xenbus_request(uint32_t type, uint32_t tx, const void *payload, size_t n, char **reply)
{
	struct xsd_sockmsg request = { .type = type, .tx_id = tx, .len = n };
	long rc = -EIO;

	if (n > XENSTORE_PAYLOAD_MAX)
		return -E2BIG;
	enter();
	if (connect_ring()) {
		request.req_id = ++last_id & ~UNWANTED;
		rc = transact(&request, payload, reply);
	}
	leave();
	return rc;
}

/* ---- what control.c needs: it is called from an upcall, where there is no malloc ---- */

bool xenbus_busy(void)
{
	return pv_spin_is_locked(&lock);
}

void xenbus_event_came(void)
{
	__atomic_store_n(&unseen, true, __ATOMIC_SEQ_CST);
}

bool xenbus_wish_pending(void)
{
	return __atomic_load_n(&unseen, __ATOMIC_SEQ_CST) ||
	       __atomic_load_n(&wish_seen, __ATOMIC_SEQ_CST);
}

int xenbus_take_wish(void)
{
	bool looked = pv_spin_trylock(&lock);

	if (looked) {
		look();
		pv_spin_unlock(&lock);
	}
	if (__atomic_exchange_n(&wish_seen, 0, __ATOMIC_SEQ_CST))
		return 1;
	return looked ? 0 : -EBUSY;
}

bool xenbus_listen(pv_event_fn fn)
{
	if (!connect_ring() || pv_event_handler(port, fn, NULL))
		return false;
	listening = true;
	return true;
}

void xenbus_post(uint32_t type, const char *path, const char *more, size_t n_more)
{
	struct {
		struct xsd_sockmsg head;
		char payload[64];
	} m = { .head = { .type = type, .req_id = UNWANTED } };
	size_t n_path = strlen(path) + 1;

	if (n_path + n_more > sizeof(m.payload))
		return;
	memcpy(m.payload, path, n_path);
	memcpy(m.payload + n_path, more, n_more);
	m.head.len = n_path + n_more;
	enter();
	send(&m, sizeof(m.head) + m.head.len);
	leave();
}

/* ---- requests ---- */

/* Payload of a path and up to one more piece, the path with its NUL. */
static int simple(uint32_t type, uint32_t tx, const char *path, const char *more, size_t n_more)
{
	size_t n = strlen(path) + 1;
	char *payload = malloc(n + n_more);
	long rc;

	if (!payload)
		return -ENOMEM;
	memcpy(payload, path, n);
	if (n_more)
		memcpy(payload + n, more, n_more);
	rc = pv_xenbus_request(type, tx, payload, n + n_more, NULL);
	free(payload);
	return rc < 0 ? rc : 0;
}

char *pv_xenbus_read(uint32_t tx, const char *path)
{
	char *reply;
	long rc = pv_xenbus_request(XS_READ, tx, path, strlen(path) + 1, &reply);

	if (rc >= 0)
		return reply;
	errno = -rc;
	return NULL;
}

long pv_xenbus_read_number(uint32_t tx, const char *path)
{
	char *text = pv_xenbus_read(tx, path), *end;
	long n;

	if (!text)
		return -errno;
	n = strtol(text, &end, 10);
	if (end == text || *end)
		n = -EINVAL;
	free(text);
	return n;
}

int pv_xenbus_write(uint32_t tx, const char *path, const char *value)
{
	return simple(XS_WRITE, tx, path, value, strlen(value));
}

int pv_xenbus_printf(uint32_t tx, const char *path, const char *fmt, ...)
{
	va_list args;
	char *text;
	int rc;

	va_start(args, fmt);
	rc = vasprintf(&text, fmt, args);
	va_end(args);
	if (rc < 0)
		return -ENOMEM;
	rc = pv_xenbus_write(tx, path, text);
	free(text);
	return rc;
}

int pv_xenbus_mkdir(uint32_t tx, const char *path)
{
	return simple(XS_MKDIR, tx, path, NULL, 0);
}

int pv_xenbus_rm(uint32_t tx, const char *path)
{
	return simple(XS_RM, tx, path, NULL, 0);
}

int pv_xenbus_set_perms(uint32_t tx, const char *path, const char *const *perms, unsigned int n)
{
	char text[256];
	size_t used = 0;

	for (unsigned int i = 0; i < n; i++) {
		size_t len = strlen(perms[i]) + 1;

		if (len > sizeof(text) - used)
			return -E2BIG;
		memcpy(text + used, perms[i], len);
		used += len;
	}
	return simple(XS_SET_PERMS, tx, path, text, used);
}

uint32_t pv_xenbus_start(void)
{
	char *reply;
	long rc = pv_xenbus_request(XS_TRANSACTION_START, 0, "", 1, &reply);
	uint32_t tx;

	if (rc < 0) {
		errno = -rc;
		return 0;
	}
	tx = strtoul(reply, NULL, 10);
	free(reply);
	return tx;
}

int pv_xenbus_end(uint32_t tx, bool commit)
{
	long rc = pv_xenbus_request(XS_TRANSACTION_END, tx, commit ? "T" : "F", 2, NULL);

	return rc < 0 ? rc : 0;
}

/* ---- watches ---- */

int pv_xenbus_watch(const char *path, const char *token)
{
	return simple(XS_WATCH, 0, path, token, strlen(token) + 1);
}

int pv_xenbus_unwatch(const char *path, const char *token)
{
	return simple(XS_UNWATCH, 0, path, token, strlen(token) + 1);
}

bool pv_xenbus_event(char **path, char **token, uint64_t timeout_ns)
{
	uint64_t until = timeout_ns == ~0UL ? ~0UL : pv_time_ns() + timeout_ns;
	struct xsd_sockmsg head;
	struct event *e;
	int rc = 0;

	enter();
	if (!connect_ring())
		rc = -EIO;
	while (!rc && !first_event) {
		rc = receive_message(&head, &e, until);
		if (!rc && head.type != XS_WATCH_EVENT)
			free(e); /* nobody asked, or waits */
	}
	e = first_event;
	if (e) {
		first_event = e->next;
		if (!first_event)
			last_event = &first_event;
	}
	leave();
	if (!e)
		return false;
	memmove(e, e->text, e->n + 2);
	*path = (char *)e;
	*token = *path + strlen(*path) + 1;
	return true;
}

char *pv_xenbus_await(const char *path, uint64_t timeout_ns)
{
	uint64_t until = pv_time_ns() + timeout_ns;
	char *value;

	for (;;) {
		value = pv_xenbus_read(0, path);
		if (value && *value)
			return value;
		free(value);
		if (pv_time_ns() >= until)
			return NULL;
		pv_sleep_ns(10000000);
	}
}
