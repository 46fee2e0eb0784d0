#!/bin/bash
# What must not lead into a session: frames out of order, torn and unknown records,
# wrong names, keys and proofs, and proofs that were said before.
# shellcheck source-path=SCRIPTDIR
# time-limit: 120
. "$(dirname "$0")/agent.sh"
requires_program rssrv rsslogcat
export BUILD SCENARIO_SECONDS=100

write_server_conf "$W" client=hostile
printf 'witness %s\nother %s\n' "$(new_key)" "$(new_key)" >"$W/more"
sed -i "/^\[clients\]/r $W/more" "$W/rssrvcfg"
make_volume "$W" quiet 1M
make_volume "$W" loud 8M
start_server "$W" --log-level debug	# strangers beyond a few lines a second are said there only

scenario "$W" <<'EOT'
from hostile import *
w = Witness()
h = Hostile(w)

# The login of rsio-protocol(7), byte by byte, is what this implementation says too.
import re
vectors = {}
with open(os.path.join(os.path.dirname(rsio.__file__), "../unit/login_vectors.h")) as f:
    for m in re.finditer(r'#define VECTOR_(\w+) ((?:\\\n\s*"[0-9a-f]+" ?)+)', f.read()):
        vectors[m[1]] = bytes.fromhex("".join(re.findall('"([0-9a-f]+)"', m[2])))
T = vectors["HELLO"] + vectors["WELCOME"]
proof = rsio.client_proof(vectors["KEY"], T, bytes(16))
granted = vectors["GRANTED"][REPLY_SIZE:]
is_("the page's example: headers", (request(HELLO, vectors["HELLO"][REQUEST_SIZE:]),
    reply(HELLO, vectors["WELCOME"][REPLY_SIZE:])), (vectors["HELLO"], vectors["WELCOME"]))
is_("the page's example: the client's proof", proof, vectors["CLIENT_PROOF"])
is_("the page's example: the server's proof",
    rsio.server_proof(vectors["KEY"], T, first(granted, T_SESSION), number(granted, T_CONNECTION), proof),
    vectors["SERVER_PROOF"])

# The wrong time.
def commands():
    yield "read", request(READ, handle=1, count=512, cookie=1)
    yield "write", request(WRITE, bytes(512), handle=1, count=512, cookie=1)
    yield "open", request(OPEN, rec(T_NAME, "loud"), handle=1, cookie=1)
    yield "list", request(LIST, count=10, cookie=1)
    yield "fence", request(FENCE, fence_body(1, [1]), cookie=1)
    yield "ping", request(PING)
    yield "bye", request(BYE)
for name, frame in commands():
    h.closed("%s as the first frame" % name, h.fresh(), frame, "before the login")
    h.closed("%s between hello and auth" % name, h.hello(), frame, "before the login")
    c = h.fresh()
    h.closed("%s in one piece with a hello" % name, c, request(HELLO, c.hello_records()) + frame,
             "before the login", OK)
c = h.fresh()
h.closed("auth first", c, request(AUTH, rec(T_PROOF, bytes(32))), "a auth before the login")
c = h.hello()
h.closed("hello twice", c, request(HELLO, c.hello_records()), "a hello before the login")
c = h.up()
h.closed("hello after the login", c, request(HELLO, c.hello_records()), "a second hello")
c = h.up()
h.closed("auth after the login", c, c.auth_frame(), "a second auth")
h.done("the wrong time")

# Records.
def said(name, reason, status=None, payload=None, **over):
    c = h.fresh()
    h.closed("hello: " + name, c, request(HELLO, c.hello_records(**over) if payload is None else payload),
             reason, status)
u32 = lambda *v: struct.pack("<%dI" % len(v), *v)
u16 = lambda *v: struct.pack("<%dH" % len(v), *v)
whole = h.fresh().hello_records()
said("empty", "lacks a record", payload=b"")
for cut in range(1, len(whole)):
    try:
        records(whole[:cut])
        why = "" if first(whole[:cut], T_NONCE) else "lacks a record"
    except Broken:
        why = "torn"
    said("cut after %d bytes" % cut, why, payload=whole[:cut])
