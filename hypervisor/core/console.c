/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The console: printk with its log ring, and guests' output.
 */
#include <arch-api.h>
#include <console.h>
#include <domain.h>
#include <lib.h>
#include <lock.h>
#include <timer.h>

#define NS_PER_S 1000000000ULL
#define RING_SIZE (CONFIG_CONSOLE_RING_SIZE) /* a power of two */
static struct spinlock console_lock = SPINLOCK_INIT(LOCK_CONSOLE);
static enum loglevel console_level = LOG_INFO;
static char ring[RING_SIZE];
static u32 ring_prod, ring_cons; /* free-running */
static bool ring_in_line; /* its last line has no end yet */

/* Whose line the UART's cursor is in. */
static enum { LINE_START, LINE_OURS, LINE_PROMPT, LINE_DOM0 } line;

/*
 * What dom0 has printed of its line so far: when the hypervisor has something to say, that line ends there
 * and is printed again as soon as dom0 goes on. Without escape sequences but colours: a question to the
 * terminal is not asked twice. A longer line is not repeated.
 */
#define DOM0_LINE 256
static struct {
	char text[DOM0_LINE];
	size_t len, sequence; /* sequence: where the escape sequence began that dom0 is in */
	enum { PLAIN, ESCAPE, CSI, STRING } in;
	bool too_long;
	bool broken; /* to be repeated */
} dom0_line;

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

/*
 * Each line begins with the machine's time, as Linux's do: seconds and microseconds. Not on the UART, which shows lines
 * as they come.
 */
static size_t time_stamp(char *buf, size_t size)
{
	u64 us = arch_time_ns() / 1000;

	pv_snprintf(buf, size, "[%5lu.%06lu] ", us / 1000000, us % 1000000);
	return strlen(buf);
}

/* console_lock held */
static void ring_put(const char *s, size_t n)
{
	char stamp[40];
	size_t len;

	for (size_t i = 0; i < n; i++) {
		if (!ring_in_line) {
			len = time_stamp(stamp, sizeof(stamp));
			for (size_t j = 0; j < len; j++)
				ring[ring_prod++ & (RING_SIZE - 1)] = stamp[j];
		}
		ring[ring_prod++ & (RING_SIZE - 1)] = s[i];
		ring_in_line = s[i] != '\n';
	}
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
}

/* console_lock held. Ends another's line. */
static void own_line(void)
{
	if (line == LINE_DOM0) {
		/* CAN: or the terminal would take our text for the rest of dom0's sequence. */
		if (dom0_line.in != PLAIN)
			arch_console_write("\x18", 1);
		dom0_line.broken = true;
	}
	if (line == LINE_DOM0 || line == LINE_PROMPT) {
		arch_console_write("\r\n", 2);
		line = LINE_START;
	}
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
	if (n && level <= console_level) {
		own_line();
		if (line == LINE_START)
			uart_put("(pavise) ", 9);
		uart_put(buf, n);
		line = buf[n - 1] == '\n' ? LINE_START : LINE_OURS;
	}
	unlock_console(held);
}

void console_prompt(const char *text)
{
	bool held = lock_console();

	own_line();
	if (line == LINE_OURS)
		uart_put("\n", 1);
	uart_put("(pavise) ", 9);
	uart_put(text, strlen(text));
	line = LINE_PROMPT;
	unlock_console(held);
}

void console_prompt_answer(char c)
{
	bool held = lock_console();

	if (line == LINE_PROMPT) {
		if (c > ' ' && c < 0x7f)
			uart_put(&c, 1);
		uart_put("\n", 1);
		line = LINE_START;
	}
	unlock_console(held);
}

/* ---- dom0's output ---- */

/* console_lock held */
static void dom0_line_end(void)
{
	dom0_line.len = 0;
	dom0_line.in = PLAIN;
	dom0_line.too_long = false;
	dom0_line.broken = false;
}

/* console_lock held. The byte belongs to an escape sequence: whether that goes on. */
static bool dom0_sequence(char c)
{
	switch (dom0_line.in) {
	case ESCAPE:
		if (c == '[')
			dom0_line.in = CSI;
		else if (c == ']' || c == 'P' || c == 'X' || c == '^' || c == '_')
			dom0_line.in = STRING;
		else
			return c >= ' ' && c <= '/';
		return true;
	case CSI:
		return c < '@' || c > '~';
	default:
		return c != 0x07;
	}
}

/* console_lock held */
static void dom0_line_put(char c)
{
	bool ends = false;

	if (c == '\n' || c == '\r') {
		dom0_line_end();
		return;
	}
	if (c == 0x1b) {
		/* In a string it is the first byte of its end. */
		if (dom0_line.in == PLAIN)
			dom0_line.sequence = dom0_line.len;
		dom0_line.in = ESCAPE;
	} else if (dom0_line.in != PLAIN) {
		ends = !dom0_sequence(c);
	} else if ((u8)c < ' ' && c != '\t' && c != '\b') {
		return;
	}
	if (dom0_line.len < DOM0_LINE)
		dom0_line.text[dom0_line.len++] = c;
	else
		dom0_line.too_long = true;
	if (ends) {
		if (dom0_line.in != CSI || c != 'm')
			dom0_line.len = dom0_line.sequence;
		dom0_line.in = PLAIN;
	}
}

