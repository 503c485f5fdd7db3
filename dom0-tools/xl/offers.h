/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a back end offers that a front end goes by for as long as it is connected. One that takes the place of another has to offer no less:
 * the guest has chosen already (whole.h). Of a node that is missing nothing is offered, 0.
 */
#ifndef XL_OFFERS_H
#define XL_OFFERS_H

#include <stdbool.h>
#include <stddef.h>

struct offer {
	const char *kind, *node;
	bool same; /* exactly that much; else no less */
};

static const struct offer offers[] = {
	{ "vbd", "sectors", false },
	{ "vbd", "sector-size", true },
	{ "vbd", "info", true }, /* what cannot be written to */
	{ "vbd", "feature-flush-cache", false },
	{ "vbd", "feature-barrier", false },
	{ "vbd", "feature-persistent", false },
	{ "vbd", "feature-max-indirect-segments", false },
	{ "vbd", "max-ring-page-order", false },
	{ "vbd", "multi-queue-max-queues", false },
	/* Without it requests to discard are refused, which front ends take for what it is. */
	{ "vif", "feature-sg", false },
	{ "vif", "feature-gso-tcpv4", false },
	{ "vif", "feature-gso-tcpv6", false },
	{ "vif", "feature-ipv6-csum-offload", false },
	{ "vif", "feature-rx-copy", false },
	{ "vif", "feature-split-event-channels", false },
	{ "vif", "feature-ctrl-ring", false },
	{ "vif", "feature-multicast-control", false },
	{ "vif", "feature-dynamic-multicast-control", false },
	{ "vif", "multi-queue-max-queues", false },
	{ NULL, NULL, false },
};

#endif /* XL_OFFERS_H */