said("a record longer than the rest", "torn", nonce=rec(T_NONCE, bytes(32))[:2] + u16(33) + bytes(32))
said("no nonce", "lacks a record", nonce=None)
for n in (0, 31, 33, 64):
    said("a nonce of %d bytes" % n, "not allowed", nonce=rec(T_NONCE, bytes(n)))
for what, tag in (("machine", T_MACHINE), ("boot", T_BOOT), ("run", T_RUN), ("life", T_LIFE)):
    for n in (0, 15, 17):
        said("%s of %d bytes" % (what, n), "not allowed", **{what: rec(tag, bytes(n))})
for name in ("", ".x", "-x", "a b", "a/b", "x" * 41, "\x00", "\xff", "a\n", "%s%s", "../x"):
    said("node %r" % name, "not allowed", node=rec(T_NODE, name.encode("latin1")))
    said("namespace %r" % name, "not allowed", namespace=rec(T_NAMESPACE, name.encode("latin1")))
for l in (u32(1, 0, 0), u32(511, 0, 0), u32(0, 0, 1), u32(0, 0, 511), u32(1, 1), u32(0, 0, 0, 0), b""):
    said("limits %s" % l.hex(), "not allowed", limits=rec(T_LIMITS, l))
for v in (u16(0, 1), u16(0, 0), u16(2, 1), u16(1), u16(1, 1, 1)):
    said("versions %s" % v.hex(), "not allowed", versions=rec(T_VERSIONS, v))
for f in (b"", b"\0", b"\2x", b"\0-x", b"\1" + b"x" * 41):
    said("feature %r" % f, "not allowed", feature=rec(T_FEATURE, f))
for tag in (T_VERSIONS, T_LIMITS, T_NAMESPACE, T_NAMESPACE_ID, T_NODE, T_MACHINE, T_LIFE, T_NONCE):
    data = first(whole, tag)
    said("%d twice" % tag, "comes twice", payload=whole + rec(tag, data))
said("namespace id of 4 bytes", "not allowed", namespace_id=rec32(T_NAMESPACE_ID, 200))
h.done("records of a hello")

said("a version that is too new", "version", E_VERSION, versions=rec(T_VERSIONS, u16(2, 3)))
said("a mandatory feature", "feature", E_FEATURE, feature=feature("time-travel", True))
said("a mandatory record", "mandatory", E_FEATURE, versions=rec(99, b"x", True))
said("another namespace", "namespace", E_NAMESPACE, namespace=rec(T_NAMESPACE, "other"))
said("another namespace's id", "namespace", E_NAMESPACE, namespace_id=rec16(T_NAMESPACE_ID, 201))
said("no namespace", "namespace", E_NAMESPACE, namespace=None)
c = h.fresh()
r = c.hello(c.hello_records(versions=rec(99, b"x", True)))
like = text_of(r.payload)
check("a refusal names the record", "99" in like, like)
c = h.fresh()
like = text_of(c.hello(c.hello_records(feature=feature("time-travel", True))).payload)
check("a refusal names the feature", "time-travel" in like, like)
h.done("what a hello is refused for")

# What is only not known is no matter.
c = h.fresh()
extra = rec(99, b"later") + rec(0, b"") + rec(0x7fff, bytes(300)) + feature("later")
if c.hello(c.hello_records() + extra).status == OK and c.auth().status == OK:
    check("unknown optional records and features are no matter", c.ping() > 0)
else:
    check("unknown optional records and features are no matter", False)
c = h.fresh()
c.hello(c.hello_records(versions=rec(T_VERSIONS, u16(1, 9))))
is_("a client that can do more versions is welcome", c.auth().status, OK)
c = h.fresh()
c.hello(b"".join(rec(t, d) for t, _, d in reversed(records(whole))))
is_("records may come in any order", c.auth().status, OK)

# Auth.
def auth_said(name, payload, reason, status=None, **header):
    c = h.hello()
    h.closed("auth: " + name, c, request(AUTH, payload, **header), reason, status)
