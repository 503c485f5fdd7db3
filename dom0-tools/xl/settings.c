// SPDX-License-Identifier: BSD-2-Clause
/*
 * xl.conf (settings.h).
 */
#include <stdlib.h>
#include <unistd.h>

#include "settings.h"
#include "xl.h"

void settings_read(struct cfg *c, FILE *log)
{
	cfg_init(c, log);
	if (!access(XL_CONF, F_OK))
		cfg_parse_file(c, XL_CONF);
}

unsigned long settings_number(struct cfg *c, const char *key, unsigned long def, unsigned long max)
{
	const struct cfg_setting *s = cfg_find(c, key);
	unsigned long n;
	char *end = "";

	if (!s)
		return def;
	n = s->list ? 0 : strtoul(s->v[0].text, &end, 10);
	if (n && n <= max && !*end)
		return n;
	cfg_error(c, s, 0, "not a number from 1 to %lu; %lu is used", max, def);
	return def;
}
