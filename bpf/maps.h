/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

const volatile struct prof_config config = {
	.thread_size = 16384,
	.page_shift = 12,
	.wakeup_bytes = 256 << 10,
	.fixed_weight = 1,
};

/* Every record goes through here; the loader sets the size from rate and CPUs. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
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

/* Where the rules of a mapping's object are; row_blocks is 0 when there are none. */
struct prof_rules {
	u32 table, id, rule_blocks, row_blocks;
};

/* What one walk of a user stack, and of one path within it, knows. */
struct prof_walk {
	struct mm_struct *mm;
	u64 ip, sp, fp, bx;
	u64 rule; /* for ip */
	/* What ip and the registers are: in the leaf, and in what a signal interrupted, ip is exact and all registers are
	 * known; elsewhere ip is a return address, and known says which of the two are. */
	bool exact;
	bool fp_known, bx_known;
	bool below_ok; /* below_cfa could be read */
	u8 pad1[4];
	u64 vdso;
	u64 entry; /* where the search for a mapping has got to */
	u32 last_vma; /* frames of one object come in runs */
	u32 pad;
	/* Where the path of a new file has got to. */
	struct vfsmount *vfs;
	struct dentry *dentry;
};

#define BELOW_CFA 8 /* words: return address, frame pointer and what is pushed next to them */
#define MAPLE_RANGE_PIVOTS 15
#define MAPLE_ARANGE_PIVOTS 9
#define PROF_WORDS 2048 /* power of two over PROF_KERNEL_FRAMES + PROF_USER_FRAMES */

/* A perf interrupt may land in any other program, never in itself, so this is for perf_event programs only. */
struct prof_scratch {
	struct prof_sample sample;
	/* verifier: the room after PROF_WORDS lets a masked index be followed by all mappings. */
	u64 words[PROF_WORDS + PROF_VMAS * PROF_VMA_WORDS];
	struct prof_vma vmas[PROF_VMAS];
	struct prof_walk walk;
	struct prof_rules rules[PROF_VMAS]; /* of vmas */
	/* Of user mode. Here, and what follows too, because programs have 512 bytes of stack. */
	union {
		struct pt_regs regs;
		u64 reg_words[64];
	};
	u64 below_cfa[BELOW_CFA];
	u64 signal[33]; /* words of a signal frame */
	u64 pivots[MAPLE_RANGE_PIVOTS];
	struct prof_file file;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct prof_scratch);
} scratches SEC(".maps");

/* Global functions take no pointers on 5.10, so each asks for its scratch. */
static __always_inline struct prof_scratch *scratch(void)
{
	u32 zero = 0;
	return bpf_map_lookup_elem(&scratches, &zero);
}

static __always_inline struct prof_counters *counter(void)
{
	u32 zero = 0;
	return bpf_map_lookup_elem(&counters, &zero);
}
