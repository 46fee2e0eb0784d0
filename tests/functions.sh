# shellcheck shell=bash
# functions.sh - for scenario scripts: source it first.  tests/README.md has an
# example.
#
# What a test prints is TAP ("ok 1 - name").  It works in a directory of its
# own, $W; everything it starts belongs to that directory, is ended in reverse
# order when the script ends, and what is left then fails the test by name.

set -euo pipefail

TESTS_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TOP=$(dirname "$TESTS_DIR")
SELF=$(realpath "$0")
BUILD=${BUILD:-build}
case $BUILD in /*) ;; *) BUILD=$TOP/$BUILD ;; esac
if [ -z "${RSIO_TEST_DIR:-}" ]; then
	# Not under run.sh.  Started anew, so that the variable, by which
	# sweep.sh knows what belongs to the test, is in each process's
	# environment from its start.
	RSIO_TEST_DIR=$(mktemp -d /tmp/rsio-test-XXXXXX)
	chmod 755 "$RSIO_TEST_DIR"
	export RSIO_TEST_DIR RSIO_TEST_ALONE=yes
	exec bash "$SELF" "$@"
fi
W=$RSIO_TEST_DIR
export RSIO_RUN_DIR=$W/run RSIO_STATE_DIR=$W/state XDG_RUNTIME_DIR=$W/xdg HOME=$W/home LC_ALL=C
mkdir -p "$W/home" "$W/xdg"
chmod 700 "$W/xdg"
cd "$W"

tap_count=0 tap_failed=0 tap_finished=
daemons_ended_badly=()
cleanups=()
declare -A daemon_pid=()

# Saying what is so.

ok()		# NAME
{
	tap_count=$((tap_count + 1))
	echo "ok $tap_count - $*"
}

not_ok()	# NAME; details follow with note
{
	tap_count=$((tap_count + 1))
	tap_failed=$((tap_failed + 1))
	echo "not ok $tap_count - $*"
}

note()		# TEXT...
{
	printf '%s\n' "$*" | sed 's/^/# /'
}

is()		# GOT EXPECTED NAME
{
	if [ "$1" = "$2" ]; then
		ok "$3"
	else
		not_ok "$3"
		note "     got: $1"
		note "expected: $2"
	fi
}

like()		# GOT EXTENDED-REGEX NAME
{
	if grep -qE -- "$2" <<<"$1"; then
		ok "$3"
	else
		not_ok "$3"
		note "         got: $1"
		note "not matching: $2"
	fi
}

check()		# NAME COMMAND...: ok when it succeeds; its output is shown when not
{
	local name=$1 out status=0
	shift
	out=$("$@" 2>&1) || status=$?
	if [ $status = 0 ]; then
		ok "$name"
	else
		not_ok "$name"
		note "$* ended with status $status"
		note "$out"
	fi
}

check_fails()	# STATUS NAME COMMAND...: ok when it ends with that status
{
	local status=$1 name=$2 got=0 out
	shift 2
	out=$("$@" 2>&1) || got=$?
	if [ "$got" = "$status" ]; then
		ok "$name"
	else
		not_ok "$name"
		note "$* ended with status $got, not $status"
		note "$out"
	fi
}

bail()		# NAME: fails and ends the test; for what the rest depends on
{
	not_ok "$*"
	tap_finished=yes
	exit 1
}

skip()		# REASON: ends the whole test
{
	echo "1..0 # SKIP $*"
	tap_finished=yes
	exit 77
}

done_testing()	# the last line of every script
{
	echo "1..$tap_count"
	tap_finished=yes
	[ "$tap_failed" = 0 ]
}

# What a test needs.

requires_root()
{
	[ "$(id -u)" = 0 ] || skip "needs root"
}

requires_cmd()
{
	local c

	for c; do
		command -v "$c" >/dev/null || skip "needs the command $c"
	done
}

requires_program()	# NAME...: of this project
{
	local p

	for p; do
		[ -x "$BUILD/$p" ] || skip "needs $BUILD/$p, which is not built"
	done
}

requires_fuse()
{
	# Readable without a mount behind it: EPERM; without the module: ENODEV.
	if [ ! -c /dev/fuse ] || ! (: <>/dev/fuse) 2>/dev/null; then
		skip "needs /dev/fuse"
	fi
	[ "$(id -u)" = 0 ] || requires_cmd fusermount3
}

requires_loop()
{
	requires_root
	losetup -f >/dev/null 2>&1 || skip "needs loop devices"
}

requires_netns()
{
	requires_root
	requires_cmd ip nsenter
	unshare -n true 2>/dev/null || skip "needs network namespaces"
}

# Ending.

cleanup_fn()	# COMMAND...: run at the end; the last one first
{
	local q

	printf -v q '%q ' "$@"
	cleanups+=("$q")
}

end_process()	# PID of a child, if it is still there; for cleanup_fn
{
	kill "$1" 2>/dev/null || true
	wait "$1" 2>/dev/null || true
}

leftovers()
{
	SWEEP_SPARE=${watchdog_pid:-} "$TESTS_DIR/sweep.sh" --list "$W"
}

no_leftovers()
{
	[ -z "$(leftovers)" ]
}

at_exit()
{
	local status=$? i left

	trap - EXIT
	trap '' HUP INT TERM	# what ends it is under way already
	set +e
	for ((i = ${#cleanups[@]} - 1; i >= 0; i--)); do
		eval "${cleanups[i]}"
	done
	# A daemon that detached itself may be about to end.
	[ $status = 77 ] || wait_for 2 no_leftovers
	left=$(leftovers)
	stop_watchdog
	if [ -n "$left" ]; then
		not_ok "nothing is left behind"
		note "$left"
		"$TESTS_DIR/sweep.sh" "$W" >/dev/null
	fi
	for i in "${daemons_ended_badly[@]}"; do
		not_ok "$i"
	done
	if [ -z "$tap_finished" ]; then
		not_ok "the test ended before its end, with status $status"
	fi
	[ "$tap_failed" = 0 ] || status=1
	cd /
	if [ -n "${RSIO_TEST_ALONE:-}" ] && [ $status != 1 ]; then
		rm -rf --one-file-system "$W"
	elif [ -n "${RSIO_TEST_ALONE:-}" ]; then
		note "its files are in $W"
	fi
	exit $status
}

# When the test takes longer than it may, the daemons are killed first: who
# waits in the kernel for one of them can be ended only then.
limit_said()	# KEY
{
	sed -n "s/^# $1: *\([0-9]*\)\$/\1/p" "$SELF" | head -n 1
}
time_limit=${RSIO_LONG:+$(limit_said long-time-limit)}
time_limit=${time_limit:-$(limit_said time-limit)}
time_limit=${TIME_LIMIT:-${time_limit:-120}}

watchdog()
{
	local end=$((SECONDS + time_limit)) found idle

	trap - EXIT HUP INT TERM
	exec {idle}<> <(:)
	while [ $SECONDS -lt $end ]; do
		read -rt 1 -u "$idle"
		kill -0 $$ 2>/dev/null || exit 0
	done
	found=$(SWEEP_SPARE=$BASHPID "$TESTS_DIR/sweep.sh" "$W")
	not_ok "ends within $time_limit s"
	note "what was there: $found"
	kill -TERM $$
	read -rt 10 -u "$idle"
	kill -KILL $$
}

stop_watchdog()
{
	kill "$watchdog_pid" 2>/dev/null
	wait "$watchdog_pid" 2>/dev/null
}

# Waiting.

# SECONDS are those of the ordinary build.
try_for()	# SECONDS COMMAND...: until it succeeds; 1 when it never did
{
	local end now
	end=$(awk -v s=$(($1 * ${RSIO_SLOW:-1})) '{ printf "%d", ($1 + s) * 100 }' /proc/uptime)
	shift
	until "$@"; do
		read -r now _ </proc/uptime
		[ "${now/./}" -lt "$end" ] || return 1
		sleep 0.02
	done
}

wait_for()	# SECONDS COMMAND...: the same, and says so when it was in vain
{
	try_for "$@" && return
	note "waited $1 s in vain for: ${*:2}"
	return 1
}

gone()		# PID
{
	local state

	state=$(sed -n 's/^State:[^A-Za-z]*\([A-Za-z]\).*/\1/p' "/proc/$1/status" 2>/dev/null) || true
	[ -z "$state" ] || [ "$state" = Z ]
}

