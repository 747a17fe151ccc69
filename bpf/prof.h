/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Everything that crosses between the kernel and Go. bpf2go makes the Go types from these. */
#pragma once

/* Kernel frames of one stack: the kernel's own default limit (kernel.perf_event_max_stack). */
#define PROF_KERNEL_FRAMES 127
/* User frames of one record. */
#define PROF_USER_FRAMES 1024
/* Of a deeper stack, the leaf half and the root half are kept. Frames that one sample walks at most: a bound for the time
 * in an interrupt, about a millisecond. The walk of a deeper stack goes on with the thread's next sample (deep.h). */
#define PROF_HALF (PROF_USER_FRAMES / 2)
#define PROF_MAX_DEPTH 16384
/* Distinct mappings that one stack may touch. */
#define PROF_VMAS 32
#define PROF_VMA_WORDS 6
#define PROF_COMM_LEN 16
/* Events that one run samples at most. */
#define PROF_EVENTS 16
/* Bits of a sample's tag. */
#define PROF_TAG_BITS 12
/* Bytes of a path in a file record, and the longest name in it (NAME_MAX + NUL). */
#define PROF_PATH_LEN 2048
#define PROF_NAME_LEN 256
#define PROF_PATH_DEPTH 40

/* What a process must be to be a target. */
enum prof_filter {
	PROF_FILTER_NONE = 0, /* every process that our PID namespace shows */
	PROF_FILTER_PROCESS = 1, /* in the map targets, or a child of one */
	PROF_FILTER_COMM = 2, /* as PROCESS, or its thread's name is in the map comms */
	PROF_FILTER_CGROUP = 3, /* in one of the map cgroups, or below */
};

/* What is done when a thread is woken. */
enum prof_wakers {
	PROF_WAKERS_NONE = 0,
	PROF_WAKERS_CHOOSE = 1, /* it is decided there whether the wait is sampled */
	PROF_WAKERS_FOLLOW = 2, /* that was decided when the wait began */
};

/* Set by the loader before the programs are loaded. */
struct prof_config {
	u32 filter; /* enum prof_filter */
	u32 namespaced; /* the profiler's PID namespace is not the initial one */
	u32 ns_inum; /* the inode number of the profiler's PID namespace */
	s32 cgroup_hierarchy; /* 0 = v2, else the ID in the first field of /proc/PID/cgroup */
	u32 thread_size; /* bytes of a kernel stack: user registers lie at its end */
	u32 page_shift;
	u64 wakeup_bytes; /* unread bytes in the ring that wake the reader */
	u32 time_events; /* bit per event: samples weigh 1, not the event's period */
	u32 shared_events; /* bit per event: it may have to share a counter of the PMU with others */
	u64 periods[PROF_EVENTS]; /* of tracepoints: hits for each sample */
	u32 offcpu_event; /* the number of the event off-cpu */
	u64 offcpu_mean; /* ns of waiting for which one stack is sampled, on average */
	u32 task_storage; /* tracing programs have it (5.12), or the map thread_hash serves */
	u32 switch_state; /* sched_switch tells the state (5.18) */
	u32 walk_asleep; /* the stacks of sleeping threads can be read (6.2) */
	u32 wakers; /* enum prof_wakers */
	u32 pad;
	u32 alloc_event; /* the number of the event alloc */
	u32 alloc_context; /* enum prof_context of its program; 0: none */
	u32 alloc_alone; /* its program can keep the scheduler off (6.10) */
};

