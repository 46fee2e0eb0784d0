#!/bin/bash
# test-ten-thousand.sh - ten thousand volumes in the tree, or in a short run two thousand: the state
# that rsconfig shows, which the loop describes a few volumes at a time, has each of them once,
# in order, also while some come and go.  How long a read waits meanwhile is said and not judged.
# shellcheck source=tests/functions.sh
. "$(dirname "$0")/../functions.sh"
requires_root
requires_fuse
requires_cmd python3
requires_program rssrv rsiod rsconfig
count=$(sample_or_all 2000 10000)

write_server_conf "$W/srv"
sed -i "s|^path = $W/srv/pool|&\novercommit = yes|" "$W/srv/rssrvcfg"
python3 - "$W/srv/pool" "$count" <<'END'
import sys
for i in range(int(sys.argv[2])):
    with open("%s/v%05d.raw" % (sys.argv[1], i), "wb") as f:
        f.truncate(1 << 20)
END
write_client_conf "$W/clt" "$W/srv"
start_server "$W/srv"
start_client "$W/clt"
all_there() { [ "$(find "$W/clt/mnt/osl" -maxdepth 1 -name 'v*' | wc -l)" -ge "$count" ]; }
wait_for 120 all_there || bail "all volumes are in the tree"

cat >"$W/look.py" <<'END'
import errno, json, mmap, os, resource, subprocess, sys, threading, time
rsconfig, run, mnt, pool, out, count = *sys.argv[1:6], int(sys.argv[6])
fd, buf = os.open(mnt + "/osl/v00000", os.O_RDONLY | os.O_DIRECT), mmap.mmap(-1, 4096)
failed = 0
resource.setrlimit(resource.RLIMIT_NOFILE, (8192, 8192))

def check(name, good, why=""):
    global failed
    failed |= not good
    print("%sok %s" % ("" if good else "not ", name), "" if good else why)

def slowest(*command):
    """of 4 KiB reads while that runs, in ms; it is another process, since Python does one thing at a time"""
    longest, p = 0, subprocess.Popen(command, stdout=open(out, "wb"))
    while p.poll() is None:
        began = time.monotonic()
        os.preadv(fd, [buf], 0)
        longest = max(longest, time.monotonic() - began)
    assert p.returncode == 0, command
    return longest * 1000

query = rsconfig, "--run-dir", run, "-q", "--json"

def ask():
    global status
    subprocess.run(query, check=True, stdout=open(out, "wb"))
    status = json.load(open(out))

names = lambda: [v["name"] for v in status["namespaces"][0]["volumes"]]
print("# the slowest read: %.1f ms while nothing is asked, %.1f ms during rsconfig -q, %.1f ms while the tree's is read,"
      " %.1f ms its paths" % (slowest("sleep", "1"), slowest(*query), slowest("cat", mnt + "/osl/.rsio/status.json"),
      slowest("cat", mnt + "/osl/.rsio/paths")))
ask()
expected = ["v%05d" % i for i in range(count)]
check("each volume is there once, in order", names() == expected, names()[:10])
check("with its state", all(v["size"] == 1 << 20 and v["state"] for v in status["namespaces"][0]["volumes"]))
check("and is the one that is open", [v["name"] for v in status["namespaces"][0]["volumes"] if v["opens"]] == ["v00000"])

# Texts that are held open are bounded, and there again when they are closed.
held, why = [], None
while len(held) < 4000 and why is None:
    try:
        held.append(os.open(mnt + "/.rsio/status.json", os.O_RDONLY))
    except OSError as e:
        why = e.errno
length = len(os.pread(held[0], 1 << 27, 0))
check("who opens the state without end is refused", why == errno.ENFILE, why)
check("when 128 MiB are held", abs(len(held) * length / (128 << 20) - 1) < 0.1, (len(held), length))
for f in held:
    os.close(f)
check("and not any more when they are closed", len(open(mnt + "/.rsio/status.json").read()) > length / 2)

# What comes and goes: those that stay are there, once.
going, over = expected[1::50], threading.Event()

def change():
    for name in going:
        if over.is_set():
            return
        os.rename("%s/%s.raw" % (pool, name), "%s/%s.away" % (pool, name))
    over.wait()

t = threading.Thread(target=change)
t.start()
try:
    for i in range(5):
        ask()
        now, stay = names(), set(expected) - set(going)
        check("while some go, %d: those that stay are there, once" % i,
              len(now) == len(set(now)) and [n for n in now if n in stay] == sorted(stay), len(now))
finally:
    over.set()
    t.join()
sys.exit(failed)
END
timeout 240 python3 "$W/look.py" "$BUILD/rsconfig" "$W/clt/run" "$W/clt/mnt" "$W/srv/pool" "$W/json" "$count" \
	>"$W/look.out" 2>"$W/look.err" && status=0 || status=$?
while read -r line; do
	case $line in
	"ok "*) ok "${line#ok }" ;;
	"not ok "*) not_ok "${line#not ok }" ;;
	*) note "${line#\# }" ;;
	esac
done <"$W/look.out"
is "$status" 0 "all of it was looked at" || show_output "$W/look.err"
done_testing
