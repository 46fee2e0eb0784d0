"""The rsio protocol, version 1, a second time.

Written from the protocol's description and not from the C code, so that the two
check each other.  Python's standard library alone.  What is built here may be
wrong on purpose: every field of a header can be given, whatever it ought to be.

    Client   one connection to a server: says any bytes, reads replies
    Server   a listening socket; Server.accept() gives a Peer, one connection
             from a client: reads requests, says any bytes
"""

import collections
import hashlib
import hmac
import json
import os
import select
import socket
import struct
import time

MAGIC, VERSION = 0x52, 1
REQUEST, REPLY = struct.Struct("<BBBBIQQIII"), struct.Struct("<BBBBIQHHII")
REQUEST_SIZE, REPLY_SIZE = 40, 32

TYPES = ("HELLO AUTH LIST OPEN CLOSE READ WRITE FLUSH DISCARD WRITE_ZEROES STATUS FENCE PING "
         "BYE EVENT CONTROL TAKEOVER COPY").split()
(HELLO, AUTH, LIST, OPEN, CLOSE, READ, WRITE, FLUSH, DISCARD, WRITE_ZEROES, STATUS, FENCE, PING,
 BYE, EVENT, CONTROL, TAKEOVER, COPY) = range(1, 19)

F_FUA, F_CRC, F_READ_ONLY, F_FIRST, F_SNAPSHOT, F_ALONE = 1, 2, 4, 8, 16, 32

STATUSES = ("OK IO NO_SPACE QUOTA READ_ONLY RANGE INVALID UNSUPPORTED HANDLE NO_VOLUME IDENTITY "
            "GENERATION BUSY NO_MEMORY CHECKSUM VERSION FEATURE NAMESPACE KEY IN_USE SECURITY "
            "LEAVING FLUSH_FAILED LIMIT RESERVED").split()
(OK, E_IO, E_NO_SPACE, E_QUOTA, E_READ_ONLY, E_RANGE, E_INVALID, E_UNSUPPORTED, E_HANDLE,
 E_NO_VOLUME, E_IDENTITY, E_GENERATION, E_BUSY, E_NO_MEMORY, E_CHECKSUM, E_VERSION, E_FEATURE,
 E_NAMESPACE, E_KEY, E_IN_USE, E_SECURITY, E_LEAVING, E_FLUSH_FAILED, E_LIMIT, E_RESERVED) = range(25)

(T_FEATURE, T_LIMITS, T_NAMESPACE, T_NAMESPACE_ID, T_NODE, T_MACHINE, T_BOOT, T_RUN, T_LIFE,
 T_NONCE, T_SERVER, T_SERVER_ID, T_SESSION, T_CONNECTION, T_PROOF, T_TEXT, T_NAME, T_UUID,
 T_GENERATION, T_VOLUME, T_TOTAL, T_COOKIES, T_STATUSES, T_EVENT_KIND, T_PORTAL, T_VERSION,
 T_VERSIONS, T_LEASE) = range(1, 29)
MANDATORY = 0x8000

(EV_ADDED, EV_REMOVED, EV_RESIZED, EV_REPLACED, EV_PORTAL, EV_LEAVING,
 EV_PORTAL_REMOVED) = range(1, 8)

DATA_MAX, IN_FLIGHT_MAX, SESSION_BYTES_MAX = 1 << 20, 1024, 64 << 20
LOGIN_MAX, CONTROL_MAX, RANGE_MAX, HANDLE_MAX = 4096, 1 << 20, 1 << 30, 65535
SLOT_BITS = 10
LIMITS = (DATA_MAX, IN_FLIGHT_MAX, SESSION_BYTES_MAX)


class Broken(Exception):
    """The other side said what the protocol does not allow."""


class Closed(Exception):
    """The other side closed the connection."""


class Refused(Exception):
    """A login or a command was answered with a status other than OK."""

    def __init__(self, reply):
        self.status, self.text = reply.status, text_of(reply.payload)
        super().__init__("%s: %s" % (status_name(reply.status), self.text))


class Failed(Exception):
    """A control request or a job ended with an error: a code, and a sentence."""

    def __init__(self, error, job=None):
        self.error, self.job = error, job
        self.code, self.text = error["code"], error["text"]
        super().__init__("%s: %s" % (self.code, self.text))


