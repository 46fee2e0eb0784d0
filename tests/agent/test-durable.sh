#!/bin/bash
# A flush and a FUA write are answered after the system call that makes them
# stable, and only after it: seen from outside, with strace.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/agent.sh"
requires_program rssrv
requires_cmd strace

write_server_conf "$W" portals=1
make_volume "$W" v 8M
mkdir -p "$W/run"
# The system call is held up for 0.3 s: an answer that does not wait for it is early.
strace -f -o "$W/trace" -e trace=fdatasync,pwritev2,pwrite64,fallocate -e inject=fdatasync,pwritev2:delay_enter=300000 true 2>/dev/null ||
	skip "strace cannot trace here"
# Nobody can look for leaks in a process that is traced.
ASAN_OPTIONS=${ASAN_OPTIONS:-}:detect_leaks=0 VG="strace -D -f -o $W/trace -e trace=fdatasync,pwritev2,pwrite64,fallocate -e inject=fdatasync,pwritev2:delay_enter=300000" start_server "$W"

scenario "$W" <<'EOT'
c = Node().login()
c.open("v")
def took(call):
    t = time.monotonic()
    call()
    return time.monotonic() - t
check("a plain write does not wait for the disk", took(lambda: c.write(0, b"x" * 4096)) < 0.25)
check("a flush does", took(lambda: c.flush()) >= 0.3)
check("a FUA write does", took(lambda: c.write(0, b"y" * 4096, flags=F_FUA)) >= 0.3)
check("a FUA discard does", took(lambda: c.must(DISCARD, offset=0, count=65536, handle=1, flags=F_FUA)) >= 0.3)
check("FUA zeroes do", took(lambda: c.must(WRITE_ZEROES, offset=0, count=65536, handle=1, flags=F_FUA)) >= 0.3)
check("a plain discard does not", took(lambda: c.must(DISCARD, offset=0, count=65536, handle=1)) < 0.25)
t = time.monotonic()
ks = [c.start(FLUSH, handle=1) for i in range(40)]
for k in ks:
    c.wait(k)
check("flushes that come together share one", time.monotonic() - t < 1.5, time.monotonic() - t)

# A flush that comes while another runs is not covered by that one.
first_flush = c.start(FLUSH, handle=1)
time.sleep(0.15)
c.write(4096, b"z" * 4096)
t = time.monotonic()
c.must(FLUSH, handle=1)
check("a flush sent after a write does not ride on an earlier one", time.monotonic() - t >= 0.4, time.monotonic() - t)
c.wait(first_flush)
EOT
stop_server "$W"
check "FUA is a synchronous write" grep -qE 'pwritev2\(.*RWF_DSYNC\) += 4096' "$W/trace"
done_testing
