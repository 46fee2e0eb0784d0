#!/bin/bash
# The configuration names one portal of a server that has two; the second comes and goes
# under verified load, and the client follows without a restart.
# time-limit: 150
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lab.sh"
requires_root
requires_fuse
requires_cmd jq
requires_program rssrv rsiod rsconfig

rsconfig() { timeout -k 1 40 "$BUILD/rsconfig" --run-dir "$W/clt/run" "$@"; }
names() { rsconfig -m status --json | jq -r '[.paths[] | select(.state == "up") | .name] | sort | join(" ")'; }
names_are() { [ "$(names)" = "$1" ]; }
path_says() { rsconfig -m status --json | jq -r ".paths[] | select(.name == \"$1\") | .$2"; }
carries_more() { [ "$(path_says "$1" commands)" -gt $(($2 + 100)) ]; }
reload_server() { kill -HUP "$(server_pid "$W/srv")"; }

lab_two_networks
write_server_conf "$W/srv" address=10.99.0.1 server=big-9
read -r _ _ _ _ port <"$W/srv/portals"
write_client_conf "$W/clt" "$W/srv" address=10.99.0.2 address=10.99.1.2
sed -i "/^nodekey/a port = $port" "$W/clt/rscltcfg"
printf '\n[defaults]\npolicy = round-robin\nretry = 0.1s\n' >>"$W/clt/rscltcfg"
ip -n "$srv_ns" link set lo up	# for a portal that means nothing to this client
ip -n "$clt_ns" link set lo up
printf '\n[interface lo]\naddress = 127.0.0.1\nport = %s\n' "$port" >>"$W/srv/rssrvcfg"
cp "$W/srv/rssrvcfg" "$W/one-portal"
printf '\n[interface new]\naddress = 10.99.1.1\nport = %s\n' "$port" >>"$W/srv/rssrvcfg"
cp "$W/srv/rssrvcfg" "$W/two-portals"
make_volume "$W/srv" data 8M
NETNS=$srv_ns start_server "$W/srv"
NETNS=$clt_ns start_client "$W/clt"
vol=$W/clt/mnt/osl
first=if0/big-9-1 second=if1/big-9@10.99.1.1

check "the portal that the configuration does not name is found" wait_for 10 names_are "$first $second"
is "$(rsconfig -m status --json | jq '[.paths[] | select(.portal == "127.0.0.1")] | length')" 0 \
	"one on the server's loopback network is not tried"
is "$(rsconfig -m status | grep -c 'rep: ')" 2 "status shows the two, not what cannot be reached"
check "status -v shows its name" grep -q "$second to osl:big-9, up" <(rsconfig -m status -v)
check "explain too" grep -q "^    $second, " <(rsconfig -m explain)
check "so does -q" grep -q "$second" <(rsconfig -qvv)

start_stamp data "$vol/data" --blocks 2048 --jobs 16
check "it carries its part" wait_for 10 carries_more "$second" 0
check "a drill knows its name" rsconfig -m drill "osl:$second" --for 0.3

# By SIGHUP, both ways, again and again.
for i in 1 2 3; do
	cp "$W/one-portal" "$W/srv/rssrvcfg"
	reload_server
	check "the portal goes: so does the path ($i)" wait_for 10 names_are "$first"
	is "$(path_says "$second" state)" "" "it is not there any more ($i)"
	goes_on data "and writes go on ($i)"
	cp "$W/two-portals" "$W/srv/rssrvcfg"
	reload_server
	check "it comes: so does the path ($i)" wait_for 10 names_are "$first $second"
	check "and carries its part ($i)" wait_for 10 carries_more "$second" "$(path_says "$second" commands)"
done
is "$(path_says "$first" errors)" 0 "the other path was never lost"

# By its address.
ip -n "$srv_ns" addr add 10.99.1.9/32 dev eth1	# of its own: it stays when the other goes
ip -n "$srv_ns" addr del 10.99.1.1/24 dev eth1
check "its address goes: so does the path" wait_for 15 names_are "$first"
goes_on data "and writes go on" 20
ip -n "$srv_ns" addr add 10.99.1.1/24 dev eth1
check "it comes back: so does the path" wait_for 15 names_are "$first $second"

# The configured one goes while all depends on it and the learned one.
sed 's/^address = 10.99.0.1$/address = 10.99.1.9/' "$W/two-portals" >"$W/srv/rssrvcfg"
reload_server
check "the portal that the configuration names moves: the rest goes on" wait_for 15 names_are "$second if1/big-9@10.99.1.9"
goes_on data "and so do writes" 20
cp "$W/two-portals" "$W/srv/rssrvcfg"
reload_server
check "it is back" wait_for 15 names_are "$first $second"

# An address that the client gets while it runs.  Meanwhile no route leads to that network,
# though the server would answer for all its addresses on the other one too.
ip -n "$clt_ns" addr del 10.99.1.2/24 dev eth1
check "the client's own address goes: so does the path" wait_for 15 names_are "$first"
goes_on data "and writes go on" 20
like "$(path_says "if0/$(basename "$second")" reason)" "^no route leads from interface if0 to portal big-9@10.99.1.1$" \
	"the other interface does not lead there"
check "which was seen, not waited for" grep -q "$second): interface if1: its address is gone$" "$W/clt/rsiod.out"
ip -n "$clt_ns" addr add 10.99.1.2/24 dev eth1
check "it comes: so does the path" wait_for 15 names_are "$first $second"

# What was missed: the portal goes while nobody can be told.
net_silent 0
net_silent 1
check "no path is left" wait_for 15 paths_are "$W/clt" 0
cp "$W/one-portal" "$W/srv/rssrvcfg"
reload_server
net_heard 0
check "what went meanwhile is not missed" wait_for 20 names_are "$first"
gone() { [ -z "$(path_says "$second" state)" ]; }
check "it is not tried any more" wait_for 15 gone
net_heard 1
goes_on data "writes go on" 20

end_stamp data
verified data "$W/srv/pool/data.raw" "the server's file has what was acknowledged" --buffered
verified data "$vol/data" "and so it reads through the mount"
is "$(grep -c 'protocol error' "$W/clt/rsiod.out")" 0 "the client never met a protocol error"
done_testing
