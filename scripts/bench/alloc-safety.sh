#!/usr/bin/env bash
# alloc-safety.sh [RUNS [TIMES]]: RUNS (10,000) processes of a program whose entries are hard to probe, each of which runs
# into probes and checks what its functions return; and probes that are put and taken TIMES (1,000) times while a program
# runs into them. It is what go test does a few times.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

EBPFPROF_RUNS=${1:-10000} EBPFPROF_TIMES=${2:-1000} go test -count=1 -v -timeout 60m \
	-run 'TestAllocProbesComeAndGo|TestAllocProbesDoNoHarm' ./pkg/loader
