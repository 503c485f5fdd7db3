/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A template: a domain that has a guest's memory, as it was at one moment, and never runs. xl clone forks from it, and stops nobody for that.
 *
 * What else there is of it is kept as a snapshot is (snapshot.h), in a directory of XL_RUN_DIR that goes by its number, and ends with it: "about" with
 * its disks, whose files are its own, "config", and in "memory" the stream without pages (saved_of_fork()).
 */
#ifndef XL_TEMPLATE_H
#define XL_TEMPLATE_H

#include "snapshot.h"

/*
 * Keeps it for @domid, whose lock is held: the disks of @s, that configuration, and the stream in @fd. 0; or -1 after a message, and
 * template_forget() is due.
 */
int template_keep(uint32_t domid, const struct snapshot *s, const char *config, int fd);
bool template_is(uint32_t domid);
/* snapshot_free() in any case. 0, or -1 after a message: it has gone. */
int template_read(uint32_t domid, struct snapshot *s);
/* With its disks' files; of all other domains there is nothing. */
void template_forget(uint32_t domid);

#endif /* XL_TEMPLATE_H */
