/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Address -> mapping, from the kernel's own tree of mappings, so that no copy of it can be stale. No lock is
 * taken: what comes out is checked against the address, and a lost race ends the stack with its reason. */
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
__noinline int maple_step(u64 addr)
{
	struct prof_scratch *s = scratch();
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
		if (maple_step(addr))
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

/* Notes where the rules of mapping n's object are. The vDSO's are under the key of no file. */
static __always_inline void take_rules(struct prof_scratch *s, u32 n)
{
	struct prof_object *o = NULL;

	if (s->vmas[n].offset >> 56 != PROF_VMA_ANON)
		o = bpf_map_lookup_elem(&objects, &s->vmas[n].file);
	if (!o) {
		s->rules[n].row_blocks = 0;
		return;
	}
	o->used_ns = s->sample.time_ns;
	s->rules[n].table = o->table;
	s->rules[n].id = o->id;
	s->rules[n].rule_blocks = o->rule_blocks;
	s->rules[n].row_blocks = o->row_blocks;
}

/* Finds the executable mapping of addr and enters it in the scratch's table; returns its place there. Global, so
 * that the verifier checks the tree walk once. */
__noinline int vma_of(u64 addr)
{
	struct prof_scratch *s = scratch();
	struct vm_area_struct *vma;
	struct mm_struct *mm;
	struct prof_vma *v;
	struct file *file;
	u32 n, kind = PROF_VMA_ANON;

	if (!s)
		return VMA_NONE;
	n = s->walk.last_vma;
	if (n < PROF_VMAS && addr >= s->vmas[n].start && addr < s->vmas[n].end)
		return n;
	n = s->sample.vmas;
	for (u32 i = 0; i < PROF_VMAS; i++) {
		if (i >= n)
			break;
		if (addr >= s->vmas[i].start && addr < s->vmas[i].end) {
			s->walk.last_vma = i;
			return i;
		}
	}

	/* verifier: 6.1 checks all that follows once for each exit of the loop, with n a constant of each, and gives
	 * up after a million instructions. Loaded anew, n is unknown, and the paths are one. */
	barrier();
	n = s->sample.vmas;
	mm = s->walk.mm;
	vma = bpf_core_field_exists(mm->mm_mt) ? vma_in_maple(&s->walk, mm, addr)
					       : vma_in_rbtree(mm, addr);
	if (!vma || !(BPF_CORE_READ(vma, vm_flags) & VM_EXEC))
		return VMA_NONE;
	if (n >= PROF_VMAS)
		return VMA_TABLE_FULL;
	barrier_var(n);
	n &= PROF_VMAS - 1;
	v = &s->vmas[n];
	v->start = BPF_CORE_READ(vma, vm_start);
	v->end = BPF_CORE_READ(vma, vm_end);
	if (addr < v->start || addr >= v->end)
		return VMA_NONE;
	v->offset = 0;
	v->file = (struct prof_file_id){};
	file = BPF_CORE_READ(vma, vm_file);
	if (file) {
		struct inode *inode = BPF_CORE_READ(file, f_inode);

		kind = PROF_VMA_FILE;
		v->offset = (u64)BPF_CORE_READ(vma, vm_pgoff) << config.page_shift;
		v->file.dev = BPF_CORE_READ(inode, i_sb, s_dev);
		v->file.ino = BPF_CORE_READ(inode, i_ino);
		v->file.mtime = mtime_of(inode);
	} else if (v->start == s->walk.vdso) {
		kind = PROF_VMA_VDSO;
	}
	v->offset = (v->offset & ((1ULL << 56) - 1)) | (u64)kind << 56;
	take_rules(s, n & (PROF_VMAS - 1));
	/* What has rules was announced, or user space could not have compiled them. */
	if (kind == PROF_VMA_FILE && !s->rules[n & (PROF_VMAS - 1)].row_blocks)
		announce(n, (u64)file);
	s->sample.vmas = n + 1;
	s->walk.last_vma = n;
	return n;
}