/* One per event and CPU. fired = samples + sum(lost). What belongs to no event is counted with event 0. */
struct prof_counters {
	u64 events; /* what the programs were run for, whomever it hit: sums of periods; of a clock, nanoseconds */
	u64 fired; /* overflows that hit a target */
	u64 undecided; /* of these: sent for user space to decide, see PROF_FLAG_UNDECIDED */
	u64 samples; /* records delivered */
	u64 lost_ring_full; /* records without room in the ring */
	u64 idle; /* events on the idle task: no target */
	u64 filtered; /* events on processes that are no target */
	u64 run_ns; /* time in our programs */
	u64 wakeups;
	u64 files; /* file records delivered */
	u64 targets_full; /* children that found no room in the map targets */
	/* Of the event off-cpu. */
	u64 lost_woken; /* a sleeping thread's stack: it woke while that was walked */
	u64 deferred,
		returned; /* stacks to be walked when the thread goes on; walked. The difference is yet to come */
	u64 refused; /* of samples: without a user part, because it could not be deferred; of the event alloc, whose return address cannot be read */
	u64 unfolded; /* threads that ended and found no room in the map processes */
	u64 untracked; /* threads for which there was no memory */
	/* Of the event alloc. */
	u64 lost_busy; /* another thread was being walked on that CPU */
	u64 lost_wakers; /* wakers' records without room in the ring */
};

enum prof_record_type {
	PROF_RECORD_SAMPLE = 1,
	PROF_RECORD_FILE = 2,
	PROF_RECORD_COMM = 3,
	PROF_RECORD_WAIT = 4,
	PROF_RECORD_WAKER =
		5, /* a struct prof_sample of who wakes a thread; weight is that thread's number */
	PROF_RECORD_HEAP = 6,
};

/* Why the user part of a stack ended where it did. */
enum prof_end {
	PROF_END_COMPLETE = 0, /* at the root of the thread */
	PROF_END_NO_USER = 1, /* there is no user part: kernel threads, and in execve */
	PROF_END_TRUNCATED = 2, /* more than PROF_MAX_DEPTH frames, and the root not known yet */
	PROF_END_NO_UNWIND_INFO = 3, /* no plausible frame pointer and no other rule */
	PROF_END_UNREADABLE = 4, /* stack memory not resident */
	PROF_END_NO_MAPPING = 5, /* the address is in no executable mapping */
	PROF_END_JIT = 6, /* as NO_UNWIND_INFO, in anonymous executable memory */
	PROF_END_EXITED = 7, /* the process has already given its memory back */
	PROF_END_COMPAT = 8, /* a 32-bit process */
	PROF_END_MAPPINGS = 9, /* more than PROF_VMAS mappings in one stack */
	PROF_END_DEFERRED =
		10, /* it was to be walked when the thread goes on, and another of its walks was due already */
	PROF_END_ASLEEP = 11, /* the thread sleeps, and this kernel cannot read its stack */
	PROF_END_MAX,
};

enum prof_vma_kind {
	PROF_VMA_FILE = 0,
	PROF_VMA_ANON = 1,
	PROF_VMA_VDSO = 2,
};

/* A file as its inode tells: the key of everything known about an object. */
struct prof_file_id {
	u64 dev; /* the kernel's internal dev_t: major << 20 | minor */
	u64 ino;
	s64 mtime; /* seconds since 1970: an inode number may be used again */
};

/* A mapping that a stack touches. PROF_VMA_WORDS words in a record. */
struct prof_vma {
	u64 start, end;
	u64 offset; /* of start in the file, bytes; the top byte holds enum prof_vma_kind */
	struct prof_file_id file; /* zero unless PROF_VMA_FILE */
};

/* The record's words follow: kernel frames, user frames (both leaf first), mappings. */
struct prof_sample {
	u32 type; /* PROF_RECORD_SAMPLE */
	u32 cpu;
	u64 time_ns; /* CLOCK_MONOTONIC */
	u64 start_ns; /* of the process, CLOCK_BOOTTIME: with tgid it names a process for ever */
	u64 weight; /* what the sample stands for: 1, or the event's period */
	u64 enabled_ns,
		running_ns; /* how long this CPU's event was wanted, and was counted; 0: always both. Of an allocation that
			     * a process has weighted itself: its size, and 0 */
	u32 tgid, tid; /* as seen in the profiler's PID namespace */
	u16 kernel_frames, user_frames, vmas;
	u8 end; /* enum prof_end */
	u8 flags;
	u8 comm[PROF_COMM_LEN]; /* the thread's name */
	u8 origin[PROF_COMM_LEN]; /* with PROF_FLAG_ORIGIN: an ancestor's name at fork */
	u32 depth; /* user frames walked. Over PROF_USER_FRAMES: of the later half, the record has the last ones, in turn */
	u8 event; /* number of the event, as the loader gave them */
	u8 pad;
	u16 tag; /* what else the event says, PROF_TAG_BITS; 0 for perf events */
};

