/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Address -> mapping, from the kernel's own tree of mappings. No lock is taken: what comes out is checked against the
 * address, and a lost race ends the stack with its reason. What was found is remembered for the process's next samples,
 * as long as mm_lock_seq stands still: the kernel counts it with every change of the mappings (since 6.4). */
#pragma once

#define VM_EXEC 4
#define MAPLE_LEVELS 8 /* 10^8 mappings; the kernel's limit is 65,530 by default */
#define MAPLE_NODE_MASK 255ULL /* lib/maple_tree.c: nodes are 256 bytes, the type lies below */
#define MAPLE_ARANGE_64 3
#define MAPLE_LEAF_64 1
#define RB_LEVELS 40 /* 2 log2 of a million mappings */

enum { VMA_NONE = -1, VMA_TABLE_FULL = -2 };

/* 6.1 and later: goes from a node of the maple tree to the next, in walk.entry, and returns 0, or to the mapping, and
 * returns 1. A pivot is the last address of its slot; it is 0 after the last slot in use. Global, so that the
 * verifier checks one level and not all paths through eight. */
__noinline int maple_step(u32 context, u64 addr)
{
	struct prof_scratch *s = scratch(context);
	u64 node, pivot_at, slot_at, i;
	u32 type, n;

	if (!s || !bpf_core_field_exists(struct mm_struct, mm_mt))
		return 1;
	node = s->walk.entry & ~MAPLE_NODE_MASK;
	type = (s->walk.entry >> 3) & 15;
	s->walk.entry = 0;
	if (type == MAPLE_ARANGE_64) {
		n = MAPLE_ARANGE_PIVOTS;
		pivot_at = bpf_core_field_offset(struct maple_arange_64, pivot);
		slot_at = bpf_core_field_offset(struct maple_arange_64, slot);
	} else {
		n = MAPLE_RANGE_PIVOTS;
		pivot_at = bpf_core_field_offset(struct maple_range_64, pivot);
		slot_at = bpf_core_field_offset(struct maple_range_64, slot);
	}
	if (bpf_probe_read_kernel(s->pivots, sizeof(s->pivots), (void *)(node + pivot_at)))
		return 1;
	for (i = 0; i < MAPLE_RANGE_PIVOTS; i++)
		if (i >= n || s->pivots[i] >= addr || !s->pivots[i])
			break;
	if (bpf_probe_read_kernel(&s->walk.entry, sizeof(s->walk.entry),
				  (void *)(node + slot_at + i * 8)))
		return 1;
	return type == MAPLE_LEAF_64;
}

static __always_inline struct vm_area_struct *vma_in_maple(struct prof_walk *w,
							   struct mm_struct *mm, u64 addr)
{
	w->entry = (u64)BPF_CORE_READ(mm, mm_mt.ma_root);
	if ((w->entry & 3) != 2 || w->entry <= 4096) /* xa_is_node() */
		return NULL;
	for (int level = 0; level < MAPLE_LEVELS; level++)
		if (maple_step(w->context, addr))
			return (void *)w->entry;
	return NULL;
}

/* Up to 6.0. */
static __always_inline struct vm_area_struct *vma_in_rbtree(struct mm_struct *mm, u64 addr)
{
	struct rb_node *node = BPF_CORE_READ((struct mm_struct___v60 *)mm, mm_rb.rb_node);

	for (int level = 0; node && level < RB_LEVELS; level++) {
		struct vm_area_struct *vma =
			(void *)node - bpf_core_field_offset(struct vm_area_struct___v60, vm_rb);

		if (addr >= BPF_CORE_READ(vma, vm_end))
			node = BPF_CORE_READ(node, rb_right);
		else if (addr < BPF_CORE_READ(vma, vm_start))
			node = BPF_CORE_READ(node, rb_left);
		else
			return vma;
	}
	return NULL;
}

