#!/bin/bash
# Requests for work on pools and volumes that are refused: what is no such request, whose
# right is missing, what nobody may see.  Nothing of them is left, and each is in the audit.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/agent.sh"
requires_program rssrv

write_server_conf "$W" client=boss client=user client=stranger client=deputy
sed -i "s/^user .*/user $(new_key)/; s/^stranger .*/stranger $(new_key)/; s/^deputy .*/deputy $(new_key)/" "$W/rssrvcfg"
mkdir "$W/other"
{
	printf 'manage = boss deputy\nclients = boss user deputy\n'
	printf '\n[pool other]\npath = %s\nmanage = boss\n' "$W/other"
	printf '\n[volume section]\npath = %s\n' "$W/section.raw"
	printf '\n[volume secret]\npath = %s\nclients = stranger\n' "$W/secret.raw"
} >>"$W/rssrvcfg"
truncate -s 1M "$W/section.raw" "$W/secret.raw"
make_volume "$W" old 1M
start_server "$W"

scenario "$W" <<'EOT'
boss, user, stranger = (Node(n).login() for n in ("boss", "user", "stranger"))
ID = "0123456789abcdef" * 2
files = lambda: sorted(n for n in os.listdir(DIR + "/pool") if not n.startswith("."))
before = files()

def no(name, code, call, about=""):
    """It ends with that error, at once or as a job."""
    try:
        call()
    except Failed as e:
        is_(name, e.code, code)
        check(name + ": which is named", about in e.text, e.text)
        return e
    check(name, False, "it was not refused")

# What is asked, in form.
start = lambda **m: boss.control("start", **m)
work = dict(op="create", volume="new", pool="main", size=1 << 20)
for name, ident in (("no id", None), ("a number for an id", 7), ("a short id", "ab"), ("an id of other characters", "x" * 32),
                    ("a large one", "A" * 32), ("a long one", "a" * 33)):
    no(name, "EINVAL", lambda: start(id=ident, work=work), "32 hexadecimal")
for name, w in (("no work", None), ("work that is a text", "create"), ("a list", [work]), ("no op", {}), ("an op that is none", {"op": 1})):
    no(name, "EINVAL", lambda: start(id=ID, work=w), '"work"')
no("an unknown op", "EOPNOTSUPP", lambda: start(id=ID, work={"op": "dance"}), "dance")
no("another type for attended", "EINVAL", lambda: start(id=ID, work=work, attended=1), "attended")
BAD = [("volume", v) for v in (None, 1, True, [], {}, "", ".x", "-x", "a" * 41, "a/b", "a b", "\u00e4", "a@b", "../x")]
BAD += [("size", v) for v in (None, "1G", 1.5, True, 0, -512, 511, 513, (1 << 63) - 511, 2 ** 63 - 1, [1])]
BAD += [("pool", v) for v in (1, "", "a/b")] + [("preallocate", 1), ("if_missing", "yes")]
for member, value in BAD:
    no("create with %s %r" % (member, value), "EINVAL", lambda: boss.work(**dict(work, **{member: value})), '"%s"' % member)
for missing in ("volume", "size"):
    no("create without " + missing, "EINVAL", lambda: boss.work(**{k: v for k, v in work.items() if k != missing}), missing)
no("a member that create does not have", "EINVAL", lambda: boss.work(**work, sise=1), "sise")
refused("a size beyond what JSON here has", E_INVALID, lambda: boss.work(**dict(work, size=2 ** 63)))
refused("a name in other characters", E_INVALID,
        lambda: boss.must(CONTROL, b'{"do":"start","id":"%s","work":{"op":"create","volume":"\xff","size":512}}' % ID.encode()))
refused("the same member twice", E_INVALID, lambda: boss.must(CONTROL, b'{"do":"volumes","do":"pools"}'))
refused("deep nesting", E_INVALID, lambda: boss.must(CONTROL, b'{"do":"start","work":' + b"[" * 5000 + b"]" * 5000 + b"}"))
refused("more than 64 KiB", E_INVALID, lambda: start(id=ID, work=dict(work, volume="v" * 65536)))
for name, w, about in (
        ("a snapshot of nothing", dict(op="snapshot", volumes=[], name="s"), "volumes"),
        ("of 1025", dict(op="snapshot", volumes=["v%d" % i for i in range(1025)], name="s"), "volumes"),
        ("of the same twice", dict(op="snapshot", volumes=["old", "old"], name="s"), "twice"),
        ("of a number", dict(op="snapshot", volumes=["old", 1], name="s"), "volumes"),
        ("under a bare number", dict(op="snapshot", volumes=["old"], name="42"), "digits"),
        ("held for ever", dict(op="snapshot", volumes=["old"], name="s", hold_limit=11), "hold_limit"),
        ("a clone to nothing", dict(op="clone", volume="old"), "to"),
        ("a clone to both", dict(op="clone", volume="old", to="a", prefix="b", count=1), "to"),
        ("a clone without a count", dict(op="clone", volume="old", prefix="b"), "count"),
        ("a thousand and one clones", dict(op="clone", volume="old", prefix="b", count=1001), "count"),
        ("a copy of a torn name", dict(op="copy", volume="old@", to="b"), "volume"),
        ("a removal without confirm", dict(op="remove", volume="old"), "confirm"),
        ("one that confirms another", dict(op="remove", volume="old", confirm="new"), "confirm"),
        ("access for nobody", dict(op="access", volume="old", clients=[]), "clients"),
        ("access for an unknown node", dict(op="access", volume="old", clients=["nobody"]), "nobody"),
        ("access for nobody who may change it", dict(op="access", volume="old", clients=["user", "stranger"]), "may manage pool main"),
        ("access of another kind", dict(op="access", volume="old", clients=["user:rx"]), "clients"),
        ("a label of 201", dict(op="label", volume="old", text="x" * 201), "text"),
        ("a schedule each second", dict(op="schedule", volume="old", every=1, keep=3), "every"),
        ("one that keeps none", dict(op="schedule", volume="old", every=3600), "keep")):
    no(name, "EINVAL", lambda: boss.work(**w), about)

