// SPDX-License-Identifier: BSD-2-Clause
/*
 * Unit tests of the immutable store and of path rules.
 * Snapshots must never change, whatever happens to the current store.
 * Run under ASan and UBSan; leaks count as failures.
 */
#include "support.h"
#include "path.h"
#include "tree.h"

static void test_path_valid(void **state)
{
	static const char *const good[] = { "/", "/a", "/a/b-c_D@9/x", "/local/domain/0" };
	static const char *const bad[] = { "",	   "a",	   "//",    "/a/", "/a//b",
					   "/a b", "/a.b", "/\xc3", "a/b", "/a/\n" };
	char path[3200];

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(good); i++)
		assert_true(path_valid(good[i]));
	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(path_valid(bad[i]));
	memset(path, 'a', sizeof(path));
	path[0] = '/';
	path[XENSTORE_ABS_PATH_MAX] = 0;
	assert_true(path_valid(path));
	path[XENSTORE_ABS_PATH_MAX] = 'a';
	path[XENSTORE_ABS_PATH_MAX + 1] = 0;
	assert_false(path_valid(path));
}

static void test_path_below(void **state)
{
	(void)state;
	assert_true(path_below("/", "/"));
	assert_true(path_below("/", "/a"));
	assert_true(path_below("/a", "/a"));
	assert_true(path_below("/a", "/a/b"));
	assert_false(path_below("/a", "/ab"));
	assert_false(path_below("/a/b", "/a"));
	assert_false(path_below("/", "@releaseDomain"));
	assert_true(path_below("@releaseDomain", "@releaseDomain/5"));
	assert_int_equal(path_levels("/", "/a/b"), 2);
	assert_int_equal(path_levels("/a", "/a/b/c"), 2);
	assert_int_equal(path_levels("/a", "/a"), 0);
	assert_int_equal(path_parent_len("/a"), 1);
	assert_int_equal(path_parent_len("/a/b"), 2);
}

static struct node *put(struct node *root, const char *path, const char *val)
{
	struct op op = { .kind = OP_WRITE,
			 .path = (char *)path,
			 .value = blob_new(val, strlen(val)) };
	struct acct a = { 0 };
	struct node *next;

	assert_int_equal(op_apply(root, &op, &a, &next), 0);
	acct_free(&a);
	blob_put(op.value);
	return next;
}

static struct node *drop(struct node *root, const char *path)
{
	struct op op = { .kind = OP_RM, .path = (char *)path };
	struct acct a = { 0 };
	struct node *next;

	assert_int_equal(op_apply(root, &op, &a, &next), 0);
	acct_free(&a);
	return next;
}

static void assert_value(const struct node *root, const char *path, const char *val)
{
	const struct node *n = tree_get(root, path);

	if (!val) {
		assert_null(n);
		return;
	}
	assert_non_null(n);
	assert_int_equal(n->value ? n->value->len : 0, strlen(val));
	if (*val)
		assert_memory_equal(n->value->data, val, strlen(val));
}

static void test_snapshots(void **state)
{
	struct node *s[4];

	(void)state;
	s[0] = put(store_root, "/a/b/c", "1");
	s[1] = put(s[0], "/a/b/c", "2");
	s[2] = put(s[1], "/a/x", "3");
	s[3] = drop(s[2], "/a/b");
	assert_value(store_root, "/a", NULL);
	assert_value(s[0], "/a/b/c", "1");
	assert_value(s[0], "/a/b", "");
	assert_value(s[1], "/a/b/c", "2");
	assert_value(s[1], "/a/x", NULL);
	assert_value(s[2], "/a/x", "3");
	assert_value(s[3], "/a/b/c", NULL);
	assert_value(s[3], "/a/x", "3");
	/* what did not change is shared, not copied */
	assert_ptr_equal(tree_get(s[1], "/a/b"), tree_get(s[2], "/a/b"));
	assert_ptr_equal(tree_get(s[2], "/a/x"), tree_get(s[3], "/a/x"));
	/* generations: a node's own, and its directory's */
	assert_int_equal(tree_get(s[0], "/a")->gen, tree_get(s[1], "/a")->gen);
	assert_int_not_equal(tree_get(s[1], "/a")->dir_gen, tree_get(s[2], "/a")->dir_gen);
	assert_int_not_equal(tree_get(s[0], "/a/b/c")->gen, tree_get(s[1], "/a/b/c")->gen);
	for (int i = 0; i < 4; i++)
		node_put(s[i]);
}