# Length and chance.  tests/run.sh --long does all of what make check does a sample
# of.  What a test throws comes from a seed, so that it can be thrown again.

sample_or_all()	# SAMPLE ALL
{
	if [ -n "${RSIO_LONG:-}" ]; then
		echo "$2"
	else
		echo "$1"
	fi
}

test_seed()	# before the first dice; $RSIO_SEED, else the commit's, else 1, as run.sh has it
{
	local commit

	commit=$(git -c safe.directory='*' -C "$TOP" rev-parse HEAD 2>/dev/null) || commit=1
	dice_state=${RSIO_SEED:-$((16#${commit:0:7}))}
	note "repeat with: RSIO_SEED=$dice_state tests/run.sh ${RSIO_LONG:+--long }${SELF#"$TESTS_DIR/"}"
}

dice()		# N: sets $dice to 0..N-1.  Not in $(), where its state would be lost.
{
	dice_state=$((dice_state * 6364136223846793005 + 1442695040888963407))
	dice=$(((dice_state >> 33 & 0x7fffffff) % $1))
}

sleep_up_to()	# MILLISECONDS
{
	dice "$1"
	sleep "$((dice / 1000)).$(printf %03d $((dice % 1000)))"
}

# Configurations.

ports_taken=" "

free_port()	# prints a TCP port that nobody has; below what connect() takes for itself
{
	local p i

	for ((i = 0; i < 1000; i++)); do
		p=$((${PORT_BASE:-16000} + RANDOM % 4000))
		[[ $ports_taken != *" $p "* ]] || continue
		[ -z "$(ss -Hltn "sport = :$p")" ] || continue
		echo "$p"
		return
	done
	return 1
}

new_key()
{
	od -An -vtx1 -N32 /dev/urandom | tr -d ' \n'
}
TEST_KEY=$(new_key)

make_volume()	# SERVER-DIR NAME SIZE
{
	mkdir -p "$1/pool"
	truncate -s "$3" "$1/pool/$2.raw"
}

# Both sides have TLS, the default, unless TEST_SECURITY says auth.
test_security()
{
	[ -z "${TEST_SECURITY-}" ] || printf 'security = %s\n' "$TEST_SECURITY"
}

# write_server_conf DIR [portals=1] [namespace=osl] [id=200] [server=srv]
# [serverid=1] [client=node1]... [key=$TEST_KEY] [address=127.0.0.1]...
# Makes DIR/rssrvcfg with that many portals and the pool DIR/pool, for these
# clients.  More addresses: that many portals at each.  Append to the file what else is
# needed.  DIR/portals is for write_client_conf: "NAMESPACE ID SERVER ADDRESS
# PORT" a line.
write_server_conf()
{
	local dir=$1 portals=1 namespace=osl id=200 server=srv serverid=1
	local key=$TEST_KEY addresses=() clients=() arg a i n=0 port
	shift
	for arg; do
		case $arg in
		address=*) addresses+=("${arg#*=}") ;;
		client=*) clients+=("${arg#*=}") ;;
		portals=* | namespace=* | id=* | server=* | serverid=* | key=*)
			local "$arg" ;;
		*) bail "write_server_conf: what is $arg?" ;;
		esac
	done
	[ ${#addresses[@]} -gt 0 ] || addresses=(127.0.0.1)
	[ ${#clients[@]} -gt 0 ] || clients=(node1)
	mkdir -p "$dir/pool"
	: >"$dir/portals"
	: >"$dir/rssrvcfg"
	chmod 600 "$dir/rssrvcfg"
	{
		printf '[namespace %s]\nnamespaceid = %s\n' "$namespace" "$id"
		test_security
		echo
		printf '[server %s]\nserverid = %s\n\n' "$server" "$serverid"
		for a in "${addresses[@]}"; do
			for ((i = 0; i < portals; i++)); do
				port=$(free_port)
				ports_taken+="$port "
				printf '[interface if%d]\naddress = %s\nport = %s\n\n' $n "$a" "$port"
				echo "$namespace $id $server $a $port" >>"$dir/portals"
				n=$((n + 1))
			done
		done
		printf '[clients]\n'
		for a in "${clients[@]}"; do
			echo "$a $key"
		done
		printf '\n[pool main]\npath = %s\n' "$dir/pool"
	} >>"$dir/rssrvcfg"
}

# write_client_conf DIR SERVER-DIR... [node=node1] [key=$TEST_KEY]
# [address=ADDRESS]...: DIR/rscltcfg for those servers; without an address
# there is no [interface] section.
write_client_conf()
{
	local dir=$1 node=node1 key=$TEST_KEY addresses=() servers=() arg n=0
	local ns id server address port last='' i=0
	shift
	for arg; do
		case $arg in
		address=*) addresses+=("${arg#*=}") ;;
		node=* | key=*) local "$arg" ;;
		*) servers+=("$arg/portals") ;;
		esac
	done
	mkdir -p "$dir"
	: >"$dir/rscltcfg"
	chmod 600 "$dir/rscltcfg"
	{
		for arg in "${addresses[@]}"; do
			printf '[interface if%d]\naddress = %s\n\n' $i "$arg"
			i=$((i + 1))
		done
		while read -r ns id server address port; do
			if [ "$ns" != "$last" ]; then
				printf '[namespace %s]\nnamespaceid = %s\nnodename = %s\nnodekey = %s\n' \
					"$ns" "$id" "$node" "$key"
				test_security
				echo
				n=0
			fi
			last=$ns
			n=$((n + 1))
			printf '[server %s-%d]\naddress = %s\nport = %s\n\n' "$server" $n "$address" "$port"
		done < <(sort -s -k1,1 "${servers[@]}")
	} >>"$dir/rscltcfg"
}

