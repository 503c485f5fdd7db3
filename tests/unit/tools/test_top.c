// SPDX-License-Identifier: BSD-2-Clause
/*
 * top.c and metrics.c: what the figures become as text.
 */
#include <stdlib.h>

#include "metrics.h"
#include "test.h"
#include "top.h"

#include <xen/sched.h>

static struct stats_vcpu dom0_vcpu[] = { { .id = 0, .online = true, .has_steal = true },
					 { .id = 1, .online = true, .has_steal = true } };
static struct stats_vcpu guest_vcpu[] = { { .id = 0, .online = true, .cpu_ns = 3000000000 } };
static struct stats_vbd vbd[] = { { 51712, 1, 20, 30, 4, 5, 600, 700 },
				  { 51728, 1, 2, 3, 0, 0, 6, 7 } };
static struct stats_vif vif[] = { { 0, "lan\"x", 4096, 4, 0, 0, 8192, 8, 0, 0 } };

static struct stats_domain domains[] = {
	{ .name = "Domain-0",
	  .cpu_ns = 10000000000,
	  .memory = 1 << 20,
	  .max_memory = UINT64_MAX,
	  .flags = XEN_DOMINF_running,
	  .vcpus_online = 2,
	  .nr_vcpus = 2,
	  .vcpu = dom0_vcpu },
	{ .domid = 3,
	  .name = "a-name-that-is-long",
	  .uuid = { 1 },
	  .cpu_ns = 3000000000,
	  .memory = 2 << 20,
	  .max_memory = 4 << 20,
	  .flags = XEN_DOMINF_blocked | XEN_DOMINF_paused,
	  .vcpus_online = 1,
	  .nr_vcpus = 1,
	  .vcpu = guest_vcpu,
	  .nr_vbds = 2,
	  .vbd = vbd,
	  .nr_vifs = 1,
	  .vif = vif },
	{ .domid = 7,
	  .name = "b\\c\n\"d\"",
	  .uuid = { 2 },
	  .flags = XEN_DOMINF_shutdown | XEN_DOMINF_dying,
	  .reason = SHUTDOWN_crash,
	  .memory = 4096,
	  .max_memory = 4096 },
};

static const struct stats now = {
	.ns = 2000000000,
	.cpus = 2,
	.memory = 16 << 20,
	.free = 8 << 20,
	.nr = 3,
	.domain = domains,
};

/* A second before */
static struct stats earlier(struct stats_domain copy[3])
{
	struct stats prev = now;

	memcpy(copy, domains, sizeof(domains));
	copy[0].cpu_ns -= 500000000;
	copy[1].cpu_ns -= 1250000000;
	prev.ns = 1000000000;
	prev.domain = copy;
	return prev;
}

static char *field(char *line, int n)
{
	char *p = strtok(line, " ");

	while (p && n--)
		p = strtok(NULL, " ");
	return p ? p : "";
}

static const char header[] =
	"      NAME  STATE   CPU(sec) CPU(%)     MEM(k) MEM(%)  MAXMEM(k) MAXMEM(%) VCPUS NETS "
	"NETTX(k) NETRX(k) VBDS   VBD_OO   VBD_RD   VBD_WR  VBD_RSECT  VBD_WSECT SSID STEAL(%)";

static void table(void **state)
{
	struct top_table t;
	char *line;

	(void)state;
	top_make(&t, NULL, &now, TOP_DOMID, false);
	assert_int_equal(t.nr, 3);
	line = top_header(&t);
	assert_string_equal(line, header);
	free(line);
	line = top_line(&t, &t.row[0]);
	assert_int_equal(strlen(line), strlen(header));
	assert_string_equal(line, "  Domain-0 -----r         10    0.0       1024    6.2   no limit"
				  "       n/a     2    0        0        0    0        0        0"
				  "        0          0          0    0      0.0");
	free(line);
	line = top_line(&t, &t.row[1]);
	assert_int_equal(strlen(line), strlen(header));
	assert_string_equal(line, "a-name-tha --b-p-          3    0.0       2048   12.5       4096"
				  "      25.0     1    1        4        8    2        2       22"
				  "       33        606        707    0      n/a");
	free(line);
	assert_string_equal(t.row[2].state, "ds-c--");
	top_free(&t);
	/* Names in full make their column wider. */
	top_make(&t, NULL, &now, TOP_DOMID, true);
	line = top_line(&t, &t.row[1]);
	assert_memory_equal(line, "a-name-that-is-long --b-p- ", 27);
	free(line);
	top_free(&t);
}

