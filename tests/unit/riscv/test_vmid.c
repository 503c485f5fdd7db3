// SPDX-License-Identifier: BSD-2-Clause
/*
 * engine/vmid.c: no vCPU ever uses a translation that is another's, or one that a fence should have ended, on harts that keep each
 * translation under its VMID for as long as they may. The harts are this file's, by the H extension's words; beside them what
 * core/sched.c, hext_load(), p2m_flush() and vsbi_rfence() do with the marks. In any order, and in all orders of two harts' steps.
 *
 * The orders are of single steps that all harts see at once: what the fences in vmid.c are for is argued there. QEMU cannot
 * replace this: it has no VMIDs, and forgets all when hgatp changes.
 */
#include <sanitizer/common_interface_defs.h>
#include <ucontext.h>

#include <vmid.h>

#include "host.h"
#include "interleave.h"

#define HARTS 2
#define VCPUS 4 /* two of each domain */
#define DOMAINS 2
#define MAX_NR 8 /* three bits */
#define NONE (~0U)

/* A second stage of a domain's, or a vCPU's own tables: no two ever have the same id. */
struct tables {
	u64 id, version;
	u64 fenced; /* whoever translates later must have this version, at least */
};

struct translation {
	u64 id, version; /* 0: none */
};

static struct {
	struct vmid_hart vmids;
	unsigned int vcpu;
	u32 nr; /* in hgatp */
	struct translation second[MAX_NR], first[MAX_NR];
	bool stale_code; /* what other harts wrote is not what it would fetch */
} hw[HARTS];
static struct {
	struct vmid_vcpu *vmid;
	bool running;
	unsigned int hart;
	struct tables own;
	bool fence_i; /* it was promised one */
} vcpu[VCPUS];
static struct tables domain[DOMAINS];
static unsigned int bits;
static u64 last_id;
static unsigned long loads, kept, rolled;

static struct tables *second_of(unsigned int v)
{
	return &domain[v / 2];
}

static void new_tables(struct tables *t)
{
	*t = (struct tables){ .id = ++last_id, .version = 1, .fenced = 1 };
}

static void new_vcpu(unsigned int v)
{
	vcpu[v].vmid = calloc(1, sizeof(*vcpu[v].vmid));
	new_tables(&vcpu[v].own);
}

static void start_world(unsigned int width)
{
	bits = width;
	memset(hw, 0, sizeof(hw));
	memset(vcpu, 0, sizeof(vcpu));
	for (unsigned int h = 0; h < HARTS; h++) {
		hw[h].vcpu = NONE;
		/* What firmware, or a boot trial, may have left */
		for (unsigned int nr = 0; nr < MAX_NR; nr++) {
			hw[h].second[nr] = (struct translation){ ++last_id, 1 };
			hw[h].first[nr] = (struct translation){ ++last_id, 1 };
		}
	}
	for (unsigned int d = 0; d < DOMAINS; d++)
		new_tables(&domain[d]);
	for (unsigned int v = 0; v < VCPUS; v++)
		new_vcpu(v);
	loads = kept = rolled = 0;
}

static void end_world(void)
{
	for (unsigned int v = 0; v < VCPUS; v++)
		free(vcpu[v].vmid);
}

/* ---- hardware ---- */

static void fill(struct translation *t, const struct tables *from)
{
	if (!t->id)
		*t = (struct translation){ from->id, from->version };
}

/* It may do so whenever hgatp and vsatp are there. */
static void speculate(unsigned int h)
{
	unsigned int v = hw[h].vcpu;

	fill(&hw[h].second[hw[h].nr], second_of(v));
	fill(&hw[h].first[hw[h].nr], &vcpu[v].own);
}

static void is_good(const struct translation *t, const struct tables *of)
{
	assert_int_equal(t->id, of->id);
	assert_true(t->version >= of->fenced);
}

/* The guest runs. */
static void run(unsigned int h)
{
	unsigned int v = hw[h].vcpu;

	speculate(h);
	is_good(&hw[h].second[hw[h].nr], second_of(v));
	is_good(&hw[h].first[hw[h].nr], &vcpu[v].own);
	assert_false(vcpu[v].fence_i && hw[h].stale_code);
}

static void forget_second(unsigned int h, u32 nr)
{
	memset(&hw[h].second[nr], 0, sizeof(hw[h].second[nr]));
}

static void forget_first(unsigned int h, u32 nr)
{
	memset(&hw[h].first[nr], 0, sizeof(hw[h].first[nr]));
}

static void forget_all_second(unsigned int h)
{
	memset(hw[h].second, 0, sizeof(hw[h].second));
}

/* ---- the hypervisor ---- */

