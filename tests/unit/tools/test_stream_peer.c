// SPDX-License-Identifier: BSD-2-Clause
/* The stream of a saved domain over a pipe whose other end says nothing, or takes nothing, any more. */
#define _GNU_SOURCE
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <pavise.h>
#include <pvstream.h>

#define HEADERS (sizeof(struct pv_stream_image_header) + sizeof(struct pv_stream_domain_header))

/* Headers and one record, which is optional and so may be of anything. */
static size_t make(uint8_t *bytes, size_t size)
{
	struct pv_stream_out o;
	struct pv_err err = { "" };
	ssize_t n;
	int p[2];

	assert_int_equal(pipe(p), 0);
	assert_int_equal(pv_stream_begin(&o, p[1], 0, 1, 0, &err), 0);
	assert_int_equal(pv_stream_put(&o, PV_REC_OPTIONAL | 0x7777,
				       &(struct iovec){ "content.", 8 }, 1, &err),
			 0);
	n = read(p[0], bytes, size);
	assert_true(n > (ssize_t)HEADERS + 8);
	close(p[0]);
	close(p[1]);
	return n;
}

/* It says so much, and no more. */
static void silent_behind(const uint8_t *bytes, size_t n)
{
	struct pv_stream_in in;
	struct pv_err err = { "" };
	struct pv_record r;
	int p[2], rc;

	assert_int_equal(pipe(p), 0);
	assert_int_equal(write(p[1], bytes, n), n);
	rc = pv_stream_open_peer(&in, p[0], 20, &err);
	assert_int_equal(rc, n < HEADERS ? -ETIMEDOUT : 0);
	if (!rc)
		rc = pv_stream_next(&in, &r, &err);
	assert_int_equal(rc, -ETIMEDOUT);
	assert_non_null(strstr(err.text, "nothing has come for too long"));
	pv_stream_close(&in);
	close(p[0]);
	close(p[1]);
}

static void test_silent(void **state)
{
	uint8_t bytes[512];
	size_t n = make(bytes, sizeof(bytes)), at;

	(void)state;
	for (at = 0; at <= n; at += 8)
		silent_behind(bytes, at);
}

static volatile int stop;

static void on_alarm(int sig)
{
	(void)sig;
	stop = 1;
}

/* Puts pages until something is wrong: that. */
static int put_until(struct pv_stream_out *o, const char *text)
{
	static uint8_t page[PV_PAGE_SIZE] = { 1 };
	struct pv_err err = { "" };
	uint8_t kind = PV_STREAM_DATA;
	uint64_t gfn = 1;
	int rc;

	do
		rc = pv_stream_put_pages(o, &gfn, &kind, 1, page, &err);
	while (!rc);
	assert_non_null(strstr(err.text, text));
	return rc;
}

/* Who takes nothing is waited for as long as that is allowed, and by nobody who is told to stop. */
static void test_takes_nothing(void **state)
{
	struct sigaction alarmed = { .sa_handler = on_alarm };
	struct pv_stream_out o;
	struct pv_err err = { "" };
	int p[2];

	(void)state;
	assert_int_equal(pipe(p), 0);
	assert_int_equal(fcntl(p[1], F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(pv_stream_begin(&o, p[1], 0, 1, 0, &err), 0);
	o.patience = 20;
	assert_int_equal(put_until(&o, "nothing is taken any more"), -ETIMEDOUT);
	sigaction(SIGALRM, &alarmed, NULL);
	o.patience = 20000;
	o.stop = &stop;
	alarm(1);
	assert_int_equal(put_until(&o, "interrupted"), -EINTR);
	/* One that blocks, too. */
	assert_int_equal(fcntl(p[1], F_SETFL, 0), 0);
	stop = 0;
	alarm(1);
	assert_int_equal(put_until(&o, "interrupted"), -EINTR);
	/* Others are not ended by a signal. */
	o.stop = NULL;
	o.patience = 1500;
	assert_int_equal(fcntl(p[1], F_SETFL, O_NONBLOCK), 0);
	alarm(1);
	assert_int_equal(put_until(&o, "nothing is taken any more"), -ETIMEDOUT);
	close(p[0]);
	close(p[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_silent),
		cmocka_unit_test(test_takes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