def status_name(status):
    return STATUSES[status] if status < len(STATUSES) else "status %d" % status


def type_name(number):
    return TYPES[number - 1] if 1 <= number <= len(TYPES) else "type %d" % number


def _crc_table():
    table = []
    for n in range(256):
        for _ in range(8):
            n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
        table.append(n)
    return table


CRC_TABLE = _crc_table()


def crc32c(data, crc=0):
    crc ^= 0xFFFFFFFF
    table = CRC_TABLE
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


# Headers.

Request = collections.namedtuple(
    "Request", "type flags length cookie offset count handle payload_crc payload raw")
Reply = collections.namedtuple(
    "Reply", "type flags length cookie status payload_crc payload raw")


def request(kind, payload=b"", *, flags=0, cookie=0, offset=0, count=0, handle=0, crc=False,
            magic=MAGIC, version=VERSION, length=None, payload_crc=None, header_crc=None):
    """A request's bytes, right unless told otherwise."""
    if crc:
        flags |= F_CRC
    if payload_crc is None:
        payload_crc = crc32c(payload) if flags & F_CRC else 0
    head = REQUEST.pack(magic, version, kind, flags, len(payload) if length is None else length,
                        cookie, offset, count, handle, payload_crc)
    return head + struct.pack("<I", crc32c(head) if header_crc is None else header_crc) + payload


def reply(kind, payload=b"", *, flags=0, cookie=0, status=OK, crc=False, magic=MAGIC,
          version=VERSION, length=None, payload_crc=None, header_crc=None, reserved=(0, 0)):
    """A reply's bytes, right unless told otherwise."""
    if crc:
        flags |= F_CRC
    if payload_crc is None:
        payload_crc = crc32c(payload) if flags & F_CRC else 0
    head = REPLY.pack(magic, version, kind, flags, len(payload) if length is None else length,
                      cookie, status, reserved[0], payload_crc, reserved[1])
    return head + struct.pack("<I", crc32c(head) if header_crc is None else header_crc) + payload


def check_header(head, size):
    if head[0] != MAGIC or head[1] != VERSION:
        raise Broken("magic %#x, version %d" % (head[0], head[1]))
    if struct.unpack("<I", head[size - 4:])[0] != crc32c(head[:size - 4]):
        raise Broken("header with a wrong checksum")
    if not 1 <= head[2] <= len(TYPES):
        raise Broken("unknown type %d" % head[2])
    if head[3] & ~(F_FUA | F_CRC | F_READ_ONLY | F_FIRST):
        raise Broken("unknown flags %#x" % head[3])


def parse_request(head):
    check_header(head, REQUEST_SIZE)
    f = REQUEST.unpack(head[:36])
    return Request(f[2], f[3], f[4], f[5], f[6], f[7], f[8], f[9], b"", head)


def parse_reply(head):
    check_header(head, REPLY_SIZE)
    f = REPLY.unpack(head[:28])
    if f[7] or f[9]:
        raise Broken("reserved fields are set")
    if f[4] > DATA_MAX:
        raise Broken("length %d" % f[4])
    return Reply(f[2], f[3], f[4], f[5], f[6], f[8], b"", head)


def check_payload(frame):
    if frame.flags & F_CRC:
        if frame.payload_crc != crc32c(frame.payload):
            raise Broken("payload with a wrong checksum")
    elif frame.payload_crc:
        raise Broken("payload checksum without its flag")


# Records.

def rec(tag, data, mandatory=False):
    if isinstance(data, str):
        data = data.encode()
    return struct.pack("<HH", tag | (MANDATORY if mandatory else 0), len(data)) + data


def rec16(tag, value):
    return rec(tag, struct.pack("<H", value))


def rec32(tag, value):
    return rec(tag, struct.pack("<I", value))


def rec64(tag, value):
    return rec(tag, struct.pack("<Q", value))


def feature(name, mandatory=False):
    return rec(T_FEATURE, bytes([mandatory]) + name.encode())


def limits(data, in_flight, session_bytes):
    return rec(T_LIMITS, struct.pack("<III", data, in_flight, session_bytes))


