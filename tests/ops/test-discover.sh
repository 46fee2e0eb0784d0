#!/bin/bash
# Discovery between hosts: who is found and how, what is told and to whom, what the ways are
# good for; and that nobody who lies gets further than a line of text.
# time-limit: 150
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/../functions.sh"
requires_root
requires_netns
requires_cmd jq python3
requires_program rssrv rsconfig

tool=$TESTS_DIR/ops/discover.py
port=5000

# clt has eth0 and eth1 in two networks, where big-8 and big-9 are too; behind a router, with
# a smaller MTU on the way, is far.
sw_ns=$(netns_add sw)
clt_ns=$(netns_add clt)
s8_ns=$(netns_add s8)
s9_ns=$(netns_add s9)
rtr_ns=$(netns_add rtr)
far_ns=$(netns_add far)

wire()		# HOST DEVICE ADDRESS SWITCH [MTU]
{
	local ns=${1}_ns
	ip -n "${!ns}" link add "$2" type veth peer name "$1$2" netns "$sw_ns"
	if ! ip -n "$sw_ns" link show "$4" >/dev/null 2>&1; then
		ip -n "$sw_ns" link add "$4" type bridge mcast_snooping 0
		ip -n "$sw_ns" link set "$4" up
	fi
	ip -n "$sw_ns" link set "$1$2" mtu "${5:-1500}" master "$4" up
	ip -n "${!ns}" link set "$2" mtu "${5:-1500}" up
	ip -n "${!ns}" addr add "$3" dev "$2"
	case $3 in 10.99.[01].*) ip -n "${!ns}" addr add "fd00:${3:6:1}::${3:8:1}/64" dev "$2" nodad ;; esac
}

wire clt eth0 10.99.0.1/24 br0
wire clt eth1 10.99.1.1/24 br1
wire s8 eth0 10.99.0.8/24 br0
wire s8 eth1 10.99.1.8/24 br1
wire s9 eth0 10.99.0.9/24 br0
wire s9 eth1 10.99.1.9/24 br1
wire rtr eth0 10.99.0.3/24 br0
wire rtr eth1 10.99.3.3/24 br3
wire rtr eth2 10.99.4.3/24 br4 1400
wire far eth0 10.99.4.4/24 br4 1500
ip -n "$sw_ns" link set fareth0 mtu 1500
ip netns exec "$rtr_ns" sysctl -qw net.ipv4.ip_forward=1
ip -n "$clt_ns" route add 10.99.4.0/24 via 10.99.0.3
ip -n "$far_ns" route add 10.99.0.0/16 via 10.99.4.3

server()	# NAME ID NAMESPACE-ID NETNS ADDRESS...
{
	local name=$1 id=$2 nsid=$3 netns=$4
	shift 4
	write_server_conf "$W/$name" "server=$name" "serverid=$id" "id=$nsid" "${@/#/address=}"
	sed -i "s/^port = .*/port = $port/" "$W/$name/rssrvcfg"
	NETNS=$netns start_server "$W/$name"
}
server big-8 8 200 "$s8_ns" 10.99.0.8 10.99.1.8 fd00:0::8
server big-9 9 200 "$s9_ns" 10.99.0.9 10.99.1.9
server far 4 200 "$far_ns" 10.99.4.4

cp "$BUILD/rsconfig" "$W/rsconfig"
discover() { (NETNS=$clt_ns in_netns "$W/rsconfig" --discover "$@"); }
stranger() { (NETNS=$clt_ns in_netns "$tool" "$@"); }
found() { discover --json "$@" 2>"$W/err" >"$W/out" || true; jq -r "$query" "$W/out"; }
query='[.servers[].server] | join(" ")'

is "$(found)" "big-8 big-9" "two servers are found by multicast, without a configuration and rsiod"
query='[.servers[] | .portals[] | .address] | sort | join(" ")'
is "$(jq -r "$query" "$W/out")" "10.99.0.8 10.99.0.9 10.99.1.8 10.99.1.9 fd00::8" "with all their portals"
is "$(jq -r '.servers[0].portals[0] | "\(.driver) \(.mtu) \(.prefix) \(.device) \(.duplex) \(.speed_mbit)"' "$W/out")" \
	"veth 1500 24 eth0 full 10000" "and the interfaces' properties there"
is "$(jq -r '.interfaces[0] | "\(.name) \(.driver) \(.mtu) \(.up) \(.asked)"' "$W/out")" "eth0 veth 1500 true true" "and here"
is "$(jq '[.paths[] | select(.state == "good" and .answered > 0 and .mtu == 1500 and .mtu_is_most)] | length' "$W/out")" 5 \
	"each way within a network is tested: round trips, and the MTU"
