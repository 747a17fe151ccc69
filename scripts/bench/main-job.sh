#!/usr/bin/env bash
# main-job.sh [DIR]: the whole machine for 10 s while a C program, a Go program, PostgreSQL under pgbench and dd run; what
# go tool pprof says of it. With DIR, the files stay there.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

out=${1:-$work}
postgres=$(find /usr/lib/postgresql -name initdb -printf '%h\n' | sort -V | tail -1)
chmod 755 "$work"
install -d -o postgres "$work/db"
as_postgres() { setpriv --reuid=postgres --regid=postgres --init-groups "$@"; }
as_postgres "$postgres/initdb" -D "$work/db" -A trust >/dev/null
as_postgres "$postgres/postgres" -D "$work/db" -k "$work/db" -p 54329 -c listen_addresses= >"$work/db.log" 2>&1 &
load+=($!)
until "$postgres/pg_isready" -q -h "$work/db" -p 54329; do sleep 0.2; done
as_postgres "$postgres/pgbench" -i -q -h "$work/db" -p 54329 postgres 2>/dev/null
as_postgres "$postgres/pgbench" -c 2 -T 20 -h "$work/db" -p 54329 postgres >/dev/null 2>&1 &
load+=($!)
go build -o "$work/inlined" ./internal/target/testdata/inlined
"$work/inlined" 20 >/dev/null &
load+=($!)
"$(target split)" 20 >/dev/null &
load+=($!)
dd if=/dev/zero of=/dev/null bs=1M count=1000000000 2>/dev/null &
load+=($!)
sleep 1
"$ebpfprof" record -a -d 10s -o "$out/main-job.pb.gz" -o "$out/main-job.svg" -o "$out/main-job.txt"
go tool pprof -top -nodecount=40 "$out/main-job.pb.gz" 2>/dev/null