# Daemons.
# NETNS=NAME before a command starts it in that network namespace.  By nsenter:
# "ip netns exec" would hide the mounts as well.

in_netns()	# COMMAND...
{
	if [ -n "${NETNS:-}" ]; then
		exec nsenter --net="/run/netns/$NETNS" "$@"
	fi
	exec "$@"
}

netns_add()	# NAME: prints the real name; taken away at the end
{
	local name=rt$$-$1

	ip netns add "$name"
	echo "$name" >>"$W/.netns"
	ip -n "$name" link set lo up
	echo "$name"
}

delete_namespaces()
{
	local n

	[ -e "$W/.netns" ] || return 0
	while read -r n; do
		ip netns del "$n" 2>/dev/null || true
	done <"$W/.netns"
}
cleanup_fn delete_namespaces

show_output()	# FILE
{
	note "the end of $1:"
	tail -n 25 "$1" | sed 's/^/# | /'
}

# Starts a daemon in the foreground as a child of the test.
start_daemon()	# KEY LOG READY-COMMAND PROGRAM ARGS...
{
	local key=$1 log=$2 ready=$3 pid
	shift 3
	(
		trap - EXIT HUP INT TERM
		in_netns "$@"
	) >>"$log" 2>&1 </dev/null &
	pid=$!
	daemon_pid[$key]=$pid
	cleanup_fn stop_daemon "$key"
	if ! wait_for "${START_SECONDS:-15}" started_or_gone "$pid" "$ready" || gone "$pid"; then
		show_output "$log"
		return 1
	fi
}

