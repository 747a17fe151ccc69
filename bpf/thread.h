/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is known of each thread: since when it does what it does, and what it did before, in exact times. */
#pragma once

/* What every switch touches comes first, to lie in two cache lines with the counts of the shortest waits for a CPU: the
 * storage of a task begins 8 bytes into a line. */
struct prof_thread {
	/* Clocks of this struct are rq.clock. */
	u64 since; /* of doing; 0: nothing is known yet */
	u64 run_delay; /* sched_info's at since */
	u64 flushed; /* up to when the present wait was sampled already, by visit.h */
	u32 generation; /* filter_generation of verdict */
	u8 doing; /* enum prof_doing */
	u8 verdict; /* enum verdict */
	u8 known; /* verdict is set */
	u8 ended; /* its times are its process's */
	struct prof_times times;
	u64 checked; /* when verdict was asked for */
	u64 mean_ns; /* of its waits, roughly */
	u64 walk_ns; /* how long the walk of the present wait took */
	u64 begun; /* time_ns of the record with the present wait's stack; 0: none was sent */
	u32 probability; /* with which it was sent, of 65536 */
	u8 pad[4];
	/* With wakers (waker.h), CLOCK_MONOTONIC. */
	u64 left_ns; /* since when the present wait was not sampled */
	u64 woken_ns; /* time_ns of its waker's record, or when it was decided to sample it not; 0: it was not seen to end */
	u64 chosen_ns; /* how much of it is to be sampled */
	u8 comm[PROF_COMM_LEN]; /* of verdict */
	u8 origin[PROF_COMM_LEN];
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct prof_thread);
} threads SEC(".maps");

/* Where tracing programs have no task storage that serves, before 6.2: by thread number. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct prof_thread);
} thread_hash SEC(".maps");

/* A thread's beginning. Never written. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct prof_thread);
} zero_threads SEC(".maps");

/* The times of threads that ended, by process. User space deletes those of processes that are gone. */
#define PROF_PROCESSES 4096
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct prof_process_key);
	__type(value, struct prof_times);
} processes SEC(".maps");

/* Counts the changes of the map targets from user space: verdicts are asked for anew. */
volatile u32 filter_generation;

#define VERDICT_NS 100000000ULL /* a process moved to another cgroup is noticed after that */

/* The thread's entry. Only made where no lock of the scheduler is held, as making it may need memory. */
static __always_inline struct prof_thread *thread_of(struct task_struct *task, bool make)
{
	struct prof_thread *t;
	u32 pid, zero = 0;
	void *init;

	if (config.task_storage)
		return bpf_task_storage_get(&threads, task, 0,
					    make ? BPF_LOCAL_STORAGE_GET_F_CREATE : 0);
	pid = task->pid;
	t = bpf_map_lookup_elem(&thread_hash, &pid);
	if (t || !make)
		return t;
	init = bpf_map_lookup_elem(&zero_threads, &zero);
	if (!init)
		return NULL;
	bpf_map_update_elem(&thread_hash, &pid, init, BPF_NOEXIST);
	return bpf_map_lookup_elem(&thread_hash, &pid);
}

/* The clock of the task's CPU, which sched_info uses: ns, the same on all CPUs where the kernel holds its clock for
 * stable. Without groups in the scheduler the way to it is not there. */
static __always_inline u64 rq_clock(struct task_struct *task)
{
	if (!bpf_core_field_exists(task->se.cfs_rq))
		return bpf_ktime_get_ns();
	return task->se.cfs_rq->rq->clock;
}

static __always_inline bool has_sched_info(struct task_struct *task)
{
	return bpf_core_field_exists(task->se.cfs_rq) &&
	       bpf_core_field_exists(task->sched_info.run_delay);
}

static __always_inline u64 run_delay(struct task_struct *task)
{
	return has_sched_info(task) ? task->sched_info.run_delay : 0;
}

static __always_inline u64 elapsed(u64 from, u64 to)
{
	return to > from ? to - from : 0;
}

/* Of a wait since t->since that lasts until now: how long it was for a CPU. The kernel enters a wait that goes on in
 * last_queued, and adds it to run_delay when it ends, or goes on on another CPU. */
static __always_inline u64 queued_ns(struct prof_thread *t, struct task_struct *task, u64 total,
				     u64 now)
{
	u64 ns, queued;

	if (t->doing == PROF_DOING_RUNQUEUE)
		return total;
	if (!has_sched_info(task))
		return 0;
	queued = task->sched_info.last_queued;
	ns = task->sched_info.run_delay - t->run_delay;
	if (queued)
		ns += elapsed(queued, now);
	return ns < total ? ns : total;
}

static __always_inline u32 runqueue_bucket(u64 ns)
{
	u64 v = ns >> PROF_RUNQUEUE_UNIT;
	u32 log = 0;

	if (v < 4)
		return v;
	if (v >> 28)
		return PROF_RUNQUEUE_BUCKETS - 1;
	for (u32 step = 16; step; step /= 2)
		if (v >> (log + step))
			log += step;
	return 4 * (log - 1) + (v >> (log - 2) & 3);
}

