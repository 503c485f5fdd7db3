// SPDX-License-Identifier: BSD-2-Clause
/*
 * oci-unpack ARCHIVE NAME DIRECTORY [USER]: what the guest's init does up to the program's start, for tests on the host. NAME "" is the only one.
 * Owns nothing: it prints what was found, or why not.
 */
#include <fcntl.h>
#include <stdio.h>

#include "image.h"
#include "layer.h"
#include "user.h"

static struct image im;

int main(int argc, char **argv)
{
	struct user u;
	char why[512];
	int fd, root, i;

	if (argc < 4)
		return 2;
	fd = open(argv[1], O_RDONLY);
	root = open(argv[3], O_RDONLY | O_DIRECTORY);
	if (fd < 0 || root < 0)
		return 2;
	if (image_open(&im, fd, argv[2][0] ? argv[2] : NULL, "riscv64")) {
		printf("image: %s\n", im.why);
		image_free(&im);
		return 1;
	}
	for (i = 0; i < im.nr_layers; i++) {
		if (layer_unpack(fd, &im.layer[i], root, why, sizeof(why))) {
			printf("layer %d: %s\n", i + 1, why);
			image_free(&im);
			return 1;
		}
	}
	printf("layers %d workdir %s\n", im.nr_layers,
	       json_string(im.config, "WorkingDir") ?: "(none)");
	if (argc > 4 && user_find(root, argv[4], &u, why, sizeof(why)))
		printf("user: %s\n", why);
	else if (argc > 4)
		printf("user %u:%u groups %d home %s\n", u.uid, u.gid, u.nr_groups, u.home);
	image_free(&im);
	return 0;
}
