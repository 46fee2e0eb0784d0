#!/bin/bash
# A client is thrown out while its writes hang in a disk and others of them wait: the answer
# comes when those that hang are done, and those that had not begun are never done.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/agent.sh"
requires_program rssrv
requires_loop
requires_cmd mkfs.ext4 fsfreeze

write_server_conf "$W" client=a client=b
sed -i "s/^b .*/b $(new_key)/" "$W/rssrvcfg"
truncate -s 64M "$W/disk.img"
mkfs.ext4 -q "$W/disk.img"
mkdir "$W/disk"
mount -o loop "$W/disk.img" "$W/disk"
cleanup_fn umount "$W/disk"
truncate -s 16M "$W/disk/slow.raw"
printf '\n[pool disk]\npath = %s\n' "$W/disk" >>"$W/rssrvcfg"
start_server "$W"
thaw() { fsfreeze -u "$W/disk" 2>/dev/null || true; }
cleanup_fn thaw

scenario "$W" <<'EOT'
import json, subprocess
disk = os.path.join(DIR, "disk")
a, b = Node("a").login(), Node("b").login()
a.open("slow")
b.open("slow")
a.reserve("slow", "register", other="a1")
b.reserve("slow", "register", other="b1")
b.reserve("slow", "reserve", key="b1", type=1)

subprocess.check_call(["fsfreeze", "-f", disk])
stuck = [b.start(WRITE, b"b" * 4096, offset=4096 * i, count=4096, handle=1, flags=F_FUA) for i in range(40)]
b.ping()	# the server has read them all
take = a.start(CONTROL, json.dumps(dict(do="reserve", volume="slow", action="preempt", id=os.urandom(16).hex(),
                                        key="a1", other="b1", type=1)).encode())
check("b is out at once", wait_until(lambda: [r["client"] for r in b.reserve("slow", "read")["registered"]] == ["a"]))
refused("what it sends now is refused", E_RESERVED, lambda: b.write(0, b"b" * 512))
a.ping()
check("but a has no answer while its writes hang", take not in a.stash)
subprocess.check_call(["fsfreeze", "-u", disk])
is_("a has it", json.loads(a.wait(take).payload)["reservation"]["registered"][0]["holds"], True)
done = a.read(0, 40 * 4096)
statuses = [b.wait(k).status for k in stuck]
check("some were done, others not", set(statuses) == {OK, E_RESERVED}, statuses)
is_("as the answers say", [done[4096 * i] for i in range(40)], [98 if s == OK else 0 for s in statuses])
is_("and so it stays", a.read(0, 40 * 4096), done)
EOT
done_testing
