/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who the program is to be: an image's "User", by the image's own /etc/passwd and /etc/group.
 * Owns reading these, which are the image's: never through libc, which would read the init's.
 */
#ifndef OCI_USER_H
#define OCI_USER_H

#include <stddef.h>
#include <sys/types.h>

#define USER_GROUPS 64

struct user {
	uid_t uid;
	gid_t gid;
	gid_t group[USER_GROUPS];
	int nr_groups;
	char home[256];
};

/* @spec: "user", "uid", "user:group", "uid:gid" or any of both; "" is root. 0, or -1 and @why. */
int user_find(int root, const char *spec, struct user *u, char *why, size_t size);

#endif /* OCI_USER_H */
