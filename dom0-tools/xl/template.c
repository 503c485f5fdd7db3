// SPDX-License-Identifier: BSD-2-Clause
/*
 * What there is of a template besides its domain (template.h).
 * Owns that it goes when the domain goes.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "template.h"

/* Where they are, for who asks for one by its name there. */
static struct snapshots all(void)
{
	static char dir[] = XL_RUN_DIR, guest[] = "a template";

	return (struct snapshots){ .guest = guest, .dir = dir, .lock = -1 };
}

static char *name_of(uint32_t domid)
{
	return xl_sprintf("template-%u", domid);
}

static char *path_of(uint32_t domid)
{
	return xl_sprintf(XL_RUN_DIR "/template-%u", domid);
}

static int copy_stream(int from, const char *path)
{
	int to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), rc = -1;
	off_t at = 0;
	struct stat st;
	ssize_t n = 1;

	if (to >= 0 && !fstat(from, &st)) {
		while (at < st.st_size && n > 0)
			n = sendfile(to, from, &at, st.st_size - at);
		rc = at < st.st_size ? -1 : 0;
	}
	if (rc)
		xl_error("%s: %s", path, strerror(errno));
	if (to >= 0)
		close(to);
	return rc;
}

int template_keep(uint32_t domid, const struct snapshot *s, const char *config, int fd)
{
	struct snapshot kept = *s;
	char *memory;
	int rc;

	kept.dir = path_of(domid);
	rc = mkdir(kept.dir, 0700) ? xl_error("%s: %s", kept.dir, strerror(errno)) :
				     snapshot_note(&kept, config);
	memory = snapshot_path(&kept, "memory");
	if (!rc)
		rc = copy_stream(fd, memory);
	free(memory);
	free(kept.dir);
	return rc;
}

bool template_is(uint32_t domid)
{
	char *dir = path_of(domid);
	bool there = !access(dir, F_OK);

	free(dir);
	return there;
}

int template_read(uint32_t domid, struct snapshot *s)
{
	struct snapshots here = all();
	char *name = name_of(domid);
	int rc = snapshot_read(&here, s, name);

	free(name);
	return rc;
}

void template_forget(uint32_t domid)
{
	struct snapshots here = all();
	struct snapshot s;

	if (!template_is(domid))
		return;
	/* One that was not noted whole has no disks yet that are noted. */
	template_read(domid, &s);
	snapshot_remove(&here, &s);
	snapshot_free(&s);
}
