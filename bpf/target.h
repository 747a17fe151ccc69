/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which processes are targets. */
#pragma once

#define NS_PER_TICK 10000000ULL /* USER_HZ = 100, as in /proc/PID/stat */
#define CGROUP_HIERARCHIES 16 /* twelve controllers, name=systemd, v2 */
#define CGROUP_DEPTH 32 /* deeper nesting than any runtime makes */
#define PID_LEVELS 33 /* MAX_PID_NS_LEVEL + 1 */

enum verdict { VERDICT_NO, VERDICT_YES, VERDICT_UNDECIDED };

static __always_inline u64 start_of(struct task_struct *task)
{
	return BPF_CORE_READ(task, group_leader, start_boottime);
}

/* The number of pid in the profiler's PID namespace; 0 where it has none. Searched by the namespace's inode: how deep it
 * is cannot be told from inside. Global, so that the verifier checks the loop once. */
__noinline u32 namespaced(u64 pid_ptr)
{
	struct pid *pid = (void *)pid_ptr;
	u32 level = BPF_CORE_READ(pid, level);

	for (u32 i = 0; i < PID_LEVELS; i++) {
		struct upid up = {};

		if (i > level)
			break;
		/* An array index is not relocated, so step by the kernel's own size of an entry. */
		bpf_probe_read_kernel(&up, sizeof(up),
				      (void *)pid + bpf_core_field_offset(struct pid, numbers) +
					      i * bpf_core_type_size(struct upid));
		if (up.ns && BPF_CORE_READ(up.ns, ns.inum) == config.ns_inum)
			return up.nr;
	}
	return 0;
}

static __always_inline bool in_cgroups(struct task_struct *task)
{
	struct css_set *set = BPF_CORE_READ(task, cgroups);
	struct cgroup *cgrp = NULL;

	if (config.cgroup_hierarchy == 0) {
		cgrp = BPF_CORE_READ(set, dfl_cgrp);
	} else {
		u64 at = bpf_core_field_offset(struct cgrp_cset_link, cgrp_link);
		struct list_head *node = BPF_CORE_READ(set, cgrp_links.next);

		for (int i = 0; i < CGROUP_HIERARCHIES; i++) {
			struct cgrp_cset_link *link = (void *)node - at;
			struct cgroup *c = BPF_CORE_READ(link, cgrp);

			if (BPF_CORE_READ(c, root, hierarchy_id) == config.cgroup_hierarchy) {
				cgrp = c;
				break;
			}
			node = BPF_CORE_READ(node, next);
		}
	}
	for (int i = 0; cgrp && i < CGROUP_DEPTH; i++) {
		u64 id = BPF_CORE_READ(cgrp, kn, id);
		struct cgroup_subsys_state *parent;

		if (bpf_map_lookup_elem(&cgroups, &id))
			return true;
		parent = BPF_CORE_READ(cgrp, self.parent);
		cgrp = parent ? BPF_CORE_READ(parent, cgroup) : NULL;
	}
	return false;
}

/* A process that is in the map targets, itself or as a number of the profiler's namespace. */
static __always_inline struct prof_target *find_target(struct task_struct *leader, u32 tgid)
{
	u64 ticks = BPF_CORE_READ(leader, start_boottime) / NS_PER_TICK;
	struct prof_target *t = bpf_map_lookup_elem(&targets, &tgid);

	if (!t && config.namespaced) {
		u32 key = namespaced((u64)BPF_CORE_READ(leader, thread_pid)) | PROF_KEY_NAMESPACED;

		t = bpf_map_lookup_elem(&targets, &key);
	}
	/* A number that was used again is another process. */
	if (t && t->start_ticks && t->start_ticks != ticks)
		return NULL;
	return t;
}

