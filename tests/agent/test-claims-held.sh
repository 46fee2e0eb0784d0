#!/bin/bash
# A server that is stopped, killed or stuck in its disk: another one is told that it
# is free when nothing of the first can write any more, and no sooner.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/servers.sh"
requires_loop
requires_cmd mkfs.ext4 fsfreeze

truncate -s 128M "$W/disk.img"
mkfs.ext4 -q "$W/disk.img"
mkdir "$W/disk"
mount -o loop "$W/disk.img" "$W/disk"
cleanup_fn umount "$W/disk"
thaw() { fsfreeze -u "$W/disk" 2>/dev/null || true; }
two_servers "$W/disk"
cleanup_fn thaw

# Stopped, for longer than its lease; what came meanwhile waits in its sockets.
SCENARIO_SECONDS=110 scenario "$W" <<'EOT'
from several import *

a, b = both(lease=1000)
a.write(0, b"1" * 4096)
send(ONE, "STOP")
begin = time.monotonic()
# It is in the server's socket before the client gives up.
a.send(request(WRITE, b"old!" * 1024, offset=0, count=4096, handle=1, cookie=1 << 10 | 7))
a.send(request(DISCARD, offset=0, count=4096, handle=1, cookie=1 << 10 | 8))
a.send(request(PING, offset=0))
check("a stopped server keeps its claim, lease or not", still_held(b, "srv1", 1, 3))
say("lease 1.0 s: a stopped server still has its claim after %.1f s" % (time.monotonic() - begin))
refused("for a restarted client as well", E_BUSY, lambda: Node("node1", TWO, run=b.run).connect().login().open("v"))
EOT
# The last line replaced the session at srv2: from the beginning.
SCENARIO_SECONDS=110 scenario "$W" <<'EOT'
from several import *
send(ONE, "CONT")
b = Node("node1", TWO).login()
b.pinger = Pinger(b, TWO)
took = open_later(b)
check("when it goes on it finds its lease over, and the claim is free", took is not None)
say("free %.2f s after it went on" % took)
is_("what waited in its sockets is not done", b.read(0, 4096), b"1" * 4096)
finish(b)

a, b = both(lease=1000)
a.write(0, b"1" * 4096)
send(ONE, "STOP")
ks = [a.start(WRITE, b"%04d" % i * 1024, offset=i * 4096, count=4096, handle=1) for i in range(200)]
check("busy", still_held(b, "srv1", 1, 2))
send(ONE, "CONT")
took = free_after(b, "srv1", 1)
check("free after it went on", took is not None, took)
b.write(0, b"2" * 4096)
time.sleep(0.3)
is_("nothing of what it had to do lands after that", b.read(0, 200 * 4096), b"2" * 4096 + bytes(199 * 4096))
check("its connections are closed", a.closed(10))
finish(b)
EOT

# Again and again: which of its threads goes on first is chance.
SCENARIO_SECONDS=110 scenario "$W" <<'EOT'
from several import *
late = []
b = None
for i in range(10):
    a = Node("node1", ONE, **({"life": b.life} if b else {})).login(lease=500)
    if not b:
        b = Node("node1", TWO, life=a.life).login()
        b.pinger = Pinger(b, TWO)
    open_later(a)
    b.open("v")
    a.write(0, b"1" * 4096)
    send(ONE, "STOP")
    for k in range(20):
        a.start(WRITE, b"late" * 1024, offset=0, count=4096, handle=1)
    time.sleep(0.6)
    send(ONE, "CONT")
    check("round %d: its session ends" % i, a.closed(10))
    if free_after(b, "srv1", 1) is None or b.read(0, 4096) != b"1" * 4096:
        late.append(i)
is_("a server that was stopped begins nothing of what came when its lease was over", late, [])
finish(b)
EOT

# Killed while it is stopped.
SCENARIO_SECONDS=110 scenario "$W" <<'EOT'
from several import *
a, b = both(lease=15000)
send(ONE, "STOP")
is_("stopped: busy", status_name(b.takeover("srv1", 1)[0]), "BUSY")
send(ONE, "KILL")
took = free_after(b, "srv1", 1)
check("killed: free", took is not None, took)
say("free %.3f s after kill -9 of a stopped server" % took)
finish(b)
EOT
wait_for 5 gone "$(server_pid "$W/1")"
kill_server "$W/1"
start_server "$W/1"

# Writes in a disk that is stuck.
SCENARIO_SECONDS=110 scenario "$W" <<'EOT'
from several import *
import subprocess
disk = DIR + "/disk"
freeze = lambda: subprocess.check_call(["fsfreeze", "-f", disk])
thaw = lambda: subprocess.check_call(["fsfreeze", "-u", disk])

a, b = both(lease=1000)
b.write(0, b"0" * 4096 * 100)
freeze()
ks = [a.start(WRITE, b"%04d" % i * 1024, offset=i * 4096, count=4096, handle=1) for i in range(100)]
check("the session is ended", a.closed(10))
check("a write in a stuck disk keeps the claim, though its session is over", still_held(b, "srv1", 1, 2))
is_("its clients are told so", [s["ending"] for s in status(ONE)["sessions"]], [True])
thaw()
took = free_after(b, "srv1", 1)
check("and when it is done it is free", took is not None, took)
say("free %.3f s after the thaw" % took)
seen = b.read(0, 4096 * 100)
done = sum(seen[i * 4096:i * 4096 + 4096] == b"%04d" % i * 1024 for i in range(100))
check("what was in the disk was done, what was not was dropped", 0 < done < 20, done)
b.write(0, b"9" * 4096 * 100)
time.sleep(0.3)
is_("nothing lands after that", b.read(0, 4096 * 100), b"9" * 4096 * 100)

# The same with kill -9 in the middle of it.
a = Node("node1", ONE, life=b.life).login(lease=15000)
a.open("v")
freeze()
ks = [a.start(WRITE, b"kill" * 1024, offset=i * 4096, count=4096, handle=1) for i in range(10)]
a.ping()
check("they are in the kernel", wait_until(lambda: "D" in [state(pid(ONE), t) for t in os.listdir("/proc/%d/task" % pid(ONE))]))
send(ONE, "KILL")
check("a killed server with a write in a stuck disk keeps its claim", still_held(b, "srv1", 1, 2))
thaw()
took = free_after(b, "srv1", 1)
check("until the write is over", took is not None, took)
b.write(0, b"5" * 4096 * 8)
time.sleep(0.3)
is_("nothing lands after that", b.read(0, 4096 * 8), b"5" * 4096 * 8)
finish(b)
EOT
thaw
kill_server "$W/1"
done_testing
