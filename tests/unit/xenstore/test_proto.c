// SPDX-License-Identifier: BSD-2-Clause
/*
 * Unit tests of requests: permissions, paths, directories, watches, domains.
 * A privileged client and guests on real rings talk to the daemon's code in this process.
 * Tests called xsa_* are named after the advisory whose mistake they look for.
 */
#include "support.h"

static void test_read_write(void **state)
{
	(void)state;
	assert_int_equal(xread(d0, 0, "/a"), -ENOENT);
	assert_int_equal(xwrite(d0, 0, "/a/b", "val"), 0);
	assert_int_equal(d0->rep.hdr.len, 3);
	assert_string_equal(d0->rep.body, "OK");
	assert_int_equal(xread(d0, 0, "/a/b"), 0);
	assert_int_equal(d0->rep.hdr.len, 3);
	assert_string_equal(d0->rep.body, "val");
	assert_int_equal(xread(d0, 0, "/a"), 0);
	assert_int_equal(d0->rep.hdr.len, 0);
	assert_int_equal(request(d0, XS_WRITE, 0, "/bin\0a\0b", 8), 0);
	assert_int_equal(xread(d0, 0, "/bin"), 0);
	assert_int_equal(d0->rep.hdr.len, 3);
	assert_memory_equal(d0->rep.body, "a\0b", 3);
	assert_int_equal(xpath(d0, XS_MKDIR, 0, "/a/b"), 0);
	assert_int_equal(xread(d0, 0, "/a/b"), 0);
	assert_string_equal(d0->rep.body, "val");
	assert_int_equal(xpath(d0, XS_RM, 0, "/a"), 0);
	assert_int_equal(xpath(d0, XS_RM, 0, "/a"), 0);
	assert_int_equal(xpath(d0, XS_RM, 0, "/a/b"), -ENOENT);
	assert_int_equal(xpath(d0, XS_RM, 0, "/"), -EINVAL);
	assert_int_equal(xread(d0, 0, "/a/b"), -ENOENT);
}

static void test_malformed(void **state)
{
	char path[XENSTORE_ABS_PATH_MAX + 2];

	(void)state;
	assert_int_equal(request(d0, XS_READ, 0, "", 0), -EINVAL);
	assert_int_equal(request(d0, XS_READ, 0, "/a", 2), -EINVAL);
	assert_int_equal(request(d0, XS_READ, 0, "/a\0/b", 6), -EINVAL);
	assert_int_equal(request(d0, XS_WRITE, 0, "/a", 2), -EINVAL);
	assert_int_equal(xread(d0, 0, "/a//b"), -EINVAL);
	assert_int_equal(xread(d0, 0, "a"), -ENOENT);
	assert_int_equal(xread(d0, 0, "@releaseDomain"), -EINVAL);
	assert_int_equal(xwrite(d0, 0, "@x", "1"), -EINVAL);
	assert_int_equal(xpath(d0, 20, 0, "1"), -ENOSYS);
	assert_int_equal(xpath(d0, 12345, 0, "1"), -ENOSYS);
	assert_int_equal(xpath(d0, XS_WATCH_EVENT, 0, "1"), -ENOSYS);
	assert_int_equal(xread(d0, 77, "/"), -ENOENT);
	memset(path, 'a', sizeof(path));
	path[0] = '/';
	path[XENSTORE_ABS_PATH_MAX] = 0;
	assert_int_equal(xwrite(d0, 0, path, "1"), 0);
	path[XENSTORE_ABS_PATH_MAX] = 'a';
	path[XENSTORE_ABS_PATH_MAX + 1] = 0;
	assert_int_equal(xwrite(d0, 0, path, "1"), -EINVAL);
}

