#!/bin/bash
# A snapshot of volumes in two pools that is decided in one and cannot be done in the other: the
# server is killed, and starts without the pool that knows.  The other one is offered and is not
# changed until that one is back; then both have it.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/agent.sh"
requires_program rssrv
[ "$(id -u)" = 0 ] || skip "needs root"

write_server_conf "$W"
sed -i '/^serverid/a user = root' "$W/rssrvcfg"
# In it, or the server that has confined itself without it could not open it again.
mkdir -p "$W/next/main"
sed -i "s|^path = $W/pool\$|path = $W/next/main|" "$W/rssrvcfg"
printf '\n[pool next]\npath = %s\n' "$W/next" >>"$W/rssrvcfg"
cp "$W/rssrvcfg" "$W/both"
cleanup_fn umount_snapshots
umount_snapshots() { umount "$W/next/.rsio.snap" 2>/dev/null || true; }
start_server "$W"

cat >"$W/common.py" <<'EOT'
M = 1 << 20

def fails(name, code, call, about=""):
    try:
        call()
    except Failed as e:
        is_(name, e.code, code)
        check(name + ": and says why", about in e.text, e.text)
        return
    check(name, False, "it was not refused")

def snapshots(c, v):
    return [s["name"] for s in c.control("volume", name=v)["volume"]["snapshots"]]

def content(c, name):
    c.open(name, handle=9, read_only=True)
    data = c.read(0, 4, 9)
    c.must(CLOSE, handle=9)
    return data
EOT

scenario "$W" <<'EOT'
exec(open(DIR + "/common.py").read())
import subprocess
c = Node().login(snapshots=True)
for v, pool in ("a", "main"), ("b", "next"):
    c.work("create", volume=v, size=M, pool=pool)
    c.open(v, handle=ord(v))
    c.write(0, v.encode() * 4, handle=ord(v))
c.work("snapshot", volumes=["b"], name="first")
# What is moved into it comes from another file system.
snap = DIR + "/next/.rsio.snap"
subprocess.run(["mount", "--bind", snap, snap], check=True)
fails("it is half done", "EUCLEAN", lambda: c.work("snapshot", volumes=["b", "a"], name="both"))
check("where it was decided it comes", wait_until(lambda: snapshots(c, "a") == ["both"]))
fails("the other pool is not changed", "EUCLEAN", lambda: c.work("create", volume="x", size=M, pool="next"))
c.write(0, b"BBBB", handle=ord("b"))
is_("what is written there goes on", c.read(0, 4, ord("b")), b"BBBB")
EOT
kill_server "$W"
umount "$W/next/.rsio.snap"

sed -i '/^\[pool main\]/,/^$/d' "$W/rssrvcfg"
start_server "$W"
scenario "$W" <<'EOT'
exec(open(DIR + "/common.py").read())
import signal
c = Node().login(snapshots=True)
is_("the other pool is offered", content(c, "b"), b"BBBB")
is_("without that snapshot", snapshots(c, "b"), ["first"])
fails("and is not changed", "EUCLEAN", lambda: c.work("create", volume="x", size=M, pool="next"), "waits for pool main")
fails("nor by a snapshot", "EUCLEAN", lambda: c.work("snapshot", volumes=["b"], name="s"), "waits for pool main")
about = lambda: [(p["name"], p["state"], p.get("why", "")) for p in c.control("pools")["pools"]]
check("its state says that it waits, and for what",
      wait_until(lambda: about()[0][:2] == ("next", "waiting") and "waits for pool main" in about()[0][2]), about())
os.rename(DIR + "/both", DIR + "/rssrvcfg")
os.kill(status()["process"]["pid"], signal.SIGHUP)
check("with that pool it goes on", wait_until(lambda: snapshots(c, "b") == ["both", "first"] or snapshots(c, "b") == ["first", "both"]))
check("which has it too", wait_until(lambda: "a" in [v["name"] for v in c.control("volumes")["volumes"]] and snapshots(c, "a") == ["both"]))
is_("both are of one moment", (content(c, "a@both"), content(c, "b@both")), (b"aaaa", b"bbbb"))
c.work("create", volume="x", size=M, pool="next")
check("its state is ok again", wait_until(lambda: [p[1:] for p in about()] == [("ok", "")] * len(about())), about())
is_("nothing is left to be decided", [f for p in ("next/main", "next") for f in os.listdir(DIR + "/" + p)
    if f == ".rsio.pending" or f.startswith(".rsio.decided")], [])
EOT
like "$(cat "$W/rssrv.out")" "next: nothing is changed in it: pool next waits for pool main" "the log says so"
done_testing
