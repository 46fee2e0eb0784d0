#!/bin/bash
# test-rsvol.sh - rsvol with a server and a client: what it makes is there, what it removes is
# gone, what may not be is refused by name, and the page's examples work.
# time-limit: 90
# shellcheck source=tests/functions.sh
. "$(dirname "$0")/../functions.sh"
requires_root
requires_fuse
requires_cmd python3 jq script
requires_program rssrv rsiod rsvol

rsvol() { timeout -k 1 30 "$BUILD/rsvol" --run-dir "$W/clt/run" "$@"; }
says() { rsvol "$@" 2>&1 </dev/null || true; }
tree=$W/clt/mnt/osl

make_volume "$W/srv" old 4M
write_server_conf "$W/srv" client=node1 client=node2 client=node3
sed -i 's/^\[pool main\]/&\nmanage = node1, node3/' "$W/srv/rssrvcfg"
printf '\n[volume fixed]\npath = %s\n' "$W/fixed" >>"$W/srv/rssrvcfg"
truncate -s 1M "$W/fixed"
write_client_conf "$W/clt" "$W/srv"
write_client_conf "$W/clt2" "$W/srv" node=node2
start_server "$W/srv"
start_client "$W/clt"
start_client "$W/clt2"

is "$(rsvol pool ls --json | jq -c '.pools[0] | [.volumes, .promised]')" '[1,4194304]' "a server that was just started knows its pool's numbers"

# Made, looked at.
is "$(says create osl:data 20M)" "osl:data: created, 20 MiB in pool main" "create"
is "$(stat -c %s "$tree/data")" $((20 << 20)) "it is in the tree when rsvol says so"
is "$(says create osl:data 20M)" "rsvol: there is a volume osl:data already, on srv
rsvol: choose another name" "there is one already"
is "$(says create data 1M --if-missing)" "osl:data: is there already, 20 MiB in pool main" "--if-missing"
is "$(says create osl/redo 1.5MiB --pool main)" "osl:redo: created, 1.5 MiB in pool main" "a slash, --pool"
is "$(stat -c %s "$tree/redo")" $((3 << 19)) "1.5 MiB"
is "$(rsvol pool ls --json | jq -c '.pools[0] | [.volumes, .promised]')" "[3,$((51 << 19))]" "what was just made is in the pool's numbers"
is "$(rsvol create big 8M --preallocate --json | jq -c '[.namespace, .server, .result.volumes, .result.pool, (.id | length)]')" \
	'["osl","srv",["big"],"main",32]' "create --json"
check "--preallocate takes the space" test "$(stat -c %b "$W/srv/pool/big.raw")" -ge $((8 << 11))
is "$(rsvol ls | tr -s ' ' | cut -d ' ' -f 1-3)" "VOLUME SIZE ALLOCATED
osl:big 8 MiB
osl:data 20 MiB
osl:fixed 1 MiB
osl:old 4 MiB
osl:redo 1.5 MiB" "ls"
is "$(rsvol ls osl --json | jq -c '[.volumes[] | [.namespace, .name, .size, .pool, .servers]] | .[2]')" \
	'["osl","fixed",1048576,null,["srv"]]' "ls --json"
is "$(rsvol info osl:data --json | jq -c '.volume | [.namespace, .name, .size, .server, .label, .manage, .snapshots]')" \
	'["osl","data",20971520,"srv","",true,[]]' "info --json"
like "$(rsvol info data)" '^size        20 MiB$' "info"
is "$(rsvol pool ls --json | jq -c '.pools[] | [.name, .server, .namespace, .manage]')" '["main","srv","osl",true]' "pool ls --json"
like "$(rsvol pool ls)" '^main  srv ' "pool ls"

# What is no size, no name, no command.
for size in 0 -5 20X 513 9E 1.3K '' inf 0x10; do
	check_fails 2 "a size of '$size' is wrong usage" rsvol create bad -- "$size"
