// SPDX-License-Identifier: BSD-2-Clause
/*
 * JSON, SHA-256 and signals' names of dom0-tools/oci.
 * Owns which texts are JSON: RFC 8259's, and none beside them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "json.h"
#include "run.h"
#include "sha256.h"
#include "volume.h"

static char *buffer;
static size_t where;

static struct json *parse(const char *text, size_t n)
{
	const char *why = NULL;
	struct json *v;

	free(buffer);
	buffer = malloc(n + !n);
	memcpy(buffer, text, n);
	v = json_parse(buffer, n, &why, &where);
	assert_true(!v == !!why);
	return v;
}

static void json_good(void **state)
{
	static const char text[] =
		" { \"a\" : [ 1, -0.5e+3, true, false, null, {} , [] ], \"s\":\"x\\n\\u00e9\\ud83d\\ude00\\/\" ,\t\"n\": 42,\"big\":9223372036854775808}\r\n";
	struct json *v = parse(text, sizeof(text) - 1);
	const struct json *a;
	int n = 0;

	(void)state;
	assert_non_null(v);
	assert_string_equal(json_string(v, "s"), "x\n\xc3\xa9\xf0\x9f\x98\x80/");
	assert_int_equal(json_integer(v, "n"), 42);
	assert_int_equal(json_integer(v, "big"), -1);
	assert_int_equal(json_integer(v, "s"), -1);
	assert_null(json_string(v, "n"));
	a = json_get(v, "a", JSON_ARRAY);
	assert_non_null(a);
	assert_string_equal(a->child->next->text, "-0.5e+3");
	for (a = a->child; a; a = a->next)
		n++;
	assert_int_equal(n, 7);
	json_free(v);
	v = parse("{\"a\":1,\"a\":2}", 13);
	assert_null(json_get(v, "a", JSON_NUMBER));
	json_free(v);
	json_free(parse("\"\xf4\x8f\xbf\xbf\"", 6));
	assert_null(json_string(NULL, "a"));
}

static void json_bad(void **state)
{
	static const char *const bad[] = { "",
					   " ",
					   "{",
					   "[1",
					   "[1,]",
					   "{\"a\"}",
					   "{a:1}",
					   "{\"a\":1,}",
					   "01",
					   "-",
					   "1.",
					   ".5",
					   "1e",
					   "+1",
					   "tru",
					   "nul",
					   "\"",
					   "\"\\x\"",
					   "\"\\u12\"",
					   "\"\\ud800\"",
					   "\"\\udc00\"",
					   "\"\\ud800\\u0041\"",
					   "\"\\u0000\"",
					   "\"\t\"",
					   "1 2",
					   "[1]]",
					   "'a'",
					   "\"\xff\"",
					   "\"\xc0\x80\"",
					   "\"\xed\xa0\x80\"",
					   "\"\xf4\x90\x80\x80\"",
					   "\"\xe2\x82\"",
					   "NaN",
					   "\xef\xbb\xbf{}" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (parse(bad[i], strlen(bad[i])))
			fail_msg("'%s' was taken for JSON", bad[i]);
	assert_null(parse("\"a\0b\"", 5));
}

static void json_bounds(void **state)
{
	char deep[JSON_DEPTH * 2 + 2], *many;
	int i;

	(void)state;
	memset(deep, '[', JSON_DEPTH);
	memset(deep + JSON_DEPTH, ']', JSON_DEPTH);
	json_free(parse(deep, JSON_DEPTH * 2));
	memset(deep, '[', JSON_DEPTH + 1);
	memset(deep + JSON_DEPTH + 1, ']', JSON_DEPTH + 1);
	assert_null(parse(deep, JSON_DEPTH * 2 + 2));
	many = malloc(JSON_BYTES + 1);
	memset(many, ' ', JSON_BYTES + 1);
	many[0] = '1';
	json_free(parse(many, JSON_BYTES));
	assert_null(parse(many, JSON_BYTES + 1));
	for (i = 0; i < 2 * JSON_VALUES; i += 2)
		memcpy(many + i, "1,", 2);
	memmove(many + 1, many, 2 * JSON_VALUES);
	many[0] = '[';
	many[2 * JSON_VALUES] = ']';
	assert_null(parse(many, 2 * JSON_VALUES + 1));
	free(many);
}

static void digest(const char *data, size_t n, size_t step, const char *want)
{
	char text[SHA256_TEXT];
	struct sha256 s;
	size_t i;

	sha256_begin(&s);
	for (i = 0; i < n; i += step)
		sha256_add(&s, data + i, n - i < step ? n - i : step);
	sha256_end(&s, text);
	assert_string_equal(text, want);
}

static void sha256_vectors(void **state)
{
	char *million = malloc(1000000);

	(void)state;
	memset(million, 'a', 1000000);
	/* FIPS 180-2's examples */
	digest("", 0, 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	digest("abc", 3, 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	digest("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56, 7,
	       "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
	digest(million, 1000000, 1000000,
	       "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
	digest(million, 1000000, 997,
	       "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
	free(million);
}

static void signal_names(void **state)
{
	(void)state;
	assert_int_equal(run_signal("SIGTERM"), SIGTERM);
	assert_int_equal(run_signal("QUIT"), SIGQUIT);
	assert_int_equal(run_signal("9"), 9);
	assert_int_equal(run_signal("SIGRTMIN+3"), SIGRTMIN + 3);
	assert_int_equal(run_signal("SIGRTMIN"), SIGRTMIN);
	assert_int_equal(run_signal("SIGRTMIN+300"), -1);
	assert_int_equal(run_signal("SIGNOTHING"), -1);
	assert_int_equal(run_signal(""), -1);
	assert_int_equal(run_signal("0"), -1);
	assert_int_equal(run_signal("999"), -1);
}

static void input_is(const char *text, size_t n, size_t step, const char *want, bool ended)
{
	bool marked = false, end = false;
	char got[64], piece[64];
	size_t i, nr = 0;

	for (i = 0; i < n && !end; i += step) {
		size_t part = n - i < step ? n - i : step;

		memcpy(piece, text + i, part);
		part = run_unmark(piece, part, &marked, &end);
		memcpy(got + nr, piece, part);
		nr += part;
	}
	got[nr] = 0;
	assert_string_equal(got, want);
	assert_int_equal(end, ended);
}

static void input_marks(void **state)
{
	size_t step;

	(void)state;
	for (step = 1; step < 12; step++) {
		input_is("ab\004c", 4, step, "ab\004c", false);
		input_is("a\020Pb\020OP\020Drest", 13, step, "a\020b\017P", true);
		input_is("\020P\020P\020D", 6, step, "\020\020", true);
		input_is("a\020", 2, step, "a", false);
		input_is("\020D", 2, step, "", true);
	}
}

/* --- disks ----------------------------------------------------------------------------------- */

static int may_be_made(size_t at, const char *text, size_t n)
{
	FILE *f = tmpfile();
	int rc;

	assert_non_null(f);
	assert_return_code(ftruncate(fileno(f), 4 << 20), errno);
	assert_int_equal(pwrite(fileno(f), text, n, (off_t)at), n);
	rc = volume_may_be_made(fileno(f));
	fclose(f);
	return rc;
}

static void roots(void **state)
{
	/* Of ext2, magic number to label */
	char super[80] = { 0x53, (char)0xef };
	FILE *f = tmpfile();

	(void)state;
	assert_int_equal(may_be_made(0, "", 1), 1);
	assert_int_equal(may_be_made(510, "\x55\xaa", 2), 0);
	/* btrfs, which leaves what is before that as it was */
	assert_int_equal(may_be_made((64 << 10) + 64, "_BHRfS_M", 8), 0);
	assert_int_equal(may_be_made(1080, super, sizeof(super)), 0);
	strcpy(super + 64, "pavise-oci");
	assert_int_equal(may_be_made(1080, super, sizeof(super)), 1);
	assert_non_null(f);
	assert_int_equal(volume_may_be_made(fileno(f)), -1);
	fclose(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_good),	cmocka_unit_test(json_bad),
		cmocka_unit_test(json_bounds),	cmocka_unit_test(sha256_vectors),
		cmocka_unit_test(signal_names), cmocka_unit_test(input_marks),
		cmocka_unit_test(roots),
	};
	int rc = cmocka_run_group_tests(tests, NULL, NULL);

	free(buffer);
	return rc;
}