started_or_gone()	# PID READY-COMMAND
{
	gone "$1" || eval "$2"
}

# Ends it in order: no later than 10 s, with status 0 or by the signal.
stop_daemon()	# KEY
{
	local key=$1 pid=${daemon_pid[$1]:-} status=0

	[ -n "$pid" ] || return 0
	unset "daemon_pid[$key]"
	kill -TERM "$pid" 2>/dev/null || true
	if ! try_for "${STOP_SECONDS:-10}" gone "$pid"; then
		daemons_ended_badly+=("${key%%:*} (pid $pid) ends within 10 s of SIGTERM")
		kill -KILL "$pid" 2>/dev/null || true
	fi
	wait "$pid" 2>/dev/null || status=$?
	case $status in
	0 | 143 | 137) ;;
	*)
		daemons_ended_badly+=("${key%%:*} (pid $pid) ends in order, not with status $status")
		show_output "${key#*:}/${key%%:*}.out"
		;;
	esac
}

kill_daemon()	# KEY: as a crash
{
	local pid=${daemon_pid[$1]:-}

	[ -n "$pid" ] || return 0
	unset "daemon_pid[$1]"
	kill -KILL "$pid" 2>/dev/null || true
	wait "$pid" 2>/dev/null || true
}

server_ready()	# DIR
{
	[ -S "$1/run/rssrv.sock" ]
}

