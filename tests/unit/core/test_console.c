// SPDX-License-Identifier: BSD-2-Clause
/*
 * core/console.c and core/console_input.c: the log ring, guests' lines, what dom0 gets of the keyboard, the debug keys.
 */
#include <debug.h>

#include "host.h"

static void guests_lines(void **state)
{
	char line[300];

	console_clear();
	console_guest_write(u1, "hello\nworld", 11);
	assert_string_equal(host.console, "(pavise) (d1) hello\r\n");
	console_guest_write(u1, "\n", 1);
	assert_non_null(strstr(host.console, "(d1) world\r\n"));
	console_clear();
	/* A guest does not control the administrator's terminal. */
	console_guest_write(u1, "a\x1b[2Jb\rc\0d\n", 11);
	assert_null(strchr(host.console, '\x1b'));
	assert_non_null(strstr(host.console, "(d1) a[2Jbcd"));
	/* Nothing of a long line is lost. */
	memset(line, 'x', sizeof(line));
	line[sizeof(line) - 1] = '\n';
	for (unsigned int i = 0; i < 3; i++) {
		unsigned int xs = 0;

		console_clear();
		console_guest_write(u1, line + sizeof(line) - (126 + i) - 1, 126 + i + 1);
		for (const char *p = host.console; *p; p++)
			xs += *p == 'x';
		assert_int_equal(xs, 126 + i);
	}
	/* CSI in one byte, and in UTF-8; DEL */
	console_clear();
	console_guest_write(u1, "a\x9b[2Jb\xc2\x9b\tc\x7f\n", 12);
	assert_non_null(strstr(host.console, "(d1) a?[2Jb??\tc\r\n"));
	console_clear();
	console_guest_write(dom0, "raw\x1b[m", 6);
	assert_string_equal(host.console, "raw\x1b[m");
	console_guest_write(dom0, "\n", 1);
}

static void write_each(struct domain *d, const char *s)
{
	for (; *s; s++)
		console_guest_write(d, s, 1);
}

/* Whoever writes byte by byte gets its lines, and pays for each once. */
static void lines_are_gathered(void **state)
{
	u64 spent;

	console_clear();
	console_guest_write(u1, "as a whole\n", 11);
	spent = u1->console.spent;
	console_clear();
	write_each(u1, "as a whole\n");
	write_each(u2, "two");
	write_each(u1, "half a");
	write_each(u2, " guests\n");
	assert_string_equal(host.console,
			    "(pavise) (d1) as a whole\r\n(pavise) (d2) two guests\r\n");
	assert_int_equal(u1->console.spent, 2 * spent);
	/* The end is late. */
	console_clear();
	advance(CONSOLE_LINE_NS - 1);
	assert_string_equal(host.console, "");
	advance(1);
	assert_string_equal(host.console, "(pavise) (d1) half a\r\n");
	/* A line that has begun meanwhile gets its own time. */
	console_clear();
	write_each(u1, "one\n");
	write_each(u1, "x");
	advance(CONSOLE_LINE_NS / 2);
	write_each(u1, "\ntw");
	advance(CONSOLE_LINE_NS / 2);
	write_each(u1, "o\n");
	assert_string_equal(host.console,
			    "(pavise) (d1) one\r\n(pavise) (d1) x\r\n(pavise) (d1) two\r\n");
	/* Without an end: in pieces. */
	console_clear();
	for (unsigned int i = 0; i < CONSOLE_LINE + 1; i++)
		console_guest_write(u1, "y", 1);
	assert_int_equal(strlen(host.console), strlen("(pavise) (d1) \r\n") + CONSOLE_LINE);
	/* Bytes that show nothing are paid for all the same. */
	console_clear();
	spent = u1->console.spent;
	for (unsigned int i = 0; i < 10 * CONSOLE_LINE; i++)
		console_guest_write(u1, "", 1);
	assert_true(u1->console.spent >= spent + 10 * CONSOLE_LINE);
}