/* The name has no verdict yet: user space decides, and keeps or drops the sample. */
#define PROF_FLAG_UNDECIDED 1
#define PROF_FLAG_ORIGIN 2
/* Unwind information says that the outermost frame is the root. */
#define PROF_FLAG_CERTAIN 4
/* A frame without a rule was taken by its frame pointer. */
#define PROF_FLAG_GUESSED 8
/* The stack of a wait that has begun: a struct prof_wait tells how long it was. */
#define PROF_FLAG_BEGUN 16
/* enabled_ns is the time_ns of the record of who ended the wait, which came before. */
#define PROF_FLAG_WOKEN 32
/* The wait has not ended. */
#define PROF_FLAG_WAITING 64

/* The cookie of a probe: how the arguments of an allocator's function make the size, and, with ..._NULL_ELSEWHERE, that
 * calls whose first argument is 0 are counted in another function. */
enum prof_alloc_role {
	PROF_ALLOC_NONE = 0,
	PROF_ALLOC_ARG0 = 1,
	PROF_ALLOC_ARG1 = 2,
	PROF_ALLOC_ARG2 = 3,
	PROF_ALLOC_ARG0_ARG1 = 4,
	PROF_ALLOC_ARG1_ARG2 = 5,
	PROF_ALLOC_SIZE = 7, /* mask */
	PROF_ALLOC_NULL_ELSEWHERE = 8,
	PROF_ALLOC_STEPPED = 16, /* the instruction under the probe is not emulated: a dearer hit */
	PROF_ALLOC_ACCOUNT = 32, /* shift: the bits from here on are the number of an account */
	PROF_ALLOC_FREES =
		32, /* what the first argument points to, unless it is 0. Only the event heap asks */
};

/* What became of a sampled allocation, or of a process. */
enum prof_heap_what {
	PROF_HEAP_FREED = 1,
	PROF_HEAP_REUSED = 2, /* its memory was handed out again: it was freed unseen */
	PROF_HEAP_FAILED = 3, /* the allocator had none */
	PROF_HEAP_FULL = 4, /* no room to remember its pointer */
	PROF_HEAP_EXEC = 5, /* the process has become another program: all that it had is gone */
	PROF_HEAP_EXIT = 6, /* the process has ended */
};

struct prof_heap {
	u32 type; /* PROF_RECORD_HEAP */
	u32 what; /* enum prof_heap_what */
	u64 at_ns; /* CLOCK_MONOTONIC */
	u64 time_ns; /* of the allocation's sample; of a process: its start, CLOCK_BOOTTIME */
	u32 tid; /* of the sample; of a process: its number. As seen in the profiler's PID namespace */
	u32 pad;
};

/* A sampled allocation whose pointer is known. An address space is named by its mm_struct: a child's copy of memory after
 * fork, and what a program had before exec, are in others. */
struct prof_live_key {
	u64 mm, ptr;
};

struct prof_live {
	u64 time_ns; /* of its sample; 0: none */
	u32 tid; /* of its sample */
	u32 tgid; /* as seen in the profiler's PID namespace */
};

/* One per CPU, of the event heap. */
struct prof_live_counts {
	u64 freed, reused, failed, full; /* as in enum prof_heap_what */
	u64 unsent; /* records of these for which the ring had no room */
	u64 unpaired; /* returns of calls that are not known */
};

