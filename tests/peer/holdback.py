#!/usr/bin/env python3
"""A relay between clients and a server that holds back what the clients send.

    holdback.py ADDRESS:PORT=SERVER-ADDRESS:PORT...

Prints "ready".  Then, a word a line on its input: "hold" keeps what comes from now on, also
that a client has closed its end, and lets answers pass; "release" sends it on, and says
"released BYTES" when all of it is sent or refused.  Any other word, or the end of its input, ends it.
"""
import selectors
import socket
import sys


class Relay:
    def __init__(self):
        self.sel = selectors.DefaultSelector()
        self.holding = False
        self.pairs = []

    def listen(self, own, target):
        s = socket.create_server(own, backlog=64)
        self.sel.register(s, selectors.EVENT_READ, lambda: self.accept(s, target))

    def accept(self, listener, target):
        client, _ = listener.accept()
        try:
            server = socket.create_connection(target, timeout=5)
        except OSError:
            client.close()
            return
        for s in (client, server):
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            s.settimeout(10)
        pair = {"client": client, "server": server, "held": bytearray(), "closed": False}
        self.pairs.append(pair)
        self.sel.register(client, selectors.EVENT_READ, lambda: self.from_client(pair))
        self.sel.register(server, selectors.EVENT_READ, lambda: self.from_server(pair))

    def stop_reading(self, s):
        try:
            self.sel.unregister(s)
        except KeyError:
            pass

    def drop(self, pair):
        if pair in self.pairs:
            self.pairs.remove(pair)
            for end in ("client", "server"):
                self.stop_reading(pair[end])
                pair[end].close()

    def from_client(self, pair):
        try:
            data = pair["client"].recv(1 << 20)
        except OSError:
            data = b""
        if not data:
            self.stop_reading(pair["client"])
            pair["closed"] = True
            if not self.holding:
                self.drop(pair)
        elif self.holding:
            pair["held"] += data
        else:
            self.send(pair, data)

    def send(self, pair, data):
        try:
            pair["server"].sendall(data)
        except OSError:
            self.drop(pair)

    def from_server(self, pair):
        try:
            data = pair["server"].recv(1 << 20)
        except OSError:
            data = b""
        if not data:
            # What is held still goes to that server's socket; who else closed it does not matter.
            self.stop_reading(pair["server"])
            if not self.holding:
                self.drop(pair)
            return
        try:
            pair["client"].sendall(data)
        except OSError:
            pass

    def release(self):
        self.holding = False
        sent = 0
        for pair in list(self.pairs):
            held, pair["held"] = bytes(pair["held"]), bytearray()
            sent += len(held)
            self.send(pair, held)
        for pair in [p for p in self.pairs if p["closed"]]:
            self.end(pair)
        print("released %d" % sent, flush=True)

    def end(self, pair):
        """The server is to do what it was sent: it sees the end when it is quiet."""
        pair["server"].settimeout(0.5)
        try:
            while pair["server"].recv(1 << 20):
                pass
        except OSError:
            pass
        self.drop(pair)

    def command(self):
        word = sys.stdin.readline().strip()
        if word == "hold":
            self.holding = True
            print("holding", flush=True)
        elif word == "release":
            self.release()
        else:
            sys.exit(0)

    def run(self):
        self.sel.register(sys.stdin, selectors.EVENT_READ, self.command)
        print("ready", flush=True)
        while True:
            for key, _ in self.sel.select():
                try:
                    registered = self.sel.get_key(key.fileobj) == key
                except (KeyError, ValueError):
                    continue
                if registered:
                    key.data()


def main():
    relay = Relay()
    for arg in sys.argv[1:]:
        own, target = (a.rsplit(":", 1) for a in arg.split("="))
        relay.listen((own[0], int(own[1])), (target[0], int(target[1])))
    relay.run()


main()
