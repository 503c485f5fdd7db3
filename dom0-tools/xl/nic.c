// SPDX-License-Identifier: BSD-2-Clause
/*
 * The specification of a network interface: "mac=00:16:3e:01:02:03, bridge=xenbr0, rate=10Mb/s".
 * Owns which of Xen's words mean something here; the others get an answer that names them.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "nic.h"
#include "text.h"
#include "words.h"

#define RATE_USEC 50000 /* Xen's default interval */

struct parse {
	struct xl_nic *n;
	unsigned int seen; /* bit i: words[i] was given */
	char *msg;
	size_t size;
};

#define FAIL(p, ...) (snprintf((p)->msg, (p)->size, __VA_ARGS__), -1)

/* --- values ---------------------------------------------------------------------------------- */

int nic_mac_parse(const char *text, uint8_t mac[6])
{
	int i;

	for (i = 0; i < 6; i++, text += 3) {
		if (!isxdigit((unsigned char)text[0]) || !isxdigit((unsigned char)text[1]))
			return -1;
		if (text[2] != (i < 5 ? ':' : '\0'))
			return -1;
		mac[i] = strtoul(text, NULL, 16);
	}
	return 0;
}

void nic_mac_format(const uint8_t mac[6], char *text)
{
	snprintf(text, NIC_MAC_LEN, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3],
		 mac[4], mac[5]);
}

int nic_random_mac(uint8_t mac[6])
{
	mac[0] = 0x00;
	mac[1] = 0x16;
	mac[2] = 0x3e;
	if (getrandom(mac + 3, 3, 0) != 3)
		return -1;
	mac[3] &= 0x7f; /* Xen's toolstack leaves the upper half to administrators. */
	return 0;
}

/* The digits at *s, at most @max; -1 when there are none or the number is larger. */
static int64_t number(const char **s, int64_t max)
{
	int64_t n = 0;
	const char *p = *s;

	while (isdigit((unsigned char)*p)) {
		n = n * 10 + (*p++ - '0');
		if (n > max)
			return -1;
	}
	if (p == *s)
		return -1;
	*s = p;
	return n;
}

static uint64_t unit(const char **s, const char *letters)
{
	const char *l = **s ? strchr(letters, **s) : NULL;
	static const uint64_t factor[] = { 1000, 1000000, 1000000000 };

	if (!l)
		return 1;
	(*s)++;
	return factor[l - letters];
}

int nic_rate_parse(const char *text, uint64_t *bytes, uint32_t *usec)
{
	int64_t n = number(&text, 1000000000), us = RATE_USEC;
	uint64_t per_second, window;

	if (n < 0)
		return -1;
	per_second = n * unit(&text, "KMG");
	if (*text == 'b')
		per_second /= 8;
	else if (*text != 'B')
		return -1;
	text++;
	if (strncmp(text, "/s", 2))
		return -1;
	text += 2;
	if (*text == '@') {
		text++;
		us = number(&text, UINT32_MAX);
		if (us < 0)
			return -1;
		if (*text != 'u')
			us *= *text == 'm' ? 1000 : 1000000;
		if (*text == 'u' || *text == 'm')
			text++;
		if (*text++ != 's')
			return -1;
	}
	/* Linux's back end counts in milliseconds, and 2^32 bytes in each interval are enough. */
	if (*text || us < 1000 || us > UINT32_MAX || per_second > UINT64_MAX / us)
		return -1;
	window = per_second * us / 1000000;
	if (!window || window > UINT32_MAX)
		return -1;
	*bytes = window;
	*usec = us;
	return 0;
}

/* May Linux call an interface this? */
static bool good_name(const char *v)
{
	size_t n = strlen(v);

	if (!n || n >= NIC_NAME_LEN || !strcmp(v, ".") || !strcmp(v, "..") || *v == '-')
		return false;
	for (; *v; v++)
		if (!isgraph((unsigned char)*v) || *v == '/' || *v == ':' || *v == '%')
			return false;
	return true;
}

/* One address, or with its prefix's length. */
static bool good_address(const char *word)
{
	uint8_t bin[16];
	char *own = words_copy(word), *slash = strchr(own, '/');
	const char *p;
	int64_t bits = 0;
	int max = 0;

	if (slash)
		*slash = '\0';
	if (inet_pton(AF_INET, own, bin) == 1)
		max = 32;
	else if (inet_pton(AF_INET6, own, bin) == 1)
		max = 128;
	if (slash) {
		p = slash + 1;
		bits = number(&p, max);
		if (*p)
			bits = -1;
	}
	free(own);
	return max && bits >= 0;
}

