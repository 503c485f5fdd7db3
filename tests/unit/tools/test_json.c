// SPDX-License-Identifier: BSD-2-Clause
/*
 * What xl's JSON looks like, and that it stays JSON whatever bytes are in it.
 */
#include "test.h"

#include "json.h"

static char *text;
static size_t size;
static struct json j;

static void begin(unsigned int lines)
{
	free(text);
	json_init(&j, open_memstream(&text, &size), lines);
}

static const char *result(void)
{
	fclose(j.out);
	return text;
}

static const char *quoted(const char *s)
{
	begin(0);
	json_text(&j, NULL, s);
	return result();
}

static void test_layout(void **state)
{
	(void)state;
	begin(1);
	json_array(&j, NULL);
	json_end(&j);
	assert_string_equal(result(), "[]\n");
	begin(2);
	json_array(&j, NULL);
	json_object(&j, NULL);
	json_text(&j, "name", "a");
	json_array(&j, "disks");
	json_object(&j, NULL);
	json_number(&j, "devid", 51712);
	json_bool(&j, "readwrite", true);
	json_end(&j);
	json_object(&j, NULL);
	json_end(&j);
	json_end(&j);
	json_end(&j);
	json_end(&j);
	assert_string_equal(
		result(),
		"[\n    {\n        \"name\": \"a\",\n        \"disks\": [{\"devid\": 51712, "
		"\"readwrite\": true}, {}]\n    }\n]\n");
}

static void test_numbers(void **state)
{
	(void)state;
	begin(0);
	json_array(&j, NULL);
	json_number(&j, NULL, UINT64_MAX);
	json_signed(&j, NULL, -3);
	json_thousandths(&j, NULL, 12034);
	json_thousandths(&j, NULL, 7);
	json_known(&j, NULL, 0);
	json_known(&j, NULL, -1);
	json_bool(&j, NULL, false);
	json_end(&j);
	assert_string_equal(result(),
			    "[18446744073709551615, -3, 12.034, 0.007, 0, null, false]\n");
}

static void test_text(void **state)
{
	(void)state;
	assert_string_equal(quoted(NULL), "null");
	assert_string_equal(quoted("a\"b\\c/\x1b[6n\n\x7f"),
			    "\"a\\\"b\\\\c/\\u001b[6n\\u000a\\u007f\"");
	/* Text in other languages stays, C1 and what turns it does not get through. */
	assert_string_equal(quoted("gr\xc3\xbc\xe2\x82\xac\xf0\x9f\x90\xa7"),
			    "\"gr\xc3\xbc\xe2\x82\xac\xf0\x9f\x90\xa7\"");
	assert_string_equal(quoted("\xc2\x9b-\xe2\x80\xae-\xef\xbb\xbf"),
			    "\"\\u009b-\\u202e-\\ufeff\"");
	/* alone, too long a form, a surrogate, too large, cut short */
	assert_string_equal(quoted("\x9b."), "\"\\ufffd.\"");
	assert_string_equal(quoted("\xc0\x9b"), "\"\\ufffd\\ufffd\"");
	assert_string_equal(quoted("\xe0\x82\x9b"), "\"\\ufffd\\ufffd\\ufffd\"");
	assert_string_equal(quoted("\xed\xa0\x80"), "\"\\ufffd\\ufffd\\ufffd\"");
	assert_string_equal(quoted("\xf4\x90\x80\x80"), "\"\\ufffd\\ufffd\\ufffd\\ufffd\"");
	assert_string_equal(quoted("\xe2\x82"), "\"\\ufffd\\ufffd\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_text),
	};
	int rc = cmocka_run_group_tests(tests, NULL, NULL);

	free(text);
	return rc;
}
