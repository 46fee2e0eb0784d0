"""The load: fio or rsbench on a stand, with a watchdog, and who used how much CPU meanwhile."""
import json
import os
import subprocess
import tempfile
import time
from dataclasses import dataclass

import stands

PATIENCE = 15       # seconds beyond the measuring time, then the daemon is killed


class Hung(Exception):
    """The load did not come back."""


class Failed(Exception):
    """The load said what went wrong."""


@dataclass(frozen=True)
class Load:
    rw: str             # randread, randwrite, randrw, read, write
    block: int = 8192
    depth: int = 64
    jobs: int = 1
    span: int = 0       # only so many bytes of the target; 0: all

    def text(self):
        size = f"{self.block >> 20} MiB" if self.block >= 1 << 20 else \
            f"{self.block >> 10} KiB" if self.block >= 1024 else f"{self.block} B"
        return f"{size} {self.rw}, {self.jobs} x depth {self.depth}"


@dataclass
class Result:
    iops: float
    mbps: float
    p50: float          # µs
    p99: float
    load: float         # cores
    client: float
    server: float
    machine: float      # busy cores of the whole machine, kernel threads included


def _busy():
    """CPU seconds of the whole machine."""
    with open("/proc/stat", encoding="ascii") as f:
        user, nice, system, _idle, _wait, irq, softirq, steal = map(int, f.readline().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def _fio(load, stand, seconds):
    engine = {"n": "nbd" if stand.target.startswith("nbd:") else "null"}.get(stand.target[0])
    engine = engine or ("psync" if load.depth == 1 else "libaio")
    argv = ["fio", "--name=bench", f"--ioengine={engine}", f"--rw={load.rw}", f"--bs={load.block}",
            f"--iodepth={load.depth}", f"--numjobs={load.jobs}", "--group_reporting", "--thread", "--time_based",
            f"--runtime={int(seconds * 1000)}ms", "--norandommap", "--randrepeat=0", "--rwmixread=70",
            "--allow_file_create=0", "--output-format=json"]
    if engine == "nbd":
        argv.append(f"--uri={stand.target}")
    elif engine == "null":
        argv.append("--size=1g")
    else:
        argv += [f"--filename={stand.target}", "--direct=1"]
    if load.span:
        argv.append(f"--size={load.span}")
    return argv


def _rsbench(load, stand, seconds, *more):
    argv = [stand.of.place.program("rsbench"), "-c", stand.config, "--run-dir", stand.run_dir, "--json", "--rw",
            load.rw, "--block", str(load.block), "--depth", str(load.depth), "--jobs", str(load.jobs), "--time",
            f"{int(seconds * 1000)}ms"]
    if stand.clients > 1:
        argv += ["--clients", str(stand.clients)]
    return argv + list(more) + [stand.target]


def _fio_result(text, load):
    # fio may say things before its JSON.
    job = json.loads(text[text.index("{"):])["jobs"][0]
    sides = [job[s] for s in ("read", "write") if job[s]["total_ios"]]
    if job["error"] or not sides:
        raise Failed(f"fio: error {job['error']}")
    main = sides[0]
    at = main["clat_ns"].get("percentile", {})
    return Result(iops=sum(s["iops"] for s in sides), mbps=sum(s["bw_bytes"] for s in sides) / 1e6,
                  p50=at.get("50.000000", 0) / 1e3, p99=at.get("99.000000", 0) / 1e3,
                  load=load.jobs * (job["usr_cpu"] + job["sys_cpu"]) / 100, client=0, server=0, machine=0), \
        main["runtime"] / 1e3


def _rsbench_result(text):
    j = json.loads(text)
    sides = [j[s] for s in ("read", "write") if j[s]["count"]]
    if not sides:
        raise Failed("rsbench: no request was completed")
    return Result(iops=sum(s["iops"] for s in sides), mbps=sum(s["mbps"] for s in sides),
                  p50=sides[0]["latency_us"]["p50"], p99=sides[0]["latency_us"]["p99"], load=j["cores"], client=0,
                  server=0, machine=0), j["seconds"]


CIPHER_BLOCK = 16384        # what a TLS record holds


def _cipher(load, stand):
    """As if it were a load of such blocks.  One second of processor time, whoever else runs."""
    size = min(load.block, CIPHER_BLOCK)
    text = _run(["openssl", "speed", "-mr", "-seconds", "1", "-bytes", str(size), "-evp", stand.target], stand, 1)
    # +F:number:name:bytes a second
    speed = next(float(x.split(":")[3]) for x in text.splitlines() if x.startswith("+F:"))
    return Result(iops=speed / load.block, mbps=speed / 1e6, p50=0, p99=0, load=1, client=0, server=0, machine=1)


def _run(argv, stand, seconds):
    """The load's output.  When it hangs, what it waits for is killed first: a process that waits
    in the kernel for a FUSE daemon cannot be ended before that."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=errors,
                             preexec_fn=stands._die_with_parent)
        try:
            p.wait(seconds + PATIENCE)
        except subprocess.TimeoutExpired:
            stand.hung()
            p.kill()
            try:
                p.wait(20)
            except subprocess.TimeoutExpired:
                pass
            raise Hung(f"{argv[0]} did not come back within {seconds + PATIENCE:.0f} s") from None
        out.seek(0)
        errors.seek(0)
        if p.returncode:
            raise Failed(f"{os.path.basename(argv[0])}: {errors.read().strip()[-300:] or out.read().strip()[-300:]}")
        return out.read()


def measure(load, stand, seconds):
    if isinstance(stand, stands.Cipher):
        return _cipher(load, stand)
    session = isinstance(stand, stands.Session) and not stand.client
    argv = _rsbench(load, stand, seconds) if session else _fio(load, stand, seconds)
    daemons = {"client": stand.client, "server": stand.server}
    before = {k: d.cpu() for k, d in daemons.items() if d}
    busy, began = _busy(), time.monotonic()
    text = _run(argv, stand, seconds)
    wall, busy = time.monotonic() - began, _busy() - busy
    result, ran = _rsbench_result(text) if session else _fio_result(text, load)
    for k, d in daemons.items():
        if d:
            setattr(result, k, (d.cpu() - before[k]) / ran)
    result.machine = busy / wall
    return result


def verify(stand, place, seconds):
    """Writes and reads back with checksums; raises when a block is not what was written."""
    if isinstance(stand, stands.Session) and not stand.client:
        argv = _rsbench(Load("randrw", jobs=4, depth=16), stand, seconds, "--verify")
    else:
        argv = [place.program("rsbench"), "--json", "--rw", "randrw", "--verify", "--time",
                f"{int(seconds * 1000)}ms", stand.target]
    _run(argv, stand, seconds)
