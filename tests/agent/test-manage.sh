#!/bin/bash
# Volumes that clients make, grow, rename and remove: each op to its end, sent twice, asked
# about by another node, by a thousand at once, over a restart, and cancelled.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/agent.sh"
requires_program rssrv

write_server_conf "$W" client=boss client=second portals=2
sed -i "s/^second .*/second $(new_key)/" "$W/rssrvcfg"
start_server "$W"

cat >"$W/jobs.py" <<'EOT'
import threading
M = 1 << 20

def fails(name, code, call, about=""):
    try:
        call()
    except Failed as e:
        is_(name, e.code, code)
        check(name + ": which is named", about in e.text, e.text)
        return e
    check(name, False, "it was not refused")

def files():
    return sorted(n for n in os.listdir(DIR + "/pool") if not n.startswith("."))

def listed(c):
    return {v.name: v.size for v in c.list()}
EOT

PYTHONPATH=$W scenario "$W" <<'EOT'
exec(open(DIR + "/jobs.py").read())
boss, second = Node("boss").login(), Node("second").login()

# To the end, with what other clients are told.
is_("create says what there is now", boss.work("create", volume="a", size=3 * M), {"volumes": ["a"], "pool": "main"})
is_("it is listed", listed(boss), {"a": 3 * M})
is_("as a file and its identity", files(), ["a.meta", "a.raw"])
e = next_event(second, EV_ADDED)
is_("another client is told", (e.name, e.size), ("a", 3 * M))
second.open("a")
is_("and reads zeroes", second.read(M, 4096), bytes(4096))
boss.work("resize", volume="a", size=5 * M)
e = next_event(second, EV_RESIZED)
is_("it grows under who has it open", (e.name, e.size), ("a", 5 * M))
second.write(5 * M - 512, b"x" * 512)
fails("not smaller without confirm", "EPERM", lambda: boss.work("resize", volume="a", size=M))
fails("nor while it is open", "EBUSY", lambda: boss.work("resize", volume="a", size=M, confirm="a"), "second")
fails("nor renamed", "EBUSY", lambda: boss.work("rename", volume="a", to="b"), "second")
fails("nor removed", "EBUSY", lambda: boss.work("remove", volume="a", confirm="a"), "second")
is_("who has it open is asked for, too", boss.control("volume", name="a")["volume"]["open_by"], ["second"])
second.must(CLOSE, handle=1)
uuid = boss.control("volume", name="a")["volume"]["uuid"]
is_("rename", boss.work("rename", volume="a", to="b"), {"volumes": ["b"], "pool": "main"})
is_("the UUID stays", boss.control("volume", name="b")["volume"]["uuid"], uuid)
boss.work("resize", volume="b", size=M, confirm="b")
is_("smaller, confirmed", listed(second), {"b": M})
boss.work("label", volume="b", text="the \u00e9lan of b")
is_("label", boss.control("volume", name="b")["volume"]["label"], "the \u00e9lan of b")
boss.work("label", volume="b", text="")
is_("none", boss.control("volume", name="b")["volume"]["label"], "")
boss.work("access", volume="b", clients=["boss"])
is_("access is taken from the other", (listed(second), listed(boss)), ({}, {"b": M}))
fails("which finds nothing to remove", "ENOENT", lambda: second.work("remove", volume="b", confirm="b"))
boss.work("access", volume="b", clients=["boss", "second:ro"])
is_("given to read", second.list()[0].flags & F_READ_ONLY, F_READ_ONLY)
boss.work("access", volume="b", clients=None)
is_("given back", second.list()[0].flags, 0)
boss.work("schedule", volume="b", every=3600, keep=24)
scheduled = boss.control("volume", name="b")["volume"]["schedule"]
is_("schedule", (scheduled["every"], scheduled["keep"]), (3600, 24))
boss.work("limit", volume="b", iops=500, client="second")
boss.work("limit", volume="b", iops=900, client="boss")
boss.work("label", volume="b", text="gold")
boss.work("access", volume="b", clients=["boss", "second:ro"])
more = lambda c: [(v["label"], v.get("clients"), sorted(v["limits"]["clients"])) for v in c.control("volumes")["volumes"]]
is_("the list of all has label, clients and limits", more(boss), [("gold", ["boss", "second:ro"], ["boss", "second"])])
boss.work("label", volume="b", text="")
is_("as they are now", more(boss)[0][0], "")
boss.work("schedule", volume="b", every=0)
is_("no more", boss.control("volume", name="b")["volume"]["schedule"], None)
fails("what is there is not made again", "EEXIST", lambda: boss.work("create", volume="b", size=M))
is_("but if it is missing", boss.work("create", volume="b", size=M, if_missing=True)["volumes"], ["b"])
boss.work("remove", volume="b", confirm="b", snapshots=True)	# the schedule may have had the time for one
is_("remove leaves nothing", (listed(boss), files()), ({}, []))
fails("nothing of it", "ENOENT", lambda: boss.work("remove", volume="b", confirm="b"))
boss.work("create", volume="p", size=2 * M, preallocate=True)
check("preallocated", boss.control("volume", name="p")["volume"]["allocated"] >= 2 * M)
check("the list of all says so, too", wait_until(lambda: [v["allocated"] >= 2 * M for v in boss.control("volumes")["volumes"]] == [True]))
fails("more than the pool has", "ENOSPC", lambda: boss.work("create", volume="huge", size=1 << 60))
fails("nor grown so", "ENOSPC", lambda: boss.work("resize", volume="p", size=1 << 60))
is_("which leaves nothing", files(), ["p.meta", "p.raw"])

