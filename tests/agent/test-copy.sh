#!/bin/bash
# COPY: what it is refused for, what it does beside other commands, and that a connection which ends in the
# middle of one is fenced like any with a write.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/agent.sh"
requires_program rssrv

write_server_conf "$W" client=boss client=guest portals=2
sed -i "s/^guest .*/guest $(new_key)/" "$W/rssrvcfg"
echo 'manage = boss, guest' >>"$W/rssrvcfg"
make_volume "$W" a 16M
make_volume "$W" b 16M
make_volume "$W" ro 256K
make_volume "$W" other 256K
start_server "$W"

scenario "$W" <<'EOT'
import random
M = 1 << 18
boss = Node("boss")
c = boss.login(copies=True, snapshots=True)
features = sorted(d[1:].decode() for t, _, d in records(c.welcome.payload) if t == T_FEATURE)
is_("the server names the feature", features, ["copy", "payload-crc", "snapshots"])
old = boss.login(c.session, portal=1)
for handle, name in enumerate(("a", "b", "ro"), 1):
    c.open(name, handle=handle, read_only=name == "ro")
data = random.Random(1).randbytes(8 * M)
for at in range(0, 8 * M, M):
    c.write(at, data[at:at + M], handle=1)

c.copy(1, 0, 0, 8 * M, handle=2)
is_("a copy", b"".join(c.read(at, M, handle=2) for at in range(0, 8 * M, M)) == data, True)
c.copy(1, 3, 5 * M + 7, 513, handle=2)
is_("of odd size and place", c.read(5 * M, 1024, handle=2), data[5 * M:5 * M + 7] + data[3:516] + data[5 * M + 520:5 * M + 1024])
c.copy(2, 0, 20 * M, 2 * M, handle=2)
is_("within a volume", c.read(21 * M, M, handle=2) == data[M:2 * M], True)
c.copy(1, 40 * M, 0, M, handle=2)
is_("of a hole", c.read(0, M, handle=2), bytes(M))

refused("of a handle that is not open", E_HANDLE, lambda: c.copy(9, 0, 0, 512, handle=2))
refused("of one beyond the limit", E_HANDLE, lambda: c.copy(1 << 20, 0, 0, 512, handle=2))
refused("beyond the source's end", E_RANGE, lambda: c.copy(1, 64 * M - 512, 0, 1024, handle=2))
refused("from far beyond it", E_RANGE, lambda: c.copy(1, (1 << 64) - 512, 0, 1024, handle=2))
refused("beyond the target's end", E_RANGE, lambda: c.copy(1, 0, 64 * M - 512, 1024, handle=2))
refused("over itself", E_INVALID, lambda: c.copy(2, 0, 512, 1024, handle=2))
c.copy(2, 0, 512, 512, handle=2)
check("right beside itself", True)
refused("to what is open for reading", E_READ_ONLY, lambda: c.copy(1, 0, 0, 512, handle=3))
c.copy(3, 0, 0, 512, handle=2)
check("but of it", True)
c.work("snapshot", volumes=["a"], name="monday")
c.open("a@monday", handle=4)
c.write(0, bytes(512), handle=1)
c.copy(4, 0, 0, M, handle=2)
is_("of a snapshot", c.read(0, M, handle=2) == data[:M], True)
refused("to a snapshot", E_READ_ONLY, lambda: c.copy(1, 0, 0, 512, handle=4))
c.open("other", handle=5)
c.work("access", volume="other", clients=["guest"])
refused("of what it may not see any more", E_NO_VOLUME, lambda: c.copy(5, 0, 0, 512, handle=2))
c.must(CLOSE, handle=1)
refused("of what is closed", E_HANDLE, lambda: c.copy(1, 0, 0, 512, handle=2))
c.open("a", handle=1)

# A connection that ends with copies under way is fenced; what was done is known.
for turn in range(20):
    k = boss.login(c.session, portal=turn % 2, copies=True)
    source = struct.pack("<IQ", 1, 0)
    sent = [k.start(COPY, source, handle=2, offset=32 * M + i * 8 * M % (16 * M), count=8 * M) for i in range(4)]
    r = c.fence(k.connection, sent)
    number_, done, statuses = parse_fence(r.payload)
    if r.status or set(done) - set(sent) or any(statuses):
        check("turn %d" % turn, False, (r.status, done, statuses))
    marks = bytes([turn]) * 512
    c.write(32 * M, marks, handle=2)
    if c.read(32 * M, 512, handle=2) != marks:
        check("turn %d: a copy lands after its fence" % turn, False)
    k.close()
is_("nothing of a fenced copy comes later", c.read(32 * M, 512, handle=2), bytes([19]) * 512)

# A snapshot has all of a copy that was answered before it, and nothing of one that came after it; of one that was
# under way what had been copied then, whatever the file system can do.
N = 16 * M
for i in range(4):
    for at in range(0, N, M):
        c.write(i * N + at, bytes([i + 1]) * M, handle=1)
c.copy(1, 0, 0, N, handle=2)
k, turns, torn = boss.login(c.session, copies=True), 0, []
for s in range(5):
    before = turns
    ident = c.start_work("snapshot", volumes=["b"], name="s%d" % s)["id"]
    for _ in range(8):
        turns += 1
        k.copy(1, turns % 4 * N, 0, N, handle=2)
    job = {"state": "running"}
    while job["state"] == "running":
        job = c.control("job", id=ident)["job"]
    if job["state"] != "done":
        check("snapshot %d" % s, False, job)
        continue
    c.open("b@s%d" % s, handle=10 + s)
    found = []
    for at in range(0, N, M):
        found += [v for v in dict.fromkeys(c.read(at, M, handle=10 + s)) if found[-1:] != [v]]
    colour = lambda turn: turn % 4 + 1
    whole = [[colour(t)] for t in range(max(before, 0), turns + 1)]
    under_way = [[colour(t + 1), colour(t)] for t in range(max(before, 0), turns)]
    if found not in whole + under_way:
        torn.append((s, before, turns, found))
is_("snapshots while copies go on are of one moment", torn, [])
EOT
done_testing