static __always_inline s64 mtime_of(struct inode *inode)
{
	if (bpf_core_field_exists(inode->i_mtime_sec))
		return BPF_CORE_READ(inode, i_mtime_sec);
	if (bpf_core_field_exists(((struct inode___v67 *)inode)->__i_mtime))
		return BPF_CORE_READ((struct inode___v67 *)inode, __i_mtime.tv_sec);
	return BPF_CORE_READ((struct inode___v510 *)inode, i_mtime.tv_sec);
}

#define SPACE_NS \
	1000000000ULL /* places are looked up anew that often, so that tables in use are seen to be */

/* Whether the kernel counts changes of mappings, and the count. */
static __always_inline bool mappings_seq(struct mm_struct *mm, u32 *seq)
{
	if (bpf_core_field_exists(mm->mm_lock_seq.sequence)) {
		*seq = BPF_CORE_READ(mm, mm_lock_seq.sequence);
		/* verifier: without it clang makes one read of the two, at an offset that it takes from both. */
		barrier_var(*seq);
		return true;
	}
	if (bpf_core_field_exists(((struct mm_struct___v611 *)mm)->mm_lock_seq)) {
		*seq = BPF_CORE_READ((struct mm_struct___v611 *)mm, mm_lock_seq);
		return true;
	}
	return false;
}

/* Finds what is known of the mappings of a process, or begins anew. An mm may have the address of one that is gone, and
 * exec gives a process another: so all four must be the same. */
static __always_inline bool enter_space(struct prof_scratch *s, struct task_struct *task,
					struct mm_struct *mm)
{
	u64 exec_id = BPF_CORE_READ(task, self_exec_id);
	struct prof_space *p;
	u32 seq = 0;
	bool counted = mappings_seq(mm, &seq);

	s->walk.mm = mm;
	s->walk.slot = (((u64)mm * 0x9e3779b97f4a7c15ULL) >> 56 & (PROF_SPACES - 1)) +
		       s->walk.context * PROF_SPACES;
	s->walk.last = PROF_VMAS;
	s->walk.used = 0;
	p = space(s);
	if (!p)
		return false;
	if (counted && p->mm == (u64)mm && p->seq == seq && p->start_ns == s->sample.start_ns &&
	    p->exec_id == exec_id && p->generation == table_generation &&
	    s->sample.time_ns - p->filled_ns < SPACE_NS)
		return true;
	p->mm = (u64)mm;
	p->start_ns = s->sample.start_ns;
	p->exec_id = exec_id;
	p->filled_ns = s->sample.time_ns;
	p->seq = seq;
	p->generation = table_generation;
	p->n = 0;
	__builtin_memset(p->hints, 0, sizeof(p->hints));
	return true;
}

static __always_inline u32 hint_of(u64 addr)
{
	return ((addr >> 16) * 0x9e3779b97f4a7c15ULL) >> 56 & (PLACE_HINTS - 1);
}

/* Notes where the rules of a place's object are. The vDSO's are under the key of no file. */
static __always_inline void take_rules(struct prof_scratch *s, struct prof_place *p)
{
	struct prof_object *o = NULL;

	if (p->vma.offset >> 56 != PROF_VMA_ANON)
		o = bpf_map_lookup_elem(&objects, &p->vma.file);
	if (!o) {
		p->row_blocks = 0;
		return;
	}
	o->used_ns = s->sample.time_ns;
	p->table = o->table;
	p->id = o->id;
	p->rule_blocks = o->rule_blocks;
	p->row_blocks = o->row_blocks;
}

/* Makes place n the one that frames are looked for first, and enters its mapping in the record. */
static __always_inline int use_place(struct prof_scratch *s, struct prof_place *p, u32 n)
{
	u32 bit = 1U << (n & 31), i = s->sample.vmas;

	s->walk.last = n;
	if (s->walk.used & bit)
		return n;
	if (i >= PROF_VMAS)
		return VMA_TABLE_FULL;
	s->walk.used |= bit;
	s->vmas[i & (PROF_VMAS - 1)] = p->vma;
	s->sample.vmas = i + 1;
	return n;
}

