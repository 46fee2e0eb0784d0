#!/bin/bash
# Volumes with a limit: it is kept, to the request and to the byte, whoever asks however
# much; what waits is answered in the end, and holds up nothing else.
# long-time-limit: 300
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/agent.sh"
requires_program rssrv

write_server_conf "$W" client=boss client=noisy client=quiet portals=2
for v in slow other mine; do
	make_volume "$W" $v 64M
done
start_server "$W"

export SECONDS_LONG LEAST
SECONDS_LONG=$(sample_or_all 2 10)
LEAST=$(sample_or_all 0.8 0.95)
SCENARIO_SECONDS=200 scenario "$W" <<'EOT'
SECONDS, LEAST = float(os.environ["SECONDS_LONG"]), float(os.environ["LEAST"])
boss = Node("boss").login()

def limit(volume="slow", **what):
    boss.work("limit", volume=volume, **what)

def limits_now(name="slow"):
    return boss.control("volume", name=name)["volume"]["limits"]

def up(node, volume="slow", **options):
    c = Node(node).login(crc=False, **options)
    c.open(volume)
    c.open("other", handle=2)
    return c

class Load:
    """depth reads or writes under way all the time, on connections that are given."""
    def __init__(self, conns, depth, size=4096, kind=READ):
        self.conns, self.depth, self.size, self.kind = conns, depth, size, kind
        self.done, self.latency, self.over, self.began = 0, [], False, {}
        self.payload = b"w" * size if kind == WRITE else b""
        self.thread = threading.Thread(target=self.run, daemon=True)

    def begin(self, c):
        k = c.start(self.kind, self.payload, offset=0, count=self.size, handle=1)
        self.began[c, k] = time.monotonic()

    def run(self):
        for c in self.conns:
            for _ in range(self.depth):
                self.begin(c)
        while self.began:
            for c in self.conns:
                while c.readable(0.005):
                    r = c.next_reply()
                    if r.status or r.type != self.kind:
                        raise Refused(r)
                    self.latency.append(time.monotonic() - self.began.pop((c, r.cookie)))
                    self.done += 1
                    if not self.over:
                        self.begin(c)

    def start(self):
        self.since = time.monotonic()
        self.thread.start()
        return self

    def end(self):
        self.over = True
        self.thread.join(30)
        return self

# What is said is shown, kept, and holds.
is_("there is none", limits_now(), None)
limit(iops=500, mbps=40, burst=2)
is_("it is shown", limits_now(), {"iops": 500, "mbps": 40.0, "burst": 2.0, "waiting": 0, "clients": {}})
limit(mbps=0)
limit(client="noisy", iops=7, mbps=0.5)
is_("what is not said stays", {k: limits_now()[k] for k in ("iops", "mbps", "burst")},
    {"iops": 500, "mbps": 0.0, "burst": 2.0})
meta = open(pool_file("slow.meta")).read()
for line in ("limit-iops = 500\n", "limit-burst = 2\n", "limit-iops@noisy = 7\n", "limit-mbps@noisy = 0.5\n"):
    check("its file has: " + line.strip(), line in meta, meta)
check("and not what is no more", "limit-mbps =" not in meta, meta)
is_("a client's own is shown", limits_now()["clients"], {"noisy": {"iops": 7, "mbps": 0.5, "burst": 0.1}})
is_("the status has it, too", volume("slow")["limits"]["clients"]["noisy"]["iops"], 7)
limit(client="noisy", iops=0, mbps=0)
limit(iops=0)
is_("none again", limits_now(), None)
check("the file has none either", "limit-" not in open(pool_file("slow.meta")).read())

def rate(name, load, a_second, burst):
    """No more than that in any case; and no less, unless this machine stood still."""
    load.start()
    time.sleep(SECONDS)
    took, n = time.monotonic() - load.since, load.done
    most = a_second * (took + burst) + 1
    check("%s: no more" % name, n <= most, "%d of %.0f" % (n, most))
    check("%s: no less" % name, n >= LEAST * a_second * took, "%d in %.2f s" % (n, took))
    print("%s: %.1f a second of %g" % (name, n / took, a_second), flush=True)

