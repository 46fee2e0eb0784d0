#!/bin/bash
# Many clients that come and go, fence each other and talk nonsense, while a
# verified load runs; then the idle cost of 256 sessions.
# time-limit: 150
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/agent.sh"
requires_program rssrv

write_server_conf "$W" portals=2
key=$(new_key)
for i in 0 1 2 3; do sed -i "/^\[clients\]/a churn$i $key" "$W/rssrvcfg"; done
for ((i = 0; i < 256; i++)); do printf 'idle%d %s\n' $i "$key"; done >"$W/idle"
sed -i "/^\[clients\]/r $W/idle" "$W/rssrvcfg"
for v in keep a b c; do make_volume "$W" $v 8M; done
shm=$(mktemp -d /dev/shm/rsio-test-XXXXXX)
cleanup_fn rm -rf "$shm"
truncate -s 8M "$shm/m.raw"
printf '\n[pool memory]\npath = %s\n' "$shm" >>"$W/rssrvcfg"
start_server "$W" --log-level warning
read -r namespace id _ address port <"$W/portals"

cat >"$W/keeper.py" <<'EOT'
c = Node().login(crc=False)
c.open("keep")
rng, model, rounds = random.Random(SEED), {}, 0
end = time.monotonic() + float(sys.argv[2])
while time.monotonic() < end:
    rounds += 1
    ks = []
    blocks = rng.sample(range(2048), 32)
    for b in blocks:
        model[b] = rng.randbytes(4096)
        ks.append(c.start(WRITE, model[b], offset=b * 4096, count=4096, handle=1))
    for k in ks:
        if c.wait(k).status:
            check("a write", False)
    for b in rng.sample(sorted(model), min(32, len(model))):
        if c.read(b * 4096, 4096) != model[b]:
            check("block %d" % b, False)
check("a client beside them has all its data, %s" % ("as it should" if rounds > 10 else "but got nowhere"), rounds > 10)
EOT
scenario "$W" "${CHURN_SECONDS:-8}" <"$W/keeper.py" &
keeper=$!
check "clients that come and go get only answers that the protocol allows" \
	python3 "$AGENT_DIR/churn.py" "$address" "$port" "$namespace" "$id" churn "$key" "$W/pool" \
	"${CHURN_SECONDS:-8}" "${RSIO_SEED:-1}"
wait $keeper || true
check "the one beside them was not disturbed" grep -q '^ok a client beside them has all its data, as it should' "$W/scenario.out"
is "$(grep -c '^not ok' "$W/scenario.out")" 0 "none of its checks failed"
is "$(grep -cE 'ERROR|runtime error|Sanitizer' "$W/rssrv.out")" 0 "nothing in the log is an error"

# What the others left may come back for its writes: it keeps its place for a while.
stop_server "$W"
start_server "$W" --log-level warning
scenario "$W" "$BUILD" <<'EOT'
def rss():
    return status()["process"]["memory"]
before, sessions = rss(), []
for i in range(256):
    c = Node("idle%d" % i).login(crc=False)
    c.open("keep", handle=1)
    c.write(i * 4096, b"x" * 4096)
    c.read(i * 4096, 4096)
    sessions.append(c)
    if i % 32 == 31:
        for s in sessions:
            s.ping()
s = status()
check("256 sessions at once", sum(1 for x in s["sessions"] if x["connections"]) == 256, len(s["sessions"]))
each = (rss() - before) / 256
print("# an idle session costs %d bytes of the server's memory; %d in all, %d threads for clients" %
      (each, rss(), s["process"]["loops"]))
if not os.path.basename(sys.argv[2]).startswith("build-"):     # a sanitizer has costs of its own
    # Of which 7 KiB are how long its reads and its writes of that volume took.
    check("an idle session costs less than 30 KiB", each < 30720, each)
refused("a 257th session", E_LIMIT, lambda: Node("churn0").login())
threads = len(os.listdir("/proc/%d/task" % s["process"]["pid"]))
check("and no thread", threads < 50, threads)
cpu = lambda: sum(status()["process"][k] for k in ("cpu_user", "cpu_system"))
a = cpu()
time.sleep(2)
b = cpu()
if not os.path.basename(sys.argv[2]).startswith("build-"):
    check("nor time: %.1f ms a second" % ((b - a) * 500), b - a < 0.2)
EOT
done_testing
