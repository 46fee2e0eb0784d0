#!/bin/bash
# A real client, one honest portal and one that lies, at the login and in its answers:
# each lie closes that connection and is named in the path's status or in the log; I/O
# goes on over the honest one, and nothing is done twice in the wrong order.
# time-limit: 150
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lab.sh"
requires_root
requires_fuse
requires_cmd python3
requires_program rsiod

mkdir -p "$W/srv"
honest=$(free_port)
ports_taken+="$honest "
lying=$(free_port)
printf 'osl 200 srv 127.0.0.1 %s\n' "$honest" "$lying" >"$W/srv/portals"
TEST_SECURITY=auth write_client_conf "$W/clt" "$W/srv"
# Commands go over the lying path as soon as it is there, however often it was lost.
printf '[defaults]\nprobation = 0\npolicy = round-robin\n' >>"$W/clt/rscltcfg"
vol=$W/clt/mnt/osl/vol

coproc LIAR { trap - EXIT; exec env PYTHONPATH="$TESTS_DIR/peer" PYTHONDONTWRITEBYTECODE=1 \
	python3 "$TESTS_DIR/peer/liar.py" "$TEST_KEY" "$honest" "$lying" \
	"$W/clt/mnt/osl/.rsio/paths.json" "$W/clt/rsiod.out" 2>"$W/liar.err"; }
# shellcheck disable=SC2153
liar_pid=$LIAR_PID
exec {said}<&"${LIAR[0]}" {go}>&"${LIAR[1]}"
cleanup_fn sh -c "kill $liar_pid 2>/dev/null || true"
read -rt 10 line <&"$said"
is "$line" ready "the scripted server listens"

start_client "$W/clt"
start_stamp vol "$vol" --blocks 256 --jobs 2
echo >&"$go"
while read -rt 40 line <&"$said" && [ "$line" != "done" ]; do
	case $line in
	"ok "*) ok "${line#ok }" ;;
	"not ok "*) not_ok "${line#not ok }" ;;
	*) note "$line" ;;
	esac
done
is "$line" "done" "all lies were told"
goes_on vol "writes go on over the honest portal"
end_stamp vol
verified vol "$vol" "and nothing is lost, old or torn"
like "$(grep -c 'portal\|srv-2' "$W/clt/rsiod.out")" '^[1-9]' "the log names the lying portal"
check_fails 1 "no control character of the server's reaches the log" grep -q $'\033' "$W/clt/rsiod.out"
is "$(cat "$W/liar.err")" "" "the scripted server itself is well"
stop_client "$W/clt"
echo >&"$go"
exec {go}>&- {said}<&-
wait_for 5 gone "$liar_pid" || true
done_testing
