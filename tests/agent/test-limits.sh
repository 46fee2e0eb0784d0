#!/bin/bash
# What a client may not do, even one with a key; and what a slow one costs.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/agent.sh"
requires_program rssrv

write_server_conf "$W" portals=2
sed -i "/^\[clients\]/a node2 $(new_key)" "$W/rssrvcfg"
make_volume "$W" v 64M
start_server "$W"

scenario "$W" <<'EOT'
def ended(name, what):
    c = Node().login(crc=False)
    c.open("v")
    what(c)
    check("%s ends the connection" % name, c.closed(5))

def slots(c):
    c.send(request(WRITE, b"x" * 512, cookie=5, offset=0, count=512, handle=1) +
           request(WRITE, b"x" * 512, cookie=5 + 1024, offset=0, count=512, handle=1))
ended("two commands in one slot", slots)
ended("a second hello", lambda c: c.send(request(HELLO, c.hello_records())))
ended("a fence with torn cookies", lambda c: c.send(request(FENCE, rec32(T_CONNECTION, 1) + rec(T_COOKIES, b"abc"))))
ended("an open without a name", lambda c: c.send(request(OPEN, b"", handle=1)))
ended("more bytes than a command may have", lambda c: c.send(request(READ, offset=0, count=(1 << 20) + 1, handle=1)))

# Limits that the hello lowered.
def login(**over):
    c = Node().connect(crc=False)
    c.hello(c.hello_records(**over))
    c.auth()
    c.open("v")
    return c
c = login(limits=limits(4096, 8, 65536))
is_("a command as large as agreed", len(c.read(0, 4096)), 4096)
c.start(READ, offset=0, count=4097, handle=1)
check("a larger one ends the connection", c.closed(5))
c = login(limits=limits(4096, 8, 65536))
c.send(b"".join(request(READ, cookie=i, offset=0, count=4096, handle=1) for i in range(8)))
for i in range(8):
    c.wait(i)
check("as many as agreed are fine", True)

# A client that asks and does not take the answers: it is not read from any more, and no
# more than a few MiB are kept for it.
s = Node("node2").login(crc=False)
s.open("v")
a = Node().login(crc=False)
a.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
a.open("v")
sent = 0
a.sock.settimeout(1)
for i in range(60):
    try:
        a.send(request(READ, cookie=i, offset=0, count=1 << 20, handle=1))
    except OSError:
        break
time.sleep(0.5)
peak = status()["process"]["buffers"]
check("a client that does not read costs a few MiB", peak < 24 << 20, peak)
t = time.monotonic()
is_("and holds nobody up", len(s.read(0, 1 << 20)), 1 << 20)
check("not for long", time.monotonic() - t < 1)
a.sock.settimeout(10)
got = sorted(a.next_reply().cookie for i in range(60))
is_("when it reads, all its answers come", got, list(range(60)))

# Commands that are not even read count for nothing.
b = Node("node1", life=a.life).login(a.session, crc=False, portal=1)
b.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
blob = b"".join(request(READ, cookie=i, offset=0, count=1 << 20, handle=1) for i in range(70))
b.send(blob)
got = sorted(b.next_reply().cookie for i in range(70))
is_("a client that asks for more than it takes has it all in the end", got, list(range(70)))
a.bye()

handles = Node().login()
r = handles.start(OPEN, rec(T_NAME, "v"), handle=65535)
is_("the last handle", handles.wait(r).status, OK)
handles.start(OPEN, rec(T_NAME, "v"), handle=65536)
check("one beyond ends the connection", handles.closed(5))

c = Node("node2").login(crc=False)
joined = [Node("node2", life=c.life).login(c.session) for i in range(63)]
refused("a 65th connection of a session", E_LIMIT, lambda: Node("node2", life=c.life).login(c.session))
check("the others go on", c.ping() and joined[62].ping())
for j in joined:
    j.sock.close()
for i in range(300):
    d = Node("node2", life=c.life).login(c.session)
    d.open("v", handle=3)
    last = d.start(WRITE, b"x" * 512, offset=0, count=512, handle=3)
    d.wait(last)
    d.sock.close()
r = c.fence(364, [last])
is_("what the newest connection did is known", parse_fence(r.payload)[1], [last])
is_("of 300 dead ones the oldest is not, and that is said", status_name(c.fence(66, [1]).status), "INVALID")

# A checksum that is wrong.
c = Node("node2").login()
c.open("v")
c.write(0, b"before" * 100)
k = c.start(WRITE, b"after!" * 100, offset=0, count=600, handle=1, payload_crc=1)
is_("a damaged payload", status_name(c.wait(k).status), "CHECKSUM")
check("ends the connection", c.closed(5))
c = Node("node2").login()
c.open("v")
is_("and is not written", c.read(0, 6), b"before")

# Silence.
start = time.monotonic()
quiet, chatty = Node().login(), c
while time.monotonic() - start < 20 and not quiet.readable(0.5):
    chatty.ping()
took = time.monotonic() - start
check("a connection that is silent for 15 s is closed", quiet.closed(1) and 14 < took < 18, took)
check("one that pings is not", chatty.ping() > 0)
EOT
logged "$W" 'two commands in flight in slot 5' "the log says why: slots"
logged "$W" 'a read of 4097 bytes; 4096 were agreed' "the size"
logged "$W" 'arrived damaged' "damage"
logged "$W" 'silent for 15 s' "silence"
done_testing
