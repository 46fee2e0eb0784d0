#!/bin/bash
# Who gets in, who does not, and what each is told and the log says.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/agent.sh"
requires_program rssrv

write_server_conf "$W" address=127.0.0.1 address=::1
make_volume "$W" v 1M
start_server "$W"

scenario "$W" <<'EOT'
refused("a wrong key", E_KEY, lambda: Node().login(key="wrong"))
refused("an unknown node looks the same", E_KEY, lambda: Node("nobody").login(key="wrong"))
text = refused("another namespace", E_NAMESPACE, lambda: Node().login(namespace="xyz"))
check("the refusal names both", "osl" in text and "xyz" in text, text)
refused("another namespace id", E_NAMESPACE, lambda: Node().login(namespace_id=201))

def hello(**records):
    c = Node().connect()
    r = c.hello(c.hello_records(**records))
    check("and the connection closes", c.closed(2))
    return r

r = hello(versions=rec(T_VERSIONS, struct.pack("<HH", 2, 3)))
is_("no common version", status_name(r.status), "VERSION")
r = hello(feature=feature("mind-reading", True))
is_("a mandatory feature that is not known", status_name(r.status), "FEATURE")
check("is named", "mind-reading" in text_of(r.payload), text_of(r.payload))
r = hello(extra=rec(999, b"x", True))
is_("a mandatory record that is not known", status_name(r.status), "FEATURE")
check("is named", "999" in text_of(r.payload), text_of(r.payload))
c = Node().connect()
r = c.hello(c.hello_records(feature=feature("mind-reading"), extra=rec(999, b"x")))
is_("optional ones are skipped", r.status, OK)

c = Node().connect()
c.send(request(HELLO, b"whatever a later version says", version=2))
r = c.next_reply()
is_("a header of another version is answered", (r.type, r.status), (HELLO, E_VERSION))
check("and the connection closes", c.closed(2))

for name, frame in (("a TLS hello", b"\x16\x03\x01" + bytes(60)), ("HTTP", b"GET / HTTP/1.0\r\n\r\n" + bytes(40)),
                    ("a command before the login", request(PING, offset=1)),
                    ("an oversized hello", request(HELLO, bytes(5000)))):
    c = Node().connect()
    c.send(frame)
    check("%s ends the connection" % name, c.closed(2))

a = Node().login()
b = Node("node1", life=a.life).login(a.session, portal=1)
is_("the same life joins its session", (b.session, b.connection), (a.session, 2))
text = refused("another machine with this node name", E_IN_USE,
               lambda: Node("node1", machine=b"X" * 16).login())
check("is told where the first one is", "at ::1;" in text, text)
refused("so is another run directory", E_IN_USE, lambda: Node("node1", run=b"X" * 16).login())
check("and the first one goes on", a.ping() > 0)
c = Node("node1", life=a.life).login(b"no such session!")
check("an unknown session becomes a new one", c.session not in (a.session, b"no such session!"))
check("which replaces the old", a.closed() and b.closed())
check("and works", c.ping() > 0)
d = Node("node1").login()
check("a restarted client replaces its earlier life", c.closed() and d.ping() > 0)
e = Node("node1", life=d.life).connect()
e.hello()
e.send(e.auth_frame(d.session) + request(OPEN, rec(T_NAME, "v"), handle=3, cookie=5))
r = e.next_reply()
is_("commands may follow AUTH at once", (r.type, e.next_reply().type), (AUTH, OPEN))
d.open("v", handle=1)
e.sock.close()
d.bye()
EOT
logged "$W" 'refused \(key\): its key is wrong' "the log tells a wrong key"
logged "$W" 'refused \(key\): no such node' "from an unknown node"
logged "$W" 'refused \(security\): what came is not TLS' "and what begins as TLS and is none"
logged "$W" 'INFO \([0-9]+-if1-tx2\): started transmit for clt node1 ::1/[0-9]+$' "a login is logged with its interface"
if grep -q "$TEST_KEY" "$W/rssrv.out"; then not_ok "no key in the log"; else ok "no key in the log"; fi

scenario "$W" <<'EOT'
# The limits before a login.
conns = []
start = time.monotonic()
for i in range(70):
    conns.append(Node().connect())
time.sleep(0.2)
refused_now = sum(c.readable(0) for c in conns)
is_("64 connections of one address may be without a login", refused_now, 6)
check("they are closed after 5 s", all(c.closed(7) for c in conns))
took = time.monotonic() - start
check("not earlier or much later", 4.5 < took < 8, took)
check("then others get in again", Node().login().ping() > 0)
EOT
logged "$W" 'too many that have not logged in' "the log says so"
done_testing
