#!/bin/bash
# A client that asks for thousands of things at once, on many connections, beside one that
# asks for one: that one is answered soon, whether the answer is in memory or a disk has to
# be asked, and though the other has filled the memory for payloads.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/agent.sh"
requires_program rssrv

write_server_conf "$W" client=noisy client=quiet
make_volume "$W" v 16M
make_volume "$W" other 16M
for ((i = 0; i < 600; i++)); do
	make_volume "$W" many$i 1M
done
# All of it is on one loop: one for each would prove nothing.
start_server "$W" --loops 1

export SERVER ROUNDS
SERVER=$(server_pid "$W")
ROUNDS=$(sample_or_all 5 40)
SCENARIO_SECONDS=100 scenario "$W" <<'EOT'
import signal
import statistics

SO_TIMESTAMPNS = 35
QUESTION = b'{"do":"volumes"}'
ABOUT_ONE = b'{"do":"volume","name":"many0"}'
SERVER, ROUNDS, PATHS, DEPTH = int(os.environ["SERVER"]), int(os.environ["ROUNDS"]), 8, 1000
first = Node("noisy").login(crc=False)
noisy = [first] + [Node("noisy", life=first.life).login(first.session, crc=False) for _ in range(PATHS - 1)]
noisy[0].open("v")
quiet = Node("quiet").login(crc=False)
quiet.open("v")
quiet.open("other", handle=2)
for c in noisy + [quiet]:
    c.sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)

def stop(yes):
    os.kill(SERVER, signal.SIGSTOP if yes else signal.SIGCONT)

def stamped(c, size):
    """One reply, and when it arrived here: whenever we come to read it."""
    data, when = b"", 0
    while len(data) < size or (len(data) == 32 and len(data) < (size := 32 + struct.unpack_from("<I", data, 4)[0])):
        part, extra, _, _ = c.sock.recvmsg(size - len(data), 64)
        if not part:
            raise Closed("in the middle of a reply")
        data += part
        for level, kind, value in extra:
            if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
                s, ns = struct.unpack("qq", value)
                when = s * 10**9 + ns
    if struct.unpack_from("<H", data, 16)[0]:
        raise Broken("refused")
    return when

def answered_before(kind, count, handle=1, flags=0, depth=DEPTH, question=QUESTION):
    """While the server stands still, eight times so many are sent, then one by the other
    client.  How many of the first were answered when that one was?"""
    data = b"n" * count if kind == WRITE else question if kind == CONTROL else b""
    size = 32 + (count if kind == READ else 0)
    stop(True)
    for c in noisy:
        c.send(b"".join(request(kind, data, cookie=i, offset=512 * i * bool(count), count=count, handle=bool(count),
                                flags=flags) for i in range(depth)))
    if question is ABOUT_ONE:
        quiet.start(kind, data)
    elif kind == CONTROL:
        quiet.start(READ, offset=0, count=512, handle=handle)
    else:
        quiet.start(kind, data, offset=0, count=count, handle=handle, flags=flags)
    stop(False)
    then = stamped(quiet, 32 + 512 if question is QUESTION and kind == CONTROL else size)
    return sum(stamped(c, size) <= then for c in noisy for _ in range(depth))

def few(name, *args, depth=DEPTH, **options):
    got = [answered_before(*args, depth=depth, **options) for _ in range(ROUNDS)]
    m = statistics.median(got)
    check(name, m <= PATHS * depth // 6, got)
    print("%s: %d of %d came before (%s)" % (name, m, PATHS * depth, " ".join(map(str, got))), flush=True)

few("what is in memory", READ, 512)
few("on another volume", READ, 512, 2)
# A question costs the loop what a thousand commands do.
few("what takes long to say", CONTROL, 0, depth=30)
# Nor what is in files: there is much to be read about a volume with many snapshots.
for i in range(50):
    quiet.work("snapshot", volumes=["many0"], name="s%d" % i)
few("what a thread reads", CONTROL, 0, depth=7, question=ABOUT_ONE)
# To the disk: so long that it does not matter when a thread comes to run.
few("what a worker does", WRITE, 512, flags=F_FUA, depth=60)
EOT

# Memory for payloads: one client has filled it with what waits for a limit.
stop_server "$W"
RSIO_TEST_MEMORY=16 start_server "$W" --loops 1
scenario "$W" <<'EOT'
noisy = Node("noisy").login(crc=False, timeout=60)
noisy.open("v")
noisy.work("limit", volume="v", mbps=0.001)
noisy.read(0, 512)
# Not all of it is taken, so not all of it can be sent.
many = [request(WRITE, b"m" * (1 << 20), cookie=i, offset=i << 19, count=1 << 20, handle=1) for i in range(30)]
sender = threading.Thread(target=lambda: noisy.send(b"".join(many)), daemon=True)
sender.start()
check("the memory is used up", wait_until(lambda: status()["process"]["buffers"] > 16 << 20),
      status()["process"]["buffers"])
quiet = Node("quiet").login(crc=False)
quiet.open("v")
quiet.open("other", handle=2)
mine = quiet.start(READ, offset=0, count=512, handle=1)
check("another client is read from, with something of it under way", quiet.ping() > 0)
for i in range(100):
    quiet.write(512 * i, b"q" * 512, handle=2)
is_("and served", quiet.read(512 * 99, 4, handle=2), b"qqqq")
quiet.work("limit", volume="v", mbps=0)
answered = [noisy.next_reply().status for _ in many]
check("all is answered in the end", quiet.wait(mine).status == OK and not any(answered))
EOT
done_testing