start_server()	# DIR [ARGS...]: what write_server_conf made; $RSSRV: another program than rssrv
{
	local dir=$1
	shift
	mkdir -p "$dir/run"
	# shellcheck disable=SC2086  # a prefix of several words
	start_daemon "rssrv:$dir" "$dir/rssrv.out" "server_ready $(printf %q "$dir")" \
		${VG:-} "$BUILD/${RSSRV:-rssrv}" -f -c "$dir/rssrvcfg" --run-dir "$dir/run" "$@" ||
		bail "rssrv starts"
}

server_pid() { echo "${daemon_pid[rssrv:$1]}"; }	# DIR
stop_server() { stop_daemon "rssrv:$1"; }		# DIR
kill_server() { kill_daemon "rssrv:$1"; }		# DIR

client_ready()	# MNT; with a limit, since a mount whose daemon is stuck waits for ever
{
	timeout -k 1 5 test -e "$1/.rsio/status"
}

unmount()	# MNT: what a killed rsiod left
{
	if mountpoint -q "$1" 2>/dev/null || ! timeout 5 stat "$1" >/dev/null 2>&1; then
		umount -l "$1" 2>/dev/null || fusermount3 -u -z "$1" 2>/dev/null || true
	fi
}

mount_point()	# MNT: a dead mount is there and cannot be looked at, and goes at any moment
{
	mkdir -p "$1" 2>/dev/null || grep -qF " $1 " /proc/self/mountinfo
}

start_client()	# DIR [MNT=DIR/mnt] [ARGS...]: what write_client_conf made
{
	local dir=$1 mnt=${2:-$1/mnt}
	shift
	[ $# = 0 ] || shift
	mkdir -p "$dir/run"
	wait_for 5 mount_point "$mnt" || bail "$mnt is made"
	cleanup_fn unmount "$mnt"
	# shellcheck disable=SC2086
	start_daemon "rsiod:$dir" "$dir/rsiod.out" "client_ready $(printf %q "$mnt")" \
		${VG:-} "$BUILD/rsiod" -f -c "$dir/rscltcfg" --run-dir "$dir/run" -m "$mnt" "$@" ||
		bail "rsiod starts"
}

client_pid() { echo "${daemon_pid[rsiod:$1]}"; }	# DIR
stop_client() { stop_daemon "rsiod:$1"; }		# DIR
kill_client() { kill_daemon "rsiod:$1"; }		# DIR

trap at_exit EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
set +e
watchdog &
watchdog_pid=$!
set -e
