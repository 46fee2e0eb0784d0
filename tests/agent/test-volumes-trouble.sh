#!/bin/bash
# A pool that is full, read-only or gone, one that would promise too much, and files in it that are
# damaged: each a clear error that names it, and nothing half made.
# time-limit: 180
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/agent.sh"
# shellcheck source=tests/agent/filesystems.sh
. "$(dirname "$0")/filesystems.sh"
requires_cmd jq
requires_program rssrv
requires_loop

write_server_conf "$W"
sed -i '/^serverid/a user = root' "$W/rssrvcfg"
add_pools tmpfs ext4 xfs btrfs
mkdir "$W/gone" "$W/small"
mount -t tmpfs -o size=8m rsio-test "$W/small"
cleanup_fn umount "$W/small"
printf '\n[pool gone]\npath = %s\n\n[pool small]\npath = %s\n' "$W/gone" "$W/small" >>"$W/rssrvcfg"
# One that its file system makes read-only when it finds an error.
make_filesystem ext4 "$W/ro" || skip "needs ext4"
mount -o remount,errors=remount-ro "$W/ro"
trigger=/sys/fs/ext4/$(basename "$(findmnt -no SOURCE "$W/ro")")/trigger_fs_error
printf '\n[pool ro]\npath = %s\n' "$W/ro/pool" >>"$W/rssrvcfg"
start_server "$W"

# shellcheck disable=SC2086,SC2016  # words
SCENARIO_SECONDS=150 scenario "$W" "$trigger" $pools <<'EOT'
import shutil
import subprocess
M = 1 << 20
c = Node().login(snapshots=True)

def files(path):
    return sorted(os.path.relpath(os.path.join(d, f), path) for d, _, fs in os.walk(path) for f in fs)

def fails(name, code, call, about):
    try:
        call()
    except Failed as e:
        check("%s: %s" % (name, code), e.code == code and about in e.text, (e.code, e.text))
        return
    check(name, False, "it was not refused")

def state(pool):
    return next(p for p in status()["pools"] if p["name"] == pool)["state"]

def block(conn, handle, i, n):
    conn.write(i * 64 * 1024, n.to_bytes(8, "little") * 8192, handle)

for pool in sys.argv[3:]:
    path = "%s/fs-%s/pool" % (DIR, pool)
    v, big = pool + "-v", pool + "-big"
    c.work("create", volume=v, size=4 * M, pool=pool)
    c.work("create", volume=big, size=1024 * M, pool=pool)
    c.open(v, handle=1)
    for i in range(64):
        block(c, 1, i, i + 1)
    c.flush(1)
    c.work("snapshot", volumes=[v], name="s", hold_limit=10)
    # Something else takes the most of it; then nothing goes in any more.
    junk = open(path + "/junk", "wb", buffering=0)
    room = os.statvfs(path)
    os.posix_fallocate(junk.fileno(), 0, max(room.f_bavail * room.f_frsize - 6 * M, M))
    c.open(big, handle=2)
    full = None
    for i in range(1024):
        r = c.call(WRITE, os.urandom(M), offset=i * M, count=M, handle=2, flags=F_FUA)
        if r.status:
            full = status_name(r.status)
            break
    is_("%s: a full pool answers" % pool, full, "NO_SPACE")
    check("%s: which the status says" % pool, wait_until(lambda: state(pool) == "full", 15), state(pool))
    # The last bit of it, too.
    junk.seek(0, os.SEEK_END)
    for size in (65536, 4096):
        try:
            while True:
                junk.write(bytes(size))
        except OSError:
            pass
    junk.close()
    before = files(path)
    fails("%s: a volume that is to have its space" % pool, "ENOSPC",
          lambda: c.work("create", volume=pool + "-new", size=64 * M, pool=pool, preallocate=True), "No space left")
    is_("%s: there is nothing of it" % pool, [f for f in files(path) if f not in before], [])
    try:	# some file systems have room for a few bytes even so
        c.work("create", volume=pool + "-new", size=64 * M, pool=pool)
        c.work("remove", volume=pool + "-new", confirm=pool + "-new")
    except Failed as e:
        is_("%s: nor of any other, for want of room" % pool, (e.code, "let rssrv write" in e.error.get("next", "")), ("ENOSPC", False))
    is_("%s: what was written is whole" % pool,
        [i for i in range(64) if c.read(i * 65536, 65536, 1) != (i + 1).to_bytes(8, "little") * 8192], [])
    c.open(v + "@s", handle=3, read_only=True)
    is_("%s: and so is the snapshot" % pool,
        [i for i in range(64) if c.read(i * 65536, 65536, 3) != (i + 1).to_bytes(8, "little") * 8192], [])
    c.must(CLOSE, handle=3)
    c.must(CLOSE, handle=2)
    c.work("remove", volume=big, confirm=big)
    check("%s: what takes the space can be removed" % pool, big + ".raw" not in files(path))
    os.unlink(path + "/junk")
    subprocess.run(["sync", "-f", path], check=True)		# btrfs gives space back with its next commit
    check("%s: then there is space again" % pool, wait_until(lambda: state(pool) == "ok", 15), state(pool))
    c.work("snapshot", volumes=[v], name="t", hold_limit=10)
    block(c, 1, 0, 7)
    c.flush(1)
    c.must(CLOSE, handle=1)
    is_("%s: nothing is left of it all" % pool, os.listdir(path + "/.rsio.work"), [])

