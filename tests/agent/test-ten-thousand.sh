#!/bin/bash
# Ten thousand volumes, or in a short run three thousand: all are offered, with an identity each, found by name, listed whole in
# pages, opened and changed like a few; after a restart they are the same.  What it took is
# said and not judged.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/agent.sh"
requires_program rssrv
count=$(sample_or_all 3000 10000)

write_server_conf "$W"
sed -i "s|^path = $W/pool|&\novercommit = yes|" "$W/rssrvcfg"
python3 - "$W/pool" "$count" <<'EOT'
import os, sys
for i in range(int(sys.argv[2])):
    with open("%s/v%05d.raw" % (sys.argv[1], i), "wb") as f:
        f.truncate((1 + i % 7) << 20)
EOT
figures()
{
	local pid=$(($(server_pid "$W")))
	note "$1: $((($(date +%s%N) - began) / 1000000)) ms, $(awk '/VmRSS/ { print $2 }' "/proc/$pid/status") KiB," \
		"$(find "/proc/$pid/fd" -type l | wc -l) descriptors, $(awk '{ print $14 + $15 }' "/proc/$pid/stat") ticks"
}
began=$(date +%s%N)
start_server "$W"
figures "the first start, which makes the identities"
is "$(find "$W/pool" -name '*.meta' | wc -l)" "$count" "each has an identity"
is "$(find "$W/pool" -name '*.new' | wc -l)" 0 "and nothing is left over"
is "$(cat "$W"/pool/*.meta | sed -n 's/^uuid = //p' | sort -u | wc -l)" "$count" "of its own"
check "no more than some of them have a line in the log" test "$(grep -c 'offered from' "$W/rssrv.out")" -lt 1000
stop_server "$W"
began=$(date +%s%N)
start_server "$W"
figures "the second start"

scenario "$W" "$count" <<'EOT'
import glob
N, M = int(sys.argv[2]), int(sys.argv[2]) // 2
v_ = lambda i: "v%05d" % i
c = Node().login()

def everything():
    out, total = [], 1
    while len(out) < total:
        r = c.must(LIST, offset=len(out), count=0)
        out += [get_volume(d) for t, _, d in records(r.payload) if t == T_VOLUME]
        total = number(r.payload, T_TOTAL)
    return out

t = time.monotonic()
vs = everything()
print("LIST: %.0f ms" % ((time.monotonic() - t) * 1000))
is_("all are listed", [v.name for v in vs], [v_(i) for i in range(N)])
is_("numbered in their order", [v.id for v in vs], list(range(N)))
is_("with their sizes", {(int(v.name[1:]) % 7 + 1) << 20 == v.size for v in vs}, {True})
metas = {os.path.basename(f)[:-5]: open(f).read() for f in glob.glob(DIR + "/pool/*.meta")}
check("and the identities of their files", all("uuid = %s" % __import__("uuid").UUID(bytes=v.uuid) in metas[v.name] for v in vs))

t, names = time.monotonic(), []
while len(names) < (r := c.control("volumes", **{"from": len(names)}))["total"]:
    names += [v["name"] for v in r["volumes"]]
print("volumes, in pages: %.0f ms" % ((time.monotonic() - t) * 1000))
is_("the control request has the same", names, [v.name for v in vs])

# The descriptors are opened with the volumes.
fds = lambda: len(os.listdir("/proc/%d/fd" % status()["process"]["pid"]))
before = fds()
check("none is open for a volume that nobody uses", before < 100, before)
for i in range(100):
    v = c.open(v_(i * 29), handle=1 + i)
    c.write(v.size - 512, b"%5d" % i, handle=1 + i)
is_("a hundred are opened", [c.read(vs[i * 29].size - 512, 5, handle=1 + i) for i in range(100)], [b"%5d" % i for i in range(100)])
check("and no more", fds() - before <= 210, fds() - before)

# Changes among them.
c.work("create", volume="a", size=1 << 20)
c.work("rename", volume=v_(M), to="zz")
c.work("remove", volume=v_(M + 1), confirm=v_(M + 1))
c.work("resize", volume=v_(M + 2), size=99 << 20)
os.unlink(DIR + "/pool/%s.raw" % v_(M + 3))
is_("a file that went is not opened", status_name(c.call(OPEN, rec(T_NAME, v_(M + 3)), handle=500).status), "NO_VOLUME")
check("nor listed any more", wait_until(lambda: c.control("volumes", **{"from": N})["total"] == N - 1))
now = {v.name: v for v in everything()}
is_("so many are left", len(now), N - 1)
is_("the changed ones", (v_(M + 1) in now, v_(M) in now, now["zz"].uuid, now[v_(M + 2)].size),
    (False, False, vs[M].uuid, 99 << 20))
is_("new ones have the numbers that are free", {now["a"].id, now["zz"].id} <= {M, M + 1, M + 3, N}, True)
is_("the others have theirs", all(now[v.name].id == v.id for v in vs if v.name in now), True)
os.truncate(DIR + "/pool/%s.raw" % v_(N - 1), 64 << 20)
check("one that grows by hand is noticed, in its turn", wait_until(lambda: volume(v_(N - 1))["size"] == 64 << 20, 30))
p = c.control("pools")["pools"][0]
is_("the pool counts them", wait_until(lambda: c.control("pools")["pools"][0]["volumes"] == N - 1), True)
EOT
figures "at the end"
done_testing
