#!/bin/bash
# Two servers on one storage: who may write for a client is told by a claim, which
# ends with the session, and the session with its lease.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/servers.sh"

mkdir "$W/disk"
two_servers "$W/disk"
SCENARIO_SECONDS=110 scenario "$W" <<'EOT'
from several import *
claims = lambda d: [s["lease"] and s["lease"]["claims"] for s in status(d)["sessions"]]

# A claim is there from the first OPEN of a shared volume on, and one for the directory.
a, b = both(lease=15000)
is_("a session with a shared volume has a claim", claims(ONE), [[DIR + "/disk"]])
a.open("w", handle=2)
is_("one for all volumes of the directory", claims(ONE), [[DIR + "/disk"]])
check("the directory says whose", sorted(os.listdir(DIR + "/disk/.rsio.clients")) == [".server.1", ".server.2", "node1"],
      os.listdir(DIR + "/disk/.rsio.clients"))
st, text = b.takeover("srv1", 1)
is_("no takeover while the other has its claim", status_name(st), "BUSY")
check("it says who", "server srv1 (id 1) still has its claim" in text and "node1" in text, text)
is_("the other way too", status_name(a.takeover("srv2", 2)[0]), "BUSY")
is_("over another handle of the directory too", status_name(a.takeover("srv2", 2, handle=2)[0]), "BUSY")

# What TAKEOVER does not do.
is_("a handle that is not open", status_name(b.takeover("srv1", 1, handle=9)[0]), "HANDLE")
is_("one's own id", status_name(b.takeover("srv2", 2)[0]), "INVALID")
st, text = b.takeover("srv7", 7)
is_("a server that was never here", status_name(st), "UNSUPPORTED")
check("it says so", "never had a claim in the directory of volume v here" in text, text)
st, text = b.takeover("other", 1)
is_("a server of another name", status_name(st), "UNSUPPORTED")
check("it says who has the id", "id 1 that uses the directory of volume v is srv1 and not other" in text, text)

# The end of the session is the end of the claim.
finish(a)
took = free_after(b, "srv1", 1)
check("after BYE it is free, and not by its lease", took is not None and took < 12, took)
a = Node("node1", ONE, life=b.life).login()
is_("a login takes nothing", b.takeover("srv1", 1)[0], OK)
a.open("v")
is_("a new session's OPEN does", status_name(b.takeover("srv1", 1)[0]), "BUSY")
old = a
a = Node("node1", ONE, life=b.life).login()
check("a new session of the same life ends the old one", old.closed())
took = free_after(b, "srv1", 1)
check("which gives its claim back", took is not None and took < 12, took)
a.open("v")
is_("and it can be had at once by the new one", status_name(b.takeover("srv1", 1)[0]), "BUSY")

# Many OPENs at once: one claim.
finish(a)
a = Node("node1", ONE, life=b.life).login()
more = [Node("node1", ONE, life=b.life).login(a.session) for i in range(4)]
ks = [(c, c.start(OPEN, rec(T_NAME, "vw"[i % 2]), handle=10 + i * 5 + n)) for i in range(20) for n, c in enumerate([a] + more)]
is_("a hundred OPENs over five connections at the same time", [c.wait(k).status for c, k in ks], [OK] * 100)
is_("make one claim", claims(ONE), [[DIR + "/disk"]])
finish(a, b, *more)
EOT

# Leases.
SCENARIO_SECONDS=110 scenario "$W" <<'EOT'
from several import *

LEASE = 3.0
a, b = both(lease=3000)
pa = Pinger(a, ONE)
end = time.monotonic() + 2 * LEASE
busy = True
while time.monotonic() < end:
    busy = busy and b.takeover("srv1", 1)[0] == E_BUSY
