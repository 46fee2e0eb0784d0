"""What is measured on what, and which ratios are asked."""
from dataclasses import dataclass

from load import Load

K, M = 1 << 10, 1 << 20


@dataclass(frozen=True)
class Group:
    """One load, on each of these stands in turn."""
    name: str
    load: Load
    stands: tuple


@dataclass(frozen=True)
class Row:
    """A line of the table: the ratio of `ours` to the best of `beside`.  Without `least` nothing is asked.
    With `cipher`, a stand that measures one, it is the ratio to the limit that follows from both: README.md."""
    title: str
    group: str
    ours: str
    beside: tuple
    least: float = 0
    aim: float = 0
    unit: str = "IOPS"          # IOPS, MB/s, IOPS/core
    more: tuple = ()            # stands whose ratio to `beside` is shown without being asked
    cipher: str = ""

    @property
    def short(self):
        """For the plot's axis."""
        text = self.title
        for long, name in (("mounted file, ", "file "), ("protocol alone, ", "wire "), ("8 KiB random ", "8K "),
                           ("1 MiB sequential ", "1M "), ("depth ", "d"), (" each d1", ""),
                           (" between requests", ""), (" on both sides", ""), (" on one server, each d64, sum", ""),
                           ("; beside its limit", ", limit"), ("; beside others with TLS", ", others")):
            text = text.replace(long, name)
        return text.split(";")[0]


PEERS = ("qsd", "nbdfuse")
TLS_PEERS = ("qsd-tls", "nbdfuse-tls")
TLS = ("rsio-tls", "cipher", *TLS_PEERS)        # behind "rsio": the limit is made of that and the cipher

GROUPS = (
    Group("r64", Load("randread"), ("rsio", *TLS, "rsio-crc", "rsio-poll", "rsio-paths4", "rsio-loop", *PEERS)),
    Group("w64", Load("randwrite"), ("rsio", *TLS, "rsio-crc", *PEERS)),
    Group("r1", Load("randread", depth=1), ("rsio", "rsio-asleep", "rsio-crc", "rsio-poll", *PEERS)),
    Group("r4", Load("randread", depth=1, jobs=4), ("rsio", "rsio-asleep", "rsio-crc", "rsio-poll", *PEERS)),
    Group("w4", Load("randwrite", depth=1, jobs=4), ("rsio", "rsio-asleep", "rsio-crc", *PEERS)),
    Group("r1m", Load("read", block=M, depth=16), ("rsio", *TLS, "rsio-crc", *PEERS)),
    Group("w1m", Load("write", block=M, depth=16), ("rsio", *TLS, "rsio-crc", *PEERS)),
    Group("pr", Load("randread", jobs=4), ("alone4", "alone4-crc", "alone", "nbd", "fio-null")),
    Group("pw", Load("randwrite", jobs=4), ("alone4", "alone4-crc", "nbd")),
    Group("p1m", Load("read", block=M, depth=16), ("alone", "alone-crc", "nbd")),
    Group("p64", Load("randread"), ("alone", "alone4", "alone-clients64")),
    Group("p1", Load("randread", depth=1), ("alone", "alone-clients64")),
    Group("sparse-r", Load("randread"), ("rsio:sparse", "qsd:sparse")),
    Group("sparse-w", Load("randwrite"), ("rsio:sparse", "qsd:sparse")),
    Group("r512", Load("randread", block=512), ("rsio", "qsd")),
    Group("r64k", Load("randread", block=64 * K), ("rsio", "qsd")),
    Group("mixed", Load("randrw"), ("rsio", "qsd")),
    Group("cold", Load("randread"), ("rsio:disk", "qsd:disk", "disk")),
    Group("disk-w", Load("randwrite", span=256 * M), ("rsio:disk", "qsd:disk")),
)

TLS_LOADS = (
    ("8 KiB random read, depth 64", "r64", "IOPS"), ("8 KiB random write, depth 64", "w64", "IOPS"),
    ("1 MiB sequential read, depth 16", "r1m", "MB/s"), ("1 MiB sequential write, depth 16", "w1m", "MB/s"),
)