static void last_words(void **state)
{
	console_clear();
	write_each(u1, "oh");
	domain_crash(u1, "at %d", 5);
	assert_memory_equal(host.console, "(pavise) (d1) oh\r\n(pavise) d1 crashed: at 5", 41);
	console_clear();
	write_each(u2, "bye");
	domain_shutdown(u2, SHUTDOWN_poweroff);
	assert_string_equal(host.console, "(pavise) (d2) bye\r\n");
	/* Nothing waits for a domain that is gone. */
	console_clear();
	write_each(u2, "destroyed");
	kill_domain(u2);
	u2 = NULL;
	assert_non_null(strstr(host.console, "(d2) destroyed\r\n"));
	advance(10 * CONSOLE_LINE_NS);
}

/* The hypervisor never speaks in the middle of dom0's line. */
static void dom0_line_is_whole(void **state)
{
	console_clear();
	console_guest_write(dom0, "dom0# l", 7);
	printk("one\n");
	printk("two\n");
	assert_string_equal(host.console, "dom0# l\r\n(pavise) one\r\n(pavise) two\r\n");
	console_clear();
	console_guest_write(dom0, "s", 1);
	console_guest_write(dom0, "\r\n", 2);
	assert_string_equal(host.console, "dom0# ls\r\n");
	/* A whole line is not repeated, and neither is what a return has gone back over. */
	console_clear();
	printk("three\n");
	console_guest_write(dom0, "10%\r20%", 7);
	printk("four\n");
	console_guest_write(dom0, "\n", 1);
	assert_string_equal(host.console, "(pavise) three\r\n10%\r20%\r\n(pavise) four\r\n20%\n");
	/* Colours are repeated, questions to the terminal are not. */
	console_clear();
	console_guest_write(dom0, "\x1b[1m$ \x1b[6n\x1b]0;t\x07\x1b]0;u\x1b\\\x1b(B\x1b[0m", 30);
	printk("five\n");
	console_clear();
	console_guest_write(dom0, "x\n", 2);
	assert_string_equal(host.console, "\x1b[1m$ \x1b[0mx\n");
	/* A sequence that is broken ends there, and is sent again. */
	console_guest_write(dom0, "a\x1b[3", 4);
	console_clear();
	printk("six\n");
	console_guest_write(dom0, "1mb\n", 4);
	assert_string_equal(host.console, "\x18\r\n(pavise) six\r\na\x1b[31mb\n");
	/* Nor dom0 in the hypervisor's. */
	console_clear();
	printk("be");
	console_guest_write(dom0, "dom0\n", 5);
	printk("gun\n");
	assert_string_equal(host.console, "(pavise) be\r\ndom0\n(pavise) gun\r\n");
	/* A line without an end is not repeated for ever. */
	for (unsigned int i = 0; i < 300; i++)
		console_guest_write(dom0, ".", 1);
	printk("seven\n");
	console_clear();
	console_guest_write(dom0, ".\n", 2);
	assert_string_equal(host.console, ".\n");
}

/* The time in front of a line */
#define STAMP 15

