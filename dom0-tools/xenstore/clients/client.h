/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The xenstore-* clients: what the modes share.
 * Options and output are those of Xen's clients, which scripts and fingers know.
 * Each mode gets the arguments that follow its options.
 */
#ifndef XS_CLIENT_H
#define XS_CLIENT_H

#include <stdbool.h>
#include <xenstore.h>

struct options {
	bool full, perms, raw, tidy, recurse, upto, prefix;
	int count; /* watch -n; -1: for ever */
};

/* One run of a mode within transaction t. Returns 0, or 1 with a message printed. */
typedef int (*mode_fn)(struct xs_handle *h, xs_transaction_t t, const struct options *o, int argc,
		       char **argv);

int mode_ls(struct xs_handle *h, xs_transaction_t t, const struct options *o, int argc,
	    char **argv);
int mode_read(struct xs_handle *h, xs_transaction_t t, const struct options *o, int argc,
	      char **argv);
int mode_write(struct xs_handle *h, xs_transaction_t t, const struct options *o, int argc,
	       char **argv);
int mode_list(struct xs_handle *h, xs_transaction_t t, const struct options *o, int argc,
	      char **argv);
int mode_exists(struct xs_handle *h, xs_transaction_t t, const struct options *o, int argc,
		char **argv);
int mode_rm(struct xs_handle *h, xs_transaction_t t, const struct options *o, int argc,
	    char **argv);
int mode_chmod(struct xs_handle *h, xs_transaction_t t, const struct options *o, int argc,
	       char **argv);
int mode_watch(struct xs_handle *h, xs_transaction_t t, const struct options *o, int argc,
	       char **argv);
/* xenstore-control, which takes no options of its own. Returns the exit status. */
int control_main(const char *prog, int argc, char **argv);

/*
 * For a mode whose request failed, before it says so. Does not return if the transaction died with
 * the daemon (EAGAIN): the mode begins again, with what the next daemon has. (What it had allocated
 * stays allocated: these programs are short.)
 */
void again_if_lost(void);
/* Output is kept until the transaction has succeeded; a retry starts with none. */
void out(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void out_bytes(const void *p, size_t n);
/* The value with unprintable bytes escaped; free(). */
char *escape(const char *val, unsigned int len);
void *must(void *p); /* exits when NULL */
char *join_path(const char *dir, const char *name); /* free() */

#endif
