/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The kernel types that our programs read; see README.md in this folder. */
#pragma once

typedef signed char __s8;
typedef unsigned char __u8;
typedef short __s16;
typedef unsigned short __u16;
typedef int __s32;
typedef unsigned int __u32;
typedef long long __s64;
typedef unsigned long long __u64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;

typedef __u8 u8;
typedef __u16 u16;
typedef __s16 s16;
typedef __s32 s32;
typedef __u32 u32;
typedef __s64 s64;
typedef __u64 u64;
typedef _Bool bool;
enum { false = 0, true = 1 };
#define NULL ((void *)0)

/* include/uapi/linux/bpf.h */
enum bpf_map_type {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PERF_EVENT_ARRAY = 4,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_ARRAY_OF_MAPS = 12,
	BPF_MAP_TYPE_RINGBUF = 27,
	BPF_MAP_TYPE_TASK_STORAGE = 29,
};
enum { BPF_ANY = 0, BPF_NOEXIST = 1 };
enum { BPF_F_NO_PREALLOC = 1 };
enum { BPF_LOCAL_STORAGE_GET_F_CREATE = 1 };
enum { BPF_F_INNER_MAP = 1 << 12 };
#define BPF_F_CURRENT_CPU 0xffffffffULL
enum { BPF_RB_NO_WAKEUP = 1, BPF_RB_FORCE_WAKEUP = 2 };
enum { BPF_RB_AVAIL_DATA = 0 };

#if defined(__TARGET_ARCH_x86)
#include "amd64.h"
#elif defined(__TARGET_ARCH_arm64)
#include "arm64.h"
#else
#error "no register layout for this architecture"
#endif

/* include/uapi/linux/bpf_perf_event.h: the context is checked by the verifier, not relocated. */
struct bpf_perf_event_data {
	bpf_user_pt_regs_t regs;
	__u64 sample_period;
	__u64 addr;
};

struct bpf_perf_event_value {
	__u64 counter;
	__u64 enabled;
	__u64 running;
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

/* Only asked whether an enumerator exists. */
enum bpf_func_id {
	BPF_FUNC_task_pt_regs = 175, /* 5.15 */
};

struct list_head {
	struct list_head *next, *prev;
};

struct rb_node {
	struct rb_node *rb_right, *rb_left;
};

struct rb_root {
	struct rb_node *rb_node;
};

struct qstr {
	u32 len;
	const unsigned char *name;
};

struct super_block {
	u32 s_dev;
};

struct timespec64 {
	s64 tv_sec;
};

struct inode {
	unsigned long i_ino;
	s64 i_size;
	struct super_block *i_sb;
	s64 i_mtime_sec; /* 6.11 */
};

struct inode___v67 {
	struct timespec64 __i_mtime; /* 6.7 to 6.10 */
};

struct inode___v510 {
	struct timespec64 i_mtime; /* up to 6.6 */
};

struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
};

struct vfsmount {
	struct dentry *mnt_root;
};

struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
};

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

struct file {
	struct path f_path;
	struct inode *f_inode;
};

struct vm_area_struct {
	unsigned long vm_start, vm_end;
	unsigned long vm_flags;
	unsigned long vm_pgoff;
	struct file *vm_file;
};

struct vm_area_struct___v60 {
	struct rb_node vm_rb; /* up to 6.0 */
};

/* lib/maple_tree.c: 6.1 and later */
struct maple_tree {
	void *ma_root;
};

struct maple_range_64 {
	unsigned long pivot[15];
	void *slot[16];
};

struct maple_arange_64 {
	unsigned long pivot[9];
	void *slot[10];
};

typedef struct {
	void *vdso;
} mm_context_t;

typedef struct seqcount {
	u32 sequence;
} seqcount_t;

struct mm_struct {
	struct maple_tree mm_mt;
	mm_context_t context;
	seqcount_t mm_lock_seq; /* 6.12 */
};

struct mm_struct___v611 {
	int mm_lock_seq; /* 6.4 to 6.11 */
};

struct mm_struct___v60 {
	struct rb_root mm_rb; /* up to 6.0 */
};

struct ns_common {
	u32 inum;
};

struct pid_namespace {
	struct ns_common ns;
};

struct upid {
	int nr;
	struct pid_namespace *ns;
};

struct pid {
	u32 level;
	struct upid numbers[1];
};

struct kernfs_node {
	u64 id;
};

struct cgroup;

struct cgroup_subsys_state {
	struct cgroup *cgroup;
	struct cgroup_subsys_state *parent;
};

struct cgroup_root {
	int hierarchy_id;
};

struct cgroup {
	struct cgroup_subsys_state self;
	struct kernfs_node *kn;
	struct cgroup_root *root;
};

struct cgrp_cset_link {
	struct cgroup *cgrp;
	struct list_head cgrp_link;
};

struct css_set {
	struct cgroup *dfl_cgrp;
	struct list_head cgrp_links;
};

struct sched_info {
	unsigned long long
		run_delay; /* ns that the task waited for a CPU, up to when it last got one */
	unsigned long long last_queued; /* since when it waits now, rq.clock; 0: it does not */
};

struct rq {
	u64 clock; /* ns */
};

struct cfs_rq {
	struct rq *rq;
};

struct sched_entity {
	struct cfs_rq *cfs_rq; /* of the CPU that the task is on, whatever its class */
};

struct signal_struct {
	struct {
		int counter;
	} live;
};

struct task_struct {
	unsigned int __state; /* 5.14 */
	int on_cpu, on_rq;
	struct sched_entity se;
	struct sched_info sched_info;
	unsigned int in_iowait : 1;
	int exit_state;
	void *stack;
	u32 flags;
	struct mm_struct *mm;
	int pid, tgid;
	unsigned int in_execve : 1;
	u64 start_boottime;
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	struct pid *thread_pid;
	struct signal_struct *signal;
	struct css_set *cgroups;
	u64 self_exec_id;
	char comm[16];
};

struct task_struct___v513 {
	long state; /* up to 5.13 */
};

struct seq_file;

struct bpf_map {
	u32 id;
};

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

struct linux_binprm;

#pragma clang attribute pop

/* include/uapi/linux/bpf.h, 6.18: a field of a map's value. Its name is what the kernel looks for. */
struct bpf_task_work {
	__u64 __opaque;
} __attribute__((aligned(8)));
