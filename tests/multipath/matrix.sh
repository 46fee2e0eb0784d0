# shellcheck shell=bash
# matrix.sh - for test-matrix-*.sh: source it.  Two clients, one or two servers, two to
# four networks; each policy under load while a fault comes and goes.
#
# A cell is a policy, a number of paths, a number of servers and a fault.  A fault is for
# all policies at once: each has a volume of its own, and one more volume goes by the
# namespace's policy.  Each client writes one half of each volume's blocks, and reads and
# verifies both halves; at the end of the cell each verifies all that the other wrote.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lab.sh"
requires_root
requires_fuse
requires_netns
requires_cmd jq python3 ss
requires_program rssrv rsiod rsconfig

give_up=8		# seconds
away=$(sample_or_all 8 10)	# for so long a server is gone of which another one takes over
slow=${RSIO_SLOW:-1}
probation=10s		# as it is anyway
half=256		# blocks that each client writes
n_servers=0 n_paths=0
policies=(adaptive round-robin round-robin-subset fail-over least-queue weighted least-blocks)
faults=(none reset link-down silence mute silent-server mute-server
	stopped killed flapping outage long-outage)
depths=(4 1 16 2 32 8)
declare -A host_ns=()

# The hosts.  10.99.N.1 and .2 are the servers in network N, .11 and .12 the clients.

matrix_hosts()	# SERVERS NETWORKS
{
	local host n address

	n_servers=$1 networks=$2
	sw_ns=$(netns_add sw)
	for ((n = 0; n < networks; n++)); do
		ip -n "$sw_ns" link add br$n type bridge
		ip -n "$sw_ns" link set br$n up
	done
	for host in c1 c2 $(seq -f s%g "$n_servers"); do
		host_ns[$host]=$(netns_add "$host")
		address=${host#s}
		for ((n = 0; n < networks; n++)); do
			ip -n "${host_ns[$host]}" link add eth$n type veth peer name "${host}n$n" netns "$sw_ns"
			ip -n "$sw_ns" link set "${host}n$n" master br$n up
			ip -n "${host_ns[$host]}" link set eth$n up
			ip -n "${host_ns[$host]}" addr add "10.99.$n.${address/c/1}/24" dev eth$n
		done
	done
}

cable_cut() { ip -n "$sw_ns" link set "$1n$2" down; }	# HOST NETWORK: its carrier goes
cable_mend() { ip -n "$sw_ns" link set "$1n$2" up; }
host_silent() { ip -n "$sw_ns" link set "$1n$2" nomaster; }	# HOST NETWORK: nobody notices anything
host_heard() { ip -n "$sw_ns" link set "$1n$2" master "br$2"; }
# HOST NETWORK: what it sends to server $sick goes to nobody's address; what that one sends arrives.
host_mute() { ip -n "${host_ns[$1]}" neigh replace "10.99.$2.$sick" lladdr 02:00:00:00:00:99 nud permanent dev "eth$2"; }
host_unmute() { ip -n "${host_ns[$1]}" neigh del "10.99.$2.$sick" dev "eth$2"; }
resets()	# HOST NETWORK PEER: of all connections with it, for both ends
{
	nsenter --net="/run/netns/${host_ns[$1]}" ss -HKtn state established dst "10.99.$2.$3" >/dev/null
}

on_networks()	# COMMAND HOST...: for each network that has a path, and each host
{
	local n host command=$1
	shift
	for ((n = 0; n < n_paths; n++)); do
		for host; do
			"$command" "$host" $n
		done
	done
}

# The daemons.

matrix_server()	# NUMBER
{
	local s=$W/s$1

	NETNS=${host_ns[s$1]} RSIO_STATE_DIR=$s/state start_server "$s"
}

matrix_servers()	# two share the storage
{
	local i n address v

	mkdir -p "$W/pool"
	for v in plain "${policies[@]}"; do
		truncate -s $((2 * half * 4096)) "$W/pool/$v.raw"
	done
	for ((i = 1; i <= n_servers; i++)); do
		address=()
		for ((n = 0; n < networks; n++)); do
			address+=("address=10.99.$n.$i")
		done
		write_server_conf "$W/s$i" server=srv$i serverid=$i client=c1 client=c2 "${address[@]}"
		sed -i "s|^path = .*|path = $W/pool|" "$W/s$i/rssrvcfg"
		[ "$n_servers" = 1 ] || echo "shared = yes" >>"$W/s$i/rssrvcfg"
	done
	for ((i = 1; i <= n_servers; i++)); do
		matrix_server $i
	done
}

matrix_client_conf()	# NUMBER PATHS
{
	local c=$W/c$1 p=$2 i n address=() views=() v

	for ((i = 1; i <= n_servers; i++)); do
		mkdir -p "$W/view$i"
		head -n "$p" "$W/s$i/portals" >"$W/view$i/portals"
		views+=("$W/view$i")
	done
	for ((n = 0; n < p; n++)); do
		address+=("address=10.99.$n.1$1")
	done
	write_client_conf "$c" "${views[@]}" node="c$1" "${address[@]}"
	{
		printf '[defaults]\ngive-up = %ss\nweight = if0=3,if1=1\nstandby = if%d\nprobation = %s\n' \
			$give_up $((p - 1)) $probation
		for v in "${policies[@]}"; do
			printf '[volume osl:%s]\npolicy = %s\n' "$v" "$v"
			case $v in
			weighted) echo "weight = if0=1,if1=2" ;;
			round-robin-subset) echo "standby = if$((p - 1))" ;;
			esac
		done
	} >>"$c/rscltcfg"
}

