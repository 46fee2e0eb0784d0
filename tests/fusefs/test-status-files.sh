#!/bin/bash
# test-status-files.sh - the files below .rsio that show volumes are made by a thread of their own:
# while that is held, reads go on and other files are there; those who wait for the same file
# share it, one that is killed waits no longer, and neither a namespace that goes nor the
# end of rsiod is in its way.  The thread is stopped by a tracer before it did anything.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/../functions.sh"
requires_root
requires_fuse
requires_cmd jq
requires_program rssrv rsiod rsconfig
! grep -qs -e -fsanitize "$BUILD/.flags" || skip "a sanitizer's pthread_create waits for the thread, which is held here"
hold_thread=$BUILD/tests/tools/hold_thread
[ -x "$hold_thread" ] || bail "$hold_thread is built"

write_server_conf "$W/srv"
sed -i "s|^path = $W/srv/pool|&\novercommit = yes|" "$W/srv/rssrvcfg"
for ((i = 0; i < 100; i++)); do
	truncate -s 1M "$W/srv/pool/v$i.raw"
done
write_server_conf "$W/other" namespace=sto id=201 server=oth serverid=2
make_volume "$W/other" one 1M
write_client_conf "$W/clt" "$W/srv" "$W/other"
start_server "$W/srv"
start_server "$W/other"
start_client "$W/clt"
mnt=$W/clt/mnt osl=$W/clt/mnt/osl/.rsio
all_there() { [ "$(find "$mnt/osl" -maxdepth 1 -name 'v*' | wc -l)" = 100 ] && [ -e "$mnt/sto/one" ]; }
wait_for 60 all_there || bail "all volumes are in the tree"

# The next text's thread does nothing from now on, until let_go.
hold_next()
{
	rm -f "$W/holder"
	mkfifo "$W/holder"
	"$hold_thread" "$(client_pid "$W/clt")" rsiod-loop <"$W/holder" >"$W/held" 2>&1 &
	holder=$!
	exec 7>"$W/holder"
	wait_for 20 grep -q ready "$W/held" || bail "the loop's thread is watched"
}
let_go() { exec 7>&-; wait "$holder"; }

# In the background; it is known to wait when the kernel says that it does.
opener=()
waits() { grep -q request_wait_answer "/proc/$1/wchan"; }
open_file()	# NAME FILE
{
	(
		exec 7>&-
		exec cat "$2"
	) >"$W/$1" 2>"$W/$1.err" &
	opener[$1]=$!
	wait_for 20 waits "${opener[$1]}" || bail "$2 is waited for"
}
in_time() { timeout -k 1 20 "$@"; }
volumes() { jq '[.namespaces[] | select(.name == "osl") | .volumes[].name] | unique | length' "$W/$1"; }
uptime() { jq .uptime "$W/$1"; }
read_one() { in_time dd if="$mnt/osl/v7" of=/dev/null bs=4096 count=1 iflag=direct status=none; }

hold_next
open_file 0 "$mnt/.rsio/status.json"
wait_for 20 grep -q held "$W/held" || bail "a thread makes the text"
check "while a text is made volumes are read" read_one
check "and a file that shows none is there" in_time grep -q srv "$osl/paths"
check "so is the log" in_time grep -q "rsiod" "$mnt/.rsio/log"
check "and what rsconfig shows" in_time "$BUILD/rsconfig" --run-dir "$W/clt/run" -q
for n in 1 2 3 4; do
	open_file $n "$mnt/.rsio/status.json"
done
open_file 5 "$osl/volumes"
kill -KILL "${opener[0]}" "${opener[3]}"
check "who waits for it and is killed ends" wait_for 20 gone "${opener[0]}"
check "who waits for the next one, too" wait_for 20 gone "${opener[3]}"
let_go
for n in 1 2 4 5; do
	check "open $n is answered" wait_for 30 gone "${opener[$n]}"
done
for n in 1 2 4; do
	is "$(volumes $n)" 100 "all volumes are in text $n"
done
is "$(uptime 1) $(uptime 2)" "$(uptime 4) $(uptime 4)" "those that waited for the same file share it"
is "$(grep -c '^ *[0-9][0-9]* v[0-9]' "$W/5")" 100 "a namespace's file has them too"
cat "$mnt/.rsio/status.json" >"$W/6"
check "who opens it later has a later one" test "$(uptime 6)" != "$(uptime 4)"

# A namespace goes while its text is made, and while somebody waits for a further one.
hold_next
open_file 0 "$mnt/sto/.rsio/status"
open_file 1 "$mnt/sto/.rsio/volumes"
wait_for 20 grep -q held "$W/held" || bail "a thread makes the text again"
write_client_conf "$W/clt" "$W/srv"
kill -HUP "$(client_pid "$W/clt")"
check "the namespace goes meanwhile" wait_for 20 test ! -e "$mnt/sto"
let_go
for n in 0 1; do
	check "open $n is answered" wait_for 30 gone "${opener[$n]}"
	is "$(cat "$W/$n")" "" "with nothing"
	like "$(cat "$W/$n.err")" "Input/output error" "and it says so"
done

# The end.
hold_next
open_file 0 "$mnt/.rsio/metrics"
wait_for 20 grep -q held "$W/held" || bail "a thread makes the text, and the end comes"
says() { grep -q "$1" "$W/clt/rsiod.out"; }
kill -TERM "$(client_pid "$W/clt")"
check "rsiod stays while it is in use" wait_for 20 says "a second SIGTERM"
kill -TERM "$(client_pid "$W/clt")"
check "a second signal ends it: who waits is let go" wait_for 30 gone "${opener[0]}"
is "$(cat "$W/0")" "" "with nothing"
let_go
check "and it ends when the thread goes on" wait_for 30 gone "$(client_pid "$W/clt")"
stop_client "$W/clt"
is "${#daemons_ended_badly[@]}" 0 "in order"
done_testing
