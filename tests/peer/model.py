"""A whole server in Python, with portals that may lie.

    m = Model("key", name="srv", server_id=1)
    port = m.portal()                     an honest one
    port = m.portal(login=f)              f(peer) instead of the login: True when it did it all
    port = m.portal(command=g)            g(peer, request) first: True when it answered itself

One volume, "vol", in memory.  FENCE closes the connection that it names; since a
connection's commands are carried out one after the other by its own thread, nothing of
it is done once that thread has ended.
"""

import os
import threading
import time

import rsio


class Model:
    def __init__(self, key, size=8 << 20, address="127.0.0.1", **identity):
        self.key, self.address, self.identity = key, address, identity
        self.identity.setdefault("life", os.urandom(16))
        self.data = bytearray(size)
        self.volume = rsio.Volume("vol", b"U" * 16, 1, size, 512, 0, 0, 0, 0)
        self.lock = threading.Lock()
        self.session, self.last, self.handles = os.urandom(16), 0, set()
        self.peers, self.done, self.log, self.servers = {}, {}, [], []
        self.said = []		# the portals that LIST tells of, as ADDRESS/PORT

    def portal(self, login=None, command=None, port=0):
        server = rsio.Server(self.address, port, key=self.key, **self.identity)
        self.servers.append(server)
        threading.Thread(target=self._accept, args=(server, login, command), daemon=True).start()
        return server.port

    def _accept(self, server, login, command):
        while True:
            try:
                peer = server.accept(timeout=3600)
            except OSError:
                return
            threading.Thread(target=self._serve, args=(peer, login, command), daemon=True).start()

    def _serve(self, peer, login, command):
        peer.sock.settimeout(60)
        peer.over = threading.Event()
        try:
            if login and login(peer):
                return
            self.login(peer)
            while True:
                r = peer.next_request()
                if command and command(peer, r):
                    continue
                self.answer(peer, r)
        except (rsio.Closed, rsio.Broken, OSError) as e:
            self.log.append("%s: %s" % (type(e).__name__, e))
        finally:
            peer.over.set()
            peer.close()

    def login(self, peer):
        peer.read_hello()
        peer.welcome()
        wanted = peer.read_auth()
        with self.lock:
            if wanted != self.session:
                self.session, self.handles = os.urandom(16), set()
            self.last += 1
            self.peers[self.last], self.done[self.last] = peer, {}
            number, session = self.last, self.session
        peer.grant(session, number)

    def carry_out(self, peer, r):
        """What the command leads to: status, payload."""
        if r.type == rsio.LIST:
            said = b"".join(rsio.rec(rsio.T_PORTAL, text) for text in self.said)
            return rsio.OK, said + rsio.put_volume(self.volume) + rsio.rec32(rsio.T_TOTAL, 1)
        if r.type == rsio.OPEN:
            self.handles.add(r.handle)
            return rsio.OK, rsio.put_volume(self.volume)
        if r.type == rsio.CLOSE:
            self.handles.discard(r.handle)
            return rsio.OK, b""
        if r.type == rsio.PING:
            return rsio.OK, time.monotonic_ns().to_bytes(8, "little")
        if r.type == rsio.BYE:
            return rsio.OK, b""
        if r.type == rsio.FENCE:
            return self.fence(r)
        if r.handle not in self.handles:
            return rsio.E_HANDLE, b""
        if r.type != rsio.FLUSH and r.offset + r.count > len(self.data):
            return rsio.E_RANGE, b""
        return self.on_volume(peer, r)

    def on_volume(self, peer, r):
        at = slice(r.offset, r.offset + r.count)
        if r.type == rsio.READ:
            return rsio.OK, bytes(self.data[at])
        if r.type == rsio.STATUS:
            return rsio.OK, r.count.to_bytes(8, "little") + bytes(4)
        if r.type in (rsio.WRITE, rsio.DISCARD, rsio.WRITE_ZEROES):
            self.data[at] = r.payload if r.type == rsio.WRITE else bytes(r.count)
            self.done[peer.connection][r.cookie] = rsio.OK
        return rsio.OK, b""

    def fence(self, r):
        number, cookies, _ = rsio.parse_fence(r.payload)
        with self.lock:
            target = self.peers.get(number)
        if target is None:
            return rsio.E_INVALID, b""
        try:
            target.sock.shutdown(2)
        except OSError:
            pass
        if not target.over.wait(10):
            return rsio.E_NO_MEMORY, b""
        known = self.done[number]
        mine = [c for c in cookies if c in known]
        return rsio.OK, rsio.fence_body(number, mine, [known[c] for c in mine])

    def answer(self, peer, r):
        status, payload = self.carry_out(peer, r)
        peer.answer(r, payload, status=status)
