#!/usr/bin/env python3
"""Measures rsio beside its peers on this machine: the same data, the same load, in turn.

Each round of a group measures every stand once, so that what is compared was measured within
seconds of each other; the next run begins with another stand.  bench/README.md has the rest."""
import sys

sys.dont_write_bytecode = True

import argparse
import fnmatch
import os
import platform
import shutil
import signal
import subprocess
import tempfile
import time

import load
import report
from rows import GROUPS
from stands import (Attached, Cipher, File, Missing, Mount, Nbdfuse, Nbdkit, Null, Place, Qsd, Server, Session, Volume,
                    unmount)

GiB = 1 << 30


class Terminated(Exception):
    pass


def on_signal(number, _frame):
    raise Terminated(f"ended by signal {number}")


def make_file(path, size, random_data):
    """Filled a chunk at a time, or a hole."""
    with open(path, "wb") as f:
        if not random_data:
            f.truncate(size)
            return
        for _ in range(size >> 24):
            f.write(os.urandom(1 << 24))
        f.flush()
        os.fsync(f.fileno())


def drop_cache(path):
    """What of this file is in the page cache goes to the disk and out of memory."""
    fd = os.open(path, os.O_RDWR)
    try:
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(fd)


def punch(path):
    subprocess.run(["fallocate", "--punch-hole", "--offset", "0", "--length", str(os.stat(path).st_size), path],
                   check=False)


