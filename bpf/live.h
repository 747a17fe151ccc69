/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The live heap: of allocations that were sampled, where they are, and when they are freed.
 *
 * One program is run at a function's entry and, if that asks for it, at its return (uprobe.session, 6.13): only calls that
 * were sampled, and realloc of what was, pay for a return. Frees look their pointer up; a table of counts by hash, in
 * front, tells nearly all others apart from the few that are known. */
#pragma once

#define PROF_LIVES (1 << 18)
#define PROF_PENDINGS 4096 /* threads within a sampled call at once */
#define LIVE_HASH_BITS 16

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, PROF_LIVES);
	__type(key, struct prof_live_key);
	__type(value, struct prof_live);
} lives SEC(".maps");

/* How many entries of lives have a hash. User space, which takes out what processes left behind, leaves the counts: too
 * high a count costs a look, too low a one would hide an entry. */
struct live_filter {
	u32 n[1 << LIVE_HASH_BITS];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct live_filter);
} live_filters SEC(".maps");

struct prof_pending_key {
	u64 id; /* bpf_get_current_pid_tgid() */
	u64 mark; /* call_mark() */
};

/* A call whose return is awaited. */
struct prof_pending {
	struct prof_live made; /* by this call */
	struct prof_live old; /* that realloc was given */
	u64 old_ptr;
	u64 out; /* where the function puts its pointer; 0: it returns it */
	u64 asked; /* 0: for nothing */
};

/* A thread that ends within its call leaves an entry: the least recently used go. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, PROF_PENDINGS);
	__type(key, struct prof_pending_key);
	__type(value, struct prof_pending);
} pendings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct prof_live_counts);
} live_counts SEC(".maps");

static __always_inline struct prof_live_counts *live_count(void)
{
	u32 zero = 0;

	return bpf_map_lookup_elem(&live_counts, &zero);
}

static __always_inline u64 live_mm(void)
{
	return (u64)bpf_get_current_task_btf()->mm;
}

static __always_inline u32 *live_hint(struct prof_live_key *key)
{
	u32 zero = 0;
	struct live_filter *f = bpf_map_lookup_elem(&live_filters, &zero);
	/* verifier: mm is a pointer, with which nothing is calculated. */
	u64 hash = (key->ptr >> 4) * 0x9e3779b97f4a7c15ULL;

	return f ? &f->n[hash >> (64 - LIVE_HASH_BITS)] : NULL;
}

static __always_inline void send_heap(u32 what, struct prof_live *of)
{
	struct prof_heap rec = {
		.type = PROF_RECORD_HEAP,
		.what = what,
		.at_ns = bpf_ktime_get_ns(),
		.time_ns = of->time_ns,
		.tid = of->tid,
	};
	struct prof_live_counts *n = live_count();

	if (!n)
		return;
	switch (what) {
	case PROF_HEAP_FREED:
		n->freed++;
		break;
	case PROF_HEAP_REUSED:
		n->reused++;
		break;
	case PROF_HEAP_FAILED:
		n->failed++;
		break;
	case PROF_HEAP_FULL:
		n->full++;
		break;
	}
	if (bpf_ringbuf_output(&ring, &rec, sizeof(rec), wakeup_flags()))
		n->unsent++;
}

/* Takes what is known of a pointer out. This is done before it is freed: after that another thread may get the same. */
static __always_inline bool live_take(struct prof_live_key *key, struct prof_live *to)
{
	u32 *hint = live_hint(key);
	struct prof_live *l;

	if (!hint || !*hint)
		return false;
	l = bpf_map_lookup_elem(&lives, key);
	if (!l)
		return false;
	*to = *l;
	if (bpf_map_delete_elem(&lives, key))
		return false;
	__sync_fetch_and_add(hint, -1);
	return true;
}

static __always_inline void live_put(struct prof_live_key *key, struct prof_live *live)
{
	struct prof_live *l = bpf_map_lookup_elem(&lives, key);
	u32 *hint = live_hint(key);

	if (l) {
		struct prof_live old = *l;

		*l = *live;
		send_heap(PROF_HEAP_REUSED, &old);
		return;
	}
	/* The count first: a free in another thread must not miss it. */
	if (hint)
		__sync_fetch_and_add(hint, 1);
	if (bpf_map_update_elem(&lives, key, live, BPF_NOEXIST)) {
		if (hint)
			__sync_fetch_and_add(hint, -1);
		send_heap(PROF_HEAP_FULL, live);
	}
}

/* Whether realloc is asked for more than there can be: to nothing, it frees. */
static __always_inline bool wants_memory(struct pt_regs *ctx, u32 cookie)
{
	u64 arg1 = argument(ctx, 1), arg2 = argument(ctx, 2);

	barrier_var(arg1);
	barrier_var(arg2);
	return arg1 && (arg2 || (cookie & PROF_ALLOC_SIZE) == PROF_ALLOC_ARG1);
}

