#!/bin/bash
# test-manage-tree-stuck.sh - a server that does not answer: what changes something in the tree ends
# within 10 seconds, at once when it is killed, and nobody else waits meanwhile.
# shellcheck source=tests/functions.sh
. "$(dirname "$0")/../functions.sh"
requires_root
requires_fuse
requires_program rssrv rsiod
requires_cmd getfattr

write_server_conf "$W/srv"
printf 'manage = node1\n' >>"$W/srv/rssrvcfg"
make_volume "$W/srv" vol 4M
make_volume "$W/srv" other 4M
write_client_conf "$W/clt" "$W/srv"
start_server "$W/srv"
start_client "$W/clt" "$W/clt/mnt" -o manage -v
m=$W/clt/mnt/osl
exists() { [ -e "$1" ]; }
ended() { ! kill -0 "$1" 2>/dev/null; }
in_background() { "$@" >/dev/null 2>"$W/background.err" & background=$!; }

check "a snapshot" mkdir "$m/.snap/vol/before"
server=$(server_pid "$W/srv")
cleanup_fn kill -CONT "$server"
kill -STOP "$server"

# Who is killed is let go.
in_background mkdir "$m/.snap/vol/killed"
begun() { grep -q "$1 by pid .* begins" "$W/clt/rsiod.out"; }
check "mkdir waits for the server" wait_for 5 begun 'mkdir osl:vol@killed'
kill "$background"
check "killed, it ends at once" wait_for 2 ended "$background"

# All others go on.
truncate -s 6M "$m/vol" >/dev/null 2>&1 &
grows=$!
in_background mkdir "$m/.snap/vol/late"
began=$SECONDS
check "while one waits, the volumes are listed" timeout 2 ls -l "$m"
check "a volume is looked at" timeout 2 stat "$m/vol"
check "and the snapshots of another" timeout 2 ls -l "$m/.snap/other"
check "one that was known is found" timeout 2 stat "$m/.snap/vol/before/vol"
check "the state is shown" timeout 2 cat "$m/.rsio/status"
status=0
timeout 8 getfattr -n user.rsio.pool "$m/vol" >/dev/null 2>&1 || status=$?
is "$status" 1 "what the server alone knows is asked for in vain, for a while"
check "what is known here is said" timeout 2 getfattr -n user.rsio.uuid "$m/vol"
check "names of attributes too" timeout 2 getfattr -m . "$m/vol"
check "the one that waits ends" wait_for 20 ended "$background"
check "within ten seconds" test $((SECONDS - began)) -le $((12 * ${RSIO_SLOW:-1}))
like "$(cat "$W/background.err")" 'timed out' "with an error that says why"
like "$(cat "$W/clt/rsiod.out")" 'mkdir osl:vol@late by pid [0-9]+, uid 0: .*(answered|not done)' "as does the log"
check "one that grows a volume ends too" wait_for 20 ended "$grows"
is "$(stat -c %s "$m/vol")" 4194304 "and nothing is shown that is not so"

# It goes on.
kill -CONT "$server"
check "when the server is back, all goes on" wait_for 20 mkdir "$m/.snap/vol/after"
check "and is there" exists "$m/.snap/vol/after/vol"
done_testing
