"""Saying what a client must not say, while another client looks on.

Needs scenario.py.  A Witness is another node's client that writes and verifies all
the time; whatever a hostile connection does must not reach it.  Hostile.case() is
one thing said and what the server has to do: close that connection, or answer, and
give the reason in its log, beside the address and port that said it.
"""

import os
import subprocess
import threading
import time

import rsio
from scenario import DIR, Node, check


SAYS_WHY = (" ended: ", "refused", "version", "damaged")


class Witness(threading.Thread):
    """Writes and reads back its own volume on one connection, to the end."""

    def __init__(self, node="witness", volume="quiet"):
        super().__init__(daemon=True)
        self.client = Node(node).login()
        self.size = self.client.open(volume, handle=1).size
        self.rounds, self.wrong, self.longest, self.over = 0, "", 0.0, False
        self.start()

    def run(self):
        try:
            while not self.over:
                began = time.monotonic()
                offset = self.rounds * 8192 % (self.size - 8192)
                data = self.rounds.to_bytes(8, "little") * 1024
                self.client.write(offset, data)
                if self.client.read(offset, 8192) != data:
                    raise rsio.Broken("what was read is not what was written")
                self.longest = max(self.longest, time.monotonic() - began)
                self.rounds += 1
                time.sleep(0.005)
        except Exception as e:  # pylint: disable=broad-except
            self.wrong = "%s: %s" % (type(e).__name__, e)

    def goes_on(self, seconds=5):
        """A round that begins now ends."""
        goal, end = self.rounds + 2, time.monotonic() + seconds
        while self.rounds < goal and not self.wrong and time.monotonic() < end:
            time.sleep(0.005)
        return self.rounds >= goal and not self.wrong

    def finish(self, limit=2.0):
        check("another client goes on", self.goes_on(), self.wrong)
        self.over = True
        self.join(10)
        check("and was never held up for long", self.longest < limit, "%.2f s" % self.longest)
        print("%d rounds verified, the longest took %.0f ms" % (self.rounds, self.longest * 1e3))


def server_pid():
    with open(os.path.join(DIR, "run", "rssrv.pid")) as f:
        return int(f.read())


def descriptors():
    return len(os.listdir("/proc/%d/fd" % server_pid()))


def memory():
    """Of the server, in KiB."""
    with open("/proc/%d/status" % server_pid()) as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))


def log_lines():
    out = subprocess.run([os.path.join(os.environ["BUILD"], "rsslogcat"), "--run-dir",
                          os.path.join(DIR, "run")], stdout=subprocess.PIPE, check=True, timeout=20)
    return out.stdout.decode().splitlines()


def logged(port, seconds=3):
    """What the log says of a connection from that port."""
    end = time.monotonic() + seconds
    while True:
        lines = [x for x in log_lines() if "/%d" % port in x]
        if any(word in x for x in lines for word in SAYS_WHY):
            return lines
        if time.monotonic() > end:
            return lines
        time.sleep(0.05)


class Hostile:
    """Counts what went right in silence; says each thing that went wrong."""

    def __init__(self, witness, node="hostile", volume="loud"):
        self.witness, self.node, self.volume = witness, Node(node), volume
        self.wrong, self.cases, self.ports = 0, 0, {}

    def fresh(self, **options):
        return self.node.connect(**options)

    def hello(self, **options):
        c = self.fresh(**options)
        if c.hello().status:
            raise rsio.Broken("hello is refused")
        return c

    def up(self, handle=1, **options):
        """Logged in, in a session of its own, with a handle."""
        node = Node(self.node.name)
        c = node.login(**options)
        c.open(self.volume, handle=handle)
        return c

    def complain(self, name, what):
        self.wrong += 1
        print("not ok %s\n%s" % (name, what), flush=True)

    def closed(self, name, c, data, reason="", status=None):
        """data is said over c: the server closes c.  reason: in the log.  status: of the
        reply that comes before."""
        self.cases += 1
        port = c.sock.getsockname()[1]
        try:
            if data is not None:
                c.send(data)
            if status is not None:
                r = c.next_reply()
                while r.type == rsio.EVENT:
                    r = c.next_reply()
                if r.status != status:
                    self.complain(name, "answered with %s" % rsio.status_name(r.status))
                c.sock.shutdown(1)
        except rsio.Closed:
            pass
        except (rsio.Broken, OSError) as e:
            self.complain(name, repr(e))
        if not c.closed():
            self.complain(name, "the connection was not closed")
        c.close()
        self.ports[port] = (name, reason)
        if self.witness.wrong:
            self.complain(name, "the witness: " + self.witness.wrong)

    def answered(self, name, c, status, kind, payload=b"", **header):
        """A command is refused with that status, and the connection goes on."""
        self.cases += 1
        r = c.call(kind, payload, **header)
        if r.status != status:
            self.complain(name, "answered with %s, not %s" % (rsio.status_name(r.status),
                                                              rsio.status_name(status)))
        if not c.ping():
            self.complain(name, "the connection does not go on")

    def done(self, name):
        """One check for all cases since the last: their reasons are in the log."""
        if self.ports:
            last = max(self.ports)
            logged(last)
            lines = log_lines()
        for port, (case, reason) in self.ports.items():
            mine = [x for x in lines if "/%d" % port in x]
            if not any(reason in x and word in x for x in mine for word in SAYS_WHY):
                self.complain(case, "not in the log with \"%s\": %s" % (reason, "\n".join(mine)))
        if not self.witness.goes_on():
            self.complain(name, "the witness: " + (self.witness.wrong or "does not go on"))
        if not self.wrong:
            print("ok %s (%d cases)" % (name, self.cases), flush=True)
        self.wrong, self.cases, self.ports = 0, 0, {}
