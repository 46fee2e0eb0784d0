#!/bin/bash
# Somebody without a key, with a tenth of a core, opens connections without end: what that
# takes from a client that is logged in, and what a connection that is not costs.
# time-limit: 300
# long-time-limit: 600
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/agent.sh"
requires_root
requires_program rssrv rsbench tests/tools/flooder
requires_cmd openssl

# A group whose members have a tenth of a core, for both versions of cgroups; the machine's
# own version 2 may lie beside version 1.
make_group()
{
	local top name=rsio-test-$$

	for top in /sys/fs/cgroup/cpu /sys/fs/cgroup /sys/fs/cgroup/unified; do
		if [ -w "$top/cpu.cfs_quota_us" ] || grep -qw cpu "$top/cgroup.subtree_control" 2>/dev/null; then
			mkdir "$top/$name" 2>/dev/null || continue
			group=$top/$name
			cleanup_fn rmdir "$group"
			if [ -e "$group/cpu.cfs_quota_us" ]; then
				echo 20000 >"$group/cpu.cfs_period_us" && echo 2000 >"$group/cpu.cfs_quota_us" && return
			else
				echo "2000 20000" >"$group/cpu.max" && return
			fi
		fi
	done
	return 1
}
make_group || skip "needs a cgroup that limits CPU time: mount one, version 1 or 2, with its cpu controller"

write_server_conf "$W" client=node1 client=node2
make_volume "$W" v 64M
dd if=/dev/zero of="$W/pool/v.raw" bs=1M count=64 conv=notrunc status=none
start_server "$W"
write_client_conf "$W/c" "$W" node=node1

export BUILD GROUP=$group LEAST ROUNDS
LEAST=$(sample_or_all 0.7 0.9)
ROUNDS=$(sample_or_all 3 15)
SCENARIO_SECONDS=$((time_limit - 10)) scenario "$W" <<'EOT'
import atexit
import signal
import statistics
import subprocess
from tls import Tls

BUILD, GROUP = os.environ["BUILD"], os.environ["GROUP"]
LEAST, ROUNDS = float(os.environ["LEAST"]), int(os.environ["ROUNDS"])
KINDS = ("half-open", "garbage", "slow", "hello")
SLOW = int(os.environ.get("RSIO_SLOW", 1))
A_PLACE = (128 << 10) * (1 if SLOW == 1 else 16)  # sanitizers keep what was freed
ns, ident, _, address, port = portals()[0]

def recorded_hello():
    """The first flight of a client that has the key: who listens on the wire has it, too."""
    s = socket.create_server((address, 0))
    t = Tls(address, s.getsockname()[1], "osl/node2", node_key(clients_key("node2")))
    c, _ = s.accept()
    hello = c.recv(4096)
    t.close()
    return hello

class Flood:
    """From two addresses, which get 64 places each; what goes beyond is refused."""
    def __init__(self, kind):
        self.process = subprocess.Popen(
            ["sh", "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', GROUP,
             os.path.join(BUILD, "tests/tools/flooder"), kind, address, str(port), "200",
             "127.0.0.2", "127.0.0.3"], stdin=open(HELLO_FILE, "rb"), stdout=subprocess.PIPE)
        time.sleep(1)

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        return int(self.process.communicate()[0])

def process():
    return status()["process"]

def cpu():
    p = process()
    return p["cpu_user"] + p["cpu_system"]

def worker():
    """The connection of the client that works, and what tells its session from another."""
    mine = [s for s in status()["sessions"] if s["node"] == "node1"]
    return (mine[0]["number"], len(mine[0]["connections"]), mine[0]["connections"][0]["number"],
            mine[0]["past"]["commands"]), mine[0]["connections"][0]

def rate(seconds=0.5):
    """Of its reads, now."""
    began, before = time.monotonic(), worker()[1]["reads"]
    time.sleep(seconds)
    return (worker()[1]["reads"] - before) / (time.monotonic() - began)

HELLO_FILE = os.path.join(DIR, "hello")
with open(HELLO_FILE, "wb") as f:
    f.write(recorded_hello())

memory = process()["memory"]

def costs(name, what, count=120):
    """As much as a connection can have here before the login."""
    def connected(i):
        s = socket.create_connection((address, port), 5, ("127.0.0.%d" % (2 + i // 60), 0))
        s.sendall(what)
        return s
    many = [connected(i) for i in range(count)]
    time.sleep(1.5)  # all was read, and the 5 s of a login are not over
    grown = process()["memory"] - memory
    for s in many:
        s.close()
    check("%s: a connection costs no more than 128 KiB" % name, grown < count * A_PLACE, grown)
    print("%s: %d KiB" % (name, grown / count / 1024))

torn = b"\x16\x03\x01\x3f\x00" + bytes(0x3ef0)
first = b"\x16\x03\x01\x1f\x00\x01\x00\x3e\x00" + bytes(0x1efc)
# From little to much: memory that was used once is kept for the next.
costs("half a hello", request(HELLO, bytes(4096))[:4000])
costs("half a TLS record", torn)
costs("half a TLS message of two records", first + torn[:0x1f00])

# What a flood takes of the server's time, when that has nothing else to do.  Counted in CPU
# time, so that it does not matter what else this machine does.
for kind in KINDS:
    f = Flood(kind)
    used, began = cpu(), time.monotonic()
    time.sleep(1.5)
    used = (cpu() - used) / (time.monotonic() - began)
    t = time.monotonic()
    other = Node("node2").login()
    t = time.monotonic() - t
    check("%s: another client logs in meanwhile" % kind, other.ping())
    other.bye()
    opened = f.end()
    check("%s: takes little of the server's time" % kind, used < 0.16 * SLOW, "%.2f cores" % used)
    print("%s: %d connections, rssrv %.3f cores; a login took %.0f ms" % (kind, opened, used, t * 1e3),
          flush=True)
check("and of its memory", process()["memory"] - memory < 128 * A_PLACE, process()["memory"] - memory)

# What it takes from a client that works.
bench = subprocess.Popen([os.path.join(BUILD, "rsbench"), "-c", os.path.join(DIR, "c/rscltcfg"),
                          "--run-dir", os.path.join(DIR, "c"), "--quiet", "--depth", "64",
                          "--time", "900", "osl:v"], stdout=subprocess.DEVNULL)
atexit.register(bench.kill)
check("a client works", wait_until(lambda: any(s["node"] == "node1" for s in status()["sessions"])) and
      wait_until(lambda: worker()[1]["reads"] > 1000, 30))
who = worker()[0]
for kind in KINDS:
    ratios = []
    # More where the machine is busy with something else now and then.
    while len(ratios) < ROUNDS or (statistics.median(ratios) < LEAST and len(ratios) < 6 * ROUNDS):
        alone = max(rate(), 1)
        f = Flood(kind)
        ratios.append(rate() / alone)
        f.end()
    m = statistics.median(ratios)
    check("%s: a client that is logged in keeps its throughput" % kind, m >= LEAST, ratios)
    print("%s: %.2f (%s)" % (kind, m, " ".join("%.2f" % x for x in ratios)), flush=True)
now = worker()
check("its connection", now[0] == who and bench.poll() is None)
is_("and has no error", now[1]["errors"], 0)
bench.kill()
bench.wait()
EOT
done_testing
