"""Portals that lie to a real client, one lie after the other.

    liar.py KEY HONEST-PORT LYING-PORT PATHS-FILE LOG-FILE

The honest portal serves all the time.  For each lie the client has to close that
connection and say why, in its status or its log; then the next lie has its turn.
Prints "ok NAME" or "not ok NAME" a line, "ready" when it listens, "done" at the end.
"""

import json
import os
import queue
import re
import sys
import time

import rsio
from model import Model


# Lies before the client is let in: each gets a peer whose hello is read.

def says(frame):
    return lambda p: p.send(frame)


def welcome(**over):
    return lambda p: p.welcome(p.welcome_records(**over))


def header(**wrong):
    return lambda p: p.welcome(**wrong)


def refuses(status, text):
    return lambda p: p.send(rsio.reply(rsio.HELLO, rsio.rec(rsio.T_TEXT, text), status=status))


def grants(change):
    def lie(p):
        p.welcome()
        p.read_auth()
        change(p)
    return lie


def wrong_proof(p):
    p.grant(b"s" * 16, 9, proof=bytes(32))


def proof_of_another_number(p):
    good = rsio.server_proof(p.server.key, p.transcript, b"s" * 16, 9, p.client_proof)
    p.grant(b"s" * 16, 10, proof=good)


def relayed(p):
    """Somebody in between takes the checksums out of the hello's answer."""
    p.welcome(p.welcome_records(feature=None))
    p.transcript = p.hello.raw + p.hello.payload + rsio.reply(rsio.HELLO, p.welcome_records())
    p.expect(rsio.AUTH)
    p.client_proof = bytes(32)
    p.grant(b"s" * 16, 9)


LOGIN = [
    ("TLS", says(b"\x16\x03\x03\x00\x7a" + bytes(64)), "TLS hello"),
    ("HTTP", says(b"HTTP/1.1 400 Bad Request\r\n\r\n" + bytes(32)), "not an rsio frame"),
    ("version 2 in the header", header(version=2), "version"),
    ("a header's checksum", header(header_crc=1), "checksum"),
    ("a length of 4 GiB", header(length=0xffffffff), "limit"),
    ("a hello of 5000 bytes", welcome(later=rsio.rec(99, bytes(5000))), "limit"),
    ("auth before hello", says(rsio.reply(rsio.AUTH, bytes(40))), "nobody asked for"),
    ("a read's answer", says(rsio.reply(rsio.READ, bytes(512), cookie=1025)), "nobody asked for"),
    ("an event", says(rsio.reply(rsio.EVENT, rsio.rec16(rsio.T_EVENT_KIND, 6))), "nobody asked for"),
    ("no nonce", welcome(nonce=None), "lacks a record"),
    ("a torn hello", welcome(nonce=rsio.rec(rsio.T_NONCE, bytes(32))[:-1]), "torn"),
    ("a name that is none", welcome(server=rsio.rec(rsio.T_SERVER, "../x")), "not allowed"),
    ("a mandatory record", welcome(later=rsio.rec(99, b"", True)), "mandatory"),
    ("a mandatory feature", welcome(feature=rsio.feature("time-travel", True)), "time-travel"),
    ("limits of one byte", welcome(limits=rsio.limits(1, 1, 1)), "not allowed"),
    ("another server's id", welcome(server=rsio.rec(rsio.T_SERVER, "another")), "id 1"),
    ("another machine", welcome(machine=rsio.rec(rsio.T_MACHINE, b"x" * 16)), "another machine"),
    ("a wrong proof", grants(wrong_proof), "does not prove"),
    ("a proof of another number", grants(proof_of_another_number), "does not prove"),
    ("a hello that was changed on its way", relayed, "does not prove"),
    ("a grant without a number", grants(lambda p: p.grant(b"s" * 16, 9, payload=rsio.rec(
        rsio.T_SESSION, bytes(16)) + rsio.rec(rsio.T_PROOF, bytes(32)))), "lacks a record"),
    ("hello again", grants(lambda p: p.send(rsio.reply(rsio.HELLO, p.welcome_records()))),
     "nobody asked for"),
    ("a refusal", refuses(rsio.E_SECURITY, "only with more security\x1b[31m"), "more security"),
]


# Lies to a client that is let in: each gets a peer and the request that it answers.
# What was asked may have been done or not; the fence over the honest portal says so.

def answers(**wrong):
    def lie(p, r, payload):
        wrong.setdefault("cookie", r.cookie)
        p.send(rsio.reply(wrong.get("kind", r.type), payload,
                          **{k: v for k, v in wrong.items() if k != "kind"}))
    return lie


def damaged(p, r, payload):
    payload = payload or b"x"
    p.send(rsio.reply(r.type, payload, cookie=r.cookie, crc=True, payload_crc=1))


def too_long(p, r, payload):
    p.send(rsio.reply(r.type, payload + bytes(300), cookie=r.cookie))


def too_short(p, r, payload):
    """A read's answer lacks its last byte; a write's has one."""
    p.send(rsio.reply(r.type, payload[:-1] if r.type == rsio.READ else b"x", cookie=r.cookie))


def longer_than_said(p, r, payload):
    """What is too much stands where the next header is looked for."""
    p.send(rsio.reply(r.type, payload + bytes(64), cookie=r.cookie, length=len(payload)))


