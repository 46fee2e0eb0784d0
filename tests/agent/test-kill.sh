#!/bin/bash
# kill -9 again and again under writes: a new process waits for the old one's
# lock, and nothing that was acknowledged is lost.
# time-limit: 120
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/agent.sh"
requires_program rssrv

write_server_conf "$W" portals=2
make_volume "$W" v 16M
cat >"$W/writer.py" <<'EOF2'
from scenario import *
rounds, lives = int(sys.argv[2]), set()
BLOCKS, SIZE = 4096, 4096
newest = [0] * BLOCKS       # acknowledged
asked = [0] * BLOCKS        # sent; may or may not have been done
rng = random.Random(SEED)
serial = 0
block_of = lambda b, n: struct.pack("<QQ", b, n) * (SIZE // 16)


def verify(c):
    for at in range(0, BLOCKS, 256):
        data = c.read(at * SIZE, 256 * SIZE)
        for b in range(256):
            piece = data[b * SIZE:(b + 1) * SIZE]
            n = struct.unpack_from("<QQ", piece)[1]
            if piece != (block_of(at + b, n) if n else bytes(SIZE)):
                return "block %d is torn" % (at + b)
            if n not in (newest[at + b], asked[at + b]):
                return "block %d has %d, acknowledged %d, asked %d" % (at + b, n, newest[at + b], asked[at + b])
            newest[at + b] = asked[at + b] = n
    return ""


def login():
    """A process that is being killed may still accept, and then reset."""
    for i in range(500):
        try:
            return Node().login(crc=False)
        except (Closed, OSError):
            time.sleep(0.02)
    raise Closed("no server in 10 s")


for i in range(rounds):
    c = login()
    lives.add(first(c.welcome.payload, T_LIFE))
    c.open("v")
    wrong = verify(c)
    if wrong:
        check("round %d" % i, False, wrong)
        sys.exit(1)
    pending, done = {}, 0
    open(DIR + "/writing", "w").close()
    try:
        while True:
            while len(pending) < 64:
                b = rng.randrange(BLOCKS)
                if asked[b] != newest[b]:
                    continue
                serial += 1
                asked[b] = serial
                pending[c.start(WRITE, block_of(b, serial), offset=b * SIZE, count=SIZE, handle=1)] = b
            r = c.next_reply()
            if r.status:
                check("no error", False, r)
                sys.exit(1)
            b = pending.pop(r.cookie)
            newest[b] = asked[b]
            done += 1
    except (Closed, OSError):
        pass
    if not done:
        check("round %d wrote something" % i, False)
c = login()
c.open("v")
is_("nothing acknowledged was lost, torn or overtaken in %d kills" % rounds, verify(c), "")
is_("each was another life", len(lives), rounds)
open(DIR + "/done", "w").close()
EOF2

start_server "$W"
killer()
{
	local i

	for ((i = 0; i < 10; i++)); do
		wait_for 20 test -e "$W/writing" || return
		rm "$W/writing"
		sleep 0.3	# how long it writes is what varies
		kill_server "$W"
		start_server "$W"
	done
}
SCENARIO_SECONDS=90 scenario "$W" 10 <"$W/writer.py" &
checks=$!
killer
wait "$checks" || true
sed -n 's/^\(not \)\?ok //p' "$W/scenario.out" | while read -r line; do note "$line"; done
check "the writer came to its end" test -e "$W/done"
check "without a failed check" grep -q "^ok nothing acknowledged was lost" "$W/scenario.out"
is "$(grep -c '^not ok' "$W/scenario.out")" 0 "none at all"
done_testing