# Promises.
c.work("create", volume="p", size=7 * M, pool="small")
fails("more than the pool has", "ENOSPC", lambda: c.work("create", volume="p2", size=2 * M, pool="small"), "not promised")
fails("growth over it", "ENOSPC", lambda: c.work("resize", volume="p", size=9 * M), "not promised")
fails("a copy over it", "ENOSPC", lambda: c.work("clone", volume="p", to="p2"), "not promised")
is_("leave it as it is", (c.control("volume", name="p")["volume"]["size"], files(DIR + "/small")),
    (7 * M, [".rsio.journal", ".rsio.journal.spare", ".rsio.lock", "p.meta", "p.raw"]))
c.work("remove", volume="p", confirm="p")

# Read-only.
c.work("create", volume="p", size=7 * M, pool="ro")
before = files(DIR + "/ro/pool")
open(sys.argv[2], "w").write("a test")
for op, members in (("create", dict(volume="q", size=512, pool="ro")), ("resize", dict(volume="p", size=2 * M, confirm="p")),
                    ("rename", dict(volume="p", to="q")), ("remove", dict(volume="p", confirm="p")),
                    ("snapshot", dict(volumes=["p"], name="s")), ("clone", dict(volume="p", to="q")),
                    ("label", dict(volume="p", text="x"))):
    fails("read-only: %s" % op, "EROFS", lambda: c.work(op, **members), "Read-only")
is_("nothing changed there", files(DIR + "/ro/pool"), before)
c.open("p", handle=5, read_only=True)
is_("a volume there can be read", c.read(0, 8, 5), bytes(8))
c.must(CLOSE, handle=5)

# Gone.
shutil.rmtree(DIR + "/gone")
fails("a pool whose directory is gone", "ENODEV", lambda: c.work("create", volume="g", size=512, pool="gone"), "pool gone is lost: there is no")
check("the status says that too", wait_until(lambda: state("gone") == "gone", 15), state("gone"))

# Damaged.
main = DIR + "/pool/"
c.work("create", volume="d", size=M, pool="main")
c.work("create", volume="e", size=M, pool="main")
c.work("snapshot", volumes=["e"], name="s")
good = open(main + "d.meta").read()
open(main + "d.meta", "w").write(good.replace("generation = ", "generation = x"))
for op, members in (("snapshot", dict(volumes=["e", "d"], name="t")), ("clone", dict(volume="d", to="f")),
                    ("label", dict(volume="d", text="x")), ("rename", dict(volume="d", to="f"))):
    fails("a meta that cannot be read: %s" % op, "EINVAL", lambda: c.work(op, **members), "d.meta")
is_("no snapshot of the other one is made", [s["name"] for s in c.control("volume", name="e")["volume"]["snapshots"]], ["s"])
open(main + "d.meta", "w").write(good)
os.unlink(main + "e.raw")
os.symlink("/etc/passwd", main + "e.raw")
check("a link in a volume's place is not one", wait_until(lambda: "e" not in [v["name"] for v in c.control("volumes")["volumes"]]))
fails("nor can it be removed as one", "ENOENT", lambda: c.work("remove", volume="e", confirm="e"), "e")
is_("nothing was made meanwhile", [f for f in files(main) if f[0] in "tf" or "work" in f], [])
EOT
for p in $pools; do
	logged "$W" "ERROR \(pool\): $p: .* is full: .* ENOSPC" "the log says that $p was full"
	logged "$W" "INFO \(pool\): $p: .* free space" "and is not"
done
logged "$W" 'the directory .*/gone is gone' "and that one is gone"
stop_server "$W"

# A journal that no rssrv wrote.
sed -i '/^\[pool gone\]/,/^path/d; /^\[pool ro\]/,/^path/d' "$W/rssrvcfg"
printf 'move a.raw b.raw\nend 00000000\n' >"$W/pool/.rsio.journal"
check_fails 1 "a damaged journal is refused" "$BUILD/rssrv" -f -c "$W/rssrvcfg" --run-dir "$W/run"
like "$("$BUILD/rssrv" -f -c "$W/rssrvcfg" --run-dir "$W/run" 2>&1 || true)" \
	"pool main.*rsio.journal is damaged" "with the pool's name and what to look at"
rm "$W/pool/.rsio.journal"
start_server "$W"
check "without it all is well" test -e "$W/pool/d.raw"
done_testing
