package loader

//go:generate go tool bpf2go -tags linux -target amd64,arm64 -cc clang-19 -strip llvm-strip-19 -no-global-types -type prof_sample -type prof_file -type prof_comm -type prof_vma -type prof_file_id -type prof_counters -type prof_config -type prof_target -type prof_comm_key -type prof_ksym -type prof_object -type prof_end -type prof_filter -type prof_record_type -type prof_vma_kind -type prof_doing -type prof_times -type prof_thread_row -type prof_process_key -type prof_wait bpf ../../bpf/prof.bpf.c -- -O2 -Wall -Werror -I../../vmlinux -I../../bpf