check("stamps that come back keep the claim, for as long as they do", busy and not a.readable(0))
a.write(0, b"1" * 4096)
pa.stop()
silent = time.monotonic() - pa.last
took = free_after(b, "srv1", 1)
check("without them it ends, not much before the lease", took and 0.7 * LEASE < silent + took, took)
say("lease %.1f s: free %.2f s after the last stamp came back" % (LEASE, silent + took))
check("with the session", a.closed(10))
is_("what was written is there", b.read(0, 4096), b"1" * 4096)
check("a session that pings is not ended", status(TWO)["sessions"][0]["lease"]["left"] > 0)

# A stamp counts from when it was made.
a = Node("node1", ONE, life=b.life).login(lease=3000)
quick = Node("node1", ONE, life=b.life).login(a.session, portal=1)
begin = time.monotonic()
a.open("v")
stamp = a.ping()
time.sleep(1.0)
# A ping that was held up, and then brings the old stamp back, and others that bring none.
held = []
try:
    while not a.readable(0) and time.monotonic() < begin + 12:
        quick.ping(stamp)
        quick.ping(0)
        quick.ping((1 << 64) - 1)
        held.append(time.monotonic())
        time.sleep(0.02)
except (Closed, OSError):
    pass
check("pings go on and extend nothing", held and held[-1] - begin < 3 * LEASE, held[-1] - begin)
check("the session ended", a.closed(10) and quick.closed(10))
is_("the claim is free", free_after(b, "srv1", 1) is not None, True)

# Bytes that arrive after the takeover.
try:
    a.send(request(WRITE, b"late" * 1024, offset=0, count=4096, handle=1, cookie=5))
except Closed:
    pass
late = Node("node1", ONE, life=b.life).connect()
late.hello()
late.send(late.auth_frame(a.session) + request(WRITE, b"late" * 1024, offset=0, count=4096, handle=1, cookie=5))
is_("one who asks for the old session gets a new one", (late.next_reply().type, a.session != bytes(16)), (AUTH, True))
is_("without its handles", status_name(late.next_reply().status), "HANDLE")
is_("late bytes write nothing", b.read(0, 4096), b"1" * 4096)
late.close()

# Sessions without shared volumes have no lease.
c = Node("node2", ONE).login(lease=500)
c.list()
time.sleep(1.5)
check("a session without shared volumes goes on in silence", not c.readable(0) and c.ping() > 0)
is_("its lease is nothing", [s["lease"] for s in status(ONE)["sessions"] if s["node"] == "node2"], [None])
for asked, got in ((1, 0.5), (500, 0.5), (3000, 3.0), (15000, 15.0), (1 << 31, 15.0)):
    c.close()
    c = Node("node2", ONE).login(lease=asked)
    c.open("v")
    is_("a lease of %d ms" % asked, [s["lease"]["length"] for s in status(ONE)["sessions"] if s["node"] == "node2"], [got])
finish(c)
finish(b)
EOT
logged "$W/1" 'node1: no ping of it came back for too long, its lease is over' "the log says why"

# Another life of the client.
SCENARIO_SECONDS=110 scenario "$W" <<'EOT'
from several import *

old = Node("node1", ONE).login(lease=4000)
open_later(old)
new = Node("node1", TWO).login(lease=4000)
text = refused("a restarted client does not get the volume while another server has its earlier life's claim",
               E_BUSY, lambda: new.open("v"))
check("it says which", "server srv1 (id 1) may still write for an earlier run of client node1" in text, text)
refused("nor another volume of the directory", E_BUSY, lambda: new.open("w"))
other = Node("node2", TWO).login()
other.open("v")
check("another client does", other.read(0, 512) is not None)
finish(other)
again = Node("node1", ONE, life=new.life).login()
check("a login at that server ends the earlier life there", old.closed())
check("and the volume is to be had", open_later(new))
refused("the earlier life does not come back", E_BUSY,
        lambda: Node("node1", ONE, life=old.life).login().open("v"))
finish(new)
again.close()

old = Node("node1", ONE).login(lease=2000)
open_later(old)
new = Node("node1", TWO).login()
took = open_later(new)
check("without a path to that server it is to be had when the lease is over", took and took > 1, took)
say("lease 2.0 s: a restarted client gets the volume after %.2f s" % took)
finish(new)
EOT
done_testing
