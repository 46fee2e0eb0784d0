#!/usr/bin/env python3
"""relay.py DIR NETNS PORT... - who sits on the wire.

For each PORT of 127.0.0.1 in that network namespace it listens on a port of its own
in this one; DIR/ports has these, a line each, when it is ready.  All that passes is
written to DIR/wire.

DIR/flip-up, DIR/flip-down: one bit of what goes next to the server, to the client,
is turned over; then the file is gone.
DIR/cut: all connections are ended; then the file is gone.
"""
import ctypes
import os
import select
import socket
import sys


class Relay:
    def __init__(self, directory, netns, ports):
        self.here = os.open("/proc/self/ns/net", os.O_RDONLY)
        self.there = os.open("/run/netns/" + netns, os.O_RDONLY)
        self.dir = directory
        self.wire = open(os.path.join(directory, "wire"), "wb", buffering=0)
        self.other, self.up = {}, set()
        self.listeners = {}
        for port in ports:
            s = socket.create_server(("127.0.0.1", 0))
            self.listeners[s] = port
        with open(self.path("ports.new"), "w") as f:
            f.write("".join("%d\n" % s.getsockname()[1] for s in self.listeners))
        os.rename(self.path("ports.new"), self.path("ports"))

    def path(self, name):
        return os.path.join(self.dir, name)

    def asked(self, name):
        try:
            os.unlink(self.path(name))
            return True
        except FileNotFoundError:
            return False

    def enter(self, netns):
        if ctypes.CDLL(None, use_errno=True).setns(netns, 0):
            raise OSError(ctypes.get_errno(), "setns")

    def accept(self, listener):
        client = listener.accept()[0]
        self.enter(self.there)
        try:
            server = socket.create_connection(("127.0.0.1", self.listeners[listener]), 5)
        except OSError:
            client.close()
            return
        finally:
            self.enter(self.here)
        self.other[client], self.other[server] = server, client
        self.up.add(client)

    def end(self, s):
        for one in (s, self.other.pop(s, None)):
            if one is not None:
                self.other.pop(one, None)
                self.up.discard(one)
                one.close()

    def carry(self, s):
        try:
            data = s.recv(1 << 18)
            if not data:
                self.end(s)
                return
            self.wire.write(data)
            if self.asked("flip-up" if s in self.up else "flip-down"):
                at = len(data) // 2
                data = data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1:]
            self.other[s].sendall(data)
        except OSError:
            self.end(s)

    def run(self):
        while True:
            ready, _, _ = select.select([*self.listeners, *self.other], [], [], 0.05)
            for s in ready:
                if s in self.listeners:
                    self.accept(s)
                elif s in self.other:
                    self.carry(s)
            if self.asked("cut"):
                for s in list(self.other):
                    self.end(s)


Relay(sys.argv[1], sys.argv[2], [int(p) for p in sys.argv[3:]]).run()
