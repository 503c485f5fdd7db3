/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What tests of whole states share: a state is got and set, a record is looked for, and memory goes along, as a toolstack does it.
 * STATE_MAX, room for a state in bytes, is the program's to say before this. test_save.c has its own: it is about the calls themselves.
 */
#ifndef TEST_SAVED_H
#define TEST_SAVED_H

#include "host.h"

#ifndef STATE_MAX
#error "define STATE_MAX first"
#endif

#define NEW 3 /* the domain that gets a state */

static u8 first[STATE_MAX], second[STATE_MAX];

/* XEN_DOMCTL_gethvmcontext or XEN_DOMCTL_sethvmcontext; *size in bytes, in and out. */
static inline long context(domid_t dom, u32 cmd, void *buf, u32 *size)
{
	struct xen_domctl op = { .u.hvmcontext.size = *size };
	long rc;

	set_xen_guest_handle(op.u.hvmcontext.buffer, (uint8_t *)buf);
	AS(dom0);
	rc = domctl(dom, cmd, &op);
	*size = op.u.hvmcontext.size;
	return rc;
}

/* Its size in bytes. */
static inline u32 get(domid_t dom, void *buf)
{
	u32 size = STATE_MAX;

	assert_int_equal(context(dom, XEN_DOMCTL_gethvmcontext, buf, &size), 0);
	return size;
}

static inline long set(domid_t dom, void *buf, u32 size)
{
	return context(dom, XEN_DOMCTL_sethvmcontext, buf, &size);
}

/* That of a record that is there. */
static inline void *body(u8 *s, u32 code, u32 instance)
{
	struct hvm_save_descriptor *d = (void *)s;

	while (d->typecode != code || d->instance != instance) {
		assert_int_not_equal(d->typecode, 0);
		d = (void *)((u8 *)(d + 1) + d->length);
	}
	return d + 1;
}

#define HEAD(s, code, instance) ((struct hvm_save_descriptor *)body(s, code, instance) - 1)

/* A domctl without arguments, which succeeds. */
static inline void op(domid_t dom, u32 cmd)
{
	AS(dom0);
	assert_int_equal(domctl(dom, cmd, NULL), 0);
}

static u8 memory[U_PAGES * PAGE_SIZE];

/* All of a guest's RAM, to memory and from there. */
static inline void copy_out(struct domain *d)
{
	for (unsigned int i = 0; i < U_PAGES; i++)
		memcpy(memory + i * PAGE_SIZE, guest_page(d, RAM_GFN + i), PAGE_SIZE);
}

static inline void copy_in(struct domain *d)
{
	for (unsigned int i = 0; i < U_PAGES; i++)
		memcpy(guest_page(d, RAM_GFN + i), memory + i * PAGE_SIZE, PAGE_SIZE);
}

#endif
