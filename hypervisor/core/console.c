/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The console: printk with its log ring, and guests' output.
 */
#include <arch-api.h>
#include <console.h>
#include <domain.h>
#include <lib.h>
#include <lock.h>

#define RING_SIZE (CONFIG_CONSOLE_RING_SIZE) /* a power of two */
static struct spinlock console_lock = SPINLOCK_INIT(LOCK_CONSOLE);
static enum loglevel console_level = LOG_INFO;
static char ring[RING_SIZE];
static u32 ring_prod, ring_cons; /* free-running */
static bool line_start = true; /* the UART is at the start of a line */

void console_set_level(enum loglevel level)
{
	console_level = level;
}

/*
 * Returns whether the lock is held. While a hart ends the machine, whoever held the lock may never
 * give it back: then a report without it is better than none.
 */
static bool lock_console(void)
{
	if (!console_stopped()) {
		spin_lock(&console_lock);
		return true;
	}
	for (unsigned int i = 0; i < 1000000; i++) {
		if (spin_trylock(&console_lock))
			return true;
	}
	return false;
}

static void unlock_console(bool held)
{
	if (held)
		spin_unlock(&console_lock);
}

/* console_lock held */
static void ring_put(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		ring[ring_prod++ & (RING_SIZE - 1)] = s[i];
	if (ring_prod - ring_cons > RING_SIZE)
		ring_cons = ring_prod - RING_SIZE;
}

/* console_lock held. The UART wants CR LF. */
static void uart_put(const char *s, size_t n)
{
	size_t start = 0;

	for (size_t i = 0; i < n; i++) {
		if (s[i] != '\n')
			continue;
		arch_console_write(s + start, i - start);
		arch_console_write("\r\n", 2);
		start = i + 1;
	}
	arch_console_write(s + start, n - start);
	if (n)
		line_start = s[n - 1] == '\n';
}

void printk_at(enum loglevel level, const char *fmt, ...)
{
	char buf[256];
	va_list ap;
	size_t n;
	bool held;

	va_start(ap, fmt);
	pv_vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	n = strlen(buf);
	held = lock_console();
	ring_put(buf, n);
	if (level <= console_level) {
		if (line_start)
			uart_put("(pavise) ", 9);
		uart_put(buf, n);
	}
	unlock_console(held);
}

void console_prompt(const char *text)
{
	bool held = lock_console();

	if (!line_start)
		uart_put("\n", 1);
	uart_put("(pavise) ", 9);
	uart_put(text, strlen(text));
	unlock_console(held);
}

void console_prompt_answer(char c)
{
	bool held = lock_console();

	if (c > ' ' && c < 0x7f)
		uart_put(&c, 1);
	if (!line_start)
		uart_put("\n", 1);
	unlock_console(held);
}

/* What a line costs beside its bytes: the prefix, and the work. */
#define LINE_COST 8

/*
 * Whether the guest may print n bytes now. Once it has had too much it waits until half of its right is there again, so
 * that a flood is not a report for each line.
 */
static bool may_print(struct domain *d, size_t n)
{
	struct console_rate *r = &d->console;
	u64 now = arch_time_ns(), fill, dropped = 0;
	bool ok, first = false;

	spin_lock(&r->lock);
	fill = (now - r->filled) / (1000000000ULL / CONSOLE_BYTES_PER_S);
	if (fill) {
		r->spent -= min(fill, r->spent);
		r->filled = now;
	}
	ok = r->spent + n <= (r->dropped ? CONSOLE_BURST / 2 : CONSOLE_BURST);
	if (ok) {
		r->spent += n;
		dropped = r->dropped;
		r->dropped = 0;
	} else {
		first = !r->dropped;
		r->dropped += n;
	}
	spin_unlock(&r->lock);
	if (first)
		pr_warn("d%u prints too much: its output is dropped for a while\n", d->id);
	if (dropped)
		pr_warn("d%u: %lu bytes of its output were dropped\n", d->id, dropped);
	return ok;
}

/* dom0's bytes go out as they are; they are not in the log ring, which is the hypervisor's. */
void console_guest_write(struct domain *d, const char *s, size_t n)
{
	char clean[128];

	if (d->is_privileged) {
		bool held = lock_console();

		arch_console_write(s, n);
		if (n)
			line_start = s[n - 1] == '\n';
		unlock_console(held);
		return;
	}
	while (n) {
		size_t room = min(n, sizeof(clean) - 1), len = 0;
		const char *nl = memchr(s, '\n', room);
		size_t take = nl ? (size_t)(nl - s) : room;

		if (!may_print(d, take + LINE_COST)) {
			s += take + (nl ? 1 : 0);
			n -= take + (nl ? 1 : 0);
			continue;
		}

		/*
		 * A guest's bytes do not control the administrator's terminal. Beyond ASCII are controls too, as single bytes
		 * and in UTF-8.
		 */
		for (size_t i = 0; i < take; i++) {
			if (((u8)s[i] >= ' ' && (u8)s[i] < 0x7f) || s[i] == '\t')
				clean[len++] = s[i];
			else if ((u8)s[i] >= 0x80)
				clean[len++] = '?';
		}
		clean[len] = '\0';
		if (len)
			printk("(d%u) %s\n", d->id, clean);
		take += nl ? 1 : 0;
		s += take;
		n -= take;
	}
}

size_t console_ring_read(char *dst, size_t n, u32 *index, bool incremental, bool clear)
{
	size_t copied = 0;
	u32 from;

	spin_lock(&console_lock);
	from = incremental ? *index : ring_cons;
	if (ring_prod - from > RING_SIZE)
		from = ring_cons;
	while (copied < n && from != ring_prod) {
		u32 at = from & (RING_SIZE - 1);
		size_t len =
			min(min(n - copied, (size_t)(ring_prod - from)), (size_t)RING_SIZE - at);

		memcpy(dst + copied, ring + at, len);
		copied += len;
		from += len;
	}
	*index = from;
	if (clear)
		ring_cons = ring_prod;
	spin_unlock(&console_lock);
	return copied;
}
