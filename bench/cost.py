#!/usr/bin/env python3
"""Where the time of a request goes, and what memory is needed: the tables of README.md, "Speed".

CPU a request from /proc, its parts from perf's samples, system calls from perf's counters; without
perf only the first.  Memory is what a process has for itself (Private in smaps_rollup)."""
import sys

sys.dont_write_bytecode = True

import argparse
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time

import load
from bench import GiB, make_file, on_signal
from load import Load
from stands import Missing, Mount, Place, Server, Session

# A sample belongs to the first of these that is in its stack.
PARTS = (
    ("take from FUSE", ("fuse_dev_read", "fuse_dev_do_read")),
    ("answer FUSE", ("fuse_dev_write", "fuse_dev_do_write")),
    ("receive", ("tcp_recvmsg", "sock_recvmsg")),
    ("send", ("tcp_sendmsg", "__sys_sendmsg")),
    ("wait and wake up", ("do_epoll_wait", "schedule")),
    ("page cache, read", ("shmem_file_read_iter", "filemap_read", "__x64_sys_pread64", "vfs_read")),
    ("page cache, write", ("generic_perform_write", "__x64_sys_pwrite64", "vfs_write")),
    ("enter and leave the kernel", ("entry_SYSCALL_64_after_hwframe", "do_syscall_64", "el0_svc")),
    ("interrupts", ("asm_sysvec_apic_timer_interrupt", "handle_softirqs", "irq_exit_rcu")),
)
CALLS = ("read", "write", "readv", "writev", "pread64", "preadv2", "pwrite64", "sendmsg", "recvmsg", "recvfrom",
         "epoll_wait", "epoll_pwait2", "futex", "io_uring_enter", "sendfile64", "splice")

LOADS = (
    ("8 KiB random read, depth 1", Load("randread", depth=1)),
    ("8 KiB random read, depth 64", Load("randread")),
    ("8 KiB random write, depth 64", Load("randwrite")),
    ("1 MiB read, depth 16", Load("read", block=1 << 20, depth=16)),
    ("1 MiB write, depth 16", Load("write", block=1 << 20, depth=16)),
)


def part_of(stack):
    for name, functions in PARTS:
        if any(f in stack for f in functions):
            return name
    return "own code"