def records(payload):
    """[(tag, mandatory, bytes)]"""
    out, at = [], 0
    while at < len(payload):
        if len(payload) - at < 4:
            raise Broken("torn record")
        tag, length = struct.unpack_from("<HH", payload, at)
        at += 4
        if length > len(payload) - at:
            raise Broken("record of %d bytes, %d are left" % (length, len(payload) - at))
        out.append((tag & ~MANDATORY, bool(tag & MANDATORY), payload[at:at + length]))
        at += length
    return out


def first(payload, tag, default=None):
    for t, _, data in records(payload):
        if t == tag:
            return data
    return default


def number(payload, tag, default=None):
    data = first(payload, tag)
    return default if data is None else int.from_bytes(data, "little")


def text_of(payload):
    try:
        return first(payload, T_TEXT, b"").decode(errors="replace")
    except Broken:
        return ""


Volume = collections.namedtuple(
    "Volume", "name uuid generation size block_size id flags av shared taken reserved_by",
    defaults=(0, ""))
VOLUME = struct.Struct("<16sQQIIBBBB")


def put_volume(v):
    name = v.name.encode()
    return rec(T_VOLUME, VOLUME.pack(v.uuid, v.generation, v.size, v.block_size, v.id, v.flags,
                                     v.av, v.shared, len(name)) + name +
               (struct.pack("<Q", v.taken) if v.flags & F_SNAPSHOT else b""))


def get_volume(data):
    uuid, generation, size, block_size, ident, flags, av, shared, length = VOLUME.unpack_from(data)
    name = data[VOLUME.size:VOLUME.size + length]
    taken = data[VOLUME.size + length:][:8] if flags & F_SNAPSHOT else b""
    if len(name) != length or (flags & F_SNAPSHOT and len(taken) != 8):
        raise Broken("torn volume")
    if bool(flags & F_SNAPSHOT) != (b"@" in name):
        raise Broken("volume %s has the flags %#x" % (name.decode(), flags))
    rest = b"" if flags & F_SNAPSHOT else data[VOLUME.size + length:]
    return Volume(name.decode(), uuid, generation, size, block_size, ident, flags, av, shared,
                  int.from_bytes(taken, "little"), rest[1:1 + rest[0]].decode() if rest else "")


def fence_body(connection, cookies, statuses=None):
    out = rec32(T_CONNECTION, connection)
    if cookies:
        out += rec(T_COOKIES, struct.pack("<%dQ" % len(cookies), *cookies))
    if statuses:
        out += rec(T_STATUSES, struct.pack("<%dH" % len(statuses), *statuses))
    return out


