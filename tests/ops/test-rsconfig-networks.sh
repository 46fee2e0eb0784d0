#!/bin/bash
# test-rsconfig-networks.sh - two hosts with two networks between them: rsconfig prints
# what rsio's documentation shows, and says which network is gone and why.
# time-limit: 120
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
[volume osl:oracle]
weight = if1=99
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

# Policies: what each path carried of 300 reads, as if0:if1.
carried()
{
	rsconfig -m status --json |
		jq -r '[.paths[] | {key: .name, value: .commands}] | from_entries |
			"\(."if0/big-9-1") \(."if1/big-9-2")"'
}
share()		# COMMAND...: how many more commands if0 and if1 carried meanwhile
{
	local a b c d

	read -r a b < <(carried)
	"$@" || return
	read -r c d < <(carried)
	echo "$((c - a)) $((d - b))"
}
reads() { dd if="$W/clt/mnt/osl/${1:-oracle}" of=/dev/null bs=4k count=300 iflag=direct status=none; }
near()		# WHAT PART EACH: about so many commands, some pings and the like beside
{
	local got=$1

	[ "$got" -ge $(($2 - 15)) ] && [ "$got" -le $(($2 + 15)) ]
}
split()		# NAME IF0 IF1: of 300 reads
{
	local got

	got=$(share reads)
	# shellcheck disable=SC2086  # two numbers
	set -- "$1" "$2" "$3" $got
	check "$1: if0 $2, if1 $3 of 300 (got $got)" eval "near $4 $2 && near $5 $3"
}
check "-m policy default, of a volume with weights of its own" rsconfig -m policy osl:oracle default
check "-m policy weighted" rsconfig -m policy osl weighted --weight if0=3,if1=1
split weighted 225 75
like "$(rsconfig -m explain)" "^    if0/big-9-1, [0-9]+ % so far: its weight is 3 of 4$" "-m explain says why"
check "-m policy round-robin-subset" rsconfig -m policy osl round-robin-subset --standby if1
split round-robin-subset 300 0
like "$(rsconfig -m explain)" "^    if1/big-9-2, [0-9]+ % so far: standby: waits until another path fails$" "and of a standby"
check "-m policy least-queue" rsconfig -m policy osl least-queue
split least-queue 150 150
check "-m policy of a volume" rsconfig -m policy osl:oracle weighted --weight if0=99
split "a volume's own" 297 3
check "-m policy of a volume, weights as configured" rsconfig -m policy osl:oracle weighted
split "the volume's, not the namespace's" 3 297
like "$(rsconfig -qv)" "on loss fail, policy weighted$" "it is shown"
check "-m policy of a volume, least-blocks" rsconfig -m policy osl:oracle least-blocks
split least-blocks 150 150
check "-m policy of a volume, default" rsconfig -m policy osl:oracle default
check "-m policy fail-over" rsconfig -m policy osl fail-over
split fail-over 300 0
says() { rsconfig "$@" 2>&1; }
like "$(says -m policy osl weighted --weight if7=2)" "there is no interface if7 in namespace osl; there is if0, if1$" \
	"an interface that is not there"
like "$(says -m policy osl weighted --weight if0=101)" "weight 'if0=101' is not INTERFACE=WEIGHT,... with weights from 1 to 100$" \
	"a weight that is none"
like "$(says -m policy osl least-blocks)" "least-blocks is for single volumes: name one, as osl:VOLUME$" "least-blocks"
like "$(says -m policy osl:orcale least-blocks)" "namespace osl has no volume and no server orcale$" "nor a volume of that name"
like "$(says -m policy osl:orcale adaptive)" "namespace osl has no volume and no server orcale$" "nobody of that name"
like "$(says -m policy osl:orcale adaptive)" "^rsconfig: rsconfig -q shows those that there are$" "with the next step"
split "after mistakes as before" 300 0

# A standby joins when another path fails, and leaves when that is back; under load, without an error.
check "-m policy round-robin-subset again" rsconfig -m policy osl round-robin-subset --standby if1
dd if="$W/clt/mnt/osl/oracle" of=/dev/null bs=4k iflag=direct count=100000000 status=none &
load=$!
ip -n "$server" link set eth10 down
joined() { [ "$(carried | cut -d' ' -f2)" -gt $((before + 100)) ]; }
before=$(carried | cut -d' ' -f2)
check "the standby carries the load" wait_for 15 joined
like "$(rsconfig -m explain)" "% so far: standby, in use because if0/big-9-1 does not work$" "-m explain knows why it joined"
like "$(rsconfig -m explain)" "^  a reset or a lost link is noticed at once, silence within 8.75 s;$" "and what will be noticed when"
ip -n "$server" link set eth10 up
check "both are connected" wait_for 15 connected 2
like "$(rsconfig -m status -v)" "^      last lost [^:]* ago: .*eth10" "-m status -v: when and why a path was lost"
alone() { local s; s=$(share sleep 0.2); [ "${s#* }" -le 15 ] && [ "${s% *}" -gt 15 ]; }
check "it leaves when the other is back" wait_for 10 alone
for p in adaptive round-robin least-queue weighted fail-over; do
	check "a change under load: $p" rsconfig -m policy osl "$p"
done
check "the load goes on" kill -0 $load
kill $load
wait $load || true
is "$(rsconfig -q --json | jq '[.namespaces[].volumes[].errors] | add')" 0 "and the volume had no error"
check "-m policy adaptive" rsconfig -m policy osl adaptive

# A network that falls silent: answers do not arrive, and no link is lost.
ip -n "$server" neigh replace 192.168.20.1 lladdr 02:00:00:00:00:99 nud permanent dev eth20
late() { rsconfig -m status | grep -q '^    rep: 001 .* tx: - rx: late$'; }
check "a path that owes an answer is suspect" wait_for 15 late
split "commands avoid it" 300 0
given_up() { rsconfig -m status -v | grep -q 'last lost .*: silent for .* s, while another path to the server is not$'; }
check "it is given up sooner than detect, as another works" wait_for 15 given_up
ip -n "$server" neigh del 192.168.20.1 dev eth20
check "it comes back" wait_for 20 connected 2

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