# One id is one job.
ID = os.urandom(16).hex()
a = boss.start_work("create", ID, volume="once", size=M)
b = boss.start_work("create", ID, volume="once", size=M)
is_("the same job", (a["id"], b["id"], b["op"]), (ID, ID, "create"))
is_("which is done", boss.wait_job(ID)["state"], "done")
is_("and done it stays", boss.start_work("create", ID, volume="once", size=M)["state"], "done")
other = Node("boss").login
twice = boss.start_work("create", ID, size=M, volume="once")
is_("in whatever order it is written", twice["state"], "done")
fails("another wish is another job", "EEXIST", lambda: boss.start_work("create", ID, volume="two", size=M), ID)
fails("another node's is not there", "ENOENT", lambda: second.job(ID), "second has no job")
fails("to cancel either", "ENOENT", lambda: second.cancel(ID))
fails("nor does the id make it done", "EEXIST", lambda: second.work("create", os.urandom(16).hex(), volume="once", size=M))
over = Node("boss", **{k: v for k, v in dict(life=boss.life, run=boss.run).items()})
c = over.login(boss.session, portal=1)
is_("another connection asks about it", c.job(ID)["state"], "done")
is_("cancelled too late", boss.cancel(ID)["state"], "done")
failed = boss.start_work("create", volume="once", size=M)["id"]
is_("a failure is a state, with its error", (boss.wait_job(failed)["state"], boss.job(failed)["error"]["code"]), ("failed", "EEXIST"))

# A thousand at once: so many are taken, and the other node has its turn.
cookies = [boss.start(CONTROL, json.dumps(dict(do="start", id=os.urandom(16).hex(),
           work=dict(op="create", volume="n%04d" % i, size=512))).encode()) for i in range(1000)]
second.work("create", volume="mine", size=512)
answers = [json.loads(boss.wait(k).payload) for k in cookies]
taken = [a["job"]["id"] for a in answers if "job" in a]
full = [a["error"] for a in answers if "error" in a]
check("some are taken, others refused", len(taken) >= 32 and full, (len(taken), len(full)))
is_("with EAGAIN", {e["code"] for e in full}, {"EAGAIN"})
check("and the limit", "32 jobs" in full[0]["text"], full[0])
check("those that were taken end", wait_until(lambda: sum(n.startswith("n") and n.endswith(".raw") for n in files()) == len(taken)))
kept = []
for ident in taken:
    try:
        kept.append(boss.wait_job(ident)["state"])		# the file is there a moment before the job has ended
    except Failed as e:
        is_("of a forgotten one it is said", e.code, "ENOENT") if not kept or kept[-1] != "gone" else None
        kept.append("gone")
is_("those that are known are done", set(kept) - {"gone"}, {"done"})
check("at most 64 are kept", 0 < kept.count("done") <= 64, kept.count("done"))
is_("the other's was, too", "mine" in listed(second), True)
for n in [n for n in listed(boss) if n.startswith("n")]:
    boss.work("remove", volume=n, confirm=n)
is_("and all are removed", files(), ["mine.meta", "mine.raw", "once.meta", "once.raw", "p.meta", "p.raw"])
open(DIR + "/id", "w").write(ID)
boss.bye()
EOT
check "the audit has who was granted what" grep -q 'create of a, 3145728 bytes by boss from 127.0.0.1 granted' "$W/rssrv.out"
check "what came of it" grep -q 'rename of a to b by boss from 127.0.0.1 done' "$W/rssrv.out"
check "and what failed" grep -q 'remove of a by boss from 127.0.0.1 failed: .*second' "$W/rssrv.out"

