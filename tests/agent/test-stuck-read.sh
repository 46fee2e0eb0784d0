#!/bin/bash
# A file whose reads hang: here it is a volume of another server that was
# stopped.  Nobody else notices, and when it goes on, so do the reads.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/agent.sh"
requires_program rssrv rsiod
requires_fuse

mkdir -p "$W/a" "$W/b" "$W/c"
write_server_conf "$W/a" namespace=inner id=7
make_volume "$W/a" v 4M
write_client_conf "$W/c" "$W/a"
start_server "$W/a"
start_client "$W/c"
wait_for 5 test -e "$W/c/mnt/inner/v" || bail "the inner volume is mounted"
write_server_conf "$W/b" portals=2
make_volume "$W/b" quick 4M
# Its identity is kept beside the link: nothing can be made beside the volume.
ln -s "$W/c/mnt/inner/v" "$W/b/stuck"
printf '\n[volume stuck]\npath = %s\n' "$W/b/stuck" >>"$W/b/rssrvcfg"
start_server "$W/b"
go_on() { kill -CONT "$(server_pid "$W/a")" 2>/dev/null || true; }
cleanup_fn go_on

scenario "$W/b" "$(server_pid "$W/a")" <<'EOT'
import signal
inner = int(sys.argv[2])

def all_stopped():
    """The signal is sent, and each thread stops when it gets to see it."""
    tasks = "/proc/%d/task" % inner
    return all(open("%s/%s/stat" % (tasks, t)).read().rsplit(")", 1)[1].split()[0] == "T"
               for t in os.listdir(tasks))

c = Node().login()
c.open("stuck", handle=1)
c.open("quick", handle=2)
c.write(0, b"through two servers", 1)
c.flush(1)
is_("a volume of a volume", c.read(0, 19, 1), b"through two servers")
os.kill(inner, signal.SIGSTOP)
check("its server is stopped", wait_until(all_stopped))
stuck = [c.start(READ, offset=i * 4096, count=4096, handle=1) for i in range(100)]
stuck.append(c.start(STATUS, offset=0, count=1 << 20, handle=1))
times = []
for i in range(100):
    t = time.monotonic()
    c.write(i * 4096, b"x" * 4096, 2)
    c.read(i * 4096, 4096, 2)
    times.append(time.monotonic() - t)
check("another volume goes on, on the same connection", sorted(times)[95] < 0.05, sorted(times)[95:])
answered = set(stuck) & set(c.stash)
check("the stuck reads are not answered", not answered, [stuck.index(k) for k in answered])
t = time.monotonic()
status()
check("the control socket is", time.monotonic() - t < 1)
os.kill(inner, signal.SIGCONT)
is_("then they all are", {c.wait(k).status for k in stuck}, {OK})
EOT
done_testing
