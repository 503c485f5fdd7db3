/* SPDX-License-Identifier: MIT */
/*
 * Answers ARP, ping and UDP port 7 (echo, RFC 862) for an address:
 *	make guest SRC=pvabi/runtime/examples/netecho.c; cp build/guests/netecho images/
 * and in xl.cfg: kernel = "/images/netecho", vif = [ "" ], extra = "169.254.7.7"
 * It runs until "xl destroy".
 */
#include <stdio.h>
#include <string.h>

#include <pv/device.h>

enum { ETH = 14, IP = 20, ARP_LEN = 42, ARP = 0x0806, IPV4 = 0x0800, ICMP = 1, UDP = 17 };

static struct pv_net net;
static uint8_t address[4], frame[PV_NET_FRAME];

static unsigned int be16(const uint8_t *p)
{
	return p[0] << 8 | p[1];
}

static void swap(uint8_t *a, uint8_t *b, size_t n)
{
	for (; n--; a++, b++) {
		uint8_t t = *a;

		*a = *b;
		*b = t;
	}
}

/* To the sender; the destination may have been a broadcast, so the source is ours anew. */
static void send_back(size_t n)
{
	memcpy(frame, frame + 6, 6);
	memcpy(frame + 6, net.mac, 6);
	pv_net_send(&net, frame, n);
}

/* RFC 826: a request becomes a reply. */
static void arp(size_t n)
{
	uint8_t *a = frame + ETH; /* from here: types, operation at 6, sender at 8, target at 18 */

	if (n < ARP_LEN || be16(a + 6) != 1 || memcmp(a + 24, address, 4))
		return;
	a[7] = 2;
	memcpy(a + 18, a + 8, 10);
	memcpy(a + 8, net.mac, 6);
	memcpy(a + 14, address, 4);
	send_back(ARP_LEN);
}

/*
 * Exchanging the addresses changes no Internet checksum, nor does exchanging the ports. An echo request
 * becomes a reply by 8 less in a word of the sum (RFC 1624).
 */
static void ip(size_t n)
{
	uint8_t *h = frame + ETH, *p = h + IP;
	unsigned int sum;

	if (n < ETH + IP + 8 || h[0] != 0x45 || memcmp(h + 16, address, 4) || be16(h + 6) & 0x3fff)
		return;
	if (h[9] == ICMP && p[0] == 8) {
		sum = be16(p + 2) + 0x800;
		sum = (sum & 0xffff) + (sum >> 16);
		p[0] = 0;
		p[2] = sum >> 8;
		p[3] = sum;
	} else if (h[9] == UDP && be16(p + 2) == 7) {
		swap(p, p + 2, 2);
	} else {
		return;
	}
	swap(h + 12, h + 16, 4);
	send_back(n);
}

int main(int argc, char **argv)
{
	size_t n;
	int rc;

	if (argc != 2 || sscanf(argv[1], "%hhu.%hhu.%hhu.%hhu", address, address + 1, address + 2,
				address + 3) != 4) {
		printf("extra=\"ADDRESS\" is missing\n");
		return 1;
	}
	rc = pv_net_open(&net, 0);
	if (rc) {
		printf("no interface: %s\n", strerror(-rc));
		return 1;
	}
	printf("%s answers\n", argv[1]);
	for (;;) {
		n = pv_net_receive(&net, frame, sizeof(frame), ~0UL);
		if (n >= ETH && be16(frame + 12) == ARP)
			arp(n);
		else if (n >= ETH && be16(frame + 12) == IPV4)
			ip(n);
	}
}
