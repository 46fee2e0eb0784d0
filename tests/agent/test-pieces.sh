#!/bin/bash
# A copy of 64 MiB, and zeroes and a discard of as much, on a disk that needs a while for each request: they
# leave their turn to a snapshot, which is taken within its second, and end soon when their
# connection is fenced, or when a right to them is taken away; what was done of them stays, and nothing is done
# afterwards.
# time-limit: 90
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/agent.sh"
requires_cmd strace
requires_program rssrv

write_server_conf "$W" client=boss client=guest portals=2
sed -i "s/^guest .*/guest $(new_key)/" "$W/rssrvcfg"
echo 'manage = boss' >>"$W/rssrvcfg"
for v in from to-1 to-2 to-3; do	# full of o, and of n
	head -c 64M /dev/zero | tr '\0' "$([ $v = from ] && echo n || echo o)" >"$W/pool/$v.raw"
done
make_volume "$W" small 1M
start_server "$W"
strace -qq -o /dev/null -e trace=write -e inject=write:delay_enter=1000 true 2>/dev/null || skip "strace cannot trace here"
(
	trap - EXIT HUP INT TERM
	exec strace -f -qq -o /dev/null -e trace=copy_file_range,fallocate \
		-e inject=copy_file_range,fallocate:delay_enter=200000 -p "$(server_pid "$W")"
) &
tracer=$!
cleanup_fn end_process $tracer
traced() { ! grep -L "^TracerPid:.*[1-9]" "/proc/$(server_pid "$W")"/task/*/status | grep -q .; }
wait_for 10 traced || bail "strace is there"

scenario "$W" <<'EOT'
M = 1 << 20
boss = Node("boss")
c = boss.login(copies=True, snapshots=True)
for handle, name in enumerate(("from", "to-1", "to-2", "to-3"), 1):
    c.open(name, handle=handle)
source = struct.pack("<IQ", 1, 0)
for to, name, kind, payload in ((2, "a copy", COPY, source), (3, "zeroes", WRITE_ZEROES, b""), (4, "a discard", DISCARD, b"")):
    new = b"n" if kind == COPY else b"\0"
    look = lambda: [c.read(at, 512, handle=to) for at in range(0, 64 * M, M // 2)]
    k = boss.login(c.session, portal=1, copies=True)
    cookie = k.start(kind, payload, handle=to, offset=0, count=64 * M)
    check(name + ": it begins", wait_until(lambda: c.read(0, 1, handle=to) == new))
    result = c.work("snapshot", volumes=["to-%d" % (to - 1), "small"], name="during-%d" % to)
    check(name + ": it is held for a snapshot in the middle", result["held"] < 1, result)
    check(name + ": and has not ended", not k.readable(0))
    r = c.fence(k.connection, [cookie])
    _, done, _ = parse_fence(r.payload)
    is_(name + ": it is fenced before it has ended", (r.status, done), (OK, []))
    before = look()
    is_(name + ": what was done stays, and the rest is not done", list(dict.fromkeys(before)), [new * 512, b"o" * 512])
    time.sleep(0.5)			# more than a piece takes
    check(name + ": nothing is done afterwards", look() == before)
    k.close()

# Whoever takes a right away, or the whole volume, does not find the rest done afterwards.
g = Node("guest").login(copies=True)
for handle, name in enumerate(("from", "to-1"), 1):
    g.open(name, handle=handle)
def cut_short(name, status, what):
    c.write(0, b"x", handle=2)
    cookie = g.start(COPY, source, handle=2, offset=0, count=64 * M)
    check(name + ": a copy begins", wait_until(lambda: c.read(0, 1, handle=2) == b"n"))
    what()
    is_(name + ": it ends in the middle", g.wait(cookie).status, status)
cut_short("the source is reserved", E_RESERVED, lambda: (c.reserve("from", "register", other="b"),
          c.reserve("from", "reserve", key="b", type=2)))
c.reserve("from", "release", key="b", type=2)
cut_short("the right to write is taken", E_READ_ONLY, lambda: c.work("access", volume="to-1", clients=["boss", "guest:ro"]))
c.work("access", volume="to-1", clients=["boss", "guest"])
cut_short("the right to see it is taken", E_NO_VOLUME, lambda: c.work("access", volume="to-1", clients=["boss"]))
EOT
done_testing