/* --- words ----------------------------------------------------------------------------------- */

static int set_mac(struct parse *p, const char *v)
{
	static const uint8_t none[6];

	if (nic_mac_parse(v, p->n->mac))
		return FAIL(p, "mac '%s' is no address (such as 00:16:3e:01:02:03)", v);
	if (p->n->mac[0] & 1)
		return FAIL(p, "mac '%s' is a group's address, not an interface's", v);
	if (!memcmp(p->n->mac, none, 6))
		return FAIL(p, "mac '%s' is nobody's address; leave mac out for a random one", v);
	p->n->have_mac = true;
	return 0;
}

static int set_bridge(struct parse *p, const char *v)
{
	if (!good_name(v))
		return FAIL(p, "bridge '%s' cannot be the name of an interface", v);
	snprintf(p->n->bridge, NIC_NAME_LEN, "%s", v);
	return 0;
}

static int set_vifname(struct parse *p, const char *v)
{
	if (!good_name(v))
		return FAIL(p, "vifname '%s' cannot be the name of an interface", v);
	if (!strncmp(v, "vif", 3) && isdigit((unsigned char)v[3]))
		return FAIL(p, "vifname '%s' looks like a name that the back end gives itself", v);
	snprintf(p->n->vifname, NIC_NAME_LEN, "%s", v);
	return 0;
}

static int set_script(struct parse *p, const char *v)
{
	if (!*v)
		return FAIL(p, "script is empty");
	p->n->script = words_copy(v);
	return 0;
}

static int set_ip(struct parse *p, const char *v)
{
	char *own = words_copy(v), *save, *word;
	int rc = 0, words = 0;

	for (word = strtok_r(own, " \t", &save); word && !rc; word = strtok_r(NULL, " \t", &save)) {
		words++;
		if (!good_address(word))
			rc = FAIL(p, "ip '%s' is no address", word);
	}
	free(own);
	if (!rc && !words)
		rc = FAIL(p, "ip is empty");
	if (!rc)
		p->n->ip = words_copy(v);
	return rc;
}

static int set_gatewaydev(struct parse *p, const char *v)
{
	if (!good_name(v))
		return FAIL(p, "gatewaydev '%s' cannot be the name of an interface", v);
	snprintf(p->n->gatewaydev, NIC_NAME_LEN, "%s", v);
	return 0;
}

static int set_mtu(struct parse *p, const char *v)
{
	const char *rest = v;
	int64_t mtu = number(&rest, NIC_MAX_MTU);

	if (mtu < NIC_MIN_MTU || *rest)
		return FAIL(p, "mtu '%s' is not between %d and %d", v, NIC_MIN_MTU, NIC_MAX_MTU);
	p->n->mtu = mtu;
	return 0;
}

static int set_trusted(struct parse *p, const char *v)
{
	if (strcmp(v, "0") && strcmp(v, "1"))
		return FAIL(p, "trusted '%s' is neither 0 nor 1", v);
	p->n->untrusted = *v == '0';
	return 0;
}

static int set_rate(struct parse *p, const char *v)
{
	if (nic_rate_parse(v, &p->n->rate_bytes, &p->n->rate_usec))
		return FAIL(p, "rate '%s' is no usable rate (such as 10Mb/s or 1MB/s@20ms)", v);
	return 0;
}

static int set_type(struct parse *p, const char *v)
{
	return strcmp(v, "vif") ? FAIL(p, "type '%s' is not supported, only vif", v) : 0;
}

static int set_backend(struct parse *p, const char *v)
{
	if (!*v)
		return FAIL(p, "backend is empty");
	if (strcmp(v, "0") && strcmp(v, "Domain-0"))
		p->n->backend = words_copy(v);
	return 0;
}

/* An emulated card's; PV interfaces have none, and Xen's xl ignores it for them as well. */
static int set_model(struct parse *p, const char *v)
{
	(void)p;
	(void)v;
	return 0;
}

