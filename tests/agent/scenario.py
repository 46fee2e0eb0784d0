"""What the server's scenarios are written in; agent.sh runs them."""

import json  # noqa: F401
import os
import random  # noqa: F401
import socket
import struct
import sys
import threading  # noqa: F401
import time
from rsio import *  # noqa: F401,F403
import rsio

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from said import check, is_  # noqa: E402,F401

DIR = sys.argv[1]
SEED = int(os.environ.get("RSIO_SEED", "1"))


def portals(directory=None):
    """[(namespace, id, server, address, port)]"""
    with open(os.path.join(directory or DIR, "portals")) as f:
        return [(n, int(i), s, a, int(p)) for n, i, s, a, p in map(str.split, f)]


def clients_key(node, directory=None):
    found = False
    with open(os.path.join(directory or DIR, "rssrvcfg")) as f:
        for line in f:
            words = line.split()
            if line.startswith("["):
                found = words[0] == "[clients]"
            elif found and words and words[0] == node:
                return words[1]
    return "no such node in the configuration"


class Node:
    """One client daemon: its ids stay the same over its connections."""

    def __init__(self, name="node1", directory=None, **ids):
        self.name, self.directory = name, directory
        self.ids = dict(machine=b"M" * 16, boot=b"B" * 16, run=name.encode().ljust(16, b"."),
                        life=os.urandom(16))
        self.ids.update(ids)

    def connect(self, portal=0, seconds=10, **options):
        """Connected, nothing said yet; while nobody listens it tries again."""
        ns, ident, _, address, port = portals(self.directory)[portal]
        options = {"namespace": ns, "namespace_id": ident, "node": self.name,
                   "key": clients_key(self.name, self.directory), **self.ids, **options}
        end = time.monotonic() + seconds
        while True:
            try:
                return Client(address, port, **options)
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)

    def login(self, session=bytes(16), portal=0, **options):
        c = self.connect(portal, **options)
        for step in (c.hello, lambda: c.auth(session)):
            r = step()
            if r.status:
                raise Refused(r)
        return c


def refused(name, status, call):
    """call is refused with that status; its sentence."""
    try:
        call()
    except Refused as e:
        is_(name, status_name(e.status), status_name(status))
        return e.text
    check(name, False, "it was not refused")
    return ""


def wait_until(what, seconds=10):
    end = time.monotonic() + seconds * int(os.environ.get("RSIO_SLOW", 1))
    while not what():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def ctl(request, directory=None):
    """One request to the control socket."""
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(10)
    s.connect(os.path.join(directory or DIR, "run", "rssrv.sock"))
    body = json.dumps(request).encode()
    s.sendall(struct.pack(">I", len(body)) + body)

    def exactly(n):
        data = b""
        while len(data) < n:
            part = s.recv(n - len(data))
            if not part:
                raise Closed("control socket")
            data += part
        return data

    reply = json.loads(exactly(struct.unpack(">I", exactly(4))[0]))
    s.close()
    return reply


def status(directory=None):
    return ctl({"do": "status"}, directory)


def volume(name, directory=None):
    """The volume's part of the status, or None."""
    for v in status(directory)["volumes"]:
        if v["name"] == name:
            return v
    return None


def next_event(c, kind, seconds=5):
    """Waits for an event of that kind on a connection with nothing in flight."""
    end = time.monotonic() + seconds
    while True:
        for i, e in enumerate(c.events):
            if number(e.payload, T_EVENT_KIND) == kind:
                del c.events[i]
                data = first(e.payload, T_VOLUME)
                return get_volume(data) if data else e
        left = end - time.monotonic()
        if left <= 0 or not c.readable(left):
            return None
        r = c.next_reply()
        if r.type == EVENT:
            c.events.append(r)
        else:
            c.stash[r.cookie] = r


def pool_file(name, directory=None):
    return os.path.join(directory or DIR, "pool", name)
