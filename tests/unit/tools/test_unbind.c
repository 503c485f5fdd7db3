// SPDX-License-Identifier: BSD-2-Clause
/*
 * What is read out of a guest's state and rings before its drivers are gone for good (unbind.c): ports that are bound still, and requests
 * that have no answer. States that are cut or lie must neither be read past their ends nor hide a port.
 */
#define _GNU_SOURCE
#include "test.h"

#include "unbind.c"

/* --- the world that it asks -------------------------------------------------------------------- */

bool xl_store_lost;
volatile int xl_interrupted;
const struct device_kind device_vbd = { .name = "vbd", .key = "disk" };
const struct device_kind device_vif = { .name = "vif", .key = "vif", .net = true };

static struct {
	const char *path;
	long value;
} nodes[16];
static struct xl nobody;
static uint32_t ring[1024];
static uint64_t ring_gfn;
static int memory_rc;

long st_read_long(struct xl *xl, const char *path, ...)
{
	char text[200];
	unsigned int i;
	va_list ap;

	(void)xl;
	va_start(ap, path);
	vsnprintf(text, sizeof(text), path, ap);
	va_end(ap);
	for (i = 0; i < pv_container_size(nodes) && nodes[i].path; i++)
		if (!strcmp(nodes[i].path, text))
			return nodes[i].value;
	return -1;
}

int pv_memory_read(struct pv *pv, uint32_t domid, const uint64_t *gfns, unsigned int n, void *pages,
		   uint8_t *kind)
{
	(void)pv;
	assert_int_equal(domid, 7);
	assert_int_equal(n, 1);
	kind[0] = *gfns == ring_gfn ? PV_PAGE_DATA : PV_PAGE_HOLE;
	memcpy(pages, ring, sizeof(ring));
	return memory_rc;
}

char *xl_sprintf(const char *fmt, ...)
{
	char *text;
	va_list ap;

	va_start(ap, fmt);
	assert_true(vasprintf(&text, fmt, ap) >= 0);
	va_end(ap);
	return text;
}

/* Nothing of the following is asked for here. */
char *st_read(struct xl *xl, xs_transaction_t t, const char *path, ...)
{
	(void)xl;
	(void)t;
	(void)path;
	return NULL;
}
char **st_list(struct xl *xl, unsigned int *n, const char *path, ...)
{
	(void)xl;
	(void)path;
	*n = 0;
	return NULL;
}
int xl_error(const char *fmt, ...)
{
	(void)fmt;
	return -1;
}
int64_t xl_now(void)
{
	return 0;
}
void xl_sleep_since(int64_t begin)
{
	(void)begin;
}
pid_t xl_wait_child(pid_t pid, int ms, int *status)
{
	(void)ms;
	return waitpid(pid, status, 0);
}
uint32_t backend_domid(const char *be)
{
	(void)be;
	return 0;
}
int hotplug_run(const struct device *d, const char *script, const char *verb)
{
	(void)d;
	(void)script;
	(void)verb;
	return -1;
}
bool drain_idle(struct xl *xl, uint32_t domid, int64_t end)
{
	(void)xl;
	(void)domid;
	(void)end;
	return true;
}
int pv_domain_get_state(struct pv *pv, uint32_t domid, void *buf, uint32_t *size)
{
	(void)pv;
	(void)domid;
	(void)buf;
	(void)size;
	return -ENOSYS;
}
bool saved_domain(const void *state, uint32_t size, struct hvm_riscv_domain *d)
{
	if (size < sizeof(struct hvm_save_descriptor) + sizeof(*d))
		return false;
	memcpy(d, (const char *)state + sizeof(struct hvm_save_descriptor), sizeof(*d));
	return d->magic == HVM_DOMAIN_MAGIC;
}

/* --- states ------------------------------------------------------------------------------------ */

static uint8_t bytes[32768];
static struct state s = { bytes, 0 };

static void add(uint16_t type, uint16_t instance, const void *body, uint32_t length)
{
	struct hvm_save_descriptor d = { type, instance, length };

	assert_true(s.size + sizeof(d) + length <= sizeof(bytes));
	memcpy(bytes + s.size, &d, sizeof(d));
	if (length)
		memcpy(bytes + s.size + sizeof(d), body, length);
	s.size += sizeof(d) + length;
}

static int begin(void **state)
{
	const struct hvm_riscv_domain d = { .magic = HVM_DOMAIN_MAGIC,
					    .store_evtchn = 1,
					    .console_evtchn = 2 };

	(void)state;
	s.size = 0;
	add(HVM_SAVE_DOMAIN, 0, &d, sizeof(d));
	memset(nodes, 0, sizeof(nodes));
	memset(ring, 0, sizeof(ring));
	memory_rc = 0;
	return 0;
}