def samples(pid, seconds):
    """{part: share of the samples}"""
    with tempfile.NamedTemporaryFile(suffix=".perf") as f:
        subprocess.run(["perf", "record", "-q", "-e", "cpu-clock", "-F", "997", "-g", "-p", str(pid), "-o", f.name,
                        "--", "sleep", str(seconds)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        text = subprocess.run(["perf", "script", "-i", f.name, "-F", "ip,sym"], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True, check=False).stdout
    stacks = [set(re.findall(r"^\s*[0-9a-f]+ ([^\s(+]+)", s, re.M)) for s in text.split("\n\n") if s.strip()]
    parts = {}
    for s in stacks:
        parts[part_of(s)] = parts.get(part_of(s), 0) + 1 / len(stacks)
    return parts


def calls(pid, seconds):
    """{system call: number in that time}"""
    known = [c for c in CALLS if os.path.isdir(f"/sys/kernel/tracing/events/syscalls/sys_enter_{c}") or
             os.path.isdir(f"/sys/kernel/debug/tracing/events/syscalls/sys_enter_{c}")] or CALLS
    events = ",".join(f"syscalls:sys_enter_{c}" for c in known)
    text = subprocess.run(["perf", "stat", "-x", ",", "-e", events, "-p", str(pid), "--", "sleep", str(seconds)],
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False).stderr
    found = {}
    for line in text.splitlines():
        n, _, name = line.split(",")[:3] if line.count(",") > 2 else ("", "", "")
        if n.isdigit() and int(n):
            found[name.rsplit("sys_enter_", 1)[-1]] = int(n)
    return found


def both(what, pids, seconds):
    """what() for the client and the server at the same time."""
    found = {}
    threads = [threading.Thread(target=lambda k=k, p=p: found.update({k: what(p, seconds)})) for k, p in pids.items()]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return found


def during(stand, wanted, seconds, what):
    """what(), while the load runs; and the load's result."""
    found = {}

    def measure():
        found["result"] = load.measure(wanted, stand, seconds)

    t = threading.Thread(target=measure)
    t.start()
    time.sleep(0.5)     # the load has started
    found["what"] = what()
    t.join()
    if "result" not in found:
        raise load.Failed("the load failed")
    return found["result"], found["what"]


def show_time(stand, title, wanted, seconds, perf):
    plain = load.measure(wanted, stand, seconds)
    print(f"\n{title}: {plain.iops:.0f} IOPS, p50 {plain.p50:.1f} us; CPU us a request: load "
          f"{1e6 * plain.load / plain.iops:.2f}, client {1e6 * plain.client / plain.iops:.2f}, server "
          f"{1e6 * plain.server / plain.iops:.2f}", flush=True)
    if not perf:
        return
    pids = {"client": stand.client.popen.pid, "server": stand.server.popen.pid}
    _, shares = during(stand, wanted, seconds + 1.5, lambda: both(samples, pids, seconds))
    counted, n = during(stand, wanted, seconds + 1.5, lambda: both(calls, pids, seconds))
    for side in pids:
        cpu = 1e6 * getattr(plain, side) / plain.iops
        line = ", ".join(f"{part} {cpu * share:.2f}" for part, share in
                         sorted(shares[side].items(), key=lambda x: -x[1]) if share > 0.01)
        print(f"  {side:6} us: {line}")
        line = ", ".join(f"{c} {v / (counted.iops * seconds):.2f}" for c, v in
                         sorted(n[side].items(), key=lambda x: -x[1]) if v / (counted.iops * seconds) > 0.005)
        print(f"  {side:6} calls: {line}", flush=True)


def private(process):
    """Bytes that the process has for itself."""
    with open(f"/proc/{process.popen.pid}/smaps_rollup", encoding="ascii") as f:
        return sum(int(x.split()[1]) * 1024 for x in f if x.startswith("Private"))


def at_work(place, session, server, *more):
    """The server's private memory while rsbench is at work."""
    p = subprocess.Popen([place.program("rsbench"), "-c", session.config, "--run-dir", session.run_dir, "--json",
                          "--time", "3s", *more, session.target], stdout=subprocess.DEVNULL)
    time.sleep(2)
    bytes_ = private(server.server)
    p.wait()
    return bytes_


def show_memory(place):
    """Each figure is a difference of two states of fresh daemons."""
    def fresh(volumes=1):
        os.makedirs(place.path("small"), exist_ok=True)
        for i in range(volumes):
            name = place.path("small", "bench.raw" if i == 0 else f"v{i}.raw")
            if not os.path.exists(name):
                make_file(name, 64 << 20, False)
        s = Server(place, "memory", [place.path("small")])
        s.start()
        return s

    def one(volumes=1, paths=1):
        s = fresh(volumes)
        m = Mount(s, "mount", paths=paths)
        m.start()
        time.sleep(1)
        found = private(s.server), private(m.client)
        m.stop()
        s.stop()
        return found

    def loaded(*more):
        s = fresh()
        a = Session(s)
        a.start()
        found = at_work(place, a, s, *more)
        s.stop()
        return found

    def mounted(depth):
        """The client's private memory with so many writes of 8 KiB under way."""
        s = fresh()
        m = Mount(s, "mount")
        m.start()
        _, found = during(m, Load("randwrite", depth=depth), 2, lambda: (time.sleep(0.7), private(m.client))[1])
        m.stop()
        s.stop()
        return found

    k = 1024
    base, paths = one(), one(paths=8)
    one_client, many = loaded("--depth", "1"), loaded("--depth", "1", "--clients", "64")
    shallow, deep = loaded("--depth", "1"), loaded("--depth", "512")
    volumes = one(volumes=1001)
    print("\nMemory, KiB: server, client")
    print(f"  at rest, one volume, one path: {base[0] / k:.0f}, {base[1] / k:.0f}")
    print(f"  a path: {(paths[0] - base[0]) / 7 / k:.1f}, {(paths[1] - base[1]) / 7 / k:.1f}")
    print(f"  a session with one path at the server: {(many - one_client) / 63 / k:.1f}")
    print(f"  a volume: {(volumes[0] - base[0]) / 1000 / k:.2f}, {(volumes[1] - base[1]) / 1000 / k:.2f}")
    print(f"  a read of 8 KiB in flight at the server: {(deep - shallow) / 511 / k:.2f}")
    print(f"  a write of 8 KiB in flight at the client: {(mounted(128) - mounted(2)) / 126 / k:.2f}", flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--build", default=os.environ.get("BUILD", "build"))
    p.add_argument("--seconds", type=float, default=2)
    p.add_argument("--poll", type=int, default=0, help="microseconds, both sides")
    p.add_argument("--tls", action="store_true", help="the mount with security = tls")
    p.add_argument("--no-memory", action="store_true")
    p.add_argument("--only-memory", action="store_true")
    o = p.parse_args()
    for s in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(s, on_signal)
    perf = shutil.which("perf")
    if not perf:
        print("cost: perf is not installed (apt-get install linux-perf): sums only")
    directory = tempfile.mkdtemp(prefix="rsio-bench-", dir="/dev/shm")
    stands = []
    try:
        place = Place(os.path.abspath(o.build), directory)
        os.mkdir(place.path("pool"))
        make_file(place.path("pool", "bench.raw"), GiB, True)
        stands.append(Server(place, "server", [place.path("pool")], poll=o.poll))
        stands.append(Mount(stands[0], "tls" if o.tls else "mount", poll=o.poll, tls=o.tls))
        for s in stands:
            s.start()
        for title, wanted in LOADS[:0] if o.only_memory else LOADS:
            show_time(stands[1], title, wanted, o.seconds, perf)
        if not o.no_memory:
            os.mkdir(place.path("memory"))
            show_memory(Place(place.build, place.path("memory")))
    except (Missing, load.Hung, load.Failed) as e:
        print(f"cost: {e}")
        return 1
    finally:
        for s in reversed(stands):
            s.stop()
        shutil.rmtree(directory, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