done
is "$(says create bad 1000)" "rsvol: 1000 is not whole blocks of 512 bytes: 512 or 1024 would be
Try 'rsvol --help'." "not whole blocks"
for name in .x -x 'a b' 'osl:' 'osl:a@b' "$(printf 'x%.0s' {1..41})"; do
	check_fails 2 "'$name' is no name" rsvol create -- "$name" 1M
done
like "$(says creat x 1M)" "did you mean create" "an unknown command"
like "$(says ls --pool main)" "^rsvol: --pool is not for ls" "an option of another command"
is "$(says create x 1M --pool mian)" "rsvol: there is no pool mian here
rsvol: rsvol pool ls shows those that there are" "an unknown pool"
is "$(says label fixed x)" "rsvol: it is a [volume] of the server's configuration, which is changed there alone
rsvol: change it on the server: its [volume] section, or the file or device itself" "one of the server's configuration"
like "$(says copy fixed x --pool main)" "^rsvol: fixed is a \[volume\] of the server's configuration" "nor is it copied there"
is "$(says info dtaa)" "rsvol: there is no volume osl:dtaa
rsvol: did you mean osl:data?" "an unknown volume"
like "$(says create other:x 1M)" "there is no namespace other" "an unknown namespace"
is "$(rsvol ls --json | jq -c '[.volumes[].name]')" '["big","data","fixed","old","redo"]' "nothing of all that was made"
like "$(says create x 1P)" "^rsvol: " "more than the pool has"
check_fails 1 "its status" rsvol create x 1P
check "nothing is left" test ! -e "$tree/x"

# Who may.
on2() { timeout 30 "$BUILD/rsvol" --run-dir "$W/clt2/run" "$@" 2>&1 </dev/null || true; }
like "$(on2 create x 1M)" "node2" "a client that may not manage any pool"
is "$(rsvol access data node1 node2:ro)" "osl:data: for node1,node2:ro now" "access"
is "$(rsvol access data | xargs)" "node1 node2:ro" "who has access now"
like "$(on2 label data hello)" "node2" "it sees the volume, and may not change it"
check_fails 1 "a client that the server does not know" rsvol access data node1 nobody
rsvol access data node1 >/dev/null
is "$(says access data node2)" "rsvol: access: nobody in \"clients\" may manage pool main, so nobody could change data again
rsvol: name node1 too, as node1:ro if it is not to write" "nobody locks himself out"
like "$(says access data node1:rx)" "'node1:rx', which is no name" "access of another kind"
not_seen() { [ ! -e "$W/clt2/mnt/osl/data" ]; }
check "who may not see it any more does not" wait_for 10 not_seen
rsvol access data --everyone >/dev/null
is "$(rsvol access data --json | jq -c .)" '{"clients":null}' "--everyone"
chmod 755 "$W" "$W/clt" "$W/clt/run"
if id -u nobody >/dev/null; then
	nobody() { setpriv --reuid nobody --clear-groups timeout 20 "$W/rsvol" --run-dir "$W/clt/run" "$@" 2>&1 || true; }
	cp "$BUILD/rsvol" "$W/rsvol"
	like "$(nobody label old x)" "may look at this rsiod, but not change it" "another user may not change"
	like "$(nobody info old)" "^volume      osl:old" "but look"
fi

# Other sizes.
is "$(says resize data +10M)" "osl:data: 30 MiB now" "resize by"
is "$(stat -c %s "$tree/data")" $((30 << 20)) "the file has it"
is "$(says resize data 40M)" "osl:data: 40 MiB now" "resize to"
like "$(says resize data 10M)" "^rsvol: osl:data shrinks from 40 MiB to 10 MiB.*
?" "less is asked for"
check_fails 2 "and not done where there is nobody to ask" rsvol resize data 10M </dev/null
check_fails 2 "nor with another name" rsvol resize data 10M --confirm=redo
exec 7<"$tree/data"
like "$(says resize data 10M --confirm=data)" "node1" "nor while it is open: who has it is named"
is "$(stat -c %s "$tree/data")" $((40 << 20)) "nothing was changed"
like "$(says rm data --confirm=data)" "node1" "not removed while it is open"
like "$(says rename data other)" "node1" "not renamed either"
exec 7<&-
shrunk() { rsvol resize data 10M --confirm=osl:data; }
check "less, when it is closed" wait_for 5 shrunk
is "$(stat -c %s "$tree/data")" $((10 << 20)) "the file has it"

