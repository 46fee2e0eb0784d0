#!/bin/bash
# TLS on all paths: nothing of the data is to be seen on the wire, what is changed there
# is noticed, faults lose nothing, and whoever is not secured alike is told what to do.
# time-limit: 150
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lab.sh"
requires_root
requires_fuse
requires_cmd python3 jq
requires_netns
requires_program rssrv rsiod rsconfig

start_relay()	# DIR SERVER-DIR: sits before its portals; DIR/portals is for write_client_conf
{
	local ports pid

	mkdir -p "$1"
	mapfile -t ports < <(awk '{ print $5 }' "$2/portals")
	(
		trap - EXIT HUP INT TERM
		exec python3 "$TESTS_DIR/peer/relay.py" "$1" "$srv_ns" "${ports[@]}"
	) >"$1/out" 2>&1 </dev/null &
	pid=$!
	cleanup_fn end_process $pid
	wait_for 10 test -s "$1/ports"
	paste -d' ' <(awk '{ print $1, $2, $3, $4 }' "$2/portals") "$1/ports" >"$1/portals"
}

asked_for() { touch "$1/$2"; }			# RELAY WHAT
done_by() { [ ! -e "$1/$2" ]; }
reasons() { jq -r '[.. | objects | .reason? // .lost_reason? // empty] | join("; ")' "$1/mnt/osl/.rsio/status.json"; }
reason_like() { reasons "$1" | grep -qE -- "$2"; }
security() { jq -r '[.servers[].paths[].security // empty] | unique | join(" ")' "$1/mnt/osl/.rsio/status.json"; }
set_security()	# FILE auth|tls
{
	sed -i "/^security/d; s/^namespaceid.*/&\nsecurity = $2/" "$1"
}

# The server is where the client gets through the relay only, whatever portals it tells of.
srv_ns=$(netns_add srv)
write_server_conf "$W/srv" portals=2
make_volume "$W/srv" data 8M
make_volume "$W/srv" clear 1M
NETNS=$srv_ns start_server "$W/srv"
start_relay "$W/relay" "$W/srv"
write_client_conf "$W/clt" "$W/relay"
start_client "$W/clt"
vol=$W/clt/mnt/osl
check "both paths are up" wait_for 10 paths_are "$W/clt" 2
is "$(security "$W/clt")" tls "with TLS"

marker=the-quick-brown-fox-$TEST_KEY
seen() { grep -qaF -- "$marker" "$W/relay/wire"; }
for ((i = 0; i < 64; i++)); do printf '%-128s' "$marker"; done >"$W/text"
dd if="$W/text" of="$vol/clear" bs=8k oflag=direct conv=notrunc status=none
dd if="$vol/clear" bs=8k count=1 iflag=direct status=none | cmp - "$W/text" && ok "data is read as it was written"
check_fails 1 "and nothing of it is seen on the wire" seen

export TRAFFIC_SECONDS=120
start_stamp data "$vol/data" --blocks 2048 --jobs 16 --flush-every 100
for round in 1 2 3; do
	for what in flip-up flip-down cut; do
		asked_for "$W/relay" $what
		wait_for 10 done_by "$W/relay" $what || not_ok "round $round: $what was done"
		goes_on data "round $round, $what: writes go on" 20
	done
done
check "a changed record is what the client says it was" reason_like "$W/clt" 'damaged on its way|closed by the server'
kill_server "$W/srv"
NETNS=$srv_ns start_server "$W/srv"
goes_on data "the server was killed and started: writes go on" 20
check "both paths come back" wait_for 15 paths_are "$W/clt" 2
end_stamp data
verified data "$W/srv/pool/data.raw" "the server's file has what was acknowledged" --buffered
verified data "$vol/data" "and so it reads through the mount"
check "the server noticed what was changed" grep -q 'a TLS record that was damaged on its way' "$W/srv/rssrv.out"

# Who offers less.
set_security "$W/clt/rscltcfg" auth
timeout 15 "$BUILD/rsconfig" --run-dir "$W/clt/run" -m reload
check "a client with auth is told what to set" \
	wait_for 10 reason_like "$W/clt" 'this server asks for tls, and this client offers auth; set security = tls in \[namespace osl\]'
is "$(paths_up "$W/clt")" 0 "and is not let in"
set_security "$W/clt/rscltcfg" tls
timeout 15 "$BUILD/rsconfig" --run-dir "$W/clt/run" -m reload
check "with tls, set while it runs, it is" wait_for 15 paths_are "$W/clt" 2

# The least that is accepted, changed while the server runs.
set_security "$W/srv/rssrvcfg" auth
kill -HUP "$(server_pid "$W/srv")"
wait_for 5 grep -q 'configuration read again' "$W/srv/rssrv.out"
check "a client with tls is welcome where auth is enough" paths_are "$W/clt" 2
set_security "$W/clt/rscltcfg" auth
timeout 15 "$BUILD/rsconfig" --run-dir "$W/clt/run" -m reload
check "and so is one with auth then" wait_for 15 paths_are "$W/clt" 2
is "$(security "$W/clt")" auth "in the clear"
dd if="$W/text" of="$vol/clear" bs=8k oflag=direct conv=notrunc status=none
check "where the wire shows all" wait_for 5 seen
set_security "$W/srv/rssrvcfg" tls
kill -HUP "$(server_pid "$W/srv")"
check "when the server asks for more, such connections end" wait_for 10 paths_are "$W/clt" 0
check "with the reason" wait_for 10 reason_like "$W/clt" 'set security = tls in \[namespace osl\]'
stop_client "$W/clt"

# Wrong keys and names, with TLS.
wrong()	# STATUS NAME REASON SED [write_client_conf's]
{
	local dir=$W/wrong expected=$1 name=$2 reason=$3 edit=$4 out status
	shift 4
	rm -rf "$dir"
	write_client_conf "$dir" "$W/relay" "$@"
	sed -i "$edit" "$dir/rscltcfg"
	mkdir -p "$dir/mnt"
	out=$(timeout 30 "$BUILD/rsiod" -f -c "$dir/rscltcfg" --run-dir "$dir/run" -m "$dir/mnt" 2>&1) && status=0 || status=$?
	is "$status" "$expected" "$name is not let in"
	like "$out" "$reason" "and is told what to look at"
}
wrong 3 "a wrong key" 'unknown node name or wrong key; compare nodename and nodekey of namespace osl' '' key=wrong
wrong 3 "an unknown node" 'unknown node name or wrong key; compare nodename' '' node=nobody
wrong 4 "another namespace" 'the server does not serve namespace xyz' 's/namespace osl/namespace xyz/'
wrong 4 "another number of it" 'the server does not serve namespace osl' 's/^namespaceid.*/namespaceid = 7/'
check_fails 1 "no key is in a log" grep -qF -- "$TEST_KEY" "$W/srv/rssrv.out" "$W/clt/rsiod.out"
done_testing
