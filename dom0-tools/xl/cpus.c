// SPDX-License-Identifier: BSD-2-Clause
/*
 * Sets of the machine's CPUs: vcpu-pin's, vcpu-list's, and cpus and cpus_soft of xl.cfg.
 * Owns their syntax, which is Xen's.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpus.h"

static bool number(const char **p, unsigned long *n)
{
	char *end;

	if (!isdigit((unsigned char)**p))
		return false;
	*n = strtoul(*p, &end, 10);
	*p = end;
	return true;
}

static bool skip(const char **p, const char *word)
{
	size_t n = strlen(word);

	if (strncmp(*p, word, n))
		return false;
	*p += n;
	return true;
}

/* N or N-M, up to @most */
static const char *range(const char **p, unsigned long most, unsigned long *from, unsigned long *to)
{
	if (!number(p, from))
		return "is no list of CPUs, such as 0-3,5,^1";
	*to = *from;
	if (skip(p, "-") && !number(p, to))
		return "is no list of CPUs, such as 0-3,5,^1";
	if (*to < *from)
		return "has a range that ends before it begins";
	if (*to > most)
		return most ? "has a CPU above 63" :
			      "has a node that is not there: there is one, 0";
	return NULL;
}

static const char *one(const char **p, struct cpus *c)
{
	bool without = skip(p, "^"), nodes = skip(p, "nodes:") || skip(p, "node:");
	unsigned long from, to;
	const char *wrong;
	uint64_t mask;

	if (skip(p, "all")) {
		if (without)
			return "has ^all, which leaves none";
		c->mask = CPUS_ALL;
		return NULL;
	}
	wrong = range(p, nodes ? 0 : CPUS_MAX - 1, &from, &to);
	if (wrong)
		return wrong;
	mask = nodes ? CPUS_ALL : (CPUS_ALL >> (CPUS_MAX - 1 - (to - from))) << from;
	if (!nodes && (int)to > c->highest)
		c->highest = to;
	c->mask = without ? c->mask & ~mask : c->mask | mask;
	return NULL;
}

const char *cpus_parse(const char *text, struct cpus *out)
{
	const char *p = text, *wrong;

	*out = (struct cpus){ 0, -1 };
	do {
		p += strspn(p, " \t");
		wrong = one(&p, out);
		if (wrong)
			return wrong;
		p += strspn(p, " \t");
	} while (skip(&p, ","));
	if (*p)
		return "is no list of CPUs, such as 0-3,5,^1";
	return out->mask ? NULL : "leaves no CPU";
}

__attribute__((format(printf, 1, 2))) static char *text_of(const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		abort();
	va_end(ap);
	return text;
}

uint64_t cpus_there(unsigned int nr_cpus)
{
	return nr_cpus < CPUS_MAX ? (1ULL << nr_cpus) - 1 : CPUS_ALL;
}

char *cpus_fit(struct cpus *c, unsigned int nr_cpus)
{
	uint64_t there = cpus_there(nr_cpus);

	if (c->highest >= (int)nr_cpus)
		return text_of("there is no CPU %d: the machine has 0 to %u", c->highest,
			       nr_cpus - 1);
	if (!(c->mask & there))
		return text_of("none of those CPUs is there: the machine has 0 to %u", nr_cpus - 1);
	if (c->mask != CPUS_ALL)
		c->mask &= there;
	return NULL;
}

char *cpus_text(uint64_t mask, uint64_t all)
{
	char *text = NULL, *more;
	unsigned int i, from;

	if (!all || (mask & all) == all)
		return text_of("all");
	for (i = 0; i < CPUS_MAX; i++) {
		if (!(mask >> i & 1))
			continue;
		from = i;
		while (i + 1 < CPUS_MAX && mask >> (i + 1) & 1)
			i++;
		more = from == i ? text_of("%s%s%u", text ? text : "", text ? "," : "", from) :
				   text_of("%s%s%u-%u", text ? text : "", text ? "," : "", from, i);
		free(text);
		text = more;
	}
	return text ? text : text_of("none");
}
