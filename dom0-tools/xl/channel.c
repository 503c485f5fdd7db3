// SPDX-License-Identifier: BSD-2-Clause
/*
 * The specification of a channel: "name=org.example.agent.1, connection=socket, path=/run/agent.sock".
 * Owns which of Xen's words mean something here; the others get an answer that names them.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "channel.h"
#include "text.h"
#include "words.h"

struct parse {
	struct xl_channel *c;
	const char *connection; /* NULL: not given yet */
	bool backend;
	char *msg;
	size_t size;
};

#define FAIL(p, ...) (snprintf((p)->msg, (p)->size, __VA_ARGS__), -1)

static bool is_graph(const char *s)
{
	while (*s && isgraph((unsigned char)*s))
		s++;
	return !*s;
}

static int set_name(struct parse *p, const char *v)
{
	if (p->c->name)
		return FAIL(p, "name given twice");
	if (!*v || strlen(v) > CHANNEL_NAME_MAX || !is_graph(v))
		return FAIL(p, "name '%s' is not 1 to %d visible characters without spaces", v,
			    CHANNEL_NAME_MAX);
	p->c->name = words_copy(v);
	return 0;
}

static int set_connection(struct parse *p, const char *v)
{
	static const char *const known[] = { "pty", "socket" };
	unsigned int i;

	if (p->connection)
		return FAIL(p, "connection given twice");
	for (i = 0; i < 2; i++)
		if (!strcmp(v, known[i]))
			p->connection = known[i];
	return p->connection ? 0 : FAIL(p, "connection '%s' is neither pty nor socket", v);
}

static int set_path(struct parse *p, const char *v)
{
	if (p->c->path)
		return FAIL(p, "path given twice");
	if (*v != '/')
		return FAIL(p, "path '%s' does not begin with /", v);
	if (strlen(v) > CHANNEL_PATH_MAX)
		return FAIL(p, "path is longer than the %d bytes that a socket's may have",
			    CHANNEL_PATH_MAX);
	p->c->path = words_copy(v);
	return 0;
}

static int set_backend(struct parse *p, const char *v)
{
	if (p->backend)
		return FAIL(p, "backend given twice");
	p->backend = true;
	if (strcmp(v, "0") && strcmp(v, "Domain-0"))
		return FAIL(p,
			    "backend '%s' is not supported: channels are served by dom0's "
			    "xenconsoled",
			    v);
	return 0;
}

static const struct {
	const char *key;
	int (*set)(struct parse *p, const char *v);
} words[] = {
	{ "name", set_name },
	{ "connection", set_connection },
	{ "path", set_path },
	{ "backend", set_backend },
};

static int parse_word(struct parse *p, char *word)
{
	char *eq = strchr(word, '='), *key;
	const char *near = NULL;
	unsigned int i;

	if (eq)
		*eq = '\0';
	key = text_trim(word);
	if (!eq)
		return FAIL(p, "'%s' is not of the form key=value", key);
	for (i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (!strcmp(words[i].key, key))
			return words[i].set(p, text_trim(eq + 1));
	for (i = 0; i < sizeof(words) / sizeof(*words); i++)
		words_nearest(key, words[i].key, &near);
	return FAIL(p, "unknown key '%s'%s%s%s", key, near ? "; did you mean '" : "",
		    near ? near : "", near ? "'?" : "");
}

static int check(struct parse *p)
{
	if (!p->c->name)
		return FAIL(p, "name is missing, by which the guest finds the channel");
	if (!p->connection)
		return FAIL(p, "connection is missing: pty or socket");
	if (!strcmp(p->connection, "socket") && !p->c->path)
		return FAIL(p, "path is missing: where the socket is to be");
	if (!strcmp(p->connection, "pty") && p->c->path)
		return FAIL(p, "path is a socket's; where a pty is, xl channel-list shows");
	return 0;
}

int channel_parse(const char *spec, struct xl_channel *c, char *msg, size_t size)
{
	struct parse p = { .c = c, .msg = msg, .size = size };
	char *own = words_copy(spec), *rest = own, *word;
	int rc = 0;

	memset(c, 0, sizeof(*c));
	while (!rc && (word = strsep(&rest, ","))) {
		word = text_trim(word);
		if (*word)
			rc = parse_word(&p, word);
	}
	free(own);
	if (!rc)
		rc = check(&p);
	if (rc)
		channel_free(c);
	return rc;
}

void channel_free(struct xl_channel *c)
{
	free(c->name);
	free(c->path);
	c->name = c->path = NULL;
}