# Both have so many to each server, and start anew: a path that failed before is on probation
# for a while, and nothing would be noticed of its next failure.
matrix_clients()	# PATHS
{
	local c

	n_paths=$1
	for c in 1 2; do
		stop_client "$W/c$c"
		matrix_client_conf $c "$1"
		NETNS=${host_ns[c$c]} start_client "$W/c$c"
	done
	check "both clients have $n_paths paths to each server" wait_for 15 all_paths_up
}

all_paths_up()
{
	local c

	for c in 1 2; do
		[ "$(timeout 5 cat "$W/c$c/mnt/osl/.rsio/paths.json" |
			jq '[.[] | select(.state == "up")] | length')" = $((n_paths * n_servers)) ] || return 1
	done
}

commands_to()	# CLIENT SERVER: so far, over the paths that are there now
{
	timeout 5 cat "$W/c$1/mnt/osl/.rsio/paths.json" |
		jq --arg s "/srv$2[-@]" '[.[] | select(.name | test($s)).commands] | add // 0'
}

used_more()	# CLIENT SERVER THAN
{
	[ "$(commands_to "$1" "$2")" -gt "$3" ]
}

is_used()	# CLIENT SERVER: commands go to it
{
	try_for 5 used_more "$1" "$2" $(($(commands_to "$1" "$2") + 20)) || note "client $1 hardly uses server $2"
}

# The load.

load_start()	# VOLUME DEPTH VOLUMES: so many are under load
{
	local c pause=$((500 * $2 * $3))

	for c in 1 2; do
		run_traffic "$1-$c" "$stamp" write "$W/c$c/mnt/osl/$1" "$W/$1-$c.log" --volume "$1" --writer "$c" \
			--first $((half * (c - 1))) --blocks "$half" --other "$W/$1-$((3 - c)).log" --reads "$reads" \
			--jobs "$2" --pause "$pause" --flush-every 20 --random-size --go-on \
			--seed $((${RSIO_SEED:-1} + cells * 100 + c))
	done
}

load_logs()	# VOLUME: empty ones, since each reads the other's
{
	local c

	for c in 1 2; do
		[ -e "$W/$1-$c.log" ] || "$stamp" write "$W/c$c/mnt/osl/$1" "$W/$1-$c.log" --volume "$1" \
			--writer $c --first $((half * (c - 1))) --blocks $half --jobs 1 --seconds 0.01 >/dev/null
	done
}

