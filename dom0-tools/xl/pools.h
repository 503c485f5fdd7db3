/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CPU pools: what they are called. The hypervisor knows numbers; names are in xenstore, where Xen's tools have them.
 */
#ifndef XL_POOLS_H
#define XL_POOLS_H

#include "xl.h"

#define XL_POOL "/local/pool/%u"

/* May this be a pool's name? NULL, or why not. */
const char *pool_bad_name(const char *name);
/* Never NULL: one that has no name is called Pool- and its number. The caller frees. */
char *pool_name(struct xl *xl, uint32_t id);
/* For columns and messages. The same. */
char *pool_shown(struct xl *xl, uint32_t id);
/* All of them into a malloc'd array, by number. So many, or -1 after a message. */
int pools_all(struct xl *xl, struct pv_pool **out);
/* A name or a number; without a message. */
bool pool_named(struct xl *xl, const char *arg, struct pv_pool *out);
/* The same, with a message. */
int pool_find(struct xl *xl, const char *arg, struct pv_pool *out);
/* Where a configuration's guest is to be; message by config_error(). It has a CPU. */
int pool_of_config(struct xl *xl, struct xl_config *cfg, struct pv_pool *out);
/* What is wrong with a set of CPUs of which the pool has none, in words. The caller frees. */
char *pool_lacks(const struct pv_pool *pool);
/* Its CPUs as 0-1,3. The caller frees. */
char *pool_cpus(const struct pv_pool *pool);
/* -errno of pv_pool_*() in words. */
const char *pool_error(int rc);

#endif /* XL_POOLS_H */