/* Random inserts and removals in one directory against an array. */
static void test_directory_random(void **state)
{
	enum { N = 300 };
	struct node *root = put(store_root, "/d", ""), *next;
	bool there[N] = { false };
	unsigned int count = 0;
	size_t bytes = 0;
	char path[32];

	(void)state;
	srand(1);
	for (int i = 0; i < 20000; i++) {
		int k = rand() % N;

		snprintf(path, sizeof(path), "/d/%d", k);
		if (there[k]) {
			next = drop(root, path);
			count--;
			bytes -= strlen(path + 3) + 1;
		} else {
			next = put(root, path, "x");
			count++;
			bytes += strlen(path + 3) + 1;
		}
		there[k] = !there[k];
		node_put(root);
		root = next;
		assert_int_equal(node_children(tree_get(root, "/d")), count);
		assert_int_equal(node_dir_bytes(tree_get(root, "/d")), bytes);
	}
	for (int k = 0; k < N; k++) {
		snprintf(path, sizeof(path), "/d/%d", k);
		assert_int_equal(!!tree_get(root, path), there[k]);
	}
	node_put(root);
}

struct order {
	char last[64];
	size_t off, start;
	unsigned int num;
};

static bool check_order(const struct node *n, void *ctx)
{
	struct order *o = ctx;

	if (o->num)
		assert_true(strcmp(o->last, n->name) < 0);
	strcpy(o->last, n->name);
	o->num++;
	return true;
}

static void test_directory_large(void **state)
{
	enum { N = 20000 };
	struct node *root = node_get(store_root), *next;
	struct order o = { 0 };
	char path[32];

	(void)state;
	for (int i = 0; i < N; i++) {
		snprintf(path, sizeof(path), "/d/%05d", i); /* in order: the worst case of a naive
							       tree */
		next = put(root, path, "");
		node_put(root);
		root = next;
	}
	node_list(tree_get(root, "/d"), 0, check_order, &o);
	assert_int_equal(o.num, N);
	/* an offset in bytes starts at that very name */
	o = (struct order){ 0 };
	node_list(tree_get(root, "/d"), 6 * 12345, check_order, &o);
	assert_int_equal(o.num, N - 12345);
	node_put(root);
}

/* XSA-418: neither making nor freeing a tree of the greatest depth may recurse by its depth. */
static void test_xsa_418_deep_tree(void **state)
{
	char path[XENSTORE_ABS_PATH_MAX + 1];
	struct node *root, *next;

	(void)state;
	for (int i = 0; i < XENSTORE_ABS_PATH_MAX; i += 2)
		memcpy(path + i, "/a", 2);
	path[XENSTORE_ABS_PATH_MAX] = 0;
	assert_true(path_valid(path));
	root = put(store_root, path, "deep");
	assert_value(root, path, "deep");
	next = drop(root, "/a");
	assert_null(tree_get(next, "/a"));
	node_put(root);
	node_put(next);
}

int main(void)
{
	/* clang-format off */
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_path_valid),
		cmocka_unit_test(test_path_below),
		cmocka_unit_test_setup_teardown(test_snapshots, setup, teardown),
		cmocka_unit_test_setup_teardown(test_directory_random, setup, teardown),
		cmocka_unit_test_setup_teardown(test_directory_large, setup, teardown),
		cmocka_unit_test_setup_teardown(test_xsa_418_deep_tree, setup, teardown),
	};
	/* clang-format on */

	return cmocka_run_group_tests(tests, NULL, NULL);
}