right = rec(T_SESSION, bytes(16)) + rec(T_PROOF, bytes(32))
auth_said("empty", b"", "lacks a record")
auth_said("no proof", rec(T_SESSION, bytes(16)), "lacks a record")
for n in (0, 31, 33):
    auth_said("a proof of %d bytes" % n, rec(T_PROOF, bytes(n)), "not allowed")
auth_said("a session of 15 bytes", rec(T_SESSION, bytes(15)) + rec(T_PROOF, bytes(32)), "not allowed")
auth_said("two proofs", right + rec(T_PROOF, bytes(32)), "comes twice")
auth_said("a mandatory record", right + rec(99, b"", True), "mandatory")
auth_said("torn", right[:-1], "torn")
auth_said("too long", right + rec(99, bytes(4000)) + rec(99, bytes(100)), "longer than the limit")
auth_said("a proof of zeroes", right, "key is wrong", E_KEY)
for bit in range(0, 256, 3):
    c = h.hello()
    good = bytearray(client_proof(c.key, c.transcript, bytes(16)))
    good[bit // 8] ^= 1 << bit % 8
    h.closed("auth: bit %d of the proof" % bit, c, c.auth_frame(proof=bytes(good)), "key is wrong", E_KEY)
c = h.fresh(key="another")
c.hello()
h.closed("another key", c, c.auth_frame(), "key is wrong", E_KEY)
c = Node("nobody").connect(key="any")
c.hello()
h.closed("an unknown node", c, c.auth_frame(), "no such node", E_KEY)
c = h.hello()
mirrored = rsio.hmac.new(c.key, b"rsio server\0" + rsio.hashlib.sha256(c.transcript).digest() + bytes(16),
                         rsio.hashlib.sha256).digest()
h.closed("a proof of the other role", c, c.auth_frame(proof=mirrored), "key is wrong", E_KEY)
c = h.hello()
h.closed("the proof of another session", c,
         request(AUTH, rec(T_SESSION, b"s" * 16) + rec(T_PROOF, client_proof(c.key, c.transcript, bytes(16)))),
         "key is wrong", E_KEY)
h.done("records and proofs of an auth")

texts = set()
for c in (h.fresh(key="another"), Node("nobody").connect(key="any")):
    c.hello()
    r = c.auth()
    texts.add((r.status, r.payload, r.flags))
is_("a wrong key and a wrong name look the same", len(texts), 1)

# Said before: hello and proof of a login that succeeded.
c = h.fresh()
hello = request(HELLO, c.hello_records())
c.send(hello)
r = c.next_reply()
c.transcript = hello + r.raw + r.payload
auth = c.auth_frame()
c.send(auth)
is_("a login", c.next_reply().status, OK)
d = h.fresh()
d.send(hello)
d.next_reply()
h.closed("both said again on another connection", d, auth, "key is wrong", E_KEY)
e = h.hello()
h.closed("the proof alone", e, auth, "key is wrong", E_KEY)
check("the first one is still there", c.ping() > 0)
h.done("replays")

# Somebody else's session.
theirs = Node("other").login()
theirs.open("quiet", handle=7)
c = h.hello()
r = c.auth(theirs.session)
check("who names another's session gets one of its own",
      r.status == OK and c.session != theirs.session, status_name(r.status))
is_("with none of its handles", c.call(READ, offset=0, count=512, handle=7).status, E_HANDLE)
is_("and cannot fence it", c.fence(theirs.connection).status, E_INVALID)
check("the other's goes on", len(theirs.read(0, 512, 7)) == 512)
other_run = Node("other", run=b"r" * 16)
refused("the same node from another run directory", E_IN_USE, other_run.login)
check("the first goes on", len(theirs.read(0, 512, 7)) == 512)
theirs.bye()

# Slot and length limits hold during the login too; a large one is not waited for.
c = h.fresh()
h.closed("a hello of 4096 bytes and more", c,
         request(HELLO, c.hello_records() + rec(99, bytes(4096))), "longer than the limit")
h.done("login")
w.finish()
EOT
check "the server runs" kill -0 "$(server_pid "$W")"
done_testing
