"""Portals that lie to a real client, one lie after the other.

    liar.py KEY HONEST-PORT LYING-PORT PATHS-FILE

The honest portal serves all the time.  For each lie the client has to close that
connection and say why in its status; then the next lie has its turn.  Prints "ok NAME"
or "not ok NAME" a line, "ready" when it listens.
"""

import json
import queue
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


class Liar:
    def __init__(self, model, port, paths):
        self.turns, self.paths, self.failed = queue.Queue(1), paths, 0
        self.port = model.portal(login=self.lie, port=port)

    def lie(self, peer):
        """The next connection hears the lie whose turn it is."""
        try:
            name, lie, reason, heard = self.turns.get_nowait()
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
        heard.put((closed, name, reason))
        return True

    def reason(self):
        text = ""
        with open(self.paths) as f:
            for path in self.walk(json.load(f)):
                if path.get("port") == self.port:
                    text = path.get("reason") or ""
        return text

    def walk(self, value):
        if isinstance(value, dict):
            if "portal" in value and "reason" in value:
                yield value
            for v in value.values():
                yield from self.walk(v)
        elif isinstance(value, list):
            for v in value:
                yield from self.walk(v)

    def say(self, name, lie, reason):
        heard = queue.Queue()
        self.turns.put((name, lie, reason, heard))
        try:
            closed, _, _ = heard.get(timeout=20)
        except queue.Empty:
            self.verdict(name, "the client did not come")
            return
        if not closed:
            self.verdict(name, "the client did not close the connection")
            return
        end = time.monotonic() + 5
        while reason not in (text := self.reason()) and time.monotonic() < end:
            time.sleep(0.02)
        self.verdict(name, "" if reason in text else 'its reason is "%s", not "%s"' % (text, reason))

    def verdict(self, name, wrong):
        print("%s a server that says: %s" % ("not ok" if wrong else "ok", name))
        if wrong:
            print("# " + wrong)
        sys.stdout.flush()


def main():
    key, honest, lying, paths = sys.argv[1:5]
    model = Model(key, name="srv", server_id=1, machine=b"m" * 16)
    model.portal(port=int(honest))
    liar = Liar(model, int(lying), paths)
    print("ready", flush=True)
    sys.stdin.readline()		# the client is there
    for case in LOGIN:
        liar.say(*case)
    print("done", flush=True)
    sys.stdin.readline()		# the traffic has ended


if __name__ == "__main__":
    main()
