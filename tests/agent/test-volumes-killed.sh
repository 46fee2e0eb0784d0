#!/bin/bash
# The server is killed at random moments of what changes its pools, on tmpfs, ext4, XFS and btrfs:
# after each start what was acknowledged is there, what was under way is made or not, and
# nothing else is.
# time-limit: 240
# long-time-limit: 1800
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/agent.sh"
# shellcheck source=tests/agent/filesystems.sh
. "$(dirname "$0")/filesystems.sh"
requires_program rssrv
requires_loop

write_server_conf "$W"
sed -i '/^serverid/a user = root' "$W/rssrvcfg"
add_pools tmpfs ext4 xfs btrfs
mkdir -p "$W/run"

# shellcheck disable=SC2086  # words
SCENARIO_SECONDS=$(sample_or_all 220 1700) scenario "$W" "$BUILD" "$(sample_or_all 5 50)" $pools <<'EOT'
import subprocess

BUILD, KILLS, POOLS = sys.argv[2], int(sys.argv[3]), sys.argv[4:]
M = 1 << 20
random.seed(SEED)
out = open(DIR + "/rssrv.out", "a")

def start():
    p = subprocess.Popen([BUILD + "/rssrv", "-f", "-c", DIR + "/rssrvcfg", "--run-dir", DIR + "/run"], stderr=out)
    c = Node(life=os.urandom(16)).login(snapshots=True, seconds=30)
    return p, c

# What is in a pool: {name: (MiB, value)}, of volumes and VOLUME@SNAP.

def value(c, name):
    c.open(name, handle=9, read_only=True)
    data = c.read(4096, 8, 9)
    c.must(CLOSE, handle=9)
    return int.from_bytes(data, "little")

def put(c, name, n):
    c.open(name, handle=9)
    c.write(4096, n.to_bytes(8, "little"), 9)
    c.flush(9)
    c.must(CLOSE, handle=9)

def found(c, pool):
    state = {}
    for v in [v for v in c.control("volumes")["volumes"] if v["pool"] == pool]:
        state[v["name"]] = v["size"] // M, value(c, v["name"])
        for s in c.control("volume", name=v["name"])["volume"]["snapshots"]:
            name = v["name"] + "@" + s["name"]
            state[name] = s["size"] // M, value(c, name)
    return state

def files(path):
    return sorted(os.path.relpath(os.path.join(d, f), path) for d, _, fs in os.walk(path) for f in fs)

def files_of(state):
    out = [".rsio.lock", ".rsio.journal", ".rsio.journal.spare"]
    for name in state:
        v, _, s = name.partition("@")
        base = ".rsio.snap/%s/%s" % (v, s) if s else v
        out += [base + ".raw", base + ".meta"]
    return sorted(out)

counter = 0
def fresh(prefix):
    global counter
    counter += 1
    return prefix + str(counter)

def next_change(pool, state):
    """A change that can be made: what it does, and what is there then."""
    volumes = [n for n in state if "@" not in n]
    snaps = [n for n in state if "@" in n]
    now = dict(state)
    kinds = ["create"] * (len(volumes) < 8) + ["write", "resize", "rename", "snapshot", "clone"] * bool(volumes)
    kinds += ["snapshot_remove", "rollback"] * bool(snaps) + ["remove"] * (len(volumes) > 3)
    kind = random.choice(kinds)
    v = random.choice(volumes) if volumes else ""
    if kind == "create":
        name, size, whole = fresh(pool + "-v"), random.randint(1, 4), random.random() < 0.3
        now[name] = size, 0
        return lambda c: c.work("create", volume=name, size=size * M, pool=pool, preallocate=whole), now
    if kind == "write":
        n = random.getrandbits(40)
        now[v] = state[v][0], n
        return lambda c: put(c, v, n), now
    if kind == "resize":
        size = state[v][0] + random.randint(1, 2)
        now[v] = size, state[v][1]
        return lambda c: c.work("resize", volume=v, size=size * M), now
    if kind == "rename":
        to = fresh(pool + "-r")
        now = {(to + n[len(v):] if n == v or n.startswith(v + "@") else n): x for n, x in state.items()}
        return lambda c: c.work("rename", volume=v, to=to), now
    if kind == "snapshot":
        some, name = random.sample(volumes, min(len(volumes), 3)), fresh("s")
        now.update({n + "@" + name: state[n] for n in some})
        return lambda c: c.work("snapshot", volumes=some, name=name, hold_limit=10), now
    if kind == "clone":
        if len(volumes) > 8:
            return next_change(pool, state)
        source, prefix = random.choice(volumes + snaps), fresh(pool + "-c") + "-"
        now.update({prefix + str(i): state[source] for i in (1, 2)})
        return lambda c: c.work("clone", volume=source, prefix=prefix, count=2), now
    if kind == "remove":
        now = {n: x for n, x in state.items() if n != v and not n.startswith(v + "@")}
        return lambda c: c.work("remove", volume=v, confirm=v, snapshots=True), now
    s = random.choice(snaps)
    v, _, name = s.partition("@")
    if kind == "snapshot_remove":
        del now[s]
        return lambda c: c.work("snapshot_remove", volume=v, snapshot=name), now
    now[v] = state[s]
    return lambda c: c.work("rollback", volume=v, snapshot=name, confirm=v), now

