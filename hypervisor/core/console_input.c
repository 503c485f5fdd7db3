/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The UART's input and who gets it: dom0, or, after Ctrl-A three times, the debug keys (debug.c).
 * Owns the rule that a terminal's own answers are nobody's commands to the hypervisor.
 */
#include <arch-api.h>
#include <console.h>
#include <debug.h>
#include <event.h>
#include <lib.h>
#include <lock.h>
#include <timer.h>

#define SWITCH_CHAR 0x01
#define SWITCH_COUNT 3
#define NS_PER_S 1000000000ULL

/*
 * Input for dom0, between the UART's interrupt and CONSOLEIO_read: room for what people paste. While
 * it is full the rest waits in the UART, whose sender waits in turn, and so nothing is lost as long
 * as dom0 lives, however slow it is. It lives if it takes VIRQ_CONSOLE, which it is sent each second
 * while it does not read: a kernel whose programs are busy does. Once it has not for DEAD_AFTER, the
 * rest is dropped until it reads again, so that Ctrl-A is found behind it.
 */
#define INPUT_SIZE 16384 /* a power of two */
#define LOOK_NS NS_PER_S
#define DEAD_AFTER 10 /* looks */
static char input[INPUT_SIZE];
static u32 input_prod, input_cons; /* free-running */
static struct spinlock input_lock = SPINLOCK_INIT(LOCK_INPUT);
static bool input_stalled, input_dropping; /* under input_lock */
static void input_look(void *unused);
static struct timer look_timer = { .fn = input_look };
static unsigned int looks; /* in vain */

/* From here on: console_input() and timers that it arms, all on the hart that has the UART. */

/* The keyboard is the hypervisor's for so long after the last key. */
#define KEYS_NS (30 * NS_PER_S)
static bool to_hypervisor;
static unsigned int switch_seen;
static char asked; /* the key that waits for a "y" */
static void keys_timeout(void *unused);
static struct timer keys_timer = { .fn = keys_timeout };

/*
 * Where in an escape sequence the input is (ECMA-48, and what terminals send beside it). A terminal
 * sends them for cursor keys and mouse, and as the answer to a program's question; some of them have
 * letters in them, and some have text that the questioner chose. They come in one piece: after a
 * silence the next byte is a key again, whatever was before (a lone Escape, Alt-]).
 */
#define ANSWER_GAP_NS NS_PER_S
static enum {
	KEY,
	ESCAPE, /* after ESC, and intermediates */
	CSI_START, /* after ESC [ */
	CSI,
	STRING, /* DCS, OSC, SOS, PM, APC, up to BEL or ESC \ */
	FIXED, /* so many bytes more: SS2, SS3, a mouse report, a Linux console's function key */
} answer;
static unsigned int answer_left;
static u64 answer_last;
static unsigned int utf8_left; /* bytes of a character that is not a control */

/* The byte after ESC, and after what may stand between it and the end. */
static void after_escape(u8 c)
{
	switch (c) {
	case '[':
		answer = CSI_START;
		break;
	case 'P': /* DCS */
	case 'X': /* SOS */
	case ']': /* OSC */
	case '^': /* PM */
	case '_': /* APC */
		answer = STRING;
		break;
	case 'N': /* SS2 */
	case 'O': /* SS3 */
	case '?': /* SS3 of a VT52 */
		answer = FIXED;
		answer_left = 1;
		break;
	case ' ' ... '/':
		break;
	default:
		answer = KEY;
	}
}

static void in_csi(u8 c)
{
	bool start = answer == CSI_START;

	answer = CSI;
	if (c < '@' || c > '~')
		return;
	answer = KEY;
	if (start && (c == 'M' || c == '[')) {
		answer = FIXED;
		answer_left = c == 'M' ? 3 : 1;
	}
}

/* A control of 0x80 to 0x9f, as one byte or in UTF-8, and not the middle of another character. */
static bool is_c1(u8 c)
{
	if (c >= 0x80 && c < 0xc0) {
		if (utf8_left) {
			utf8_left--;
			return false;
		}
		return c < 0xa0;
	}
	utf8_left = c < 0xc3 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
	return false;
}

/* Whether a byte is part of an escape sequence, and so nobody's key. */
static bool is_answer(u8 c)
{
	u64 now = arch_time_ns(), last = READ_ONCE(answer_last);

	if (now > last && now - last > ANSWER_GAP_NS)
		answer = KEY;
	WRITE_ONCE(answer_last, now);
	if (c == 0x1b) {
		answer = ESCAPE;
		return true;
	}
	/* No sequence but strings and mouse reports has a control in it: that is a key again. */
	if (c < ' ' && answer != STRING && answer != FIXED)
		answer = KEY;
	switch (answer) {
	case KEY:
		if (!is_c1(c))
			return false;
		after_escape(c - 0x40);
		return true;
	case ESCAPE:
		after_escape(c);
		return true;
	case CSI_START:
	case CSI:
		in_csi(c);
		return true;
	case STRING:
		if (c == 0x07)
			answer = KEY;
		return true;
	default:
		if (!--answer_left)
			answer = KEY;
		return true;
	}
}

