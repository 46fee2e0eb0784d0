#!/bin/bash
# test-owners.sh - whose a volume's file is, that the kernel holds others to it, and who
# gets into the tree at all.
# shellcheck source=tests/functions.sh
. "$(dirname "$0")/../functions.sh"
requires_root
requires_fuse
requires_cmd setpriv
requires_program rssrv rsiod rsconfig

chmod 755 "$W"
write_server_conf "$W/srv"
for v in plain rule late; do
	make_volume "$W/srv" $v 1M
done
write_client_conf "$W/clt" "$W/srv"
sed -i '/^\[namespace/a owner = 65534\nmode = 0640' "$W/clt/rscltcfg"
printf '\n[volume osl:rule]\ngroup = 54321\nmode = 0060\n' >>"$W/clt/rscltcfg"
start_server "$W/srv"
start_client "$W/clt"
m=$W/clt/mnt
whose() { stat -c '%u %g %a' "$m/osl/$1"; }
as() { setpriv --reuid="$1" --regid="$2" --clear-groups "${@:3}"; }
disk=$(getent group disk | cut -d : -f 3)
rsconfig() { timeout 20 "$BUILD/rsconfig" --run-dir "$W/clt/run" "$@"; }

is "$(whose plain)" "65534 ${disk:-0} 640" "the namespace says whose a volume is"
is "$(whose rule)" "65534 54321 60" "and the volume's own section what is different"
check "the owner may write" as 65534 65534 dd if=/dev/zero of="$m/osl/plain" bs=4k count=1 conv=notrunc status=none
check "the group may read" as 1234 "${disk:-0}" dd if="$m/osl/plain" of=/dev/null bs=4k count=1 status=none
check_fails 1 "but not write" as 1234 "${disk:-0}" dd if=/dev/zero of="$m/osl/plain" bs=4k count=1 conv=notrunc status=none
check_fails 1 "others may not read" as 1234 1234 dd if="$m/osl/plain" of=/dev/null bs=4k count=1 status=none
check_fails 1 "an owner without a right has none" as 65534 65534 dd if="$m/osl/rule" of=/dev/null bs=4k count=1 status=none
check "the group that has it has" as 1234 54321 dd if=/dev/zero of="$m/osl/rule" bs=4k count=1 conv=notrunc status=none
check "others see the tree" as 1234 1234 ls "$m/osl"

# SIGHUP: what is said anew counts, what was changed by hand stays.
chown 1000 "$m/osl/plain"
printf '\n[volume osl:late]\nowner = 4242\nmode = 600\n' >>"$W/clt/rscltcfg"
check "the configuration is read again" rsconfig -m reload
is_now() { [ "$(whose "$1")" = "$2" ]; }
check "a volume's new owner is known" wait_for 5 is_now late "4242 ${disk:-0} 600"
is "$(whose plain)" "1000 ${disk:-0} 640" "another's that was changed by hand stays"

# Mistakes.
bad()	# KEY VALUE TEXT
{
	local out
	sed "/^\[volume osl:late\]/a $1 = $2" "$W/clt/rscltcfg" | sed '/^owner = 4242/d; /^mode = 600/d' >"$W/bad"
	chmod 600 "$W/bad"
	out=$("$BUILD/rsiod" --check -c "$W/bad" 2>&1) || true
	like "$out" "volume osl:late\] $1: .*$3" "$1 = $2 is a mistake"
}
bad owner no.such.user 'no such user'
bad group no.such.group 'no such group'
bad mode 0888 'not a mode'
bad mode 4755 'not a mode'
bad mode 1 'not a mode'

check "others may ask for the state" as 65534 65534 "$BUILD/rsconfig" --run-dir "$W/clt/run" -q
check "and read the log" as 65534 65534 test -r "$W/clt/run/rsiod.log"

stop_client "$W/clt"
sed -i '1i [defaults]\nallow-other = no\n' "$W/clt/rscltcfg"
start_client "$W/clt"
check "with allow-other = no root gets in" test -s "$m/osl/plain"
check_fails 2 "and nobody else" as 65534 65534 ls "$m/osl"
like "$(as 65534 65534 "$BUILD/rsconfig" --run-dir "$W/clt/run" -q 2>&1 || true)" 'may not look' "nor asks somebody else for the state"
check_fails 1 "or reads it in the log" as 65534 65534 test -r "$W/clt/run/rsiod.log"
check "root may" rsconfig -q
done_testing
