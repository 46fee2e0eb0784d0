#!/bin/bash
# A change that is committed and cannot be done to its end for now: nobody opens the volume that it
# replaces or throws away, or what is written to it, and acknowledged, would be lost when the change goes on.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/agent.sh"
requires_program rssrv
[ "$(id -u)" = 0 ] || skip "needs root"

write_server_conf "$W"
sed -i '/^serverid/a user = root' "$W/rssrvcfg"
start_server "$W"

scenario "$W" <<'EOT'
import subprocess
M = 1 << 20
POOL = DIR + "/pool/"
c = Node().login(snapshots=True)

def fails(name, code, call):
    try:
        call()
    except Failed as e:
        is_(name, e.code, code)
        return
    check(name, False, "it was not refused")

def stuck(name, file, call):
    """The change comes to `file`, which cannot be moved away or over, and no farther."""
    if subprocess.run(["mount", "--bind", file, file]).returncode:
        print("ok %s # SKIP cannot mount" % name)
        return False
    try:
        fails("%s: it is half done" % name, "EUCLEAN", call)
        status = status_name(c.call(OPEN, rec(T_NAME, "v"), handle=7).status)
        is_("%s: nobody opens it" % name, status, "BUSY")
        if status == "OK":
            c.write(0, b"n" * 4096, 7)
            c.flush(7)
    finally:
        subprocess.run(["umount", file], check=True)
    return True

c.work("create", volume="v", size=M)
c.open("v", handle=1)
c.write(0, b"a" * 4096, 1)
c.work("snapshot", volumes=["v"], name="s")
c.write(0, b"b" * 4096, 1)
c.must(CLOSE, handle=1)

def opens(name):
    return wait_until(lambda: not c.call(OPEN, rec(T_NAME, name), handle=2).status)

if stuck("a rollback", POOL + "v.raw", lambda: c.work("rollback", volume="v", snapshot="s", confirm="v")):
    check("a rollback: when it is done it can be opened", opens("v"))
    is_("a rollback: and is what it was", c.read(0, 4, 2), b"a" * 4)
    c.write(0, b"c" * 4096, 2)
    c.must(CLOSE, handle=2)
if stuck("a rename", POOL + "v.raw", lambda: c.work("rename", volume="v", to="w")):
    check("a rename: when it is done it has its new name", opens("w"))
    is_("a rename: and its content", c.read(0, 4, 2), b"c" * 4)
    c.must(CLOSE, handle=2)
    check("a rename: so have its snapshots", wait_until(lambda: [s["name"] for s in c.control("volume", name="w")["volume"]["snapshots"]] == ["s"]))
    check("a rename: which can be opened", opens("w@s"))
    is_("a rename: and read", c.read(0, 4, 2), b"a" * 4)
    c.must(CLOSE, handle=2)
    c.work("rename", volume="w", to="v")
if stuck("a removal", POOL + "v.meta", lambda: c.work("remove", volume="v", confirm="v", snapshots=True)):
    check("a removal: it is gone in the end", wait_until(lambda: not [f for f in os.listdir(POOL) if f[0] in "vw"]))
    c.work("create", volume="v", size=M)
    check("a removal: and its name is free", opens("v"))
    is_("a removal: for a new one", c.read(0, 4, 2), bytes(4))
    c.must(CLOSE, handle=2)
EOT
done_testing
