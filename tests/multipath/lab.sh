# shellcheck shell=bash
# lab.sh - for the scenarios of paths and faults: source it in place of
# functions.sh.  Two hosts with two networks, traffic that is verified meanwhile,
# and the faults.
# shellcheck source=tests/functions.sh
. "$(dirname "${BASH_SOURCE[0]}")/../functions.sh"

stamp=$BUILD/tests/stamp
[ -x "$stamp" ] || skip "needs $stamp, which is not built"

# Two hosts, two networks.  The switch is a host of its own: what is done there is a
# cable that breaks, at one end or unseen in the middle.

lab_two_networks()	# sets srv_ns, clt_ns, sw_ns; 10.99.N.1 is the server, 10.99.N.2 the client
{
	local n host ns
	requires_netns
	srv_ns=$(netns_add srv)
	clt_ns=$(netns_add clt)
	sw_ns=$(netns_add sw)
	for n in 0 1; do
		ip -n "$sw_ns" link add br$n type bridge
		ip -n "$sw_ns" link set br$n up
		for host in srv clt; do
			ns=${host}_ns
			ip -n "${!ns}" link add eth$n type veth peer name $host$n netns "$sw_ns"
			ip -n "$sw_ns" link set $host$n master br$n up
			ip -n "${!ns}" link set eth$n up
		done
		ip -n "$srv_ns" addr add 10.99.$n.1/24 dev eth$n
		ip -n "$clt_ns" addr add 10.99.$n.2/24 dev eth$n
	done
}

link_down() { ip -n "$sw_ns" link set "clt$1" down; }	# NETWORK: the client's carrier goes
link_up() { ip -n "$sw_ns" link set "clt$1" up; }
net_silent() { ip -n "$sw_ns" link set "srv$1" nomaster; }	# NETWORK: nobody notices anything
net_heard() { ip -n "$sw_ns" link set "srv$1" master "br$1"; }
# NETWORK: what the client sends goes to nobody's address; what the server sends arrives.
net_mute() { ip -n "$clt_ns" neigh replace "10.99.$1.1" lladdr 02:00:00:00:00:99 nud permanent dev "eth$1"; }
net_unmute() { ip -n "$clt_ns" neigh del "10.99.$1.1" dev "eth$1"; }

# A disk of the test's own.

mount_image()	# IMAGE DIR: not with mount -o loop, which asks everybody's loop devices first
{
	local loop

	loop=$(losetup --show -f "$1")
	cleanup_fn losetup -d "$loop"
	cleanup_fn umount "$2"
	mount "$loop" "$2"
}

# Paths, as the client's status says.

paths_up()	# DIR: how many
{
	timeout 5 cat "$1/mnt/osl/.rsio/paths.json" |
		python3 -c 'import json, sys
text = json.dumps(json.load(sys.stdin))
print(text.count("\"state\": \"up\", \"since\"") or text.count("\"state\": \"up\""))'
}

paths_are()	# DIR NUMBER
{
	[ "$(paths_up "$1")" = "$2" ]
}

# Traffic.

declare -A traffic_pid=()

run_traffic()	# NAME COMMAND...: in the background
{
	local name=$1
	shift
	(
		trap - EXIT HUP INT TERM
		exec "$@"
	) >"$W/$name.out" 2>&1 </dev/null &
	traffic_pid[$name]=$!
	cleanup_fn drop_traffic "$name"
}

drop_traffic()	# NAME: at the end; a process that waits in the kernel goes when its daemon went
{
	[ -z "${traffic_pid[$1]:-}" ] || kill -KILL "${traffic_pid[$1]}" 2>/dev/null || true
}

start_stamp()	# NAME FILE [OPTIONS...]: until end_stamp
{
	local name=$1 file=$2
	shift 2
	run_traffic "$name" "$stamp" write "$file" "$W/$name.log" --volume "$name" --random-size "$@"
	wait_for 20 acknowledged_more "$name" 0
}

end_stamp()	# NAME: it ends without an error
{
	kill -TERM "${traffic_pid[$1]}" 2>/dev/null || true	# it may have found something and ended
	end_traffic "$1"
}

end_traffic()	# NAME: it ends by itself, with status 0
{
	local pid=${traffic_pid[$1]} status=0

	if ! wait_for "${TRAFFIC_SECONDS:-60}" gone "$pid"; then
		not_ok "$1 ends"
		show_output "$W/$1.out"
		return
	fi
	unset "traffic_pid[$1]"
	wait "$pid" || status=$?
	is "$status" 0 "$1 ends without an error"
	[ "$status" = 0 ] || show_output "$W/$1.out"
	note "$1: $(grep -E 'writes|run=' "$W/$1.out" | tail -n 1)"
}

start_fio()	# NAME FILE SECONDS [OPTIONS...]: verifies all the time what it has written
{
	local name=$1 file=$2 seconds=$3
	shift 3
	run_traffic "$name" fio --name="$name" --filename="$file" --rw=randwrite --bs=4k --direct=1 \
		--ioengine=libaio --iodepth=16 --size=32m --time_based --runtime="$seconds" \
		--verify=crc32c --verify_backlog=512 --verify_fatal=1 --fallocate=none --allow_file_create=0 \
		--randrepeat=0 "$@"
}

acknowledged()	# NAME: writes so far, in all blocks
{
	od -An -v -w24 -j4096 -td8 "$W/$1.log" | awk '{ n += $2 } END { printf "%d\n", n }'
}

acknowledged_more()	# NAME THAN
{
	[ -s "$W/$1.log" ] && [ "$(acknowledged "$1")" -gt "$2" ]
}

goes_on()	# NAME TEXT [SECONDS=15]: a write that begins now is answered
{
	local before
	before=$(acknowledged "$1")
	if wait_for "${3:-15}" acknowledged_more "$1" $((before + 200)); then
		ok "$2"
	else
		not_ok "$2"
	fi
}

stands_still()	# NAME: nothing was acknowledged for a second
{
	local before
	before=$(acknowledged "$1")
	sleep 1
	[ "$(acknowledged "$1")" = "$before" ]
}

verified()	# NAME FILE TEXT [OPTIONS...]
{
	local name=$1 file=$2 text=$3
	shift 3
	check "$text" timeout 60 "$stamp" verify "$file" "$W/$name.log" "$@"
}
