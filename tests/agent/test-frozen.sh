#!/bin/bash
# A disk that hangs: others go on, fences and new sessions wait for exactly what
# is in the kernel, and what had not begun is never done.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/agent.sh"
requires_program rssrv
requires_loop
requires_cmd mkfs.ext4 fsfreeze

write_server_conf "$W" portals=2
make_volume "$W" quick 8M
truncate -s 128M "$W/disk.img"
mkfs.ext4 -q "$W/disk.img"
mkdir "$W/disk"
mount -o loop "$W/disk.img" "$W/disk"
cleanup_fn umount "$W/disk"
truncate -s 16M "$W/disk/slow.raw"
truncate -s 16M "$W/disk/slow2.raw"
printf '\n[pool disk]\npath = %s\n' "$W/disk" >>"$W/rssrvcfg"
start_server "$W"
thaw() { fsfreeze -u "$W/disk" 2>/dev/null || true; }
cleanup_fn thaw

scenario "$W" <<'EOT'
import subprocess
disk = os.path.join(DIR, "disk")
freeze = lambda: subprocess.check_call(["fsfreeze", "-f", disk])
thaw = lambda: subprocess.check_call(["fsfreeze", "-u", disk])
on_disk = lambda offset, n: open(disk + "/slow.raw", "rb").read()[offset:offset + n]

a = Node().login()
b = Node("node1", life=a.life).login(a.session, portal=1)
a.open("slow", handle=1)
a.open("quick", handle=2)
a.open("slow2", handle=3)
a.write(0, b"before")

freeze()
# More writes than workers may be busy with: some begin, the rest wait.
stuck = [a.start(WRITE, b"%05d" % i * 100, offset=i * 4096, count=500, handle=1) for i in range(100)]
stuck += [a.start(WRITE, b"%05d" % i * 100, offset=i * 4096, count=500, handle=3) for i in range(100)]
a.start(FLUSH, handle=1)
is_("what is in memory is read from a frozen disk", a.read(0, 6, 1), b"before")
times = []
for i in range(200):
    t = time.monotonic()
    a.write(i * 4096, b"x" * 4096, 2)
    a.read(i * 4096, 4096, 2)
    b.ping()
    times.append(time.monotonic() - t)
check("another volume goes on, on the same connection", sorted(times)[190] < 0.05, sorted(times)[190:])
t = time.monotonic()
status()
check("and so does the control socket", time.monotonic() - t < 1)
open(os.path.join(DIR, "pool", "new.raw"), "wb").truncate(4096)
check("other pools are watched", next_event(b, EV_ADDED, 2).name == "new")

# A fence has to wait, and says so by not answering.
fence = b.start(FENCE, fence_body(1, stuck))
check("the fenced connection is closed at once", a.closed(2))
check("a fence is not answered while a write of its connection is in the kernel",
      not b.readable(1.5) or b.next_reply().type == EVENT)
is_("whoever fences goes on meanwhile", b.read(0, 4096, 2), b"x" * 4096)
again = b.start(FENCE, fence_body(1, stuck[:7]))

# Another life of the client has to wait too, another session of the node is not made.
n = Node("node1")
c = n.connect()
c.hello()
c.send(c.auth_frame())
check("a new life waits for the old session to end", not c.readable(1))
thaw()
r = c.next_reply()
is_("after the thaw it gets in", (r.type, r.status), (AUTH, OK))
check("and the connections of the old life are closed", b.closed(2))
EOT

scenario "$W" <<'EOT'
import subprocess
disk = os.path.join(DIR, "disk")
freeze = lambda: subprocess.check_call(["fsfreeze", "-f", disk])
thaw = lambda: subprocess.check_call(["fsfreeze", "-u", disk])

a = Node().login()
b = Node("node1", life=a.life).login(a.session, portal=1)
a.open("slow", handle=1)
a.must(DISCARD, offset=0, count=16 << 20, handle=1)
a.flush(1)
done = [a.start(WRITE, b"done!", offset=i * 4096, count=5, handle=1) for i in range(10)]
for k in done:
    a.wait(k)
