#!/bin/bash
# What rssrv gives up once it has opened everything, what it says of that, and what a
# configuration that is read again cannot bring any more.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/agent.sh"
requires_cmd jq
requires_program rssrv
requires_root
id nobody >/dev/null 2>&1 || skip "needs the user nobody"

write_server_conf "$W" portals=1
sed -i '/^serverid/a user = nobody\nfence-command = exit 1' "$W/rssrvcfg"
make_volume "$W" v 1M
mkdir "$W/single" "$W/elsewhere"
truncate -s 1M "$W/single/one.raw" "$W/elsewhere/two.raw"
printf '\n[volume one]\npath = %s\n' "$W/single/one.raw" >>"$W/rssrvcfg"
chown -R nobody "$W/pool" "$W/single" "$W/elsewhere"
chown nobody "$W/rssrvcfg"	# can be read again
chmod 755 "$W"
start_server "$W"
pid=$(server_pid "$W")
status() { "$BUILD/rssrv" --status --run-dir "$W/run" | jq -c "$1"; }
[ "$(status .confinement.without)" = null ] || skip "it is not confined: $(status .confinement.without)"

has() { sed -n "s/^$1:[[:space:]]*//p" "/proc/$2/status"; }
for task in "/proc/$pid/task"/*; do
	for line in CapEff CapPrm CapBnd CapAmb; do
		[ "$(sed -n "s/^$line:[[:space:]]*//p" "$task/status")" = 0000000000000000 ] || echo "$line"
	done
	grep -qx 'NoNewPrivs:[[:space:]]*1' "$task/status" || echo no_new_privs
	grep -qx 'Seccomp:[[:space:]]*2' "$task/status" || echo seccomp
done >"$W/missing"
is "$(sort -u "$W/missing")" "" "each thread is without capabilities and within seccomp"
is "$(status .confinement.capabilities)" '"0000000000000000"' "--status says so: capabilities"
is "$(status .confinement.seccomp,.confinement.no_new_privs)" $'true\ntrue' "and system calls"
landlock=$(status .confinement.landlock)
like "$landlock" '^[0-9]+$' "and the files: Landlock ABI $landlock"
like "$(cat "$W/rssrv.out")" 'INFO \(main\): confined: capabilities 0, seccomp' "the log says it too"
runner=$(pgrep -P "$pid" -x rssrv-fence)
is "$(has Uid "$runner" | cut -f 1)" "$(id -u nobody)" "who runs fence-command is that user"
is "$(has CapEff "$runner") $(has Seccomp "$runner")" "0000000000000000 0" "without capabilities, but not confined"
is "$(find "/proc/$runner/fd" -lname "$W/*" ! -lname "*/rssrv.out" -printf '%l ')" "" "and has nothing of it open"

# What comes within what there was works as ever.
truncate -s 1M "$W/pool/late.raw"
chown nobody "$W/pool/late.raw"
offered() { [ "$(status "[.volumes[].name] | contains([\"$1\"])")" = true ]; }
check "a file that appears in the pool is offered" wait_for 5 offered late
mv "$W/elsewhere/two.raw" "$W/single/two.raw"
printf '\n[volume two]\npath = %s\n' "$W/single/two.raw" >>"$W/rssrvcfg"
kill -HUP "$pid"
check "so is a [volume] in a directory of another" wait_for 5 offered two

# What does not is said by name.
truncate -s 1M "$W/elsewhere/three.raw"
chown nobody "$W/elsewhere/three.raw"
mkdir "$W/pool2"
chown nobody "$W/pool2"
sed -i 's/^user = .*/user = daemon/; s/^fence-command = .*/fence-command = exit 0/' "$W/rssrvcfg"
printf '\n[volume three]\npath = %s\n\n[pool more]\npath = %s\n' "$W/elsewhere/three.raw" "$W/pool2" >>"$W/rssrvcfg"
sed -i "0,/^\[interface/s//[interface low]\naddress = 127.0.0.1\nport = 1\n\n&/" "$W/rssrvcfg"
kill -HUP "$pid"
logged "$W" "'user' changes only with a restart" "another user"
logged "$W" "'fence-command' changes only with a restart" "another fence-command"
logged "$W" 'interface low\]: port 1 is below 1024, .*after a restart' "a portal below 1024"
if [ "$landlock" -gt 0 ]; then
	logged "$W" "three: $W/elsewhere/three.raw is not within .*after a restart" "a volume elsewhere"
	logged "$W" "more: $W/pool2 is not within .*after a restart" "a pool elsewhere"
	logged "$W" "cannot open $W/pool2.*: Permission denied" "which it cannot open"
	check_fails 1 "nor is that volume offered" offered three
fi
check "the others are" offered two
stop_server "$W"
start_server "$W"
check "after the restart it is" wait_for 5 offered three
is "$(status '[.portals[].port] | contains([1])')" true "and the portal open"
pid=$(server_pid "$W")
is "$(has CapEff "$pid") $(has CapBnd "$pid")" "0000000000000400 0000000000000400" \
	"the right to open it again is the one that is kept"
stop_server "$W"

# Root that stays root.
sed -i 's/^user = .*/user = root/' "$W/rssrvcfg"
chown root "$W/rssrvcfg"
start_server "$W"
pid=$(server_pid "$W")
# It answers when it has confined itself, not before.
check "what stays root offers what is others'" wait_for 5 offered three
is "$(has CapEff "$pid") $(has CapBnd "$pid")" "0000000000000402 0000000000000402" "for which it keeps a right"
is "$(has NoNewPrivs "$pid") $(has Seccomp "$pid")" "1 2" "and is confined as well"
stop_server "$W"

# As the unit in dist/ starts it: somebody who never was root.
sed -i '/^user = /d; /^\[interface low/,/^port = 1$/d' "$W/rssrvcfg"
chown -R nobody "$W/rssrvcfg" "$W/run" "$W/state" "$W/pool" "$W/pool2" "$W/single" "$W/elsewhere"
VG="setpriv --reuid=nobody --regid=nogroup --clear-groups" start_server "$W"
pid=$(server_pid "$W")
check "a plain user's offers its volumes" wait_for 5 offered three
is "$(has NoNewPrivs "$pid") $(has Seccomp "$pid")" "1 2" "and is confined as well"
done_testing
