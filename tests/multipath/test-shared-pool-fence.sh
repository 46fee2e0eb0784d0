#!/bin/bash
# A pool that two servers share, each with a fence-command that kills the other's process:
# a server that stands still is ended by the one that is left, and I/O goes on by itself,
# also for a client that was started anew meanwhile.
# time-limit: 180
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lab.sh"
requires_root
requires_fuse
requires_cmd python3 jq
requires_program rssrv rsiod rsconfig
test_seed

mkdir "$W/store"
truncate -s 8M "$W/store/data.raw"
cat >"$W/fence" <<EOT
#!/bin/sh
pid=\$(cat "$W/s\$RSIO_SERVER_ID/run/rssrv.pid")
echo "ending \$RSIO_SERVER for \$RSIO_CLIENT"
exec kill -9 "\$pid"
EOT
chmod +x "$W/fence"
for n in 1 2; do
	write_server_conf "$W/s$n" portals=2 server=srv$n serverid=$n
	sed -i "s|^path = .*|path = $W/store\nshared = yes|; s|^serverid.*|&\nfence-command = $W/fence|" "$W/s$n/rssrvcfg"
	start_server "$W/s$n"
done
write_client_conf "$W/c" "$W/s1" "$W/s2"
printf '[defaults]\npolicy = fail-over\nretry = 100ms\n' >>"$W/c/rscltcfg"
start_client "$W/c"

servers_are()	# N: that offer the volume
{
	[ "$("$BUILD/rsconfig" -q --run-dir "$W/c/run" --json | python3 -c '
import json, sys
print([v["servers"] for n in json.load(sys.stdin)["namespaces"] for v in n["volumes"]])')" = "[$1]" ]
}
check "both servers offer the pool's volume" wait_for 20 servers_are 2

start_stamp data "$W/c/mnt/osl/data" --blocks 2048 --jobs 16 --flush-every 50
goes_on data "writes are under way" 20
kill -STOP "$(server_pid "$W/s1")"
check "the one that is left is told to end it" wait_for 60 \
	grep -q 'server srv1 .id 1. keeps its claims, client node1 waits: running fence-command' "$W/s2/rssrv.out"
check "which it does" wait_for 20 grep -q 'fence-command says that server srv1 .id 1. is off' "$W/s2/rssrv.out"
goes_on data "and I/O goes on without anybody's help" 60
wait_for 20 gone "$(server_pid "$W/s1")"
kill_server "$W/s1"
start_server "$W/s1"
check "it is back" wait_for 20 servers_are 2
goes_on data "and all goes on" 20
end_stamp data
verified data "$W/store/data.raw" "the storage has what was acknowledged" --buffered

# A client that is started anew while a server that served it stands still.
: >"$W/s1/rssrv.out"
kill -STOP "$(server_pid "$W/s2")"
kill_client "$W/c"
start_client "$W/c"
check "who was started anew gets its volume" timeout 90 dd if="$W/c/mnt/osl/data" of=/dev/null bs=4k count=1 status=none
check "when the other server has ended it" grep -q 'fence-command says that server srv2 .id 2. is off' "$W/s1/rssrv.out"
verified data "$W/c/mnt/osl/data" "with all that was acknowledged"
wait_for 20 gone "$(server_pid "$W/s2")"
kill_server "$W/s2"
done_testing
