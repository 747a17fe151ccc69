/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Names of kernel addresses, asked of the kernel itself: a thousand cost a millisecond, where reading
 * /proc/kallsyms costs some sixty, and three megabytes. */
#pragma once

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PROF_KSYMS);
	__type(key, u32);
	__type(value, struct prof_ksym);
} ksyms SEC(".maps");

/* Fills the name of one entry of the map. */
static long ksym_fill(u32 i)
{
	static const char format[] = "%pS";
	struct prof_ksym *k = bpf_map_lookup_elem(&ksyms, &i);

	if (!k || !k->addr)
		return 1;
	return bpf_snprintf((char *)k->name, sizeof(k->name), format, &k->addr, sizeof(k->addr)) <
	       0;
}

SEC("syscall")
int ksym_names(void *ctx)
{
	for (u32 i = 0; i < PROF_KSYMS; i++)
		if (ksym_fill(i))
			break;
	return 0;
}