static __always_inline bool within(struct prof_place *p, u64 addr)
{
	return addr >= p->vma.start && addr < p->vma.end;
}

/* Reads a mapping from the kernel; false when it is not one of code, or another CPU changed it. */
static __always_inline bool read_mapping(struct prof_scratch *s, struct prof_vma *v,
					 struct vm_area_struct *vma, u64 addr, struct file **file)
{
	struct mm_struct *mm = s->walk.mm;
	u64 kind = PROF_VMA_ANON;

	v->start = BPF_CORE_READ(vma, vm_start);
	v->end = BPF_CORE_READ(vma, vm_end);
	if (!(BPF_CORE_READ(vma, vm_flags) & VM_EXEC) || addr < v->start || addr >= v->end)
		return false;
	v->offset = 0;
	v->file = (struct prof_file_id){};
	*file = BPF_CORE_READ(vma, vm_file);
	if (*file) {
		struct inode *inode = BPF_CORE_READ(*file, f_inode);

		kind = PROF_VMA_FILE;
		v->offset = (u64)BPF_CORE_READ(vma, vm_pgoff) << config.page_shift;
		v->file.dev = BPF_CORE_READ(inode, i_sb, s_dev);
		v->file.ino = BPF_CORE_READ(inode, i_ino);
		v->file.mtime = mtime_of(inode);
	} else if (v->start == (u64)BPF_CORE_READ(mm, context.vdso)) {
		kind = PROF_VMA_VDSO;
	}
	v->offset = (v->offset & ((1ULL << 56) - 1)) | kind << 56;
	return true;
}

/* Finds the executable mapping of addr, and returns its place in the process's space. Global, so that the verifier
 * checks the tree walk once. */
__noinline int find_place(u32 context, u64 addr)
{
	struct prof_scratch *s = scratch(context);
	struct vm_area_struct *vma;
	struct mm_struct *mm;
	struct prof_space *sp;
	struct prof_place *p;
	struct file *file = NULL;
	u32 n, hint = hint_of(addr);

	sp = s ? space(s) : NULL;
	if (!sp)
		return VMA_NONE;
	n = sp->hints[hint];
	if (n < sp->n && within(&sp->places[n & (PROF_VMAS - 1)], addr))
		return use_place(s, &sp->places[n & (PROF_VMAS - 1)], n & (PROF_VMAS - 1));
	for (n = 0; n < PROF_VMAS; n++) {
		if (n >= sp->n)
			break;
		if (within(&sp->places[n], addr)) {
			sp->hints[hint] = n;
			return use_place(s, &sp->places[n], n);
		}
	}
	/* verifier: 6.1 checks all that follows once for each exit of the loop, with n a constant of each, and gives
	 * up after a million instructions. Loaded anew, n is unknown, and the paths are one. */
	barrier();
	n = sp->n;
	mm = s->walk.mm;
	vma = bpf_core_field_exists(mm->mm_mt) ? vma_in_maple(&s->walk, mm, addr)
					       : vma_in_rbtree(mm, addr);
	if (!vma)
		return VMA_NONE;
	n &= PROF_VMAS - 1;
	barrier_var(n); /* verifier: clang drops a mask that changes nothing */
	n &= PROF_VMAS - 1;
	if (s->walk.used & 1U << n)
		return VMA_TABLE_FULL;
	p = &sp->places[n];
	if (!read_mapping(s, &p->vma, vma, addr, &file)) {
		p->vma.end = 0;
		return VMA_NONE;
	}
	take_rules(s, p);
	sp->n++;
	sp->hints[hint] = n;
	/* What has rules was announced, or user space could not have compiled them. */
	if (file && !p->row_blocks)
		announce(context, n, (u64)file);
	return use_place(s, p, n);
}
