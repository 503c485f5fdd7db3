/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Grant tables: a frame's entries as a record of a domain's whole state, and back (xen/arch-riscv/hvm/save.h).
 */
#include <grant.h>
#include <grant_internal.h>
#include <lib.h>
#include <lock.h>

_Static_assert(HVM_GRANTS_SIZE == GRANTS_PER_FRAME * sizeof(grant_entry_v1_t), "a frame");

/* A number of another domain means another one elsewhere: who has it there would get what this one was given. */
static bool is_elses(const grant_entry_v1_t *e)
{
	return (e->flags & GTF_type_mask) != GTF_invalid && e->domid != dom0->id;
}

int grant_save(struct domain *d, unsigned int frame, void *entries)
{
	struct grant_table *t = d->grant;
	grant_entry_v1_t *to = entries;
	int rc = 0;

	spin_lock(&t->lock);
	if (frame >= t->nr_frames || !t->shared[frame])
		rc = -EINVAL;
	for (unsigned int i = 0; !rc && i < GRANTS_PER_FRAME; i++) {
		const struct grant_pin *pin = &t->pins[frame][i];

		to[i] = t->shared[frame][i];
		to[i].flags &= ~(GTF_reading | GTF_writing);
		/* Still mapped, it may have been revoked. */
		if (is_elses(&to[i]) || ((pin->readers || pin->writers) && pin->domid != dom0->id))
			rc = -EXDEV;
	}
	spin_unlock(&t->lock);
	return rc;
}

int grant_restore(struct domain *d, unsigned int frame, const void *entries)
{
	const grant_entry_v1_t *from = entries;
	struct grant_table *t = d->grant;
	int rc;

	for (unsigned int i = 0; i < GRANTS_PER_FRAME; i++) {
		if (is_elses(&from[i]) || from[i].flags & (GTF_reading | GTF_writing))
			return -EINVAL;
	}
	rc = grant_grow(d, frame + 1);
	if (rc)
		return rc;
	spin_lock(&t->lock);
	if (t->shared[frame])
		memcpy(t->shared[frame], entries, HVM_GRANTS_SIZE);
	else
		rc = -EINVAL;
	spin_unlock(&t->lock);
	return rc;
}
