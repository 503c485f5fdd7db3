/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A full screen on a terminal that knows ECMA-48's sequences, as all do that one meets: lines, keys, its size. No terminfo:
 * dom0 has no database of it, and Debian's static ncurses for riscv64 is another C library's than the tools'.
 */
#ifndef XL_SCREEN_H
#define XL_SCREEN_H

#include <stdbool.h>

enum {
	KEY_NONE = 0, /* the time is up */
	KEY_REDRAW = 256, /* another size, or the terminal was somebody else's meanwhile */
	KEY_UP,
	KEY_DOWN,
	KEY_LEFT,
	KEY_RIGHT,
	KEY_PAGE_UP,
	KEY_PAGE_DOWN,
	KEY_HOME,
	KEY_END,
	KEY_ESCAPE, /* alone, or with what is no key here */
	KEY_LOST, /* the terminal has gone, or a signal ends us */
};

/* -1 after a message when stdin and stdout are no terminal. */
int screen_begin(void);
/* The terminal as it was. Also done at exit and by signals that kill. */
void screen_end(void);
/* At least 1 each. */
void screen_size(int *rows, int *cols);
/* A line of the next picture: as much of @text as fits. Those beyond the last row are left out. */
void screen_line(const char *text, bool reverse);
/* Shows the picture; rows without a line are empty. */
void screen_show(void);
/* A character, or KEY_*; waits up to @ms. */
int screen_key(int ms);

#endif /* XL_SCREEN_H */
