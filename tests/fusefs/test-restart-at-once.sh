#!/bin/bash
# rsiod is killed and started again at once, as a service manager does it: what tidies up
# after the one before takes neither the new mount nor a device that was attached anew.
# time-limit: 120
# long-time-limit: 300
# shellcheck source=tests/functions.sh
. "$(dirname "$0")/../functions.sh"
requires_root
requires_fuse
requires_loop
requires_cmd pgrep
requires_program rssrv rsiod rsconfig
test_seed
rounds=$(sample_or_all 5 30)

vol=again$$		# names in /dev/avN are the machine's
write_server_conf "$W/srv"
make_volume "$W/srv" $vol 8M
write_client_conf "$W/clt" "$W/srv"
start_server "$W/srv"
start_client "$W/clt"
rsconfig() { timeout 20 "$BUILD/rsconfig" --run-dir "$W/clt/run" "$@"; }
detach_all() { rsconfig -d --force >/dev/null 2>&1 || true; }
cleanup_fn detach_all
rsconfig -a osl:$vol >/dev/null
tidied() { gone "$tidier"; }

for ((i = 1; i <= rounds; i++)); do
	tidier=$(pgrep -P "$(client_pid "$W/clt")")
	kill_client "$W/clt"
	sleep_up_to 10
	start_client "$W/clt"
	check "round $i: the volume is attached anew" rsconfig -a osl:$vol
	check "round $i: the old one has been tidied up" wait_for 10 tidied
	check "round $i: the new mount is there" client_ready "$W/clt/mnt"
	check "round $i: and its device" dd if=/dev/av0/$vol of=/dev/null bs=1M count=1 iflag=direct status=none
done
check "detached" rsconfig -d osl:$vol
done_testing
