// SPDX-License-Identifier: BSD-2-Clause
/*
 * The terminal as a screen (screen.h).
 * Owns the terminal's state: whatever ends the process, but SIGKILL, it is as it was.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "screen.h"
#include "xl.h"

/* The other page of the terminal, no cursor, no line that goes on in the next row. */
#define ENTER "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J"
#define LEAVE "\x1b[?7h\x1b[?25h\x1b[m\x1b[2J\x1b[H\x1b[?1049l"
/* Far down and right, then: where is that? A serial line does not know its terminal's size. */
#define ASK_SIZE "\x1b[999;999H\x1b[6n"
#define ESCAPE_MS 50 /* within that the rest of a key's sequence is there */

static struct termios saved;
static volatile sig_atomic_t active, resized, stopped;
static int told_rows, told_cols; /* by the terminal itself */
static char *picture;
static size_t picture_len, picture_size;
static int picture_rows;

static void put(const char *text, size_t n)
{
	ssize_t done;

	while (n) {
		done = write(1, text, n);
		if (done < 0 && errno == EINTR && !xl_interrupted)
			continue;
		if (done <= 0)
			return;
		text += done;
		n -= done;
	}
}

/* Also in a signal's handler. */
void screen_end(void)
{
	if (!active)
		return;
	active = 0;
	put(LEAVE, sizeof(LEAVE) - 1);
	tcsetattr(0, TCSANOW, &saved);
}

static void on_change(int sig)
{
	if (sig == SIGTSTP)
		stopped = 1;
	else
		resized = 1;
}

static void on_death(int sig)
{
	screen_end();
	signal(sig, SIG_DFL);
	raise(sig);
}

static void catch (int sig, void (*handler)(int))
{
	struct sigaction sa = { .sa_handler = handler };

	sigaction(sig, &sa, NULL);
}

static bool take_terminal(void)
{
	struct termios raw = saved;
	struct winsize w;

	/* Signals' keys stay. */
	raw.c_lflag &= ~(ICANON | ECHO);
	raw.c_iflag &= ~(IXON | ICRNL);
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	if (tcsetattr(0, TCSANOW, &raw))
		return false;
	active = 1;
	put(ENTER, sizeof(ENTER) - 1);
	if (ioctl(1, TIOCGWINSZ, &w) || !w.ws_row || !w.ws_col)
		put(ASK_SIZE, sizeof(ASK_SIZE) - 1);
	return true;
}

int screen_begin(void)
{
	static const int deadly[] = { SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGQUIT };
	static bool once;
	size_t i;

	if (!isatty(0) || !isatty(1) || tcgetattr(0, &saved))
		return xl_error("this wants a terminal; -b prints to a file or a pipe");
	if (!once) {
		once = true;
		atexit(screen_end);
		xl_catch_signals();
		for (i = 0; i < sizeof(deadly) / sizeof(*deadly); i++)
			catch (deadly[i], on_death);
		catch (SIGWINCH, on_change);
		catch (SIGCONT, on_change);
		catch (SIGTSTP, on_change);
	}
	if (!take_terminal())
		return xl_error("cannot set the terminal: %s", strerror(errno));
	return 0;
}

static int from_environment(const char *name)
{
	const char *text = getenv(name);
	int n = text ? atoi(text) : 0;

	return n > 0 && n <= 1000 ? n : 0;
}

void screen_size(int *rows, int *cols)
{
	struct winsize w = { 0 };

	ioctl(1, TIOCGWINSZ, &w);
	*rows = w.ws_row ? w.ws_row : told_rows ? told_rows : from_environment("LINES");
	*cols = w.ws_col ? w.ws_col : told_cols ? told_cols : from_environment("COLUMNS");
	*rows = *rows ? *rows : 24;
	*cols = *cols ? *cols : 80;
}

/* --- the picture ----------------------------------------------------------------------------- */

static void add(const char *text, size_t n)
{
	if (picture_len + n > picture_size) {
		picture_size = (picture_len + n) * 2;
		picture = realloc(picture, picture_size);
		if (!picture)
			abort();
	}
	memcpy(picture + picture_len, text, n);
	picture_len += n;
}

