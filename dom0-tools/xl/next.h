/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a guest is to be in its next life: a file that config-update writes and the guest's supervisor reads.
 */
#ifndef XL_NEXT_H
#define XL_NEXT_H

#include <stdio.h>

#include "xl.h"

#define XL_NEXT_FILE XL_RUN_DIR "/config-%u"

/* Relative paths of files become absolute: the supervisor works in another directory. */
int next_make_absolute(struct xl_config *cfg);
/*
 * Notes what a new domain was made from; without a message, as its creation does not depend on it. The domain's lock is
 * held, here as below.
 */
void next_publish(uint32_t domid, const struct xl_config *cfg);
void next_forget(uint32_t domid);
/* Has next_update() been called for this domain? Then what it was made from is not known from its file. */
bool next_is_updated(uint32_t domid);
/* A setting in xl.cfg's language that is a list of strings, which is being written. */
struct next_list {
	FILE *f;
	char *text;
	size_t size;
};
void next_list_begin(struct next_list *l, const char *key);
/* Frees @item; NULL: nothing. */
void next_list_add(struct next_list *l, char *item);
/* "key=[ ... ]", which the caller frees. NULL if @rc says that it is not whole. */
char *next_list_end(struct next_list *l, int rc);
/* A configuration as its file has it. The caller frees. */
char *next_text(const struct xl_config *cfg);
/* A configuration as a file, in one step. 0 or -errno. */
int next_save(const char *path, const struct xl_config *cfg);
/* That its next life is to have @cfg, whose paths are absolute. */
int next_update(struct xl *xl, uint32_t domid, struct xl_config *cfg);
/*
 * Puts what next_update() has said of this domain into the place of @cfg, but for its name; MACs that it leaves open stay.
 * False: nothing was said, or it cannot be used (any more), which @say tells.
 */
bool next_take(uint32_t domid, struct xl_config *cfg, void (*say)(const char *fmt, ...));
/*
 * Into @cfg goes what was said of the running domain: its new name, mem-set's and mem-max's memory and vcpu-set's number, unless
 * next_update() was called later.
 */
void next_adopt(struct xl *xl, uint32_t domid, struct xl_config *cfg);

#endif /* XL_NEXT_H */