static __always_inline void count_runqueue(struct prof_times *times, u64 ns)
{
	u64 bucket = runqueue_bucket(ns);

	barrier_var(
		bucket); /* verifier: clang compares one copy, and takes another for the index */
	if (bucket < PROF_RUNQUEUE_BUCKETS)
		times->runqueue[bucket]++;
}

static __always_inline bool same_comm(const u8 *a, const u8 *b)
{
	const u64 *x = (void *)a, *y = (void *)b;

	return x[0] == y[0] && x[1] == y[1];
}

/* Asks whether the thread is a target's. What has no verdict yet asks user space, and is taken for a target meanwhile. */
static __always_inline int ask_verdict(u32 context, struct prof_thread *t, struct task_struct *task,
				       u64 now)
{
	bool known = t->known && t->generation == filter_generation;
	struct prof_comm rec = { .type = PROF_RECORD_COMM };
	struct prof_scratch *s;
	u32 tgid;

	if (config.filter == PROF_FILTER_COMM)
		bpf_probe_read_kernel(rec.comm, sizeof(rec.comm), task->comm);
	if (known) {
		if (config.filter == PROF_FILTER_CGROUP && now - t->checked < VERDICT_NS)
			return t->verdict;
		if (config.filter == PROF_FILTER_COMM && t->verdict != VERDICT_UNDECIDED &&
		    same_comm(t->comm, rec.comm) && now - t->checked < VERDICT_NS)
			return t->verdict;
	}
	s = scratch(context);
	if (!s)
		return VERDICT_NO;
	tgid = BPF_CORE_READ(task, tgid);
	s->sample.flags = 0;
	__builtin_memcpy(s->sample.comm, rec.comm, PROF_COMM_LEN);
	t->generation = filter_generation;
	t->known = 1;
	if (config.namespaced && !namespaced((u64)BPF_CORE_READ(task, group_leader, thread_pid)))
		t->verdict = VERDICT_NO;
	else
		t->verdict = target_verdict(task, tgid, &s->sample);
	__builtin_memset(t->origin, 0, PROF_COMM_LEN);
	if (s->sample.flags & PROF_FLAG_ORIGIN)
		__builtin_memcpy(t->origin, s->sample.origin, PROF_COMM_LEN);
	if (t->verdict == VERDICT_UNDECIDED &&
	    (!same_comm(t->comm, rec.comm) || now - t->checked > VERDICT_NS)) {
		rec.tgid = tgid;
		bpf_ringbuf_output(&ring, &rec, sizeof(rec), BPF_RB_FORCE_WAKEUP);
		t->checked = now;
	} else if (t->verdict != VERDICT_UNDECIDED) {
		t->checked = now;
	}
	__builtin_memcpy(t->comm, rec.comm, PROF_COMM_LEN);
	return t->verdict;
}

/* Whether the thread is a target's, remembered as long as the answer may not have changed. */
static __always_inline int thread_verdict(u32 context, struct prof_thread *t,
					  struct task_struct *task, u64 now)
{
	if ((config.filter == PROF_FILTER_NONE || config.filter == PROF_FILTER_PROCESS) &&
	    t->known && t->generation == filter_generation)
		return t->verdict;
	return ask_verdict(context, t, task, now);
}

/* Whether a thread may be a target's: with PROF_FILTER_PROCESS others get no entry, and so cost the least. */
static __always_inline bool may_be_target(struct task_struct *task)
{
	return config.filter != PROF_FILTER_PROCESS ||
	       find_target(BPF_CORE_READ(task, group_leader), task->tgid);
}

/* Adds the times of a thread that ends to those of its process. */
static __always_inline void fold(struct prof_thread *t, struct task_struct *task)
{
	struct prof_process_key key = { .start_ns = start_of(task),
					.tgid = BPF_CORE_READ(task, tgid) };
	u32 zero = 0, event = config.offcpu_event;
	struct prof_counters *c;
	struct prof_times *p;
	void *init;

	if (config.namespaced)
		key.tgid = namespaced((u64)BPF_CORE_READ(task, group_leader, thread_pid));
	p = bpf_map_lookup_elem(&processes, &key);
	if (!p) {
		init = bpf_map_lookup_elem(&zero_threads, &zero);
		if (init)
			bpf_map_update_elem(&processes, &key, init, BPF_NOEXIST);
		p = bpf_map_lookup_elem(&processes, &key);
	}
	if (!p) {
		c = counter(event);
		if (c)
			c->unfolded++;
		return;
	}
	for (int i = 0; i < PROF_DOINGS; i++)
		__sync_fetch_and_add(&p->ns[i], t->times.ns[i]);
	__sync_fetch_and_add(&p->switches, t->times.switches);
	for (int i = 0; i < PROF_RUNQUEUE_BUCKETS; i++)
		if (t->times.runqueue[i])
			__sync_fetch_and_add(&p->runqueue[i], t->times.runqueue[i]);
}