static void log_ring(void **state)
{
	char buf[CONFIG_CONSOLE_RING_SIZE];
	u32 index = 0, from;
	size_t n;

	console_ring_read(buf, 0, &index, false, true);
	assert_int_equal(console_ring_read(buf, sizeof(buf), &index, false, false), 0);
	host.now = 12345678901234;
	printk("one\n");
	from = index;
	assert_int_equal(console_ring_read(buf, sizeof(buf), &index, true, false), STAMP + 4);
	assert_memory_equal(buf, "[12345.678901] one\n", STAMP + 4);
	/* A line has one, however many pieces it comes in; on the UART it has none. */
	console_clear();
	printk("t");
	printk("wo\nand three\n");
	assert_string_equal(host.console, "(pavise) two\r\nand three\r\n");
	n = console_ring_read(buf, sizeof(buf), &index, true, false);
	assert_int_equal(n, 2 * STAMP + 14);
	assert_memory_equal(buf, "[12345.678901] two\n[12345.678901] and three\n", n);
	host.now = 1002003999;
	console_ring_read(buf, 0, &index, false, true);
	assert_int_equal(console_ring_read(buf, sizeof(buf), &index, false, false), 0);
	printk("one\n");
	from = index;
	assert_int_equal(console_ring_read(buf, sizeof(buf), &index, true, false), STAMP + 4);
	assert_memory_equal(buf, "[    1.002003] one\n", STAMP + 4);
	assert_int_equal(console_ring_read(buf, sizeof(buf), &index, true, false), 0);
	assert_int_equal(console_ring_read(buf, 2, &from, true, false), 2);
	assert_int_equal(console_ring_read(buf, STAMP + 9, &from, true, false), STAMP + 2);
	index = from + 1000; /* not written yet: from the start */
	assert_int_equal(console_ring_read(buf, sizeof(buf), &index, true, false), STAMP + 4);
	for (unsigned int i = 0; i < CONFIG_CONSOLE_RING_SIZE / 8 + 10; i++)
		pr_debug("%07u\n", i);
	n = console_ring_read(buf, sizeof(buf), &index, false, false);
	assert_int_equal(n, sizeof(buf));
	assert_memory_equal(buf + n - 8, "0008201\n", 8);
	console_ring_read(buf, 0, &index, false, true);
}

/* What comes from the keyboard; returns what dom0 gets of it. */
static const char *type(const char *text)
{
	static char got[64];

	host.typed = text;
	console_input();
	got[console_guest_read(got, sizeof(got) - 1)] = '\0';
	return got;
}

static bool shown(const char *text)
{
	return strstr(host.console, text) != NULL;
}

#define SWITCH "\x01\x01\x01"
#define SECOND 1000000000ULL

static void input(void **state)
{
	struct evtchn_bind_virq bind = { .virq = VIRQ_CONSOLE };
	char buf[8];

	AS(dom0);
	assert_int_equal(EVTCHN(EVTCHNOP_bind_virq, &bind), 0);
	host.typed = "ab\x01z";
	console_input();
	assert_true(pending(dom0, bind.port));
	assert_int_equal(HC(__HYPERVISOR_console_io, CONSOLEIO_read, 2, U(buf)), 2);
	assert_memory_equal(buf, "ab", 2);
	assert_int_equal(HC(__HYPERVISOR_console_io, CONSOLEIO_read, 8, U(buf)), 2);
	assert_memory_equal(buf, "\x01z", 2);
	assert_int_equal(HC(__HYPERVISOR_console_io, CONSOLEIO_read, 8, U(buf)), 0);
	/* Three times Ctrl-A: to the hypervisor's keys and back. The mode shows at both ends. */
	assert_string_equal(type(SWITCH), "");
	assert_true(shown("Input goes to the hypervisor"));
	assert_true(shown("(pavise) debug key (h lists them, Enter leaves): "));
	console_clear();
	assert_string_equal(type("dregmh"), "");
	assert_true(shown("d1: refs"));
	assert_true(shown("free"));
	console_clear();
	assert_string_equal(type(SWITCH "x"), "x");
	assert_true(shown("Input goes to Domain 0"));
	assert_string_equal(type("m"), "m");
}

/* The debug keys end by Enter, by q, and when nobody types for a while. */
static void keys_end(void **state)
{
	static const char *const ends[] = { "\r", "\n", "q" };

	for (unsigned int i = 0; i < ARRAY_SIZE(ends); i++) {
		type(SWITCH);
		console_clear();
		assert_string_equal(type(ends[i]), "");
		assert_true(shown("Input goes to Domain 0"));
		assert_string_equal(type("m"), "m");
	}
	type(SWITCH);
	host.now += 29 * SECOND;
	timer_interrupt();
	assert_string_equal(type("m"), "");
	host.now += 29 * SECOND;
	timer_interrupt();
	assert_string_equal(type("R"), ""); /* asked for, not answered */
	console_clear();
	host.now += 31 * SECOND;
	timer_interrupt();
	assert_true(shown("Input goes to Domain 0"));
	assert_string_equal(type("y"), "y");
	host.now += 31 * SECOND;
	console_clear();
	timer_interrupt();
	assert_false(shown("Input goes"));
}

