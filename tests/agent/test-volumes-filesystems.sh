#!/bin/bash
# Volumes are made, resized, renamed, snapshot, cloned, rolled back and removed on tmpfs, ext4, XFS and
# btrfs, by a server that dropped root and is confined, while another client writes; each
# snapshot of two volumes is of one moment.
# time-limit: 180
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/agent.sh"
# shellcheck source=tests/agent/filesystems.sh
. "$(dirname "$0")/filesystems.sh"
requires_cmd jq
requires_program rssrv
requires_loop
id nobody >/dev/null 2>&1 || skip "needs the user nobody"

write_server_conf "$W" client=boss client=writer
sed -i '/^serverid/a user = nobody' "$W/rssrvcfg"
add_pools tmpfs ext4 xfs btrfs
chown -R nobody "$W/pool" "$W"/fs-*/pool
chown nobody "$W/rssrvcfg"
chmod 755 "$W"
start_server "$W"
status() { "$BUILD/rssrv" --status --run-dir "$W/run" | jq -c "$1"; }
note "confined: $(status .confinement)"
for p in $pools; do
	is "$(status ".pools[] | select(.name == \"$p\") | [.filesystem, .state, .overcommit, .volumes]")" \
		"[\"$p\",\"ok\",true,0]" "the status knows the pool on $p"
	case $p in
	xfs | btrfs) reflink=true text='are instant and share blocks' ;;
	*) reflink=false text='are copies that keep holes' ;;
	esac
	is "$(status ".pools[] | select(.name == \"$p\") | .reflink")" $reflink "and whether files share blocks there"
	logged "$W" "$p: .* is on $p, where snapshots and clones $text" "which the log tells too"
done

# shellcheck disable=SC2086  # words
SCENARIO_SECONDS=150 scenario "$W" "$(sample_or_all 4 30)" $pools <<'EOT'
M = 1 << 20
ROUNDS, POOLS = int(sys.argv[2]), sys.argv[3:]
boss = Node("boss").login(snapshots=True)

def number(name, conn=boss):
    """What a writer put there last."""
    conn.open(name, handle=99, read_only=True)
    data = conn.read(512, 8, 99)
    conn.must(CLOSE, handle=99)
    return int.from_bytes(data, "little")

class Pairs(threading.Thread):
    """Writes a number to one volume, then to the other, then the next one, as long as it may."""
    def __init__(self, a, b):
        super().__init__()
        self.conn, self.done, self.acknowledged = Node("writer").login(), False, 0
        self.conn.open(a, handle=1)
        self.conn.open(b, handle=2)
        self.error = None

    def run(self):
        n = 0
        try:
            while not self.done:
                n += 1
                for handle in (1, 2):
                    self.conn.write(512, n.to_bytes(8, "little"), handle=handle)
                self.acknowledged = n
        except Exception as e:
            self.error = e

    def end(self):
        self.done = True
        self.join()
        self.conn.bye()

def torn(pool):
    a, b = pool + "-a", pool + "-b"
    # Between the two, so that there is time for a write between them.
    between = ["%s-m%d" % (pool, i) for i in range(20)]
    for v in between:
        boss.work("create", volume=v, size=M, pool=pool)
    w = Pairs(a, b)
    w.start()
    bad, taken = [], []
    for i in range(ROUNDS):
        before = w.acknowledged
        wait_until(lambda: w.error or w.acknowledged > before)
        before = w.acknowledged
        r = boss.work("snapshot", volumes=[a, *between, b], name="s%d" % i, hold_limit=10)
        after = w.acknowledged + 1
        x, y = number("%s@s%d" % (a, i)), number("%s@s%d" % (b, i))
        taken.append((x, y))
        # The first is written before the second; what was acknowledged is in, what came later is not.
        if not (before <= y <= x <= y + 1 <= after + 1):
            bad.append((before, x, y, after))
    w.end()
    for v in between:
        boss.work("remove", volume=v, confirm=v, snapshots=True)
    check("%s: the writer never failed" % pool, w.error is None, repr(w.error))
    is_("%s: no snapshot of two is torn" % pool, bad, [])
    check("%s: they are of different moments" % pool, len(set(taken)) == ROUNDS, taken)

def failed(call):
    try:
        call()
    except Failed as e:
        return e.code
    return None

for pool in POOLS:
    a, b = pool + "-a", pool + "-b"
    path = os.path.join(DIR, "fs-" + pool, "pool")
    boss.work("create", volume=a, size=8 * M, pool=pool)
    boss.work("create", volume=b, size=8 * M, pool=pool, preallocate=True)
    check("%s: space is allocated where that was asked for" % pool,
          os.stat(path + "/%s.raw" % b).st_blocks * 512 >= 8 * M > os.stat(path + "/%s.raw" % a).st_blocks * 512)
    torn(pool)
    boss.work("resize", volume=a, size=16 * M)
    is_("%s: it grows" % pool, boss.control("volume", name=a)["volume"]["size"], 16 * M)
    last = number(a)
    boss.work("rollback", volume=a, snapshot="s0", confirm=a)
    is_("%s: it is rolled back" % pool, number(a), number(a + "@s0"))
    check("%s: and was something else" % pool, last != number(a), last)
    boss.work("rename", volume=a, to=a + "x")
    is_("%s: it has another name, with its snapshots" % pool, number(a + "x@s0"), number(a + "x"))
    boss.work("clone", volume=a + "x@s1", prefix=pool + "-c", count=12)
    is_("%s: clones have what the snapshot had" % pool, {number("%s-c%02d" % (pool, i)) for i in range(1, 13)}, {number(a + "x@s1")})
    boss.work("copy", volume=b, to=pool + "-copy", pool="main")
    is_("%s: a copy in another pool too" % pool, number(pool + "-copy"), number(b))
    for i in range(ROUNDS):
        boss.work("snapshot_remove", volume=b, snapshot="s%d" % i)
    is_("%s: with its snapshots a volume is not removed by mistake" % pool,
        failed(lambda: boss.work("remove", volume=a + "x", confirm=a + "x")), "ENOTEMPTY")
    boss.work("remove", volume=a + "x", confirm=a + "x", snapshots=True)
    boss.work("remove", volume=b, confirm=b)
    for i in range(1, 13):
        boss.work("remove", volume="%s-c%02d" % (pool, i), confirm="%s-c%02d" % (pool, i))
    left = sorted(os.path.relpath(os.path.join(d, f), path) for d, _, files in os.walk(path) for f in files)
    is_("%s: nothing is left" % pool, left, [".rsio.journal", ".rsio.journal.spare", ".rsio.lock"])
EOT
none() { [ "$(status '[.pools[] | select(.name != "main") | .volumes] | add')" = 0 ]; }
check "the status knows that, too" wait_for 5 none
stop_server "$W"
done_testing
