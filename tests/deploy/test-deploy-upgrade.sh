#!/bin/bash
# Another program takes a server's place under verified load, and one that does not serve does not: the old one
# comes back by itself.
# shellcheck source=tests/deploy/deploy.sh
. "$(dirname "$0")/deploy.sh"
. "$(dirname "$0")/load.sh"
requires_program rsvol rsbench
requires_cmd jq
requires_fuse

hosts_start 2
host_add s1
host_known s1
deploy root@s1 >"$W/out" 2>&1 || { show_output "$W/out"; bail "deploy"; }
first=$(on_host s1 readlink /usr/local/sbin/rssrv)
lab_client
on_client rsvol create lab:v1 16M >/dev/null

running() { on_host s1 readlink "/proc/$(on_host s1 cat /run/rsio/rssrv.pid)/exe"; }

# Another one: a byte more behind its end.
cp "$BUILD/rssrv-static" "$W/newer"
echo >>"$W/newer"
status=0
load "upgrade" agent upgrade root@s1 --yes --binary "$W/newer" || status=$?
is "$status" 0 "an upgrade under verified load"
[ "$status" = 0 ] || show_output "$W/out"
second=$(on_host s1 readlink /usr/local/sbin/rssrv)
is "$([ "$first" != "$second" ] && echo another)" another "another program is there"
check_fails 1 "the earlier one is not" on_host s1 test -e "$first"
is "$(running)" "$second" "it runs"

# One that does not serve.
now=$(tree s1 | grep -v ' /run/rsio\|^/run/rsio\|/v1\.raw')
sed 's/rsio tls psk/rsio tls psx/g' "$BUILD/rssrv-static" >"$W/deaf"
status=0
load "refused" agent upgrade root@s1 --yes --binary "$W/deaf" || status=$?
is "$status" 1 "an upgrade that does not serve fails"
like "$(cat "$W/out")" "does not serve this host .*all that was done there is undone" "and says so"
is "$(running)" "$second" "the one before it runs again"
is "$(diff <(echo "$now") <(tree s1 | grep -v ' /run/rsio\|^/run/rsio\|/v1\.raw') | grep '^[<>]')" "" "and all is as it was"
check "its volume is read" dd if="$clt/mnt/lab/v1" of=/dev/null bs=1M status=none

done_testing
