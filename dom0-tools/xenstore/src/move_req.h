/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CONTROL's commands for guests that move. move.h is the contract.
 * It owns nothing.
 */
#ifndef XS_MOVE_REQ_H
#define XS_MOVE_REQ_H

#include "proto.h"

/*
 * Each: 0, with what was wrong as the reply if anything was; -EINVAL: wrong usage, dom0 itself, a
 * file that is no absolute path, or asked over a ring; -ENOENT: no such domain, or one without a ring.
 */
int req_park(struct req *r, char **v, int n);
int req_export(struct req *r, char **v, int n);
int req_import(struct req *r, char **v, int n);

#endif