loads_go_on()	# VOLUME...: each acknowledges writes that begin now, of both clients
{
	local v c before=() i=0

	for v; do
		for c in 1 2; do
			before+=("$(acknowledged "$v-$c")")
		done
	done
	for v; do
		for c in 1 2; do
			# More than can have been under way.
			try_for 30 acknowledged_more "$v-$c" $((before[i] + 16 * 32)) || {
				note "$v of client $c stands still: $(tail -n 3 "$W/$v-$c.out")"
				return 1
			}
			i=$((i + 1))
		done
	done
}

# Somebody has the volumes open all the time: without a handle late writes would be
# refused anyway.
volumes_held()
{
	local v names=()

	for v in "${volumes[@]}"; do
		names+=("$W/c1/mnt/osl/$v" "$W/c2/mnt/osl/$v")
	done
	run_traffic holder python3 -c 'import signal, sys
files = [open(name, "rb", buffering=0) for name in sys.argv[1:]]
signal.pause()' "${names[@]}"
}

volumes_released()
{
	end_process "${traffic_pid[holder]}"
	unset "traffic_pid[holder]"
}

loads_told()	# to end when what they have under way is answered
{
	local v c

	for v in "${volumes[@]}"; do
		for c in 1 2; do
			kill -TERM "${traffic_pid[$v-$c]}" 2>/dev/null || true
		done
	done
	stopped=yes
}

loads_stop()
{
	local v c

	loads_told
	for v in "${volumes[@]}"; do
		for c in 1 2; do
			wait_for 30 gone "${traffic_pid[$v-$c]}" || true
		done
	done
}

# What is held back now is delivered when newer data was written and nobody writes any
# more: it would stay, and be found.
late()		# COMMAND...: lets it go
{
	loads_go_on "${volumes[@]}" || went=no
	loads_stop
	"$@"
}

# The faults; each is over at the end of its function.

fault_none() { sleep 3; }
fault_reset()	# by either end
{
	local i

	for i in 1 2; do
		resets c1 0 "$sick"
		resets c2 0 "$sick"
		sleep 1
		resets "s$sick" 0 11
		resets "s$sick" 0 12
		sleep 1
	done
}
fault_link_down()
{
	cable_cut c1 0
	cable_cut c2 0
	sleep 3
	cable_mend c1 0
	cable_mend c2 0
}
fault_silence()
{
	host_silent "s$sick" 0
	sleep 4
	host_heard "s$sick" 0
}
fault_mute()
{
	host_mute c1 0
	host_mute c2 0
	sleep 3
	late unmute_first
}
unmute_first()
{
	host_unmute c1 0
	host_unmute c2 0
}
fault_silent_server()
{
	on_networks host_silent "s$sick"
	sleep $((n_servers == 1 ? 4 : away * slow))
	on_networks host_heard "s$sick"
}
fault_mute_server()
{
	on_networks host_mute c1 c2
	if [ "$n_servers" = 1 ]; then
		sleep 4
		on_networks host_unmute c1 c2
	else
		sleep 3
		late on_networks host_unmute c1 c2
	fi
}
fault_stopped()
{
	kill -STOP "$(server_pid "$W/s$sick")"
	sleep 4
	dice 2
	# Either they go on, or what it finds now would stay.
	[ "$dice" = 0 ] || loads_told
	kill -CONT "$(server_pid "$W/s$sick")"
}
fault_killed()
{
	kill_server "$W/s$sick"
	sleep $((n_servers == 1 ? 2 : away * slow))
	matrix_server "$sick"
}
fault_flapping()	# every 200 ms for 10 s
{
	local i

	for ((i = 0; i < 25; i++)); do
		cable_cut c1 0
		cable_cut c2 0
		sleep 0.2
		cable_mend c1 0
		cable_mend c2 0
		sleep 0.2
	done
}
outage()	# SECONDS: of all paths, seen or unseen
{
	dice 2
	if [ "$dice" = 0 ]; then
		on_networks cable_cut c1 c2
		sleep "$1"
		on_networks cable_mend c1 c2
	else
		on_networks host_silent c1 c2
		sleep "$1"
		on_networks host_heard c1 c2
	fi
}
fault_outage() { outage 3; }
fault_long_outage() { outage $((give_up + 3)); }