static void load(unsigned int h, unsigned int v)
{
	struct vmid_vcpu *vmid = vcpu[v].vmid;
	u32 fences;

	vcpu[v].hart = h;
	host_point();
	vcpu[v].running = true;
	host_point();
	fences = vmid_load(&hw[h].vmids, vmid, bits);
	assert_in_range(vmid->nr, 1, BIT(bits) - 1);
	assert_int_equal(fences & ~15U, 0);
	host_point();
	hw[h].nr = vmid->nr;
	hw[h].vcpu = v;
	speculate(h);
	host_point();
	if (fences & VMID_GVMA_ALL)
		forget_all_second(h);
	else if (fences & VMID_GVMA)
		forget_second(h, vmid->nr);
	speculate(h);
	if (fences & VMID_VVMA)
		forget_first(h, vmid->nr);
	if (fences & VMID_FENCE_I)
		hw[h].stale_code = false;
	host_point();
	loads++;
	kept += !fences;
	rolled += !!(fences & VMID_GVMA_ALL);
}

static void leave(unsigned int h)
{
	unsigned int v = hw[h].vcpu;

	if (v == NONE)
		return;
	hw[h].nr = 0;
	hw[h].vcpu = NONE;
	host_point();
	vcpu[v].running = false;
	host_point();
}

/* Hart h changes a domain's second stage: p2m_flush(). */
static void unmap(unsigned int h, unsigned int d)
{
	u64 version = ++domain[d].version, mask = 0;

	host_point();
	for (unsigned int v = 2 * d; v < 2 * d + 2; v++) {
		if (v != hw[h].vcpu)
			vmid_mark(vcpu[v].vmid, VMID_GVMA);
	}
	for (unsigned int v = 2 * d; v < 2 * d + 2; v++) {
		host_point();
		if (!vcpu[v].running)
			continue;
		host_point();
		mask |= BIT(vcpu[v].hart);
	}
	host_point();
	if (mask == BIT(h)) {
		forget_second(h, hw[h].nr);
	} else {
		for (unsigned int i = 0; i < HARTS; i++) {
			if (mask & BIT(i))
				forget_all_second(i);
			host_point();
		}
	}
	domain[d].fenced = version;
}

/* The vCPU on hart h has changed v's own tables, and sends a fence: vsbi_rfence(). */
static void rfence(unsigned int h, unsigned int v)
{
	u64 version = ++vcpu[v].own.version;

	host_point();
	if (v == hw[h].vcpu) {
		forget_first(h, hw[h].nr);
	} else {
		vmid_mark(vcpu[v].vmid, VMID_VVMA);
		host_point();
		if (vcpu[v].running) {
			u32 nr;

			host_point();
			nr = vcpu[v].vmid->nr;
			host_point();
			forget_first(vcpu[v].hart, nr);
			host_point();
		}
	}
	vcpu[v].own.fenced = version;
}

/* It has written code, and says so to v. Harts that had the old one keep it. */
static void rfence_i(unsigned int h, unsigned int v)
{
	for (unsigned int i = 0; i < HARTS; i++)
		hw[i].stale_code |= i != h;
	for (unsigned int i = 0; i < VCPUS; i++)
		vcpu[i].fence_i = false;
	host_point();
	if (v != hw[h].vcpu) {
		vmid_mark(vcpu[v].vmid, VMID_FENCE_I);
		host_point();
		if (vcpu[v].running) {
			host_point();
			hw[vcpu[v].hart].stale_code = false;
		}
	} else {
		hw[h].stale_code = false;
	}
	vcpu[v].fence_i = true;
}

/* ---- cases ---- */

static void a_number_is_kept(void **state)
{
	start_world(3);
	load(0, 0);
	leave(0);
	load(0, 2);
	leave(0);
	load(0, 1);
	leave(0);
	assert_int_not_equal(vcpu[0].vmid->nr, vcpu[1].vmid->nr);
	assert_int_equal(kept, 0);
	for (unsigned int i = 0; i < 30; i++) {
		load(0, i % 3);
		run(0);
		leave(0);
	}
	assert_int_equal(kept, 30);
	assert_int_equal(rolled, 1);
	end_world();
}

