#!/bin/bash
# More than was agreed: commands in one slot, in flight, bytes in flight, records and
# cookies; clients that do not log in, do not read, or say nothing.
# shellcheck source-path=SCRIPTDIR
# time-limit: 180
. "$(dirname "$0")/agent.sh"
requires_program rssrv rsslogcat
export BUILD SCENARIO_SECONDS=150

write_server_conf "$W" client=hostile
printf 'witness %s\n' "$(new_key)" >"$W/more"
sed -i "/^\[clients\]/r $W/more" "$W/rssrvcfg"
make_volume "$W" quiet 1M
make_volume "$W" loud 64M
start_server "$W" --log-level debug	# strangers beyond a few lines a second are said there only

scenario "$W" <<'EOT'
from hostile import *
w = Witness()
h = Hostile(w)
h.up().close()		# the volume's file is opened with its first user
before = descriptors()

def read(slot, sequence=1, count=512, offset=0):
    return request(READ, handle=1, count=count, offset=offset, cookie=sequence << 10 | slot)

h.closed("a slot that is in use", h.up(), read(7, 1) + read(7, 2), "two commands in flight in slot 7")
h.closed("a cookie that is in use", h.up(), read(7) + read(7), "two commands in flight in slot 7")
h.closed("a slot in use by another type", h.up(),
         read(3, 1) + request(FLUSH, handle=1, cookie=2 << 10 | 3), "two commands in flight in slot 3")
# PING has no slot.
c = h.up()
c.send(b"".join(request(PING, offset=i, cookie=0) for i in range(100)) + read(0))
got = [c.next_reply() for _ in range(101)]
is_("pings take no slot", sum(r.type == PING for r in got), 100)
c = h.up()
c.send(b"".join(read(i, offset=i * 512) for i in range(1024)))
is_("1,024 in flight", sorted(c.next_reply().cookie & 1023 for _ in range(1024)), list(range(1024)))
c.send(read(5, 2))
is_("a slot is free when its reply has arrived", c.next_reply().cookie, 2 << 10 | 5)

def up_with(data, in_flight, session_bytes):
    node = Node("hostile")
    c = node.connect()
    c.hello(c.hello_records(limits=limits(data, in_flight, session_bytes)))
    if c.auth().status != OK:
        raise Broken("auth")
    c.open("loud", handle=1)
    return c
agreed = up_with(8192, 4, 1 << 20)
is_("what a hello lowers is agreed",
    struct.unpack("<III", first(agreed.welcome.payload, T_LIMITS)), (8192, 4, 1 << 20))
is_("a hello cannot raise it",
    struct.unpack("<III", first(up_with(1 << 31, 1 << 20, 1 << 31).welcome.payload, T_LIMITS)), LIMITS)
h.closed("five of four in flight", up_with(8192, 4, 1 << 20), b"".join(read(i) for i in range(5)),
         "more than 4 commands in flight")
h.closed("a read of more than was agreed", up_with(8192, 4, 1 << 20), read(1, count=8193), "were agreed")
h.closed("a write of more than was agreed", up_with(8192, 4, 1 << 20),
         request(WRITE, bytes(8193), handle=1, count=8193, cookie=1), "were agreed")
h.done("slots and counts")

# Bytes of the session, over all its connections; a write with FUA takes its time.
def fua(slot):
    return request(WRITE, bytes(512), flags=F_FUA, handle=1, count=512, cookie=1 << 10 | slot)
h.closed("three writes of 512 bytes, two were agreed", up_with(0, 0, 1024), fua(1) + fua(2) + fua(3),
         "bytes in flight")
c = up_with(0, 0, 1024)
c.send(fua(1) + fua(2))
is_("two are right", sorted(c.next_reply().cookie & 1023 for _ in range(2)), [1, 2])
h.done("bytes in flight")

# Records of commands.
def command(name, kind, payload, reason, **header):
    h.closed(name, h.up(), request(kind, payload, cookie=9, **header), reason)
name = rec(T_NAME, "loud")
command("open: empty", OPEN, b"", "lacks a record", handle=2)
command("open: torn", OPEN, name[:-1], "torn", handle=2)
command("open: two names", OPEN, name + name, "comes twice", handle=2)
command("open: half an identity", OPEN, name + rec(T_UUID, bytes(16)), "half an identity", handle=2)
command("open: the other half", OPEN, name + rec64(T_GENERATION, 1), "half an identity", handle=2)
command("open: a UUID of 15 bytes", OPEN, name + rec(T_UUID, bytes(15)) + rec64(T_GENERATION, 1),
        "not allowed", handle=2)