/* As they are; they are not in the log ring, which is the hypervisor's. */
static void dom0_write(const char *s, size_t n)
{
	bool held = lock_console();

	if (line == LINE_OURS || line == LINE_PROMPT)
		arch_console_write("\r\n", 2);
	if (dom0_line.broken && !dom0_line.too_long)
		arch_console_write(dom0_line.text, dom0_line.len);
	dom0_line.broken = false;
	arch_console_write(s, n);
	for (size_t i = 0; i < n; i++)
		dom0_line_put(s[i]);
	line = s[n - 1] == '\n' ? LINE_START : LINE_DOM0;
	unlock_console(held);
}

/* ---- guests' output ---- */

/* What a line costs beside its bytes: the prefix, and the work. */
#define LINE_COST 8

/*
 * Whether the guest may print n bytes now. Once it has had too much it waits until half of its right is there again, so
 * that a flood is not a report for each line.
 */
static bool may_print(struct domain *d, size_t n)
{
	struct guest_console *c = &d->console;
	u64 now, fill, dropped = 0;
	bool ok, first = false;

	spin_lock(&c->lock);
	/* Under the lock: who looked before and gets it later would find that less than no time has passed. */
	now = arch_time_ns();
	fill = now > c->filled ? (now - c->filled) / (NS_PER_S / CONSOLE_BYTES_PER_S) : 0;
	if (fill) {
		c->spent -= min(fill, c->spent);
		c->filled = now;
	}
	ok = c->spent + n <= (c->dropped ? CONSOLE_BURST / 2 : CONSOLE_BURST);
	if (ok) {
		c->spent += n;
		dropped = c->dropped;
		c->dropped = 0;
	} else {
		first = !c->dropped;
		c->dropped += n;
	}
	spin_unlock(&c->lock);
	if (first)
		pr_warn("d%u prints too much: its output is dropped for a while\n", d->id);
	if (dropped)
		pr_warn("d%u: %lu bytes of its output were dropped\n", d->id, dropped);
	return ok;
}

/*
 * A guest's bytes do not control the administrator's terminal. Beyond ASCII are controls too, as single bytes and in
 * UTF-8.
 */
static void print_line(struct domain *d, const char *s, size_t n)
{
	char clean[CONSOLE_LINE + 1];
	size_t len = 0;

	if (!may_print(d, n + LINE_COST))
		return;
	for (size_t i = 0; i < n; i++) {
		if (((u8)s[i] >= ' ' && (u8)s[i] < 0x7f) || s[i] == '\t')
			clean[len++] = s[i];
		else if ((u8)s[i] >= 0x80)
			clean[len++] = '?';
	}
	clean[len] = '\0';
	if (len)
		printk("(d%u) %s\n", d->id, clean);
}

/* console.lock held. Takes the line out. */
static size_t take_line(struct guest_console *c, char *to)
{
	size_t n = c->len;

	memcpy(to, c->text, n);
	c->len = 0;
	return n;
}

void console_guest_flush(struct domain *d)
{
	char text[CONSOLE_LINE];
	size_t n;

	spin_lock(&d->console.lock);
	n = take_line(&d->console, text);
	spin_unlock(&d->console.lock);
	if (n)
		print_line(d, text, n);
}

/* The end of a line is late, or, if another line has begun meanwhile, may come yet. */
static void line_waited(void *domain)
{
	struct domain *d = domain;
	struct guest_console *c = &d->console;
	u64 end;
	bool again;

	spin_lock(&c->lock);
	end = c->since + CONSOLE_LINE_NS;
	again = c->len && end > arch_time_ns();
	c->waiting = again;
	spin_unlock(&c->lock);
	if (again)
		timer_set(&c->timer, end);
	else
		console_guest_flush(d);
}

void console_guest_init(struct domain *d)
{
	timer_init(&d->console.timer, line_waited, d);
}

void console_guest_free(struct domain *d)
{
	timer_kill(&d->console.timer);
}

void console_guest_write(struct domain *d, const char *s, size_t n)
{
	struct guest_console *c = &d->console;
	char text[CONSOLE_LINE];
	bool ends, arm = false;
	size_t len;

	if (d->is_privileged) {
		if (n)
			dom0_write(s, n);
		return;
	}
	while (n) {
		spin_lock(&c->lock);
		if (!c->len)
			c->since = arch_time_ns();
		for (ends = false; n && !ends; s++, n--) {
			if (*s == '\n')
				ends = true;
			else
				c->text[c->len++] = *s;
			ends |= c->len == CONSOLE_LINE;
		}
		len = ends ? take_line(c, text) : 0;
		/* One arms it, as long as it has not fired. */
		if (c->len && !c->waiting)
			arm = c->waiting = true;
		spin_unlock(&c->lock);
		if (ends)
			print_line(d, text, len);
	}
	if (arm)
		timer_set(&c->timer, arch_time_ns() + CONSOLE_LINE_NS);
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