static const struct {
	const char *key;
	int (*set)(struct parse *p, const char *v);
} words[] = {
	{ "mac", set_mac },   { "bridge", set_bridge },		{ "script", set_script },
	{ "ip", set_ip },     { "vifname", set_vifname },	{ "rate", set_rate },
	{ "mtu", set_mtu },   { "gatewaydev", set_gatewaydev }, { "trusted", set_trusted },
	{ "type", set_type }, { "backend", set_backend },	{ "model", set_model },
};

static int parse_word(struct parse *p, char *word)
{
	static const char *const xen[] = { "accel", "devid" };
	/* Xen's flag words, and its older name of a key */
	static const struct {
		const char *word, *key, *value;
	} aliases[] = {
		{ "trusted", "trusted", "1" },
		{ "untrusted", "trusted", "0" },
		{ "netdev", "gatewaydev", NULL },
	};
	char *eq = strchr(word, '='), *value = NULL;
	const char *near = NULL, *key;
	unsigned int i;

	if (eq) {
		*eq = '\0';
		value = text_trim(eq + 1);
	}
	key = word = text_trim(word);
	for (i = 0; i < sizeof(aliases) / sizeof(*aliases); i++) {
		if (strcmp(aliases[i].word, word) || !eq == !aliases[i].value)
			continue;
		key = aliases[i].key;
		if (!eq)
			value = (char *)aliases[i].value;
	}
	if (!value)
		return FAIL(p, "'%s' is not of the form key=value", word);
	for (i = 0; i < sizeof(words) / sizeof(*words); i++) {
		if (strcmp(words[i].key, key))
			continue;
		if (p->seen & 1u << i)
			return FAIL(p, "%s given twice", key);
		p->seen |= 1u << i;
		return words[i].set(p, value);
	}
	for (i = 0; i < sizeof(xen) / sizeof(*xen); i++)
		if (!strcmp(xen[i], word))
			return FAIL(p, "%s is Xen's and not supported here", word);
	for (i = 0; i < sizeof(words) / sizeof(*words); i++)
		words_nearest(word, words[i].key, &near);
	return FAIL(p, "unknown key '%s'%s%s%s", word, near ? "; did you mean '" : "",
		    near ? near : "", near ? "'?" : "");
}

int nic_parse(const char *spec, struct xl_nic *n, char *msg, size_t size)
{
	struct parse p = { .n = n, .msg = msg, .size = size };
	char *own = words_copy(spec), *rest = own, *word;
	int rc = 0;

	memset(n, 0, sizeof(*n));
	while (!rc && (word = strsep(&rest, ","))) {
		word = text_trim(word);
		if (*word)
			rc = parse_word(&p, word);
	}
	free(own);
	if (rc) {
		nic_free(n);
		return rc;
	}
	if (!n->bridge[0])
		snprintf(n->bridge, NIC_NAME_LEN, "%s", NIC_BRIDGE);
	if (!n->script)
		n->script = words_copy(NIC_SCRIPT);
	n->spec = words_copy(spec);
	return 0;
}

char *nic_format_other(const struct xl_nic *n, const uint8_t mac[6])
{
	char *own = words_copy(n->spec ? n->spec : ""), *rest = own, *word, *key, *text = NULL;
	char address[NIC_MAC_LEN];
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		abort();
	nic_mac_format(mac, address);
	fprintf(f, "mac=%s", address);
	while ((word = strsep(&rest, ","))) {
		key = words_copy(word);
		key[strcspn(key, "=")] = '\0';
		if (*text_trim(word) && strcmp(text_trim(key), "mac") &&
		    strcmp(text_trim(key), "vifname"))
			fprintf(f, ",%s", text_trim(word));
		free(key);
	}
	fclose(f);
	free(own);
	return text;
}

char *nic_format(const struct xl_nic *n)
{
	const char *spec = n->spec ? n->spec : "";
	char mac[NIC_MAC_LEN], *text;

	if (n->have_mac)
		return words_copy(spec);
	nic_mac_format(n->mac, mac);
	if (asprintf(&text, "mac=%s%s%s", mac, *spec ? "," : "", spec) < 0)
		abort();
	return text;
}

void nic_free(struct xl_nic *n)
{
	free(n->script);
	free(n->ip);
	free(n->backend);
	free(n->spec);
	n->script = n->ip = n->backend = n->spec = NULL;
}
