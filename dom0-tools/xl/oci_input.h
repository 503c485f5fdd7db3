/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Standard input of xl oci run on its way to the guest's console.
 */
#ifndef XL_OCI_INPUT_H
#define XL_OCI_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <termios.h>

#define OCI_INPUT_LEAVE 0x1d /* Ctrl-], as xl console has it */

struct oci_input {
	bool open; /* more may come */
	bool tty; /* the program has the console as its terminal */
	bool is_raw; /* standard input is a terminal, whose mode was @saved */
	struct termios saved;
	char buf[8192]; /* for the guest: @nr bytes, of which it has @sent */
	size_t nr, sent;
};

void oci_input_begin(struct oci_input *in, bool tty);
/* The terminal is as it was. */
void oci_input_end(struct oci_input *in);
/* Is something to be read? Is there something to send? */
bool oci_input_wants(const struct oci_input *in);
bool oci_input_has(const struct oci_input *in);
/* False: the key that leaves the guest alone was typed. */
bool oci_input_read(struct oci_input *in);
/* False: the console is gone. */
bool oci_input_send(struct oci_input *in, int console);

#endif /* XL_OCI_INPUT_H */