static void fences_are_asked_for_once(void **state)
{
	struct vmid_hart h = { 0 }, other = { 0 };
	struct vmid_vcpu v = { 0 };

	/* The first run: nothing is known of the hart. */
	assert_int_equal(vmid_load(&h, &v, 14), VMID_GVMA_ALL | VMID_VVMA | VMID_FENCE_I);
	assert_int_equal(v.nr, 1);
	assert_int_equal(vmid_load(&h, &v, 14), 0);
	for (u32 what = 1; what < 8; what++) {
		vmid_mark(&v, what & 3);
		vmid_mark(&v, what & 4);
		assert_int_equal(vmid_load(&h, &v, 14), what);
		assert_int_equal(vmid_load(&h, &v, 14), 0);
		assert_int_equal(v.nr, 1);
	}
	/* Another hart gives another number, and so does the first when it comes back. */
	vmid_mark(&v, VMID_GVMA);
	assert_int_equal(vmid_load(&other, &v, 14), VMID_GVMA_ALL | VMID_VVMA | VMID_FENCE_I);
	assert_int_equal(vmid_load(&h, &v, 14), VMID_VVMA | VMID_FENCE_I);
	assert_int_equal(v.nr, 2);
	/* What starts anew has nothing. */
	vmid_forget(&v);
	assert_int_equal(vmid_load(&h, &v, 14), VMID_VVMA | VMID_FENCE_I);
	assert_int_equal(v.nr, 3);
}

/* Each width: all numbers but 0, in their turn, and then a fence of all. */
static void numbers_run_out(void **state)
{
	for (unsigned int width = 1; width <= 14; width++) {
		struct vmid_hart h = { 0 };
		struct vmid_vcpu first = { 0 };
		u32 n = BIT(width) - 1;

		assert_true(vmid_load(&h, &first, width) & VMID_GVMA_ALL);
		for (u32 i = 1; i < 3 * n; i++) {
			struct vmid_vcpu v = { 0 };
			u32 fences = vmid_load(&h, &v, width);

			assert_int_equal(v.nr, i % n + 1);
			assert_int_equal(!!(fences & VMID_GVMA_ALL), i % n == 0);
			assert_true(fences & VMID_VVMA);
		}
		/* The first one's number is of an earlier generation: it takes another one, whatever fell to that since. */
		assert_true(vmid_load(&h, &first, width) & VMID_VVMA);
		assert_int_equal(first.generation, h.generation);
		assert_int_equal(first.hart == &h, true);
	}
}

/* Anything that may happen, in any order: run() looks. */
static void any_order(void **state)
{
	u64 x = 88172645463325252UL;

	for (unsigned int width = 1; width <= 3; width++) {
		start_world(width);
		for (unsigned int i = 0; i < 300000; i++) {
			unsigned int h, v;

			x ^= x << 13, x ^= x >> 7, x ^= x << 17;
			h = x >> 8 & 1;
			v = x >> 16 & 3;
			switch (x & 7) {
			case 0:
			case 1:
			case 2:
				leave(h);
				if (!vcpu[v].running)
					load(h, v);
				break;
			case 3:
				leave(h); /* it idles */
				break;
			case 4:
				unmap(h, v / 2);
				break;
			case 5: /* only vCPUs of its own domain */
				if (hw[h].vcpu != NONE)
					rfence(h, hw[h].vcpu ^ (v & 1));
				break;
			case 6:
				if (hw[h].vcpu != NONE)
					rfence_i(h, hw[h].vcpu ^ (v & 1));
				break;
			default:
				if (x >> 24 & 15 || vcpu[v].running)
					break;
				if (x >> 32 & 1) { /* stopped, and started */
					vmid_forget(vcpu[v].vmid);
					new_tables(&vcpu[v].own);
				} else if (!vcpu[v ^ 1]
						    .running) { /* destroyed, and another created */
					new_tables(second_of(v));
					for (unsigned int w = v & 2; w < (v & 2) + 2; w++) {
						free(vcpu[w].vmid);
						new_vcpu(w);
						vcpu[w].fence_i = false;
					}
				}
			}
			for (h = 0; h < HARTS; h++) {
				if (hw[h].vcpu != NONE)
					run(h);
			}
		}
		assert_true(loads > 50000 && kept > loads / 20 * (width > 1) && rolled > 1000);
		for (unsigned int h = 0; h < HARTS; h++)
			leave(h);
		end_world();
	}
}

/* ---- two harts, all orders with a few interruptions ---- */

#define MAX_STEPS 200
#define SWITCHES 3 /* interruptions in an order */

static struct fibre {
	ucontext_t context;
	char stack[65536] __aligned(64);
	void (*fn)(void);
	bool done;
} fibres[2];
static ucontext_t scheduler;
static const void *main_stack;
static size_t main_size;
static unsigned int running_fibre;
static u8 choices[MAX_STEPS];
static unsigned int nr_choices, prefix, switches;

static void to_scheduler(bool for_good)
{
	void *fake = NULL;

	__sanitizer_start_switch_fiber(for_good ? NULL : &fake, main_stack, main_size);
	swapcontext(&fibres[running_fibre].context, &scheduler);
	__sanitizer_finish_switch_fiber(fake, &main_stack, &main_size);
}

static void point(void)
{
	to_scheduler(false);
}

