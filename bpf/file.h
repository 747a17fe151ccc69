/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Tells user space of a file the first time that a stack touches it, with its path, so that the file can be opened
 * although the process may be gone by then. */
#pragma once

/* Enters one name of the path and goes to its parent; crosses mount points as d_path() does. Returns 0 to go on.
 * Global, so that the verifier checks the body once. */
__noinline int path_step(u32 context)
{
	struct prof_scratch *s = scratch(context);
	struct dentry *dentry, *parent;
	struct vfsmount *vfs;
	u32 len;
	long n;

	if (!s)
		return 1;
	vfs = s->walk.vfs;
	dentry = s->walk.dentry;
	len = s->file.path_len;
	if (dentry == BPF_CORE_READ(vfs, mnt_root)) {
		struct mount *m = (void *)vfs - bpf_core_field_offset(struct mount, mnt);
		struct mount *up = BPF_CORE_READ(m, mnt_parent);

		if (up == m)
			return 1;
		s->walk.dentry = BPF_CORE_READ(m, mnt_mountpoint);
		s->walk.vfs = (void *)up + bpf_core_field_offset(struct mount, mnt);
		return 0;
	}
	parent = BPF_CORE_READ(dentry, d_parent);
	if (parent == dentry || len >= PROF_PATH_LEN)
		return 1;
	/* verifier: clang knows that the mask changes nothing and drops it without the barrier. */
	barrier_var(len);
	n = bpf_probe_read_kernel_str(&s->file.path[len & (PROF_PATH_LEN - 1)], PROF_NAME_LEN,
				      BPF_CORE_READ(dentry, d_name.name));
	if (n <= 0)
		return 1;
	s->file.path_len = len + n;
	s->walk.dentry = parent;
	return 0;
}

/* Announces the file of place n if that has not been done. Global, so that the verifier checks it once. */
__noinline int announce(u32 context, u32 n, u64 file_ptr)
{
	struct prof_scratch *s = scratch(context);
	struct file *file = (void *)file_ptr;
	struct prof_counters *c;
	struct prof_space *sp;
	struct prof_file *rec;
	struct prof_vma *v;
	u64 size;
	u8 one = 1;

	sp = s ? space(s) : NULL;
	if (!sp)
		return 0;
	/* verifier: a comparison bounds the 32-bit half of an argument only. */
	v = &sp->places[n & (PROF_VMAS - 1)].vma;
	rec = &s->file;
	if (bpf_map_lookup_elem(&files, &v->file))
		return 0;
	rec->type = PROF_RECORD_FILE;
	rec->tgid = s->sample.tgid;
	rec->id = v->file;
	rec->start = v->start;
	rec->end = v->end;
	rec->size = BPF_CORE_READ(file, f_inode, i_size);
	rec->path_len = 0;
	s->walk.vfs = BPF_CORE_READ(file, f_path.mnt);
	s->walk.dentry = BPF_CORE_READ(file, f_path.dentry);
	for (int i = 0; i < PROF_PATH_DEPTH; i++)
		if (path_step(context))
			break;
	size = __builtin_offsetof(struct prof_file, path) + rec->path_len;
	if (size > sizeof(*rec))
		return 0;
	/* Without room it is announced again with the next stack. */
	if (bpf_ringbuf_output(&ring, rec, size, BPF_RB_FORCE_WAKEUP))
		return 0;
	bpf_map_update_elem(&files, &v->file, &one, BPF_ANY);
	c = counter(s->sample.event);
	if (c)
		c->files++;
	return 0;
}
