#!/usr/bin/env bash
# rsvol against a daemon that answers from a file: what it asks, how far long work is said to be,
# how it is cancelled, and the exit status of each end.
set -u
program=rsvol
# shellcheck source=tests/ops/canned.sh
. "$(dirname "$0")/canned.sh"
try="Try 'rsvol --help'.$nl"

# Nobody there.
expect 1 "" "rsvol: rsiod does not run here: nobody listens at $work/rsiod.sock
rsvol: start rsiod, or name its directory with --run-dir$nl" ls

# What is asked, exactly.
start_daemon <<'END'
{"manage":{"namespace":"osl","server":"big-9","id":"0","result":{"volumes":["v"],"pool":"fast","held":0.125}},
 "ask":{"namespace":"osl","answers":[{"server":"big-9","answer":{"volume":{"name":"v","size":1048576,"uuid":"U","generation":"7","taken":"2026-11-20T10:00:00Z","snapshots":[]}}}]},
 "namespaces":{"namespaces":["osl","two"]}}
END
m='{"do":"manage",'
expect 0 "osl:v: created, 20 GiB in pool fast$nl" "" create osl:v 20G --pool fast --preallocate
asked "$m"'"namespace":"osl","work":{"op":"create","pool":"fast","preallocate":true,"size":21474836480,"volume":"v"}}'
expect 0 "osl:v: created, 512 B in pool fast$nl" "" create v 512 --server big-9
asked "$m"'"server":"big-9","work":{"op":"create","size":512,"volume":"v"}}'
expect 0 "osl:v: 1.5 MiB now$nl" "" resize v +512K
asked "$m"'"work":{"op":"resize","size":1572864,"uuid":"U","volume":"v"}}'
expect 0 "osl:v: 512 KiB now$nl" "" resize v 512K --confirm osl:v
asked "$m"'"work":{"confirm":"v","generation":"7","op":"resize","size":524288,"uuid":"U","volume":"v"}}'
expect 0 "osl:v: is w now$nl" "" rename osl/v osl/w
asked "$m"'"namespace":"osl","work":{"op":"rename","to":"w","volume":"v"}}'
expect 0 "osl:v: removed$nl" "" rm v --confirm v --snapshots
asked "$m"'"work":{"confirm":"v","op":"remove","snapshots":true,"uuid":"U","volume":"v"}}'
expect 0 "osl:v@monday: removed$nl" "" rm v@monday
asked "$m"'"work":{"op":"snapshot_remove","snapshot":"monday","volume":"v"}}'
expect 0 "osl:v, osl:w: snapshot monday taken${nl}writes were held for 125.0 ms$nl" "" snapshot osl:v osl/w --name monday --hold 500ms
asked "$m"'"namespace":"osl","work":{"hold_limit":0.5,"name":"monday","op":"snapshot","volumes":["v","w"]}}'
expect 0 "osl:v: snapshot monday taken${nl}writes were held for 125.0 ms$nl" "" snapshot v@monday --freeze
asked "{\"do\":\"manage\",\"freeze\":true,\"work\":{\"name\":\"monday\",\"op\":\"snapshot\",\"volumes\":[\"v\"]}}"
expect 0 "osl:v@monday: v is as it was at 2026-11-20T10:00:00Z$nl" "" rollback v@monday --confirm v
asked "$m"'"work":{"confirm":"v","op":"rollback","snapshot":"monday","volume":"v"}}'
expect 0 "osl:v@monday: cloned as w$nl" "" clone v@monday w --pool fast
asked "$m"'"work":{"op":"clone","pool":"fast","to":"w","volume":"v@monday"}}'
expect 0 "osl:v: copied to w$nl" "" copy v w
asked "$m"'"work":{"op":"copy","to":"w","volume":"v"}}'
expect 0 "osl:v: sles1: 500 requests/s, 40 MB/s, burst 2s$nl" "" limit v --iops 500 --mbps 40 --burst 2s --client sles1
asked "$m"'"work":{"burst":2.0,"client":"sles1","iops":500,"mbps":40.0,"op":"limit","volume":"v"}}'
expect 0 "osl:v: all together: any number of MB/s$nl" "" limit v --mbps none
asked "$m"'"work":{"mbps":0.0,"op":"limit","volume":"v"}}'
expect 0 "osl:v: all together: no limit now$nl" "" limit v --none
asked "$m"'"work":{"burst":0.0,"iops":0,"mbps":0.0,"op":"limit","volume":"v"}}'
expect 0 "osl:v: for sles1,sles2:ro now$nl" "" access v sles1 sles2:ro
asked "$m"'"work":{"clients":["sles1","sles2:ro"],"op":"access","volume":"v"}}'
expect 0 "osl:v: for every client of its pool now$nl" "" access v --everyone
asked "$m"'"work":{"clients":null,"op":"access","volume":"v"}}'
expect 0 "osl:v: a snapshot every 1h, 24 are kept$nl" "" schedule v --every 1h --keep 24
asked "$m"'"work":{"every":3600.0,"keep":24,"op":"schedule","volume":"v"}}'
expect 0 "osl:v: has no schedule now$nl" "" schedule v --none
asked "$m"'"work":{"every":0.0,"op":"schedule","volume":"v"}}'
expect 0 '{
  "namespace": "osl",
  "server": "big-9",
  "id": "0",
  "result": {
    "volumes": [
      "v"
    ],
    "pool": "fast",
    "held": 0.125
  }
}'"$nl" "" label v golden --json