/* The cookie of a probe that a process passes when it has sampled an allocation itself. */
enum prof_sampled {
	PROF_SAMPLED_REGISTER = 63, /* mask: the word of struct pt_regs that the size is in */
	PROF_SAMPLED_WEIGHT_SHIFT = 8, /* and the weight */
	PROF_SAMPLED_WEIGHED = 64, /* it is to be used */
	PROF_SAMPLED_STEPPED = 128, /* as PROF_ALLOC_STEPPED */
};

/* What a thread does, or waits for. The low bits of an off-cpu sample's tag. */
enum prof_doing {
	PROF_DOING_RUN = 0, /* it has a CPU */
	PROF_DOING_SLEEP = 1, /* TASK_INTERRUPTIBLE */
	PROF_DOING_BLOCKED = 2, /* TASK_UNINTERRUPTIBLE */
	PROF_DOING_IO = 3, /* the same, in io_schedule() */
	PROF_DOING_STOPPED = 4, /* by a signal or a debugger */
	PROF_DOING_RUNQUEUE = 5, /* for a CPU */
	PROF_DOINGS = 6,
};

/* Times waited for a CPU: four buckets to each power of two, from 1024 ns to 137 s. Bucket b < 4 begins at b units of
 * 1024 ns, the others at (4 + b % 4) << (b / 4 - 1). */
#define PROF_RUNQUEUE_UNIT 10
#define PROF_RUNQUEUE_BUCKETS 108

/* Exact times of a thread, or of all threads of a process that have ended. */
struct prof_times {
	u64 ns[PROF_DOINGS];
	u64 switches; /* away from a CPU */
	u32 runqueue[PROF_RUNQUEUE_BUCKETS];
};

/* What the iterator of threads writes for each of a target's. */
struct prof_thread_row {
	u64 start_ns; /* of the process, CLOCK_BOOTTIME */
	u32 tgid, tid; /* as seen in the profiler's PID namespace */
	u8 comm[PROF_COMM_LEN];
	u8 origin[PROF_COMM_LEN]; /* empty, or as in a sample */
	u32 undecided;
	u32 doing; /* enum prof_doing */
	struct prof_times times;
};

struct prof_process_key {
	u64 start_ns;
	u32 tgid;
	u32 pad;
};

/* A wait that ended. Its stack came before, with the same tid and time, unless it was lost. */
struct prof_wait {
	u32 type; /* PROF_RECORD_WAIT */
	u32 tid;
	u64 time_ns; /* of the record with the stack */
	u64 ns[2]; /* blocked, and then waiting for a CPU */
	u32 probability; /* with which it was chosen, of 65536 */
	u32 doing; /* enum prof_doing of the first part */
	u64 waker_ns; /* time_ns of the record of who ended it; 0: none */
};

/* A file that was seen for the first time. */
struct prof_file {
	u32 type; /* PROF_RECORD_FILE */
	u32 tgid;
	struct prof_file_id id;
	u64 start, end; /* of a mapping of it in tgid */
	s64 size;
	u32 path_len;
	u32 pad;
	u8 path[PROF_PATH_LEN + PROF_NAME_LEN]; /* names, leaf first, each with its NUL */
};

/* A name without a verdict forked. */
struct prof_comm {
	u32 type; /* PROF_RECORD_COMM */
	u32 tgid;
	u8 comm[PROF_COMM_LEN];
};

struct prof_comm_key {
	u8 comm[PROF_COMM_LEN];
};

/* A process that is a target, or will be if its origin's name is. */
struct prof_target {
	u64 start_ticks; /* of the process, CLOCK_BOOTTIME in 10 ms as in /proc/PID/stat; 0 matches any */
	u32 undecided; /* 0: a target; 1: as comm's verdict says */
	u32 pad;
	u8 comm[PROF_COMM_LEN];
};

/* A block of an object's unwind table: PROF_BLOCK_ROWS rows, or PROF_BLOCK_RULES rules. A table is its rules' blocks and
 * then its rows' blocks. A row holds from its file offset to the next row's; unused rows have PROF_NO_ROW. */
