// SPDX-License-Identifier: BSD-2-Clause
/*
 * Runstates: what is counted, and the areas that guests register for it.
 */
#include "host.h"

#define MS 1000000ULL

static void runstates(void **state)
{
	struct vcpu_register_runstate_memory_area reg;
	struct vcpu *v[] = { u1->vcpu[0] }, *me = v[0];
	struct vcpu_runstate_info info, *area;
	u64 base[4];

	only(1, v);
	area = (void *)((char *)guest_page(u1, RAM_GFN) + 128);
	vcpu_runstate_get(me, &info);
	memcpy(base, info.time, sizeof(base));
	assert_int_equal(info.state, RUNSTATE_runnable);
	host.now += 5 * MS;
	assert_ptr_equal(run_hart(0), me);
	reg.addr.p = U(area);
	assert_int_equal(VCPUOP(VCPUOP_register_runstate_memory_area, 0, &reg), 0);
	assert_int_equal(area->state, RUNSTATE_running);
	host.now += 7 * MS;
	assert_int_equal(VCPUOP(VCPUOP_get_runstate_info, 0, &info), 0);
	assert_int_equal(info.time[RUNSTATE_running] - base[RUNSTATE_running], 7 * MS);
	assert_int_equal(info.time[RUNSTATE_runnable] - base[RUNSTATE_runnable], 5 * MS);
	assert_int_equal(SCHED(SCHEDOP_block, NULL), 0);
	run_hart(0);
	assert_int_equal(area->state, RUNSTATE_blocked);
	assert_int_equal(area->state_entry_time, host.now); /* XEN_RUNSTATE_UPDATE is off again */
	assert_int_equal(area->time[RUNSTATE_running] - base[RUNSTATE_running], 7 * MS);
	host.now += 2 * MS;
	vcpu_unblock(me);
	assert_int_equal(area->time[RUNSTATE_blocked] - base[RUNSTATE_blocked], 2 * MS);
	/* Wrong areas, and none. */
	AS(u1);
	reg.addr.p = U(area) + 4;
	assert_int_equal(VCPUOP(VCPUOP_register_runstate_memory_area, 0, &reg), -EINVAL);
	reg.addr.p = U(guest_page(u2, RAM_GFN));
	assert_int_equal(VCPUOP(VCPUOP_register_runstate_memory_area, 0, &reg), -EFAULT);
	reg.addr.p = ~7UL;
	assert_int_equal(VCPUOP(VCPUOP_register_runstate_memory_area, 0, &reg), -EFAULT);
	reg.addr.p = 0;
	assert_int_equal(VCPUOP(VCPUOP_register_runstate_memory_area, 0, &reg), 0);
	assert_null(me->runstate_page);
}

/* At each place across a page's end, its parts in pages that lie anywhere. */
static void runstates_across_pages(void **state)
{
	struct vcpu_register_runstate_memory_area reg;
	struct vcpu *v[] = { u1->vcpu[0] }, *me = v[0];
	struct page *pg[2] = { virt_to_page(guest_page(u1, RAM_GFN)),
			       virt_to_page(guest_page(u1, RAM_GFN + 1)) };
	struct vcpu_runstate_info area, now = { 0 };
	u32 count = pg[0]->count;

	only(1, v);
	assert_ptr_equal(run_hart(0), me);
	assert_ptr_equal(pg[1], pg[0] + 1);
	for (unsigned int before = 8; before < sizeof(area); before += 8) {
		char *at = (char *)page_to_virt(pg[1]) - before;

		reg.addr.p = U(at);
		assert_int_equal(VCPUOP(VCPUOP_register_runstate_memory_area, 0, &reg), 0);
		for (unsigned int i = 0; i < 2; i++)
			assert_int_equal(pg[i]->count, count + 1);
		for (unsigned int n = 0; n < 2; n++) {
			memcpy(&area, at, sizeof(area));
			vcpu_runstate_get(me, &now);
			assert_memory_equal(&area, &now, sizeof(area));
			host.now += 5 * MS;
			assert_int_equal(SCHED(SCHEDOP_block, NULL), 0);
			run_hart(0);
			memcpy(&area, at, sizeof(area));
			vcpu_runstate_get(me, &now);
			assert_int_equal(area.state, RUNSTATE_blocked);
			assert_memory_equal(&area, &now, sizeof(area));
			vcpu_unblock(me);
			run_hart(0);
		}
	}
	/* The second part may be nobody's, not the guest's to write, or beyond the end of all addresses. */
	p2m_unmap(u1, RAM_GFN + 1, BIT(P2M_RAM), NULL);
	assert_int_equal(VCPUOP(VCPUOP_register_runstate_memory_area, 0, &reg), -EFAULT);
	assert_int_equal(p2m_map(u1, RAM_GFN + 1, page_to_mfn(pg[1]), 0, P2M_FOREIGN, P2M_RW), 0);
	assert_int_equal(VCPUOP(VCPUOP_register_runstate_memory_area, 0, &reg), -EINVAL);
	p2m_unmap(u1, RAM_GFN + 1, BIT(P2M_FOREIGN), NULL);
	assert_int_equal(p2m_map(u1, RAM_GFN + 1, page_to_mfn(pg[1]), 0, P2M_RAM, P2M_RWX), 0);
	for (unsigned int i = 0; i < 2; i++)
		assert_int_equal(pg[i]->count, count + 1); /* of the last one that was right */
	reg.addr.p = U(page_to_virt(pg[1])) - 4;
	assert_int_equal(VCPUOP(VCPUOP_register_runstate_memory_area, 0, &reg), -EINVAL);
	reg.addr.p = -8UL;
	assert_int_equal(VCPUOP(VCPUOP_register_runstate_memory_area, 0, &reg), -EFAULT);
	reg.addr.p = U(page_to_virt(pg[1])); /* just not */
	assert_int_equal(VCPUOP(VCPUOP_register_runstate_memory_area, 0, &reg), 0);
	assert_int_equal(pg[0]->count, count);
	assert_int_equal(pg[1]->count, count + 1);
}

/* A hart looks at its clock, another one queues a vCPU after that, and the first one takes it: no time goes back. */
static void taken_with_an_earlier_time(void **state)
{
	struct vcpu *v[] = { u1->vcpu[0] }, *me = v[0];
	struct vcpu_runstate_info before, after;
	u64 woken;

	only(1, v);
	assert_ptr_equal(run_hart(0), me);
	assert_int_equal(SCHED(SCHEDOP_block, NULL), 0);
	run_hart(0);
	host.now += 2 * MS;
	woken = host.now;
	vcpu_unblock(me);
	vcpu_runstate_get(me, &before);
	host.now -= 5;
	assert_ptr_equal(run_hart(0), me);
	vcpu_runstate_get(me, &after);
	assert_int_equal(after.state, RUNSTATE_running);
	assert_int_equal(after.time[RUNSTATE_runnable], before.time[RUNSTATE_runnable]);
	assert_int_equal(after.state_entry_time, woken);
	host.now = woken + 3 * MS;
	vcpu_runstate_get(me, &after);
	assert_int_equal(after.time[RUNSTATE_running] - before.time[RUNSTATE_running], 3 * MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(runstates),
		TEST(taken_with_an_earlier_time),
		TEST(runstates_across_pages),
	};

	return RUN(tests);
}
