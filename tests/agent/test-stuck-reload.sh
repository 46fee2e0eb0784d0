#!/bin/bash
# The configuration is read again while the file of one volume hangs, even to look at: who
# loses another volume loses it at once, and everybody else is served.  Here the file is in
# the mounted tree of a client that was stopped.
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
write_server_conf "$W/b" client=node1 client=node2
truncate -s 1M "$W/b/ledger.raw" "$W/b/going.raw"
ln -s "$W/c/mnt/inner/v" "$W/b/stuck"
printf '\n[volume %s]\npath = %s\n' stuck "$W/b/stuck" ledger "$W/b/ledger.raw" going "$W/b/going.raw" >>"$W/b/rssrvcfg"
mkdir "$W/b/quick"
truncate -s 1M "$W/b/quick/fresh.raw"
start_server "$W/b"
go_on() { kill -CONT "$(client_pid "$W/c")" 2>/dev/null || true; }
cleanup_fn go_on

scenario "$W/b" "$(client_pid "$W/c")" <<'EOT'
import signal
tree = int(sys.argv[2])
conf = DIR + "/rssrvcfg"
text = open(conf).read()
pid = status()["process"]["pid"]

def reload(now):
    open(conf, "w").write(now)
    os.kill(pid, signal.SIGHUP)

def read(c, handle):
    return status_name(c.call(READ, offset=0, count=512, handle=handle).status)

def write(c, handle):
    return status_name(c.call(WRITE, bytes(512), offset=0, count=512, handle=handle).status)

a, b = Node("node1").login(), Node("node2").login()
for c in (a, b):
    c.open("ledger", handle=1)
    c.open("going", handle=2)
os.kill(tree, signal.SIGSTOP)
def look():
    threads.append(threading.Thread(target=lambda: os.stat(DIR + "/stuck"), daemon=True))
    threads[-1].start()
    threads[-1].join(0.5)
    return threads[-1].is_alive()

def server_hangs():
    """Is one of its threads in the kernel's wait for an answer?"""
    tasks = "/proc/%d/task/" % pid
    return any(open(tasks + t + "/wchan").read() == "request_wait_answer" for t in os.listdir(tasks))

threads = []
check("the file hangs for who looks at it", wait_until(look))	# what the kernel knows of it is old soon
wait_until(server_hangs)
reload(text.replace("/ledger.raw\n", "/ledger.raw\nclients = node1:ro\n"))
check("who is taken off a list loses that volume at once", wait_until(lambda: read(b, 1) == "NO_VOLUME", 5), read(b, 1))
is_("and sees it no more", "ledger" in [v.name for v in b.list()], False)
check("who may only read any more does not write", wait_until(lambda: write(a, 1) == "READ_ONLY", 5), write(a, 1))
is_("but reads", read(a, 1), "OK")
is_("another volume is not concerned", write(b, 2), "OK")
reload(text[:text.index("\n[volume going]")])
check("a volume that is taken out of the configuration is nobody's at once", wait_until(lambda: read(a, 2) == "NO_VOLUME", 5), read(a, 2))
c = Node("node2").login()
check("others log in meanwhile", c.ping() > 0)
a.must(CLOSE, handle=2)		# what is withdrawn and still open is not offered anew

# A new pool whose directory hangs is looked at by a thread of its own.
hung = lambda: open(DIR + "/rssrv.out").read().count("configuration read again")
before = hung()
reload(text + "\n[pool hung]\npath = %s\n[pool quick]\npath = %s\n" % (DIR + "/../c/mnt/inner/.rsio", DIR + "/quick"))
check("a new pool whose file system hangs keeps nothing waiting", wait_until(lambda: hung() > before, 20))
pools = lambda: {p["name"]: p["volumes"] for p in status()["pools"]}
check("and another new one is opened", wait_until(lambda: pools().get("quick") == 1, 20), pools())
is_("the one that hangs is not there yet", "hung" in pools(), False)
check("and the log says what it waits for", "hung: %s is being opened" % (DIR + "/../c/mnt/inner/.rsio") in open(DIR + "/rssrv.out").read())
check("what is in the other is offered", wait_until(lambda: "fresh" in [v.name for v in c.list()]), [v.name for v in c.list()])
reload(text.replace("/ledger.raw\n", "/ledger.raw\nclients = node2\n"))
check("a further configuration takes effect", wait_until(lambda: read(a, 1) == "NO_VOLUME", 20), read(a, 1))
check("which has no new pools", wait_until(lambda: "quick" not in pools(), 20), pools())
os.kill(tree, signal.SIGCONT)
threads[-1].join(10)
check("nor, when it goes on, the one that hung",
      wait_until(lambda: "hung: no" in open(DIR + "/rssrv.out").read(), 20) and "hung" not in pools(), pools())
reload(text)
check("when the file goes on, what was given back is there again",
      wait_until(lambda: {v.name for v in c.list()} == {"ledger", "going", "stuck"}, 15), [v.name for v in c.list()])
c.open("ledger", handle=1)
is_("and can be written to", write(c, 1), "OK")
EOT
done_testing
