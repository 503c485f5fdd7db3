/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a daemon tells the service manager that started it (sd_notify(3)), if there is one: that it serves, and that it still does.
 * Owns NOTIFY_SOCKET and WATCHDOG_USEC of the environment. Not for threads.
 */
#ifndef PAVISE_NOTIFY_H
#define PAVISE_NOTIFY_H

/* Clients are served from now on. Nothing happens without a service manager. */
void notify_ready(void);

/*
 * For each turn of the main loop. @wait: how long it means to sleep at most, in ms, -1: for ever. Returns how long it
 * may: less where a watchdog has to be told in time that the loop still turns. Never blocks.
 */
int notify_wait(int wait);

#endif
