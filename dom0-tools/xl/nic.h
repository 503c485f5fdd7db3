/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One network interface of a guest, as xl.cfg's vif = [ '...' ] states it
 * (xl-network-configuration(5)). Owns the specification's words, their limits and their defaults.
 */
#ifndef XL_NIC_H
#define XL_NIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NIC_BRIDGE "xenbr0"
#define NIC_SCRIPT "vif-bridge"
#define NIC_MAC_LEN 18 /* "00:16:3e:01:02:03" and its end */
#define NIC_NAME_LEN 16 /* Linux's IFNAMSIZ */
#define NIC_MIN_MTU 68 /* IPv4's, and Linux's */
#define NIC_MAX_MTU 65517 /* netback's */

struct xl_nic {
	unsigned int devid; /* its place in the list, and what xenstore calls it */
	uint8_t mac[6];
	bool have_mac; /* given; else nic_random_mac() finds one */
	char bridge[NIC_NAME_LEN];
	char *script; /* absolute, or relative to the directory of hotplug scripts */
	char vifname[NIC_NAME_LEN]; /* in dom0; "" = vifDOMID.DEVID */
	char *backend; /* a driver domain's name or number; NULL: dom0 */
	char *ip; /* for the script; NULL = none */
	char gatewaydev[NIC_NAME_LEN]; /* for vif-route and vif-nat; "" = the default route's */
	unsigned int mtu; /* 0 = the bridge's, or 1500 */
	bool untrusted; /* the front end is told not to trust the back end */
	uint64_t rate_bytes; /* in each interval; 0 = no limit */
	uint32_t rate_usec;
	char *spec; /* as given; NULL: nobody has */
	int line; /* in the config, for messages */
};

/* 0, or -1 with a message in @msg. */
int nic_parse(const char *spec, struct xl_nic *n, char *msg, size_t size);
void nic_free(struct xl_nic *n);
/* The specification that means this interface with this address. The caller frees. */
char *nic_format(const struct xl_nic *n);

/* The same of another interface like it, with this address, and a name in dom0 that is its own. The caller frees. */
char *nic_format_other(const struct xl_nic *n, const uint8_t mac[6]);

/* An address of Xen's OUI, 00:16:3e. -1 when there are no random numbers. */
int nic_random_mac(uint8_t mac[6]);
/* -1 when it is no address that an interface can have. */
int nic_mac_parse(const char *text, uint8_t mac[6]);
/* @text: NIC_MAC_LEN bytes */
void nic_mac_format(const uint8_t mac[6], char *text);

/* "1MB/s@20ms" → bytes in each interval, and its length. -1 when it is none. */
int nic_rate_parse(const char *text, uint64_t *bytes, uint32_t *usec);

#endif /* XL_NIC_H */
