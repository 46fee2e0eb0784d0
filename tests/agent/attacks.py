"""What test-attacks-wire.sh does to a real client and a real server; runs within scenario.py.

    DIR auth|tls RELAY-PORT IMPOSTOR-PORT

The client has three portals: the server's own, the relay's, and one where whoever has the
port may answer.
"""
import re
import subprocess

from middle import DOWN, UP, Cut, Middle, flipped, mended
from scenario import *  # noqa: F401,F403
from tls import Tls, expand, psk

MODE, RELAY, IMPOSTOR = sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
TLS = MODE == "tls"
ADDRESS, PORT = portals()[0][3:]
KEY = node_key(clients_key("node1"))
FORGED_END = bytes.fromhex("15030300020100")	# close_notify in the clear
FIRST = 5 if TLS else 2				# the first unit from the client that is a command; well behind it
m = Middle(ADDRESS, PORT, RELAY)
volume_path = os.path.join(DIR, "clt", "mnt", "osl", "v")


def text_of_log(who, mark=0):
    with open(os.path.join(DIR, {"client": "clt/rsiod.out", "server": "rssrv.out"}[who]), "rb") as f:
        f.seek(mark)
        return f.read().decode(errors="replace")


def server_says(port):
    return "\n".join(x for x in text_of_log("server").splitlines() if re.search(r"/%d\b" % port, x))


class Traffic:
    """Writes and reads back over the mount; what it wrote is what the server's file has."""

    def __init__(self):
        self.count = 0

    def goes_on(self, rounds=4):
        fd = os.open(volume_path, os.O_RDWR)
        try:
            for _ in range(rounds):
                self.count += 1
                at, data = self.count * 4096 % (1 << 20), struct.pack("<Q", self.count) * 512
                os.pwrite(fd, data, at)
                for _ in range(1 + self.count % 2):	# so that each path has both
                    if os.pread(fd, 4096, at) != data:
                        return False
                with open(pool_file("v.raw"), "rb") as f:
                    f.seek(at)
                    if f.read(4096) != data:
                        return False
        finally:
            os.close(fd)
        return True


traffic = Traffic()
wrong = []


def expect(name, true, detail=""):
    if not true:
        wrong.append("%s: %s" % (name, detail))


def done(name):
    """One check for all since the last."""
    expect(name, traffic.goes_on(), "the volume does not go on")
    check("%s: %s" % (MODE, name), not wrong, "\n".join(wrong))
    wrong.clear()


class Live:
    """The client's connection through the relay that is there now."""

    def __init__(self):
        self.connection = m.next()

    def shutdown(self):
        c = self.connection
        if not c.over.is_set():
            for s in (c.client, c.server):
                try:
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def busy(self):
        return traffic.goes_on(2) and len(self.connection.said[UP]) > FIRST

    def attacked(self, name, attack, client="", server="", comes_back=True):
        """The client's next connection is attacked, and ends; one of the two says why."""
        mark = os.path.getsize(os.path.join(DIR, "clt/rsiod.out"))
        m.attack(attack)
        self.shutdown()
        c = self.connection = m.next()
        end = time.monotonic() + 15
        while not c.over.wait(0.01) and time.monotonic() < end:
            expect(name, traffic.goes_on(2), "the volume")
        expect(name, c.over.is_set(), "the connection goes on: %d up, %d down" % (len(c.said[UP]), len(c.said[DOWN])))
        if client:
            expect(name, wait_until(lambda: re.search(client, text_of_log("client", mark)), 5), text_of_log("client", mark))
        if server:
            expect(name, wait_until(lambda: re.search(server, server_says(c.port)), 5), server_says(c.port))
        if comes_back:
            self.connection = m.next()
            expect(name, wait_until(self.busy), "the client does not come back")


def stranger(units, name, reason, answers=True):
    """Says these over a connection of its own: the server closes it, and its log has the reason."""
    s = Stream(socket.create_connection((ADDRESS, PORT), 5))
    port = s.sock.getsockname()[1]
    try:
        for u in units:
            s.send(u)
            if answers:
                s.readable(0.05)
    except Closed:
        pass
    expect(name, s.closed(8), "the server does not close the connection")
    s.close()
    expect(name, wait_until(lambda: re.search(reason, server_says(port)), 5), "the log: " + server_says(port))


traffic.goes_on()
live = Live()
wait_until(lambda: traffic.goes_on() and len(live.connection.said[UP]) > FIRST + 10)
recorded = live.connection
ups, downs = list(recorded.said[UP]), list(recorded.said[DOWN])
granted = text_of_log("server").count("granted: session")
before = open(pool_file("v.raw"), "rb").read()