def parse_fence(payload):
    """connection, [cookies], [statuses]"""
    cookies, statuses = [], []
    for tag, _, data in records(payload):
        if tag == T_COOKIES:
            cookies += struct.unpack("<%dQ" % (len(data) // 8), data)
        elif tag == T_STATUSES:
            statuses += struct.unpack("<%dH" % (len(data) // 2), data)
    return number(payload, T_CONNECTION), cookies, statuses


def parse_extents(payload):
    return [struct.unpack_from("<QI", payload, at) for at in range(0, len(payload), 12)]


# Keys and proofs.

def node_key(text):
    if len(text) == 64 and all(c in "0123456789abcdefABCDEF" for c in text):
        return bytes.fromhex(text)
    return hashlib.sha256(b"rsio node key\0" + text.encode()).digest()


def client_proof(key, transcript, session):
    return hmac.new(key, b"rsio client\0" + hashlib.sha256(transcript).digest() + session,
                    hashlib.sha256).digest()


def server_proof(key, transcript, session, connection, proof):
    return hmac.new(key, b"rsio server\0" + hashlib.sha256(transcript).digest() + session +
                    struct.pack("<I", connection) + proof, hashlib.sha256).digest()


# Connections.

class Stream:
    """A connected socket; every wait has an end."""

    def __init__(self, sock, timeout=10.0):
        self.sock, self.timeout = sock, timeout
        sock.settimeout(timeout)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self):
        self.sock.close()

    def reset(self):
        """Ends it with an RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def send(self, data):
        try:
            self.sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError) as e:
            raise Closed(str(e)) from e

    def exactly(self, n):
        parts = []
        while n:
            try:
                part = self.sock.recv(min(n, 1 << 18))
            except ConnectionResetError as e:
                raise Closed(str(e)) from e
            if not part:
                raise Closed("end of stream, %d bytes are missing" % n)
            parts.append(part)
            n -= len(part)
        return b"".join(parts)

    def readable(self, seconds):
        return bool(select.select([self.sock], [], [], seconds)[0])

    def closed(self, seconds=5.0):
        """Waits for the other side's close; what it still said is read away."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if not self.readable(left):
                continue
            try:
                if not self.sock.recv(1 << 18):
                    return True
            except OSError:
                return True
        return False

    def next_reply(self):
        r = parse_reply(self.exactly(REPLY_SIZE))
        r = r._replace(payload=self.exactly(r.length))
        check_payload(r)
        return r

    def next_request(self):
        r = parse_request(self.exactly(REQUEST_SIZE))
        r = r._replace(payload=self.exactly(r.length))
        check_payload(r)
        return r


class Client(Stream):
    """One connection to a server."""

    def __init__(self, address, port, namespace="ns", namespace_id=0, node="node", key="key",
                 machine=None, boot=None, run=None, life=None, crc=True, timeout=10.0, lease=0,
                 within=None, snapshots=False, copies=False):
        """within: a connection that is made already, in which frames travel (tls.py)."""
        if within is None:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            sock = socket.socket(family, socket.SOCK_STREAM)
            sock.settimeout(timeout)
            sock.connect((address, port))
        else:
            sock = within.sock
        super().__init__(sock, timeout)
        self.within, self.binding = within, within.binding() or b"" if within else b""
        self.namespace, self.namespace_id, self.node = namespace, namespace_id, node
        self.key = node_key(key)
        self.machine, self.boot = machine or b"M" * 16, boot or b"B" * 16
        self.run, self.life = run or os.urandom(16), life or os.urandom(16)
        self.crc, self.transcript, self.lease = crc, b"", lease
        self.snapshots, self.copies = snapshots, copies
        self.session, self.connection, self.proof = bytes(16), 0, b""
        self.sequence, self.stash, self.events = 0, {}, []

    def hello_records(self, **over):
        """The hello's records by name; over replaces one, None leaves it out."""
        r = dict(versions=rec(T_VERSIONS, struct.pack("<HH", 1, 1)),
                 feature=feature("payload-crc") if self.crc else b"",
                 snapshots=feature("snapshots") if self.snapshots else b"",
                 copies=feature("copy") if self.copies else b"",
                 limits=limits(*LIMITS), namespace=rec(T_NAMESPACE, self.namespace),
                 namespace_id=rec16(T_NAMESPACE_ID, self.namespace_id),
                 node=rec(T_NODE, self.node), machine=rec(T_MACHINE, self.machine),
                 boot=rec(T_BOOT, self.boot), run=rec(T_RUN, self.run),
                 life=rec(T_LIFE, self.life), nonce=rec(T_NONCE, os.urandom(32)),
                 lease=rec32(T_LEASE, self.lease) if self.lease else b"")
        r.update(over)
        return b"".join(v for v in r.values() if v)

    def hello(self, payload=None, **header):
        """Says hello and reads the answer, which may be a refusal."""
        frame = request(HELLO, self.hello_records() if payload is None else payload, **header)
        self.send(frame)
        r = self.next_reply()
        if r.type != HELLO or r.cookie:
            raise Broken("hello was answered with %s, cookie %d" % (type_name(r.type), r.cookie))
        self.transcript = frame + r.raw + r.payload + self.binding
        self.welcome = r
        return r

    def auth_frame(self, session=bytes(16), proof=None, **header):
        self.proof = client_proof(self.key, self.transcript, session) if proof is None else proof
        return request(AUTH, rec(T_SESSION, session) + rec(T_PROOF, self.proof), **header)

    def auth(self, session=bytes(16), proof=None, **header):
        """Proves the key and reads the answer; checks the server's proof."""
        self.send(self.auth_frame(session, proof, **header))
        r = self.next_reply()
        if r.type != AUTH or r.cookie:
            raise Broken("auth was answered with %s" % type_name(r.type))
        if r.status == OK:
            self.session = first(r.payload, T_SESSION)
            self.connection = number(r.payload, T_CONNECTION)
            expected = server_proof(self.key, self.transcript, self.session, self.connection,
                                    self.proof)
            if first(r.payload, T_PROOF) != expected:
                raise Broken("the server's proof is wrong")
        return r

    def login(self, session=bytes(16)):
        for r in (self.hello(), self.auth(session)):
            if r.status:
                raise Refused(r)
        return self

    # Commands.

    def cookie(self, slot=None):
        self.sequence += 1
        if slot is None:
            slot = self.sequence % IN_FLIGHT_MAX
        return self.sequence << SLOT_BITS | slot

    def start(self, kind, payload=b"", *, cookie=None, crc=None, **header):
        cookie = self.cookie() if cookie is None else cookie
        self.send(request(kind, payload, cookie=cookie,
                          crc=(self.crc and bool(payload)) if crc is None else crc, **header))
        return cookie

    def wait(self, cookie):
        while cookie not in self.stash:
            r = self.next_reply()
            if r.type == EVENT:
                self.events.append(r)
            elif r.cookie in self.stash:
                raise Broken("cookie %#x is answered twice" % r.cookie)
            else:
                self.stash[r.cookie] = r
        return self.stash.pop(cookie)

    def call(self, kind, payload=b"", **header):
        r = self.wait(self.start(kind, payload, **header))
        if r.type != kind:
            raise Broken("%s was answered with %s" % (type_name(kind), type_name(r.type)))
        return r

    def must(self, kind, payload=b"", **header):
        r = self.call(kind, payload, **header)
        if r.status:
            raise Refused(r)
        return r

    def list(self):
        r = self.must(LIST, offset=0, count=1000)
        return [get_volume(d) for t, _, d in records(r.payload) if t == T_VOLUME]

    def portals(self):
        """Those that the server says it has, as (address, port)."""
        r = self.must(LIST, offset=0, count=1)
        texts = [d.decode() for t, _, d in records(r.payload) if t == T_PORTAL]
        return [(a, int(p)) for a, p in (t.rsplit("/", 1) for t in texts)]

    def open(self, name, handle=1, uuid=None, generation=None, read_only=False, alone=False):
        body = rec(T_NAME, name)
        if uuid is not None:
            body += rec(T_UUID, uuid) + rec64(T_GENERATION, generation)
        r = self.must(OPEN, body, handle=handle,
                      flags=(F_READ_ONLY if read_only else 0) | (F_ALONE if alone else 0))
        return get_volume(first(r.payload, T_VOLUME))

    def read(self, offset, count, handle=1):
        r = self.must(READ, offset=offset, count=count, handle=handle)
        if len(r.payload) != count:
            raise Broken("%d bytes instead of %d" % (len(r.payload), count))
        return r.payload

    def write(self, offset, data, handle=1, flags=0):
        self.must(WRITE, data, offset=offset, count=len(data), handle=handle, flags=flags)

    def copy(self, source, source_offset, offset, count, handle=1):
        self.must(COPY, struct.pack("<IQ", source, source_offset), handle=handle, offset=offset,
                  count=count)

    def flush(self, handle=1):
        self.must(FLUSH, handle=handle)

    def fence(self, connection, cookies=()):
        return self.call(FENCE, fence_body(connection, list(cookies)))

    def takeover(self, server, server_id, handle=1):
        """The answer of TAKEOVER: a status, and a sentence where it is not OK."""
        r = self.call(TAKEOVER, rec(T_SERVER, server) + rec16(T_SERVER_ID, server_id), handle=handle)
        return r.status, text_of(r.payload) if r.status else ""

    def ping(self, stamp=0):
        r = self.must(PING, offset=stamp)
        return int.from_bytes(r.payload, "little")

    # Management.

    def reserve(self, volume, action, ident=None, **members):
        """The reservation as it is afterwards."""
        return self.control("reserve", volume=volume, action=action, id=ident or os.urandom(16).hex(),
                            **members)["reservation"]

    def control(self, what, **members):
        """The answer to a control request; its error is raised."""
        r = self.must(CONTROL, json.dumps(dict(members, do=what)).encode())
        answer = json.loads(r.payload)
        if "error" in answer:
            raise Failed(answer["error"])
        return answer

    def start_work(self, op, ident=None, attended=None, **members):
        """A job as it was when the server took it."""
        more = {} if attended is None else {"attended": attended}
        return self.control("start", id=ident or os.urandom(16).hex(), work=dict(members, op=op), **more)["job"]

    def job(self, ident):
        return self.control("job", id=ident)["job"]

    def cancel(self, ident):
        return self.control("cancel", id=ident)["job"]

    def wait_job(self, ident, seconds=60):
        """The job when it has ended, however that was."""
        end, pause = time.monotonic() + seconds, 0.002
        while (job := self.job(ident))["state"] == "running":
            if time.monotonic() > end:
                raise Broken("job %s does not end: %s" % (ident, job))
            time.sleep(pause)
            pause = min(pause * 2, 0.25)
        return job

    def work(self, op, ident=None, **members):
        """Has it done and waits for the end: its result."""
        job = self.wait_job(self.start_work(op, ident, **members)["id"])
        if job["state"] != "done":
            raise Failed(job["error"], job)
        return job.get("result")

    def bye(self):
        self.must(BYE, cookie=0)


class Server:
    """A listening socket of a scripted server."""

    def __init__(self, address="127.0.0.1", port=0, key="key", name="server", server_id=1,
                 machine=b"S" * 16, boot=b"s" * 16, life=None):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sock.bind((address, port))
        self.sock.listen(16)
        self.port = self.sock.getsockname()[1]
        self.key, self.name, self.server_id = node_key(key), name, server_id
        self.machine, self.boot, self.life = machine, boot, life or os.urandom(16)

    def accept(self, timeout=10.0):
        self.sock.settimeout(timeout)
        sock, _ = self.sock.accept()
        return Peer(self, sock, timeout)

    def close(self):
        self.sock.close()


class Peer(Stream):
    """A client's connection, seen from the server."""

    def __init__(self, server, sock, timeout=10.0):
        super().__init__(sock, timeout)
        self.server, self.crc, self.transcript = server, False, b""
        self.snapshots = False
        self.session, self.connection, self.client_proof = bytes(16), 0, b""

    def expect(self, kind):
        r = self.next_request()
        if r.type != kind:
            raise Broken("%s instead of %s" % (type_name(r.type), type_name(kind)))
        return r

    def read_hello(self):
        self.hello = self.expect(HELLO)
        features = [d[1:] for t, _, d in records(self.hello.payload) if t == T_FEATURE]
        self.crc, self.snapshots = b"payload-crc" in features, b"snapshots" in features
        return self.hello

    def welcome_records(self, **over):
        s = self.server
        r = dict(feature=feature("payload-crc") if self.crc else b"",
                 snapshots=feature("snapshots") if self.snapshots else b"", limits=limits(*LIMITS),
                 server=rec(T_SERVER, s.name), server_id=rec16(T_SERVER_ID, s.server_id),
                 machine=rec(T_MACHINE, s.machine), boot=rec(T_BOOT, s.boot),
                 life=rec(T_LIFE, s.life), nonce=rec(T_NONCE, os.urandom(32)),
                 version=rec(T_VERSION, "scripted 1"))
        r.update(over)
        return b"".join(v for v in r.values() if v)

    def welcome(self, payload=None, **header):
        frame = reply(HELLO, self.welcome_records() if payload is None else payload, **header)
        self.transcript = self.hello.raw + self.hello.payload + frame
        self.send(frame)

    def read_auth(self):
        """The session that the client wants to join; its proof is checked."""
        self.auth = self.expect(AUTH)
        wanted = first(self.auth.payload, T_SESSION, bytes(16))
        self.client_proof = first(self.auth.payload, T_PROOF)
        if self.client_proof != client_proof(self.server.key, self.transcript, wanted):
            raise Broken("the client's proof is wrong")
        return wanted

    def grant(self, session, connection, proof=None, payload=None, **header):
        self.session, self.connection = session, connection
        if proof is None:
            proof = server_proof(self.server.key, self.transcript, session, connection,
                                 self.client_proof)
        if payload is None:
            payload = (rec(T_SESSION, session) + rec32(T_CONNECTION, connection) +
                       rec(T_PROOF, proof))
        self.send(reply(AUTH, payload, **header))

    def answer(self, r, payload=b"", **header):
        """The reply to request r."""
        header.setdefault("crc", self.crc and bool(payload))
        header.setdefault("cookie", r.cookie)
        self.send(reply(header.pop("kind", r.type), payload, **header))
