// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a guest may put on the administrator's terminal.
 */
#include "test.h"

#include <pavise.h>

#define SHOWN(in, out) \
	do { \
		char *s_ = pv_text_show(in, sizeof(in) - 1); \
		assert_string_equal(s_, out); \
		free(s_); \
	} while (0)

static void test_show(void **state)
{
	(void)state;
	SHOWN("", "");
	SHOWN("plain\ttext\nof two lines\n", "plain\ttext\nof two lines\n");
	SHOWN("dos\r\nbare\rreturn\r", "dos\nbare^Mreturn^M");
	SHOWN("\x1b[6n\x1b]0;t\x07\x7f\0nul", "^[[6n^[]0;t^G^?^@nul");
	/* C1, as one byte and in UTF-8 */
	SHOWN("\x9b"
	      "6n",
	      "\\x9b6n");
	SHOWN("\xc2\x9b"
	      "6n\xc2\x80\xc2\x9f\xc2\xa0",
	      "\\xc2\\x9b6n\\xc2\\x80\\xc2\\x9f\xc2\xa0");
	/* Text in other languages stays */
	SHOWN("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x90\xa7",
	      "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x90\xa7");
	/* too long a form, a surrogate, too large, cut short, alone */
	SHOWN("\xc0\x9b\xc1\xbf", "\\xc0\\x9b\\xc1\\xbf");
	SHOWN("\xe0\x82\x9b", "\\xe0\\x82\\x9b");
	SHOWN("\xf0\x80\x82\x9b", "\\xf0\\x80\\x82\\x9b");
	SHOWN("\xed\xa0\x80", "\\xed\\xa0\\x80");
	SHOWN("\xf4\x90\x80\x80\xff", "\\xf4\\x90\\x80\\x80\\xff");
	SHOWN("\xe2\x82", "\\xe2\\x82");
	SHOWN("\xe2(\xbf", "\\xe2(\\xbf");
	/* what turns the rest of the line round */
	SHOWN("\xe2\x80\xae"
	      "cod",
	      "\\xe2\\x80\\xae"
	      "cod");
}

/* Whatever the bytes are: no control reaches the terminal, and what is in the text is in the output. */
static void test_show_all(void **state)
{
	unsigned int seed = 3, i, j;
	char in[64], *out;

	(void)state;
	for (i = 0; i < 20000; i++) {
		for (j = 0; j < sizeof(in); j++)
			in[j] = rand_r(&seed) % 4 ? 0x70 + rand_r(&seed) % 0x90 : rand_r(&seed);
		out = pv_text_show(in, sizeof(in));
		assert_true(strlen(out) >= sizeof(in) / 4);
		for (j = 0; out[j]; j++) {
			unsigned char c = out[j];

			assert_true(c >= ' ' || c == '\n' || c == '\t');
			assert_int_not_equal(c, 0x7f);
			/* 0xc2 begins U+0080 to U+00bf. */
			if (c == 0xc2)
				assert_true((unsigned char)out[j + 1] >= 0xa0);
		}
		free(out);
	}
}

static void test_print(void **state)
{
	static char big[200000];
	char *text = NULL;
	size_t size = 0, i;
	FILE *f = open_memstream(&text, &size);

	(void)state;
	for (i = 0; i < sizeof(big); i++)
		big[i] = i % 100 == 99 ? '\n' : i % 100 == 50 ? 0x1b : 'x';
	pv_text_print(f, big, sizeof(big));
	fclose(f);
	assert_int_equal(size, sizeof(big) + sizeof(big) / 100);
	assert_memory_equal(text + 49, "x^[x", 4);
	free(text);
}

#define REPLAYED(in, out) \
	do { \
		char s_[] = in; \
		assert_int_equal(pv_text_replay(s_, sizeof(in) - 1), sizeof(out) - 1); \
		assert_memory_equal(s_, out, sizeof(out) - 1); \
	} while (0)

static void test_replay(void **state)
{
	(void)state;
	REPLAYED("login: \b \b\t\r\n", "login: \b \b\t\r\n");
	REPLAYED("\x1b[1;32mgreen\x1b[m \xc3\xbc", "\x1b[1;32mgreen\x1b[m \xc3\xbc");
	/* questions: where, what, which title, who */
	REPLAYED("a\x1b[6nb\x1b[cc\x1b[>cd\x1b[?6ne\x1b[21tf\x1b"
		 "Zg\x05h",
		 "abcdefgh");
	REPLAYED("a\x1b]0;title\x07"
		 "b\x1bP+q544e\x1b\\c\x1b_x\x1b\\d",
		 "abcd");
	REPLAYED("a\x9b"
		 "6nb\xc2\x9b"
		 "6nc",
		 "a6nb6nc");
	/* modes: mouse, alternate screen, charset, reset, keyboard */
	REPLAYED("a\x1b[?1000hb\x1b[?1049hc\x1b(0d\x1b"
		 "ce\x1b[>4;1mf",
		 "abcdef");
	/* cut */
	REPLAYED("a\x1b", "a");
	REPLAYED("a\x1b[12", "a");
	REPLAYED("a\x1b]0;tit", "a");
	REPLAYED("a\x1b]0;ti\nb", "a\nb");
	REPLAYED("a\x1b[1\x1b[6nb\x1b\x1b[6nc", "abc");
	REPLAYED("a\x1b[\nb", "a\nb");
	REPLAYED("\0\x7f", "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_show),
		cmocka_unit_test(test_show_all),
		cmocka_unit_test(test_print),
		cmocka_unit_test(test_replay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
