# Lets a process run and has it stopped again and again; writes one line of JSON for each stop with the backtraces that
# gdb finds. PID, STOPS, THREADS and OUT are set by the caller, who stops a thread some time after each line "null".
import gdb, json, time

for command in (
    "set pagination off", "set confirm off", "set auto-load off", "set debuginfod enabled off",
    "set backtrace past-main on", "set backtrace past-entry on", "set backtrace limit 3000",
    "set print thread-events off", "set print inferior-events off", "set schedule-multiple off",
    "handle all nostop noprint pass", "handle SIGSTOP stop print nopass",
):
    gdb.execute(command, to_string=True)
out = open(OUT, "w")
gdb.execute("attach %d" % PID, to_string=True)


def backtrace():
    frames, broken = [], ""
    frame = gdb.newest_frame()
    try:
        while frame is not None:
            # Inlined functions and tail calls have no frames of their own.
            if frame.type() not in (gdb.INLINE_FRAME, gdb.TAILCALL_FRAME):
                frames.append([frame.pc(), frame.type() == gdb.SIGTRAMP_FRAME])
            frame = frame.older()
    except gdb.error as e:
        broken = str(e)
    return frames, broken


for i in range(STOPS):
    resumed = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    out.write("null\n")
    out.flush()
    gdb.execute("continue", to_string=True)
    stopped = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    inferior = gdb.selected_inferior()
    if not inferior.pid:
        break  # it has ended
    threads = []
    for thread in sorted(inferior.threads(), key=lambda t: t.num)[:THREADS]:
        thread.switch()
        frames, broken = backtrace()
        sp = int(gdb.newest_frame().read_register("sp")) & (1 << 64) - 1
        threads.append(dict(tid=thread.ptid[1], name=thread.name, sp=sp, frames=frames, broken=broken))
    out.write(json.dumps(dict(resumed=resumed, stopped=stopped, threads=threads)) + "\n")
    out.flush()
out.close()
if gdb.selected_inferior().pid:
    gdb.execute("detach", to_string=True)