def change_until_killed(p, c, pool, state):
    """What was there at the end for sure, and what may be there."""
    killer = threading.Timer(random.uniform(0.005, 0.4), p.kill)
    killer.start()
    made = 0
    while True:
        change, then = next_change(pool, state)
        try:
            change(c)
        except (Closed, ConnectionError, BrokenPipeError, TimeoutError):
            killer.join()
            p.wait()
            return state, then, made
        state, made = then, made + 1

for pool in POOLS:
    path = "%s/fs-%s/pool" % (DIR, pool)
    p, c = start()
    state, wrong, total, half = found(c, pool), [], 0, 0
    for i in range(KILLS):
        sure, maybe, made = change_until_killed(p, c, pool, state)
        total += made
        p, c = start()
        state = found(c, pool)
        half += state == maybe
        if state not in (sure, maybe):
            wrong.append((i, sure, maybe, state))
        if files(path) != files_of(state):
            wrong.append((i, files(path), files_of(state)))
    is_("%s: after %d kills each change is made or not" % (pool, KILLS), wrong, [])
    print("%d changes were acknowledged, %d of the last ones were made" % (total, half))
    p.terminate()
    p.wait()

# Snapshots of volumes in all pools, which are in all of them or in none.
p, c = start()
pairs, first = ["pair-" + pool for pool in POOLS], min(POOLS)
for pool, v in zip(POOLS, pairs):
    c.work("create", volume=v, size=M, pool=pool)
r = c.work("snapshot", volumes=pairs, name="first", hold_limit=10)
is_("a snapshot in all pools", (r["pools"], r["pool"], r["snapshots"]), (POOLS, POOLS[0], [v + "@first" for v in pairs]))
c.work("snapshot", volumes=pairs[-1:], name="taken", hold_limit=10)
try:
    c.work("snapshot", volumes=pairs, name="taken", hold_limit=10)
except Failed as e:
    is_("where one pool has it already", e.code, "EEXIST")
c.work("snapshot_remove", volume=pairs[-1], snapshot="taken")
is_("no other gets it", [s["name"] for v in pairs for s in c.control("volume", name=v)["volume"]["snapshots"]], ["first"] * len(pairs))

def snapshots_until_killed(p, c, sure):
    killer = threading.Timer(random.uniform(0.005, 0.2), p.kill)
    killer.start()
    while True:
        name = fresh("s")
        try:
            c.work("snapshot", volumes=pairs, name=name, hold_limit=10)
        except (Closed, ConnectionError, BrokenPipeError, TimeoutError):
            killer.join()
            p.wait()
            return sure, sure | {name}
        sure = sure | {name}

sure, wrong = {"first"}, []
for i in range(2 * KILLS):
    sure, maybe = snapshots_until_killed(p, c, sure)
    p, c = start()
    there = [{s["name"] for s in c.control("volume", name=v)["volume"]["snapshots"]} for v in pairs]
    if there[0] not in (sure, maybe) or any(x != there[0] for x in there):
        wrong.append((i, sure, maybe, there))
    sure = there[0]
    for pool in POOLS:
        path = "%s/fs-%s/pool" % (DIR, pool)
        expected = sorted(files_of(found(c, pool)) + [".rsio.id"] * (pool == first))
        if files(path) != expected and files(path) != files_of(found(c, pool)):
            wrong.append((i, files(path), expected))
is_("after %d kills each snapshot is in all pools or in none" % (2 * KILLS), wrong, [])
print("%d were taken" % len(sure))
p.terminate()
p.wait()
EOT
done_testing
