/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

const volatile struct prof_config config = {
	.thread_size = 16384,
	.page_shift = 12,
	.wakeup_bytes = 256 << 10,
	.time_events = 1,
};

/* Every record goes through here; the loader sets the size from rate and CPUs. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries,
	       PROF_EVENTS +
		       1); /* the last: of CONTEXT_VISIT, which can be interrupted by the others */
	__type(key, u32);
	__type(value, struct prof_counters);
} counters SEC(".maps");

/* Files that have been announced. Least recently used go first: announcing one again costs little. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct prof_file_id);
	__type(value, u8);
} files SEC(".maps");

/* Processes with PROF_FILTER_PROCESS and _COMM. The key is a tgid of the initial PID namespace,
 * or, with PROF_KEY_NAMESPACED, one of the profiler's. */
#define PROF_KEY_NAMESPACED 0x80000000U
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, u32);
	__type(value, struct prof_target);
} targets SEC(".maps");

/* Verdicts on thread names: 1 a target, 0 not. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct prof_comm_key);
	__type(value, u8);
} comms SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, u64);
	__type(value, u8);
} cgroups SEC(".maps");

/* Unwind tables. An object of the map objects has one of these. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, PROF_TABLES);
	__type(key, u32);
	__array(
		values, struct {
			__uint(type, BPF_MAP_TYPE_ARRAY);
			__uint(map_flags, BPF_F_INNER_MAP);
			__uint(max_entries, 1);
			__type(key, u32);
			__type(value, struct prof_block);
		});
} tables SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, PROF_TABLES);
	__type(key, struct prof_file_id);
	__type(value, struct prof_object);
} objects SEC(".maps");

/* The walker runs in several contexts, of which one may interrupt another on the same CPU. Each has its own entries in the
 * per-CPU maps below; the number goes through the walker as an argument. The loader sizes the maps for those that a run
 * uses. */
enum prof_context {
	CONTEXT_PERF = 0, /* perf_event programs: in NMIs too, never in each other */
	CONTEXT_SCHED =
		1, /* where the scheduler is off: in sched_switch, and with preemption disabled */
	CONTEXT_VISIT = 2, /* in our own reader of an iterator: one at a time */
	CONTEXT_WAKE = 3, /* where a thread is woken: in interrupts too, never in each other */
	CONTEXT_ALLOC =
		4, /* in probes of allocators: with preemption disabled, or one thread at a time */
	CONTEXTS = 5,
};

/* Return addresses come again and again: one cache line instead of the dozen of a search. */
struct prof_cached {
	u64 key; /* object ID << 32 | file offset */
	u64 rule;
};

struct prof_cache {
	struct prof_cached entries[PROF_CACHED];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct prof_cache);
} caches SEC(".maps");

/* An executable mapping, and where the rules of its object are; row_blocks is 0 when there are none. One cache line. */
struct prof_place {
	struct prof_vma vma;
	u32 table, id, rule_blocks, row_blocks;
};
_Static_assert(sizeof(struct prof_place) == 64, "a place is a cache line");

/* Mappings of a process that earlier samples on this CPU met: valid while the kernel says that the process's mappings
 * are the same ones (vma.h). A search through the kernel's tree touches some thirty cache lines, all of them cold. */
#define PROF_SPACES 8 /* processes remembered by each CPU, a power of two */
#define PLACE_HINTS 64
struct prof_space {
	u64 mm, start_ns, exec_id;
	u64 filled_ns;
	u32 seq; /* mm_struct.mm_lock_seq */
	u32 generation; /* of the tables */
	u32 n; /* places entered; the oldest are replaced */
	u32 pad[5];
	u8 hints[PLACE_HINTS]; /* hash of an address -> its likely place */
	struct prof_place places[PROF_VMAS];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, PROF_SPACES);
	__type(key, u32);
	__type(value, struct prof_space);
} spaces SEC(".maps");

/* Counts the changes of the map objects. */
volatile u32 table_generation;

