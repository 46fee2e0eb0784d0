#!/bin/bash
# Starting, ending, being killed: what is said, what is locked, what survives.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/agent.sh"
requires_program rssrv

write_server_conf "$W" portals=1
make_volume "$W" v 16M
truncate -s 1M "$W/single.raw"
printf '\n[volume single]\npath = %s\n' "$W/single.raw" >>"$W/rssrvcfg"
rssrv() { "$BUILD/rssrv" "$@"; }
rssrv_says() { rssrv "$@" >"$W/said" 2>&1; }

check "--check likes it" rssrv --check -c "$W/rssrvcfg"
echo "nonsense = 1" >>"$W/rssrvcfg"
check_fails 1 "--check finds a mistake" rssrv --check -c "$W/rssrvcfg"
like "$(rssrv --check -c "$W/rssrvcfg" 2>&1)" 'rssrvcfg:[0-9]+: .*nonsense' "and says where"
sed -i '$d' "$W/rssrvcfg"
is "$(rssrv --check -c "$W/rssrvcfg" 2>&1)" "" "and has nothing to say of this host"
sed "s/^namespaceid.*/&\nuser = nosuchuser/; s|$W/pool|$W/nosuchpool|; s|$W/single|$W/nosuch|" "$W/rssrvcfg" >"$W/elsewhere"
chmod 600 "$W/elsewhere"
check "a file for another host is no mistake" rssrv --check -c "$W/elsewhere"
out=$(rssrv --check -c "$W/elsewhere" 2>&1) || true
like "$out" 'warning: there is no user nosuchuser on this host' "but a user that is not there is told"
like "$out" ":[0-9]+: warning: \[pool main\]: $W/nosuchpool: No such file" "and a pool"
like "$out" ":[0-9]+: warning: \[volume single\]: $W/nosuch.raw: No such file" "and a volume"
check_fails 2 "an unknown option" rssrv --nosuch
check_fails 2 "an unknown log level" rssrv --log-level loud -c "$W/rssrvcfg"
check_fails 1 "no such file" rssrv -c "$W/nosuch"

# As a daemon: it returns when it is usable.
cleanup_fn end_daemon
end_daemon()
{
	local pid
	pid=$(cat "$W/run/rssrv.pid" 2>/dev/null) || return 0
	kill -TERM "$pid" 2>/dev/null || return 0
	wait_for 10 gone "$pid"
}
check "the daemon starts" rssrv -c "$W/rssrvcfg" --run-dir "$W/run"
pid=$(cat "$W/run/rssrv.pid")
scenario "$W" <<'EOT'
c = Node().connect(seconds=0)
check("and can be used when the command returns", c.hello().status == OK)
is_("the pid file is right", status()["process"]["pid"], int(open(DIR + "/run/rssrv.pid").read()))
EOT
check_fails 1 "a second one does not start" rssrv_says -c "$W/rssrvcfg" --run-dir "$W/run"
like "$(cat "$W/said")" "already running in .*, pid $pid" "it names the first"
check_fails 1 "nor one with another run directory" rssrv_says -c "$W/rssrvcfg" --run-dir "$W/run2"
like "$(cat "$W/said")" "is in use by another rssrv" "because of the pool"
# The pool alone, at another port.
sed '/^\[volume/,$d; s/^port = .*/port = '"$(free_port)/" "$W/rssrvcfg" >"$W/other"
chmod 600 "$W/other"
check_fails 1 "nor one that has only the pool in common" rssrv_says -c "$W/other" --run-dir "$W/run2"
like "$(cat "$W/said")" "/pool is in use by another rssrv" "which is locked"
sed "s|^path = $W/pool|path = $W/pool2|" "$W/rssrvcfg" >"$W/other"
chmod 600 "$W/other"
mkdir "$W/pool2"
rssrv -c "$W/other" --run-dir "$W/run2" >"$W/other.out" 2>&1 || true
like "$(cat "$W/other.out")" "single.raw is in use by another rssrv" "a single file is locked too"
like "$(cat "$W/other.out")" "port .* in use|another program" "and so is the port"
check_fails 1 "what did not start leaves no socket" test -e "$W/run2/rssrv.sock"
end_daemon
check_fails 1 "SIGTERM ends it and removes the socket" test -e "$W/run/rssrv.sock"

# What has no pool says so.
sed "s|^path = $W/pool|path = $W/nosuchpool|" "$W/rssrvcfg" >"$W/other"
check_fails 1 "a missing pool" rssrv_says -c "$W/other" --run-dir "$W/run2"
like "$(cat "$W/said")" "pool main.*nosuchpool" "is named"

# Being told to end, being killed.
start_server "$W"
scenario "$W" <<'EOT'
import signal
c = Node().login()
c.open("v")
cookies = [c.start(WRITE, b"%06d" % i * 512, offset=i * 4096, count=3072, handle=1) for i in range(500)]
c.start(PING, offset=9, cookie=3)
os.kill(status()["process"]["pid"], signal.SIGTERM)
got = {}
try:
    while True:
        r = c.next_reply()
        got.setdefault((r.type, r.cookie), r)
except Closed:
    pass
check("SIGTERM is told as an event", any(k[0] == EVENT and number(r.payload, T_EVENT_KIND) == EV_LEAVING for k, r in got.items()))
answered = [i for i, k in enumerate(cookies) if (WRITE, k) in got and got[WRITE, k].status == OK]
disk = open(pool_file("v.raw"), "rb").read()
check("what was answered is in the file", all(disk[i * 4096:i * 4096 + 3072] == b"%06d" % i * 512 for i in answered))
EOT
stop_server "$W"

done_testing