def nothing(p, r, payload):
    p.send(rsio.reply(r.type, b"", cookie=r.cookie) if r.type == rsio.READ else
           rsio.reply(rsio.READ, bytes(r.count), cookie=r.cookie))


def torn(p, r, payload):
    p.send(rsio.reply(r.type, payload, cookie=r.cookie)[:20])
    p.sock.shutdown(1)


def twice(p, r, payload):
    p.send(rsio.reply(r.type, payload, cookie=r.cookie) * 2)


def not_in_flight(p, r, payload):
    p.send(rsio.reply(r.type, payload, cookie=r.cookie ^ 0x155))


COMMAND = [
    ("a damaged payload", damaged, "damaged|belongs"),
    ("a header's checksum", answers(header_crc=1), "checksum"),
    ("an unknown type", answers(kind=77), "unknown type"),
    ("another type", answers(kind=rsio.LIST), "not in flight|belongs"),
    ("more than was asked", too_long, "longer|belongs|number of bytes"),
    ("a byte less or more than was asked", too_short, "longer|belongs|number of bytes"),
    ("nothing where there is data, data where there is none", nothing, "belongs|number of bytes|not in flight"),
    ("more than its length says", longer_than_said, "not an rsio frame|checksum"),
    ("another cookie", not_in_flight, "not in flight"),
    ("a reply twice", twice, "not in flight"),
    ("half a header", torn, "closed by the server"),
    ("a goodbye", lambda p, r, payload: p.send(rsio.reply(rsio.BYE)), "nobody said"),
    ("a ping's answer", lambda p, r, payload: p.send(rsio.reply(rsio.PING, bytes(8))),
     "nobody asked for"),
    ("a torn event", lambda p, r, payload: p.send(rsio.reply(rsio.EVENT, b"abc")), "torn"),
]


class Liar:
    def __init__(self, model, port, paths, log):
        self.turns, self.paths, self.log, self.model = queue.Queue(1), paths, log, model
        self.commands, self.over = 0, False
        self.port = model.portal(login=self.lie, command=self.lie_later, port=port)

    def lie_later(self, peer, r):
        """Some commands are answered rightly, then one with a lie, and not always done."""
        if r.type not in (rsio.READ, rsio.WRITE):
            return False
        self.commands += 1
        if self.commands < 5:
            return False
        try:
            name, lie, _, heard = self.turns.get_nowait()
        except queue.Empty:
            return False
        self.commands = 0
        payload = b""
        if r.type == rsio.READ or len(name) % 2:
            payload = self.model.carry_out(peer, r)[1]
        lie(peer, r, payload)
        heard.put(peer.closed(7))
        raise rsio.Closed("lied")

    def lie(self, peer):
        """The next connection hears the lie whose turn it is."""
        if self.over:
            return False
        try:
            name, lie, _, heard = self.turns.get_nowait()
        except queue.Empty:
            peer.close()
            return True
        try:
            peer.read_hello()
            lie(peer)
            closed = peer.closed(7)
        except (rsio.Closed, OSError):
            closed = True
        except rsio.Broken as e:
            print("# %s: %s" % (name, e), flush=True)
            closed = False
        heard.put(closed)
        return True

    def status(self):
        """The reason in the status of the path to the lying portal."""
        with open(self.paths) as f:
            for path in walk(json.load(f)):
                if path.get("port") == self.port:
                    return path.get("reason") or ""
        return ""

    def logged(self, mark):
        with open(self.log, errors="replace") as f:
            f.seek(mark)
            return "".join(x for x in f if "srv-2)" in x)

    def say(self, name, lie, reason):
        heard, mark = queue.Queue(), os.path.getsize(self.log)
        self.turns.put((name, lie, reason, heard))
        try:
            if not heard.get(timeout=20):
                self.verdict(name, "the client did not close the connection")
                return
        except queue.Empty:
            self.verdict(name, "the client did not come")
            return
        end = time.monotonic() + 5
        while time.monotonic() < end:
            # Once the path is up again its status has no reason any more.
            text = self.logged(mark) if self.over else self.status()
            if re.search(reason, text):
                break
            time.sleep(0.02)
        self.verdict(name, "" if re.search(reason, text) else
                     'its reason is "%s", not "%s"' % (text, reason))

    def verdict(self, name, wrong):
        print("%s a server that says: %s" % ("not ok" if wrong else "ok", name))
        if wrong:
            print("# " + wrong)
        sys.stdout.flush()


def walk(value):
    """Every path in a status."""
    if isinstance(value, dict):
        if "portal" in value and "reason" in value:
            yield value
        for v in value.values():
            yield from walk(v)
    elif isinstance(value, list):
        for v in value:
            yield from walk(v)


def main():
    key, honest, lying, paths, log = sys.argv[1:6]
    model = Model(key, name="srv", server_id=1, machine=b"m" * 16)
    model.portal(port=int(honest))
    liar = Liar(model, int(lying), paths, log)
    print("ready", flush=True)
    sys.stdin.readline()		# the client is there
    for case in LOGIN:
        liar.say(*case)
    liar.over = True
    for case in COMMAND:
        liar.say(*case)
    print("done", flush=True)
    sys.stdin.readline()		# the traffic has ended


if __name__ == "__main__":
    main()