/* What ends or breaks something asks first. */
static void harm_is_confirmed(void **state)
{
	type(SWITCH);
	for (const char *key = "RCFW"; *key; key++) {
		assert_non_null(debug_key_harm(*key));
		console_clear();
		type((char[]){ *key, '\0' });
		assert_true(shown("? y/N "));
		assert_int_equal(host.end, RUNNING);
		/* Enter is no as well, and does not leave. */
		type(*key == 'F' ? "\r" : "n");
		assert_true(shown("Not done."));
	}
	for (const char *key = "hdqregm0v"; *key; key++)
		assert_null(debug_key_harm(*key));
	/* The answer is not taken for a key. */
	console_clear();
	type("Rm");
	assert_false(shown("free"));
	host.typed = "Ry";
	assert_int_equal(END(console_input()), REBOOT);
	host.typed = "Cy";
	assert_int_equal(END(console_input()), PANIC);
	type("\r");
}

/* What a terminal sends by itself, when a program or a guest asks it, is no key. */
static void answers_are_no_keys(void **state)
{
	static const char *const answers[] = {
		"\x1b[40;1R", /* where the cursor is */
		"\x1b[?62;1;6c", /* what it is */
		"\x9b"
		"40;1R", /* the same in one byte */
		"\xc2\x9b"
		"40;1R", /* in UTF-8 */
		"\x1b[A\x1b[1;5C\x1bOR\x1b[[C\x1b[3~", /* cursor and function keys */
		"\x1b[MR!C\x1b[<0;1;1M", /* mouse */
		"\x1b]lRyCyWy\x1b\\", /* the window's title, which a guest may have set */
		"\x1b]10;rgb:R/C/Wy\x07",
		"\x1bP0$rR\ny\r" SWITCH "Cy\x1b\\", /* echoes what was asked, controls and all */
		"\x90"
		"1RyRy\x1b\\",
		"\x1b#R\x1b?R\x1bRy\x1b/Zy", /* VT52 */
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(answers); i++) {
		type(SWITCH);
		console_clear();
		type(answers[i]);
		assert_false(shown("? y/N"));
		assert_false(shown("Input goes"));
		console_clear();
		type("m");
		assert_true(shown("free"));
		type("q");
	}
	/* The key after one is a key. */
	type(SWITCH);
	host.typed = "\x1b[?62;1;6cR\x1b[40;1Ry";
	assert_int_equal(END(console_input()), REBOOT);
	type("q");
	/* A piece of one, and then nothing: what comes after a silence is a key. */
	type(SWITCH "\x1b]x");
	console_clear();
	host.now += 2 * SECOND;
	type("m");
	assert_true(shown("free"));
	type("q");
}

/* Nor do they switch to the debug keys; dom0 gets them whole. */
static void answers_do_not_switch(void **state)
{
	static const char text[] = "\x1bP0$r" SWITCH "Ry\x1b\\";

	console_clear();
	assert_string_equal(type(text), text);
	assert_false(shown("Input goes"));
	assert_string_equal(type("\x1b[M" SWITCH "x"), "\x1b[M" SWITCH "x");
	assert_string_equal(type("\x01\x1b[1R\x01\x01"), "\x01\x1b[1R");
	assert_string_equal(type("x"), "\x01\x01x");
	/* Text beyond ASCII is no sequence, though some of its bytes are controls by themselves. */
	type("stra\xc3\x9f"
	     "e \xe2\x82\x9b \xf0\x9f\x90\x9b" SWITCH);
	assert_true(shown("Input goes to the hypervisor"));
	type("q");
	console_clear();
	type("\x1b" SWITCH);
	assert_true(shown("Input goes to the hypervisor"));
	type("q");
}

