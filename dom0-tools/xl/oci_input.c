// SPDX-License-Identifier: BSD-2-Clause
/*
 * What xl oci run reads for its guest's program: bytes, or keys of a terminal.
 * Owns the local terminal's mode, and how the end of a file gets through a console, which has none (oci/params.h). Nothing waits
 * here: what the guest does not take yet is kept, and no more is read meanwhile.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../oci/params.h"
#include "oci_input.h"

void oci_input_begin(struct oci_input *in, bool tty)
{
	struct termios raw;

	in->open = true;
	in->tty = tty;
	in->is_raw = tty && isatty(0) && !tcgetattr(0, &in->saved);
	if (!in->is_raw)
		return;
	raw = in->saved;
	cfmakeraw(&raw);
	tcsetattr(0, TCSADRAIN, &raw);
}

void oci_input_end(struct oci_input *in)
{
	if (in->is_raw)
		tcsetattr(0, TCSADRAIN, &in->saved);
	in->is_raw = in->open = false;
}

bool oci_input_wants(const struct oci_input *in)
{
	return in->open && in->sent == in->nr;
}

bool oci_input_has(const struct oci_input *in)
{
	return in->sent < in->nr;
}

static void put(struct oci_input *in, char c)
{
	in->buf[in->nr++] = c;
}

static void put_mark(struct oci_input *in, char c)
{
	put(in, OCI_INPUT_MARK);
	put(in, c | OCI_INPUT_LETTER);
}

/* A file's. */
static void put_marked(struct oci_input *in, const char *text, ssize_t n)
{
	ssize_t i;

	for (i = 0; i < n; i++) {
		if (text[i] == OCI_INPUT_MARK || text[i] == OCI_INPUT_SYSRQ)
			put_mark(in, text[i]);
		else
			put(in, text[i]);
	}
	if (!n)
		put_mark(in, OCI_INPUT_END);
}

bool oci_input_read(struct oci_input *in)
{
	char text[sizeof(in->buf) / 2];
	ssize_t n = read(0, text, sizeof(text));
	const char *leave;

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return true;
	n = n < 0 ? 0 : n;
	in->nr = in->sent = 0;
	in->open = n > 0;
	leave = in->is_raw ? memchr(text, OCI_INPUT_LEAVE, (size_t)n) : NULL;
	if (leave)
		return false;
	if (!in->tty) {
		put_marked(in, text, n);
		return true;
	}
	memcpy(in->buf, text, (size_t)n);
	in->nr = (size_t)n;
	/* The end of what is no terminal is a key of the guest's. */
	if (!n)
		put(in, OCI_INPUT_END);
	return true;
}

bool oci_input_send(struct oci_input *in, int console)
{
	ssize_t n =
		send(console, in->buf + in->sent, in->nr - in->sent, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0)
		return errno == EINTR || errno == EAGAIN;
	in->sent += (size_t)n;
	return true;
}
