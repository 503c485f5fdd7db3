/* SPDX-License-Identifier: MIT */
/*
 * Answers ARP, ping and UDP port 7 (echo, RFC 862) for an address, until "xl shutdown":
 *	make guest SRC=pvabi/runtime/examples/netecho.c; cp build/guests/netecho images/
 * and in xl.cfg: kernel = "/images/netecho", vif = [ "" ], extra = "169.254.7.7"
 */
#include <stdio.h>
#include <string.h>

#include <pv/device.h>

static struct pv_net net;
static uint8_t address[4], frame[PV_NET_FRAME], *const packet = frame + 14;

static unsigned int be16(const uint8_t *p)
{
	return p[0] << 8 | p[1];
}

static void exchange(void *a, void *b, size_t n)
{
	uint8_t t[10];

	memcpy(t, a, n);
	memcpy(a, b, n);
	memcpy(b, t, n);
}

/* RFC 826. Operation at 6, sender at 8, target at 18: a request for our address becomes a reply. */
static bool arp(uint8_t *a)
{
	if (be16(a + 6) != 1 || memcmp(a + 24, address, 4))
		return false;
	a[7] = 2;
	exchange(a + 8, a + 18, 10);
	memcpy(a + 8, net.mac, 6);
	return true;
}

/* Exchanged addresses or ports change no checksum; a ping's type, less by 8, changes its own (RFC 1624). */
static bool ip(uint8_t *h, uint8_t *p)
{
	if (h[0] != 0x45 || be16(h + 6) & 0x3fff || memcmp(h + 16, address, 4))
		return false;
	exchange(h + 12, h + 16, 4);
	if (h[9] == 17 && be16(p + 2) == 7) {
		exchange(p, p + 2, 2);
		return true;
	}
	if (h[9] != 1 || p[0] != 8)
		return false;
	p[0] = 0;
	if ((p[2] += 8) < 8 && !++p[3]) /* the carry goes round */
		p[2]++;
	return true;
}

int main(int argc, char **argv)
{
	size_t n;

	if (argc != 2 ||
	    sscanf(argv[1], "%hhu.%hhu.%hhu.%hhu", address, address + 1, address + 2,
		   address + 3) != 4 ||
	    pv_net_open(&net, 0)) {
		printf("it wants an interface and extra=\"ADDRESS\"\n");
		return 1;
	}
	printf("%s answers\n", argv[1]);
	while ((n = pv_net_receive(&net, frame, sizeof(frame), ~0UL))) {
		unsigned int type = be16(frame + 12);

		if (n < 42 ||
		    !(type == 0x806 ? arp(packet) : type == 0x800 && ip(packet, packet + 20)))
			continue;
		memcpy(frame, frame + 6, 6); /* to who sent it */
		memcpy(frame + 6, net.mac, 6);
		pv_net_send(&net, frame, n);
	}
	return 0;
}
