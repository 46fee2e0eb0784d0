#!/bin/bash
# Snapshots, rollback, clones and copies as clients ask for them: what they hold, whom they
# are shown to, which pools and names they may be in.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/agent.sh"
requires_program rssrv

write_server_conf "$W" client=boss client=user
sed -i "s/^user .*/user $(new_key)/" "$W/rssrvcfg"
mkdir "$W/own"
printf '\n[pool own]\npath = %s\nmanage = user\n' "$W/own" >>"$W/rssrvcfg"
sed -i "s|^path = $W/pool|&\nmanage = boss|" "$W/rssrvcfg"
start_server "$W"

scenario "$W" <<'EOT'
M = 1 << 20
boss, user = (Node(n).login(snapshots=True) for n in ("boss", "user"))

def fails(name, code, call, about=""):
    try:
        call()
    except Failed as e:
        is_(name, e.code, code)
        check(name + ": which is named", about in e.text, e.text)
        return
    check(name, False, "it was not refused")

def names(c=boss):
    return sorted(v["name"] for v in c.control("volumes")["volumes"])

def content(name, n=4, c=user):
    c.open(name, handle=9, read_only=True)
    data = c.read(0, n, 9)
    c.must(CLOSE, handle=9)
    return data

for v in "ab":
    boss.work("create", volume=v, size=M)
    boss.open(v, handle=ord(v))
    boss.write(0, v.encode() * 4, handle=ord(v))
r = boss.work("snapshot", volumes=["a", "b"], name="monday")
is_("a snapshot of two", (r["snapshots"], r["pool"]), (["a@monday", "b@monday"], "main"))
check("says how long writes were held", 0 <= r["held"] < 1, r)
boss.write(0, b"AAAA", handle=ord("a"))
is_("it has what was", (content("a@monday"), content("a")), (b"aaaa", b"AAAA"))
fails("it is taken once", "EEXIST", lambda: boss.work("snapshot", volumes=["a"], name="monday"), "monday")
fails("of several all or none", "EEXIST", lambda: boss.work("snapshot", volumes=["b", "a"], name="monday"))
boss.work("snapshot", volumes=["a"], name="tuesday", hold_limit=0.5)
s = boss.control("volume", name="a")["volume"]["snapshots"]
is_("both are told of, the oldest first", [x["name"] for x in s], ["monday", "tuesday"])
check("with their times", all(x["taken"].endswith("Z") and x["size"] == M for x in s), s)
times = lambda x: (x["taken"], x["taken_seconds"])
is_("which one alone has in the same form", times(boss.control("volume", name="a@" + s[0]["name"])["volume"]), times(s[0]))
is_("the number is the text's", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(s[0]["taken_seconds"])), s[0]["taken"])
is_("volumes are listed without them", names(), ["a", "b"])
is_("one is asked for by its name", boss.control("volume", name="a@monday")["volume"]["size"], M)
fails("of volumes that are not there none", "ENOENT", lambda: boss.work("snapshot", volumes=["a", "x"], name="no"), "x")
fails("without the right none", "EACCES", lambda: user.work("snapshot", volumes=["a"], name="no"), "manage pool main")
fails("a snapshot cannot be written to by another name", "EINVAL", lambda: boss.work("resize", volume="a@monday", size=2 * M))
fails("what has snapshots is not removed", "ENOTEMPTY", lambda: boss.work("remove", volume="a", confirm="a"), "2 snapshots")
fails("nor rolled back while it is open", "EBUSY", lambda: boss.work("rollback", volume="a", snapshot="monday", confirm="a"), "boss")
for v in "ab":
    boss.must(CLOSE, handle=ord(v))
before = boss.control("volume", name="a")["volume"]["generation"]
boss.work("rollback", volume="a", snapshot="monday", confirm="a")
is_("rolled back", content("a"), b"aaaa")
check("to another generation", boss.control("volume", name="a")["volume"]["generation"] != before)
fails("to one that is there", "ENOENT", lambda: boss.work("rollback", volume="a", snapshot="friday", confirm="a"), "friday")
fails("with its snapshots it stays", "ENOTEMPTY", lambda: boss.work("remove", volume="a", confirm="a"))

# Clones.
is_("a clone", boss.work("clone", volume="a", to="c")["volumes"], ["c"])
is_("of a snapshot", boss.work("clone", volume="b@monday", to="d")["pool"], "main")
is_("have its content", (content("c"), content("d")), (b"aaaa", b"bbbb"))
is_("twelve", boss.work("clone", volume="a@monday", prefix="desk-", count=12)["volumes"], ["desk-%02d" % i for i in range(1, 13)])
is_("are there", len(names()), 4 + 12)
boss.open("desk-07", handle=1)
boss.write(0, b"mine", handle=1)
is_("each for itself", (content("desk-07"), content("desk-08"), content("a")), (b"mine", b"aaaa", b"aaaa"))
fails("all or none", "EEXIST", lambda: boss.work("clone", volume="a", prefix="desk-", count=99))
is_("none", len(names()), 4 + 12)
fails("too long a name", "EINVAL", lambda: boss.work("clone", volume="a", prefix="x" * 39, count=10), "prefix")
fails("in another pool it is a copy", "EXDEV", lambda: user.work("clone", volume="a", to="e", pool="own"), "copy")
fails("who may not manage the pool makes none", "EACCES", lambda: user.work("clone", volume="a", to="e"))

# Copies.
is_("a copy into a pool of one's own needs to be seen only", user.work("copy", volume="a@monday", to="copy", pool="own"), {"volumes": ["copy"], "pool": "own"})
is_("it has the content", content("copy"), b"aaaa")
is_("and is in that pool", user.control("volume", name="copy")["volume"]["pool"], "own")
fails("not the other way", "EACCES", lambda: boss.work("copy", volume="a", to="x", pool="own"))
boss.work("access", volume="b", clients=["boss"])
fails("nor a snapshot with one there", "EACCES", lambda: boss.work("snapshot", volumes=["a", "copy"], name="no"), "manage pool own")
fails("in whichever order", "EACCES", lambda: user.work("snapshot", volumes=["copy", "a"], name="no"), "manage pool main")
fails("nor of what one does not see", "ENOENT", lambda: user.work("copy", volume="b", to="x", pool="own"))
fails("nor its snapshots", "ENOENT", lambda: user.work("copy", volume="b@monday", to="x", pool="own"))
boss.work("copy", volume="b", to="bb")
fails("a copy is for whom its source is", "ENOENT", lambda: user.control("volume", name="bb"))

# Away with them.
boss.work("snapshot_remove", volume="a", snapshot="tuesday")
fails("a removed one is gone", "ENOENT", lambda: boss.work("snapshot_remove", volume="a", snapshot="tuesday"))
is_("one is left", [x["name"] for x in boss.control("volume", name="a")["volume"]["snapshots"]], ["monday"])
boss.work("remove", volume="a", confirm="a", snapshots=True)
check("or all go together", "a" not in names())
fails("the snapshot, too", "ENOENT", lambda: boss.control("volume", name="a@monday"))
is_("its clones stay", content("desk-08"), b"aaaa")
EOT
done_testing
