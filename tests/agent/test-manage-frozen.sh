#!/bin/bash
# A pool whose disk hangs: jobs there wait, can be cancelled before they begin, and hold up
# neither those of another pool nor questions about it, nor reads, pings and fences.  SIGTERM
# is obeyed all the same, and nothing half made is left.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/agent.sh"
requires_program rssrv
requires_loop
requires_cmd mkfs.ext4 fsfreeze

write_server_conf "$W" client=boss client=second portals=2
sed -i "s/^second .*/second $(new_key)/" "$W/rssrvcfg"
make_volume "$W" quick 1M
truncate -s 128M "$W/disk.img"
mkfs.ext4 -q "$W/disk.img"
mkdir "$W/disk"
mount -o loop "$W/disk.img" "$W/disk"
cleanup_fn umount "$W/disk"
truncate -s 1M "$W/disk/slow.raw"
printf '\n[pool disk]\npath = %s\n' "$W/disk" >>"$W/rssrvcfg"
start_server "$W"
thaw() { fsfreeze -u "$W/disk" 2>/dev/null || true; }
cleanup_fn thaw

scenario "$W" <<'EOT'
import subprocess
disk = os.path.join(DIR, "disk")
boss, second = Node("boss").login(), Node("second").login()
other = Node("boss", life=boss.life).login(boss.session, portal=1)
boss.open("quick")

subprocess.check_call(["fsfreeze", "-f", disk])
stuck = [boss.start_work("create", volume="s%d" % i, pool="disk", size=512)["id"] for i in range(20)]
check("jobs wait for a frozen disk", wait_until(lambda: boss.job(stuck[0])["stage"] != "waiting"))
is_("those that have no thread are waiting", boss.job(stuck[-1])["stage"], "waiting")
second.work("create", volume="q1", pool="main", size=512)
is_("another node's in another pool are done", [v["name"] for v in second.control("volumes")["volumes"] if v["name"] == "q1"], ["q1"])
theirs = second.start_work("copy", volume="quick", to="theirs", pool="disk")["id"]
check("one of a node that has none there is not behind those that have", wait_until(lambda: second.job(theirs)["stage"] != "waiting"))
second.work("access", volume="quick", clients=["boss"])
looks = [other.start(CONTROL, b'{"do":"volume","name":"slow"}') for i in range(60)]
is_("questions about that pool", boss.control("volume", name="quick")["volume"]["pool"], "main")
check("neither", boss.ping() and other.ping())
boss.write(0, b"x" * 512)
is_("nor who reads and writes, is held up", boss.read(0, 512), b"x" * 512)
is_("one that waits is cancelled", boss.cancel(stuck[-1])["state"], "cancelled")
is_("with ECANCELED", boss.job(stuck[-1])["error"]["code"], "ECANCELED")
first = boss.cancel(stuck[0])
check("one that runs as soon as it can be", first["state"] in ("running", "cancelled"), first)
boss.fence(other.connection)
check("a fence does not wait for a question about files", other.closed(2))
gone = boss.start_work("create", attended=True, volume="unattended", pool="disk", size=512)["id"]
subprocess.check_call(["fsfreeze", "-u", disk])
ends = [boss.wait_job(i)["state"] for i in stuck]
is_("when it thaws the others are made", set(ends[1:-1]), {"done"})
second.wait_job(theirs)
is_("a copy is not for whom its source was hidden from meanwhile", [v.name for v in second.list() if v.name == "theirs"], [])
is_("of the cancelled one nothing is left", os.path.exists(disk + "/s19.raw"), False)
is_("and of the other as much as it says", os.path.exists(disk + "/s0.raw"), ends[0] == "done")
is_("one that nobody forgot is made, too", boss.wait_job(gone)["state"], "done")
subprocess.check_call(["fsfreeze", "-f", disk])
last = [boss.start_work("create", volume="t%d" % i, pool="disk", size=512)["id"] for i in range(20)]
EOT
begun=$(date +%s%N)
pid=$(server_pid "$W")
kill -TERM "$pid"
check "SIGTERM is obeyed though jobs are stuck" wait_for 20 grep -q 'ending on SIGTERM' "$W/rssrv.out"
check "and said" wait_for 20 grep -q 'a change of a pool does not end' "$W/rssrv.out"
thaw
stop_server "$W"
note "ended after $((($(date +%s%N) - begun) / 1000000)) ms"
start_server "$W"
scenario "$W" <<'EOT'
boss = Node("boss").login()
names = {v.name for v in boss.list()}
raw = {n[:-4] for n in os.listdir(DIR + "/disk") if n.endswith(".raw")}
check("what is in the pool is offered, and nothing else is there", raw <= names, (raw, names))
is_("each with an identity", {n for n in raw if not os.path.exists(DIR + "/disk/%s.meta" % n)}, set())
is_("nothing is left over", [n for n in os.listdir(DIR + "/disk/.rsio.work")] if os.path.isdir(DIR + "/disk/.rsio.work") else [], [])
is_("no journal either", "\nmove" in open(DIR + "/disk/.rsio.journal").read(), False)
EOT
done_testing
