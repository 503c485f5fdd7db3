/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The part of arch-api.h's P2M that is asked for so often that an architecture may have it inline, for files that do: it needs to know
 * domains and pages, which arch-api.h comes before.
 */
#ifndef PAVISE_ARCH_P2M_H
#define PAVISE_ARCH_P2M_H

#include <domain.h>
#include <page.h>
#ifdef ARCH_INLINE
#include <p2m-inline.h>
#endif

#endif
