// SPDX-License-Identifier: BSD-2-Clause
/*
 * The handle: /dev/xen/privcmd, and memory that the hypervisor may reach at any time.
 * Owns hypercall buffers: an ordinary user page may be migrated or lose its dirty bit just when
 * the hypervisor reads through the page table, and the call would fail with -EFAULT.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pavise.h"
#include "uapi.h"

struct pv {
	int fd; /* /dev/xen/privcmd */
	int buf_fd; /* /dev/xen/hypercall, or -1: mlock instead */
	void *page; /* holds the structure of the call in progress */
	void *batch; /* pv_batch(); NULL: not needed yet */
	size_t batch_bytes;
};

int pv_fail(struct pv_err *err, int rc, const char *fmt, ...)
{
	va_list ap;

	if (err && !err->text[0]) {
		va_start(ap, fmt);
		vsnprintf(err->text, sizeof(err->text), fmt, ap);
		va_end(ap);
	}
	return rc;
}

static size_t page_round(size_t bytes)
{
	return (bytes + PV_PAGE_SIZE - 1) & ~(PV_PAGE_SIZE - 1);
}

void *pv_buf_alloc(struct pv *pv, size_t bytes)
{
	size_t size = page_round(bytes ? bytes : 1);
	void *p;

	if (pv->buf_fd >= 0) {
		p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, pv->buf_fd, 0);
	} else {
		p = mmap(NULL, size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
		if (p != MAP_FAILED && (mlock(p, size) || madvise(p, size, MADV_DONTFORK))) {
			int saved = errno;

			munmap(p, size);
			errno = saved;
			return NULL;
		}
	}
	if (p == MAP_FAILED)
		return NULL;
	/* The dirty bit must be set in the page table: the hypervisor's walk does not set it. */
	memset(p, 0, size);
	return p;
}

void pv_buf_free(struct pv *pv, void *buf, size_t bytes)
{
	(void)pv;
	if (buf)
		munmap(buf, page_round(bytes ? bytes : 1));
}

int pv_open(struct pv **out, struct pv_err *err)
{
	struct pv *pv = calloc(1, sizeof(*pv));
	int rc;

	if (!pv)
		return pv_fail(err, -ENOMEM, "out of memory");
	pv->fd = open("/dev/xen/privcmd", O_RDWR | O_CLOEXEC);
	if (pv->fd < 0) {
		rc = -errno;
		pv_fail(err, rc, "cannot open /dev/xen/privcmd: %s (is this dom0?)", strerror(-rc));
		free(pv);
		return rc;
	}
	pv->buf_fd = open("/dev/xen/hypercall", O_RDWR | O_CLOEXEC);
	pv->page = pv_buf_alloc(pv, PV_PAGE_SIZE);
	if (!pv->page) {
		rc = errno ? -errno : -ENOMEM;
		pv_fail(err, rc, "cannot get a hypercall buffer: %s", strerror(-rc));
		pv_close(pv);
		return rc;
	}
	*out = pv;
	return 0;
}

void pv_close(struct pv *pv)
{
	if (!pv)
		return;
	pv_buf_free(pv, pv->page, PV_PAGE_SIZE);
	pv_buf_free(pv, pv->batch, pv->batch_bytes);
	if (pv->buf_fd >= 0)
		close(pv->buf_fd);
	close(pv->fd);
	free(pv);
}

void *pv_batch(struct pv *pv, size_t bytes)
{
	if (!pv->batch) {
		pv->batch = pv_buf_alloc(pv, bytes);
		pv->batch_bytes = bytes;
	}
	return pv->batch;
}

int pv_fd(const struct pv *pv)
{
	return pv->fd;
}

long pv_hypercall(struct pv *pv, unsigned int op, uint64_t a1, uint64_t a2, uint64_t a3)
{
	struct privcmd_hypercall call = { .op = op, .arg = { a1, a2, a3 } };
	long rc = ioctl(pv->fd, IOCTL_PRIVCMD_HYPERCALL, &call);

	return rc < 0 ? -errno : rc;
}

long pv_hypercall_struct(struct pv *pv, unsigned int op, uint64_t cmd, void *arg, size_t bytes)
{
	long rc;

	if (bytes > PV_PAGE_SIZE)
		return -E2BIG;
	memcpy(pv->page, arg, bytes);
	rc = pv_hypercall(pv, op, cmd, (uintptr_t)pv->page, 0);
	memcpy(arg, pv->page, bytes);
	return rc;
}

long pv_hypercall_struct1(struct pv *pv, unsigned int op, void *arg, size_t bytes)
{
	long rc;

	if (bytes > PV_PAGE_SIZE)
		return -E2BIG;
	memcpy(pv->page, arg, bytes);
	rc = pv_hypercall(pv, op, (uintptr_t)pv->page, 0, 0);
	memcpy(arg, pv->page, bytes);
	return rc;
}