noisy, noisy2 = up("noisy"), None
noisy2 = Node("noisy", life=noisy.life).login(noisy.session, crc=False, portal=1)
both = [noisy, noisy2]
limit(iops=200)
load = Load(both, 100)
rate("requests", load, 200, 0.1)
t = time.monotonic()
check("a ping is answered meanwhile", noisy.sock.fileno() >= 0 and len(limits_now()["clients"]) == 0 and
      limits_now()["waiting"] > 100)
limit(iops=0)
load.end()
check("without a limit all is answered at once", not load.thread.is_alive() and time.monotonic() - t < 10)
is_("and nothing waits", volume("slow")["limits"], None)

limit(mbps=8.192)
load = Load(both, 20, 65536, WRITE)
rate("bytes", load, 8.192e6 / 65536, 0.1)
limit(mbps=0)
load.end()

# One that has two hundred waiting, on both loops, beside one that has one: each the half.
limit(iops=200)
quiet = up("quiet")
load, other = Load(both, 100).start(), Load([quiet], 1)
other.start()
time.sleep(SECONDS)
took = time.monotonic() - other.since
check("a client with one command waits for its turn, not for a hundred", other.done >= 0.25 * 200 * took,
      "%d and %d in %.1f s" % (load.done, other.done, took))
print("%d of one that has 200 under way, %d of one that has 1" % (load.done, other.done))

# The neighbours.
boss.open("other", handle=2)
began = time.monotonic()
for i in range(100):
    boss.read(4096 * i, 4096, 2)
check("another volume is not held up", time.monotonic() - began < 5, time.monotonic() - began)
limit(iops=0)
load.end()
other.end()

# A client's own.
limit(client="noisy", iops=20)
load, other = Load(both, 50).start(), Load([quiet], 4).start()
time.sleep(1)
check("a client's own limit is its own", load.done <= 20 * (time.monotonic() - load.since + 0.1) + 1 and
      other.done > 100, (load.done, other.done))
limit(client="noisy", iops=0)
load.end()
other.end()

# What waits, by itself.
limit(iops=1)
a = up("noisy")
stuck = [a.start(WRITE, b"late" * 128, offset=512 * i, count=512, handle=1) for i in range(900)]
check("a ping is answered while 900 wait", a.ping() > 0)
is_("so is another volume", len(a.read(0, 4096, 2)), 4096)
a.flush()
check("and a flush, which covers what was answered", True)
b = Node("noisy", life=a.life).login(a.session, crc=False)
r = b.fence(a.connection, stuck)
done = parse_fence(r.payload)[1]
check("a fence is answered at once: most were not done", len(done) <= 5, done)
limit(iops=0)
is_("they never will be", b.read(512 * 899, 4), b"\0\0\0\0")
limit(iops=1)
b.read(0, 512)
k = b.start(WRITE, b"x" * 512, offset=0, count=512, handle=1)
b.must(CLOSE, handle=1)
b.open("mine", handle=1)
limit(iops=0)
is_("a command whose handle was closed meanwhile is not carried out", b.wait(k).status, E_HANDLE)
is_("nor does it go to the volume that has its handle now", b.read(0, 4), b"\0\0\0\0")
limit("mine", iops=1)
b.read(0, 512)
k = b.start(READ, offset=0, count=512, handle=1)
os.rename(pool_file("mine.raw"), pool_file("mine.away"))
check("a volume that goes", wait_until(lambda: volume("mine") is None))
is_("takes what waited with it", status_name(b.wait(k).status), "NO_VOLUME")
limit(iops=1)
c = up("quiet")
for i in range(3):
    k = c.start(READ, offset=0, count=512, handle=1)
k = c.start(BYE)
check("who leaves gets all its answers first", c.wait(k).status == OK and len(c.stash) == 3, c.stash)
EOT

# Another life.
stop_server "$W"
start_server "$W"
scenario "$W" <<'EOT'
is_("it is kept over a restart", volume("slow")["limits"]["iops"], 1)
c = Node("quiet").login()
c.open("slow")
t = time.monotonic()
for i in range(3):
    c.read(0, 512)
check("and holds", time.monotonic() - t > 1.8, time.monotonic() - t)
EOT
done_testing
