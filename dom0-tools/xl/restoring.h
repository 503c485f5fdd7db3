/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest that goes on from a stream (saved.h), from a file or from another host.
 */
#ifndef XL_RESTORING_H
#define XL_RESTORING_H

#include "saved.h"

/* The configuration in @s, or in @file unless that is NULL. config_free() is due even after an error. 0, or -1 after a message. */
int restoring_config(struct xl_config *cfg, const struct saved *s, const char *file);
/* The same of the one in @s, with these settings (key=value) in the place of its own. */
int restoring_config_as(struct xl_config *cfg, const struct saved *s, char *const *args, int nr);
/* Whoever acts on its end (unless @alone) and its console, for a guest that is whole and paused. 0, or -1 after a message. */
int restoring_attend(struct xl *xl, struct xl_config *cfg, uint32_t domid, bool alone);
/*
 * All of it, from a file: the guest runs, or is there @paused. @s, which it comes from, is closed. No lock is held. 0; or negative, after a
 * message, and nothing of it is left.
 */
int restoring_run(struct xl *xl, struct xl_config *cfg, struct saved *s, bool paused, bool alone);

#endif /* XL_RESTORING_H */
