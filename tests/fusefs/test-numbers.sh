#!/bin/bash
# test-numbers.sh - what client and server say of volumes, paths and clients is what was
# done: exact counts, and percentiles that a known load had.
# shellcheck source=tests/functions.sh
. "$(dirname "$0")/../functions.sh"
requires_root
requires_fuse
requires_cmd python3
requires_program rssrv rsiod rsconfig

write_server_conf "$W/srv" client=one client=two
make_volume "$W/srv" vol 16M
make_volume "$W/srv" slow 1M
printf 'uuid = 6b1d6c1e-7e5a-4b43-9c0e-3a9d4c1f7b22\ngeneration = 1\nlimit-iops = 40\n' >"$W/srv/pool/slow.meta"
for n in one two; do
	write_client_conf "$W/$n" "$W/srv" node=$n
	sed -i '/^nodename/a detect = 10s' "$W/$n/rscltcfg"	# a pause loses no path
done
start_server "$W/srv"
start_client "$W/one"
start_client "$W/two"

# Does so many reads, writes and flushes of a size, and prints how long each read took, in us.
cat >"$W/load.py" <<'END'
import mmap, os, sys, time
path, reads, writes, flushes, size = sys.argv[1], *map(int, sys.argv[2:6])
fd, buf = os.open(path, os.O_RDWR | os.O_DIRECT), mmap.mmap(-1, size)
took = []
for i in range(writes):
    assert os.pwritev(fd, [buf], (i * size) % (1 << 20)) == size
for i in range(reads):
    began = time.monotonic()
    assert os.preadv(fd, [buf], (i * size) % (1 << 20)) == size
    took.append((time.monotonic() - began) * 1e6)
for i in range(flushes):
    os.fsync(fd)
print(*took)
if len(sys.argv) > 6:
    open(sys.argv[6], "w").close()
    sys.stdin.read()        # with the volume open
END

# What the JSON says: a path of members; a list's element by number or by its name.
cat >"$W/get.py" <<'END'
import json, sys
j = json.load(sys.stdin)
for part in sys.argv[1].split("/"):
    if isinstance(j, list):
        named = [x for x in j if part in (x.get("name"), x.get("node"))]
        j = named[0] if named else j[int(part)] if part.isdigit() else None
    else:
        j = j[part]
print(json.dumps(j))
END
of_server() { "$BUILD/rssrv" --status --run-dir "$W/srv/run" | python3 "$W/get.py" "$1"; }
of_client() { "$BUILD/rsconfig" --run-dir "$W/$1/run" -q --json | python3 "$W/get.py" "namespaces/0/$2"; }
counts()	# OBJECT
{
	python3 -c 'import json, sys
j = json.loads(sys.argv[1])
print(*(j[k] for k in ("reads", "read_bytes", "writes", "write_bytes", "flushes")))
for k, n in (("read_latency", j["reads"]), ("write_latency", j["writes"])):
    l = j[k]
    if n and (l["count"] != n or sum(x[1] for x in l["buckets"]) != n):
        print(k, "is of", l["count"], "in", sum(x[1] for x in l["buckets"]))
    if not n and l is not None:
        print(k, "of nothing")' "$1"
}

mkfifo "$W/hold"
sleep 1000 >"$W/hold" &
holder=$!
cleanup_fn kill $holder
python3 "$W/load.py" "$W/two/mnt/osl/vol" 10 0 0 512 "$W/two.done" <"$W/hold" >"$W/two.took" &
loads=($!)
check "a second client reads" wait_for 20 test -e "$W/two.done"
python3 "$W/load.py" "$W/one/mnt/osl/vol" 300 40 3 4096 "$W/one.done" <"$W/hold" >"$W/one.took" &
loads+=($!)
check "the first reads, writes and flushes" wait_for 60 test -e "$W/one.done"

is "$(counts "$(of_client one volumes/vol)")" "300 1228800 40 163840 3" "the client's volume"
is "$(counts "$(of_server volumes/vol/users/one)")" "300 1228800 40 163840 3" "the server's, of that client"
is "$(counts "$(of_server volumes/vol/users/two)")" "10 5120 0 0 0" "and of the other one"
is "$(counts "$(of_server volumes/vol)")" "310 1233920 40 163840 3" "the server's volume, of both"
is "$(of_server volumes/vol/queue) $(of_server volumes/vol/failed)" "0 0" "nothing waits, nothing failed"
is "$(of_client one servers/0/paths/0/latency/count)" 340 "the path's reads and writes"
is "$(of_server sessions/one/read_latency/count)" 300 "the session's"

