// SPDX-License-Identifier: BSD-2-Clause
/*
 * Files of UNIX sockets that outlive their process.
 * Owns the question whether one may be removed: xenconsoled asks it for its own, xl for those of a xenconsoled that died.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "pavise.h"

bool pv_socket_is_dead(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct stat st;
	bool dead;
	int fd;

	if (strlen(path) >= sizeof(addr.sun_path) || lstat(path, &st) || !S_ISSOCK(st.st_mode) ||
	    st.st_uid != geteuid() || (st.st_mode & 07777) != 0600)
		return false;
	strcpy(addr.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return false;
	dead = connect(fd, (struct sockaddr *)&addr, sizeof(addr)) && errno == ECONNREFUSED;
	close(fd);
	return dead;
}