#define PROF_BLOCK_ROWS 128
#define PROF_BLOCK_RULES 64
#define PROF_NO_ROW 0xffffffffU
struct prof_block {
	union {
		struct {
			u32 pc[PROF_BLOCK_ROWS];
			u16 rule[PROF_BLOCK_ROWS];
		};
		u64 rules[PROF_BLOCK_RULES]; /* as pkg/unwind's Rule.Encode */
	};
};

/* An object that has a table. */
struct prof_object {
	u64 used_ns; /* last sample that touched it, CLOCK_MONOTONIC */
	u32 table; /* in the map tables */
	u32 id; /* never used twice, so that no cache needs to be cleared */
	u32 rule_blocks, row_blocks;
};

#define PROF_TABLES 4096
#define PROF_CACHED 1024 /* rules remembered by each CPU, a power of two */

/* Kernel addresses named by one run, and room for a name as %pS prints it: KSYM_NAME_LEN is 512, but
 * compilers' names are far shorter. */
#define PROF_KSYMS 256
#define PROF_KSYM_LEN 248
struct prof_ksym {
	u64 addr; /* 0 ends the list */
	u8 name[PROF_KSYM_LEN];
};

/* Events that are counted at once. */
#define PROF_COUNTS 20

struct prof_count_config {
	u32 events; /* of PROF_COUNTS */
	u32 threads; /* rows are threads, not processes */
	u32 filter; /* enum prof_filter, but for COMM */
	u32 ahead; /* bit i: event i is counted after the tracepoint sched_switch, for the task that it takes off the CPU */
};

/* A process, or a thread of it. */
struct prof_count_key {
	u64 start_ns; /* of the process or thread, CLOCK_BOOTTIME */
	u32 tgid, tid; /* in the initial PID namespace; tid is 0 for a process */
};

struct prof_count {
	u64 value;
	u64 missed_ns; /* for how much of ran_ns the event was not on the PMU */
};

struct prof_count_set {
	u64 ran_ns;
	struct prof_count counts[PROF_COUNTS];
};

struct prof_count_row {
	u32 pid, tid; /* as seen in the profiler's PID namespace */
	u32 parent; /* tgid in the initial PID namespace */
	u32 gone; /* nothing will be added */
	u64 cgroup; /* in the v2 hierarchy, when it first ran */
	u8 comm[PROF_COMM_LEN];
	struct prof_count_set set;
};

/* How a counter stood at the last charge. */
struct prof_count_last {
	u64 value, enabled_ns, missed_ns;
};

/* One per CPU. */
struct prof_count_cpu {
	u64 last_ns;
	struct prof_count_last last[PROF_COUNTS];
	struct prof_count_set idle;
	struct prof_count_set outside; /* of processes that are no target */
	struct prof_count_set other; /* of processes that found no room in the map count_rows */
	struct prof_count_row fresh; /* scratch */
	u64 switches;
	u64 skipped; /* of these: between threads of one process, nothing was read */
	u64 full; /* charges to other */
	u64 unread; /* counters that could not be read */
	u64 run_ns; /* in count_switch, estimated */
};

_Static_assert(sizeof(struct prof_count_key) == 16, "no padding in a key");
_Static_assert(sizeof(struct prof_vma) == 8 * PROF_VMA_WORDS, "a mapping is whole words");
_Static_assert(sizeof(struct prof_sample) == 104, "no padding in a sample");
_Static_assert(sizeof(struct prof_block) == 768, "no padding in a block");
_Static_assert(sizeof(struct prof_thread_row) == 544, "no padding in a row");
_Static_assert(sizeof(struct prof_heap) == 32, "no padding in a record");
_Static_assert(sizeof(struct prof_live_key) == 16, "no padding in a key");
_Static_assert(sizeof(struct prof_file_id) == 24, "no padding in a file's key");