# What is promised of the longest stall, in ms; the others wait for what the fault takes.
promised()	# FAULT
{
	case $1:$n_servers in
	reset:* | link-down:*) echo 1000 ;;
	silence:* | mute:*) echo 2000 ;;
	silent-server:2 | mute-server:2) echo 5000 ;;
	esac
}

# A slow machine is no failure: make check looks for errors, for what is wrong, and whether
# the other server took over at all while the first was away.  make check-long looks for
# what was promised, with half a second more, and that as many times as tests/run.sh says.
most()		# FAULT
{
	local p

	p=$(promised "$1")
	if [ -n "$p" ] && [ -n "${RSIO_LONG:-}" ]; then
		echo $(((p + 500) * slow))
		return
	fi
	case $1:$n_servers in
	silent-server:2 | killed:2) echo $((away * 1000 * slow)) ;;
	*) echo $(((give_up + 15) * 1000 * slow)) ;;
	esac
}

# The cells.

cells=0
table=$W/table

load_ends()	# VOLUME CLIENT: adds to writes, reads, flushes, errors, wrong, longest
{
	local pid=${traffic_pid[$1-$2]} line

	kill -TERM "$pid" 2>/dev/null || true
	if ! wait_for 30 gone "$pid"; then
		note "$1 of client $2 does not end"
		wrong=$((wrong + 1))
		return
	fi
	wait "$pid" || true
	unset "traffic_pid[$1-$2]"
	line=$(tail -n 1 "$W/$1-$2.out")
	if ! [[ $line =~ ^([0-9]+)\ writes,\ ([0-9]+)\ errors,\ longest\ wait\ ([0-9]+)\.([0-9]+)\ s,\ ([0-9]+)\ reads,\ ([0-9]+)\ flushes,\ ([0-9]+)\ wrong$ ]]; then
		note "$1 of client $2: $line"
		wrong=$((wrong + 1))
		return
	fi
	operations=$((operations + BASH_REMATCH[1] + BASH_REMATCH[5] + BASH_REMATCH[6]))
	errors=$((errors + BASH_REMATCH[2]))
	wrong=$((wrong + BASH_REMATCH[7]))
	longest=$((10#${BASH_REMATCH[3]}${BASH_REMATCH[4]} > longest ? 10#${BASH_REMATCH[3]}${BASH_REMATCH[4]} : longest))
	[ "${BASH_REMATCH[7]}" = 0 ] || show_output "$W/$1-$2.out"
}

verify_half()	# VOLUME WRITER: as the other client reads it
{
	local out blocks

	if out=$(timeout 60 "$stamp" verify "$W/c$((3 - $2))/mnt/osl/$1" "$W/$1-$2.log"); then
		blocks=${out%% *}
		verified=$((verified + blocks))
	else
		note "what client $2 wrote to $1, as the other reads it: $out"
		wrong=$((wrong + 1))
	fi
}

# What the clients' kernels hold of connections that were closed: it must not land.
nothing_on_its_way()
{
	local c

	for c in 1 2; do
		[ -z "$(nsenter --net="/run/netns/${host_ns[c$c]}" ss -Htn \
			state fin-wait-1 state closing state last-ack)" ] || return 1
	done
}

judge()		# VOLUME FAULT NAME
{
	local v=$1 fault=$2 line operations=0 errors=0 wrong=0 longest=0 verified=0 c bad=

	for c in 1 2; do
		load_ends "$v" $c
	done
	wait_for 60 nothing_on_its_way || wrong=$((wrong + 1))
	for c in 1 2; do
		verify_half "$v" $c
	done
	line="$3: longest stall $longest ms, $operations operations, $errors errors, $verified blocks verified"
	[ $wrong = 0 ] || bad="wrong data; "
	if [ "$fault" = long-outage ]; then
		[ $errors -gt 0 ] || bad+="no error after give-up; "
	else
		[ $errors = 0 ] || bad+="errors; "
	fi
	[ "$longest" -le "$(most "$fault")" ] || bad+="a stall of more than $(most "$fault") ms; "
	if [ -z "$bad" ]; then
		ok "$line"
	else
		not_ok "$line"
		note "$bad"
	fi
	printf '%-30s %5s %7s  %-14s %9s %10s %8s %8s %8s\n' "${3%%,*}" "$n_paths" "$n_servers" "$fault" "$longest" \
		"$operations" "$errors" "$verified" "$(promised "$fault")" >>"$table"
}

run_cells()	# PATHS FAULT POLICY...: all at once
{
	local p=$1 fault=$2 v volumes=(plain "${@:3}") i=0 went=yes stopped='' session before reads=40

	matrix_clients "$p"
	cells=$((cells + 1))
	session=${policies[cells % 6]}
	for v in 1 2; do
		rsconfig "$v" -m policy osl "$session"
	done
	# An answer that comes late ends a connection before it could deliver what was held back.
	[[ $fault != mute* ]] || reads=0
	volumes_held
	for v in "${volumes[@]}"; do
		load_logs "$v"
		load_start "$v" "${depths[(cells + i) % ${#depths[@]}]}" ${#volumes[@]}
		i=$((i + 1))
	done
	for v in "${volumes[@]}"; do
		try_for 20 acknowledged_more "$v-1" "$(acknowledged "$v-1")" || went=no
	done
	dice "$n_servers"
	sick=$((dice + 1))
	is_used 1 $sick
	before=$(paths_lost)
	"fault_${fault//-/_}"
	[ -n "$stopped" ] || loads_go_on "${volumes[@]}" || went=no
	is $went yes "$fault, $p paths, $n_servers servers: all loads go on"
	for v in "${volumes[@]}"; do
		judge "$v" "$fault" "${v/plain/"$session of the namespace"}, $p paths, $n_servers servers, $fault"
	done
	volumes_released
	if [ "$fault" = none ]; then
		is "$(paths_lost)" "$before" "none, $p paths, $n_servers servers: no path was lost"
	else
		check "$fault, $p paths, $n_servers servers: paths were lost" test "$(paths_lost)" -gt "$before"
	fi
	if ! wait_for 20 all_paths_up; then
		not_ok "$fault, $p paths: all paths are back"
		rsconfig 1 -m status -v 2>&1 | sed 's/^/# /'
		rsconfig 2 -m status -v 2>&1 | sed 's/^/# /'
	fi
}

paths_lost() { cat "$W"/c[12]/rsiod.out | grep -c ': stopped transmit for' || true; }	# so far, by both clients

rsconfig() { timeout 15 "$BUILD/rsconfig" --run-dir "$W/c$1/run" "${@:2}"; }	# CLIENT ARGS...

# All of them with make check-long, else a few, others for each commit; or what $MATRIX
# says: "PATHS FAULT POLICY...".
matrix_cells()	# FAULTS: so many of them
{
	local p fault i

	if [ -n "${MATRIX:-}" ]; then
		# shellcheck disable=SC2086  # words
		run_cells $MATRIX
	elif [ -n "${RSIO_LONG:-}" ]; then
		for p in 2 3 4; do
			for fault in "${faults[@]}"; do
				run_cells $p "$fault" "${policies[@]}"
			done
		done
	else
		dice 3
		p=$((2 + dice))
		for ((i = 0; i < $1; i++)); do
			dice ${#faults[@]}
			fault=${faults[dice]}
			dice ${#policies[@]}
			run_cells $p "$fault" "${policies[dice]}"
		done
	fi
}

matrix_done()
{
	local v c

	for v in plain "${policies[@]}"; do
		for c in 1 2; do
			[ ! -e "$W/$v-$c.log" ] || check "$v: the servers' file has what client $c wrote" \
				"$stamp" verify "$W/pool/$v.raw" "$W/$v-$c.log" --buffered
		done
	done
	for c in 1 2; do
		is "$(grep -c 'protocol error' "$W/c$c/rsiod.out" || true)" 0 "client $c never met a protocol error"
	done
	if [ -e "$table" ]; then
		printf '# | policy                         paths servers  fault           ms stall operations   errors verified promised\n'
		sed 's/^/# | /' "$table"
	fi
	done_testing
}
