#!/usr/bin/env bash
# rsconfig against a daemon that answers from a file: what it asks, what it prints
# for each answer, its exit status, and that silence has an end.
set -u
program=rsconfig
# shellcheck source=tests/ops/canned.sh
. "$(dirname "$0")/canned.sh"
status='{"version":"0.1","pid":0,"namespaces":[{"name":"osl","id":0,"node":"sles1",
  "servers":[{"id":0,"name":"big-9","state":"up","paths":[{"name":"if0/big-9-1","interface":"if0",
  "local":"192.168.10.1","server":"big-9-1","portal":"192.168.10.9","port":5000,"protocol":"tcp",
  "family":"IP","state":"up"}]}],
  "volumes":[{"id":0,"name":"oracle","server":"big-9","state":"ready","blocks":31457280,"block_size":512},
  {"id":1,"name":"redo1","server":"big-9","state":"ready","blocks":8,"block_size":512},
  {"id":2,"name":"redo2","server":"big-9","state":"ready","blocks":8,"block_size":512}]}],
  "devices":[{"namespace":"osl","volume":"oracle","id":0,"block":"/dev/av0/oracle","raw":"/dev/av0/roracle",
  "blocks":31457280,"servers":1,"state":"ready"}]}'

# Nobody there.
expect 1 "" "rsconfig: rsiod does not run here: nobody listens at $work/rsiod.sock
rsconfig: start rsiod, or name its directory with --run-dir$nl" -q

# State.
start_daemon <<TXT
{"status":$status,
 "attach":{"results":[{"volume":"osl:oracle","ok":true,"block":"/dev/av0/oracle"},
   {"volume":"osl:redo","ok":false,"error":{"code":"ENOENT","text":"no volume of that name"}},
   {"volume":"osl:redo2","ok":false,"error":{"code":"EBUSY","text":"the name is taken","next":"choose another"}},
   {"volume":"osl:redo1","ok":false,"error":{"code":"ENOENT","text":"osl:redo1 is not attached"}}]},
 "detach":{"results":[{"volume":"osl:oracle","ok":true},{"volume":"osl:redo1","ok":true,"note":"later"}]},
 "fail":{"error":{"code":"ENOENT","text":"namespace osl has no volume orcale"}},
 "policy":{},"reload":{"error":{"code":"EINVAL","text":"line 3: x","next":"mend it"}},"stop":{}}
TXT
expect 0 "000 osl
  clt: sles1
  srv: 000 big-9
    0 oracle       disk  31457280 blocks of  512 bytes
    1 redo1        disk         8 blocks of  512 bytes
    2 redo2        disk         8 blocks of  512 bytes$nl" "" -q
asked '{"do":"status"}'
expect 0 "0 if0 IP(TCP) 192.168.10.1/5000
    rep: 000 IP(TCP) 192.168.10.9/5000 connected tx: ok rx: ok$nl" "" -m status
expect 0 "osl:oracle@0
    c: /dev/av0/roracle          31457280 blocks,  1 server(s)
    b: /dev/av0/oracle$nl" "" -lvv

# JSON: what -q, -l and -m status print is an object with one array.
for form in "-q namespaces" "-l devices" "-mstatus paths"; do
  read -r option member <<<"$form"
  "$build/rsconfig" --run-dir "$work" "$option" --json >"$work/out" || complain "$option --json fails"
  [ "$(sed -n '1p;$p' "$work/out")" = "{$nl}" ] || complain "$option --json: no object"
  [ "$(sed -n 2p "$work/out")" = "  \"$member\": [" ] || complain "$option --json: no $member"
done

# Several volumes: each has its line, those that fail the reason and the next step.
expect 1 "osl:oracle: attached as /dev/av0/oracle$nl" "rsconfig: osl:redo: no volume of that name
rsconfig: did you mean osl:redo1, osl:redo2?
rsconfig: osl:redo2: the name is taken
rsconfig: choose another
rsconfig: osl:redo1 is not attached$nl" -a osl:oracle osl/redo osl:redo2
grep -qx '{"do":"attach","force":false,"volumes":\["osl:oracle","osl:redo","osl:redo2"\]}' "$work/log" ||
  complain "attach was not asked for: $(cat "$work/log")"