/* Types a text whose bytes can be told apart until no more is taken; returns what is left. */
static const char *fill(char *text, size_t size)
{
	for (size_t i = 0; i < size - 1; i++)
		text[i] = '0' + i % 71 % 10;
	text[size - 1] = '\0';
	host.typed = text;
	console_input();
	return host.typed;
}

static void take_all(char *got, size_t n, unsigned int step)
{
	while (n) {
		size_t more = console_guest_read(got, min(n, (size_t)step));

		assert_true(more);
		got += more;
		n -= more;
		assert_false(host.rx_off);
		console_input();
	}
	assert_int_equal(console_guest_read(got, 1), 0);
}

/* A dom0 that lives loses nothing, however long it takes: what there is no room for stays in the UART. */
static void long_input(void **state)
{
	static char text[40000], got[sizeof(text)];
	struct evtchn_bind_virq bind = { .virq = VIRQ_CONSOLE };
	const char *rest;

	AS(dom0);
	assert_int_equal(EVTCHN(EVTCHNOP_bind_virq, &bind), 0);
	rest = fill(text, sizeof(text));
	assert_true(rest - text >= 16000);
	assert_true(host.rx_off);
	take_all(got, sizeof(text) - 1, 16);
	assert_memory_equal(got, text, sizeof(text) - 1);

	/* It takes its events, but its program reads nothing for ten minutes. */
	rest = fill(text, sizeof(text));
	for (unsigned int i = 0; i < 600; i++) {
		clear_pending(dom0);
		host.now += SECOND;
		timer_interrupt();
		assert_true(host.rx_off);
		assert_true(pending(dom0, bind.port)); /* asked again */
	}
	assert_ptr_equal(host.typed, rest);
	take_all(got, sizeof(text) - 1, 80);
	assert_memory_equal(got, text, sizeof(text) - 1);
}

/* The debug keys are there when dom0 is dead, whatever was typed before. */
static void input_of_a_dead_dom0(void **state)
{
	static char text[20000], got[sizeof(text)];
	struct evtchn_bind_virq bind = { .virq = VIRQ_CONSOLE };
	size_t n, held;

	for (unsigned int listens = 0; listens < 2; listens++) {
		AS(dom0);
		if (listens)
			assert_int_equal(EVTCHN(EVTCHNOP_bind_virq, &bind), 0);
		/* Few keys are found at once. */
		host.typed = "ls\r" SWITCH;
		console_clear();
		console_input();
		assert_true(shown("Input goes to the hypervisor"));
		type("q");
		held = fill(text, sizeof(text)) - text;
		for (unsigned int i = 0; i < 9; i++) {
			host.now += SECOND;
			timer_interrupt();
			console_input(); /* for nothing: it is counted all the same */
			assert_true(host.rx_off);
		}
		host.now += 2 * SECOND;
		timer_interrupt();
		assert_false(host.rx_off);
		host.typed = "lost" SWITCH "m\r";
		console_clear();
		console_input();
		assert_true(shown("free"));
		assert_false(host.rx_off);
		/* Room for a few is left, which held back switch characters could have taken. */
		n = console_guest_read(got, sizeof(got));
		assert_in_range(n, held, held + 3);
		assert_memory_equal(got, text, held);
		assert_string_equal(type("on"), "on");
	}
}

