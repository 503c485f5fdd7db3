// SPDX-License-Identifier: BSD-2-Clause
/*
 * The syntax of xl.cfg: what parses, to what, and the exact message for what does not.
 * Owns the messages' wording: administrators and scripts read them.
 */
#include "test.h"

#include "cfg.h"

static char *messages;

static void parse(struct cfg *c, const char *text)
{
	char path[] = "/tmp/test_cfg.XXXXXX";
	int fd = mkstemp(path);
	size_t size;
	FILE *log;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	log = open_memstream(&messages, &size);
	cfg_init(c, log);
	/* The name in messages shall be the same each time. */
	assert_int_equal(rename(path, "t.cfg"), 0);
	cfg_parse_file(c, "t.cfg");
	unlink("t.cfg");
	fclose(log);
	c->log = NULL;
}

static void done(struct cfg *c)
{
	cfg_free(c);
	free(messages);
	messages = NULL;
}

static const char *value(struct cfg *c, const char *key, int n)
{
	const struct cfg_setting *s = cfg_find(c, key);

	return s && n < s->nr ? s->v[n].text : NULL;
}

static void test_good(void **state)
{
	struct cfg c;

	(void)state;
	parse(&c, "# comment\n"
		  "a = 'one'  # more\n"
		  "b = \"t\\\"w\\\\o\"; d = 0x10\n"
		  "\n"
		  "list = [ 'x', # first\n"
		  "  \"y#z\",\n"
		  "\n"
		  "  3, ]\n"
		  "empty = []\n"
		  "long = \\\n 'v'\n"
		  "list += ['w']\n"
		  "a += 'more'\n"
		  "last='no newline'");
	assert_string_equal(messages, "");
	assert_int_equal(c.errors, 0);
	assert_string_equal(value(&c, "a", 0), "onemore");
	assert_string_equal(value(&c, "b", 0), "t\"w\\o");
	assert_string_equal(value(&c, "d", 0), "0x10");
	assert_true(cfg_find(&c, "d")->v[0].number);
	assert_int_equal(cfg_find(&c, "d")->line, 3);
	assert_int_equal(cfg_find(&c, "list")->nr, 4);
	assert_string_equal(value(&c, "list", 1), "y#z");
	assert_int_equal(cfg_find(&c, "list")->v[1].line, 6);
	assert_int_equal(cfg_find(&c, "list")->v[2].line, 8);
	assert_string_equal(value(&c, "list", 3), "w");
	assert_true(cfg_find(&c, "empty")->list);
	assert_int_equal(cfg_find(&c, "empty")->nr, 0);
	assert_string_equal(value(&c, "long", 0), "v");
	assert_string_equal(value(&c, "last", 0), "no newline");
	done(&c);
}

static void test_bad(void **state)
{
	static const struct {
		const char *text, *messages;
	} cases[] = {
		{ "a =\n", "t.cfg:1: a: syntax error at the end of the line\n" },
		{ "\na = /path\n", "t.cfg:2: a: syntax error near '/'\n" },
		{ "a = 'x\nb = 1\n", "t.cfg:1: a: string without closing '\n" },
		{ "a = \"x", "t.cfg:1: a: string without closing \"\n" },
		{ "a = [ 'x', 'y'\n", "t.cfg:2: a: syntax error at the end of the file\n" },
		{ "a = [ 'x' 'y' ]\n", "t.cfg:1: a: syntax error near ''y''\n" },
		{ "a = word\n", "t.cfg:1: a: syntax error near 'word'\n" },
		{ "= 1\n", "t.cfg:1: syntax error near '='\n" },
		{ "a\n", "t.cfg:1: a: syntax error at the end of the line\n" },
		{ "a 1\n", "t.cfg:1: a: syntax error near '1'\n" },
		{ "a = 1 2\n", "t.cfg:1: syntax error near '2'\n" },
		{ "a = ]\nb = 1\nc = ]\n",
		  "t.cfg:1: a: syntax error near ']'\nt.cfg:3: c: syntax error near ']'\n" },
		{ "a = 1\na = 2\n",
		  "t.cfg:2: warning: a: given again; the value of line 1 is ignored\n" },
		{ "a = 1\na += ['x']\n",
		  "t.cfg:2: a: += needs two lists or two strings (line 1)\n" },
		{ "\x80\xff = 1\n", "t.cfg:1: syntax error near '\x80'\n" },
	};
	struct cfg c;
	unsigned int i;

	(void)state;
	for (i = 0; i < count_of(cases); i++) {
		parse(&c, cases[i].text);
		assert_string_equal(messages, cases[i].messages);
		done(&c);
	}
}

static void test_recovers(void **state)
{
	struct cfg c;

	(void)state;
	parse(&c, "a = ]\nb = 'good'\n");
	assert_int_equal(c.errors, 1);
	assert_string_equal(value(&c, "b", 0), "good");
	done(&c);
}

static void test_arguments(void **state)
{
	struct cfg c;

	(void)state;
	parse(&c, "memory = 1\nname = 'x'\n");
	assert_int_equal(cfg_parse_arg(&c, "memory=512"), 0);
	assert_int_equal(cfg_parse_arg(&c, "name=it's \"quoted\" \\ so"), 0);
	assert_int_equal(cfg_parse_arg(&c, "disk=['a','b']"), 0);
	assert_int_equal(cfg_parse_arg(&c, "extra=\"already\""), 0);
	assert_int_equal(cfg_parse_arg(&c, "one=1;two=2"), 0);
	assert_string_equal(value(&c, "memory", 0), "512");
	assert_true(cfg_find(&c, "memory")->v[0].number);
	assert_string_equal(value(&c, "name", 0), "it's \"quoted\" \\ so");
	assert_int_equal(cfg_find(&c, "disk")->nr, 2);
	assert_string_equal(value(&c, "extra", 0), "already");
	assert_string_equal(value(&c, "one", 0), "1");
	assert_string_equal(value(&c, "two", 0), "2");
	assert_int_equal(
		cfg_parse_arg(&c, "memory=64; vcpus = 2 ;three='x;y=1';four=['a;b=1', 'c'];"), 0);
	assert_string_equal(value(&c, "memory", 0), "64");
	assert_true(cfg_find(&c, "memory")->v[0].number);
	assert_string_equal(value(&c, "vcpus", 0), "2");
	assert_string_equal(value(&c, "three", 0), "x;y=1");
	assert_string_equal(value(&c, "four", 0), "a;b=1");
	/* What follows is no setting. */
	assert_int_equal(cfg_parse_arg(&c, "extra=a;b c"), 0);
	assert_string_equal(value(&c, "extra", 0), "a;b c");
	assert_int_equal(cfg_parse_arg(&c, "five=5;six=[;seven=7"), -1);
	assert_int_equal(cfg_parse_arg(&c, "memory=512"), 0);
	assert_int_equal(cfg_parse_arg(&c, "=x"), -1);
	assert_int_equal(cfg_parse_arg(&c, "disk=['a'"), -1);
	assert_string_equal(cfg_find(&c, "memory")->file, "command line");
	done(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_recovers),
		cmocka_unit_test(test_arguments),
	};
	char dir[] = "/tmp/test_cfg_dir.XXXXXX";
	int rc;

	if (!mkdtemp(dir) || chdir(dir))
		return 1;
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(dir);
	return rc;
}