is "$(jq -r '[.paths[] | select(.interface == "eth0" and .address == "10.99.1.9") | .state] | join(" ")' "$W/out")" no-way \
	"none leads into the other network"
query='[.servers[].server] | join(" ")'
is "$(found --interface eth1)" "big-8 big-9" "one interface is enough"
is "$(jq '.interfaces | length' "$W/out")" 1 "and only that one asks"
like "$(discover)" "^  eth0 +10.99.0.9/5000 +osl:big-9 +[0-9.]+ ms +1500" "as a table, with the path"

is "$(found 10.99.4.4)" far "one behind a router is found by its address"
is "$(jq -r '.paths[0] | "\(.state) \(.mtu) \(.mtu_is_most)"' "$W/out")" "good 1400 false" "and the smaller MTU on the way"
like "$(discover 10.99.4.4)" "1400 +less than both ends have" "which the table says"
is "$(found fd00:0::8 10.99.1.9)" "big-8 big-9" "addresses of both kinds"
is "$(discover 10.99.0.77 --for 0.3 >/dev/null 2>&1; echo $?)" 1 "an address where nobody is: status 1"
like "$(discover 10.99.0.77 --for 0.3 2>&1)" "10.99.0.77 did not answer" "which one is said"
like "$(discover 10.99.0.77 --for 0.3 2>&1)" "firewall drop UDP port 5000" "and what to look at"
check_fails 1 "an interface that is not there" discover --interface eth7
check_fails 2 "--interface without --discover" "$BUILD/rsconfig" -q --interface eth0

# What is told is settable, by SIGHUP.
tell()		# NAME WHAT
{
	sed -i "/^discovery = /d; s/^namespaceid = .*/&\ndiscovery = $2/" "$W/$1/rssrvcfg"
	kill -HUP "$(server_pid "$W/$1")"
}
query='.servers[] | select(.server == "big-9") | "\(.version) \(.portals[0] | keys | join(" "))"'
tell big-9 names
names_only() { [ "$(found 10.99.0.9)" = "null address port" ]; }
check "names: names and portals, no version and no interface" wait_for 10 names_only
tell big-9 none
query='[.servers[].server] | join(" ")'
silent() { [ -z "$(found 10.99.0.9 --for 0.3)" ]; }
check "none: no answer" wait_for 10 silent
is "$(found)" big-8 "not to the group either"
is "$(nsenter --net="/run/netns/$s9_ns" ss -Hlun "sport = :$port" | wc -l)" 0 "and no socket is open"
tell big-9 all
both() { [ "$(found)" = "big-8 big-9" ]; }
check "all: it is back" wait_for 10 both

# The answer is never larger than the question, whatever is asked.
check "no answer is larger than its question" stranger ask 10.99.0.8 $port
check "a flood is answered in part, and others meanwhile" stranger flood 10.99.0.8 $port
is "$(found 10.99.0.9)" big-9 "the other server answers as before"

# Who lies.
lie()		# KIND: beside s9, at an address of its own
{
	(
		trap - EXIT HUP INT TERM
		NETNS=$s9_ns in_netns "$tool" lie 10.99.1.66 $port "$1"
	) >"$W/lie.out" 2>&1 </dev/null &
	liar=$!
	cleanup_fn end_process $liar
	wait_for 10 grep -q ready "$W/lie.out"
}
ip -n "$s9_ns" addr add 10.99.1.66/24 dev eth1
for kind in nonce long escapes torn portals; do
	lie $kind
	is "$(found)" "big-8 big-9" "lies ($kind): who is there is found, and nobody else"
	is "$(jq '.left_out.malformed + .left_out.unasked > 0' "$W/out")" true "and the lie was heard"
	is "$(discover 2>&1 | LC_ALL=C grep -c '[^ -~]')" 0 "nothing of it reaches the terminal"
	end_process $liar
done
lie many
query='[.servers[] | select(.server == "big-8" or .server == "big-9")] | length'
is "$(found)" 2 "ten thousand servers of one address: who is there is found"
is "$(jq '.servers | length' "$W/out")" 10 "and eight of them"
is "$(jq '.left_out.answers > 1000' "$W/out")" true "the others are counted"
like "$(cat "$W/err")" "somebody may be lying" "and said"
end_process $liar
query='[.servers[].server] | join(" ")'
is "$(found)" "big-8 big-9" "the servers are still there"
done_testing
