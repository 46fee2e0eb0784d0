#!/bin/bash
# test-reload.sh - SIGHUP: what did not change goes on, what did is changed, mistakes change nothing.
# time-limit: 90
# shellcheck source=tests/functions.sh
. "$(dirname "$0")/../functions.sh"
requires_root
requires_fuse
requires_program rssrv rsiod rsconfig

new=new$$
write_server_conf "$W/srv" portals=2
make_volume "$W/srv" vol 16M
write_server_conf "$W/srv2" namespace=lab id=201 server=srv2
make_volume "$W/srv2" vol 8M
start_server "$W/srv"
start_server "$W/srv2"
write_client_conf "$W/clt" "$W/srv" "$W/srv2"
start_client "$W/clt"
m=$W/clt/mnt
cfg=$W/clt/rscltcfg
cp "$cfg" "$W/good"
reload() { timeout 15 "$BUILD/rsconfig" --run-dir "$W/clt/run" -m reload; }
connections() { jq -c "[.servers[].paths[].connection]" "$m/$1/.rsio/status.json"; }

before=$(connections osl)
exec 5<"$m/osl/vol" 6<"$m/lab/vol"
check "without a change" reload
is "$(connections osl)" "$before" "sessions stay"
check "and open files too" dd of=/dev/null bs=4k count=1 status=none <&6

# A mistake.
sed 's/^nodename/nodenaem/' "$W/good" >"$cfg"
out=$(reload 2>&1) && status=0 || status=$?
is "$status" 1 "a file with mistakes is refused"
like "$out" 'rscltcfg:[0-9]+: .*nodename: is missing' "and what is wrong is said"
kill -HUP "$(client_pid "$W/clt")"
logged() { grep -q 'reload): nothing was changed' "$m/.rsio/log"; }
check "SIGHUP logs it" wait_for 3 logged
is "$(connections osl)" "$before" "and nothing changes"
check "in no namespace" dd of=/dev/null bs=4k count=1 status=none <&6

# Times that contradict each other: --check names them, nobody starts with them, and who runs
# goes on with the old ones.
awk '/namespace lab/ { print; print "detect = 4\ngive-up = 3\nprobation = 1"; next } { print }' "$W/good" >"$cfg"
times='lab\] give-up: give-up 3s must be longer than detect 4s, unless on-loss = queue'
out=$("$BUILD/rsiod" --check -c "$cfg" 2>&1) && status=0 || status=$?
is "$status" 1 "contradictory times: --check fails"
like "$out" "$times" "and says which, and what is allowed"
like "$out" 'probation 1s must be 0 or not shorter than detect 4s' "all of them"
mkdir -p "$W/other/run" "$W/other/mnt"
out=$(timeout 15 "$BUILD/rsiod" -c "$cfg" --run-dir "$W/other/run" -m "$W/other/mnt" 2>&1) && status=0 || status=$?
is "$status" 1 "nothing starts"
like "$out" "$times" "for that reason"
out=$(reload 2>&1) && status=0 || status=$?
is "$status" 1 "a reload is refused"
like "$out" "$times" "and says why"
is "$(jq -r .give_up "$m/lab/.rsio/status.json") $(connections osl)" "120 $before" "and changes nothing"
check "a file in it stays open" dd of=/dev/null bs=4k count=1 status=none <&6

# One of the two changes.
while dd if="$m/osl/vol" of=/dev/null bs=64k status=none; do [ ! -e "$W/enough" ] || exit 0; done >"$W/load" 2>&1 &
load=$!
{ cat "$W/good"; printf '[volume osl:%s]\nattach = yes\n' "$new"; } |
	awk '/namespace lab/ { print; print "give-up = 7"; next } { print }' >"$cfg"
check "a change of one namespace" reload
changed() { [ "$(jq -r '.servers[0].state' "$m/lab/.rsio/status.json" 2>/dev/null)" = up ]; }
check "it comes up again" wait_for 5 changed
is "$(connections osl)" "$before" "the other keeps its sessions"
check_fails 1 "who had a file of the changed one open" dd of=/dev/null bs=4k count=1 <&6
wait_for 3 test -s "$m/lab/vol"
check "opens it again" dd if="$m/lab/vol" of=/dev/null bs=4k count=1 status=none
touch "$W/enough"
check "I/O in the other goes on" wait_for 10 gone $load
is "$(cat "$W/load")" "" "without an error"

# What is to be attached is when it comes.
if losetup -f >/dev/null 2>&1; then
	detach() { timeout 10 "$BUILD/rsconfig" --run-dir "$W/clt/run" -d --force >/dev/null 2>&1 || true; }
	cleanup_fn detach
	make_volume "$W/srv" "$new" 4M
	kill -HUP "$(server_pid "$W/srv")"
	check "a volume with attach = yes is attached when it appears" wait_for 20 test -b "/dev/av0/$new"
else
	ok "attach = yes # SKIP no loop devices"
fi

# One goes, and comes back.
write_client_conf "$W/clt" "$W/srv"
check "a namespace is taken out" reload
is_gone() { [ ! -e "$m/lab" ]; }
check "it leaves the tree" wait_for 3 is_gone
is "$(connections osl)" "$before" "the other stays"
exec 6<&-
cp "$W/good" "$cfg"
check "and is put in again" reload
check "it is there" wait_for 5 test -s "$m/lab/vol"
exec 5<&-

# The device of a namespace that is started anew.
if [ -b "/dev/av0/$new" ]; then
	attach() { timeout 15 "$BUILD/rsconfig" --run-dir "$W/clt/run" -a "osl:$new" 2>&1; }
	device_state() { jq -r '.devices[0].state' "$m/.rsio/status.json"; }
	is "$(device_state)" ready "its device is ready"
	exec 7<"/dev/av0/$new"
	sed -i '/namespace osl/a give-up = 8' "$cfg"
	check "another give-up" reload
	cut_off() { [ "$(device_state)" = cut-off ]; }
	check "cuts it off, and the state says so" wait_for 5 cut_off
	out=$(attach) && status=0 || status=$?
	is "$status" 1 "it is not attached anew while somebody has it"
	like "$out" 'the old device gives errors only: .* is in use: ' "which is said"
	exec 7<&-
	check "then it is" wait_for 5 attach
	is_ready() { [ "$(device_state)" = ready ]; }
	check "with a device that is ready" wait_for 5 is_ready
	check "and can be read" dd if="/dev/av0/$new" of=/dev/null bs=4k count=1 iflag=direct status=none
fi
done_testing
