#!/bin/bash
# Root opens, another user serves; and what a service manager is told.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/agent.sh"
requires_program rssrv
requires_root
id nobody >/dev/null 2>&1 || skip "needs the user nobody"

write_server_conf "$W" portals=1
sed -i "/^serverid/a user = nobody" "$W/rssrvcfg"
make_volume "$W" v 1M
truncate -s 1M "$W/single.raw"
chmod 600 "$W/single.raw"	# root opens it before
printf '\n[volume single]\npath = %s\n' "$W/single.raw" >>"$W/rssrvcfg"
chown -R nobody "$W/pool"
chmod 755 "$W"

scenario "$W" "$BUILD" <<'EOT'
import subprocess
build = sys.argv[2]
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(DIR + "/notify")
s.settimeout(15)
os.chmod(DIR + "/notify", 0o777)
p = subprocess.Popen([build + "/rssrv", "-f", "-c", DIR + "/rssrvcfg", "--run-dir", DIR + "/run"],
                     env=dict(os.environ, NOTIFY_SOCKET=DIR + "/notify"),
                     stderr=open(DIR + "/rssrv.out", "w"))
try:
    is_("a service manager is told when it is ready", s.recv(1000), b"READY=1")
    c = Node().connect(seconds=0)
    check("and it is", c.hello().status == OK)
    uids = [l.split()[1:] for l in open("/proc/%d/status" % p.pid) if l.startswith("Uid")][0]
    caps = [l.split()[1] for l in open("/proc/%d/status" % p.pid) if l.startswith("CapEff")][0]
    import pwd
    is_("it runs as nobody, with no way back", set(uids), {str(pwd.getpwnam("nobody").pw_uid)})
    is_("and with no capabilities", int(caps, 16), 0)
    c = Node().login()
    c.open("single", handle=1)
    c.write(0, b"opened by root", 1)
    c.flush(1)
    c.open("v", handle=2)
    c.write(0, b"x" * 512, 2, F_FUA)
    check("both volumes work", True)
    path = pool_file("late.raw")
    open(path, "wb").truncate(4096)
    os.chmod(path, 0o600)
    check("a file that it cannot read is not offered", not next_event(c, EV_ADDED, 1))
    check("and the log says so", "late.raw" in open(DIR + "/rssrv.out").read())
    os.chown(path, pwd.getpwnam("nobody").pw_uid, -1)
    check("one that it can is", next_event(c, EV_ADDED, 3))
    check("it wrote its identity", os.path.exists(pool_file("late.meta")))
finally:
    p.terminate()
    is_("it ends in order", p.wait(10), 0)
    is_("and says that too", s.recv(1000), b"STOPPING=1")
EOT
like "$(cat "$W/rssrv.out")" "cannot read .*rssrvcfg: SIGHUP will have no effect" "what will not work later is said at the start"

# The file has keys: that user's group may read them, and has to, to read them again.
chgrp "$(id -g nobody)" "$W/rssrvcfg"
chmod 640 "$W/rssrvcfg"
scenario "$W" "$BUILD" <<'EOT'
import signal, subprocess
build = sys.argv[2]
p = subprocess.Popen([build + "/rssrv", "-f", "-c", DIR + "/rssrvcfg", "--run-dir", DIR + "/run"],
                     stderr=open(DIR + "/again.out", "w"))
said = lambda what: what in open(DIR + "/again.out").read()
try:
    wait_until(lambda: p.poll() is not None or said("now running as user nobody"), 15)
    check("it starts with a file that the group of its user can read", p.poll() is None, open(DIR + "/again.out").read())
    if p.poll() is None:
        os.kill(p.pid, signal.SIGHUP)
        check("and reads it again as that user", wait_until(lambda: said("configuration read again"), 15))
finally:
    p.terminate()
    p.wait(10)
EOT
chmod 600 "$W/rssrvcfg"
sed -i 's/^user = nobody/user = nosuchuser/' "$W/rssrvcfg"
check_fails 1 "a user that is not there" "$BUILD/rssrv" -f -c "$W/rssrvcfg" --run-dir "$W/run"
done_testing