static void test_directory_parts(void **state)
{
	char path[32], part[32], all[8192];
	size_t off = 0, n, names = 0;
	unsigned long long gen = 0;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		snprintf(path, sizeof(path), "/d/%06d", i);
		assert_int_equal(xwrite(d0, 0, path, ""), 0);
	}
	assert_int_equal(xpath(d0, XS_DIRECTORY, 0, "/d"), -E2BIG);
	for (;;) {
		n = (size_t)sprintf(part, "/d%c%zu", 0, off) + 1;
		assert_int_equal(request(d0, XS_DIRECTORY_PART, 0, part, n), 0);
		if (off)
			assert_int_equal(strtoull(d0->rep.body, NULL, 10), gen);
		gen = strtoull(d0->rep.body, NULL, 10);
		n = strlen(d0->rep.body) + 1;
		memcpy(all + off, d0->rep.body + n, d0->rep.hdr.len - n);
		off += d0->rep.hdr.len - n;
		if (!all[off - 1] && !all[off - 2])
			break;
		assert_true(d0->rep.hdr.len > 4000);
	}
	assert_int_equal(off, 7001);
	for (char *p = all; *p; p += strlen(p) + 1)
		assert_int_equal(atoi(p), names++);
	assert_int_equal(names, 1000);
	assert_int_equal(request(d0, XS_DIRECTORY_PART, 0,
				 "/d\0"
				 "99999",
				 9),
			 0);
	n = strlen(d0->rep.body) + 1;
	assert_int_equal(d0->rep.hdr.len, n + 1);
	/* a change of the list changes the generation */
	xpath(d0, XS_RM, 0, "/d/000500");
	assert_int_equal(request(d0, XS_DIRECTORY_PART, 0,
				 "/d\0"
				 "0",
				 5),
			 0);
	assert_true(strtoull(d0->rep.body, NULL, 10) != gen);
}

/* Rights of a guest by owner, list and default, on every request. */
static void test_rights(void **state)
{
	struct client *g = guest_new(3);
	static const struct {
		const char *perms;
		bool read, write, owner;
	} cases[] = {
		/* clang-format off */
		{ "n0", false, false, false }, { "r0", true, false, false },
		{ "w0", false, true, false }, { "b0", true, true, false },
		{ "n3", true, true, true }, { "n0 r3", true, false, false },
		{ "n0 w3", false, true, false }, { "n0 b3", true, true, false },
		{ "b0 n3", false, false, false }, { "n0 r4", false, false, false },
		{ "r0 n4", true, false, false }, { "n0 n4 b3", true, true, false },
		{ "n0 r3 b3", true, false, false }, { "n3 n3", true, true, true },
		/* clang-format on */
	};

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(xwrite(d0, 0, "/t/x", "1"), 0);
		assert_int_equal(xperms(d0, 0, "/t/x", cases[i].perms), 0);
		assert_int_equal(xread(g, 0, "/t/x"), cases[i].read ? 0 : -EACCES);
		assert_int_equal(xpath(g, XS_DIRECTORY, 0, "/t/x"), cases[i].read ? 0 : -EACCES);
		assert_int_equal(xpath(g, XS_GET_PERMS, 0, "/t/x"), cases[i].read ? 0 : -EACCES);
		assert_int_equal(xwrite(g, 0, "/t/x", "2"), cases[i].write ? 0 : -EACCES);
		assert_int_equal(xpath(g, XS_MKDIR, 0, "/t/x/k"), cases[i].write ? 0 : -EACCES);
		assert_int_equal(xperms(g, 0, "/t/x", cases[i].perms),
				 cases[i].owner ? 0 : -EACCES);
		assert_int_equal(xpath(g, XS_RM, 0, "/t/x"), cases[i].write ? 0 : -EACCES);
		xpath(d0, XS_RM, 0, "/t");
	}
}

/* Whether something exists is told only to those who may read there. */
static void test_existence_hidden(void **state)
{
	struct client *g = guest_new(3);

	(void)state;
	xwrite(d0, 0, "/secret/x", "1");
	xwrite(d0, 0, "/open", "");
	xperms(d0, 0, "/open", "r0");
	assert_int_equal(xread(g, 0, "/secret/nope"), -EACCES);
	assert_int_equal(xread(g, 0, "/secret/x/nope/deeper"), -EACCES);
	assert_int_equal(xread(g, 0, "/nope"), -EACCES);
	assert_int_equal(xread(g, 0, "/open/nope"), -ENOENT);
	assert_int_equal(xpath(g, XS_RM, 0, "/open/nope"), -EACCES);
	assert_int_equal(xwrite(g, 0, "/open/nope", ""), -EACCES);
	/* SET_PERMS wants two rights on a node; on the ancestor of none one of them is enough to be told. */
	assert_int_equal(xperms(g, 0, "/open/nope", "n3"), -EACCES);
	xwrite(d0, 0, "/writable", "");
	xperms(d0, 0, "/writable", "b0");
	assert_int_equal(xperms(g, 0, "/writable/nope", "n3"), -ENOENT);
	assert_int_equal(xperms(g, 0, "/writable", "n3"), -EACCES);
	xwrite(d0, 0, "/own", "");
	xperms(d0, 0, "/own", "n3");
	assert_int_equal(xperms(g, 0, "/own/nope", "n3"), -ENOENT);
}