class Bench:
    def __init__(self, options):
        self.o = options
        self.memory = tempfile.mkdtemp(prefix="rsio-bench-", dir=options.memory)
        self.disk = tempfile.mkdtemp(prefix="rsio-bench-", dir=options.disk)
        self.place = Place(options.build, self.memory)
        self.rows, self.stands, self.missing = [], {}, {}

    def data(self):
        """A pool in memory, one on disk; the polling server's is the same file by another name."""
        for d in ("pool", "pool-poll"):
            os.mkdir(self.place.path(d))
        os.chmod(self.disk, 0o700)
        self.bench = self.place.path("pool", "bench.raw")
        self.sparse = self.place.path("pool", "sparse.raw")
        self.cold = os.path.join(self.disk, "disk.raw")
        make_file(self.bench, GiB, True)
        make_file(self.sparse, 64 * GiB, False)
        os.link(self.bench, self.place.path("pool-poll", "bench.raw"))
        if self.wanted("cold") or self.wanted("disk-w"):
            make_file(self.cold, GiB, True)

    def wanted(self, group):
        return any(fnmatch.fnmatch(group, p) for p in self.o.groups)

    def plan(self):
        """Every stand by name, those that others rest on first."""
        server = Server(self.place, "server", [self.place.path("pool"), self.disk])
        polling = Server(self.place, "polling", [self.place.path("pool-poll")], poll=self.o.poll)
        mount, tls = Mount(server, "mount"), Mount(server, "tls", tls=True)
        kits = {n: Nbdkit(self.place, f"nbdkit-{n}", f)
                for n, f in (("bench", self.bench), ("sparse", self.sparse), ("disk", self.cold))}
        kits["tls"] = Nbdkit(self.place, "nbdkit-tls", self.bench, tls=True)
        return {
            "server": server, "server-poll": polling,
            "rsio": mount, "rsio-crc": Mount(server, "crc", crc=True), "rsio-asleep": Mount(server, "asleep", poll=0),
            "rsio-tls": tls, "cipher": Cipher(tls),
            "rsio-poll": Mount(polling, "poll", poll=self.o.poll),
            "rsio-paths4": Mount(server, "paths4", paths=4),
            "rsio-loop": Attached(mount),
            "rsio:sparse": Volume(mount, "sparse"), "rsio:disk": Volume(mount, "disk"),
            "alone": Session(server), "alone-crc": Session(server, crc=True),
            "alone4": Session(server, paths=4), "alone4-crc": Session(server, paths=4, crc=True),
            "alone-clients64": Session(server, clients=64),
            "nbd": kits["bench"], "nbd:sparse": kits["sparse"], "nbd:disk": kits["disk"],
            "nbd:tls": kits["tls"], "qsd-tls": Qsd(kits["tls"]), "nbdfuse-tls": Nbdfuse(kits["tls"]),
            "qsd": Qsd(kits["bench"]), "nbdfuse": Nbdfuse(kits["bench"]),
            "qsd:sparse": Qsd(kits["sparse"]), "qsd:disk": Qsd(kits["disk"]),
            "disk": File(self.cold), "fio-null": Null(),
        }

    def start(self, name):
        """Starts a stand; what is missing is said once."""
        stand = self.stands[name]
        try:
            stand.start()
            self.missing.pop(name, None)
        except (Missing, OSError, subprocess.SubprocessError) as e:
            stand.target = None
            if self.missing.get(name) != str(e):
                print(f"bench: {name} is left out: {e}", flush=True)
            self.missing[name] = str(e)

    def needed(self):
        """The stands of the groups that are wanted, and what they rest on."""
        names = {s for g in GROUPS if self.wanted(g.name) for s in g.stands}
        if names & {"rsio-loop", "rsio:sparse", "rsio:disk"}:
            names.add("rsio")
        if "cipher" in names:
            names.add("rsio-tls")
        if "rsio-poll" in names:
            names.add("server-poll")
        if any(n.startswith(("rsio", "alone")) for n in names):
            names.add("server")
        for n in list(names):
            base, _, volume = n.partition(":")
            if base in ("qsd-tls", "nbdfuse-tls"):
                names.add("nbd:tls")
            elif base in ("qsd", "nbdfuse"):
                names.add(f"nbd:{volume}" if volume else "nbd")
        return names

    def start_all(self):
        names = self.needed()
        self.stands = {n: s for n, s in self.plan().items() if n in names}
        for n in self.stands:
            self.start(n)

    def verify(self):
        """Before speed counts: what is written is what is read."""
        for n in ("rsio", "rsio-crc", "rsio-tls", "rsio-poll", "rsio-paths4", "rsio-loop", "alone", "alone4", "alone-crc",
                  "rsio:disk"):
            s = self.stands.get(n)
            if not s or n in self.missing:
                continue
            load.verify(s, self.place, 0.5)
            print(f"bench: {n}: what was written is what is read", flush=True)

    def prepare(self, group, stand):
        if group.name == "cold":
            drop_cache(self.cold)

    def settle(self, group, stand):
        if group.name == "sparse-w":
            punch(self.sparse)
        if group.name == "disk-w":
            drop_cache(self.cold)

    def measure(self, run, group, name):
        stand, row = self.stands[name], dict.fromkeys(report.FIELDS, "")
        row.update(run=run, group=group.name, load=group.load.text(), stand=name)
        self.rows.append(row)
        if name in self.missing or not stand.ok():
            stand.stop()
            self.start(name)    # once more: it may have been killed by the watchdog
        if name in self.missing:
            row["note"] = self.missing[name]
            return
        self.prepare(group, name)
        try:
            r = load.measure(group.load, stand, self.o.seconds)
        except (load.Hung, load.Failed, ValueError, KeyError) as e:
            row["note"] = str(e)
            print(f"bench: {group.name} on {name}: {e}", flush=True)
            return
        finally:
            self.settle(group, name)
        row.update(iops=f"{r.iops:.0f}", mbps=f"{r.mbps:.1f}", p50_us=f"{r.p50:.1f}", p99_us=f"{r.p99:.1f}",
                   load_cores=f"{r.load:.3f}", client_cores=f"{r.client:.3f}", server_cores=f"{r.server:.3f}",
                   machine_cores=f"{r.machine:.3f}")
        print(f"  {run} {group.name:9} {name:16} {r.iops:9.0f} IOPS {r.mbps:8.0f} MB/s  p50 {r.p50:6.0f} us  "
              f"cores {r.load:.2f}/{r.client:.2f}/{r.server:.2f} of {r.machine:.2f}", flush=True)

    def run_all(self):
        for run in range(1, self.o.runs + 1):
            for group in GROUPS:
                if not self.wanted(group.name):
                    continue
                turn = (run - 1) % len(group.stands)
                for name in group.stands[turn:] + group.stands[:turn]:
                    if any(fnmatch.fnmatch(name, p) for p in self.o.stands):
                        self.measure(run, group, name)

    def close(self):
        for s in reversed(list(self.stands.values())):
            try:
                s.stop()
            except Exception as e:      # the others are stopped all the same
                print(f"bench: {e}")
        with open("/proc/self/mounts", encoding="utf-8") as f:
            for line in f:
                if line.split()[1].startswith(self.memory):
                    unmount(line.split()[1])
        for d in (self.memory, self.disk):
            shutil.rmtree(d, ignore_errors=True)