static __always_inline int by_name(struct prof_target *t, struct prof_sample *sample)
{
	int verdict = VERDICT_NO;
	u8 *v;

	if (t) {
		v = bpf_map_lookup_elem(&comms, t->comm);
		if (v && *v)
			return VERDICT_YES;
		if (!v) {
			__builtin_memcpy(sample->origin, t->comm, PROF_COMM_LEN);
			sample->flags |= PROF_FLAG_ORIGIN;
			verdict = VERDICT_UNDECIDED;
		}
	}
	v = bpf_map_lookup_elem(&comms, sample->comm);
	if (v && *v)
		return VERDICT_YES;
	return v ? verdict : VERDICT_UNDECIDED;
}

/* Decides on the current task. sample->comm is set. */
static __always_inline int target_verdict(struct task_struct *task, u32 tgid,
					  struct prof_sample *sample)
{
	struct prof_target *t;

	switch (config.filter) {
	case PROF_FILTER_NONE:
		return VERDICT_YES;
	case PROF_FILTER_CGROUP:
		return in_cgroups(task) ? VERDICT_YES : VERDICT_NO;
	case PROF_FILTER_PROCESS:
		t = find_target(BPF_CORE_READ(task, group_leader), tgid);
		return t ? VERDICT_YES : VERDICT_NO;
	case PROF_FILTER_COMM:
		t = find_target(BPF_CORE_READ(task, group_leader), tgid);
		if (t && !t->undecided)
			return VERDICT_YES;
		return by_name(t, sample);
	}
	return VERDICT_NO;
}

/* What a child inherits from parent: false = nothing. */
static __always_inline bool inherit(struct task_struct *parent, struct prof_target *child)
{
	struct prof_target *t =
		find_target(BPF_CORE_READ(parent, group_leader), BPF_CORE_READ(parent, tgid));
	struct prof_comm rec = { .type = PROF_RECORD_COMM, .tgid = BPF_CORE_READ(parent, tgid) };
	u8 *v;

	if (config.filter == PROF_FILTER_PROCESS || (t && !t->undecided))
		return t != NULL;
	BPF_CORE_READ_STR_INTO(&rec.comm, parent, comm);
	v = bpf_map_lookup_elem(&comms, rec.comm);
	if (v && *v)
		return true;
	if (!v) {
		/* Unheard of: user space is asked, and decides before or with the child's first sample. */
		bpf_ringbuf_output(&ring, &rec, sizeof(rec), BPF_RB_FORCE_WAKEUP);
		child->undecided = 1;
		__builtin_memcpy(child->comm, rec.comm, PROF_COMM_LEN);
		return true;
	}
	if (t) {
		child->undecided = 1;
		__builtin_memcpy(child->comm, t->comm, PROF_COMM_LEN);
		return true;
	}
	return false;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(target_fork, struct task_struct *parent, struct task_struct *child)
{
	struct prof_target t = {};
	struct prof_counters *c = counter(0);
	u32 tgid = BPF_CORE_READ(child, tgid);

	if (BPF_CORE_READ(child, pid) != tgid || !c || !inherit(parent, &t))
		return 0;
	t.start_ticks = BPF_CORE_READ(child, start_boottime) / NS_PER_TICK;
	if (bpf_map_update_elem(&targets, &tgid, &t, BPF_ANY))
		__sync_fetch_and_add(&c->targets_full, 1);
	return 0;
}

/* At free, not at exit: a process that gives back its memory still uses the CPU. */
SEC("tp_btf/sched_process_free")
int BPF_PROG(target_free, struct task_struct *task)
{
	u32 tgid = BPF_CORE_READ(task, tgid);
	struct prof_target *t;

	if (BPF_CORE_READ(task, pid) != tgid)
		return 0;
	t = bpf_map_lookup_elem(&targets, &tgid);
	if (t && (!t->start_ticks ||
		  t->start_ticks == BPF_CORE_READ(task, start_boottime) / NS_PER_TICK))
		bpf_map_delete_elem(&targets, &tgid);
	return 0;
}
