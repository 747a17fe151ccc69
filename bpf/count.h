/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Counts of perf events by process: the counters of a CPU are read when it turns to another process, and what they
 * moved by is charged to the one that ran. Every step of a counter is charged once, so the rows, with what the CPU
 * keeps itself, add up to the counters. */
#pragma once

const volatile struct prof_count_config count_config = {};

/* The counters of one event, by CPU. One map with all events would do, but cilium/ebpf allows no more entries than CPUs. */
#define COUNT_EVENT(n)                                       \
	struct {                                             \
		__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY); \
		__uint(key_size, sizeof(u32));               \
		__uint(value_size, sizeof(u32));             \
	} count_event_##n SEC(".maps");
#define COUNT_EVENTS(f)                                                                       \
	f(0) f(1) f(2) f(3) f(4) f(5) f(6) f(7) f(8) f(9) f(10) f(11) f(12) f(13) f(14) f(15) \
		f(16) f(17) f(18) f(19)
COUNT_EVENTS(COUNT_EVENT)
_Static_assert(PROF_COUNTS == 20, "as many as COUNT_EVENTS");

static __always_inline long count_read(u32 event, struct bpf_perf_event_value *v)
{
	switch (event) {
#define COUNT_READ(n)                                                                    \
	case n:                                                                          \
		return bpf_perf_event_read_value(&count_event_##n, BPF_F_CURRENT_CPU, v, \
						 sizeof(*v));
		COUNT_EVENTS(COUNT_READ)
	}
	return -1;
}

/* Preallocated, as a switch is no place to ask for memory. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, struct prof_count_key);
	__type(value, struct prof_count_row);
} count_rows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct prof_count_cpu);
} count_cpus SEC(".maps");

static __always_inline bool counted(struct task_struct *leader, struct task_struct *task, u32 tgid)
{
	switch (count_config.filter) {
	case PROF_FILTER_PROCESS:
		return find_target(leader, tgid) != NULL;
	case PROF_FILTER_CGROUP:
		return in_cgroups(task);
	}
	return true;
}

/* Who runs. The tracepoints read it by plain loads: their arguments are known to the verifier, and each call of
 * bpf_probe_read_kernel costs as much as a tenth of a switch's reading. */
struct count_task {
	struct task_struct *task, *leader;
	struct prof_count_key key;
};

#define COUNT_TASK(t, load)                                                                   \
	({                                                                                    \
		struct task_struct *leader_ = load(t, group_leader);                          \
		(struct count_task){                                                          \
			.task = t,                                                            \
			.leader = leader_,                                                    \
			.key.tgid = load(t, tgid),                                            \
			.key.tid = count_config.threads ? load(t, pid) : 0,                   \
			.key.start_ns = count_config.threads ? load(t, start_boottime)        \
							     : load(leader_, start_boottime), \
		};                                                                            \
	})
#define COUNT_LOAD(t, field) ((t)->field)

/* Of a process or thread that ran for the first time. */
static __always_inline struct prof_count_row *count_new_row(struct prof_count_cpu *c,
							    struct count_task *t)
{
	struct task_struct *leader = t->leader, *task = t->task;
	struct task_struct *named = count_config.threads ? task : leader;
	struct prof_count_row *row = &c->fresh; /* its counts stay zero */

	row->parent = BPF_CORE_READ(leader, real_parent, tgid);
	row->pid = t->key.tgid;
	row->tid = t->key.tid;
	if (config.namespaced) {
		row->pid = namespaced((u64)BPF_CORE_READ(leader, thread_pid));
		row->tid = t->key.tid ? namespaced((u64)BPF_CORE_READ(task, thread_pid)) : 0;
	}
	row->cgroup = BPF_CORE_READ(task, cgroups, dfl_cgrp, kn, id);
	BPF_CORE_READ_STR_INTO(&row->comm, named, comm);
	bpf_map_update_elem(&count_rows, &t->key, row, BPF_NOEXIST);
	return bpf_map_lookup_elem(&count_rows, &t->key);
}

/* Where what a task did is counted. */
static __always_inline struct prof_count_set *count_owner(struct prof_count_cpu *c,
							  struct count_task *t)
{
	struct prof_count_row *row;

	if (!t->key.tgid)
		return &c->idle;
	if (!counted(t->leader, t->task, t->key.tgid))
		return &c->outside;
	row = bpf_map_lookup_elem(&count_rows, &t->key);
	if (!row)
		row = count_new_row(c, t);
	if (!row) {
		c->full++;
		return &c->other;
	}
	return &row->set;
}

