"""Who sits on the wire between a real client and a real server, and does more than listen.

    m = Middle(address, port)         listens at m.port, leads to address and port
    m.attack(f)                       the next connection that comes is f's (see Connection)
    c = m.next()                      waits for one more connection than there were

It cuts both streams into what they are made of, records of TLS or frames of rsio, and
keeps these.
"""

import queue
import select
import socket
import struct
import threading

import rsio

UP, DOWN = "up", "down"		# to the server, to the client


class Cut(Exception):
    """Raised by an attack: both ends are closed here and now."""


def is_frame(unit):
    return unit[0] == rsio.MAGIC


def mended(way, frame):
    """With the header's checksum as it has to be: who alters on purpose mends that."""
    at = (rsio.REQUEST_SIZE if way == UP else rsio.REPLY_SIZE) - 4
    return frame[:at] + struct.pack("<I", rsio.crc32c(frame[:at])) + frame[at + 4:]


def flipped(unit, at, bits=1):
    return unit[:at] + bytes([unit[at] ^ bits]) + unit[at + 1:]


def units(stream, way):
    """Takes what is whole from the front of a bytearray."""
    while stream:
        if is_frame(stream):
            head = rsio.REQUEST_SIZE if way == UP else rsio.REPLY_SIZE
            size = head + struct.unpack_from("<I", stream, 4)[0] if len(stream) >= head else head
        else:
            size = 5 + struct.unpack_from(">H", stream, 3)[0] if len(stream) >= 5 else 5
        if len(stream) < size:
            return
        yield bytes(stream[:size])
        del stream[:size]


class Connection:
    """One that is carried.  attack(connection, way, number, unit) gives what goes on in a unit's
    place, None for nothing, or raises Cut; number counts from 0 in each direction."""

    def __init__(self, middle, client, attack):
        self.client, self.attack = client, attack
        self.server = socket.create_connection((middle.address, middle.to), 10, middle.source())
        for s in (client, self.server):
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port = self.server.getsockname()[1]	# as the server's log has it
        self.said = {UP: [], DOWN: []}
        self.units = []					# (way, unit), in the order in which they came
        self.ended = None				# the way whose sender ended it
        self.over = threading.Event()
        threading.Thread(target=self.run, daemon=True).start()

    def inject(self, way, data):
        (self.server if way == UP else self.client).sendall(data)

    def carry(self, way, stream):
        for unit in units(stream, way):
            number = len(self.said[way])
            self.said[way].append(unit)
            self.units.append((way, unit))
            if self.attack:
                unit = self.attack(self, way, number, unit)
            if unit:
                self.inject(way, unit)

    def run(self):
        streams = {self.client: (UP, bytearray()), self.server: (DOWN, bytearray())}
        way = None
        try:
            while streams:
                for s in select.select(list(streams), [], [])[0]:
                    way, stream = streams[s]
                    data = s.recv(1 << 18)
                    if not data:
                        self.ended = self.ended or way
                        (self.server if way == UP else self.client).shutdown(socket.SHUT_WR)
                        del streams[s]
                    stream += data
                    self.carry(way, stream)
        except OSError:
            self.ended = self.ended or way
        except Cut:
            self.ended = "here"
        finally:
            self.client.close()
            self.server.close()
            self.over.set()


class Middle:
    def __init__(self, address, port, own=0):
        self.address, self.to = address, port
        self.socket = socket.create_server(("127.0.0.1", own), backlog=64)
        self.port = self.socket.getsockname()[1]
        self.attacks, self.came = queue.Queue(), queue.Queue()
        self.attack = self.attacks.put
        self.sources, self.only_attacks = 0, False		# others are turned away
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            client = self.socket.accept()[0]
            try:
                attack = self.attacks.get_nowait()
            except queue.Empty:
                attack = None
            try:
                if self.only_attacks and not attack:
                    raise OSError("nobody asked")
                self.came.put(Connection(self, client, attack))
            except OSError:
                client.close()

    def source(self):
        """Of many addresses: a server says only so much about one."""
        self.sources += 1
        return ("127.0.0.%d" % (2 + self.sources % 8), 0) if self.address == "127.0.0.1" else None

    def next(self, seconds=20):
        return self.came.get(timeout=seconds)
