#!/bin/bash
# SIGHUP with other interfaces, portals and servers, under verified load: sessions stay.
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

lab_two_networks
write_server_conf "$W/srv" address=10.99.0.1 address=10.99.1.1 server=big-9
write_server_conf "$W/srv2" address=10.99.0.1 server=big-10 serverid=2
make_volume "$W/srv" data 8M
make_volume "$W/srv2" more 8M
NETNS=$srv_ns start_server "$W/srv"
NETNS=$srv_ns start_server "$W/srv2"
read -r _ _ _ _ p1 <"$W/srv/portals"
p2=$(awk 'NR == 2 { print $5 }' "$W/srv/portals")
p3=$(awk '{ print $5 }' "$W/srv2/portals")

conf()	# INTERFACES SERVERS
{
	local i s
	{
		for i in $1; do
			printf '[interface if%s]\naddress = 10.99.%s.2\n' "$i" "$i"
		done
		printf '[namespace osl]\nnamespaceid = 200\nnodename = node1\nnodekey = %s\nport = %s\n' "$TEST_KEY" "$p2"
		printf 'policy = weighted\nweight = if0=3\n'
		for s in $2; do
			case $s in
			1) printf '[server big-9-1]\naddress = 10.99.0.1\nport = %s\n' "$p1" ;;
			2) printf '[server big-9-2]\naddress = 10.99.1.1\n' ;;
			3) printf '[server big-10-1]\naddress = 10.99.0.1\nport = %s\n' "$p3" ;;
			esac
		done
	} >"$W/clt/rscltcfg"
}
mkdir -p "$W/clt"
conf 0 1
chmod 600 "$W/clt/rscltcfg"
NETNS=$clt_ns start_client "$W/clt"
vol=$W/clt/mnt/osl
check "one interface, one portal" wait_for 10 names_are "if0/big-9-1"
connection=$(path_says if0/big-9-1 connection)
start_stamp data "$vol/data" --blocks 2048 --jobs 16

step()	# TEXT INTERFACES SERVERS PATHS
{
	conf "$2" "$3"
	check "$1" rsconfig -m reload
	check "$1: its paths" wait_for 15 names_are "$4"
	is "$(path_says if0/big-9-1 connection)" "$connection" "$1: the first path is the same connection"
	goes_on data "$1: writes go on"
}

step "an interface more" "0 1" 1 "if0/big-9-1 if1/big-9@10.99.1.1"
step "its portal is named" "0 1" "1 2" "if0/big-9-1 if1/big-9-2"
is "$(path_says if0/big-9-1 weight) $(path_says if1/big-9-2 weight)" "3 1" "weights are as before"
step "the other order" "1 0" "2 1" "if0/big-9-1 if1/big-9-2"
is "$(path_says if0/big-9-1 weight) $(path_says if1/big-9-2 weight)" "3 1" "weights go by the names"
step "another server" "1 0" "2 1 3" "if0/big-10-1 if0/big-9-1 if1/big-9-2"
check "and its volume" wait_for 10 test -s "$vol/more"
step "a portal is not named any more" "0 1" "1 3" "if0/big-10-1 if0/big-9-1 if1/big-9@10.99.1.1"
step "an interface less" 0 "1 3" "if0/big-10-1 if0/big-9-1"
is "$(path_says if0/big-9-1 errors)" 0 "the first path was never lost"
is "$(grep -c 'its sessions end' "$W/clt/rsiod.out")" 0 "no session ended"

end_stamp data
verified data "$W/srv/pool/data.raw" "the server's file has what was acknowledged" --buffered
verified data "$vol/data" "and so it reads through the mount"

# A server that goes takes its volumes along: that is another namespace.
conf "0 1" "1 2"
check "a server less" rsconfig -m reload
is_gone() { [ ! -e "$vol/more" ] && [ -e "$vol/data" ]; }
check "its volume goes, the other's stays" wait_for 15 is_gone
is "$(grep -c 'its sessions end' "$W/clt/rsiod.out")" 1 "for that the sessions end"
done_testing
