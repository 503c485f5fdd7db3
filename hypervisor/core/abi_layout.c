/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The layout of each structure of the ABI, as docs/abi.md tells it, asserted against Xen's headers.
 * hypervisor/scripts/gen-layout makes the table there from this file, and compares; there is no code here.
 */
#include <types.h>
/* Before xen-abi.h: with errno's names known it would define a table of them. */
#include <xen/io/xs_wire.h>

#include <xen-abi.h>

#include <xen/io/console.h>

#define SIZE(type, size) _Static_assert(sizeof(struct type) == (size), #type)
#define AT(type, member, offset) \
	_Static_assert(offsetof(struct type, member) == (offset), #type "." #member)

SIZE(shared_info, 1088);
AT(shared_info, vcpu_info, 0);
AT(shared_info, evtchn_pending, 48);
AT(shared_info, evtchn_mask, 560);
AT(shared_info, wc_version, 1072);
AT(shared_info, wc_sec, 1076);
AT(shared_info, wc_nsec, 1080);
AT(shared_info, wc_sec_hi, 1084);

SIZE(vcpu_info, 48);
AT(vcpu_info, evtchn_upcall_pending, 0);
AT(vcpu_info, evtchn_pending_sel, 8);

SIZE(evtchn_alloc_unbound, 8);
AT(evtchn_alloc_unbound, dom, 0);
AT(evtchn_alloc_unbound, remote_dom, 2);
AT(evtchn_alloc_unbound, port, 4);

SIZE(evtchn_bind_interdomain, 12);
AT(evtchn_bind_interdomain, remote_dom, 0);
AT(evtchn_bind_interdomain, remote_port, 4);
AT(evtchn_bind_interdomain, local_port, 8);

SIZE(evtchn_bind_virq, 12);
AT(evtchn_bind_virq, virq, 0);
AT(evtchn_bind_virq, vcpu, 4);
AT(evtchn_bind_virq, port, 8);

SIZE(evtchn_bind_pirq, 12);
AT(evtchn_bind_pirq, pirq, 0);
AT(evtchn_bind_pirq, flags, 4);
AT(evtchn_bind_pirq, port, 8);

SIZE(evtchn_bind_ipi, 8);
AT(evtchn_bind_ipi, vcpu, 0);
AT(evtchn_bind_ipi, port, 4);

SIZE(evtchn_bind_vcpu, 8);
AT(evtchn_bind_vcpu, port, 0);
AT(evtchn_bind_vcpu, vcpu, 4);

SIZE(evtchn_close, 4);
AT(evtchn_close, port, 0);

SIZE(evtchn_send, 4);
AT(evtchn_send, port, 0);

SIZE(evtchn_unmask, 4);
AT(evtchn_unmask, port, 0);

SIZE(evtchn_status, 24);
AT(evtchn_status, dom, 0);
AT(evtchn_status, port, 4);
AT(evtchn_status, status, 8);
AT(evtchn_status, vcpu, 12);
AT(evtchn_status, u, 16);

SIZE(evtchn_reset, 2);
AT(evtchn_reset, dom, 0);

SIZE(evtchn_init_control, 24);
AT(evtchn_init_control, control_gfn, 0);
AT(evtchn_init_control, offset, 8);
AT(evtchn_init_control, vcpu, 12);
AT(evtchn_init_control, link_bits, 16);

SIZE(evtchn_expand_array, 8);
AT(evtchn_expand_array, array_gfn, 0);

SIZE(evtchn_set_priority, 8);
AT(evtchn_set_priority, port, 0);
AT(evtchn_set_priority, priority, 4);

SIZE(evtchn_fifo_control_block, 72);
AT(evtchn_fifo_control_block, ready, 0);
AT(evtchn_fifo_control_block, head, 8);

SIZE(grant_entry_v1, 8);
AT(grant_entry_v1, flags, 0);
AT(grant_entry_v1, domid, 2);
AT(grant_entry_v1, frame, 4);

SIZE(gnttab_map_grant_ref, 32);
AT(gnttab_map_grant_ref, host_addr, 0);
AT(gnttab_map_grant_ref, flags, 8);
AT(gnttab_map_grant_ref, ref, 12);
AT(gnttab_map_grant_ref, dom, 16);
AT(gnttab_map_grant_ref, status, 18);
AT(gnttab_map_grant_ref, handle, 20);
AT(gnttab_map_grant_ref, dev_bus_addr, 24);

SIZE(gnttab_unmap_grant_ref, 24);
AT(gnttab_unmap_grant_ref, host_addr, 0);
AT(gnttab_unmap_grant_ref, dev_bus_addr, 8);
AT(gnttab_unmap_grant_ref, handle, 16);
AT(gnttab_unmap_grant_ref, status, 20);

SIZE(gnttab_setup_table, 24);
AT(gnttab_setup_table, dom, 0);
AT(gnttab_setup_table, nr_frames, 4);
AT(gnttab_setup_table, status, 8);
AT(gnttab_setup_table, frame_list, 16);

SIZE(gnttab_query_size, 16);
AT(gnttab_query_size, dom, 0);
AT(gnttab_query_size, nr_frames, 4);
AT(gnttab_query_size, max_nr_frames, 8);
AT(gnttab_query_size, status, 12);

SIZE(gnttab_copy, 40);
AT(gnttab_copy, source.u, 0);
AT(gnttab_copy, source.domid, 8);
AT(gnttab_copy, source.offset, 10);
AT(gnttab_copy, dest.u, 16);
AT(gnttab_copy, dest.domid, 24);
AT(gnttab_copy, dest.offset, 26);
AT(gnttab_copy, len, 32);
AT(gnttab_copy, flags, 34);
AT(gnttab_copy, status, 36);

SIZE(gnttab_set_version, 4);
AT(gnttab_set_version, version, 0);

SIZE(gnttab_get_version, 8);
AT(gnttab_get_version, dom, 0);
AT(gnttab_get_version, version, 4);

SIZE(gnttab_cache_flush, 16);
AT(gnttab_cache_flush, a, 0);
AT(gnttab_cache_flush, offset, 8);
AT(gnttab_cache_flush, length, 10);
AT(gnttab_cache_flush, op, 12);

SIZE(xen_memory_reservation, 32);
AT(xen_memory_reservation, extent_start, 0);
AT(xen_memory_reservation, nr_extents, 8);
AT(xen_memory_reservation, extent_order, 16);
AT(xen_memory_reservation, mem_flags, 20);
AT(xen_memory_reservation, domid, 24);

SIZE(xen_add_to_physmap, 24);
AT(xen_add_to_physmap, domid, 0);
AT(xen_add_to_physmap, size, 2);
AT(xen_add_to_physmap, space, 4);
AT(xen_add_to_physmap, idx, 8);
AT(xen_add_to_physmap, gpfn, 16);

SIZE(xen_add_to_physmap_batch, 32);
AT(xen_add_to_physmap_batch, domid, 0);
AT(xen_add_to_physmap_batch, space, 2);
AT(xen_add_to_physmap_batch, size, 4);
AT(xen_add_to_physmap_batch, u, 6);
AT(xen_add_to_physmap_batch, idxs, 8);
AT(xen_add_to_physmap_batch, gpfns, 16);
AT(xen_add_to_physmap_batch, errs, 24);

SIZE(xen_remove_from_physmap, 16);
AT(xen_remove_from_physmap, domid, 0);
AT(xen_remove_from_physmap, gpfn, 8);

SIZE(xen_mem_acquire_resource, 32);
AT(xen_mem_acquire_resource, domid, 0);
AT(xen_mem_acquire_resource, type, 2);
AT(xen_mem_acquire_resource, id, 4);
AT(xen_mem_acquire_resource, nr_frames, 8);
AT(xen_mem_acquire_resource, frame, 16);
AT(xen_mem_acquire_resource, frame_list, 24);

SIZE(sched_shutdown, 4);
AT(sched_shutdown, reason, 0);

SIZE(sched_poll, 24);
AT(sched_poll, ports, 0);
AT(sched_poll, nr_ports, 8);
AT(sched_poll, timeout, 16);

SIZE(sched_remote_shutdown, 8);
AT(sched_remote_shutdown, domain_id, 0);
AT(sched_remote_shutdown, reason, 4);

SIZE(sched_watchdog, 8);
AT(sched_watchdog, id, 0);
AT(sched_watchdog, timeout, 4);

SIZE(vcpu_register_vcpu_info, 16);
AT(vcpu_register_vcpu_info, mfn, 0);
AT(vcpu_register_vcpu_info, offset, 8);

SIZE(vcpu_register_runstate_memory_area, 8);
AT(vcpu_register_runstate_memory_area, addr, 0);

SIZE(vcpu_runstate_info, 48);
AT(vcpu_runstate_info, state, 0);
AT(vcpu_runstate_info, state_entry_time, 8);
AT(vcpu_runstate_info, time, 16);

SIZE(vcpu_set_singleshot_timer, 16);
AT(vcpu_set_singleshot_timer, timeout_abs_ns, 0);
AT(vcpu_set_singleshot_timer, flags, 8);

SIZE(vcpu_guest_context, 360);
AT(vcpu_guest_context, flags, 0);
AT(vcpu_guest_context, user_regs, 8);
AT(vcpu_guest_context, sstatus, 264);
AT(vcpu_guest_context, sie, 272);
AT(vcpu_guest_context, sip, 280);
AT(vcpu_guest_context, stvec, 288);
AT(vcpu_guest_context, sscratch, 296);
AT(vcpu_guest_context, sepc, 304);
AT(vcpu_guest_context, scause, 312);
AT(vcpu_guest_context, stval, 320);
AT(vcpu_guest_context, satp, 328);
AT(vcpu_guest_context, scounteren, 336);
AT(vcpu_guest_context, senvcfg, 344);
AT(vcpu_guest_context, stimecmp, 352);

SIZE(vcpu_guest_core_regs, 256);
AT(vcpu_guest_core_regs, pc, 0);
AT(vcpu_guest_core_regs, ra, 8);
AT(vcpu_guest_core_regs, sp, 16);
AT(vcpu_guest_core_regs, gp, 24);
AT(vcpu_guest_core_regs, tp, 32);
AT(vcpu_guest_core_regs, t0, 40);
AT(vcpu_guest_core_regs, s0, 64);
AT(vcpu_guest_core_regs, a0, 80);
AT(vcpu_guest_core_regs, s2, 144);
AT(vcpu_guest_core_regs, t3, 224);
AT(vcpu_guest_core_regs, t6, 248);

SIZE(xen_hvm_param, 16);
AT(xen_hvm_param, domid, 0);
AT(xen_hvm_param, index, 4);
AT(xen_hvm_param, value, 8);

SIZE(xen_feature_info, 8);
AT(xen_feature_info, submap_idx, 0);
AT(xen_feature_info, submap, 4);

SIZE(xen_compile_info, 144);
AT(xen_compile_info, compiler, 0);
AT(xen_compile_info, compile_by, 64);
AT(xen_compile_info, compile_domain, 80);
AT(xen_compile_info, compile_date, 112);

SIZE(multicall_entry, 64);
AT(multicall_entry, op, 0);
AT(multicall_entry, result, 8);
AT(multicall_entry, args, 16);

SIZE(physdev_eoi, 4);
AT(physdev_eoi, irq, 0);

SIZE(physdev_irq_status_query, 8);
AT(physdev_irq_status_query, irq, 0);
AT(physdev_irq_status_query, flags, 4);

SIZE(xen_platform_op, 136);
AT(xen_platform_op, cmd, 0);
AT(xen_platform_op, interface_version, 4);
AT(xen_platform_op, u, 8);

SIZE(xen_sysctl, 136);
AT(xen_sysctl, cmd, 0);
AT(xen_sysctl, interface_version, 4);
AT(xen_sysctl, u, 8);

SIZE(xen_domctl, 144);
AT(xen_domctl, cmd, 0);
AT(xen_domctl, interface_version, 4);
AT(xen_domctl, domain, 8);
AT(xen_domctl, u, 16);

SIZE(xen_domctl_createdomain, 72);
AT(xen_domctl_createdomain, ssidref, 0);
AT(xen_domctl_createdomain, handle, 4);
AT(xen_domctl_createdomain, flags, 20);
AT(xen_domctl_createdomain, iommu_opts, 24);
AT(xen_domctl_createdomain, max_vcpus, 28);
AT(xen_domctl_createdomain, max_evtchn_port, 32);
AT(xen_domctl_createdomain, max_grant_frames, 36);
AT(xen_domctl_createdomain, max_maptrack_frames, 40);
AT(xen_domctl_createdomain, grant_opts, 44);
AT(xen_domctl_createdomain, vmtrace_size, 48);
AT(xen_domctl_createdomain, cpupool_id, 52);
AT(xen_domctl_createdomain, arch, 56);

SIZE(xen_domctl_scheduler_op, 24);
AT(xen_domctl_scheduler_op, sched_id, 0);
AT(xen_domctl_scheduler_op, cmd, 4);
AT(xen_domctl_scheduler_op, u, 8);

SIZE(xen_sysctl_scheduler_op, 32);
AT(xen_sysctl_scheduler_op, cpupool_id, 0);
AT(xen_sysctl_scheduler_op, sched_id, 4);
AT(xen_sysctl_scheduler_op, cmd, 8);
AT(xen_sysctl_scheduler_op, u, 16);

SIZE(xen_sysctl_cpupool_op, 40);
AT(xen_sysctl_cpupool_op, op, 0);
AT(xen_sysctl_cpupool_op, cpupool_id, 4);
AT(xen_sysctl_cpupool_op, sched_id, 8);
AT(xen_sysctl_cpupool_op, domid, 12);
AT(xen_sysctl_cpupool_op, cpu, 16);
AT(xen_sysctl_cpupool_op, n_dom, 20);
AT(xen_sysctl_cpupool_op, cpumap, 24);

SIZE(hvm_save_descriptor, 8);
AT(hvm_save_descriptor, typecode, 0);
AT(hvm_save_descriptor, instance, 2);
AT(hvm_save_descriptor, length, 4);

SIZE(hvm_riscv_domain, 120);
AT(hvm_riscv_domain, magic, 0);
AT(hvm_riscv_domain, abi, 8);
AT(hvm_riscv_domain, max_vcpus, 12);
AT(hvm_riscv_domain, timebase_frequency, 16);
AT(hvm_riscv_domain, ticks, 24);
AT(hvm_riscv_domain, wall_seconds, 32);
AT(hvm_riscv_domain, wall_nanoseconds, 40);
AT(hvm_riscv_domain, time_offset_seconds, 48);
AT(hvm_riscv_domain, watchdog, 56);
AT(hvm_riscv_domain, callback_irq, 72);
AT(hvm_riscv_domain, store_pfn, 80);
AT(hvm_riscv_domain, store_evtchn, 88);
AT(hvm_riscv_domain, console_pfn, 96);
AT(hvm_riscv_domain, console_evtchn, 104);
AT(hvm_riscv_domain, flags, 112);

SIZE(hvm_riscv_vcpu, 656);
AT(hvm_riscv_vcpu, flags, 0);
AT(hvm_riscv_vcpu, fcsr, 4);
AT(hvm_riscv_vcpu, regs, 8);
AT(hvm_riscv_vcpu, f, 264);
AT(hvm_riscv_vcpu, sstatus, 520);
AT(hvm_riscv_vcpu, sie, 528);
AT(hvm_riscv_vcpu, sip, 536);
AT(hvm_riscv_vcpu, stvec, 544);
AT(hvm_riscv_vcpu, sscratch, 552);
AT(hvm_riscv_vcpu, sepc, 560);
AT(hvm_riscv_vcpu, scause, 568);
AT(hvm_riscv_vcpu, stval, 576);
AT(hvm_riscv_vcpu, satp, 584);
AT(hvm_riscv_vcpu, scounteren, 592);
AT(hvm_riscv_vcpu, senvcfg, 600);
AT(hvm_riscv_vcpu, stimecmp, 608);
AT(hvm_riscv_vcpu, singleshot, 616);
AT(hvm_riscv_vcpu, runstate_time, 624);

SIZE(hvm_riscv_vector, 40);
AT(hvm_riscv_vector, vstart, 0);
AT(hvm_riscv_vector, vcsr, 8);
AT(hvm_riscv_vector, vl, 16);
AT(hvm_riscv_vector, vtype, 24);
AT(hvm_riscv_vector, vlenb, 32);

SIZE(hvm_riscv_areas, 32);
AT(hvm_riscv_areas, vcpu_info_gfn, 0);
AT(hvm_riscv_areas, runstate_gfn, 8);
AT(hvm_riscv_areas, runstate_gfn2, 16);
AT(hvm_riscv_areas, vcpu_info_offset, 24);
AT(hvm_riscv_areas, runstate_offset, 28);

SIZE(hvm_riscv_port, 16);
AT(hvm_riscv_port, port, 0);
AT(hvm_riscv_port, state, 4);
AT(hvm_riscv_port, priority, 5);
AT(hvm_riscv_port, vcpu, 6);
AT(hvm_riscv_port, virq, 8);
AT(hvm_riscv_port, flags, 10);
AT(hvm_riscv_port, remote_port, 12);

SIZE(hvm_riscv_lent, 16);
AT(hvm_riscv_lent, gfn, 0);
AT(hvm_riscv_lent, space, 8);
AT(hvm_riscv_lent, index, 12);

SIZE(hvm_riscv_fifo_words, 136);
AT(hvm_riscv_fifo_words, left, 0);
AT(hvm_riscv_fifo_words, gfn, 8);

SIZE(hvm_riscv_fifo_vcpu, 80);
AT(hvm_riscv_fifo_vcpu, gfn, 0);
AT(hvm_riscv_fifo_vcpu, offset, 8);
AT(hvm_riscv_fifo_vcpu, padding, 12);
AT(hvm_riscv_fifo_vcpu, tail, 16);

SIZE(xen_domctl_shadow_op, 40);
AT(xen_domctl_shadow_op, op, 0);
AT(xen_domctl_shadow_op, mode, 4);
AT(xen_domctl_shadow_op, mb, 8);
AT(xen_domctl_shadow_op, dirty_bitmap, 16);
AT(xen_domctl_shadow_op, pages, 24);
AT(xen_domctl_shadow_op, stats, 32);

SIZE(pavise_domctl_memory, 48);
AT(pavise_domctl_memory, op, 0);
AT(pavise_domctl_memory, count, 4);
AT(pavise_domctl_memory, gfns, 8);
AT(pavise_domctl_memory, pages, 16);
AT(pavise_domctl_memory, kinds, 24);
AT(pavise_domctl_memory, runs, 32);
AT(pavise_domctl_memory, gfn, 40);

SIZE(pavise_memory_run, 24);
AT(pavise_memory_run, gfn, 0);
AT(pavise_memory_run, pages, 8);
AT(pavise_memory_run, what, 16);
AT(pavise_memory_run, index, 20);

SIZE(xencons_interface, 3088);
AT(xencons_interface, in, 0);
AT(xencons_interface, out, 1024);
AT(xencons_interface, in_cons, 3072);
AT(xencons_interface, in_prod, 3076);
AT(xencons_interface, out_cons, 3080);
AT(xencons_interface, out_prod, 3084);

SIZE(xenstore_domain_interface, 2076);
AT(xenstore_domain_interface, req, 0);
AT(xenstore_domain_interface, rsp, 1024);
AT(xenstore_domain_interface, req_cons, 2048);
AT(xenstore_domain_interface, req_prod, 2052);
AT(xenstore_domain_interface, rsp_cons, 2056);
AT(xenstore_domain_interface, rsp_prod, 2060);
AT(xenstore_domain_interface, server_features, 2064);
AT(xenstore_domain_interface, connection, 2068);
AT(xenstore_domain_interface, error, 2072);

SIZE(xsd_sockmsg, 16);
AT(xsd_sockmsg, type, 0);
AT(xsd_sockmsg, req_id, 4);
AT(xsd_sockmsg, tx_id, 8);
AT(xsd_sockmsg, len, 12);
