#!/bin/bash
# One disk offered by two servers: what one wrote, the other reads, at any size
# and alignment, since neither keeps it in a cache.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/agent.sh"
requires_program rssrv
requires_loop

truncate -s 32M "$W/image"
uuid=$(cat /proc/sys/kernel/random/uuid)
for i in 1 2; do
	# With direct I/O the two devices have no common cache below them either.
	device=$(losetup --show --direct-io=on -f "$W/image") || skip "needs loop devices with direct I/O"
	cleanup_fn losetup -d "$device"
	mkdir -p "$W/$i"
	write_server_conf "$W/$i" server=srv$i serverid=$i
	printf '\n[volume disk]\npath = %s\nshared = yes\nuuid = %s\n' "$device" "$uuid" >>"$W/$i/rssrvcfg"
	[ $i = 1 ] || sed -i 's/^serverid.*/&\nfence-command = exit 0/' "$W/$i/rssrvcfg"
	start_server "$W/$i"
done
scenario "$W" <<'EOT'
a = Node(directory=DIR + "/1").login()
b = Node(directory=DIR + "/2").login()
v, w = a.open("disk"), b.open("disk")
is_("both offer the same volume", (v.uuid, v.generation, v.size, v.shared), (w.uuid, w.generation, w.size, 1))
is_("past the cache", volume("disk", DIR + "/1")["store"], "direct")
rng = random.Random(SEED)
model = bytearray(1 << 20)
wrong = 0
for i in range(300):
    writer, reader = (a, b) if i % 2 else (b, a)
    size = rng.choice((1, 100, 511, 512, 513, 4096, 5000, 70000))
    offset = rng.randrange((1 << 20) - size)
    data = rng.randbytes(size)
    writer.write(offset, data)
    model[offset:offset + size] = data
    low = max(0, offset - 600)
    wrong += reader.read(low, size + 600 if low + size + 600 <= 1 << 20 else (1 << 20) - low) != \
        model[low:low + size + 600]
is_("what one writes the other reads, 300 times in turn", wrong, 0)
a.must(DISCARD, offset=1000, count=300000, handle=1)
model[1000:301000] = bytes(300000)
is_("so with discards", b.read(0, 1 << 20), model)

# Unaligned writes to the same blocks at once, from one server: none undoes another.
c = Node("node1", directory=DIR + "/1", life=a.life).login(a.session)
expected = bytearray(64 * 4096)
ks = []
for i in range(0, len(expected), 256):
    data = bytes([rng.randrange(1, 256)]) * 256
    expected[i:i + 256] = data
    conn = a if rng.random() < 0.5 else c
    ks.append((conn, conn.start(WRITE, data, offset=i, count=256, handle=1)))
for conn, k in ks:
    conn.wait(k)
is_("parts of a block written at once are all there", b.read(0, len(expected)), expected)
is_("who keeps to its block size writes none of them in part", (v.block_size, w.block_size), (512, 512))

# On a device there is nothing to lock: only fence-command can tell whether another server is off.
st, text = a.takeover("srv2", 2)
is_("without one there is no takeover", status_name(st), "UNSUPPORTED")
check("and it says so", "this server has no fence-command" in text, text)
d = Node("node1", directory=DIR + "/2", life=a.life)
b.close()
b = d.login(lease=500)
b.open("disk")
begin = time.monotonic()
is_("with one it has to be asked", status_name(b.takeover("srv1", 1)[0]), "BUSY")
check("which it is after lease and a second", wait_until(lambda: b.takeover("srv1", 1)[0] == OK, 5) and
      time.monotonic() - begin >= 1.4, time.monotonic() - begin)
time.sleep(5.2)
is_("and its word is forgotten soon", status_name(b.takeover("srv1", 1)[0]), "BUSY")
EOT

mkdir -p "$W/3"
write_server_conf "$W/3" server=srv3 serverid=3
printf '\n[volume disk]\npath = %s\nshared = yes\n' "$device" >>"$W/3/rssrvcfg"
start_server "$W/3"
like "$(cat "$W/3/rssrv.out")" "a shared device needs a uuid" "a shared device without a UUID is not offered"
done_testing
