/* SPDX-License-Identifier: Apache-2.0 */
/* What the profiler writes into its copy of this file before a program maps it. */
#pragma once

struct settings {
	uint64_t mean; /* bytes for which one sample is taken, on average */
	uint64_t frees; /* 1: frees of sampled memory are told */
};

EXPORT struct settings ebpfprof_settings = { 512 << 10, 0 };
