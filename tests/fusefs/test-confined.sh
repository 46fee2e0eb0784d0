#!/bin/bash
# test-confined.sh - what rsiod gives up, what its helper keeps, and that both still do
# all they are there for.
# shellcheck source=tests/functions.sh
. "$(dirname "$0")/../functions.sh"
requires_root
requires_fuse
requires_loop
requires_cmd jq pgrep
requires_program rssrv rsiod rsconfig

# Keys are in a directory of their own.
write_server_conf "$W/srv"
make_volume "$W/srv" vol 8M
write_client_conf "$W/clt" "$W/srv"
mkdir -m 700 "$W/keys"
sed -n 's/^nodekey *= *//p' "$W/clt/rscltcfg" >"$W/keys/client"
chmod 600 "$W/keys/client"
sed -i "s|^nodekey.*|nodekey = @file:$W/keys/client|" "$W/clt/rscltcfg"
start_server "$W/srv"
start_client "$W/clt"
pid=$(client_pid "$W/clt")
m=$W/clt/mnt
rsconfig() { timeout 20 "$BUILD/rsconfig" --run-dir "$W/clt/run" "$@"; }
status() { jq -c "$1" "$m/.rsio/status.json"; }
[ "$(status .confinement.without)" = null ] || skip "it is not confined: $(status .confinement.without)"

has() { sed -n "s/^$1:[[:space:]]*//p" "/proc/$2/status"; }
# The right to stay above the limit of locked memory, where it could not be lifted.
for task in "/proc/$pid/task"/*; do
	for line in CapEff CapPrm CapBnd; do
		case $(sed -n "s/^$line:[[:space:]]*//p" "$task/status") in
		0000000000000000 | 0000000000004000) ;;
		*) echo "$line" ;;
		esac
	done
	grep -qx 'NoNewPrivs:[[:space:]]*1' "$task/status" || echo no_new_privs
	grep -qx 'Seccomp:[[:space:]]*2' "$task/status" || echo seccomp
done >"$W/missing"
is "$(sort -u "$W/missing")" "" "each thread is without capabilities and within seccomp"
is "$(status .confinement.capabilities)" "\"$(has CapEff "$pid")\"" "the status says what is left"
is "$(status .confinement.seccomp,.confinement.no_new_privs)" $'true\ntrue' "and that the rest is in force"
like "$(status .confinement.landlock)" '^[0-9]+$' "and which Landlock the kernel has"
helper=$(pgrep -P "$pid" -x rsiod-helper)
is "$(has Seccomp "$helper") $(has NoNewPrivs "$helper")" "0 0" "the helper is not confined"

check "the volume can be written" dd if=/dev/zero of="$m/osl/vol" bs=64k count=4 conv=notrunc,fsync status=none
check "a device is attached" rsconfig -a osl:vol
check "and detached" rsconfig -d osl:vol
kill -KILL "$helper"
wait_for 5 gone "$helper"
check "without the helper its spare attaches" rsconfig -a osl:vol
check "and detaches" rsconfig -d osl:vol

# It can read again what it read at the start, also when that was replaced.
cp "$W/keys/client" "$W/keys/new"
chmod 600 "$W/keys/new"
mv "$W/keys/new" "$W/keys/client"
check "the configuration and its key are read again" rsconfig -m reload
mkdir -m 700 "$W/elsewhere"
cp "$W/keys/client" "$W/elsewhere/client"
chmod 600 "$W/elsewhere/client"
sed -i "s|@file:.*|@file:$W/elsewhere/client|" "$W/clt/rscltcfg"
if [ "$(status .confinement.landlock)" -gt 0 ]; then
	out=$(rsconfig -m reload 2>&1) && code=0 || code=$?
	is "$code" 1 "a key elsewhere is out of reach"
	like "$out" "key's file cannot be opened: Permission denied" "which is said"
fi
check "the volume is still there" test -s "$m/osl/vol"
stop_client "$W/clt"
check_fails 1 "at the end nothing is mounted" grep -q " $m " /proc/self/mounts
start_client "$W/clt"
check "after a restart the key is read from there" test -s "$m/osl/vol"
stop_client "$W/clt"

# Names are looked up by a confined thread.
if getent ahosts localhost | head -n 1 | grep -q '^127\.0\.0\.1 '; then
	sed -i '/^\[server/,/^address/ s/^address *=.*127\.0\.0\.1$/address = localhost/' "$W/clt/rscltcfg"
	check "a server's address is a name now" grep -q '^address = localhost' "$W/clt/rscltcfg"
	start_client "$W/clt"
	check "which is found" test -s "$m/osl/vol"
fi
done_testing
