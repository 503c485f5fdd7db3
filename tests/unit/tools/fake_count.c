// SPDX-License-Identifier: BSD-2-Clause
/*
 * What one run of xl asks of xenstored and of the hypervisor: at its end it writes "requests lists nodes" into the file
 * $FAKE_COUNT: how often it read in xenstore, listed all domains, and of how many nodes it read. And as soon as it reads there, a byte
 * behind the file $FAKE_ASKED. Owns the counting; the linker puts it between xl and what it calls (--wrap).
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <pavise.h>
#include <xenstore.h>

void *__real_xs_read(struct xs_handle *xs, xs_transaction_t t, const char *path, unsigned int *len);
char **__real_xs_directory(struct xs_handle *xs, xs_transaction_t t, const char *path,
			   unsigned int *n);
int __real_pv_domain_list(struct pv *pv, struct xen_domctl_getdomaininfo **out);

void *__wrap_xs_read(struct xs_handle *xs, xs_transaction_t t, const char *path, unsigned int *len);
char **__wrap_xs_directory(struct xs_handle *xs, xs_transaction_t t, const char *path,
			   unsigned int *n);
int __wrap_pv_domain_list(struct pv *pv, struct xen_domctl_getdomaininfo **out);

static unsigned long requests, lists, nodes;
static char **node;

/* A node that is waited for is read again and again. */
static void note(const char *path)
{
	const char *asked = getenv("FAKE_ASKED");
	int fd = asked ? open(asked, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;
	unsigned long i;

	if (fd >= 0) {
		if (write(fd, "", 1) != 1)
			abort();
		close(fd);
	}
	requests++;
	for (i = 0; i < nodes; i++)
		if (!strcmp(node[i], path))
			return;
	node = realloc(node, (nodes + 1) * sizeof(*node));
	if (!node || !(node[nodes++] = strdup(path)))
		abort();
}

void *__wrap_xs_read(struct xs_handle *xs, xs_transaction_t t, const char *path, unsigned int *len)
{
	note(path);
	return __real_xs_read(xs, t, path, len);
}

char **__wrap_xs_directory(struct xs_handle *xs, xs_transaction_t t, const char *path,
			   unsigned int *n)
{
	note(path);
	return __real_xs_directory(xs, t, path, n);
}

int __wrap_pv_domain_list(struct pv *pv, struct xen_domctl_getdomaininfo **out)
{
	lists++;
	return __real_pv_domain_list(pv, out);
}

/* A guest's supervisor ends without this. */
static void __attribute__((destructor)) tell(void)
{
	const char *path = getenv("FAKE_COUNT");
	FILE *f = path ? fopen(path, "w") : NULL;

	if (!f)
		return;
	fprintf(f, "%lu %lu %lu\n", requests, lists, nodes);
	fclose(f);
}
