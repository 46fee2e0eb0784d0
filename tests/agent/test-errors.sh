#!/bin/bash
# A full pool, a disk that fails to write back, a read-only file system: the
# client gets the errno, and a failed flush is final until it is cleared.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/agent.sh"
requires_program rssrv
requires_loop
requires_cmd mkfs.ext4

write_server_conf "$W" portals=1
mkdir "$W/full" "$W/ro"
mount -t tmpfs -o size=4m tmpfs "$W/full"
cleanup_fn umount "$W/full"
truncate -s 64M "$W/full/thin.raw"

# A sparse image on a file system without room: a device that takes writes and
# fails to keep them.
mkdir "$W/small"
mount -t tmpfs -o size=8m tmpfs "$W/small"
cleanup_fn umount "$W/small"
truncate -s 64M "$W/small/image"
device=$(losetup --show -f "$W/small/image")
cleanup_fn losetup -d "$device"

truncate -s 64M "$W/ro.img"
mkfs.ext4 -q "$W/ro.img"
mount -o loop "$W/ro.img" "$W/ro"
truncate -s 1M "$W/ro/frozen-in-time.raw"
printf 'uuid = 11111111-2222-4333-8444-555555555555\ngeneration = 7\ninode = %s\nbirth = 0\n' \
	"$(stat -c %i "$W/ro/frozen-in-time.raw")" >"$W/ro/frozen-in-time.raw.rsio"
mount -o remount,ro "$W/ro"
cleanup_fn umount "$W/ro"
cat >>"$W/rssrvcfg" <<EOT

[pool full]
path = $W/full

[volume device]
path = $device

[volume frozen]
path = $W/ro/frozen-in-time.raw
mode = ro
uuid = 11111111-2222-4333-8444-555555555555
EOT
start_server "$W"

scenario "$W" <<'EOT'
c = Node().login()
c.open("thin", handle=1)
r = OK
for i in range(100):
    r = c.call(WRITE, os.urandom(65536), offset=i * 65536, count=65536, handle=1).status
    if r:
        break
is_("a full pool", status_name(r), "NO_SPACE")
check("before it took what there is room for", 40 <= i <= 64, i)
is_("reading goes on", len(c.read(0, 65536, 1)), 65536)
c.flush(1)
c.must(DISCARD, offset=0, count=2 << 20, handle=1)
c.write(60 << 20, os.urandom(65536), 1)
ok_now = c.call(WRITE, os.urandom(65536), offset=61 << 20, count=65536, handle=1)
is_("a discard makes room", ok_now.status, OK)
is_("the server counts the errors", volume("thin")["errors"] >= 0, True)

v = c.open("device", handle=2)
is_("a block device's size", v.size, 64 << 20)
c.write(0, b"kept" * 1024, 2)
c.flush(2)
is_("nothing failed yet", volume("device")["flush_failed"], False)
for i in range(32):
    c.write(i << 20, os.urandom(1 << 20), 2)
r = c.call(FLUSH, handle=2)
is_("a flush that fails says so", status_name(r.status), "IO")
c.must(DISCARD, offset=0, count=64 << 20, handle=2)
r = c.call(FLUSH, handle=2)
is_("no later flush covers it up", status_name(r.status), "FLUSH_FAILED")
r = c.call(WRITE, b"x" * 512, offset=0, count=512, handle=2, flags=F_FUA)
is_("nor a FUA write", status_name(r.status), "FLUSH_FAILED")
d = Node("node1", life=c.life).login(c.session)
d.open("device", handle=3)
is_("nor anyone else's", status_name(d.call(FLUSH, handle=3).status), "FLUSH_FAILED")
c.write(0, b"plain", 2)
is_("plain writes and reads go on", c.read(0, 5, 2), b"plain")
is_("it is in the status", volume("device")["flush_failed"], True)
c.flush(1)
check("other volumes' flushes go on", True)
EOT
is "$(grep -c 'writing .* to its disk failed' "$W/rssrv.out")" 1 "one line in the log, not one a flush"

kill_server "$W"
start_server "$W"
scenario "$W" <<'EOT'
c = Node().login()
c.open("device", handle=2)
is_("a restart of the server does not clear it", status_name(c.call(FLUSH, handle=2).status), "FLUSH_FAILED")
r = ctl({"do": "clear-flush-error", "volume": "nosuch"})
check("clearing one that is not there", not r["ok"] and r["error"]["code"] == "ENOENT", r)
r = ctl({"do": "clear-flush-error"})
check("clearing none", not r["ok"], r)
r = ctl({"do": "clear-flush-error", "volume": "device"})
check("the administrator clears it", r["ok"], r)
c.write(0, b"again", 2)
is_("then a flush is a flush again", status_name(c.call(FLUSH, handle=2).status), "OK")
r = ctl({"do": "dance"})
check("an unknown request is told what there is", "clear-flush-error" in r["error"]["text"], r)

v = c.open("frozen", handle=4)
is_("a volume of a read-only file system", (v.flags & F_READ_ONLY, v.uuid.hex()[:8]), (F_READ_ONLY, "11111111"))
EOT
stop_server "$W"
start_server "$W"
scenario "$W" <<'EOT'
c = Node().login()
c.open("device", handle=2)
c.flush(2)
check("and stays cleared", True)
EOT
done_testing