static void percentages(void **state)
{
	struct stats_domain copy[3];
	struct stats prev = earlier(copy);
	struct top_table t;
	char *line;

	(void)state;
	dom0_vcpu[0].steal_ns = 0;
	top_make(&t, &prev, &now, TOP_DOMID, false);
	assert_true(t.row[0].value[TOP_CPU_PERCENT] == 50);
	assert_true(t.row[1].value[TOP_CPU_PERCENT] == 125);
	line = top_line(&t, &t.row[1]);
	assert_string_equal(field(line, 3), "125.0");
	free(line);
	top_free(&t);
	/* Another domain of this number, and a clock that stood still. */
	copy[1].uuid[0] = 9;
	top_make(&t, &prev, &now, TOP_DOMID, false);
	assert_true(t.row[1].value[TOP_CPU_PERCENT] == 0);
	top_free(&t);
	prev.ns = now.ns;
	top_make(&t, &prev, &now, TOP_DOMID, false);
	assert_true(t.row[0].value[TOP_CPU_PERCENT] == 0);
	top_free(&t);
	/* Steal is known of dom0 only here. */
	{
		struct stats_vcpu before_[2] = { dom0_vcpu[0], dom0_vcpu[1] };

		prev = earlier(copy);
		copy[0].vcpu = before_;
		dom0_vcpu[1].steal_ns = 100000000;
		top_make(&t, &prev, &now, TOP_DOMID, false);
		assert_true(t.row[0].value[TOP_STEAL_PERCENT] == 10);
		assert_true(t.row[1].value[TOP_STEAL_PERCENT] < 0);
		top_free(&t);
	}
}

static void order(void **state)
{
	static const struct {
		enum top_column sort;
		uint32_t domid[3];
	} cases[] = {
		{ TOP_DOMID, { 0, 3, 7 } },  { TOP_NAME, { 0, 3, 7 } },
		{ TOP_CPU, { 0, 3, 7 } },    { TOP_MEM, { 3, 0, 7 } },
		{ TOP_VBD_RD, { 3, 0, 7 } }, { TOP_STATE, { 7, 3, 0 } },
		{ TOP_MAXMEM, { 3, 7, 0 } },
	};
	struct top_table t;
	size_t i, j;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		top_make(&t, NULL, &now, cases[i].sort, false);
		for (j = 0; j < 3; j++)
			assert_int_equal(t.row[j].d->domid, cases[i].domid[j]);
		top_free(&t);
	}
}

/* Where the header's words are. */
static void columns(void **state)
{
	struct top_table t;
	int begin, end, c;

	(void)state;
	top_make(&t, NULL, &now, TOP_DOMID, false);
	assert_false(top_column_at(&t, TOP_DOMID, &begin, &end));
	for (c = TOP_NAME; c < TOP_COLUMNS; c++) {
		const char *word = top_column_name(c);

		assert_true(top_column_at(&t, c, &begin, &end));
		assert_memory_equal(header + begin, word, strlen(word));
		assert_int_equal(end, begin + (int)strlen(word));
	}
	top_free(&t);
}

static void csv(void **state)
{
	struct top_table t;
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	(void)state;
	top_make(&t, NULL, &now, TOP_DOMID, false);
	top_csv(f, &t);
	fclose(f);
	assert_non_null(strstr(text, ",3,\"a-name-that-is-long\",01000000-"));
	assert_non_null(strstr(text, ",--b-p-,3.000,0.0,,,2097152,4194304,1,1,4096,8192,2,2,22,33,"
				     "310272,361984\n"));
	assert_non_null(strstr(text, ",\"b\\c\n\"\"d\"\"\","));
	free(text);
	top_free(&t);
}

static void metrics(void **state)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	(void)state;
	metrics_print(f, &now);
	fclose(f);
	/* A label cannot end itself. */
	assert_non_null(strstr(text, "pavise_domain_memory_bytes{domid=\"7\","
				     "name=\"b\\\\c\\n\\\"d\\\"\"} 4096\n"));
	assert_non_null(strstr(text, "device=\"0\",interface=\"lan\\\"x\"} 4096\n"));
	assert_non_null(strstr(text, "pavise_vbd_read_bytes_total{domid=\"3\",name=\"a-name-that-is"
				     "-long\",device=\"51712\"} 307200\n"));
	assert_non_null(strstr(text, "state=\"crashed\"} 1\n"));
	/* What is not known is not there, rather than 0. */
	assert_non_null(strstr(text, "pavise_xenstored_up 0\n"));
	assert_null(strstr(text, "pavise_xenstored_nodes"));
	assert_null(strstr(text, "pavise_domain_memory_max_bytes{domid=\"0\""));
	assert_null(strstr(text, "pavise_vcpu_steal_seconds_total{domid=\"3\""));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table),   cmocka_unit_test(percentages), cmocka_unit_test(order),
		cmocka_unit_test(columns), cmocka_unit_test(csv),	  cmocka_unit_test(metrics),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
