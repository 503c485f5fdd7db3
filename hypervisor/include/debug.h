/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Debug keys: one character typed at the hypervisor's console, or `xl debug-keys`.
 * core/debug.c.
 */
#ifndef PAVISE_DEBUG_H
#define PAVISE_DEBUG_H

/*
 * So many lines of what guests make as many of as they like does one key print, of all domains together: the hart takes no
 * interrupts meanwhile, and a UART of 115200 baud takes some 5 ms for each.
 */
#define DUMP_LINES 500

/* Runs the key's handler, or says that there is none. */
void debug_key(char key);
/* What a key ends or breaks, as a question without its mark; NULL: it only shows something. */
const char *debug_key_harm(char key);

#endif
