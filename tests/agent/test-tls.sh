#!/bin/bash
# TLS to the server from another implementation of its client: who gets in, what the
# others are told, and that what the handshake proved holds for this connection only.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/agent.sh"
requires_program rssrv
requires_cmd openssl

TEST_SECURITY=tls
write_server_conf "$W" client=node1 client=node2
make_volume "$W" v 1M
start_server "$W"

scenario "$W" <<'EOT'
import select
from tls import Tls

ns, ident, _, address, port = portals()[0]
key = node_key(clients_key("node1"))

def inside(node="node1", identity="osl/node1", tls_key=key, options=(), **over):
    t = Tls(address, port, identity, tls_key, *options)
    return Node(node).connect(within=t, **over)

def shut_out(name, *args, options=(), key=key):
    t = Tls(address, port, *args, key, *options)
    check("%s: no handshake" % name, t.binding() is None)
    said = t.failure()
    t.close()
    return said

c = inside()
check("the handshake is made", len(c.binding) == 32)
is_("and the login within it", (c.hello().status, c.auth().status), (OK, OK))
c.open("v")
c.must(WRITE, b"x" * 65536, offset=4096, count=65536, handle=1)
is_("data travels both ways", c.read(4096, 65536), b"x" * 65536)
is_("the status says so", status()["sessions"][0]["connections"][0]["security"], "tls")
c.must(BYE)
c.close()

c = inside(options=("-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"))
is_("another suite", (c.hello().status, c.auth().status), (OK, OK))
check("carries data too", c.ping() > 0)
c.close()

# What was proved is bound to the connection and to who proved it.
c = inside()
c.binding = b""
c.hello()
is_("a proof without the binding is none", status_name(c.auth().status), "KEY")
c = inside()
c.binding = os.urandom(32)
c.hello()
is_("nor one with that of another connection", status_name(c.auth().status), "KEY")
c = inside(node="node2")
c.send(request(HELLO, c.hello_records()))
check("a hello of another node than the handshake's ends the connection", c.closed(5))
c = inside(key="wrong")
c.hello()
is_("the right key for TLS and a wrong one for the login", status_name(c.auth().status), "KEY")

# Who has less.
wrong = shut_out("a wrong key", "osl/node1", key=b"w" * 32)
nobody = shut_out("an unknown node", "osl/nobody")
check("both look the same", "decrypt error" in wrong and "decrypt error" in nobody, wrong + nobody)
said = shut_out("another namespace", "xyz/node1")
check("is told by an alert of its own", "unrecognized name" in said, said)
shut_out("no key", None)
shut_out("no key, TLS 1.2", None, options=("-tls1_2",))
shut_out("a name that is none", "osl")
shut_out("a name with more", "osl/node1/x")
shut_out("a suite of another hash", "osl/node1", options=("-tls1_3", "-ciphersuites", "TLS_AES_256_GCM_SHA384"))
r = Node().connect().hello()
is_("a hello in the clear", status_name(r.status), "SECURITY")
check("is told what is asked for", "asks for tls" in text_of(r.payload), text_of(r.payload))

# Strangers are bounded.
def raw():
    return Node().connect()
half, silent = raw(), raw()
half.send(b"\x16\x03\x01\x02\x00\x01\x00")
start = time.monotonic()
check("half a hello waits for the rest", not half.closed(1))
check("but not for ever", half.closed(20) and silent.closed(20))
for name, data in (("garbage in a hello", b"\x16\x03\x01\x00\x40" + os.urandom(64)),
                   ("records that never end", (b"\x16\x03\x01\x40\x00" + bytes(0x4000)) * 8),
                   ("a record beyond the limit", b"\x16\x03\x01\xff\xff")):
    c = raw()
    try:
        c.send(data)
        check("%s: closed at once" % name, c.closed(3))
    except Closed:
        check("%s: closed at once" % name, True)
many = [raw() for _ in range(60)]
for c in many:
    c.send(b"\x16\x03\x01\x02\x00\x01")
check("half handshakes do not keep others out", inside().hello().status == OK)
for c in many:
    c.close()

# From several addresses, since one has fewer logins than there are handshakes.
def half_from(host):
    s = socket.create_connection((address, port), 5, (host, 0))
    s.sendall(b"\x16\x03\x01\x02\x00\x01")
    return s
wait_until(lambda: inside().hello().status == OK)
many = [half_from("127.0.0.%d" % (2 + i // 50)) for i in range(150)]
check("more handshakes than there is room for are ended",
      wait_until(lambda: len(select.select(many, [], [], 0)[0]) >= 10, 3))
for s in many:
    s.close()
c = inside()
is_("and afterwards all is well", (c.hello().status, c.auth().status), (OK, OK))
EOT
logged "$W" 'login of node1 from .* refused \(key\): its key is wrong' "the log has the wrong key"
logged "$W" 'login of nobody from .* refused \(key\): no such node in \[clients\]' "and the unknown node"
logged "$W" 'login of node1 from .* refused \(namespace\): it asks for namespace xyz' "and the other namespace"
logged "$W" 'refused \(security\): it offers auth' "and who offers less"
logged "$W" 'a hello of osl/node2 in a TLS connection of osl/node1' "and who is another"
logged "$W" 'too many TLS handshakes at once' "and too many at once"
is "$(grep -c "$TEST_KEY" "$W/rssrv.out")" 0 "no key is in the log"
done_testing