# Who asks.
no("who lacks the right", "EACCES", lambda: user.work(**work), "user lacks the right to manage pool main")
no("of a volume that it may write to", "EACCES", lambda: user.work("resize", volume="old", size=2 << 20), "manage pool main")
no("in no pool at all", "EACCES", lambda: user.work("create", volume="new", size=512), "no pool")
no("a hidden volume", "ENOENT", lambda: boss.work("label", volume="secret", text="x"), "there is no volume secret here")
hidden = no("looks like one that is not there", "ENOENT", lambda: boss.work("label", volume="nothing", text="x"), "nothing")
no("who does not see a pool's volumes does not remove them", "ENOENT", lambda: stranger.work("remove", volume="old", confirm="old"), "old")
no("a [volume]", "EACCES", lambda: boss.work("label", volume="section", text="x"), "configuration")
no("a pool that is not there", "EACCES", lambda: boss.work("create", volume="new", pool="gone", size=512), "gone")
no("with two pools one has to be named", "EINVAL", lambda: boss.work("create", volume="new", size=512), "main, other")
for what in ("job", "cancel"):
    no("%s of an unknown id" % what, "ENOENT", lambda: boss.control(what, id=ID), ID)
    no("%s without an id" % what, "EINVAL", lambda: boss.control(what), "32 hexadecimal")
is_("nothing was made", files(), before)

# What there is.
pools = {p["name"]: p for p in boss.control("pools")["pools"]}
is_("who may manage sees both pools", sorted(pools), ["main", "other"])
is_("that are so large", [p["size"] > p["free"] > 0 for p in pools.values()], [True, True])
is_("and may", [p["manage"] for p in pools.values()], [True, True])
mine = {p["name"]: p["manage"] for p in user.control("pools")["pools"]}
is_("who may only use volumes sees whose it may", mine, {"main": False, "other": False})
is_("and not where they lie", [p.get("path") for p in user.control("pools")["pools"]], [None, None])
is_("who may do neither sees one less", [p["name"] for p in stranger.control("pools")["pools"]], ["other"])
is_("volumes are those that one may see", sorted(v["name"] for v in boss.control("volumes")["volumes"]), ["old", "section"])
is_("counted", boss.control("volumes")["total"], 2)
is_("from one on", (len(boss.control("volumes", **{"from": 1})["volumes"]), len(boss.control("volumes", **{"from": 9})["volumes"])), (1, 0))
v = boss.control("volume", name="old")["volume"]
is_("one of them", (v["name"], v["size"], v["pool"], v["open_by"], v["manage"]), ("old", 1 << 20, "main", [], True))
user.open("old")
is_("who has it open", boss.control("volume", name="old")["volume"]["open_by"], ["user"])
boss.open("old")
is_("another only knows of itself", user.control("volume", name="old")["volume"]["open_by"], ["user"])
no("a hidden one", "ENOENT", lambda: boss.control("volume", name="secret"), "no volume secret")
no("none", "EINVAL", lambda: boss.control("volume"), "name")
check("and the connections are what they were", boss.ping() and user.ping() and stranger.ping())
EOT
# What the manager of a pool may not see in it, it does not reach by what is allowed to pass for
# a request that is sent again: a new name that it sees, the id of the last change.
scenario "$W" <<'EOT'
boss = Node("boss").login()
boss.work("create", volume="theirs", pool="main", size=1 << 20)
boss.work("snapshot", volumes=["theirs"], name="snap")
boss.work("access", volume="theirs", clients=["user", "deputy"])
try:
    boss.work("rename", volume="theirs", to="old")
    check("a hidden volume is not renamed to one that is there", False)
except Failed as e:
    is_("a hidden volume is not renamed to one that is there", e.code, "ENOENT")
last = os.urandom(16).hex()
boss.work("create", last, volume="last", pool="main", size=1 << 20)
open(DIR + "/id", "w").write(last)
EOT
kill_server "$W"
start_server "$W"
scenario "$W" <<'EOT'
boss = Node("boss").login()
try:
    boss.work("remove", open(DIR + "/id").read(), volume="theirs", confirm="theirs")
    check("nor removed", False)
except Failed as e:
    is_("nor removed", e.code, "ENOENT")
check("its file is there", os.path.exists(DIR + "/pool/theirs.raw"))
names = lambda node: [v.name for v in Node(node).login(snapshots=True).list() if v.name.startswith("theirs")]
is_("its clients see its snapshot", sorted(names("user")), ["theirs", "theirs@snap"])
is_("and nobody else", names("boss"), [])
EOT
kill_server "$W"
echo damaged >"$W/pool/theirs.meta"
start_server "$W"
scenario "$W" <<'EOT'
boss = Node("boss").login(snapshots=True)
is_("nor when nobody knows any more whose it is", [v.name for v in boss.list() if "@" in v.name], [])
EOT
check "the audit says who lacked a right" grep -q 'create of new, 1048576 bytes by user from 127.0.0.1 refused: user lacks the right' "$W/rssrv.out"
check "and what was not understood" grep -q 'work by boss from 127.0.0.1 refused: this version of rssrv does not know the op "dance"' "$W/rssrv.out"
done_testing