static void console_io(void **state)
{
	char text[1000], c;

	memset(text, 'k', sizeof(text));
	AS(dom0);
	console_clear();
	host.preempt_every = 2;
	assert_int_equal(HC(__HYPERVISOR_console_io, CONSOLEIO_write, sizeof(text), U(text)), 0);
	assert_true(host.restarts);
	assert_int_equal(host.console_len, sizeof(text));
	host.preempt_every = 0;
	assert_int_equal(HC(__HYPERVISOR_console_io, CONSOLEIO_write, 0, 0), 0);
	assert_int_equal(HC(__HYPERVISOR_console_io, CONSOLEIO_write, 5, 8), -EFAULT);
	assert_int_equal(HC(__HYPERVISOR_console_io, CONSOLEIO_write, ~0UL, U(text)), -EINVAL);
	assert_int_equal(HC(__HYPERVISOR_console_io, CONSOLEIO_write, 1UL << 32, U(text)), -EINVAL);
	assert_int_equal(HC(__HYPERVISOR_console_io, 7, 1, U(text)), -ENOSYS);
	AS(u1);
	assert_int_equal(HC(__HYPERVISOR_console_io, CONSOLEIO_read, 1, U(&c)), -EPERM);
	console_clear();
	assert_int_equal(HC(__HYPERVISOR_console_io, CONSOLEIO_write, 4, U("abc\n")), 0);
	assert_non_null(strstr(host.console, "(d1) abc"));
}

/* A flood costs the guest its output, and nobody else; the log counts what is lost. */
static void a_flood_is_dropped(void **state)
{
	char line[101];
	unsigned int printed;

	memset(line, 'f', sizeof(line));
	line[sizeof(line) - 1] = '\n';
	for (unsigned int i = 0; i < 10000; i++)
		console_guest_write(u1, line, sizeof(line));
	printed = u1->console.spent / 108;
	assert_in_range(printed, 300, 310);
	assert_non_null(strstr(host.console, "d1 prints too much"));
	console_clear();
	console_guest_write(u1, line, sizeof(line));
	assert_int_equal(host.console_len, 0);
	console_guest_write(u2, line, sizeof(line)); /* another guest */
	assert_non_null(strstr(host.console, "(d2) fff"));
	console_guest_write(dom0, line, sizeof(line));
	/* A second later not yet, then again, with the count. */
	console_clear();
	advance(1000000000);
	console_guest_write(u1, line, sizeof(line));
	assert_int_equal(host.console_len, 0);
	advance(4000000000UL);
	console_guest_write(u1, line, sizeof(line));
	assert_non_null(strstr(host.console, "bytes of its output were dropped"));
	assert_non_null(strstr(host.console, "(d1) fff"));
	/* Bytes that print nothing cost as well. */
	memset(line, '\n', sizeof(line));
	for (unsigned int i = 0; i < 10000; i++)
		console_guest_write(u1, line, sizeof(line));
	assert_true(u1->console.dropped > 1000000);
	/* dom0 is free. */
	for (unsigned int i = 0; i < 1000; i++)
		console_guest_write(dom0, line, sizeof(line));
	assert_int_equal(dom0->console.spent, 0);
}

/* Two vCPUs on two harts do not fill the bucket by looking at the clock in one order and taking the lock in the other. */
static void the_clock_goes_one_way(void **state)
{
	static char line[1024];
	u64 spent;

	memset(line, 'x', sizeof(line));
	for (unsigned int i = 0; i < 100; i++)
		console_guest_write(u1, line, sizeof(line));
	spent = u1->console.spent;
	host.now += 10000000;
	console_guest_write(u1, "a\n", 2);
	host.now -= 1;
	console_guest_write(u1, "b\n", 2);
	host.now += 1;
	assert_in_range(u1->console.spent, spent - 100, spent);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(guests_lines),
		TEST(lines_are_gathered),
		TEST(last_words),
		TEST(dom0_line_is_whole),
		TEST(log_ring),
		TEST(input),
		TEST(keys_end),
		TEST(harm_is_confirmed),
		TEST(answers_are_no_keys),
		TEST(answers_do_not_switch),
		TEST(long_input),
		TEST(input_of_a_dead_dom0),
		TEST(a_flood_is_dropped),
		TEST(the_clock_goes_one_way),
		TEST(console_io),
	};

	return RUN(tests);
}
