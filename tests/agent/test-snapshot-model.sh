#!/bin/bash
# Three clients write, discard, zero and copy into a volume, each in a part of its own that shares blocks and
# chunks with the next one, while snapshots and clones of it are made: each part of each of them is, byte
# for byte, what that client had made of it after one of its commands, and not before the last
# that was acknowledged.  On file systems that share blocks, with a file in many pieces, and on some
# that do not.  What is taken has much in front of these parts, so that they change while it is copied.
# time-limit: 120
# long-time-limit: 900
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/agent.sh"
# shellcheck source=tests/agent/filesystems.sh
. "$(dirname "$0")/filesystems.sh"
requires_program rssrv
requires_loop

write_server_conf "$W"
sed -i '/^serverid/a user = root' "$W/rssrvcfg"
# shellcheck disable=SC2046  # words
add_pools $(sample_or_all 'ext4 btrfs' 'tmpfs ext4 xfs btrfs')
start_server "$W"

# shellcheck disable=SC2086  # words
SCENARIO_SECONDS=$(sample_or_all 100 800) scenario "$W" "$(sample_or_all 2 20)" $pools <<'EOT'
ROUNDS, POOLS = int(sys.argv[2]), sys.argv[3:]
M = 1 << 20
PART = M + 512 * 3		# no whole chunk, no whole block of a file system
HALF = PART // 1024 * 512
PARTS = 3
FRONT = 24 * M			# is copied first, where there is something to copy
SIZE = FRONT + PARTS * PART
random.seed(SEED)
boss = Node()
c = boss.login(snapshots=True, copies=True)

class Writer(threading.Thread):
    """One command after another in one part; what was made of it can be told at each of them."""

    def __init__(self, volume, part, source, seed):
        super().__init__(daemon=True)
        self.c = boss.login(c.session, copies=True)
        self.part, self.source, self.rnd = part, source, random.Random(seed)
        self.base = FRONT + part * PART
        self.ops, self.begun, self.acked, self.ended, self.error = [], 0, 0, threading.Event(), None
        self.handle = 1

    def command(self, n):
        at = self.rnd.randrange(PART // 512) * 512
        count = min(PART - at, self.rnd.choice((512, 4096, 65536, 200 * 512)))
        kind = self.rnd.choice((WRITE, WRITE, WRITE, WRITE_ZEROES, DISCARD, COPY))
        if kind == WRITE:
            return kind, at, count, struct.pack("<II", self.part, n) * (count // 8)
        if kind == COPY:
            return kind, at, count, self.source[at:at + count]
        return kind, at, count, bytes(count)

    def run(self):
        try:
            n = 0
            while not self.ended.is_set():
                n += 1
                kind, at, count, data = op = self.command(n)
                self.ops.append(op)
                self.begun = n
                payload = data if kind == WRITE else struct.pack("<IQ", 2, at) if kind == COPY else b""
                self.c.must(kind, payload, handle=self.handle, offset=self.base + at, count=count)
                self.acked = n
        except Exception as e:		# said by whoever ends it
            self.error = e

    def apply(self, model, n):
        _, at, count, data = self.ops[n]
        model[at:at + count] = data

def read_parts(name, handle):
    c.open(name, handle=handle, read_only=True)
    out = bytearray()
    while len(out) < PARTS * PART:
        out += c.read(FRONT + len(out), min(PARTS * PART - len(out), 256 << 10), handle)
    c.must(CLOSE, handle=handle)
    return out

for pool in POOLS:
    # In few pieces they are shared at once, if they are: test-snapshot-pairs.sh has that.
    for pieces in (1500,) if pool in ("xfs", "btrfs") else (0,):
        v, s = "%s-%d" % (pool, pieces), "%s-%d-src" % (pool, pieces)
        c.work("create", volume=v, size=SIZE, pool=pool)
        c.work("create", volume=s, size=PART, pool=pool)
        c.open(v, handle=1)
        c.open(s, handle=2)
        source = random.randbytes(HALF) + bytes(PART - HALF)
        for at in range(0, HALF, 256 << 10):
            c.write(at, source[at:min(at + (256 << 10), HALF)], 2)
        models = [bytearray(PART) for _ in range(PARTS)]
        if pieces:		# every second block
            for i in range(pieces):
                c.write(i * 8192, b"x" * 4096, 1)
            c.flush(1)
        for at in range(0 if not pieces else FRONT // 2, FRONT, 256 << 10):
            c.write(at, b"x" * (256 << 10), 1)
        writers = [Writer(v, i, source, random.random()) for i in range(PARTS)]
        for w in writers:
            w.start()
        where, wrong, failed = [0] * PARTS, [], []
        for r in range(ROUNDS):
            wait_until(lambda: all(w.error or w.acked > 20 * (r + 1) for w in writers))
            name = "%s@s%d" % (v, r) if r % 2 == 0 else "%s-c%d" % (v, r)
            low = [w.acked for w in writers]
            try:
                if r % 2 == 0:
                    c.work("snapshot", volumes=[v], name="s%d" % r, hold_limit=10)
                else:
                    c.work("clone", volume=v, to=name)
            except Failed as e:
                failed.append((name, e.text))
                continue
            high = [w.begun for w in writers]
            got = read_parts(name, 5)
            for i, w in enumerate(writers):
                while where[i] < low[i]:
                    w.apply(models[i], where[i])
                    where[i] += 1
                mine = got[i * PART:(i + 1) * PART]
                at = where[i]
                model = bytearray(models[i])
                while model != mine and at < high[i]:
                    w.apply(model, at)
                    at += 1
                if model != mine:
                    wrong.append((name, i, low[i], high[i]))
        for w in writers:
            w.ended.set()
            w.join()
            w.c.close()
        is_("%s: nothing of it failed" % v, (failed, [w.error for w in writers if w.error]), ([], []))
        is_("%s: what was taken is of one moment" % v, wrong, [])
        got = read_parts(v, 5)
        for i, w in enumerate(writers):
            while where[i] < w.acked:
                w.apply(models[i], where[i])
                where[i] += 1
        is_("%s: and the volume is what they made of it" % v,
            [i for i in range(PARTS) if got[i * PART:(i + 1) * PART] != models[i]], [])
        c.must(CLOSE, handle=1)
        c.must(CLOSE, handle=2)
EOT
done_testing