/* ---- dom0's ---- */

static void input_to_dom0(char c)
{
	spin_lock(&input_lock);
	if (input_prod - input_cons < INPUT_SIZE)
		input[input_prod++ % INPUT_SIZE] = c;
	spin_unlock(&input_lock);
}

size_t console_guest_read(char *s, size_t n)
{
	size_t got = 0;

	spin_lock(&input_lock);
	while (got < n && input_cons != input_prod)
		s[got++] = input[input_cons++ % INPUT_SIZE];
	if (got) {
		input_dropping = false;
		if (input_stalled) {
			/* The silence was ours. */
			WRITE_ONCE(answer_last, arch_time_ns());
			arch_console_rx(true);
		}
		input_stalled = false;
	}
	spin_unlock(&input_lock);
	return got;
}

static void input_look(void *unused)
{
	bool dead, stalled;

	(void)unused;
	if (guest_global_virq_waits(dom0, VIRQ_CONSOLE))
		looks++;
	else
		looks = 0;
	dead = looks >= DEAD_AFTER;
	spin_lock(&input_lock);
	stalled = input_stalled;
	if (stalled && dead) {
		input_stalled = false;
		input_dropping = true;
		WRITE_ONCE(answer_last, arch_time_ns());
		arch_console_rx(true);
	}
	spin_unlock(&input_lock);
	if (!stalled || dead)
		return;
	send_guest_global_virq(dom0, VIRQ_CONSOLE);
	timer_set(&look_timer, arch_time_ns() + LOOK_NS);
}

/* Whether a character can be taken from the UART; if not, its interrupt is off until there is room. */
static bool input_has_room(void)
{
	bool room, begins = false;

	if (to_hypervisor)
		return true;
	spin_lock(&input_lock);
	/* One character may bring the switch characters that were held back before it. */
	room = input_dropping || INPUT_SIZE - (input_prod - input_cons) >= SWITCH_COUNT;
	if (!room) {
		begins = !input_stalled;
		input_stalled = true;
		arch_console_rx(false);
	}
	spin_unlock(&input_lock);
	if (begins) {
		looks = 0;
		timer_set(&look_timer, arch_time_ns() + LOOK_NS);
	}
	return room;
}

/* ---- the hypervisor's ---- */

static void prompt(void)
{
	console_prompt("debug key (h lists them, Enter leaves): ");
	timer_set(&keys_timer, arch_time_ns() + KEYS_NS);
}

static void enter_keys(void)
{
	to_hypervisor = true;
	printk("Input goes to the hypervisor until Enter, q, Ctrl-A three times or %u s without a key.\n",
	       (unsigned int)(KEYS_NS / NS_PER_S));
	prompt();
}

static void leave_keys(void)
{
	to_hypervisor = false;
	asked = 0;
	timer_stop(&keys_timer);
	printk("Input goes to Domain 0.\n");
}

static void keys_timeout(void *unused)
{
	(void)unused;
	if (to_hypervisor)
		leave_keys();
}

static void typed_key(char c)
{
	char question[64];
	char key = asked;

	asked = 0;
	console_prompt_answer(c);
	if (key) {
		if (c == 'y' || c == 'Y')
			debug_key(key);
		else
			printk("Not done.\n");
	} else if (c == '\r' || c == '\n' || c == 'q') {
		leave_keys();
		return;
	} else if (debug_key_harm(c)) {
		asked = c;
		pv_snprintf(question, sizeof(question), "%s? y/N ", debug_key_harm(c));
		console_prompt(question);
		timer_set(&keys_timer, arch_time_ns() + KEYS_NS);
		return;
	} else {
		debug_key(c);
	}
	prompt();
}

static void input_char(char c)
{
	bool is_key = !is_answer(c);

	if (is_key && c == SWITCH_CHAR) {
		if (++switch_seen < SWITCH_COUNT)
			return;
		switch_seen = 0;
		if (to_hypervisor)
			leave_keys();
		else
			enter_keys();
		return;
	}
	/* Fewer than three belong to whoever listens. */
	for (; switch_seen; switch_seen--) {
		if (!to_hypervisor)
			input_to_dom0(SWITCH_CHAR);
	}
	if (!to_hypervisor)
		input_to_dom0(c);
	else if (is_key)
		typed_key(c);
}

void console_input(void)
{
	bool any = false;
	int c;

	while (input_has_room() && (c = arch_console_getc()) >= 0) {
		input_char(c);
		any = true;
	}
	if (any && !to_hypervisor)
		send_guest_global_virq(dom0, VIRQ_CONSOLE);
}