# Replays, to the server.
refusal = r"refused \(security\): the TLS handshake failed" if TLS else r"refused \(key\): its key is wrong"
stranger(ups, "all that a client said", refusal)
stranger(ups, "the same in one piece", refusal, answers=False)
stranger(ups[:2], "a login", refusal)
if TLS:
    stranger(ups[1:], "all but the hello", r"what came is not TLS|begins with 0x17|not a TLS|damaged|handshake failed|ended: ")
for n in (FIRST, FIRST + 1, FIRST + 3):
    stranger(ups[n:n + 1], "a command", "not TLS|before the login|not an rsio|ended: ")
stranger(ups[:1] + ups[FIRST:], "a hello and then commands", "handshake failed" if TLS else "before the login")
expect("replays", open(pool_file("v.raw"), "rb").read() == before, "the volume has changed")
expect("replays", text_of_log("server").count("granted: session") == granted, "somebody was let in")
done("what was recorded, said again to the server")

# Reflection, to the server.
stranger(downs[:1], "the server's own hello", "ended: |refused")
stranger(ups[:1] + downs, "the server's messages behind a hello", "ended: |refused")
stranger(downs[-1:], "a reply", "ended: |refused")
s = Stream(socket.create_connection((ADDRESS, PORT), 5))
port = s.sock.getsockname()[1]
s.send(ups[0])
try:
    while True:
        s.send(s.sock.recv(1 << 16) or b"x")
except (Closed, OSError):
    pass
expect("an echo", wait_until(lambda: re.search("ended: |refused", server_says(port))), server_says(port))
done("the server's messages, sent back to it")


# And to the client.
def echo(c, way, n, unit):
    if way == UP:
        c.inject(DOWN, unit)


live.attacked("an echo", echo, client=r"the TLS handshake failed" if TLS else r"srv-2.*(checksum|not an rsio|protocol)")
done("the client's messages, sent back to it")


# In the middle of traffic.
def at(way, number, change):
    """change(c, unit) for one unit, at least the number-th, that is not all there is."""
    def attack(c, w, n, unit):
        return change(c, unit) if w == way and n == number else unit
    return attack


def swap(way, number):
    held = []

    def attack(c, w, n, unit):
        if w != way or n not in (number, number + 1):
            return unit
        held.append(unit)
        return None if len(held) == 1 else held[1] + held[0]
    return attack


BEHIND = FIRST + 6
damaged = {UP: dict(server="a TLS record that was damaged on its way"),
           DOWN: dict(client=r"srv-2.*a TLS record that was damaged on its way")}
if TLS:
    for way, old in ((UP, ups), (DOWN, downs)):
        said = damaged[way]
        for place in (5, 20, -1):
            live.attacked("a bit, %s, %d" % (way, place), at(way, BEHIND, lambda c, u, p=place: flipped(u, p % len(u), 4)), **said)
        live.attacked("a record twice, " + way, at(way, BEHIND, lambda c, u: u + u), **said)
        live.attacked("a record left out, " + way, at(way, BEHIND, lambda c, u: None), **said)
        live.attacked("two records swapped, " + way, swap(way, BEHIND), **said)
        live.attacked("a record of another connection, " + way, at(way, BEHIND, lambda c, u, r=old[BEHIND]: r), **said)
        live.attacked("one more record of another connection, " + way, at(way, BEHIND, lambda c, u, r=old[BEHIND]: r + u), **said)
        live.attacked("a record of before, " + way, at(way, BEHIND, lambda c, u, w=way: c.said[w][FIRST]), **said)
        live.attacked("the other's record, " + way, at(way, BEHIND,
                      lambda c, u, w=way: c.said[UP if w == DOWN else DOWN][-1]), **said)
        live.attacked("an end that nobody said, " + way, at(way, BEHIND, lambda c, u: FORGED_END + u),
                      **({"server": "not TLS"} if way == UP else {"client": "not TLS"}))
        live.attacked("a frame in the clear, " + way, at(way, BEHIND, lambda c, u, w=way:
                      (request(PING) if w == UP else reply(PING, bytes(8))) + u),
                      **({"server": "not TLS"} if way == UP else {"client": "not TLS"}))
    done("records altered, twice, left out, swapped, taken from elsewhere, and an end that nobody said")