# What was made is named, the first and the last of many.
start_daemon <<'END'
{"manage":{"namespace":"osl","server":"big-9","id":"0","result":{"volumes":["desk-001","desk-002","desk-260"],"pool":"fast"}},
 "ask":{"namespace":"osl","answers":[{"server":"big-9","answer":{"volume":{"name":"v","size":1048576,"pool":"slow",
  "limits":{"iops":500,"mbps":0,"clients":{"sles1":{"iops":0,"mbps":1.5}}},"schedule":{"every":5400,"keep":2}}}}]},
 "status":{"devices":[{"namespace":"osl","volume":"w"}]}}
END
expect 0 "osl:v: 260 clones made, desk-001 to desk-260$nl" "" clone v --count 260 --name desk-
asked "$m"'"work":{"count":260,"op":"clone","prefix":"desk-","volume":"v"}}'
expect 0 "osl:v: is there already, 1 MiB in pool slow$nl" "" create v 20G --pool fast --if-missing
expect 0 "volume      osl:v
server      big-9
pool        slow
size        1 MiB
allocated   -
uuid        -
generation  -
label       -
clients     -
open by     -
limit       500 requests/s
            sles1: 1.5 MB/s
schedule    every 90min, 2 kept
snapshots   0$nl" "" info v
expect 1 "" "rsvol: osl:v is not attached to this machine: nothing was changed
rsvol: say it where the file system is mounted; without --grow-fs the volume grows alone$nl" resize v +1M --grow-fs
asked '{"do":"status"}'
many=()
for i in {1..40}; do many+=("volume$i"); done
expect 0 "osl:volume1, osl:volume2, osl:volume3, osl:volume4, osl:volume5, osl:volume6, osl:volume7, osl:volume8, osl:volume9, osl:volume10\
 and 30 more: snapshot monday taken$nl" "" snapshot "${many[@]}" --name monday

# What a server says tells the terminal nothing, and need not be what it should.
start_daemon <<'END'
{"manage":{"namespace":"osl","server":"big-9","id":"0","result":{"volumes":["a\u001b[2J","b\u001b]0;x\u0007"],"pool":"fast"}},
 "ask":{"namespace":"osl","answers":[{"server":"big-9","answer":{"volume":{"name":"v","size":1048576,"label":"\u001b[31mred\u009b",
  "clients":["a\u001b[2J",1,null],"limits":{"clients":{"a\u001b[2J":{"iops":2}}}}}}]}}
END
expect 0 "?[31mred??$nl" "" label v
expect 0 "a?[2J$nl$nl$nl" "" access v
expect 0 "a?[2J: 2 requests/s$nl" "" limit v
expect 0 "osl:v: 2 clones made, a?[2J to b?]0;x?$nl" "" clone v --count 2 --name desk-

