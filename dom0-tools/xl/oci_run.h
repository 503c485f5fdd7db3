/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xl oci run's stay with its guest.
 */
#ifndef XL_OCI_RUN_H
#define XL_OCI_RUN_H

#include "oci.h"

/* podman's: what is wrong is not the program's doing. */
#define OCI_EXIT_OURS 125

/*
 * Makes the guest, gives it a supervisor and lets it go, until its program runs; then, but for @detach, passes on what its program
 * prints, with @interactive also what comes in, and waits for its end. The exit status. @image: what messages call it.
 */
int oci_run(struct xl *xl, struct xl_config *cfg, const char *image, bool detach, bool interactive);

#endif /* XL_OCI_RUN_H */
