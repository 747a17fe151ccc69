/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The root of stacks that are deeper than one sample may walk.
 *
 * Frames near the root of a deep stack stay while those near the leaf come and go. So the walk goes on where the
 * thread's last one had to stop, if that frame is still there: its return address must lie where it lay. When the
 * root was reached once, later samples of the thread need no more than that check. */
#pragma once

static __always_inline struct prof_deep *deep_of(struct prof_scratch *s)
{
	u32 slot = (s->sample.tid & (PROF_DEEPS - 1)) + s->walk.context * PROF_DEEPS;

	return bpf_map_lookup_elem(&deeps, &slot);
}

/* Notes where the walk is, after every PROF_USER_FRAMES frames. */
static __always_inline void mark(struct prof_scratch *s)
{
	struct prof_walk *w = &s->walk;

	w->marks[0] = w->marks[1];
	w->mark_depth[0] = w->mark_depth[1];
	w->marks[1] = w->now;
	w->mark_depth[1] = s->sample.depth;
}

static __always_inline void forget_marks(struct prof_scratch *s)
{
	struct prof_walk *w = &s->walk;

	w->marks[0].ra_at = w->marks[1].ra_at = 0;
	w->mark_depth[0] = w->mark_depth[1] = 0;
}

/* Whether the frame from where the last walk would go on is still there. */
static __always_inline bool still_there(struct prof_scratch *s, struct prof_deep *d)
{
	u64 ip = 0;

	return d->mm == (u64)s->walk.mm && d->tid == s->sample.tid &&
	       d->start_ns == s->sample.start_ns && d->at.sp > s->walk.now.sp && d->at.ra_at &&
	       !bpf_probe_read_user(&ip, sizeof(ip), (void *)d->at.ra_at) &&
	       plain_address(ip) == d->at.ip;
}

/* After PROF_USER_FRAMES frames: jumps over those that were walked before. Returns 1 when the stack is done. */
__noinline int resume_deep(u32 context)
{
	struct prof_scratch *s = scratch(context);
	struct prof_deep *d;
	u32 n, more;

	d = s ? deep_of(s) : NULL;
	if (!d)
		return 0;
	mark(s);
	if (!still_there(s, d))
		return 0;
	n = s->sample.vmas;
	more = d->vmas_n;
	if (more > PROF_VMAS || n + more > PROF_VMAS)
		return 0;
	bpf_probe_read_kernel(&s->vmas[n & (PROF_VMAS - 1)], more * sizeof(struct prof_vma),
			      d->vmas);
	s->sample.vmas = n + more;
	bpf_probe_read_kernel(&s->words[(s->sample.kernel_frames + PROF_HALF) & (PROF_WORDS - 1)],
			      sizeof(d->root), d->root);
	s->sample.depth = d->depth;
	s->sample.flags |= d->flags;
	s->walk.now = d->at;
	s->walk.last = PROF_VMAS;
	if (d->done) {
		s->sample.end = PROF_END_COMPLETE;
		return 1;
	}
	mark(s);
	return 0;
}

/* The mark from which a root may be checked: below its first frame, or a frame of it might have changed. */
static __always_inline struct prof_state *root_mark(struct prof_walk *w, u32 depth)
{
	if (depth - w->mark_depth[1] >= PROF_HALF)
		return &w->marks[1];
	if (depth - w->mark_depth[0] >= PROF_HALF)
		return &w->marks[0];
	return NULL;
}

/* After a deep walk: remembers where it stopped, or the root that it found. */
__noinline int keep_deep(u32 context)
{
	struct prof_scratch *s = scratch(context);
	struct prof_state *at;
	struct prof_walk *w;
	struct prof_deep *d;
	u32 n;

	d = s ? deep_of(s) : NULL;
	if (!d)
		return 0;
	w = &s->walk;
	if (s->sample.end == PROF_END_TRUNCATED)
		at = &w->now;
	else if (s->sample.end == PROF_END_COMPLETE)
		at = root_mark(w, s->sample.depth);
	else
		at = NULL;
	if (!at)
		return 0;
	d->at = *at;
	d->mm = (u64)w->mm;
	d->start_ns = s->sample.start_ns;
	d->tid = s->sample.tid;
	d->depth = s->sample.depth;
	d->done = s->sample.end == PROF_END_COMPLETE;
	d->flags = s->sample.flags & (PROF_FLAG_CERTAIN | PROF_FLAG_GUESSED);
	n = s->sample.vmas;
	if (n > PROF_VMAS)
		n = PROF_VMAS;
	d->vmas_n = n;
	bpf_probe_read_kernel(d->vmas, n * sizeof(struct prof_vma), s->vmas);
	bpf_probe_read_kernel(d->root, sizeof(d->root),
			      &s->words[(s->sample.kernel_frames + PROF_HALF) & (PROF_WORDS - 1)]);
	return 0;
}
