#!/usr/bin/env python3
"""discover.py ask|flood ADDRESS PORT, or lie ADDRESS PORT KIND: discovery's datagrams as a
stranger may send them, and answers as a liar may."""
import os, select, socket, struct, sys, time

GROUP = "239.255.114.115"
BRIEF, EQUAL = 1, 2


def datagram(kind, flags, nonce, records=b"", length=None, version=1, said=None):
    length = length or 32 + len(records)
    head = b"rsiofind" + struct.pack("<HBBHH", version, kind, flags, said or length, len(records)) + nonce
    return (head + records).ljust(length, b"\0")


def record(tag, data):
    return struct.pack("<HH", tag, len(data)) + data


def question(length, flags=0, nonce=b"n" * 16):
    return datagram(1, flags, nonce, length=length)


def portal(address, port=5000, device=b"eth0", driver=b"veth"):
    return record(6, struct.pack("<HBB", port, 4, 24) + socket.inet_aton(address) +
                  struct.pack("<IIBB", 10000, 1500, 2, 1) + bytes([len(device)]) + device + bytes([len(driver)]) + driver)


def answers(s, seconds):
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0 and select.select([s], [], [], left)[0]:
        yield s.recv(65536)


def ask(address, port):
    """Each question alone, so that each answer has its question; what is none is not answered."""
    s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    s.connect((address, port))
    heard = 0
    for length in list(range(32, 160)) + [200, 300, 500, 1200, 1472]:
        for flags in range(4):
            s.send(question(length, flags, os.urandom(16)))
            time.sleep(0.005)   # what it takes a second of one source
            for a in answers(s, 2 if flags & BRIEF else 0.05):
                heard += 1
                if len(a) > length or (flags & EQUAL and len(a) != length):
                    sys.exit("%d bytes in answer to %d, flags %d" % (len(a), length, flags))
                break
            else:
                if flags & BRIEF or length >= 200:
                    sys.exit("no answer to a question of %d bytes, flags %d" % (length, flags))
    whole = question(1200)
    for bad in [b"", b"x" * 1200, whole[:31], whole[:1199], whole + b"\0", datagram(2, 0, b"n" * 16, length=1200),
                datagram(1, 0, b"n" * 16, length=1200, version=2), datagram(1, 0, b"n" * 16, record(1, b"elsewhere"), 1200),
                datagram(1, 0, b"n" * 16, record(1, b"\x1b[2J"), 1200), datagram(1, 0, b"n" * 16, b"\1\0\xff\xff", 1200),
                datagram(1, 0, b"n" * 16, record(0x8063, b"x"), 1200), whole[:14] + b"\xff\xff" + whole[16:]]:
        s.send(bad)
    for a in answers(s, 0.3):
        sys.exit("an answer to what is no question: %r" % a[:48])
    print(heard, "answers")


def flood(address, port, count=4000):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    s.connect((address, port))
    began, heard = time.monotonic(), 0
    for i in range(count):
        s.send(question(1200))
        while select.select([s], [], [], 0)[0]:
            s.recv(65536)
            heard += 1
    heard += sum(1 for a in answers(s, 0.5))
    most = 200 * (2 + time.monotonic() - began)
    print("%d of %d answered in %.1f s" % (heard, count, time.monotonic() - began))
    if not 0 < heard <= most:
        sys.exit("not between 1 and %d" % most)


def lies(kind, nonce, address):
    def of(name, number, more=b"", namespace=b"liar", use=nonce):
        return datagram(2, 0, use, record(1, namespace) + record(2, b"\1\0") + record(3, name) +
                        record(4, struct.pack("<H", number)) + record(5, b"\0") + more)
    if kind == "nonce":
        return [of(b"liar", 1, use=bytes(16)), of(b"liar", 1, use=nonce[:15] + b"\xff")]
    if kind == "long":
        return [of(b"liar", 1).ljust(1201, b"\0"), of(b"x" * 41, 1), of(b"liar", 1, record(7, b"v" * 1000))]
    if kind == "escapes":
        return [of(b"\x1b[2Jliar", 1), of(b"liar", 1, namespace=b"a\nb"), of(b"liar", 1, record(7, b"\x1b]0;x\7")),
                of(b"liar", 1, portal(address, device=b"\x1b[31m")), of(b"liar", 1, portal(address, driver=b"\x9b2J"))]
    if kind == "torn":
        whole = of(b"liar", 1, portal(address))
        return [whole[:n] for n in range(len(whole))] + [b"\xff" * 200, of(b"", 1), of(b"liar", 256)]
    if kind == "portals":
        return [of(b"liar", 1, portal(address) * 9), of(b"liar", 1, portal(address, port=0))]
    return [of(b"s%d" % i, i % 256, portal("10.99.1.%d" % (i % 250))) for i in range(10000)]


def lie(address, port, kind):
    group = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    group.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    group.bind((GROUP, port))
    group.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(GROUP) + socket.inet_aton(address))
    own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    own.bind((address, port))
    print("ready", flush=True)
    while True:
        q, who = group.recvfrom(65536)
        for i, a in enumerate(lies(kind, q[16:32], address)):
            own.sendto(a, who)


if __name__ == "__main__":
    {"ask": ask, "flood": flood, "lie": lie}[sys.argv[1]](sys.argv[2], int(sys.argv[3]), *sys.argv[4:])