static void test_inherit(void **state)
{
	struct client *g = guest_new(3);

	(void)state;
	guest_new(4);
	xwrite(d0, 0, "/local/domain/3", "");
	xperms(d0, 0, "/local/domain/3", "n3 r4");
	/* relative paths are the guest's home */
	assert_int_equal(xwrite(g, 0, "data/x", "1"), 0);
	assert_int_equal(xread(d0, 0, "/local/domain/3/data/x"), 0);
	assert_int_equal(xpath(d0, XS_GET_PERMS, 0, "/local/domain/3/data/x"), 0);
	assert_memory_equal(d0->rep.body, "n3\0r4", 6);
	/* what dom0 creates below keeps the owner */
	assert_int_equal(xwrite(d0, 0, "/local/domain/3/y", "1"), 0);
	assert_int_equal(xpath(d0, XS_GET_PERMS, 0, "/local/domain/3/y"), 0);
	assert_memory_equal(d0->rep.body, "n3\0r4", 6);
	assert_int_equal(xpath(g, XS_GET_DOMAIN_PATH, 0, "3"), 0);
	assert_string_equal(g->rep.body, "/local/domain/3");
	/* a list that names the creator elsewhere: it becomes the owner */
	xwrite(d0, 0, "/shared", "");
	xperms(d0, 0, "/shared", "n0 b3");
	assert_int_equal(xwrite(g, 0, "/shared/mine", ""), 0);
	assert_int_equal(xpath(d0, XS_GET_PERMS, 0, "/shared/mine"), 0);
	assert_memory_equal(d0->rep.body, "n3\0b3", 6);
}

/* XSA-352: nobody but dom0 changes the owner of a node. */
static void test_xsa_352_owner_is_fixed(void **state)
{
	struct client *g = guest_new(3);

	(void)state;
	xwrite(d0, 0, "/m", "");
	xperms(d0, 0, "/m", "n3");
	assert_int_equal(xperms(g, 0, "/m", "n3 r0"), 0);
	assert_int_equal(xperms(g, 0, "/m", "n4"), -EPERM);
	assert_int_equal(xperms(g, 0, "/m", "x3"), -EINVAL);
	assert_int_equal(xperms(g, 0, "/m", "n"), -EINVAL);
	assert_int_equal(xperms(g, 0, "/m", "n3x"), -EINVAL);
	assert_int_equal(xperms(g, 0, "/m", "n99999"), -EINVAL);
	assert_int_equal(request(g, XS_SET_PERMS, 0, "/m", 3), -EINVAL);
}

/* XSA-353: the root belongs to dom0, and a guest cannot reach above its home. */
static void test_xsa_353_root_permissions(void **state)
{
	struct client *g = guest_new(3);

	(void)state;
	assert_int_equal(xpath(g, XS_DIRECTORY, 0, "/"), -EACCES);
	assert_int_equal(xwrite(g, 0, "/x", "1"), -EACCES);
	assert_int_equal(xpath(g, XS_RM, 0, "/"), -EACCES);
	assert_int_equal(xperms(g, 0, "/", "b3"), -EACCES);
	assert_int_equal(xpath(d0, XS_GET_PERMS, 0, "/"), 0);
	assert_string_equal(d0->rep.body, "n0");
}

static void test_dom0_only(void **state)
{
	struct client *g = guest_new(3);

	(void)state;
	assert_int_equal(request(g, XS_INTRODUCE, 0,
				 "4\0"
				 "1\0"
				 "1",
				 6),
			 -EACCES);
	assert_int_equal(xpath(g, XS_RELEASE, 0, "4"), -EACCES);
	assert_int_equal(xpath(g, XS_RESUME, 0, "4"), -EACCES);
	assert_int_equal(request(g, XS_SET_TARGET, 0,
				 "3\0"
				 "4",
				 4),
			 -EACCES);
	assert_int_equal(xpath(g, XS_CONTROL, 0, "check"), -EACCES);
	assert_int_equal(xpath(g, XS_SET_QUOTA_, 0, "nodes"), -EACCES);
	assert_int_equal(xperms(g, 0, "@releaseDomain", "r3"), -EACCES);
}