/* Samples the call; made says which sample it is, if it was delivered. */
static __always_inline void live_sample(struct pt_regs *ctx, struct prof_alloc *a, u64 size,
					struct prof_live *made)
{
	struct prof_counters *c = counter(config.alloc_event);
	struct prof_scratch *s = scratch(config.alloc_context);
	u64 before;

	if (!c || !s)
		return;
	bpf_preempt_disable();
	before = c->samples;
	sample_alloc(ctx, a, size);
	if (c->samples != before) {
		made->time_ns = s->sample.time_ns;
		made->tid = s->sample.tid;
		made->tgid = s->sample.tgid;
	}
	bpf_preempt_enable();
}

static __always_inline int live_entry(struct pt_regs *ctx)
{
	u32 zero = 0, cookie = bpf_get_attach_cookie(ctx);
	struct prof_alloc *a = bpf_map_lookup_elem(&allocs, &zero);
	struct prof_pending_key key = {};
	struct prof_pending p = {};
	struct prof_live_key of = {};
	u64 size;

	if (!a)
		return 1;
	if (cookie & PROF_ALLOC_STEPPED)
		a->stepped++;
	else
		a->hits++;
	if (cookie & PROF_ALLOC_FREES) {
		of.mm = live_mm();
		of.ptr = argument(ctx, 0);
		if (of.ptr && live_take(&of, &p.old))
			p.old_ptr = of.ptr;
	}
	size = asked_bytes(ctx, cookie);
	if (size && alloc_due(a, size))
		live_sample(ctx, a, size, &p.made);
	if (!p.old.time_ns && !p.made.time_ns)
		return 1;
	if (!(cookie & PROF_ALLOC_SIZE)) {
		send_heap(PROF_HEAP_FREED, &p.old);
		return 1;
	}
	if ((cookie & PROF_ALLOC_SIZE) == PROF_ALLOC_ARG2)
		p.out = argument(ctx, 0); /* posix_memalign */
	p.asked = size ? size : wants_memory(ctx, cookie);
	key.id = bpf_get_current_pid_tgid();
	key.mark = call_mark(ctx, true);
	if (!bpf_map_update_elem(&pendings, &key, &p, BPF_ANY))
		return 0;
	if (p.old.time_ns)
		send_heap(PROF_HEAP_FREED, &p.old);
	if (p.made.time_ns)
		send_heap(PROF_HEAP_FULL, &p.made);
	return 1;
}

static __always_inline int live_return(struct pt_regs *ctx)
{
	struct prof_pending_key key = { .id = bpf_get_current_pid_tgid(),
					.mark = call_mark(ctx, false) };
	struct prof_pending *known = bpf_map_lookup_elem(&pendings, &key), p;
	struct prof_live_key at = { .mm = live_mm(), .ptr = returned(ctx) };
	struct prof_live_counts *n;

	if (!known) {
		n = live_count();
		if (n)
			n->unpaired++;
		return 0;
	}
	p = *known;
	bpf_map_delete_elem(&pendings, &key);
	if (p.out && (at.ptr || bpf_probe_read_user(&at.ptr, sizeof(at.ptr), (void *)p.out)))
		at.ptr = 0; /* posix_memalign returns an error's number */
	if (!at.ptr && p.asked) { /* realloc has left the old memory as it was */
		at.ptr = p.old_ptr;
		if (p.old.time_ns)
			live_put(&at, &p.old);
		if (p.made.time_ns)
			send_heap(PROF_HEAP_FAILED, &p.made);
		return 0;
	}
	if (p.old.time_ns)
		send_heap(PROF_HEAP_FREED, &p.old);
	if (p.made.time_ns && at.ptr)
		live_put(&at, &p.made);
	return 0;
}

/* What is returned at an entry says whether the return is not of interest. */
SEC("uprobe.session")
int live_session(struct pt_regs *ctx)
{
	return bpf_get_func_ip(ctx) == instruction(ctx) ? live_entry(ctx) : live_return(ctx);
}

static __always_inline int send_process(struct task_struct *task, u32 what)
{
	struct task_struct *leader = BPF_CORE_READ(task, group_leader);
	struct prof_live as = { .tid = BPF_CORE_READ(task, tgid), .time_ns = start_of(task) };

	if (!find_target(leader, as.tid))
		return 0;
	if (config.namespaced)
		as.tid = namespaced((u64)BPF_CORE_READ(leader, thread_pid));
	send_heap(what, &as);
	return 0;
}

/* The old program's memory has gone, and the new one has not run. */
SEC("tp_btf/sched_process_exec")
int BPF_PROG(live_exec, struct task_struct *task)
{
	return send_process(task, PROF_HEAP_EXEC);
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(live_exit, struct task_struct *task)
{
	if (BPF_CORE_READ(task, signal, live.counter))
		return 0; /* not the last thread */
	return send_process(task, PROF_HEAP_EXIT);
}
