/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ISA strings: what the firmware's FDT says of a hart, and what a guest is told, by the list in guest-cpu.h.
 */
#include <arch.h>
#include <lib.h>
#include <libfdt.h>

enum {
#define X(name, condition) EXT_##name,
	GUEST_EXTENSIONS(X)
#undef X
};

static const char *const names[] = {
#define X(name, condition) #name,
	GUEST_EXTENSIONS(X)
#undef X
};
_Static_assert(ARRAY_SIZE(names) <= 64 * ARRAY_SIZE(((struct isa *)0)->has),
	       "struct isa is too small");

/* What the string takes at most: each name with its separator or NUL. */
enum {
	LONGEST = sizeof("rv64")
#define X(name, condition) +sizeof("_" #name)
		GUEST_EXTENSIONS(X)
#undef X
};
_Static_assert(LONGEST <= ISA_SIZE, "a buffer of ISA_SIZE does not hold all extensions");

/* The machine has what it needs beside the extension itself. */
static bool usable(unsigned int i)
{
	switch (i) {
#define X(name, condition) \
	case EXT_##name: \
		return condition;
		GUEST_EXTENSIONS(X)
#undef X
	default:
		return false;
	}
}

/* Length of a version ("2", "2p1") at s. */
static size_t version(const char *s)
{
	size_t n = 0;

	while (s[n] >= '0' && s[n] <= '9')
		n++;
	if (n && s[n] == 'p' && s[n + 1] >= '0' && s[n + 1] <= '9') {
		n++;
		while (s[n] >= '0' && s[n] <= '9')
			n++;
	}
	return n;
}

/* One extension of len characters, perhaps with a version behind its name. */
static void add(struct isa *isa, const char *s, size_t len)
{
	isa->h |= len && *s == 'h' && 1 + version(s + 1) >= len;
	for (unsigned int i = 0; i < ARRAY_SIZE(names); i++) {
		size_t n = strlen(names[i]);

		if (n <= len && !strncmp(s, names[i], n) && (n == len || n + version(s + n) == len))
			isa->has[i / 64] |= BIT(i % 64);
	}
}

static void parse_string(struct isa *isa, const char *s)
{
	if (strncmp(s, "rv64", 4))
		return;
	for (s += 4; *s && *s != '_';) {
		size_t len = 1 + version(s + 1);

		/* Parts with a name may follow the letters without an underscore. */
		if (*s == 'z' || *s == 's' || *s == 'x')
			break;
		if (*s == 'g')
			parse_string(isa, "rv64imafd_zicsr_zifencei");
		add(isa, s, len);
		s += len;
	}
	while (*s) {
		const char *end = strchr(s, '_');
		size_t len = end ? (size_t)(end - s) : strlen(s);

		add(isa, s, len);
		s += len + (end != NULL);
	}
}

bool isa_read(const void *fdt, int node, struct isa *isa)
{
	int len;
	const char *s = fdt_getprop(fdt, node, "riscv,isa-extensions", &len);

	memset(isa, 0, sizeof(*isa));
	if (s) {
		for (int i = 0; i < len; i += strnlen(s + i, len - i) + 1)
			add(isa, s + i, strnlen(s + i, len - i));
		return true;
	}
	s = fdt_getprop(fdt, node, "riscv,isa", &len);
	if (s)
		parse_string(isa, s);
	return s;
}

void isa_intersect(struct isa *a, const struct isa *b)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(a->has); i++)
		a->has[i] &= b->has[i];
	a->h &= b->h;
}

bool isa_has(const struct isa *isa, const char *name)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(names); i++) {
		if (!strcmp(names[i], name))
			return isa->has[i / 64] & BIT(i % 64);
	}
	return false;
}

size_t isa_write(const struct isa *isa, bool list, char buf[ISA_SIZE])
{
	size_t n = 0;

	if (!list)
		n = pv_strlcpy(buf, "rv64", ISA_SIZE);
	for (unsigned int i = 0; i < ARRAY_SIZE(names); i++) {
		if (!(isa->has[i / 64] & BIT(i % 64)) || !usable(i))
			continue;
		if (!list && names[i][1])
			buf[n++] = '_';
		n += pv_strlcpy(buf + n, names[i], ISA_SIZE - n) + list;
	}
	return list ? n : n + 1;
}
