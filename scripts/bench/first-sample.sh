#!/usr/bin/env bash
# first-sample.sh [RUNS]: how many first samples of fresh processes, of programs that ran before, are complete, at 999 Hz:
# the first sample is then in the first milliseconds, in the loader or in constructors.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

runs=${1:-1000}
go build -o "$work/firstsample" ./test/firstsample
cat >"$work/burn.cc" <<'C'
#include <map>
#include <string>
int main() { std::map<std::string, long> m; for (long i = 0; i < 100000; i++) m[std::to_string(i * 7919 % 5003)] += i; return m.size() == 0; }
C
g++ -O3 -fomit-frame-pointer -o "$work/burn" "$work/burn.cc"
"$work/firstsample" -runs "$runs" "$work/burn"
# shellcheck disable=SC2016 # it is perl's
"$work/firstsample" -runs "$runs" /usr/bin/perl -e 'my %h; $h{$_ % 977} .= "x" for 1 .. 150000;'
"$work/firstsample" -runs "$runs" /usr/bin/python3 -c 'sum(i * i for i in range(100000))'
"$work/firstsample" -runs "$runs" sqlite3 :memory: 'with recursive c(x) as (select 1 union all select x + 1 from c limit 50000) select max(hex(x)) from c;'