expect 0 "osl:oracle: detached
osl:redo1: detached; later$nl" "" -d --force
asked '{"do":"detach","force":true,"volumes":[]}'
RSIO_RUN_DIR=$work "$build/rsconfig" -a --json >"$work/out" 2>"$work/err"
[ $? = 1 ] || complain "-a --json: status is not 1"
[ -s "$work/err" ] && complain "-a --json: $(cat "$work/err")"
grep -q '"code": "EBUSY"' "$work/out" || complain "-a --json has no error: $(cat "$work/out")"

# Names that cannot be, and that are not there.
expect 2 "" "rsconfig: 'redo1' is not a volume: NAMESPACE:VOLUME
rsconfig: did you mean osl:redo1, osl:redo2?$nl" -a redo1
expect 2 "" "rsconfig: 'orcale' is not a volume: NAMESPACE:VOLUME
rsconfig: did you mean osl:oracle?$nl" -d orcale
expect 1 "" "rsconfig: namespace osl has no volume orcale
rsconfig: did you mean osl:oracle?$nl" -m fail osl:orcale

# Policies, reload, stop.
expect 0 "" "" -m policy osl round-robin
asked '{"do":"policy","namespace":"osl","policy":"round-robin"}'
expect 0 "" "" -m policy osl:big-9 fail-over
asked '{"do":"policy","namespace":"osl","policy":"fail-over","target":"big-9"}'
expect 0 "" "" -m policy osl/oracle weighted --weight if0=3,if1=1 --standby if1
asked '{"do":"policy","namespace":"osl","policy":"weighted","standby":"if1","target":"oracle","weight":"if0=3,if1=1"}'
expect 1 "" "rsconfig: line 3: x
rsconfig: mend it$nl" -m reload
expect 0 "" "" -m stop
asked '{"do":"stop","force":false}'
expect 0 "" "" -m stop --force
asked '{"do":"stop","force":true}'

# Wrong usage asks nobody.
: >"$work/log"
try="Try 'rsconfig --help'.$nl"
expect 2 "" "rsconfig: say what to do: -q, -l, -a, -d, -m ACTION or --discover$nl$try"
expect 2 "" "rsconfig: -q, -l, -a, -d, -m and --discover are for one at a time$nl$try" -ql
expect 2 "" "rsconfig: --force is for -d and -m stop only$nl$try" -a --force
expect 2 "" "rsconfig: unknown action 'statsu' (did you mean status?)$nl$try" -m statsu
expect 2 "" "rsconfig: unknown policy 'roundrobin' (did you mean round-robin?)$nl$try" -m policy osl roundrobin
expect 2 "" "rsconfig: -m policy takes NS[:SERVER|:VOLUME] POLICY$nl$try" -m policy osl
expect 2 "" "rsconfig: --weight and --standby are for -m policy$nl$try" -m reload --weight if0=1
expect 2 "" "rsconfig: -q shows all and takes no 'osl'$nl$try" -q osl
[ -s "$work/log" ] && complain "wrong usage asked: $(cat "$work/log")"

# A full disk behind the output.
"$build/rsconfig" --run-dir "$work" -q >/dev/full 2>"$work/err"
[ $? = 1 ] || complain "output that cannot be written is no failure"

# Silence ends.
start_daemon <<<'{"status":"silence"}'
SECONDS=0
expect 1 "" "rsconfig: rsiod at $work/rsiod.sock did not answer within 12 s
rsconfig: rsclogcat shows what rsiod is doing; if it does nothing, end it with SIGKILL and start it again$nl" -q
[ $SECONDS -le $((12 + 2 * ${RSIO_SLOW:-1})) ] || complain "silence took $SECONDS s"
exit $failed