static void test_ports(void **state)
{
	const struct hvm_riscv_port ports[] = {
		{ .port = 1, .state = EVTCHNSTAT_interdomain },
		{ .port = 2, .state = EVTCHNSTAT_interdomain },
		{ .port = 3, .state = EVTCHNSTAT_unbound },
		{ .port = 4, .state = EVTCHNSTAT_virq },
		{ .port = 5, .state = EVTCHNSTAT_interdomain },
	}, more[] = { { .port = 200, .state = EVTCHNSTAT_interdomain } };
	uint32_t whole;

	(void)state;
	assert_int_equal(bound_ports(&s), 0);
	add(HVM_SAVE_PORTS, 0, ports, sizeof(ports));
	assert_int_equal(bound_ports(&s), 1);
	add(HVM_SAVE_PORTS, 1, more, sizeof(more));
	assert_int_equal(bound_ports(&s), 2);
	whole = s.size;
	/* END, and what is behind it is nothing */
	add(0, 0, NULL, 0);
	add(HVM_SAVE_PORTS, 2, more, sizeof(more));
	assert_int_equal(bound_ports(&s), 2);
	/* Cut anywhere: a record that is not whole is none. */
	for (s.size = 0; s.size < whole; s.size++) {
		uint8_t *copy = malloc(s.size + !s.size);
		struct state cut = { copy, s.size };

		memcpy(copy, bytes, s.size);
		assert_true(bound_ports(&cut) <= 1);
		free(copy);
	}
}

static void test_grants(void **state)
{
	struct grant_entry_v1 frame[HVM_GRANTS_SIZE / sizeof(struct grant_entry_v1)];
	uint64_t gfn = 0;

	(void)state;
	memset(frame, 0, sizeof(frame));
	assert_false(granted_frame(&s, 8, &gfn));
	frame[8] = (struct grant_entry_v1){ GTF_permit_access | 0x18, 0, 0x80123 };
	add(HVM_SAVE_GRANTS, 0, frame, sizeof(frame));
	frame[8].frame = 0x80456;
	frame[9] = (struct grant_entry_v1){ GTF_accept_transfer, 0, 0x80789 };
	add(HVM_SAVE_GRANTS, 1, frame, sizeof(frame));
	assert_true(granted_frame(&s, 8, &gfn));
	assert_int_equal(gfn, 0x80123);
	assert_true(granted_frame(&s, 512 + 8, &gfn));
	assert_int_equal(gfn, 0x80456);
	assert_false(granted_frame(&s, 512 + 9, &gfn));
	assert_false(granted_frame(&s, 10, &gfn));
	assert_false(granted_frame(&s, 1024 + 8, &gfn));
	/* Instance 0 again, to whoever counts in 16 bits */
	assert_false(granted_frame(&s, 65536ul * 512 + 8, &gfn));
}

static void test_rings(void **state)
{
	struct grant_entry_v1 frame[HVM_GRANTS_SIZE / sizeof(struct grant_entry_v1)];
	struct device d = { .kind = &device_vbd, .domid = 7, .devid = 51712 };

	(void)state;
	memset(frame, 0, sizeof(frame));
	frame[20] = (struct grant_entry_v1){ GTF_permit_access, 0, 0x80020 };
	add(HVM_SAVE_GRANTS, 0, frame, sizeof(frame));
	ring_gfn = 0x80020;
	/* No ring: nothing can wait. */
	assert_false(disk_waits(&nobody, &d, &s));
	nodes[0].path = "/local/domain/7/device/vbd/51712/ring-ref";
	nodes[0].value = 20;
	assert_false(disk_waits(&nobody, &d, &s));
	ring[0] = 5; /* req_prod */
	assert_true(disk_waits(&nobody, &d, &s));
	ring[2] = 4; /* rsp_prod */
	assert_true(disk_waits(&nobody, &d, &s));
	ring[2] = 5;
	ring[1] = ring[3] = 77;
	assert_false(disk_waits(&nobody, &d, &s));
	/* It goes round. */
	ring[0] = 1;
	ring[2] = UINT32_MAX;
	assert_true(disk_waits(&nobody, &d, &s));
	/* A ring of several pages has its indices in the first one. */
	nodes[0].path = "/local/domain/7/device/vbd/51712/ring-ref0";
	assert_true(disk_waits(&nobody, &d, &s));
	/* A grant that is none, or of a page that is not there; a number that is none */
	nodes[0].value = 21;
	assert_false(disk_waits(&nobody, &d, &s));
	nodes[0].value = 1l << 40;
	assert_false(disk_waits(&nobody, &d, &s));
	nodes[0].value = 20;
	memory_rc = -EFAULT;
	assert_false(disk_waits(&nobody, &d, &s));
	memory_rc = 0;
	ring_gfn = 0;
	assert_false(disk_waits(&nobody, &d, &s));
	ring_gfn = 0x80020;
	/* With several queues each has a ring of its own, and the one above is none of them. */
	nodes[1].path = "/local/domain/7/device/vbd/51712/multi-queue-num-queues";
	nodes[1].value = 2;
	assert_false(disk_waits(&nobody, &d, &s));
	nodes[2].path = "/local/domain/7/device/vbd/51712/queue-1/ring-ref";
	nodes[2].value = 20;
	assert_true(disk_waits(&nobody, &d, &s));
	nodes[1].value = QUEUES_MAX + 1;
	assert_false(disk_waits(&nobody, &d, &s));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_ports, begin),
		cmocka_unit_test_setup(test_grants, begin),
		cmocka_unit_test_setup(test_rings, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