freeze()
stuck = [a.start(WRITE, b"stuck", offset=(100 + i) * 4096, count=5, handle=1) for i in range(300)]
# They are all with the server when the connection's last one is: a ping is answered on the loop.
a.ping()
fence = b.start(FENCE, fence_body(1, done[5:] + stuck))
check("closed", a.closed(2))
check("no answer yet", not b.readable(0.5))
thaw()
r = b.wait(fence)
connection, cookies, statuses = parse_fence(r.payload)
is_("a fence's answer names its connection", (r.status, connection), (OK, 1))
check("it has what was answered before", set(done[5:]) <= set(cookies))
began = [k for k in stuck if k in cookies]
check("some of the stuck ones were done, the rest dropped", 0 < len(began) < 300, len(began))
is_("each with its status", set(statuses), {OK})
wrong = []
for i, k in enumerate(stuck):
    there = b.read((100 + i) * 4096, 5) == b"stuck"
    if there != (k in cookies):
        wrong.append((i, there))
check("exactly those are in the volume that the answer names", not wrong, wrong)
b.write(100 * 4096, b"newer")
time.sleep(0.3)
is_("nothing late lands on newer data", b.read(100 * 4096, 5), b"newer")
is_("asked again, the answer is the same", b.fence(1, done[5:] + stuck).payload, r.payload)
b.sock.close()
d = Node("node1", life=a.life).login(a.session)
is_("over another connection too", d.fence(1, done[5:] + stuck).payload, r.payload)
r = d.fence(2, [1, 2, 3])
is_("a connection that changed little: only that", parse_fence(r.payload)[1], [])
is_("a number that was never given out", d.fence(50).status, E_INVALID)
is_("its own", d.fence(d.connection).status, E_INVALID)

# Two that fence each other.
e = Node("node1", life=a.life).login(a.session, portal=1)
d.open("slow", handle=5)
freeze()
d.start(WRITE, b"x", offset=0, count=1, handle=5)
e.start(WRITE, b"x", offset=8192, count=1, handle=5)
d.ping(), e.ping()
d.start(FENCE, fence_body(e.connection, []))
e.start(FENCE, fence_body(d.connection, []))
# Which of the two is closed first may not even have read the other's FENCE.
check("of two that fence one another at least one ends", d.closed(1) or e.closed(1))
thaw()
f = Node("node1", life=a.life).login(a.session)
for c in (d, e):
    is_("and a third one can fence them", f.fence(c.connection).status, OK)

# 64 MiB in flight a session, over all its connections.
g = [Node("node1", life=a.life).login(a.session, crc=False) for i in range(2)]
g[0].open("slow", handle=7)
freeze()
try:
    for i in range(35):
        for c in g:
            c.start(WRITE, bytes(1 << 20), offset=0, count=1 << 20, handle=7)
    check("more than 64 MiB in flight end a connection", g[0].closed(5) or g[1].closed(5))
except Closed:
    check("more than 64 MiB in flight end a connection", True)
thaw()

# What a dead connection had in flight is not held against the others, though some of it
# is in the kernel still.
g = [Node("node1", life=a.life).login(a.session, crc=False) for i in range(2)]
g[0].open("slow", handle=8)
g[0].open("quick", handle=9)
freeze()
for i in range(62):
    g[0].start(WRITE, bytes(1 << 20), offset=0, count=1 << 20, handle=8)
g[0].ping()
fence = f.start(FENCE, fence_body(g[0].connection, []))
check("it is closed", g[0].closed(5))
try:
    for k in [g[1].start(WRITE, bytes(1 << 20), offset=0, count=1 << 20, handle=9) for i in range(8)]:
        g[1].wait(k)
    check("another may have 64 MiB in flight while its writes hang", True)
except Closed as e:
    check("another may have 64 MiB in flight while its writes hang", False, e)
thaw()
is_("and the dead one is fenced", f.wait(fence).status, OK)
g[1].close()

# The server ends although a disk hangs; the next one waits for it.
f.open("slow", handle=6)
freeze()
f.start(WRITE, b"held", offset=4096, count=4, handle=6)
f.ping()
EOT

logged "$W" 'bytes in flight; 67108864 were agreed' "and the log says why"
pid=$(server_pid "$W")
kill -KILL "$pid"
disown "$pid" 2>/dev/null || true
check_fails 1 "a killed server in the middle of a write keeps its pool" \
	timeout 30 "$BUILD/rssrv" -f -c "$W/rssrvcfg" --run-dir "$W/run2"
thaw
kill_server "$W"
start_server "$W"
scenario "$W" <<'EOT'
c = Node().login()
c.open("slow")
# The kernel may give up a write of a process that was killed, before it began.
check("after the thaw the next one gets it", c.read(4096, 4) in (b"held", bytes(4)))
EOT
done_testing