# With that it is another generation: who opens it when rsvol is done must not meet the one before.
early=0
for ((i = 0; i < 20; i++)); do
	rsvol resize data +1M >/dev/null && rsvol resize data 10M --confirm=data >/dev/null &&
		head -c 512 "$tree/data" >/dev/null || early=$((early + 1))
done
is $early 0 "it is cut twenty times and opened at once, without an error"

# Another name, a label, a schedule.
is "$(says rename data info)" "osl:data: is info now" "rename"
check "the tree has it" test -e "$tree/info" -a ! -e "$tree/data"
is "$(says rename info old)" "rsvol: there is a volume osl:old already, on srv
rsvol: choose another name" "a name that is taken"
rsvol rename info data >/dev/null
is "$(says label data "golden, März")" "osl:data: labelled" "label"
is "$(rsvol label data)" "golden, März" "it is kept"
check_fails 1 "a label of 201 bytes" rsvol label data "$(printf 'x%.0s' {1..201})"
rsvol label data '' >/dev/null
is "$(rsvol label data --json | jq -c .)" '{"label":""}' "none any more"
rsvol create timed 1M >/dev/null
is "$(says schedule timed --every 1h --keep 24)" "osl:timed: a snapshot every 1h, 24 are kept" "schedule"
is "$(rsvol schedule timed --json | jq -c '.schedule | [.every, .keep]')" '[3600,24]' "it is kept"
check_fails 1 "one too often" rsvol schedule timed --every 1s --keep 2
is "$(says schedule timed --none; rsvol schedule timed)" "osl:timed: has no schedule now
no schedule" "no more"
check "with the snapshots that it made" rsvol rm timed --snapshots --confirm=timed

# Gone.
is "$(says rm big)" "rsvol: osl:big (8 MiB) will be removed for good
rsvol: there is no terminal to ask at: say its name again with --confirm=big" "rm asks"
check_fails 2 "rm: another name" rsvol rm big --confirm=data
check "it is there" test -e "$tree/big"
is "$(says rm big --confirm=big)" "osl:big: removed" "rm"
check "gone from the tree and the pool" test ! -e "$tree/big" -a ! -e "$W/srv/pool/big.raw"
like "$(says rm fixed --confirm=fixed)" "^rsvol: .*server's configuration" "one of the server's configuration is not removed"
check "it is there" test -e "$tree/fixed"
at_terminal() { printf '%s\n' "$1" | script -qefc "'$BUILD/rsvol' --run-dir '$W/clt/run' rm redo" /dev/null 2>&1 | tr -d '\r'; }
like "$(at_terminal old)" "that is not its name: nothing was done" "at a terminal: another name"
check "it is there" test -e "$tree/redo"
like "$(at_terminal redo)" "osl:redo: removed" "at a terminal: its name"
check "it is gone" test ! -e "$tree/redo"

