#!/bin/bash
# The portals of a server whose addresses come and go: it listens where its devices have
# addresses, and tells its clients, without being asked.
# time-limit: 90
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lab.sh"
requires_root
requires_cmd jq
requires_program rssrv

lab_two_networks
# The client here speaks without TLS.
TEST_SECURITY=auth write_server_conf "$W/srv" address=10.99.0.1
sed -i '/^\[clients\]/i [interface dev]\ndevice = eth1\nport = 5001\n' "$W/srv/rssrvcfg"
make_volume "$W/srv" data 1M
ip -n "$srv_ns" addr flush dev eth1
ip -n "$srv_ns" link set lo up
NETNS=$srv_ns start_server "$W/srv"
read -r _ _ _ _ port <"$W/srv/portals"

portals() { "$BUILD/rssrv" --run-dir "$W/srv/run" --status | jq -r '[.portals[] | select(.told) | "\(.address)/\(.port)"] | sort | join(" ")'; }
portals_are() { [ "$(portals)" = "$1" ]; }
first=10.99.0.1/$port
# What a client that asks nothing is told; one line an event.
cat >"$W/listen.py" <<'END'
import os, sys
sys.path.insert(0, sys.argv[1])
import rsio
c = rsio.Client(sys.argv[2], int(sys.argv[3]), namespace="osl", namespace_id=200, node="node1", key=sys.argv[4])
c.login()
while True:
    c.events.clear()
    c.ping()
    if c.readable(0.5):
        c.events.append(c.next_reply())
    for r in c.events:
        kind = rsio.number(r.payload, rsio.T_EVENT_KIND)
        text = rsio.first(r.payload, rsio.T_PORTAL, b"").decode()
        print({rsio.EV_PORTAL: "+", rsio.EV_PORTAL_REMOVED: "-"}.get(kind, "?") + text, flush=True)
END
like "$(cat "$W/srv/rssrv.out")" "\[interface dev\]: device eth1 has no address yet$" "a device without an address is no mistake"
check "the other portal is there" wait_for 10 portals_are "$first"

told() { grep -qxF -- "$1" "$W/told.out"; }
nowhere() { [ -z "$(nsenter --net="/run/netns/$srv_ns" ss -Hltn "src $1")" ]; }
run_traffic told nsenter --net="/run/netns/$clt_ns" python3 "$W/listen.py" "$TESTS_DIR/peer" 10.99.0.1 "$port" "$TEST_KEY"
logged_in() { grep -q 'started transmit for clt node1' "$W/srv/rssrv.out"; }
wait_for 10 logged_in || bail "the client logs in"

ip -n "$srv_ns" addr add 10.99.1.1/24 dev eth1
check "a device gets an address: it is a portal" wait_for 10 portals_are "$first 10.99.1.1/5001"
check "and clients are told" wait_for 5 told +10.99.1.1/5001
check "somebody listens there" nsenter --net="/run/netns/$clt_ns" python3 -c \
	'import socket; socket.create_connection(("10.99.1.1", 5001), 5)'
ip -n "$srv_ns" addr add fd99::1/64 dev eth1
check "a second address, of the other kind" wait_for 15 portals_are "$first 10.99.1.1/5001 fd99::1/5001"
check "clients are told of that too" wait_for 5 told +fd99::1/5001
ip -n "$srv_ns" addr del 10.99.1.1/24 dev eth1
check "the first one goes" wait_for 10 portals_are "$first fd99::1/5001"
check "clients are told" wait_for 5 told -10.99.1.1/5001
check "and nobody listens there" nowhere 10.99.1.1
ip -n "$srv_ns" addr add 10.99.1.7/24 dev eth1
check "another address comes" wait_for 10 portals_are "$first 10.99.1.7/5001 fd99::1/5001"
check "clients are told" wait_for 5 told +10.99.1.7/5001

# One that is configured by its address.
ip -n "$srv_ns" addr add 10.99.0.8/24 dev eth0
sed -i '/^\[clients\]/i [interface late]\naddress = 10.99.0.9\nport = 5002\n' "$W/srv/rssrvcfg"
kill -HUP "$(server_pid "$W/srv")"
late() { grep -q 'cannot listen on 10.99.0.9 port 5002 for \[interface late\]' "$W/srv/rssrv.out"; }
check "an address that is not there yet is said to be missing" wait_for 10 late
ip -n "$srv_ns" addr add 10.99.0.9/24 dev eth0
check "it comes: the portal opens by itself" wait_for 10 portals_are "$first 10.99.0.9/5002 10.99.1.7/5001 fd99::1/5001"
ip -n "$srv_ns" addr del 10.99.0.9/24 dev eth0
check "it goes: clients are told" wait_for 5 told -10.99.0.9/5002
check "and it is no portal meanwhile" portals_are "$first 10.99.1.7/5001 fd99::1/5001"
ip -n "$srv_ns" addr add 10.99.0.9/24 dev eth0
check "it is back" wait_for 10 portals_are "$first 10.99.0.9/5002 10.99.1.7/5001 fd99::1/5001"
is "$(grep -c 'listens on 10.99.0.9' "$W/srv/rssrv.out")" 1 "it was listened on all the time"
is "$(grep -c 'cannot listen on 10.99.0.9' "$W/srv/rssrv.out")" 1 "what cannot be is said once"

# An end is no removal: the portals will be back.
before=$(grep -c '^-' "$W/told.out")
stop_server "$W/srv"
is "$(grep -c '^-' "$W/told.out")" "$before" "a server that ends takes no portal back"
done_testing