static void test_watches(void **state)
{
	(void)state;
	assert_int_equal(xwatch(d0, "/a", "t"), 0);
	assert_string_equal(d0->rep.body, "OK");
	expect_events(d0, "/a:t");
	assert_int_equal(xwatch(d0, "/a", "t"), -EEXIST);
	assert_int_equal(xwatch(d0, "/a", "u"), 0);
	assert_int_equal(xwatch(d0, "/a/b/c", "deep"), 0);
	assert_int_equal(xwatch(d0, "/a-x", "other"), 0);
	expect_events(d0, "/a:u /a/b/c:deep /a-x:other");
	xwrite(d0, 0, "/a/b", "1");
	expect_events(d0, "/a/b:u /a/b:t");
	xwrite(d0, 0, "/a/b/c/d", "1");
	expect_events(d0, "/a/b/c/d:u /a/b/c/d:t /a/b/c/d:deep");
	xpath(d0, XS_MKDIR, 0, "/a/b"); /* is there: nothing changes */
	expect_events(d0, "");
	xperms(d0, 0, "/a/b", "r0");
	expect_events(d0, "/a/b:u /a/b:t");
	/* removal of a parent: the watch below hears of its own path */
	xpath(d0, XS_RM, 0, "/a");
	expect_events(d0, "/a:u /a:t /a/b/c:deep");
	xpath(d0, XS_RM, 0, "/a");
	expect_events(d0, "");
	assert_int_equal(request(d0, XS_UNWATCH, 0, "/a\0t", 5), 0);
	assert_int_equal(request(d0, XS_UNWATCH, 0, "/a\0t", 5), -ENOENT);
	assert_int_equal(request(d0, XS_UNWATCH, 0, "/a\0v", 5), -ENOENT);
	xwrite(d0, 0, "/a", "");
	expect_events(d0, "/a:u");
	assert_int_equal(xpath(d0, XS_RESET_WATCHES, 0, ""), 0);
	xwrite(d0, 0, "/a", "");
	expect_events(d0, "");
	assert_int_equal(watch_count(), 0);
	assert_int_equal(xwatch(d0, "/a//b", "t"), -EINVAL);
	assert_int_equal(request(d0, XS_WATCH, 0, "/a", 3), -EINVAL);
}

static void test_watch_depth(void **state)
{
	(void)state;
	assert_int_equal(request(d0, XS_WATCH, 0,
				 "/a\0t0\0"
				 "0",
				 8),
			 0);
	assert_int_equal(request(d0, XS_WATCH, 0,
				 "/a\0t1\0"
				 "1",
				 8),
			 0);
	assert_int_equal(request(d0, XS_WATCH, 0, "/a\0tx\0x", 8), -EINVAL);
	expect_events(d0, "/a:t0 /a:t1");
	xwrite(d0, 0, "/a", "");
	expect_events(d0, "/a:t1 /a:t0");
	xwrite(d0, 0, "/a/b", "");
	expect_events(d0, "/a/b:t1");
	xwrite(d0, 0, "/a/b/c", "");
	expect_events(d0, "");
}

static void test_watch_relative(void **state)
{
	struct client *g = guest_new(3);

	(void)state;
	xwrite(d0, 0, "/local/domain/3", "");
	xperms(d0, 0, "/local/domain/3", "n3");
	assert_int_equal(xwatch(g, "device", "tok"), 0);
	expect_events(g, "device:tok");
	xwrite(d0, 0, "/local/domain/3/device/vif/0", "1");
	expect_events(g, "device/vif/0:tok");
	assert_int_equal(request(g, XS_UNWATCH, 0, "device\0tok", 11), 0);
}

/* On the socket a relative path begins at dom0's home: Xen's own programs in dom0 use them. */
static void test_relative_on_the_socket(void **state)
{
	(void)state;
	assert_int_equal(xwrite(d0, 0, "data/x", "1"), 0);
	assert_int_equal(xread(d0, 0, "/local/domain/0/data/x"), 0);
	assert_string_equal(d0->rep.body, "1");
	assert_int_equal(xread(d0, 0, "data/x"), 0);
	assert_int_equal(xwatch(d0, "data", "tok"), 0);
	expect_events(d0, "data:tok");
	xwrite(d0, 0, "/local/domain/0/data/y", "2");
	expect_events(d0, "data/y:tok");
	assert_int_equal(xpath(d0, XS_RM, 0, "data"), 0);
	assert_int_equal(xread(d0, 0, "/local/domain/0/data/x"), -ENOENT);
	assert_int_equal(xread(d0, 0, ""), -EINVAL);
	assert_int_equal(xread(d0, 0, "a//b"), -EINVAL);
}

