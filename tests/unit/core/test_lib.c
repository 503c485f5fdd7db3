// SPDX-License-Identifier: BSD-2-Clause
/*
 * lib/printf.c against the C library's, parse_size, bits; the console's log ring, guests' lines, input.
 */
#include "host.h"

#define SAME(fmt, ...) \
	do { \
		char ours[128], theirs[128]; \
		int n = pv_snprintf(ours, sizeof(ours), fmt, ##__VA_ARGS__); \
		assert_int_equal(n, snprintf(theirs, sizeof(theirs), fmt, ##__VA_ARGS__)); \
		assert_string_equal(ours, theirs); \
	} while (0)

static void formats(void **state)
{
	SAME("plain %% text");
	SAME("%d %d %d %i", 0, -1, 2147483647, -2147483647 - 1);
	SAME("%u %x %X %lu %lx", ~0U, 0xdeadbeefU, 0xdeadbeefU, ~0UL, ~0UL);
	SAME("%ld %lld %zu", -9223372036854775807L - 1, 9223372036854775807LL, sizeof(int));
	SAME("%5d|%-5d|%05d|%+d|%+05d|%5d", 42, 42, 42, 42, 42, -42);
	SAME("%.3d|%8.3d|%-8.3d|", 7, 7, 7);
	SAME("%016lx|%8x|%-8x|", 0x1234UL, 0x12, 0x12);
	SAME("%s|%10s|%-10s|%.3s|%10.2s|", "hello", "hello", "hello", "hello", "hello");
	SAME("%c%c", 'a', 'z');
	SAME("%hhx %hx %hhd %hd", 0x1ff, 0x1ffff, 0x1ff, 0x18000);
	SAME("%*d|%.*s", 6, 42, 2, "hello");
	SAME("%p", (void *)0x1234);
}

static void formats_of_its_own(void **state)
{
	char buf[32];
	const char *volatile none = NULL;

	assert_int_equal(pv_snprintf(buf, sizeof(buf), "%s", none), 6);
	assert_string_equal(buf, "(null)");
	/* A format that ends too soon. */
	memcpy(buf, "ab%", 4);
	assert_int_equal(pv_snprintf(buf + 8, 8, buf), 2);
	assert_string_equal(buf + 8, "ab");
}

static void output_is_bounded_and_terminated(void **state)
{
	char buf[8];

	memset(buf, 'x', sizeof(buf));
	assert_int_equal(pv_snprintf(buf, 4, "%s", "abcdef"), 6);
	assert_string_equal(buf, "abc");
	assert_int_equal(buf[4], 'x');
	assert_int_equal(pv_snprintf(buf, 1, "%d", 12345), 5);
	assert_string_equal(buf, "");
	assert_int_equal(pv_snprintf(NULL, 0, "%d", 12345), 5);
	/* %.ns reads no further than n. */
	memset(buf, 'y', sizeof(buf));
	assert_int_equal(pv_snprintf(NULL, 0, "%.8s", buf), 8);
	assert_int_equal(pv_strlcpy(buf, "abcdefghij", sizeof(buf)), 7);
	assert_string_equal(buf, "abcdefg");
	assert_int_equal(pv_strlcpy(buf, "abc", 0), 0);
	assert_int_equal(pv_strlcpy(buf, "abc", 1), 0);
	assert_string_equal(buf, "");
}

static void sizes(void **state)
{
	static const struct {
		const char *text;
		u64 value;
		const char *rest;
	} cases[] = {
		{ "0", 0, "" },
		{ "123", 123, "" },
		{ "0x1F", 31, "" },
		{ "64M", 64UL << 20, "" },
		{ "1g", 1UL << 30, "" },
		{ "4k,rest", 4096, ",rest" },
		{ "512 M", 512, " M" },
		{ "", 0, "" },
		{ "x", 0, "x" },
		{ "18446744073709551615", ~0UL, "" },
		{ "0xffffffffffffffff", ~0UL, "" },
		{ "2GB", 2UL << 30, "B" },
	};
	const char *end;

	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(parse_size(cases[i].text, &end), cases[i].value);
		assert_string_equal(end, cases[i].rest);
	}
	assert_int_equal(parse_size("5", NULL), 5);
}

static void bits(void **state)
{
	u64 w[2] = { 0 };

	assert_int_equal(fls64(0), 0);
	assert_int_equal(fls64(1), 1);
	assert_int_equal(fls64(~0ULL), 64);
	assert_int_equal(ffs64(0), 0);
	assert_int_equal(ffs64(0x80), 8);
	assert_false(test_and_set_bit(64, w));
	assert_true(test_and_set_bit(64, w));
	assert_int_equal(w[1], 1);
	set_bit(63, w);
	assert_true(test_bit(63, w));
	assert_true(test_and_clear_bit(63, w));
	assert_false(test_and_clear_bit(63, w));
	clear_bit(64, w);
	assert_int_equal(w[0] | w[1], 0);
}

static void guests_lines(void **state)
{
	char line[300];

	console_clear();
	console_guest_write(u1, "hello\nworld", 11);
	assert_non_null(strstr(host.console, "(d1) hello\r\n"));
	assert_non_null(strstr(host.console, "(d1) world"));
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

static void log_ring(void **state)
{
	char buf[CONFIG_CONSOLE_RING_SIZE];
	u32 index = 0, from;
	size_t n;

	console_ring_read(buf, 0, &index, false, true);
	assert_int_equal(console_ring_read(buf, sizeof(buf), &index, false, false), 0);
	printk("one\n");
	from = index;
	assert_int_equal(console_ring_read(buf, sizeof(buf), &index, true, false), 4);
	assert_memory_equal(buf, "one\n", 4);
	assert_int_equal(console_ring_read(buf, sizeof(buf), &index, true, false), 0);
	assert_int_equal(console_ring_read(buf, 2, &from, true, false), 2);
	assert_int_equal(console_ring_read(buf, 9, &from, true, false), 2);
	index = from + 1000; /* not written yet: from the start */
	assert_int_equal(console_ring_read(buf, sizeof(buf), &index, true, false), 4);
	for (unsigned int i = 0; i < CONFIG_CONSOLE_RING_SIZE / 8 + 10; i++)
		pr_debug("%07u\n", i);
	n = console_ring_read(buf, sizeof(buf), &index, false, false);
	assert_int_equal(n, sizeof(buf));
	assert_memory_equal(buf + n - 8, "0008201\n", 8);
	console_ring_read(buf, 0, &index, false, true);
}

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
	/* Three times Ctrl-A: to the hypervisor's keys and back. */
	host.typed = "\x01\x01\x01";
	console_input();
	console_clear();
	host.typed = "qregmh";
	console_input();
	assert_non_null(strstr(host.console, "d1: refs"));
	assert_non_null(strstr(host.console, "free"));
	assert_int_equal(console_guest_read(buf, 8), 0);
	host.typed = "R";
	assert_int_equal(END(console_input()), REBOOT);
	host.typed = "\x01\x01\x01x";
	console_input();
	assert_int_equal(console_guest_read(buf, 8), 1);
	assert_int_equal(console_guest_read(buf, 8), 0);
}

/* More than there is room for stays in the UART, until dom0 reads or has not for a second. */
static void long_input(void **state)
{
	static char text[601];
	char got[sizeof(text)];
	size_t n = 0, held;

	for (unsigned int i = 0; i < sizeof(text) - 1; i++)
		text[i] = '0' + i % 10;
	host.typed = text;
	console_input();
	assert_true(host.rx_off);
	while (n < sizeof(text) - 1) {
		size_t more = console_guest_read(got + n, 16);

		assert_true(more);
		n += more;
		assert_false(host.rx_off);
		console_input();
	}
	assert_memory_equal(got, text, n);
	assert_int_equal(console_guest_read(got, 8), 0);

	host.typed = text;
	console_input();
	held = host.typed - text;
	assert_in_range(held, 250, 256);
	host.now += 999999999;
	timer_interrupt();
	assert_true(host.rx_off);
	host.now += 2;
	timer_interrupt();
	assert_false(host.rx_off);
	host.typed = "lost\x01\x01\x01m\x01\x01\x01";
	console_clear();
	console_input();
	assert_non_null(strstr(host.console, "free"));
	assert_false(host.rx_off);
	/* Room for a few is left, which held back switch characters could have taken. */
	n = console_guest_read(got, sizeof(got));
	assert_in_range(n, held, 256);
	assert_memory_equal(got, text, held);
	host.typed = text + sizeof(text) - 3;
	console_input();
	assert_int_equal(console_guest_read(got, 8), 2);
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
	assert_int_equal(HC(__HYPERVISOR_console_io, CONSOLEIO_write, 3, U("abc")), 0);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(formats),
		TEST(formats_of_its_own),
		TEST(output_is_bounded_and_terminated),
		TEST(sizes),
		TEST(bits),
		TEST(guests_lines),
		TEST(log_ring),
		TEST(input),
		TEST(long_input),
		TEST(a_flood_is_dropped),
		TEST(console_io),
	};

	return RUN(tests);
}