# Wrong usage asks nothing.
: >"$work/log"
expect 2 "" "rsvol: say what to do: create, resize, rm, ls, snapshot, ...$nl$try"
expect 2 "" "rsvol: 20 is not whole blocks of 512 bytes: did you mean 20M or 20G?$nl$try" create v 20
expect 2 "" "rsvol: rename takes [NS:]VOLUME NEWNAME$nl$try" rename v
expect 2 "" "rsvol: v@a is a snapshot: a volume is needed here$nl$try" resize v@a 1G
expect 2 "" "rsvol: name the snapshot with --name$nl$try" snapshot v
expect 2 "" "rsvol: a snapshot's name is not a number alone: 17$nl$try" snapshot v --name 17
expect 2 "" "rsvol: a:v and b:w are not of one namespace: a snapshot is of one moment at one server$nl$try" snapshot a:v b:w --name m
expect 2 "" "rsvol: roll back to which snapshot? v@SNAP; rsvol snapshots shows them$nl$try" rollback v
expect 2 "" "rsvol: clone takes a new name, or --count and --name$nl$try" clone v --count 3
expect 2 "" "rsvol: clone takes a new name, or --count and --name$nl$try" clone v w --count 3 --name x
expect 2 "" "rsvol: --iops wants a number above 0, or none, not '-1'$nl$try" limit v --iops=-1
expect 2 "" "rsvol: either --every and --keep, or --none$nl$try" schedule v --every 1h
expect 2 "" "rsvol: either --everyone or names of clients$nl$try" access v a --everyone
expect 2 "" "rsvol: --confirm says 'w', and the volume is v: nothing was done$nl$try" rm v --confirm w
expect 2 "" "rsvol: pool takes the word ls, not 'rm'$nl$try" pool rm
expect 2 "" "rsvol: --keep is not for label$nl$try" label v --keep 3
[ ! -s "$work/log" ] || complain "wrong usage asks: $(cat "$work/log")"

# A list in pages, of two servers that share a volume.  The third question gets the same page
# again, and is the last: a list ends whatever a server says.
start_daemon <<'END'
{"namespaces":{"namespaces":["osl"]},
 "ask":{"namespace":"osl","answers":[
  {"server":"a","answer":{"total":2,"volumes":[{"name":"v10","uuid":"1","size":512,"pool":"p","open":true},{"name":"v9","uuid":"2","size":1536}]}},
  {"server":"b","answer":{"total":1,"volumes":[{"name":"v9","uuid":"2","size":1536}]}},
  {"server":"c","error":{"code":"ETIMEDOUT","text":"no answer from server c of osl","next":"wait"}}]}}
END
expect 1 "VOLUME      SIZE  ALLOCATED  POOL  SERVER  OPEN
osl:v9   1.5 KiB          -  -     a,b     -
osl:v10    512 B          -  p     a       yes$nl" "rsvol: c: no answer from server c of osl
rsvol: wait$nl" ls

# Pools: with a column of namespaces where there are several, and what is wrong with one.
start_daemon <<'END'
{"namespaces":{"namespaces":["osl","two"]},
 "ask":{"namespace":"osl","answers":[{"server":"a","answer":{"pools":[
  {"name":"p","size":1048576,"allocated":0,"promised":512,"free":1024,"filesystem":"xfs","reflink":true,"state":"lost","why":"gone\u001b[2J"}]}}]}}
