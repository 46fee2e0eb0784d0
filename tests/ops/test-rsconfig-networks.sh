#!/bin/bash
# test-rsconfig-networks.sh - two hosts with two networks between them: rsconfig prints
# what rsio's documentation shows, and says which network is gone and why.
# time-limit: 60
# shellcheck source=tests/functions.sh
. "$(dirname "$0")/../functions.sh"
requires_netns
requires_fuse
requires_program rssrv rsiod rsconfig

rsconfig() { timeout -k 1 20 "$BUILD/rsconfig" --run-dir "$W/clt/run" "$@"; }

server=$(netns_add server)
client=$(netns_add client)
for net in 10 20; do
	ip -n "$server" link add "eth$net" type veth peer name "eth$net" netns "$client"
	ip -n "$server" addr add 192.168.$net.9/24 dev eth$net
	ip -n "$client" addr add 192.168.$net.1/24 dev eth$net
	ip -n "$server" link set eth$net up
	ip -n "$client" link set eth$net up
done

mkdir -p "$W/srv/pool" "$W/clt"
truncate -s $((31457280 * 512)) "$W/srv/pool/oracle.raw"
cat >"$W/srv/rssrvcfg" <<TXT
[namespace osl]
namespaceid = 0
[server big-9]
serverid = 0
[interface if1]
address = 192.168.10.9
[interface if2]
address = 192.168.20.9
[clients]
sles1 $TEST_KEY
[pool main]
path = $W/srv/pool
TXT
cat >"$W/clt/rscltcfg" <<TXT
[defaults]
detect = 10s
[interface if0]
address = 192.168.10.1
[interface if1]
device = eth20
[namespace osl]
namespaceid = 0
nodename = sles1
nodekey = $TEST_KEY
[server big-9-1]
address = 192.168.10.9
[server big-9-2]
address = 192.168.20.9
TXT
chmod 600 "$W/srv/rssrvcfg" "$W/clt/rscltcfg"
NETNS=$server start_server "$W/srv"
NETNS=$client start_client "$W/clt"

connected() { [ "$(rsconfig -m status | grep -c ' connected tx: ok rx: ok$')" = "$1" ]; }
check "both networks are used" wait_for 5 connected 2
is "$(rsconfig -q)" "000 osl
  clt: sles1
  srv: 000 big-9
    0 oracle       disk  31457280 blocks of  512 bytes" "-q"
healthy="0 if0 IP(TCP) 192.168.10.1/5000
    rep: 000 IP(TCP) 192.168.10.9/5000 connected tx: ok rx: ok
1 if1 IP(TCP) 192.168.20.1/5000
    rep: 001 IP(TCP) 192.168.20.9/5000 connected tx: ok rx: ok"
is "$(rsconfig -m status)" "$healthy" "-m status: each network by its own interface"
is "$(rsconfig -m status -v | grep -c '^    rep: ')" 4 "-m status -v shows the pairs that are not used too"
is "$(sed -n 's/^trouble *//p' "$W/clt/mnt/osl/.rsio/status")" none "and they are no trouble"

# One network loses its link at the server's end.
ip -n "$server" link set eth20 down
lost() { rsconfig -m status | grep -A1 '^    rep: 001 .* tx: - rx: -$' | grep -q "^      why: .*$1"; }
check "a network without a link shows at once, with the reason" wait_for 3 lost "eth20 has no link"
like "$(rsconfig -m status)" "^    rep: 000 .*192.168.10.9/5000 connected tx: ok rx: ok$" "the other one goes on"
like "$(cat "$W/clt/mnt/osl/.rsio/status")" "^paths       1 of [1-4] up$" "the tree says so too"
is "$(rsconfig -q | sed -n 3p)" "  srv: 000 big-9" "the server is still up"

# Both are gone: looking waits for nothing, and says how long the volume still waits.
ip -n "$server" link set eth10 down
none_left() { rsconfig -q | grep -q '^  srv: 000 big-9  lost$'; }
check "the server is lost" wait_for 5 none_left
check "ls waits for no network" timeout 5 ls -l "$W/clt/mnt/osl"
check "the status files neither" timeout 5 cat "$W/clt/mnt/osl/.rsio/paths"

ip -n "$server" link set eth10 up
ip -n "$server" link set eth20 up
check "both are back" wait_for 10 connected 2
is "$(rsconfig -m status)" "$healthy" "-m status is as it was"
done_testing