# The client was done with each before the program had it: its percentiles are no later than
# the program's, but for the width of a bucket.
cat >"$W/compare.py" <<'END'
import json, math, sys
j, took = json.loads(sys.argv[1]), sorted(map(float, open(sys.argv[2]).read().split()))
for name, percent in (("p50_us", 50), ("p90_us", 90), ("p99_us", 99), ("p999_us", 99.9)):
    exact = took[math.ceil(len(took) * percent / 100 - 1e-9) - 1]
    if not 0 < j[name] <= exact * 33 / 32 + 1:
        print(name, "is", j[name], "while the program waited", exact)
END
is "$(python3 "$W/compare.py" "$(of_client one volumes/vol/read_latency)" "$W/one.took")" "" \
	"its percentiles fit those of the program"

# A pause of the server is in the client's times, and is the whole of them; and what waits for
# it comes together: each is counted all the same.
cat >"$W/at-once.py" <<'END'
import mmap, os, sys, threading, time
path, turns, n, size = sys.argv[1], *map(int, sys.argv[2:])
fd, took = os.open(path, os.O_RDWR | os.O_DIRECT), []
def read(i):
    began = time.monotonic()
    assert os.preadv(fd, [mmap.mmap(-1, size)], i * size) == size
    took.append((time.monotonic() - began) * 1e6)
for turn in range(turns):
    threads = [threading.Thread(target=read, args=(i,)) for i in range(n)]
    for t in threads: t.start()
    for t in threads: t.join()
print(*took)
END
kill -STOP "$(server_pid "$W/srv")"
python3 "$W/at-once.py" "$W/one/mnt/osl/vol" 1 16 4096 >"$W/stopped.took" &
reader=$!
waits() { [ "$(of_client one volumes/vol/in_flight)" = 16 ]; }
check "reads wait for a server that is stopped" wait_for 10 waits
began=$(date +%s%N)
sleep 1
paused=$(($(date +%s%N) - began))
kill -CONT "$(server_pid "$W/srv")"
wait "$reader"
is $? 0 "and end"
is "$(python3 -c 'import json, sys
buckets, took, paused = json.loads(sys.argv[1])["buckets"], map(float, open(sys.argv[2]).read().split()), int(sys.argv[3])
print(sum(n for at, n in buckets if at >= paused * 15 / 16), buckets[-1][0] / 1e3 <= max(took))' \
	"$(of_client one volumes/vol/read_latency)" "$W/stopped.took" $paused)" "16 True" "their times are the pause's"
is "$(counts "$(of_server volumes/vol/users/one)")" "316 1294336 40 163840 3" "the server counts each of them"

# What waits for a limit is in the server's times: of 40 a second the last of 24 at once
# waits half a second, if nothing was saved up.
check "reads of a volume with a limit" python3 "$W/at-once.py" "$W/one/mnt/osl/slow" 4 24 512
like "$(python3 -c 'import json, sys
j = json.loads(sys.argv[1])
print(j["count"], j["p90_us"] > 2e5)' "$(of_server volumes/slow/read_latency)")" '^96 True$' \
	"the wait for the limit is in the server's times"

# What was counted stays when nobody has it open.
kill $holder
wait "${loads[@]}"
closed() { [ "$(of_server volumes/vol/users)" = "[]" ]; }
check "both close it" wait_for 10 closed
is "$(counts "$(of_server volumes/vol)")" "326 1299456 40 163840 3" "what was counted stays"
like "$(grep -c '^rsio_volume_read_latency_seconds_bucket{namespace="osl",volume="vol",le="+Inf"} 316$' \
	"$W/one/mnt/.rsio/metrics")" '^1$' "it is in the metrics"
like "$(cat "$W/one/mnt/osl/.rsio/volumes")" 'vol +[0-9]+ +[0-9]+ ' "and in .rsio/volumes"
like "$("$BUILD/rsconfig" --run-dir "$W/one/run" -m status -v)" 'reads +[0-9]+/s, .*p50 .*p99\.9' "and in status -v"
done_testing
