#!/usr/bin/env python3
"""recorder.py DIR - a server that writes down what it is asked for.

One volume "vol" of 4 MiB in memory, in namespace osl, on a port of its own,
which DIR/port names.  Each command becomes a line of DIR/commands:

    write 4096 512 fua
    flush

DIR/hold: while that file is there no data command is answered.
DIR/refuse: every command whose name it contains is answered with an I/O error.
"""
import os
import select
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "peer"))
import rsio  # noqa: E402

SIZE = 4 << 20
VOLUME = rsio.Volume(name="vol", uuid=b"u" * 16, generation=1, size=SIZE, block_size=512, id=0,
                     flags=0, av=0, shared=False)
BLOCK = 4096


class Recorder:
    def __init__(self, directory):
        self.dir = directory
        self.server = rsio.Server(key=os.environ.get("KEY", "key"), name="recorder", server_id=1)
        self.data = bytearray(SIZE)
        self.peers, self.held = [], []
        self.session = bytes(range(16))
        self.connections = 0
        self.log = open(os.path.join(directory, "commands"), "w", buffering=1)

    def path(self, name):
        return os.path.join(self.dir, name)

    def accept(self):
        p = self.server.accept()
        p.read_hello()
        p.crc = False
        p.welcome()
        p.read_auth()
        self.connections += 1
        p.grant(self.session, self.connections)
        self.peers.append(p)

    def note(self, r):
        words = [rsio.type_name(r.type).lower().replace("_", "-")]
        if r.type != rsio.FLUSH:
            words += [str(r.offset), str(r.count)]
        if r.flags & rsio.F_FUA:
            words.append("fua")
        self.log.write(" ".join(words) + "\n")

    def carry_out(self, r):
        end = r.offset + r.count
        if r.type == rsio.READ:
            return bytes(self.data[r.offset:end])
        if r.type == rsio.WRITE:
            self.data[r.offset:end] = r.payload
        elif r.type in (rsio.DISCARD, rsio.WRITE_ZEROES):
            self.data[r.offset:end] = bytes(r.count)
        elif r.type == rsio.STATUS:
            return self.extents(r.offset, end)
        return b""

    def extents(self, at, end):
        out = b""
        while at < end:
            n = min(end, (at // BLOCK + 1) * BLOCK) - at
            hole = not any(self.data[at:at + n])
            out += struct.pack("<QI", n, hole)
            at += n
        return out

    def refused(self, r):
        try:
            with open(self.path("refuse")) as f:
                return rsio.type_name(r.type).lower().replace("_", "-") in f.read().split()
        except FileNotFoundError:
            return False

    def data_command(self, peer, r):
        if self.refused(r):
            peer.answer(r, status=rsio.E_IO)
        else:
            peer.answer(r, self.carry_out(r))

    def request(self, peer):
        r = peer.next_request()
        if r.type == rsio.LIST:
            peer.answer(r, rsio.put_volume(VOLUME) + rsio.rec32(rsio.T_TOTAL, 1))
        elif r.type == rsio.OPEN:
            peer.answer(r, rsio.put_volume(VOLUME))
        elif r.type == rsio.PING:
            peer.answer(r, r.offset.to_bytes(8, "little"))
        elif r.type in (rsio.CLOSE, rsio.BYE):
            peer.answer(r)
        elif r.type == rsio.FENCE:
            peer.answer(r, rsio.fence_body(*rsio.parse_fence(r.payload)[:1], []))
        else:
            self.note(r)
            if os.path.exists(self.path("hold")):
                self.held.append((peer, r))
            else:
                self.data_command(peer, r)

    def run(self):
        with open(self.path("port.new"), "w") as f:
            f.write("%d\n" % self.server.port)
        os.rename(self.path("port.new"), self.path("port"))
        while True:
            ready, _, _ = select.select([self.server.sock] + [p.sock for p in self.peers], [], [], 0.02)
            if self.held and not os.path.exists(self.path("hold")):
                held, self.held = self.held, []
                for peer, r in held:
                    self.data_command(peer, r)
            if self.server.sock in ready:
                self.accept()
            for p in [p for p in self.peers if p.sock in ready]:
                try:
                    self.request(p)
                except (rsio.Closed, OSError):
                    self.peers.remove(p)
                    self.held = [h for h in self.held if h[0] is not p]


Recorder(sys.argv[1]).run()
