/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * printk, the log ring that XEN_SYSCTL_readconsole reads, and who gets the UART's input.
 * core/console.c, core/console_input.c.
 */
#ifndef PAVISE_CONSOLE_H
#define PAVISE_CONSOLE_H

#include <lock.h>
#include <timer.h>
#include <types.h>

struct domain;

/*
 * A guest's unfinished line, and its right to print: a bucket of bytes that fills again with time. Beyond it its output is
 * dropped and counted.
 */
#define CONSOLE_BURST 32768 /* a kernel's boot messages fit */
#define CONSOLE_BYTES_PER_S 4096 /* a third of what 115200 baud carry */
#define CONSOLE_LINE 128 /* a longer one is printed in pieces */
#define CONSOLE_LINE_NS 200000000ULL /* so long a line may take to be finished */
struct guest_console {
	struct spinlock lock;
	u64 spent; /* bytes; arch_time_ns() of filled is when it was brought up to date */
	u64 filled;
	u64 dropped; /* bytes, since the last report */
	char text[CONSOLE_LINE];
	u32 len;
	u64 since; /* arch_time_ns() of its first byte */
	bool waiting; /* timer is armed, or about to be */
	struct timer timer;
};

enum loglevel { LOG_ERR = 0, LOG_WARN, LOG_INFO, LOG_DEBUG };

void printk_at(enum loglevel level, const char *fmt, ...) __printf(2, 3);
#define printk(...) printk_at(LOG_INFO, __VA_ARGS__)
#define pr_err(...) printk_at(LOG_ERR, __VA_ARGS__)
#define pr_warn(...) printk_at(LOG_WARN, __VA_ARGS__)
#define pr_debug(...) printk_at(LOG_DEBUG, __VA_ARGS__)

void console_set_level(enum loglevel level);

/*
 * A domain's bytes (console_io, SBI DBCN). dom0's go out as they are. Others' are gathered into lines, printed with "(dN) "
 * at their end, when CONSOLE_LINE bytes are there, or after CONSOLE_LINE_NS; at a limited rate: what is beyond is dropped, and
 * the log says how much. A line of dom0's in which the hypervisor has something to say is printed again when dom0 goes on.
 */
void console_guest_write(struct domain *d, const char *s, size_t n);
/* Prints what there is of a line: the domain says no more. */
void console_guest_flush(struct domain *d);
/* With the domain; free: nothing runs on its behalf any more. */
void console_guest_init(struct domain *d);
void console_guest_free(struct domain *d);
/* Input for dom0: returns how many were taken. */
size_t console_guest_read(char *s, size_t n);

/*
 * The UART has input (interrupt): reads it, handles Ctrl-A three times and debug keys, wakes dom0.
 * Always called on the same hart. core/console_input.c.
 */
void console_input(void);

/*
 * A question to whoever is at the terminal, at the start of a line and not in the log; and the key
 * that was the answer, which ends the line.
 */
void console_prompt(const char *text);
void console_prompt_answer(char c);

/*
 * Log ring: copies from *index on (updated) up to n bytes; clear: empties it afterwards. Returns
 * bytes copied.
 */
size_t console_ring_read(char *dst, size_t n, u32 *index, bool incremental, bool clear);

void panic(const char *fmt, ...) __printf(1, 2) __noreturn;
/* The same for what the administrator can mend: options, the machine. No backtraces. */
void give_up(const char *fmt, ...) __printf(1, 2) __noreturn;

/* A condition that is a hypervisor bug, never reachable through a guest's values. */
#define BUG_ON(c) \
	do { \
		if (unlikely(c)) \
			panic("bug at %s:%d: %s", __FILE__, __LINE__, #c); \
	} while (0)

/* The same where looking costs too much for every build: CONFIG_DEBUG. */
#ifdef CONFIG_DEBUG
#define ASSERT(c) BUG_ON(!(c))
#else
#define ASSERT(c) ((void)sizeof(c))
#endif

#endif
