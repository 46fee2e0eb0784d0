#!/bin/bash
# A path whose link comes and goes for more than ten seconds, under verified load: it ends on
# probation, nothing is sent over it then while another path works, and it is used again
# when its link has stayed.
# time-limit: 150
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lab.sh"
requires_root
requires_fuse
requires_cmd jq
requires_program rssrv rsiod rsconfig

rsconfig() { timeout -k 1 20 "$BUILD/rsconfig" --run-dir "$W/clt/run" "$@"; }
path0() { rsconfig -m status --json | jq -r ".paths[] | select(.name == \"if0/srv-1\") | .$1"; }
on_probation() { [ "$(path0 probation)" != null ]; }
in_full() { [ "$(path0 probation)" = null ] && [ "$(path0 state)" = up ]; }
carries_more() { [ "$(path0 commands)" -gt $(($1 + 100)) ]; }

flap()	# ROUNDS: the path is up for a while each time, or the link would flap alone
{
	local i
	for ((i = 0; i < $1; i++)); do
		link_down 0
		sleep 0.2
		link_up 0
		wait_for 10 paths_are "$W/clt" 2 || true
		sleep 0.1
	done
}

lab_two_networks
write_server_conf "$W/srv" address=10.99.0.1 address=10.99.1.1
write_client_conf "$W/clt" "$W/srv" address=10.99.0.2 address=10.99.1.2
printf '\n[defaults]\npolicy = fail-over\nprobation = 4s\n' >>"$W/clt/rscltcfg"
make_volume "$W/srv" data 8M
make_volume "$W/srv" calm 8M
NETNS=$srv_ns start_server "$W/srv"
NETNS=$clt_ns start_client "$W/clt"
vol=$W/clt/mnt/osl
check "both networks carry a path" wait_for 10 paths_are "$W/clt" 2

start_stamp data "$vol/data" --blocks 2048 --jobs 8
check "all goes over the first path" wait_for 10 carries_more 0
flap 1
check "lost once it is used again" wait_for 10 carries_more "$(path0 commands)"
flap 3
check "lost again and again it is on probation" on_probation
like "$(rsconfig -m explain)" "^    if0/srv-1, .*: on probation for [0-9]+ s more, as it was lost again and again: commands avoid it$" \
	"explain says so"
like "$(rsconfig -m status)" "^ +on probation for [0-9]+ s more: it was lost again and again$" "and so does status"

before=$(path0 commands)
start_stamp calm "$vol/calm" --blocks 2048 --jobs 8
flap 12
end_stamp calm
goes_on data "writes go on"
is "$(path0 commands)" "$before" "while it flaps on, not one command goes over it"
check "it is still on probation" on_probation

# Nothing better is left.
link_down 1
check "the other link is gone too" wait_for 10 paths_are "$W/clt" 1
goes_on data "a path on probation is better than none"
check "and it was that one" carries_more "$before"
link_up 1
check "the other one is back" wait_for 10 paths_are "$W/clt" 2

check "after good behaviour it is in full use" wait_for 20 in_full
check "and carries all again" wait_for 10 carries_more "$(path0 commands)"

end_stamp data
verified data "$W/srv/pool/data.raw" "the server's file has what was acknowledged" --buffered
verified calm "$W/srv/pool/calm.raw" "and that of the second load" --buffered
done_testing