END
expect 0 "NAMESPACE  POOL  SERVER   SIZE  ALLOCATED  PROMISED   FREE  FS   STATE  SNAPSHOTS
osl        p     a       1 MiB        0 B     512 B  1 KiB  xfs  lost   instant
two        p     a       1 MiB        0 B     512 B  1 KiB  xfs  lost   instant
pool osl:p on a is lost: gone?[2J
pool two:p on a is lost: gone?[2J$nl" "" pool ls
expect 0 "POOL  SERVER   SIZE  ALLOCATED  PROMISED   FREE  FS   STATE  SNAPSHOTS
p     a       1 MiB        0 B     512 B  1 KiB  xfs  lost   instant
pool osl:p on a is lost: gone?[2J$nl" "" pool ls osl
start_daemon <<'END'
{"ask":{"namespace":"osl","answers":[{"server":"big-9","answer":{"volume":{"name":"v","size":1048576,
  "schedule":{"every":5400,"keep":2,"next":"2026-11-26T13:00:00Z","next_seconds":1795698000}}}}]}}
END
expect 0 "a snapshot every 90min, 2 are kept, the next is taken at 2026-11-26T13:00:00Z$nl" "" schedule v

# Ends.
start_daemon <<'END'
{"manage":{"error":{"code":"EACCES","text":"not yours","next":"ask"}}}
END
expect 1 "" "rsvol: not yours${nl}rsvol: ask$nl" label v x
start_daemon <<'END'
{"manage":{"error":{"code":"ETIMEDOUT","text":"no answer","next":"wait"}}}
END
expect 4 "" "rsvol: no answer${nl}rsvol: wait$nl" label v x

# How far it is: on standard error, a line for each tenth where there is no terminal; with --json none.
progress='"progress":[{"id":"7","stage":"copying","done":0,"of":1073741824},'
for i in 1 2 3 4 5 6 7 8 9; do
  progress+='{"id":"7","stage":"copying","done":'$((i * 107374182))',"of":1073741824},'
done
for i in {1..50}; do
  progress+='{"id":"7","stage":"copying","done":536870912,"of":1073741824},'
done
progress=${progress%,}]
start_daemon <<END
{"manage":{$progress,"namespace":"osl","server":"a","id":"7","result":{}}}
END
RSIO_RUN_DIR=$work "$build/rsvol" copy v w >"$work/out" 2>"$work/err" || complain "copy with progress: status $?"
grep -qx 'osl:v: copied to w' "$work/out" || complain "copy with progress: $(cat "$work/out")"
grep -qE '^rsvol: copying v: copying, 512 MiB of 1 GiB \(50 %\)' "$work/err" || complain "no progress: $(cat "$work/err")"
RSIO_RUN_DIR=$work "$build/rsvol" copy v w --json >"$work/out" 2>"$work/err" || complain "copy --json: status $?"
[ ! -s "$work/err" ] || complain "--json shows progress: $(cat "$work/err")"

# On a terminal: one line, that is gone at the end.
screen=$(RSIO_RUN_DIR=$work script -qefc "$build/rsvol copy v w" /dev/null | tr '\r' '\n')
grep -qE '^copying v: copying, 512 MiB of 1 GiB \(50 %\), [0-9.]+ [KMG]?i?B/s, [0-9:]+ left' <<<"$screen" ||
  complain "progress on a terminal: $screen"
[ "$(sed '/^ *$/d' <<<"$screen" | tail -n 1)" = "osl:v: copied to w" ] || complain "the end on a terminal: $screen"

# Ctrl-C is handed on, and the end is the server's word.
cancel() { # expected status, signal
  RSIO_RUN_DIR=$work "$build/rsvol" copy v w >"$work/out" 2>"$work/err" &
  local pid=$! status=0 i
  for ((i = 0; i < 200; i++)); do
    grep -q manage "$work/log" && break
    sleep 0.05
  done
  kill -"$2" $pid
  wait $pid || status=$?
  [ $status = "$1" ] || complain "$2: status $status, not $1: $(cat "$work/err")"
  grep -q '{"do":"cancel","id":"7"}' "$work/log" || complain "$2: not cancelled: $(cat "$work/log")"
}
for signal in INT TERM; do
  start_daemon <<END
{"manage":{"progress":[{"id":"7","stage":"copying","done":0,"of":10}],"until":"cancel",
 "error":{"code":"ECANCELED","text":"cancelled; nothing of it is left"}},"cancel":{}}
END
  cancel 3 $signal
  grep -q 'rsvol: cancelled; nothing of it is left' "$work/err" || complain "cancelled: $(cat "$work/err")"
done
start_daemon <<END
{"manage":{"progress":[{"id":"7","stage":"copying","done":0,"of":10}],"until":"cancel","namespace":"osl","result":{}},"cancel":{}}
END
cancel 0 INT # it was done already
grep -qx 'osl:v: copied to w' "$work/out" || complain "cancelled too late: $(cat "$work/out")"

exit $failed
