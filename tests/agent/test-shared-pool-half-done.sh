#!/bin/bash
# The owner of a shared pool is killed with a change that is committed and half done: the next one
# makes no other change before it could do that one to its end.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/servers.sh"
[ "$(id -u)" = 0 ] || skip "needs root"

mkdir "$W/pool" "$W/1" "$W/2"
for i in 1 2; do
	write_server_conf "$W/$i" server=srv$i serverid=$i
	sed -i "s|^path = .*|path = $W/pool\nshared = yes|; /^serverid/a user = root" "$W/$i/rssrvcfg"
done
start_server "$W/1"
start_server "$W/2"

scenario "$W" <<'EOT'
from several import *
import subprocess
M = 1 << 20
POOL = DIR + "/pool/"
a, b = (Node("node1", d).login() for d in (ONE, TWO))
a.work("create", volume="v", size=M)
check("both offer it", wait_until(lambda: [v.name for v in b.list()] == ["v"]))

def fails(name, code, call):
    try:
        call()
    except Failed as e:
        is_(name, e.code, code)
        return
    check(name, False, "it was not refused")

if subprocess.run(["mount", "--bind", POOL + "v.raw", POOL + "v.raw"]).returncode:
    print("ok a rename # SKIP cannot mount")
    sys.exit(0)
try:
    fails("a rename is half done", "EUCLEAN", lambda: a.work("rename", volume="v", to="w"))
    send(ONE, "KILL")
    check("the other one owns the pool", wait_until(lambda: b.control("pools")["pools"][0]["owner"] == "srv2"))
    fails("and changes nothing", "EUCLEAN", lambda: b.work("create", volume="x", size=M))
finally:
    subprocess.run(["umount", POOL + "v.raw"], check=True)
check("until it has done that", wait_until(lambda: [v.name for v in b.list()] == ["w"]))
b.work("create", volume="x", size=M)
is_("then it does", sorted(f for f in os.listdir(POOL) if f[0] != "."), ["w.meta", "w.raw", "x.meta", "x.raw"])
EOT
kill_server "$W/1"
done_testing
