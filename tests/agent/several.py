"""For scenarios of several servers on one storage: what a client of them does."""

import os
import signal
import threading
import time
import rsio
import scenario

ONE, TWO = scenario.DIR + "/1", scenario.DIR + "/2"


def pid(directory):
    with open(directory + "/run/rssrv.pid") as f:
        return int(f.read())


def send(directory, name):
    """A signal to that server: "STOP", "CONT", "KILL"; STOP is waited for."""
    p = pid(directory)
    os.kill(p, getattr(signal, "SIG" + name))
    if name == "STOP":
        scenario.wait_until(lambda: all(state(p, t) == "T" for t in os.listdir("/proc/%d/task" % p)))


def state(process, thread):
    try:
        with open("/proc/%d/task/%s/stat" % (process, thread)) as f:
            return f.read().rsplit(")", 1)[1].split()[0]
    except OSError:
        return "T"


class Pinger(threading.Thread):
    """Keeps a session's lease up, over a connection of its own, until stop()."""

    def __init__(self, c, directory, every=0.1):
        super().__init__(daemon=True)
        self.c = scenario.Node(c.node, directory, life=c.life).login(c.session, portal=1)
        self.every, self.ended, self.last = every, threading.Event(), 0
        self.start()

    def run(self):
        stamp = 0
        try:
            while not self.ended.wait(self.every):
                stamp = self.c.ping(stamp)
                self.last = time.monotonic()
        except (rsio.Closed, OSError):
            pass

    def stop(self):
        self.ended.set()
        self.join()
        self.c.close()


def both(lease=0, second=15000, name="node1"):
    """One client at both servers, with volume v open; second: its lease at the second one,
    which is kept up."""
    a = scenario.Node(name, ONE).login(lease=lease)
    b = scenario.Node(name, TWO, life=a.life).login(lease=second)
    a.open("v")
    b.open("v")
    b.pinger = Pinger(b, TWO)
    return a, b


def finish(*connections):
    """An orderly end; the session's when these are all it has."""
    for c in connections:
        if hasattr(c, "pinger"):
            c.pinger.stop()
        c.bye()
        c.close()


def open_later(c, name="v", seconds=20, handle=1):
    """OPEN, again and again while it is refused with BUSY; how long it took, or None."""
    begin = time.monotonic()
    got = scenario.wait_until(lambda: c.call(rsio.OPEN, rsio.rec(rsio.T_NAME, name), handle=handle).status != rsio.E_BUSY,
                              seconds)
    c.open(name, handle)
    return time.monotonic() - begin if got else None


def still_held(c, server, number, seconds, handle=1):
    """Is TAKEOVER answered with BUSY for that long?"""
    end = time.monotonic() + seconds
    busy = True
    while busy and time.monotonic() < end:
        busy = c.takeover(server, number, handle)[0] == rsio.E_BUSY
        time.sleep(0.01)
    return busy


def free_after(c, server, number, seconds=20, handle=1):
    """How long until TAKEOVER is answered with OK; None: not within that."""
    begin = time.monotonic()
    seconds *= int(os.environ.get("RSIO_SLOW", 1))
    while time.monotonic() < begin + seconds:
        status, text = c.takeover(server, number, handle)
        if status == rsio.OK:
            return time.monotonic() - begin
        if status != rsio.E_BUSY:
            raise rsio.Broken("takeover: %s, %s" % (rsio.status_name(status), text))
        time.sleep(0.01)
    return None


def say(text):
    print("# " + text, flush=True)