ROWS = (
    Row("mounted file, 8 KiB random read, depth 64", "r64", "rsio", PEERS, 2.5, 3.5, more=("rsio-crc", "rsio-poll")),
    Row("mounted file, 8 KiB random write, depth 64", "w64", "rsio", PEERS, 2.3, 3.2, more=("rsio-crc",)),
    Row("mounted file, 8 KiB random read, depth 1, asleep between requests", "r1", "rsio-asleep", PEERS, 1.2, 1.35,
        more=("rsio", "rsio-crc")),
    Row("mounted file, 8 KiB random read, depth 1, polling on both sides", "r1", "rsio-poll", PEERS, 1.8, 2.4),
    Row("mounted file, 8 KiB random read, 4 threads each depth 1", "r4", "rsio", PEERS, 1.5, 1.9,
        more=("rsio-asleep", "rsio-crc", "rsio-poll")),
    Row("mounted file, 8 KiB random write, 4 threads each depth 1", "w4", "rsio", PEERS, 3.5, 4.8,
        more=("rsio-asleep", "rsio-crc")),
    Row("mounted file, 1 MiB sequential read, depth 16", "r1m", "rsio", PEERS, 1.15, 1.4, "MB/s", more=("rsio-crc",)),
    Row("mounted file, 1 MiB sequential write, depth 16", "w1m", "rsio", PEERS, 1.15, 1.4, "MB/s",
        more=("rsio-crc",)),
    Row("protocol alone, 8 KiB random read, 4 jobs x depth 64", "pr", "alone4", ("nbd",), 3.5, 6.0,
        more=("alone4-crc", "alone", "fio-null")),
    Row("protocol alone, 8 KiB random write, 4 jobs x depth 64", "pw", "alone4", ("nbd",), 3.5, 6.0,
        more=("alone4-crc",)),
    Row("protocol alone, IOPS per core of both sides, 8 KiB random read", "pr", "alone4", ("nbd",), 3.0, 5.0,
        "IOPS/core", more=("alone4-crc", "alone")),
    Row("protocol alone, 1 MiB read, depth 16", "p1m", "alone", ("nbd",), 1.2, 1.4, "MB/s", more=("alone-crc",)),
    Row("attached loop device, 8 KiB random read, depth 64; beside the mounted file", "r64", "rsio-loop", ("rsio",),
        0.6, 0.75),
    Row("1 -> 4 paths, mounted file, depth 64; beside one path", "r64", "rsio-paths4", ("rsio",), 0.95, 1.0),
    Row("1 -> 64 clients on one server, each depth 64, sum; beside one", "p64", "alone-clients64", ("alone",),
        0.9, 1.0),
    *(Row(f"TLS, mounted file, {text}; beside its limit", group, "rsio-tls", ("rsio",), 0.85, 0.95, unit,
          cipher="cipher") for text, group, unit in TLS_LOADS),
    *(Row(f"TLS, mounted file, {text}; beside others with TLS", group, "rsio-tls", TLS_PEERS, 1.0, 3.0, unit)
      for text, group, unit in TLS_LOADS),
    *(Row(f"TLS, mounted file, {text}; beside auth", group, "rsio-tls", ("rsio",), unit=unit)
      for text, group, unit in TLS_LOADS),
    Row("1 -> 4 paths, protocol alone, depth 64; beside one path", "p64", "alone4", ("alone",)),
    Row("1 -> 64 clients, each depth 1, sum; beside one", "p1", "alone-clients64", ("alone",)),
    Row("64 GiB sparse volume, 8 KiB random read, depth 64", "sparse-r", "rsio:sparse", ("qsd:sparse",)),
    Row("64 GiB sparse volume, 8 KiB random write, depth 64", "sparse-w", "rsio:sparse", ("qsd:sparse",)),
    Row("mounted file, 512 B random read, depth 64", "r512", "rsio", ("qsd",)),
    Row("mounted file, 64 KiB random read, depth 64", "r64k", "rsio", ("qsd",), unit="MB/s"),
    Row("mounted file, 8 KiB mixed 70/30, depth 64", "mixed", "rsio", ("qsd",)),
    Row("cold page cache, real disk, 8 KiB random read, depth 64", "cold", "rsio:disk", ("qsd:disk",),
        more=("disk",)),
    Row("real disk through the page cache, 8 KiB random write, depth 64", "disk-w", "rsio:disk", ("qsd:disk",)),
)
