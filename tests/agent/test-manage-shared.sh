#!/bin/bash
# A pool that two servers share is changed by its owner: the other one says whom to ask, offers
# what the owner makes, and is the one to ask when the owner is gone.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/servers.sh"

mkdir "$W/pool" "$W/1" "$W/2"
for i in 1 2; do
	write_server_conf "$W/$i" server=srv$i serverid=$i client=node1 client=node2
	sed -i "s|^path = .*|path = $W/pool\nshared = yes|" "$W/$i/rssrvcfg"
done
start_server "$W/1"
start_server "$W/2"

scenario "$W" <<'EOT'
from several import *
M = 1 << 20
a, b = (Node("node1", d).login() for d in (ONE, TWO))

def asked_elsewhere(name, call):
    try:
        call()
    except Failed as e:
        is_(name, (e.code, e.error.get("owner")), ("EREMOTE", "srv1"))
        check(name + ", in words", "server srv1 owns the shared pool main" in e.text, e.text)
        return
    check(name, False, "it was done")

check("both know the owner", wait_until(lambda: b.control("pools")["pools"][0]["owner"] == "srv1"))
is_("which can be asked for", a.control("pools")["pools"][0]["shared"], True)
asked_elsewhere("the other one makes nothing", lambda: b.work("create", volume="v", size=M))
a.work("create", volume="v", size=M)
check("what the owner makes both offer", wait_until(lambda: [v.name for v in b.list()] == ["v"]))
asked_elsewhere("nor grows it", lambda: b.work("resize", volume="v", size=2 * M))
a.work("resize", volume="v", size=2 * M)
check("what grew is so for both", wait_until(lambda: b.list()[0].size == 2 * M))

# What clients of the other server have open.
import fcntl
def marked():
    with open(DIR + "/pool/v.raw", "r+b") as f:
        lock = struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0)
        return struct.unpack("hhqqi4x", fcntl.fcntl(f, fcntl.F_OFD_GETLK, lock))[0] != fcntl.F_UNLCK
def in_use(name, call):
    try:
        call()
    except Failed as e:
        check(name, e.code == "EBUSY" and "serverid 2" in e.text, (e.code, e.text))
        return
    check(name, False, "it was done")
b.open("v", handle=1)
check("what it has open it tells of", wait_until(marked))
in_use("that is not renamed", lambda: a.work("rename", volume="v", to="x"))
in_use("nor cut", lambda: a.work("resize", volume="v", size=M, confirm="v"))
in_use("nor removed", lambda: a.work("remove", volume="v", confirm="v"))
b.must(CLOSE, handle=1)
check("and when it has closed it", wait_until(lambda: not marked()))
# What the disk lost is not there under another name either.
open(DIR + "/pool/v.flush-failed", "w").close()
a.work("rename", volume="v", to="x")
d = Node("node2", ONE).login()
d.open("x")
is_("a failed flush stays one when the volume is renamed", status_name(d.call(FLUSH, handle=1).status), "FLUSH_FAILED")
is_("the note of it has the new name", sorted(f for f in os.listdir(DIR + "/pool") if "flush" in f), ["x.flush-failed"])
d.must(CLOSE, handle=1)
ctl({"do": "clear-flush-error", "volume": "x"}, ONE)
a.work("rename", volume="x", to="v")
check("then it is", wait_until(lambda: [v.name for v in b.list()] == ["v"]))
asked_elsewhere("nor removes it", lambda: b.work("remove", volume="v", confirm="v"))
send(ONE, "KILL")
check("when the owner is gone it is the owner", wait_until(lambda: b.control("pools")["pools"][0]["owner"] == "srv2"))
b.work("create", volume="w", size=M)
is_("and makes them", sorted(v.name for v in b.list()), ["v", "w"])
EOT
done_testing
