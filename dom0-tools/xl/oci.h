/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest that is an OCI image (oci= in xl.cfg): what its configuration says, what its init (dom0-tools/oci) is told, and how its
 * program ended. Nobody in dom0 reads the image: it is a disk of the guest.
 */
#ifndef XL_OCI_H
#define XL_OCI_H

#include "xl.h"

struct oci_texts {
	char **v;
	int nr;
};

/* NULL is the image's own choice. */
struct xl_oci {
	char *spec; /* PATH[:NAME] with an absolute path */
	char *path, *ref;
	char *entrypoint, *user, *workdir, *hostname;
	char *root; /* a disk's vdev */
	char *input; /* as OCI_INPUT; NULL: none */
	char *network; /* as OCI_NETWORK (oci/params.h); NULL: none */
	unsigned long grace; /* seconds; 0: the init's default */
	bool read_only;
	struct oci_texts args, env, volumes;
	/* Of a directory: its archive, while the guest is made, or NULL. */
	char *packed;
	int packed_fd;
};

/* Any key of xl.cfg that begins with "oci". Messages by cfg_error(). */
void oci_key(struct xl_config *c, const struct cfg_setting *s);
/* Once all keys are read: kernel, ramdisk, command line, memory and disk of such a guest. */
void oci_complete(struct xl_config *c);
void oci_free(struct xl_config *c);
void oci_free_texts(struct oci_texts *t);
/* Is the image there, and an archive by its length, or a layout? 0, or -1 with a message by config_error(). */
int oci_check(struct xl_config *c);
bool oci_is_directory(const struct xl_config *c);
/*
 * A layout that is a directory becomes an archive, for the next domain_create(); of anything else nothing is done. *@lock: from xl_lock(),
 * held again at the end, but not meanwhile. 0, or -1 after a message, with the lock given back.
 */
int oci_pack(struct xl_config *c, int *lock);
/* The archive has no name any more: the domain has it, or is not to be. */
void oci_discard(struct xl_config *c);
/* What the guest's init reads. False with errno. */
bool oci_write(struct xl *xl, xs_transaction_t t, uint32_t domid, const struct xl_config *c);

/* Does its program run, or has it? What the guest says. */
bool oci_runs(struct xl *xl, uint32_t domid);
/* What a guest that has ended says of its program. Its nodes are still there. */
void oci_read_end(struct xl *xl, uint32_t domid, struct oci_end *end);
/* In words, "exit status 3"; the caller frees. */
char *oci_end_words(const struct oci_end *end);
/* As a shell has it. */
int oci_end_status(const struct oci_end *end);

#endif /* XL_OCI_H */
