#!/bin/bash
# test-host-restarts.sh - the server's host loses power: a volume with writes that were
# acknowledged and not flushed fails until it is opened anew, one without goes on.
# shellcheck source=tests/functions.sh
. "$(dirname "$0")/../functions.sh"
requires_root
requires_fuse
requires_program rssrv rsiod rsconfig

export RSIO_TEST_LOSSY=1 RSIO_TEST_BOOT=first	# what was not flushed goes with the process
write_server_conf "$W/srv" portals=2
make_volume "$W/srv" dirty 4M
make_volume "$W/srv" clean 4M
write_client_conf "$W/clt" "$W/srv"
start_server "$W/srv"
start_client "$W/clt"
osl=$W/clt/mnt/osl
says() { timeout 20 "$@" 2>&1 || true; }
state() { grep -oE "^ *[0-9]* *$1 .*" "$osl/.rsio/volumes" || true; }
head -c 64k /dev/zero | tr '\0' f >"$W/flushed"
head -c 64k /dev/zero | tr '\0' n >"$W/newer"

for v in dirty clean; do
	dd if="$W/flushed" of="$osl/$v" bs=64k conv=notrunc,fsync status=none
done
exec {dirty}<>"$osl/dirty" {clean}<>"$osl/clean"
dd if="$W/newer" bs=64k status=none >&"$dirty"
cat "$W/flushed" >&"$clean"
sync "$osl/clean"
is "$(dd if="$osl/dirty" bs=64k count=1 status=none | cmp - "$W/newer" 2>&1)" "" "a write is acknowledged"

kill_server "$W/srv"
export RSIO_TEST_BOOT=second
start_server "$W/srv"
like "$(says dd bs=4k count=1 of=/dev/null <&"$dirty")" "Input/output error" "no read shows the older block"
put() { timeout 20 dd if="$W/newer" bs=4k count=1 2>&1 >&"$dirty" || true; }
like "$(put)" "Input/output error" "no write is taken"
like "$(says sync "$osl/dirty")" "Input/output error" "no flush covers it up"
like "$(says dd if="$osl/dirty" of=/dev/null bs=4k count=1)" "Input/output error" "not even for who opens it beside"
like "$(state dirty)" "cache-lost" "the volume's state says so"
like "$(grep -c 'rsio_volume_state="cache-lost"} 1' "$W/clt/mnt/.rsio/metrics")" "^1$" "and the metrics"
check "the other volume goes on" dd if="$W/newer" of="$osl/clean" bs=64k conv=notrunc,fsync status=none
like "$(grep -c 'lost writes of osl:dirty' "$W/clt/rsiod.out")" "^1$" "the log says it once"

exec {dirty}>&-
opens() { dd if="$osl/dirty" of=/dev/null bs=4k count=1 status=none 2>/dev/null; }
check "opened anew it can be read" wait_for 5 opens
check "what was flushed is there" cmp -n 65536 "$osl/dirty" "$W/flushed"
check "and it can be written" dd if="$W/newer" of="$osl/dirty" bs=64k conv=notrunc,fsync status=none
check "and read" cmp -n 65536 "$osl/dirty" "$W/newer"
exec {clean}>&-
done_testing
