#!/bin/bash
# Each way in which a frame can be wrong ends that connection with a reason in the
# log, and nothing else: another client goes on verifying.
# shellcheck source-path=SCRIPTDIR
# time-limit: 180
. "$(dirname "$0")/agent.sh"
requires_program rssrv rsslogcat
export BUILD SCENARIO_SECONDS=150

write_server_conf "$W" client=hostile
printf 'witness %s\n' "$(new_key)" >"$W/more"
sed -i "/^\[clients\]/r $W/more" "$W/rssrvcfg"
make_volume "$W" quiet 1M
make_volume "$W" loud 8M
start_server "$W" --log-level debug	# strangers beyond a few lines a second are said there only

scenario "$W" <<'EOT'
from hostile import *
w = Witness()
h = Hostile(w)
h.up().close()		# the volume's file is opened with its first user
before = descriptors()

# Before the login: each bit of a hello's header.
right = request(HELLO, h.fresh().hello_records())
for bit in range(REQUEST_SIZE * 8):
    frame = bytearray(right)
    frame[bit // 8] ^= 1 << bit % 8
    if bit // 8 == 1:
        h.closed("hello of another version, bit %d" % bit, h.fresh(), frame, "version", E_VERSION)
    else:
        h.closed("hello, bit %d is wrong" % bit, h.fresh(), frame,
                 "not an rsio frame" if bit < 8 else "wrong checksum")
h.done("each bit of a hello's header")

# The same with a checksum that is right: each field.
def hello_with(**header):
    return request(HELLO, h.fresh().hello_records(), **header)
h.closed("a TLS hello that is none", h.fresh(), b"\x16\x03\x01\x00\x04\x01\x00\x00\x00", "TLS")
h.closed("HTTP", h.fresh(), b"GET / HTTP/1.1\r\nHost: server\r\n\r\n" + bytes(40), "not an rsio frame")
h.closed("zeroes", h.fresh(), bytes(100), "not an rsio frame")
h.closed("magic", h.fresh(), hello_with(magic=0x53), "not an rsio frame")
h.closed("version 2", h.fresh(), hello_with(version=2), "version", E_VERSION)
h.closed("version 0", h.fresh(), hello_with(version=0), "version", E_VERSION)
for kind in range(256):
    if kind != HELLO:
        why = ("unknown type" if kind == 0 or kind > COPY else
               "an event from a client" if kind == EVENT else "before the login")
        body = {"count": 512} if kind in (READ, WRITE, DISCARD, WRITE_ZEROES, STATUS, COPY) else {}
        data = bytes(512 if kind == WRITE else 12 if kind == COPY else 0)
        h.closed("type %d before the login" % kind, h.fresh(), request(kind, data, **body), why)
for flag in range(8):
    if 1 << flag != F_CRC:
        h.closed("hello with flag %d" % flag, h.fresh(), hello_with(flags=1 << flag), "flag")
h.closed("a length of 4 GiB", h.fresh(), hello_with(length=(1 << 32) - 1), "longer than the limit")
h.closed("a length of one too many", h.fresh(), hello_with(length=LOGIN_MAX + 1), "longer than the limit")
h.closed("a checksum without its flag", h.fresh(), hello_with(payload_crc=1), "without its flag")
h.closed("a handle beyond the limit", h.fresh(), hello_with(handle=HANDLE_MAX + 1), "handle beyond")
h.closed("a damaged payload", h.fresh(), hello_with(crc=True, payload_crc=1), "", E_CHECKSUM)
h.done("each field of a hello's header")

# Torn: the client ends after some bytes.
for n in list(range(0, REQUEST_SIZE)) + [REQUEST_SIZE, REQUEST_SIZE + 1, len(right) - 1]:
    c = h.fresh()
    c.send(right[:n])
    c.sock.shutdown(1)
    h.closed("a hello that ends after %d bytes" % n, c, None, "closed by the client")
c = h.fresh()
c.send(right[:30])
port = c.sock.getsockname()[1]
c.reset()
check("a reset within a header is noticed", any("ended" in x for x in logged(port)), logged(port))
h.done("torn hellos")

# After the login.
def bits_of(name, frame, reason):
    for bit in range(REQUEST_SIZE * 8):
        bad = bytearray(frame)
        bad[bit // 8] ^= 1 << bit % 8
        h.closed("%s, bit %d is wrong" % (name, bit), h.up(), bad,
                 "not an rsio frame" if bit < 8 else "version" if bit < 16 else "wrong checksum")
bits_of("read", request(READ, handle=1, count=512, cookie=77 << 10), "")
h.done("each bit of a read's header")

for kind in [0] + list(range(COPY + 1, 256)):
    h.closed("type %d" % kind, h.up(), request(kind, cookie=5), "unknown type")
h.closed("a copy without that feature", h.up(), request(COPY, bytes(12), handle=1, count=512, cookie=5), "feature")
for n in 0, 11, 13, 4096:
    h.closed("a copy with %d bytes of a source" % n, h.up(), request(COPY, bytes(n), handle=1, count=512, cookie=5),
             "does not say of what" if n < 12 else "longer than the limit")
h.closed("an event from a client", h.up(), request(EVENT, cookie=0), "an event from a client")
allowed = {READ: 0, WRITE: F_FUA, FLUSH: 0, DISCARD: F_FUA, WRITE_ZEROES: F_FUA, STATUS: 0,
           LIST: 0, OPEN: F_READ_ONLY | F_ALONE, CLOSE: 0, FENCE: 0, PING: 0, BYE: 0}
for kind, mine in allowed.items():
    for flag in range(8):
        if 1 << flag & ~(mine | F_CRC):
            data = bytes(512) if kind == WRITE else b""
            h.closed("%s with flag %d" % (type_name(kind), flag), h.up(),
                     request(kind, data, flags=1 << flag, handle=1, count=512, cookie=9), "flag")
    h.closed("%s with a checksum but no flag" % type_name(kind), h.up(),
             request(kind, handle=1, count=512, payload_crc=7, cookie=9,
                     length=512 if kind == WRITE else 0), "without its flag")
    h.closed("%s with a handle beyond the limit" % type_name(kind), h.up(),
             request(kind, bytes(512) if kind == WRITE else b"", handle=65536, count=512, cookie=9),
             "handle beyond")
h.done("types and flags")

for kind in (READ, FLUSH, DISCARD, WRITE_ZEROES, STATUS, CLOSE, PING, BYE, LIST):
    if kind != LIST:
        h.closed("%s with a payload" % type_name(kind), h.up(),
                 request(kind, b"x", handle=1, count=512, cookie=9), "where none belongs")
h.closed("write of more than it says", h.up(), request(WRITE, bytes(513), count=512, handle=1, cookie=9),
         "not what it covers")
h.closed("write of less than it says", h.up(), request(WRITE, bytes(511), count=512, handle=1, cookie=9),
         "not what it covers")
for kind in (READ, WRITE, DISCARD, WRITE_ZEROES, STATUS):
    most = DATA_MAX if kind in (READ, WRITE) else RANGE_MAX
    for count in (0, most + 1, (1 << 32) - 1):
        h.closed("%s of %d bytes" % (type_name(kind), count), h.up(),
                 request(kind, handle=1, count=count, cookie=9, length=count if kind == WRITE else 0),
                 "no bytes" if not count else "more bytes than the limit")
    for offset in ((1 << 64) - 1, 1 << 63, (1 << 63) - 512):
        h.closed("%s at %#x" % (type_name(kind), offset), h.up(),
                 request(kind, bytes(512) if kind == WRITE else b"", handle=1, count=512, cookie=9,
                         offset=offset), "beyond the largest offset")
for kind in (OPEN, FENCE):
    h.closed("%s of more than the limit" % type_name(kind), h.up(),
             request(kind, cookie=9, length=CONTROL_MAX + 1), "longer than the limit")
h.done("lengths, counts and offsets")

# Payloads damaged on their way are not carried out.
def damaged(name, kind, payload, bit, **header):
    c = h.up()
    frame = bytearray(request(kind, payload, cookie=9 << 10 | 5, crc=True, **header))
    frame[REQUEST_SIZE + bit // 8] ^= 1 << bit % 8
    h.closed("%s, bit %d" % (name, bit), c, frame, "", E_CHECKSUM)
for bit in list(range(64)) + list(range(4032 * 8, 4096 * 8, 7)):
    damaged("a write of 4 KiB", WRITE, b"\xaa" * 4096, bit, handle=1, offset=8192, count=4096)
damaged("a large write", WRITE, b"\xaa" * (1 << 20), 5000000, handle=1, offset=0, count=1 << 20)
damaged("an open", OPEN, rec(T_NAME, "loud"), 33, handle=2)
check("nothing of it was written", h.up().read(0, 65536) == bytes(65536))
h.done("damaged payloads")

# Torn commands: a header without its end, a payload without its end.
write = request(WRITE, b"\xbb" * 4096, handle=1, offset=0, count=4096, cookie=9, crc=True)
for n in (1, 8, 39, 40, 41, 4000, 4135):
    c = h.up()
    c.send(write[:n])
    c.sock.shutdown(1)
    h.closed("a write that ends after %d bytes" % n, c, None, "closed by the client")
big = request(WRITE, b"\xbb" * (1 << 20), handle=1, offset=0, count=1 << 20, cookie=9)
for n in (70000, 300000, (1 << 20) + 39):
    c = h.up()
    c.send(big[:n])
    c.sock.shutdown(1)
    h.closed("a large write that ends after %d bytes" % n, c, None, "closed by the client")
check("nothing of it was written", h.up().read(0, 1 << 20) == bytes(1 << 20))
h.done("torn commands")

# Well-formed, but not possible: answered, and the connection goes on.
c = h.up()
size = 8 << 20
for kind in (READ, WRITE, DISCARD, WRITE_ZEROES, STATUS):
    data = bytes(512) if kind == WRITE else b""
    for offset in (size - 511, size, size + 1, (1 << 63) - 513):
        h.answered("%s at %#x" % (type_name(kind), offset), c, E_RANGE, kind, data, handle=1,
                   offset=offset, count=512)
    h.answered("%s of handle 2" % type_name(kind), c, E_HANDLE, kind, data, handle=2, count=512)
    h.answered("%s of handle 65535" % type_name(kind), c, E_HANDLE, kind, data, handle=65535, count=512)
h.answered("flush of handle 0", c, E_HANDLE, FLUSH, handle=0)
h.answered("close of handle 3", c, E_HANDLE, CLOSE, handle=3)
h.answered("a fence of itself", c, E_INVALID, FENCE, fence_body(c.connection, []))
h.answered("a fence of 0", c, E_INVALID, FENCE, fence_body(0, [1, 2]))
h.answered("a fence of the future", c, E_INVALID, FENCE, fence_body(99, [1, 2]))
h.answered("an open of nothing", c, E_NO_VOLUME, OPEN, rec(T_NAME, "nosuch"), handle=4)
h.answered("list from the end on", c, OK, LIST, offset=1 << 40, count=10)
h.done("what is refused and no more")

w.finish()
after = descriptors()
check("no descriptor is left over", wait_until(lambda: descriptors() <= before + 2),
      "%d, then %d" % (before, descriptors()))
EOT
check "the server runs" kill -0 "$(server_pid "$W")"
done_testing