/* XSA-115: an event tells only those who may read. */
static void test_xsa_115_watch_permission(void **state)
{
	struct client *g = guest_new(3);

	(void)state;
	assert_int_equal(xwatch(g, "/s", "t"), 0);
	assert_int_equal(xwatch(g, "@releaseDomain", "r"), 0);
	assert_int_equal(xwatch(g, "/", "root"), 0);
	expect_events(g, "/s:t @releaseDomain:r /:root");
	xwrite(d0, 0, "/s/x", "1");
	expect_events(g, "");
	xperms(d0, 0, "/s/x", "n0 r3");
	expect_events(g, "/s/x:root /s/x:t");
	xwrite(d0, 0, "/s/x", "2");
	expect_events(g, "/s/x:root /s/x:t");
	xpath(d0, XS_RM, 0, "/s");
	expect_events(g, "");
	xwrite(d0, 0, "/s/x", "1");
	xperms(d0, 0, "/s/x", "n0 r3");
	expect_events(g, "/s/x:root /s/x:t");
	xpath(d0, XS_RM, 0, "/s/x"); /* could be read until now */
	expect_events(g, "/s/x:root /s/x:t");
	guest_new(4);
	xpath(d0, XS_RELEASE, 0, "4");
	expect_events(g, "");
	assert_int_equal(xperms(d0, 0, "@releaseDomain", "n0 r3"), 0);
	assert_int_equal(xpath(d0, XS_GET_PERMS, 0, "@releaseDomain"), 0);
	assert_memory_equal(d0->rep.body, "n0\0r3", 6);
	guest_new(6);
	xpath(d0, XS_RELEASE, 0, "6");
	expect_events(g, "@releaseDomain:r");
}

/* XSA-324: path and token together may be longer than a message can be. */
static void test_xsa_324_long_event(void **state)
{
	char body[XENSTORE_PAYLOAD_MAX], path[3000];

	(void)state;
	memset(body, 't', sizeof(body));
	memcpy(body, "/w", 3);
	body[2000] = 0;
	assert_int_equal(request(d0, XS_WATCH, 0, body, 2001), 0);
	d0->num_events = 0;
	memset(path, 'p', sizeof(path));
	memcpy(path, "/w/", 3);
	path[2900] = 0;
	assert_int_equal(xwrite(d0, 0, path, ""), 0);
	/* it hears that something below changed, in a message that fits */
	assert_int_equal(d0->num_events, 1);
	assert_string_equal(d0->events[0][0], "/w");
}

/* XSA-72: an answer that would be longer than a message is refused, and nothing of it is sent. */
static void test_xsa_72_oversize_reply(void **state)
{
	char body[XENSTORE_PAYLOAD_MAX], path[64];

	(void)state;
	/* the longest value that a WRITE can bring comes back whole */
	memset(body, 'v', sizeof(body));
	memcpy(body, "/big", 5);
	assert_int_equal(request(d0, XS_WRITE, 0, body, sizeof(body)), 0);
	assert_int_equal(xread(d0, 0, "/big"), 0);
	assert_int_equal(d0->rep.hdr.len, sizeof(body) - 5);
	/* a list of children: 4096 bytes fit, one more does not */
	for (int i = 0; i < 4096 / 32; i++) {
		snprintf(path, sizeof(path), "/list/%031d", i);
		assert_int_equal(xwrite(d0, 0, path, ""), 0);
	}
	assert_int_equal(xpath(d0, XS_DIRECTORY, 0, "/list"), 0);
	assert_int_equal(d0->rep.hdr.len, 4096);
	xpath(d0, XS_RM, 0, path);
	strcat(path, "x");
	xwrite(d0, 0, path, "");
	assert_int_equal(xpath(d0, XS_DIRECTORY, 0, "/list"), -E2BIG);
	/* a list of permissions that cannot be written back as text */
	for (unsigned int i = 0; i < 1364; i++)
		memcpy(body + 2 + i * 3, "n9", 3);
	memcpy(body, "/", 2);
	assert_int_equal(request(d0, XS_SET_PERMS, 0, body, 2 + 1364 * 3), 0);
	assert_int_equal(xpath(d0, XS_GET_PERMS, 0, "/"), 0);
	assert_int_equal(d0->rep.hdr.len, 1364 * 3);
}