# Snapshots, and what is made of them.
fill() { head -c 65536 /dev/zero | tr '\0' "$1" | dd of="$tree/data" conv=notrunc status=none; }
sum() { head -c 65536 "$tree/$1" | sha256sum; }
fill a
a=$(sum data)
like "$(says snapshot data old --name monday)" "^osl:data, osl:old: snapshot monday taken" "a snapshot of two"
fill b
is "$(rsvol snapshots data --json | jq -c '[.snapshots[] | [.name, .size, (.taken | type)]]')" '[["monday",10485760,"string"]]' "snapshots --json"
is "$(rsvol snapshots old | awk 'NR > 1 { print $1 }')" monday "snapshots"
is "$(sum .snap/data/monday/data)" "$a" "it is what was there then"
is "$(rsvol info data@monday --json | jq -c '.volume | [.name, .size]')" '["data@monday",10485760]' "info of a snapshot"
is "$(says clone data@monday desk)" "osl:data@monday: cloned as desk" "a clone of it"
is "$(says copy data@monday desk2)" "osl:data@monday: copied to desk2" "a copy"
is "$(sum desk)$(sum desk2)" "$a$a" "they are what was there then"
is "$(says snapshot data@monday)" "rsvol: data has a snapshot monday already
rsvol: choose another name, or remove that one: rsvol rm data@monday" "there is one of that name already"
like "$(says rollback data@tuesday --confirm=data)" "rsvol snapshots data shows those" "there is none of another name"
check_fails 2 "rolling back asks" rsvol rollback data@monday </dev/null
exec 7<"$tree/data"
like "$(says rollback data@monday --confirm=data)" "node1" "and not while it is open"
exec 7<&-
rolled_back() { rsvol rollback data@monday --confirm=data; }
check "rolled back" wait_for 5 rolled_back
is "$(sum data)" "$a" "it is as it was then"
at=$(rsvol info data@monday --json | jq -r .volume.taken)
is "$(timeout 5 "$BUILD/rsconfig" --run-dir "$W/clt/run" -q --json | jq -r '.namespaces[0].snapshots[0].taken')" "$at" "rsconfig has it in the same form"
is "$(says rollback data@monday --confirm=data)" "osl:data@monday: data is as it was at $at" "it says when"
like "$(says rm data --confirm=data)" "osl:data has 1 snapshot
" "a volume with snapshots stays"
check "it is there" test -e "$tree/data"
is "$(says rm data@monday)" "osl:data@monday: removed" "a snapshot is removed without asking"
check "it is gone" test ! -e "$tree/.snap/data/monday"

# The page's examples, as they stand there; of the file system test-grow-fs.sh.
page=$TOP/man/rsvol.8
examples() { sed -n '/^\.Sh EXAMPLES/,$s/^\.Ss rsvol //p' "$page"; }
check "the page has examples" test "$(examples | wc -l)" -ge 5
rsvol rm data --confirm=data >/dev/null
rsvol create redo 1M >/dev/null
rsvol create gold 1M >/dev/null
while read -r example; do
	read -ra words <<<"${example/ --grow-fs/}"
	check "example: rsvol $example" rsvol "${words[@]}"
done < <(examples)
is "$(rsvol ls --json | jq -r '.volumes[].name' | grep -c '^desk-[0-9]*$')" 260 "260 desks"
check "the first and the last" test -e "$tree/desk-001" -a -e "$tree/desk-260"

# A server that goes away in between.
is "$(says rm zzzzz --confirm=zzzzz)" "rsvol: there is no volume osl:zzzzz
rsvol: rsvol ls shows the volumes that there are" "gone is gone"
stop_server "$W/srv"
rsvol create later 1M >"$W/later" 2>&1 &
later=$!
cleanup_fn end_process $later
told() { grep -qx 'rsvol: creating later: waiting for server srv' "$W/later"; }
check "asked while the server is away: it is said who is waited for" wait_for 20 told
start_server "$W/srv"
said() { [ "$(grep -v '^rsvol: creating' "$W/later")" = "osl:later: created, 1 MiB in pool main" ]; }
check "asked while the server was away: done when it is back, and said so" wait_for 20 said
note "$(cat "$W/later")"
# Long work whose server is ended in the middle: the next one does it, under the same id.
rsvol create long 256M >/dev/null
head -c 256M /dev/zero | tr '\0' l | dd of="$tree/long" conv=notrunc bs=1M status=none
rsvol copy long long2 >"$W/later" 2>&1 &
later=$!
cleanup_fn end_process $later
copying() { grep -q 'copy of long' "$W/srv/rssrv.out"; }
wait_for 10 copying || true
stop_server "$W/srv"
start_server "$W/srv"
copied() { [ "$(grep -v '^rsvol: copying' "$W/later")" = "osl:long: copied to long2" ]; }
check "a copy goes on with the server's next life" wait_for 30 copied
note "$(cat "$W/later")"
check "it is the same" cmp "$tree/long" "$tree/long2"

stop_client "$W/clt2"
done_testing