else:
    for way, who in ((UP, "server"), (DOWN, "client")):
        live.attacked("a header, " + way, at(way, BEHIND, lambda c, u: flipped(u, 9, 4)), **{who: "checksum"})
    live.attacked("data, up", lambda c, w, n, u: flipped(u, 100, 4) if w == UP and n >= BEHIND and len(u) > 4096 else u,
                  server="arrived damaged")
    live.attacked("data, down", lambda c, w, n, u: flipped(u, 100, 4) if w == DOWN and n >= BEHIND and len(u) > 4096 else u,
                  client="srv-2.*damaged")
    live.attacked("a reply twice", at(DOWN, BEHIND, lambda c, u: u + u), client="srv-2.*(not in flight|nobody)")
    live.attacked("a reply of another connection", at(DOWN, BEHIND, lambda c, u: downs[BEHIND] + u), client="srv-2.*(not in flight|nobody)")
    done("frames altered, twice, taken from elsewhere")

# Cut, at each end of what is said, with no word about it.
for way in (UP, DOWN):
    for number in range(0, FIRST + 4):
        def cut(c, w, n, unit, way=way, number=number):
            if (w, n) == (way, number):
                raise Cut
            return unit
        live.attacked("cut before %d, %s" % (number, way), cut)
    expect("cut", traffic.goes_on(), "the volume")
done("the stream cut at each boundary of the login and behind it, without a word")



# Less is offered in the other's name.
def instead(data):
    def attack(c, way, n, unit):
        if way == UP and n == 0:
            c.inject(DOWN, data)
            return None
        return unit
    return attack


class Hello:
    """A hello of TLS, by its parts."""

    def __init__(self, record):
        self.data = bytearray(record)
        at = 5 + 4 + 2 + 32
        at += 1 + self.data[at]
        self.suites = at + 2
        at += 2 + self.number(at)
        at += 1 + self.data[at] + 2
        self.extensions = {}
        while at < len(self.data):
            self.extensions[self.number(at)] = at + 4
            at += 4 + self.number(at + 2)

    def number(self, at):
        return int.from_bytes(self.data[at:at + 2], "big")

    def with_(self, at, new, key=None):
        """Other bytes there; with the key its proof is that of what it says now."""
        d = self.data[:]
        d[at:at + len(new)] = new
        if key:
            early = rsio.hmac.new(bytes(32), psk(key, "osl/node1"), "sha256").digest()
            binder = expand(early, b"ext binder", rsio.hashlib.sha256(b"").digest())
            said = rsio.hashlib.sha256(d[5:-35]).digest()
            d[-32:] = rsio.hmac.new(expand(binder, b"finished", b""), said, "sha256").digest()
        return bytes(d)


def server_answers(data):
    """With a hello of its own?"""
    s = Stream(socket.create_connection((ADDRESS, PORT), 5))
    s.send(data)
    head = s.exactly(6)
    s.close()
    return head[0] == 0x16 and head[5] == 2


def hellos():
    h = Hello(ups[0])
    versions, modes, shares, groups = (h.extensions[x] for x in (43, 45, 51, 10))
    for name, at_, new in (("no TLS 1.3", versions + 1, b"\3\3"), ("a key without an exchange", modes + 1, b"\0"),
                           ("a suite of another hash", h.suites, b"\x13\x02\x13\x02"),
                           ("suites without a hash", h.suites, b"\x00\x2f\x00\x2f"),
                           ("an exchange of another group", shares + 2, b"\0\x18"), ("other groups alone", groups + 2, b"\0\x18\0\x19")):
        yield name, h.with_(at_, new)
        yield name + ", from who has the key", h.with_(at_, new, KEY)


if TLS:
    text = rec(T_TEXT, "this server asks for auth, set security = auth")
    live.attacked("a refusal in the clear", instead(reply(HELLO, text, status=E_SECURITY)), client="does not answer with TLS")
    fake = rsio.Peer(rsio.Server(), socket.socketpair()[0])
    live.attacked("a welcome in the clear", instead(reply(HELLO, fake.welcome_records())), client="does not answer with TLS")
    tls12 = bytes.fromhex("160303002a020000260303") + bytes(32) + bytes.fromhex("00c02f00")
    live.attacked("a server of TLS 1.2", instead(tls12), client="TLS handshake failed")
    check("tls: a hello as it was and one with its proof made anew are answered",
          server_answers(ups[0]) and server_answers(Hello(ups[0]).with_(11, os.urandom(32), KEY)))
    for name, hello in hellos():
        stranger([hello], name, "refused")
    clear = Node().connect()
    is_("tls: auth where tls is asked for", status_name(clear.hello().status), "SECURITY")