# A start that is sent again to a server that was started anew is done, not made twice.
kill_server "$W"
start_server "$W"
PYTHONPATH=$W scenario "$W" <<'EOT'
exec(open(DIR + "/jobs.py").read())
boss = Node("boss").login()
ID = open(DIR + "/id").read()
fails("a server that was started anew knows no jobs", "ENOENT", lambda: boss.job(ID))
before = boss.control("volume", name="once")["volume"]["uuid"]
is_("the same again is done already", boss.work("create", ID, volume="once", size=M)["volumes"], ["once"])
is_("and not made anew", boss.control("volume", name="once")["volume"]["uuid"], before)
boss.work("rename", os.urandom(16).hex(), volume="once", to="first")
again = os.urandom(16).hex()
boss.work("rename", again, volume="first", to="later")
open(DIR + "/id", "w").write(again)
EOT
kill_server "$W"
start_server "$W"
PYTHONPATH=$W scenario "$W" <<'EOT'
exec(open(DIR + "/jobs.py").read())
boss = Node("boss").login()
is_("nor is a rename made twice", boss.work("rename", open(DIR + "/id").read(), volume="first", to="later")["volumes"], ["later"])
fails("one of another id is", "ENOENT", lambda: boss.work("rename", os.urandom(16).hex(), volume="first", to="later"))
gone = os.urandom(16).hex()
boss.work("remove", gone, volume="later", confirm="later")
open(DIR + "/id", "w").write(gone)
EOT
kill_server "$W"
start_server "$W"
PYTHONPATH=$W scenario "$W" <<'EOT'
exec(open(DIR + "/jobs.py").read())
boss = Node("boss").login()
is_("a removal was done", boss.work("remove", open(DIR + "/id").read(), volume="later", confirm="later"), None)
fails("another one has nothing to remove", "ENOENT", lambda: boss.work("remove", volume="later", confirm="later"))
about = lambda name: boss.control("volume", name=name)["volume"]
for v in ("first", "second", "grown", "back"):
    boss.work("create", volume=v, size=2 * M)
    boss.work("snapshot", volumes=[v], name="s")
c = Node("second").login()
c.open("back")
c.write(0, b"newer".ljust(512))
c.must(CLOSE, handle=1)
json.dump({v: about(v) for v in ("first", "second", "grown", "back", "first@s")}, open(DIR + "/seen", "w"))
back, sent = about("back"), os.urandom(16).hex()
boss.work("rollback", sent, volume="back", snapshot="s", confirm="back", uuid=back["uuid"], generation=back["generation"])
open(DIR + "/id", "w").write(sent)
EOT

# What is sent again to a server that was started anew means the volume that it meant, not what has the name by then.
kill_server "$W"
start_server "$W"
PYTHONPATH=$W scenario "$W" <<'EOT'
exec(open(DIR + "/jobs.py").read())
boss, sent = Node("boss").login(), open(DIR + "/id").read()
seen = json.load(open(DIR + "/seen"))
meant = lambda name: dict(volume=name, uuid=seen[name]["uuid"])
whole = lambda name: dict(meant(name), generation=seen[name]["generation"])
back = lambda ident: boss.work("rollback", ident, snapshot="s", confirm="back", **whole("back"))
read = lambda: (c.open("back"), c.read(0, 5), c.must(CLOSE, handle=1))[1]
c = Node("second").login()
is_("a rollback was done", (back(sent), read()), (None, bytes(5)))
c.open("back")
c.write(0, b"after".ljust(512))
c.must(CLOSE, handle=1)
boss.work("label", volume="back", text="so that another request was the last")
fails("it is not done again, when nobody knows it any more", "ESTALE", lambda: back(os.urandom(16).hex()), "other content")
is_("what was written since is there", read(), b"after")
boss.work("resize", volume="back", size=M, confirm="back")
boss.work("resize", volume="back", size=2 * M)
cut = lambda **m: boss.work("resize", size=M, confirm="back", **m)
fails("nor cut, of another generation", "ESTALE", lambda: cut(**whole("back")), "back has other content")
is_("so it has its size", listed(boss)["back"], 2 * M)

boss.work("remove", volume="first", confirm="first", snapshots=True)
boss.work("create", volume="first", size=2 * M)
boss.work("snapshot", volumes=["first"], name="s")
boss.work("rename", volume="second", to="moved")
boss.work("create", volume="second", size=2 * M)
files_before = files()
for op, more in (("remove", dict(confirm="first", snapshots=True)), ("rename", dict(to="x")), ("resize", dict(size=4 * M)),
                 ("resize", dict(size=M, confirm="first")), ("rollback", dict(snapshot="s", confirm="first")),
                 ("clone", dict(to="x")), ("copy", dict(to="x")), ("label", dict(text="x")), ("access", dict(clients=["boss"])),
                 ("limit", dict(iops=9)), ("schedule", dict(every=3600, keep=2))):
    fails("%s of another volume of that name" % op, "ENOENT", lambda: boss.work(op, **dict(meant("first"), **more)), "is another one")
    fails("%s of one that was renamed" % op, "ESTALE",
          lambda: boss.work(op, **dict(meant("second"), **{k: "second" if k == "confirm" else m for k, m in more.items()})), "is moved by now")
fails("removal of another snapshot of that name", "ENOENT",
      lambda: boss.work("snapshot_remove", volume="first", snapshot="s", uuid=seen["first@s"]["uuid"]), "is another one")
is_("nothing was changed by that", (files(), listed(boss)["first"]), (files_before, 2 * M))
boss.work("resize", size=3 * M, **meant("grown"))
is_("the right one is", listed(boss)["grown"], 3 * M)
fails("what is no UUID", "EINVAL", lambda: boss.work("remove", volume="first", confirm="first", uuid="1"), '"uuid"')
fails("what is no generation", "EINVAL", lambda: boss.work("resize", volume="first", size=M, generation="-1"), '"generation"')
EOT
done_testing
