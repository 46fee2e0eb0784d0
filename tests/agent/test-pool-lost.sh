#!/bin/bash
# A pool whose file system is unmounted under the server, and one whose file system is not mounted when the
# server starts: that is said in words, nothing is made on the file system below, and what was open goes on.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/agent.sh"
requires_loop
requires_cmd mkfs.ext4
requires_program rssrv

write_server_conf "$W" client=boss
echo 'manage = boss' >>"$W/rssrvcfg"
truncate -s 64M "$W/image"
mkfs.ext4 -q -F "$W/image"
loop=$(losetup --show -f "$W/image")
cleanup_fn losetup -d "$loop"
cleanup_fn umount -q "$W/pool"
mount "$loop" "$W/pool"
start_server "$W"
cat >"$W/about.py" <<'EOT'
M = 1 << 20
boss = Node("boss").login()
about = lambda: boss.control("pools")["pools"][0]
state = lambda: about()["state"]
EOT
# No process of the test may be there when it is unmounted: the server is asked from elsewhere.
scenario "$W" <<'EOT'
exec(open(DIR + "/about.py").read())
is_("a pool is ok", wait_until(lambda: state() == "ok"), True)
boss.work("create", volume="v", size=M)
EOT
umount -l "$W/pool"
scenario "$W" <<'EOT'
exec(open(DIR + "/about.py").read())
check("unmounted it is lost", wait_until(lambda: state() == "lost"), about())
check("with the reason", "is on another file system than the pool: that one was unmounted" in about()["why"], about())
is_("the status says so too", [p["state"] for p in status()["pools"]], ["lost"])
for op, more in (("create", dict(volume="w", size=M)), ("resize", dict(volume="v", size=2 * M)),
                 ("remove", dict(volume="v", confirm="v")), ("snapshot", dict(volumes=["v"], name="s"))):
    try:
        boss.work(op, **more)
        check(op + " is refused", False)
    except Failed as e:
        check(op + " is refused", e.code == "ENODEV" and "pool main is lost: " in e.text, e)
boss.open("v")
boss.write(0, b"x" * 512)
is_("what is there is used", boss.read(0, 512), b"x" * 512)
EOT
is "$(ls -A "$W/pool")" "" "nothing was made below"
logged "$W" 'main: it is lost: .*/pool is on another file system' "the log says so"
mount "$loop" "$W/pool"
scenario "$W" <<'EOT'
exec(open(DIR + "/about.py").read())
check("mounted again it is ok", wait_until(lambda: state() == "ok"), about())
is_("without a reason", about().get("why"), None)
boss.work("create", volume="w", size=M)
EOT
check "and is the same one" test -e "$W/pool/w.raw"

stop_server "$W"
umount "$W/pool"
check_fails 1 "without its file system the server does not start" "$BUILD/rssrv" -f -c "$W/rssrvcfg" --run-dir "$W/run"
like "$("$BUILD/rssrv" -f -c "$W/rssrvcfg" --run-dir "$W/run" 2>&1 || true)" "nothing is mounted at $W/pool, where the file system of" "which it says"
is "$(ls -A "$W/pool")" "" "nothing was made there"
mount "$loop" "$W/pool"
start_server "$W"
check "mounted it starts" test -e "$W/pool/.rsio.lock"
stop_server "$W"
umount "$W/pool"
rm "$W"/state/*.mount
start_server "$W"
ok "the pool can be begun anew there, by whoever says so"
stop_server "$W"
rm -rf "$W/pool/.rsio."*
mount "$loop" "$W/pool"
start_server "$W"
ok "from below to another file system it goes without"
done_testing