/* XSA-323: a relative path may not become too long by what is put in front of it. */
static void test_xsa_323_path_length(void **state)
{
	struct client *g = guest_new(3);
	char path[XENSTORE_ABS_PATH_MAX + 2];

	(void)state;
	dom_find(3)->limit[Q_PATH] = 0;
	xwrite(d0, 0, "/local/domain/3", "");
	xperms(d0, 0, "/local/domain/3", "n3");
	memset(path, 'p', sizeof(path));
	path[XENSTORE_REL_PATH_MAX] = 0;
	assert_int_equal(xwrite(g, 0, path, "x"), 0);
	assert_int_equal(xwatch(g, path, "t"), 0);
	path[XENSTORE_REL_PATH_MAX] = 'p';
	path[XENSTORE_REL_PATH_MAX + 1] = 0;
	assert_int_equal(xwrite(g, 0, path, "x"), -EINVAL);
	assert_int_equal(xwatch(g, path, "t"), -EINVAL);
	/* absolute: to the byte, and the longest can be listed, watched, read and removed */
	memset(path, 'p', sizeof(path));
	memcpy(path, "/local/domain/3/", 16);
	path[XENSTORE_ABS_PATH_MAX + 1] = 0;
	assert_int_equal(xwrite(g, 0, path, "x"), -EINVAL);
	path[XENSTORE_ABS_PATH_MAX] = 0;
	assert_int_equal(xwrite(g, 0, path, "x"), 0);
	assert_int_equal(xread(g, 0, path), 0);
	assert_int_equal(xpath(g, XS_DIRECTORY, 0, "/local/domain/3"), -E2BIG);
	assert_int_equal(xpath(g, XS_RM, 0, path), 0);
}

static void test_control(void **state)
{
	(void)state;
	assert_int_equal(xpath(d0, XS_CONTROL, 0, "check"), 0);
	assert_string_equal(d0->rep.body, "OK");
	assert_int_equal(xpath(d0, XS_CONTROL, 0, "help"), 0);
	assert_non_null(strstr(d0->rep.body, "quota"));
	assert_int_equal(request(d0, XS_CONTROL, 0, "log\0on", 7), 0);
	assert_int_equal(request(d0, XS_CONTROL, 0, "log\0off", 8), 0);
	assert_int_equal(request(d0, XS_CONTROL, 0, "log\0maybe", 10), -EINVAL);
	assert_int_equal(xpath(d0, XS_CONTROL, 0, "nonsense"), -EINVAL);
	assert_int_equal(xpath(d0, XS_CONTROL, 0, "quota"), 0);
	assert_int_equal(request(d0, XS_CONTROL, 0,
				 "quota\0"
				 "0",
				 8),
			 0);
	assert_int_equal(request(d0, XS_CONTROL, 0,
				 "quota\0"
				 "9",
				 8),
			 -ENOENT);
	assert_int_equal(xpath(d0, XS_CONTROL, 0, "memreport"), 0);
	assert_int_equal(request(d0, XS_CONTROL, 0, "print\0hello", 12), 0);
	assert_int_equal(request(d0, XS_CONTROL, 0, "a\0b\0c\0d\0e\0f", 12), -EINVAL);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	/* clang-format off */
	const struct CMUnitTest tests[] = {
		T(test_read_write),
		T(test_malformed),
		T(test_directory_parts),
		T(test_rights),
		T(test_existence_hidden),
		T(test_inherit),
		T(test_xsa_352_owner_is_fixed),
		T(test_xsa_353_root_permissions),
		T(test_dom0_only),
		T(test_watches),
		T(test_watch_depth),
		T(test_watch_relative),
		T(test_relative_on_the_socket),
		T(test_xsa_115_watch_permission),
		T(test_xsa_324_long_event),
		T(test_xsa_72_oversize_reply),
		T(test_xsa_323_path_length),
		T(test_control),
	};
	/* clang-format on */

	return cmocka_run_group_tests(tests, NULL, NULL);
}