def machine():
    def first(path, key):
        try:
            with open(path, encoding="utf-8") as f:
                return next((x.split(":", 1)[1].strip() for x in f if x.startswith(key)), "?")
        except OSError:
            return "?"

    try:
        with open("/proc/sys/net/ipv4/tcp_congestion_control", encoding="ascii") as f:
            control = f.read().strip()
    except OSError:
        control = "?"
    return (f"{os.cpu_count()} x {first('/proc/cpuinfo', 'model name')}, kernel {platform.release()}, {control}, "
            f"load {os.getloadavg()[0]:.1f}")


def options():
    p = argparse.ArgumentParser(description="Measures rsio beside its peers; make bench calls it.")
    p.add_argument("--build", default=os.environ.get("BUILD", "build"), help="where the programs are (build)")
    p.add_argument("--runs", type=int, default=3, help="interleaved runs (3)")
    p.add_argument("--seconds", type=float, default=1.5, help="of each measurement (1.5)")
    p.add_argument("--groups", type=lambda s: s.split(","), default=["*"], metavar="PATTERN,...",
                   help="only these groups; --list shows them")
    p.add_argument("--stands", type=lambda s: s.split(","), default=["*"], metavar="PATTERN,...",
                   help="only these stands")
    p.add_argument("--poll", type=int, default=200, help="microseconds of polling on the polling stands (200)")
    p.add_argument("--memory", default="/dev/shm", help="a directory in tmpfs with room for 4 GiB (/dev/shm)")
    p.add_argument("--disk", default="/var/tmp", help="a directory on a disk with room for 1 GiB (/var/tmp)")
    p.add_argument("--csv", help="where the figures go (BUILD/bench/bench.csv)")
    p.add_argument("--no-verify", action="store_true", help="do not check data first")
    p.add_argument("--show", metavar="CSV", help="measure nothing, print the table of these figures")
    p.add_argument("--ratios", metavar="CSV", help="the same, for the plot: name, median, range, least, aim")
    p.add_argument("--list", action="store_true", help="print groups and stands")
    o = p.parse_args()
    o.build = os.path.abspath(o.build)
    o.csv = o.csv or os.path.join(o.build, "bench", "bench.csv")
    return o


def main():
    o = options()
    if o.list:
        for g in GROUPS:
            print(f"{g.name:9} {g.load.text():38} {' '.join(g.stands)}")
        return 0
    if o.show:
        report.show(report.read(o.show))
        return 0
    if o.ratios:
        report.ratios(report.read(o.ratios))
        return 0
    for s in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(s, on_signal)
    print(f"bench: {machine()}")
    began, b = time.monotonic(), Bench(o)
    try:
        b.data()
        b.start_all()
        if not o.no_verify:
            b.verify()
        b.run_all()
    except (Terminated, load.Failed, load.Hung) as e:
        print(f"bench: {e}")
        return 1
    finally:
        b.close()
    os.makedirs(os.path.dirname(o.csv), exist_ok=True)
    report.write(o.csv, b.rows)
    report.show(b.rows)
    print(f"{time.monotonic() - began:.0f} s; the figures are in {o.csv}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
