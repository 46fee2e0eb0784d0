#!/bin/bash
# Every command once, in a pool on tmpfs, on a disk, and on one opened for
# direct I/O: what is answered, and what the file then holds.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/agent.sh"
requires_program rssrv

write_server_conf "$W" portals=2 namespace=osl
make_volume "$W" v 8M
truncate -s 8M "$W/direct.raw"
truncate -s 8388700 "$W/odd.raw"
truncate -s 4M "$W/ro.raw"
shm=$(mktemp -d /dev/shm/rsio-test-XXXXXX)
cleanup_fn rm -rf "$shm"
truncate -s 8M "$shm/mem.raw"
cat >>"$W/rssrvcfg" <<EOT

[pool memory]
path = $shm

[volume direct]
path = $W/direct.raw
shared = yes

[volume odd]
path = $W/odd.raw

[volume ro]
path = $W/ro.raw
mode = ro
av = 3

[volume theirs]
path = $W/theirs.raw
clients = another
EOT
truncate -s 1M "$W/theirs.raw"
sed -i "/^\[clients\]/a another $(new_key)" "$W/rssrvcfg"
start_server "$W"

scenario "$W" <<'EOT'
c = Node().login()
names = [v.name for v in c.list()]
is_("sections in file order, then pools by name; what others may see is hidden", names,
    ["direct", "odd", "ro", "mem", "v"])
is_("ids count in that order, the hidden one too", [v.id for v in c.list()], [0, 1, 2, 4, 5])
files = {"v": pool_file("v.raw"), "direct": DIR + "/direct.raw"}
for n, name in enumerate(("v", "mem", "direct")):
    h = n + 1
    v = c.open(name, handle=h)
    is_("%s: size and block size" % name, (v.size, v.block_size), (8 << 20, 512))
    is_("%s: a new volume reads as zeroes" % name, c.read(12345, 5000, h), bytes(5000))
    model = bytearray(8 << 20)
    rng = random.Random(name)

    def put(offset, data, flags=0):
        c.write(offset, data, h, flags)
        model[offset:offset + len(data)] = data

    for size in (1, 511, 512, 513, 4096, 8192, 65536, 65537, 300000, 1 << 20):
        put(rng.randrange((8 << 20) - size), rng.randbytes(size))
        put(rng.randrange((8 << 20) - size), rng.randbytes(size), F_FUA)
    put(0, b"first")
    put((8 << 20) - 4, b"last")
    c.flush(h)
    got = b"".join(c.read(o, 1 << 20, h) for o in range(0, 8 << 20, 1 << 20))
    check("%s: reads what was written, at any offset and size" % name, got == model)
    if name in files:
        check("%s: so does the file" % name, open(files[name], "rb").read() == model)
    for kind, offset, size in ((DISCARD, 4096, 65536), (DISCARD, 1 << 20, 2 << 20),
                               (DISCARD, 5000, 7), (DISCARD, 70001, 99999),
                               (WRITE_ZEROES, 200001, 3), (WRITE_ZEROES, 262144, 131072)):
        c.must(kind, offset=offset, count=size, handle=h)
        model[offset:offset + size] = bytes(size)
    c.must(WRITE_ZEROES, offset=0, count=600, handle=h, flags=F_FUA)
    model[0:600] = bytes(600)
    got = b"".join(c.read(o, 1 << 20, h) for o in range(0, 8 << 20, 1 << 20))
    check("%s: what was discarded or zeroed reads as zeroes, the rest as before" % name,
          got == model)
    is_("%s: the size stays" % name, c.list()[[v.name for v in c.list()].index(name)].size, 8 << 20)
    extents = parse_extents(c.must(STATUS, offset=0, count=8 << 20, handle=h).payload)
    is_("%s: extents cover what was asked" % name, sum(e[0] for e in extents), 8 << 20)
    check("%s: a discarded range is a hole" % name,
          any(k == 1 and e >= 1 << 20 for e, k in extents), extents)
    at = 0
    for length, kind in extents:
        if kind == 1 and model[at:at + length] != bytes(length):
            check("%s: what is called a hole has no data" % name, False, (at, length))
        at += length
    for what, kind, offset, size in (("read", READ, (8 << 20) - 100, 101),
                                     ("write", WRITE, 8 << 20, 1),
                                     ("discard", DISCARD, (8 << 20) - 1, 2)):
        r = c.call(kind, bytes(size) if kind == WRITE else b"", offset=offset, count=size, handle=h)
        is_("%s: a %s beyond the end" % (name, what), status_name(r.status), "RANGE")

v = c.open("odd", handle=9)
is_("a size is whole blocks", v.size, 8388608)
v = c.open("ro", handle=10)
is_("mode = ro and av are in the list", (v.flags, v.av), (F_READ_ONLY, 3))
for kind in (WRITE, DISCARD, WRITE_ZEROES):
    r = c.call(kind, bytes(512) if kind == WRITE else b"", offset=0, count=512, handle=10)
    is_("no %s to it" % type_name(kind), status_name(r.status), "READ_ONLY")
is_("but it is read", c.read(0, 512, 10), bytes(512))
c.flush(10)
c.open("v", handle=11, read_only=True)
is_("nor to what was opened for reading",
    c.call(WRITE, bytes(512), offset=0, count=512, handle=11).status, E_READ_ONLY)
v = c.open("v", handle=1)
refused("another UUID", E_IDENTITY, lambda: c.open("v", 20, bytes(16), v.generation))
refused("another generation", E_GENERATION, lambda: c.open("v", 20, v.uuid, v.generation + 1))
check("the right ones", c.open("v", 20, v.uuid, v.generation).name == "v")
refused("no such volume", E_NO_VOLUME, lambda: c.open("nosuch", 21))
refused("one that only others may see", E_NO_VOLUME, lambda: c.open("theirs", 21))
refused("a handle that is in use", E_BUSY, lambda: c.open("mem", 20))
is_("a handle that is not open", c.call(READ, offset=0, count=512, handle=99).status, E_HANDLE)
c.must(CLOSE, handle=20)
is_("nor one that was closed", c.call(READ, offset=0, count=512, handle=20).status, E_HANDLE)
is_("closing twice", c.call(CLOSE, handle=20).status, E_HANDLE)
d = Node().login(c.session)
# That was another life: it replaced the session.
check("a new life of the client ends the old session", c.closed())
d.open("v", handle=1)
e = Node("node1", **{"life": d.life}).login(d.session, portal=1)
is_("a second connection joins the session", (e.session == d.session, e.connection), (True, 2))
is_("and has its handles", e.read(0, 600, 1), bytes(600))
plain = Node("node1", life=d.life).login(d.session, crc=False)
check("a client without checksums gets none", not plain.must(READ, offset=0, count=512, handle=1).flags)
stamps = [e.ping() for i in range(3)]
check("ping brings a stamp, each later than the one before", 0 < stamps[0] < stamps[1] < stamps[2])
e.bye()
check("after bye the connection closes", e.closed())
is_("and the session lives on", d.read(0, 600, 1), bytes(600))
EOT
done_testing