/* A row from its first column on; in full, so that nothing of what was there remains. */
void screen_line(const char *text, bool reverse)
{
	char head[32];
	int rows, cols, i;

	screen_size(&rows, &cols);
	if (picture_rows >= rows)
		return;
	add(head,
	    snprintf(head, sizeof(head), "\x1b[%d;1H%s", ++picture_rows, reverse ? "\x1b[7m" : ""));
	/* One byte, one column: what is more, or would act on the terminal, is not shown. */
	for (i = 0; i < cols; i++) {
		if (!*text)
			add(" ", 1);
		else
			add(*text >= ' ' && *text < 0x7f ? text : "?", 1);
		text += !!*text;
	}
	if (reverse)
		add("\x1b[m", 3);
}

void screen_show(void)
{
	int rows, cols;

	screen_size(&rows, &cols);
	while (picture_rows < rows)
		screen_line("", false);
	put(picture, picture_len);
	picture_len = 0;
	picture_rows = 0;
}

/* --- keys ------------------------------------------------------------------------------------ */

/* The next byte, or -1. */
static int next_byte(int ms)
{
	struct pollfd pfd = { .fd = 0, .events = POLLIN };
	unsigned char c;

	if (poll(&pfd, 1, ms) <= 0 || read(0, &c, 1) != 1)
		return -1;
	return c;
}

/* What follows ESC [ */
static int control_sequence(void)
{
	static const struct {
		char final;
		int number, key;
	} keys[] = {
		{ 'A', 0, KEY_UP },   { 'B', 0, KEY_DOWN },    { 'C', 0, KEY_RIGHT },
		{ 'D', 0, KEY_LEFT }, { 'H', 0, KEY_HOME },    { 'F', 0, KEY_END },
		{ '~', 1, KEY_HOME }, { '~', 4, KEY_END },     { '~', 7, KEY_HOME },
		{ '~', 8, KEY_END },  { '~', 5, KEY_PAGE_UP }, { '~', 6, KEY_PAGE_DOWN },
	};
	int number[2] = { 0, 0 }, n = 0, c, digits = 0;
	size_t i;

	while ((c = next_byte(ESCAPE_MS)) >= 0 && c < '@') {
		if (c == ';')
			n = 1;
		else if (c >= '0' && c <= '9' && ++digits < 9)
			number[n] = number[n] * 10 + c - '0';
	}
	if (c == 'R' && number[0] > 0 && number[1] > 0 && number[0] <= 1000 && number[1] <= 1000) {
		told_rows = number[0];
		told_cols = number[1];
		return KEY_REDRAW;
	}
	for (i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		if (c == keys[i].final && (c != '~' || number[0] == keys[i].number))
			return keys[i].key;
	return KEY_ESCAPE;
}

static int escape(void)
{
	int c = next_byte(ESCAPE_MS);

	if (c == '[')
		return control_sequence();
	/* Cursor keys of a terminal in application mode. */
	c = c == 'O' ? next_byte(ESCAPE_MS) : -1;
	return c == 'A' ? KEY_UP :
	       c == 'B' ? KEY_DOWN :
	       c == 'C' ? KEY_RIGHT :
	       c == 'D' ? KEY_LEFT :
			  KEY_ESCAPE;
}

/* Stopped by the user: the terminal is the shell's until we go on. */
static void stop(void)
{
	stopped = 0;
	screen_end();
	raise(SIGSTOP);
	take_terminal();
}

int screen_key(int ms)
{
	struct pollfd pfd = { .fd = 0, .events = POLLIN };
	unsigned char c;
	int n;

	n = resized || stopped || xl_interrupted ? 0 : poll(&pfd, 1, ms);
	if (xl_interrupted)
		return KEY_LOST;
	if (stopped) {
		stop();
		return KEY_REDRAW;
	}
	if (resized) {
		resized = 0;
		/* Stopped from outside, another may have had the terminal. */
		take_terminal();
		return KEY_REDRAW;
	}
	if (n <= 0)
		return KEY_NONE;
	n = read(0, &c, 1);
	if (n != 1)
		return n < 0 && errno == EINTR ? KEY_NONE : KEY_LOST;
	return c == 0x1b ? escape() : c;
}