/* Charges what the counters of this CPU moved by since the last charge. ahead has a bit for each event that the kernel
 * counts right after this, and that is charged already. Rows are shared between CPUs. */
static __always_inline void count_charge(struct prof_count_cpu *c, struct prof_count_set *to,
					 u32 ahead)
{
	u64 now = bpf_ktime_get_ns(), ran = now - c->last_ns;
	struct bpf_perf_event_value v;

	if (!c->last_ns)
		ran = 0;
	c->last_ns = now;
	__sync_fetch_and_add(&to->ran_ns, ran);
	for (u32 i = 0; i < PROF_COUNTS; i++) {
		struct prof_count_last *last;
		u64 missed;

		if (i >= count_config.events)
			break;
		if (count_read(i, &v)) {
			/* This CPU does not count it. */
			c->unread++;
			__sync_fetch_and_add(&to->counts[i].missed_ns, ran);
			continue;
		}
		last = &c->last[i];
		if (v.enabled < last->enabled_ns) {
			/* Of a CPU that went and came back: the counter is a new one. */
			last->value = 0;
			last->missed_ns = 0;
		}
		last->enabled_ns = v.enabled;
		v.counter += ahead >> i & 1;
		/* Less, by one, if a switch that was charged ahead was not counted: the counter was not enabled. */
		if (v.counter > last->value) {
			__sync_fetch_and_add(&to->counts[i].value, v.counter - last->value);
			last->value = v.counter;
		}
		missed = v.enabled - v.running;
		if (missed > last->missed_ns) {
			__sync_fetch_and_add(&to->counts[i].missed_ns, missed - last->missed_ns);
			last->missed_ns = missed;
		}
	}
}

static __always_inline struct prof_count_cpu *count_cpu(void)
{
	u32 zero = 0;
	return bpf_map_lookup_elem(&count_cpus, &zero);
}

/* How often a run is timed: two looks at the clock cost as much as a counter. */
#define COUNT_TIMED 64

SEC("tp_btf/sched_switch")
int BPF_PROG(count_switch, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	struct prof_count_cpu *c = count_cpu();
	struct count_task ran;
	u64 begin = 0;

	if (!c)
		return 0;
	if (!(c->switches++ % COUNT_TIMED))
		begin = bpf_ktime_get_ns();
	if (!count_config.threads && prev->tgid == next->tgid) {
		c->skipped++;
	} else {
		ran = COUNT_TASK(prev, COUNT_LOAD);
		count_charge(c, count_owner(c, &ran), count_config.ahead);
	}
	if (begin)
		c->run_ns += COUNT_TIMED * (bpf_ktime_get_ns() - begin);
	return 0;
}

/* Run by the loader on each CPU before it reads: charges what runs there now. It comes as an interrupt, so never within
 * a switch. */
SEC("raw_tp/sched_switch")
int count_flush(void *ctx)
{
	struct prof_count_cpu *c = count_cpu();
	struct task_struct *task = (void *)bpf_get_current_task();
	struct count_task runs;

	if (!c)
		return 0;
	runs = COUNT_TASK(task, BPF_CORE_READ);
	count_charge(c, count_owner(c, &runs), 0);
	return 0;
}

/* A row keeps the name that the process had when it first ran; exec gives it another. */
SEC("tp_btf/sched_process_exec")
int BPF_PROG(count_exec, struct task_struct *task)
{
	struct count_task t = COUNT_TASK(task, COUNT_LOAD);
	struct prof_count_row *row = bpf_map_lookup_elem(&count_rows, &t.key);

	if (row)
		BPF_CORE_READ_STR_INTO(&row->comm, task, comm);
	return 0;
}

/* No task_struct, no more switches: the loader may take the row away. */
SEC("tp_btf/sched_process_free")
int BPF_PROG(count_free, struct task_struct *task)
{
	struct prof_count_key key = {
		.tgid = task->tgid,
		.tid = count_config.threads ? task->pid : 0,
		.start_ns = task->start_boottime,
	};
	struct prof_count_row *row;

	if (!count_config.threads && task->pid != task->tgid)
		return 0;
	row = bpf_map_lookup_elem(&count_rows, &key);
	if (row)
		row->gone = 1;
	return 0;
}
