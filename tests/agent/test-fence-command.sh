#!/bin/bash
# fence-command: run for a server that keeps its claims for longer than a lease, and
# believed for the process that it was about.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/servers.sh"

mkdir "$W/disk"
for i in 1 2; do
	mkdir -p "$W/$i"
	write_server_conf "$W/$i" server=srv$i serverid=$i portals=2 client=node1 client=node2
	truncate -s 16M "$W/disk/v.raw" "$W/disk/w.raw"
	for v in v w; do
		printf '\n[volume %s]\npath = %s\nshared = yes\n' $v "$W/disk/$v.raw" >>"$W/$i/rssrvcfg"
	done
done
cat >"$W/fence" <<EOT2
#!/bin/sh
echo "\$(date +%s) \$RSIO_SERVER \$RSIO_SERVER_ID \$RSIO_NAMESPACE \$RSIO_CLIENT" >>"$W/calls"
echo "this is said about \$RSIO_SERVER"
[ -e "$W/fails" ] && exit 3
[ -e "$W/kills" ] && kill -9 "\$(cat "$W/\$RSIO_SERVER_ID/run/rssrv.pid")"
ls -l /proc/self/fd >"$W/fds"
cat >"$W/stdin"
[ ! -e "$W/lies" ] && [ ! -e "$W/kills" ] && exit 1
exit 0
EOT2
chmod +x "$W/fence"
sed -i "s|^serverid.*|&\nfence-command = $W/fence|" "$W/2/rssrvcfg"
start_server "$W/1"
start_server "$W/2"
unlike() { if grep -q -- "$2" <<<"$1"; then not_ok "$3"; note "$1"; else ok "$3"; fi; }
unlike "$(cat "$W/2/rssrv.out")" fence-command "the key has an effect"

SCENARIO_SECONDS=110 scenario "$W" <<'EOT'
from several import *
calls = lambda: open(DIR + "/calls").read().splitlines() if os.path.exists(DIR + "/calls") else []

# Not for a claim that is free, not for one that its lease ends.
a, b = both(lease=1000)
check("a claim whose lease ends is free", free_after(b, "srv1", 1) is not None)
is_("without the command", calls(), [])
finish(b)

# It fails.
a, b = both(lease=3000, second=3000)
a.write(0, b"1" * 4096)
open(DIR + "/fails", "w").close()
send(ONE, "STOP")
begin = time.monotonic()
k = a.start(WRITE, b"old!" * 1024, offset=0, count=4096, handle=1)
check("a stopped server keeps its claim", still_held(b, "srv1", 1, 1))
is_("for a lease and a second nothing is run", calls(), [])
waits = status(TWO)["others"]["waits"]
is_("it shows who waits", [(w["client"], w["server"], w["server_id"]) for w in waits], [("node1", "srv1", 1)])
check("then it is", wait_until(lambda: b.takeover("srv1", 1)[0] == E_BUSY and len(calls()) == 1), calls())
is_("with its environment", calls()[0].split()[1:], ["srv1", "1", "osl", "node1"])
check("a failure frees nothing", wait_until(lambda: [f["state"] for f in status(TWO)["others"]["fences"]] == ["failed"]) and
      b.takeover("srv1", 1)[0] == E_BUSY)

# It says that the server is off, again after 10 s.
os.unlink(DIR + "/fails")
open(DIR + "/kills", "w").close()
took = free_after(b, "srv1", 1, 30)
check("run again it kills the server, and the claim is free", took is not None, took)
is_("that was the second run", len(calls()), 2)
check("ten seconds after the first", int(calls()[1].split()[0]) - int(calls()[0].split()[0]) >= 9, calls())
say("lease 3.0 s: free %.1f s after the stop, with a run that failed and the pause before the next" % (time.monotonic() - begin))
# The killed server's claim is free before the command has ended.
wait_until(lambda: os.path.exists(DIR + "/stdin"))
is_("its standard input is empty", os.path.getsize(DIR + "/stdin"), 0)
fds = [l.split()[8] for l in open(DIR + "/fds").read().splitlines()[1:]]
is_("it has three descriptors, and the one that lists them", sorted(fds), ["0", "1", "2", "3"])
is_("nothing of the old write is there", b.read(0, 4096), b"1" * 4096)
finish(b)
EOT
logged "$W/2" 'client node1 waits for server srv1 .id 1., which still has its claim' "the log says who waits"
logged "$W/2" 'server srv1 .id 1. keeps its claims, client node1 waits: running fence-command' "and what is run"
logged "$W/2" 'fence-command: this is said about srv1' "and what that said"
logged "$W/2" 'fence-command ended with status 3: server srv1 .id 1. is not known to be off' "that it failed"
logged "$W/2" 'fence-command says that server srv1 .id 1. is off' "that it did not"
wait_for 5 gone "$(server_pid "$W/1")"
kill_server "$W/1"
rm "$W/kills"
stop_server "$W/2"	# so that its pause of 10 s is over
start_server "$W/2"
start_server "$W/1"

# Its word is believed, and for that process alone.
SCENARIO_SECONDS=110 scenario "$W" <<'EOT'
from several import *
calls = lambda: len(open(DIR + "/calls").read().splitlines())
before = calls()
open(DIR + "/lies", "w").close()
a, b = both(lease=2000, second=2000)
a.write(0, b"1" * 4096)
send(ONE, "STOP")
k = a.start(WRITE, b"old!" * 1024, offset=0, count=4096, handle=1)
took = free_after(b, "srv1", 1)
check("its word is believed though the lock is still there", took is not None and took >= 2.9, took)
say("lease 2.0 s: free %.2f s after the first question, by fence-command" % took)
is_("once", calls(), before + 1)
is_("another handle asks: it is known", b.takeover("srv1", 1)[0], OK)
b.write(0, b"2" * 4096)
# A restarted client: that server does not keep it out.
b.pinger.stop()
b.close()
c = Node("node1", TWO).login()
took = open_later(c)
check("a restarted client gets the volume, too", took is not None, took)
is_("without another run", calls(), before + 1)
send(ONE, "CONT")
check("its sessions end", a.closed(10))
is_("if it goes on after all, its lease was over", c.read(0, 4096), b"2" * 4096)
finish(c)
os.unlink(DIR + "/lies")
EOT
kill_server "$W/1"
start_server "$W/1"
SCENARIO_SECONDS=110 scenario "$W" <<'EOT'
from several import *
a, b = both(lease=15000)
is_("the word does not cover a process that was started later", status_name(b.takeover("srv1", 1)[0]), "BUSY")
is_("which shows", [f["state"] for f in status(TWO)["others"]["fences"]], ["off"])
finish(a, b)
EOT
done_testing