else:
    def less(c, way, n, unit):
        """No checksums of payloads, and no trace of it."""
        if (way, n) != (UP, 0):
            return unit
        body = b"".join(rec(t, d) for t, _, d in records(unit[40:]) if t != T_FEATURE)
        return mended(UP, unit[:4] + struct.pack("<I", len(body)) + unit[8:40]) + body
    live.attacked("a feature taken out", less, client="srv-2.*refuses the login", server=r"refused \(key\): its key is wrong",
                  comes_back=False)
done("less, offered in the other's name")


# Keys that are not the right one.
theirs = node_key(clients_key("node2"))


def to_server(name, reason, node="node1", identity="osl/node1", key=theirs):
    """Another node's key."""
    if not TLS:
        try:
            Node(node).login(key=key.hex())
            expect(name, False, "let in")
        except Refused as r:
            expect(name, r.status == E_KEY, r)
        return
    t = Tls(ADDRESS, PORT, identity, key)
    expect(name, t.binding() is None, "a handshake was made")
    t.close()


to_server("another node's key", "")
to_server("the right key for an unknown name", "", "node3", "osl/node3")
to_server("the right key for the other name", "", "node2", "osl/node2", KEY)
to_server("a key by chance", "", key=os.urandom(32))
if TLS:
    to_server("the right key for another namespace", "", identity="xyz/node1", key=KEY)
    t = Tls(ADDRESS, PORT, "osl/node2", theirs)
    c = Node("node1").connect(within=t, key=theirs.hex())
    c.send(request(HELLO, c.hello_records()))
    expect("a hello of another node than the handshake's", c.closed(), "it goes on")
    t.close()
done("another node's key, and the right one under another name")


# Who listens in a server's place, with the key of another node.
def impostor(name, serve, reason):
    mark = os.path.getsize(os.path.join(DIR, "clt/rsiod.out"))
    end = serve()
    expect(name, wait_until(lambda: re.search("srv-3.*(%s)" % reason, text_of_log("client", mark)), 10),
           text_of_log("client", mark))
    end()


def openssl_serves(*options):
    def serve():
        p = subprocess.Popen(["openssl", "s_server", "-accept", "127.0.0.1:%d" % IMPOSTOR, "-quiet", *options],
                             stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def end():
            p.kill()
            p.wait()
        return end
    return serve


def scripted(proof):
    """Grants whoever comes."""
    def serve():
        machine, boot, life = (first(downs[0][rsio.REPLY_SIZE:], t) for t in (T_MACHINE, T_BOOT, T_LIFE))
        server = rsio.Server("127.0.0.1", IMPOSTOR, key=theirs.hex(), name="srv", server_id=1, machine=machine,
                             boot=boot, life=life)

        def run():
            try:
                while True:
                    p = server.accept(30)
                    try:
                        p.read_hello()
                        p.welcome()
                        auth = p.expect(AUTH)
                        p.client_proof = first(auth.payload, T_PROOF)
                        p.grant(b"s" * 16, 1, proof=proof(p))
                        p.closed()
                    except (Closed, Broken):
                        pass
            except OSError:
                pass
        threading.Thread(target=run, daemon=True).start()

        def end():
            server.sock.shutdown(socket.SHUT_RDWR)
            server.close()
        return end
    return serve


if TLS:
    hint = rsio.hashlib.sha256(b"rsio tls hint\0" + KEY).hexdigest()[:8]
    pem = os.path.join(DIR, "pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=srv",
                    "-keyout", pem, "-out", pem + ".crt"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    impostor("with a certificate", openssl_serves("-cert", pem + ".crt", "-key", pem),
             "does not prove that it knows the key of node node1: the other side has a certificate.*is that port a portal")
    impostor("with a certificate and an older TLS", openssl_serves("-tls1_2", "-cert", pem + ".crt", "-key", pem),
             "TLS handshake with alert 70 .protocol version.; is that port a portal of rssrv|"
             "TLS handshake failed .*; is that port a portal of rssrv")
    impostor("with no key of ours", openssl_serves("-nocert", "-psk", psk(theirs, "osl/node1").hex(), "-psk_identity", "other"),
             "the TLS handshake with alert [0-9]+ .*is that port a portal of rssrv")
    impostor("with another node's key", openssl_serves("-nocert", "-psk", psk(theirs, "osl/node1").hex(),
             "-psk_identity", "osl/node1/" + hint), "unknown node name or wrong key|TLS handshake with alert")
else:
    impostor("with another node's key", scripted(lambda p: None), "does not prove that it knows the key")
done("another node's key in a server's place")
