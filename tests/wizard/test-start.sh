#!/bin/bash
# test-start.sh - with what crsio wrote rsiod starts, and its volumes are there.
# shellcheck source=tests/functions.sh
. "$(dirname "$0")/../functions.sh"
requires_program crsio rssrv rsiod
requires_fuse

write_server_conf "$W/srv" portals=1 address=127.0.0.1 address=127.0.0.2
make_volume "$W/srv" vol 4M
start_server "$W/srv"
mkdir -p "$W/clt"
(umask 077; echo "$TEST_KEY" >"$W/key")
{
	printf '[interface if0]\naddress = 127.0.0.11\n[interface if1]\naddress = 127.0.0.12\n'
	printf '[namespace osl]\nnamespaceid = 200\nnodename = node1\nnodekey = @file:%s\n' "$W/key"
	awk '{ printf "[server %s-%d]\naddress = %s\nport = %s\n", $3, NR, $4, $5 }' "$W/srv/portals"
	printf '[volume osl:vol]\npolicy = round-robin\n'
} >"$W/answers"
chmod 644 "$W/answers"	# where a key is read from is no secret
check "it is set up" "$BUILD/crsio" -c "$W/clt/rscltcfg" --answers "$W/answers"
start_client "$W/clt"
is "$(stat -c %s "$W/clt/mnt/osl/vol")" 4194304 "the volume is there"
check "it can be written" dd if=/dev/urandom of="$W/data" bs=1M count=1 status=none
dd if="$W/data" of="$W/clt/mnt/osl/vol" bs=1M conv=notrunc,fsync status=none
check "and read" cmp -n 1048576 "$W/data" "$W/clt/mnt/osl/vol"
paths() { [ "$(grep -c ' connected ' < <("$BUILD/rsconfig" -m status --run-dir "$W/clt/run"))" = "$1" ]; }
check "each interface has a path to each portal" wait_for 10 paths 4

# What a running daemon does with a change.
change() { "$BUILD/crsio" -c "$W/clt/rscltcfg" --answers - 2>&1; }
exec {held}<"$W/clt/mnt/osl/vol"
like "$(printf '[interface if1]\nremove = yes\n' | change)" '^  namespace osl: paths come and go, and its volumes stay$' \
	"that paths change is said beforehand"
check "the daemon takes it" "$BUILD/rsconfig" -m reload --run-dir "$W/clt/run"
check "and has the paths" wait_for 10 paths 2
check "what was open stays so" cmp -n 1048576 "$W/data" - <&$held
exec {held}<&-
like "$(printf '[namespace osl]\non-loss = queue\n' | change)" '^  namespace osl: its sessions end and begin anew; what is open' \
	"so is that sessions end"
check "the daemon takes it" "$BUILD/rsconfig" -m reload --run-dir "$W/clt/run"
check "the volume comes back" wait_for 10 cmp -n 1048576 "$W/data" "$W/clt/mnt/osl/vol"

done_testing