static void fibre_main(void)
{
	__sanitizer_finish_switch_fiber(NULL, &main_stack, &main_size);
	fibres[running_fibre].fn();
	fibres[running_fibre].done = true;
	to_scheduler(true);
}

/* Who goes on: the one that did, unless it is to be interrupted here. */
static unsigned int choose(void)
{
	if (fibres[0].done || fibres[1].done)
		return fibres[0].done;
	if (switches == SWITCHES)
		return running_fibre;
	assert_true(nr_choices < MAX_STEPS);
	if (nr_choices >= prefix)
		choices[nr_choices] = 0;
	switches += choices[nr_choices];
	return running_fibre ^ choices[nr_choices++];
}

static void set_up(struct fibre *f, void (*fn)(void))
{
	f->fn = fn;
	f->done = false;
	getcontext(&f->context);
	f->context.uc_stack.ss_sp = f->stack;
	f->context.uc_stack.ss_size = sizeof(f->stack);
	f->context.uc_link = NULL;
	makecontext(&f->context, fibre_main, 0);
}

static void one_order(void (*a)(void), void (*b)(void))
{
	set_up(&fibres[0], a);
	set_up(&fibres[1], b);
	nr_choices = switches = running_fibre = 0;
	while (!fibres[0].done || !fibres[1].done) {
		void *fake;

		running_fibre = choose();
		__sanitizer_start_switch_fiber(&fake, fibres[running_fibre].stack,
					       sizeof(fibres[0].stack));
		swapcontext(&scheduler, &fibres[running_fibre].context);
		__sanitizer_finish_switch_fiber(fake, NULL, NULL);
	}
}

static void before_0(void)
{
	start_world(2);
	/* Both harts know all of them, and vCPU 1 is on hart 1. */
	for (unsigned int h = 0; h < HARTS; h++) {
		load(h, 0);
		run(h);
		leave(h);
		load(h, 1);
		run(h);
		leave(h);
	}
	load(0, 0);
	run(0);
}

/* fn(a), fn(b) begin where before_0() ends; all that may come of it. Returns how many orders there are. */
static unsigned long all_orders(void (*a)(void), void (*b)(void))
{
	unsigned long n = 0;

	prefix = 0;
	for (;;) {
		before_0();
		host.point = point;
		one_order(a, b);
		host.point = NULL;
		n++;
		/* All is fenced: whoever runs now has what is new. */
		for (unsigned int h = 0; h < HARTS; h++) {
			leave(h);
			for (unsigned int v = 0; v < VCPUS; v++) {
				load(h, v);
				run(h);
				leave(h);
			}
		}
		end_world();
		while (nr_choices && choices[nr_choices - 1])
			nr_choices--;
		if (!nr_choices)
			return n;
		choices[nr_choices - 1] = 1;
		prefix = nr_choices;
	}
}

static void unmaps(void)
{
	unmap(0, 0);
	run(0);
}

static void unmaps_twice(void)
{
	unmap(0, 0);
	unmap(0, 0);
}

static void fences_1(void)
{
	rfence(0, 1);
	run(0);
}

static void codes_1(void)
{
	rfence_i(0, 1);
}

static void comes(void)
{
	load(1, 1);
	run(1);
	host_point();
	run(1);
}

static void comes_and_goes(void)
{
	load(1, 1);
	run(1);
	leave(1);
	load(1, 1);
	run(1);
}

/* With two bits each of these takes a number of hart 1's. */
static void comes_again_with_another_number(void)
{
	load(1, 1);
	run(1);
	leave(1);
	load(1, 3);
	leave(1);
	load(1, 1);
	run(1);
}

static void comes_from_elsewhere(void)
{
	vmid_forget(vcpu[1].vmid);
	load(1, 1);
	run(1);
	host_point();
	run(1);
}

static void unmaps_there(void)
{
	load(1, 1);
	unmap(1, 0);
	run(1);
}

static void in_all_orders(void **state)
{
	void (*const here[])(void) = { unmaps, unmaps_twice, fences_1, codes_1 };
	void (*const there[])(void) = { comes, comes_and_goes, comes_again_with_another_number,
					comes_from_elsewhere, unmaps_there };

	for (unsigned int i = 0; i < ARRAY_SIZE(here); i++) {
		for (unsigned int j = 0; j < ARRAY_SIZE(there); j++) {
			unsigned long n = all_orders(here[i], there[j]);

			print_message("%u beside %u: %lu orders\n", i, j, n);
			assert_true(n > 30);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_number_is_kept), cmocka_unit_test(fences_are_asked_for_once),
		cmocka_unit_test(numbers_run_out),  cmocka_unit_test(any_order),
		cmocka_unit_test(in_all_orders),
	};

	cmocka_set_test_filter(getenv("CASE"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