command("open: a mandatory record", OPEN, name + rec(99, b"", True), "mandatory", handle=2)
for bad in ("../loud", ".loud", "", "x" * 41, "a\0b"):
    command("open: the name %r" % bad, OPEN, rec(T_NAME, bad), "not allowed", handle=2)
command("fence: empty", FENCE, b"", "lacks a record")
command("fence: torn cookies", FENCE, rec32(T_CONNECTION, 1) + rec(T_COOKIES, bytes(9)), "cookies")
command("fence: 1,025 cookies", FENCE, fence_body(1, list(range(1025))), "cookies")
command("fence: 1,025 cookies in two records", FENCE,
        fence_body(1, list(range(1024))) + rec(T_COOKIES, bytes(8)), "cookies")
command("fence: statuses in a request", FENCE, fence_body(1, [1], [0]), "statuses")
command("fence: two connections", FENCE, fence_body(1, []) + rec32(T_CONNECTION, 2), "comes twice")
command("fence: a mandatory record", FENCE, fence_body(1, []) + rec(99, b"", True), "mandatory")
h.done("records of commands")

# More handles than a session may have; the same one again is none more.
c = h.up()
for i in range(3):
    c.open("loud", handle=1)
tried = 0
try:
    for i in range(2, 3000):
        tried = i
        c.open("loud", handle=i)
    check("handles up to some limit", True)
except Refused as e:
    check("handles up to some limit", e.status in (E_LIMIT, E_NO_MEMORY), status_name(e.status))
check("the connection goes on", c.ping() > 0)
c.bye()

# After bye nothing is carried out.
c = h.up()
c.send(request(BYE, cookie=4) + request(WRITE, b"\xcc" * 512, handle=1, count=512, cookie=9))
r = c.next_reply()
is_("bye is answered", (r.type, r.cookie), (BYE, 4))
check("as the last frame", c.closed())
check("what was said after it is not done", h.up().read(0, 512) == bytes(512))

# Who asks and does not read: the server does not grow, and takes no more from it.
import select
c = h.up()
was = memory()
taken, pushed = 0, b"".join(read(i, count=1 << 20, offset=i << 16) for i in range(60))
c.send(pushed)
pings = request(PING, offset=1) * 1000
c.sock.setblocking(False)
end = time.monotonic() + 3
try:
    while time.monotonic() < end:
        if select.select([], [c.sock], [], 0.2)[1]:
            taken += c.sock.send(pings)
        else:
            break
except OSError as e:
    taken = -1
grown = memory() - was
check("who does not read is not read from any more", 0 < taken < 64 << 20, taken)
check("and costs little memory", grown < 96 << 10, "%d KiB" % grown)
check("another client goes on", w.goes_on(), w.wrong)
c.sock.setblocking(True)
c.sock.settimeout(10)
ok_ = 0
while ok_ < 60:
    r = c.next_reply()
    ok_ += r.type == READ and r.length == 1 << 20
check("when it reads again it gets everything", ok_ == 60)
c.close()

# Who connects and says nothing, little, or half; and another logs in meanwhile.
began = time.monotonic()
silent = [h.fresh() for _ in range(10)]
slow, half, waits = [h.fresh() for _ in range(5)], [h.fresh() for _ in range(5)], [h.hello() for _ in range(5)]
for x in half:
    x.send(request(HELLO, x.hello_records())[:60])
dripped = request(HELLO, slow[0].hello_records())
for i in range(8):
    for x in slow:
        try:
            x.send(dripped[i:i + 1])
        except Closed:
            pass
    time.sleep(0.5)
check("another client logs in meanwhile", h.up().ping() > 0)
late = [x for x in silent + slow + half + waits if not x.closed(max(0.1, began + 7 - time.monotonic()))]
took = time.monotonic() - began
is_("all that do not log in are closed", len(late), 0)
check("after 5 s", 4.5 < took < 7.5, "%.1f s" % took)
for x in silent + slow + half + waits:
    h.ports[x.sock.getsockname()[1]] = ("no login", "no login within 5 s")
    h.cases += 1
    x.close()
h.done("silence before the login")

# A crowd that does not log in is bounded, and does not keep others out for long.
crowd = []
for _ in range(600):
    try:
        crowd.append(h.fresh(timeout=2.0))
    except OSError:
        break
most = descriptors()
check("a crowd of %d takes a bounded number of descriptors" % len(crowd), most < before + 560, most)
check("another client goes on", w.goes_on(), w.wrong)
for x in crowd:
    x.close()
check("afterwards a login succeeds", wait_until(lambda: h.up() is not None, 8))
w.finish()
# Each volume may keep four for FUA writes.
check("no descriptor is left over", wait_until(lambda: descriptors() <= before + 8),
      "%d, then %d" % (before, descriptors()))
EOT
check "the server runs" kill -0 "$(server_pid "$W")"
done_testing