/* What is known of one frame. In the leaf, and in what a signal interrupted, ip is exact and all registers are known;
 * elsewhere ip is a return address, and known says which of the two are. */
struct prof_state {
	u64 ip, sp, fp, bx;
	u64 ra_at; /* where the return address ip lay on the stack; 0: in a register */
	bool exact;
	bool fp_known, bx_known;
	u8 pad[5];
};

/* What one walk of a user stack, and of one path within it, knows. */
struct prof_walk {
	struct prof_state now;
	u32 context; /* enum prof_context */
	u32 slot; /* of the process in spaces */
	u32 last; /* place of the frame before: frames of one object come in runs */
	u32 used; /* bit per place that this stack touches */
	u32 window_words; /* of window, that could be read */
	u32 asleep; /* whose stack is walked in CONTEXT_VISIT: its number in the initial PID namespace */
	u64 window_at; /* address of window */
	u64 entry; /* where the search for a mapping has got to */
	struct mm_struct *mm;
	struct prof_state
		marks[2]; /* the last two frames at a multiple of PROF_USER_FRAMES, latest last */
	u32 mark_depth[2];
	/* Where the path of a new file has got to. */
	struct vfsmount *vfs;
	struct dentry *dentry;
	bool at_site; /* of a probe: the walk begins at it, not at its caller */
};

#define BELOW_CFA 8 /* words: return address, frame pointer and what is pushed next to them */
#define WINDOW_WORDS 64 /* of the stack, read at once: several frames' return addresses lie in it */
#define MAPLE_RANGE_PIVOTS 15
#define MAPLE_ARANGE_PIVOTS 9
#define PROF_WORDS 2048 /* power of two over PROF_KERNEL_FRAMES + PROF_USER_FRAMES */

/* Of one context. What every sample touches comes first, to lie in few pages. */
struct prof_scratch {
	struct prof_walk walk;
	/* Of user mode. Here, and what follows too, because programs have 512 bytes of stack. */
	union {
		struct pt_regs regs;
		u64 reg_words[64];
	};
	u64 window[WINDOW_WORDS];
	struct prof_sample sample;
	/* verifier: the room after PROF_WORDS lets a masked index be followed by all mappings. */
	u64 words[PROF_WORDS + PROF_VMAS * PROF_VMA_WORDS];
	/* That this stack touches. verifier: twice the room, so that a masked index may be followed by as many again. */
	struct prof_vma vmas[2 * PROF_VMAS];
	u64 signal[33]; /* words of a signal frame */
	u64 pivots[MAPLE_RANGE_PIVOTS];
	struct prof_file file;
};

/* The root of a thread's deep stack, found with one or more of its samples on this CPU (deep.h). */
#define PROF_DEEPS 4 /* threads remembered by each CPU, a power of two */
struct prof_deep {
	u64 mm, start_ns;
	u32 tid;
	u32 depth; /* frames from the leaf of the sample that found it */
	struct prof_state at; /* from where to go on, or to check */
	u8 done; /* root holds the root; else, what came before at */
	u8 flags;
	u16 vmas_n;
	u32 pad;
	u64 root[PROF_HALF]; /* in turn, as in a record */
	struct prof_vma vmas[PROF_VMAS]; /* where root lies, and more */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, PROF_DEEPS);
	__type(key, u32);
	__type(value, struct prof_deep);
} deeps SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct prof_scratch);
} scratches SEC(".maps");

/* Global functions take no pointers on 5.10, so each asks for the scratch of its context. */
static __always_inline struct prof_scratch *scratch(u32 context)
{
	return bpf_map_lookup_elem(&scratches, &context);
}

static __always_inline struct prof_cache *cache_of(u32 context)
{
	return bpf_map_lookup_elem(&caches, &context);
}

static __always_inline struct prof_space *space(struct prof_scratch *s)
{
	return bpf_map_lookup_elem(&spaces, &s->walk.slot);
}

static __always_inline struct prof_counters *counter(u32 event)
{
	return bpf_map_lookup_elem(&counters, &event);
}
