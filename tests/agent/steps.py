"""What test-steps.sh tries with rssrv --steps.

    steps.py DIR RSSRV PART

Runs in a mount namespace of its own, as root.  Each result is a line, "ok NAME" or "not ok NAME".
"""
import hashlib
import json
import os
import select
import shutil
import signal
import stat
import subprocess
import sys
import time

DIR, RSSRV, PART = sys.argv[1:4]
TREE, STATE = DIR + "/tree", DIR + "/state"
SLOW = int(os.environ.get("RSIO_SLOW", "1"))


def check(name, true, detail=""):
    print("%s %s" % ("ok" if true else "not ok", name))
    if not true:
        print(detail)
    sys.stdout.flush()
    return true


def is_(name, got, expected):
    return check(name, got == expected, "got %r\nnot %r" % (got, expected))


class Run:
    """One rssrv --steps."""

    def __init__(self, state=STATE, program=RSSRV, **options):
        self.child = subprocess.Popen([program, "--steps", state], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE, **options)
        self.pending = b""

    def send(self, line):
        self.child.stdin.write(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n")
        self.child.stdin.flush()

    def answer(self, seconds=60):
        while b"\n" not in self.pending:
            if not select.select([self.child.stdout], [], [], seconds * SLOW)[0]:
                raise TimeoutError("no answer; so far %r" % self.pending)
            data = os.read(self.child.stdout.fileno(), 65536)
            if not data:
                return None
            self.pending += data
        line, self.pending = self.pending.split(b"\n", 1)
        return json.loads(line)

    def do(self, what, **values):
        self.send(dict(do=what, **{k.rstrip("_"): v for k, v in values.items()}))
        return self.answer()

    def rest(self):
        """What else it says, and how it ends."""
        said = []
        while (line := self.answer()) is not None:
            said.append(line)
        self.child.stdin.close()
        return said, self.child.wait(60 * SLOW)

    def undo(self):
        self.send({"do": "undo"})
        return self.rest()

    def end(self):
        self.child.stdin.close()
        said = []
        while (line := self.answer()) is not None:
            said.append(line)
        return said, self.child.wait(60 * SLOW)


def undo_after():
    r = subprocess.run([RSSRV, "--steps-undo", STATE], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60 * SLOW)
    return [json.loads(line) for line in r.stdout.splitlines()], r.returncode


def describe(path):
    st = os.lstat(path)
    words = [stat.filemode(st.st_mode), st.st_uid, st.st_gid, st.st_nlink if not stat.S_ISDIR(st.st_mode) else 0]
    if stat.S_ISREG(st.st_mode):
        with open(path, "rb") as f:
            words.append(hashlib.sha256(f.read()).hexdigest())
        words += [st.st_mtime_ns, st.st_ino]
    elif stat.S_ISLNK(st.st_mode):
        words.append(os.readlink(path))
    return words


def look(*tops):
    """All that is in these trees; files with their times and numbers, so that a copy is not the same."""
    found = {}
    for top in tops or (TREE,):
        found[top] = describe(top)
        for at, dirs, files in os.walk(top):
            for name in dirs + files:
                found[os.path.join(at, name)] = describe(os.path.join(at, name))
    return found


def differences(before, after):
    return sorted("%s: %r, was %r" % (p, after.get(p), before.get(p)) for p in before.keys() | after.keys()
                  if before.get(p) != after.get(p))


def is_as_before(name, before, *tops):
    d = differences(before, look(*tops))
    return check(name, not d and not os.listdir(STATE), "\n".join(d + os.listdir(STATE)))


def put(path, text="", mode=0o644, owner=(0, 0)):
    with open(path, "w") as f:
        f.write(text)
    os.chown(path, *owner)
    os.chmod(path, mode)


def make_tree():
    for d in TREE, STATE:
        subprocess.run(["umount", "-q", d], stderr=subprocess.DEVNULL)
        shutil.rmtree(d, ignore_errors=True)
    os.makedirs(TREE + "/etc")
    os.mkdir(STATE, 0o700)
    fill_tree()


def fill_tree():
    os.makedirs(TREE + "/etc", exist_ok=True)
    put(TREE + "/etc/conf", "old\n", 0o640, (1, 2))
    put(TREE + "/etc/same", "same\n", 0o600)
    os.symlink("conf", TREE + "/etc/link")
    os.mkdir(TREE + "/empty", 0o711)
    os.chown(TREE + "/empty", 3, 4)
    os.makedirs(TREE + "/full/deep/er")
    put(TREE + "/full/deep/file", "x" * 5000)
    os.symlink("/nowhere", TREE + "/full/broken")
    os.mkdir(TREE + "/owned", 0o700)
    os.chown(TREE + "/owned", 5, 6)


ALL = [
    dict(do="directory", path=TREE + "/new/in/new", mode="2750", owner="daemon:daemon"),
    dict(do="directory", path=TREE + "/owned", mode="0751", owner="7:8"),
    dict(do="file", path=TREE + "/new/in/new/file", text="hello\n", mode="0600", owner="daemon:daemon"),
    dict(do="file", path=TREE + "/etc/conf", text="new\n", mode="0644"),
    dict(do="file", path=TREE + "/etc/same", text="same\n", mode="0644"),
    dict(do="file", path=TREE + "/new/rssrv", mode="0755", from_="rssrv"),
    dict(do="link", path=TREE + "/etc/link", to="elsewhere"),
    dict(do="link", path=TREE + "/etc/link2", to="/else/where"),
    dict(do="remove", path=TREE + "/etc/conf"),
    dict(do="file", path=TREE + "/etc/conf", text="again\n"),
    dict(do="file", path=TREE + "/etc/conf", text="and again\n"),
    dict(do="remove", path=TREE + "/etc/link2"),
    dict(do="remove", path=TREE + "/empty"),
    dict(do="remove-tree", path=TREE + "/full"),
    dict(do="directory", path=TREE + "/full"),
    dict(do="run", argv=["mkdir", TREE + "/run"], undo=["rm", "-rf", TREE + "/run"]),
]
# Without those before them they fail, or have nothing to do.
NOT_ALONE = [TREE + p for p in ("/new/in/new/file", "/new/rssrv", "/etc/link2")]
for step in ALL:
    if "from_" in step:
        step["from"] = step.pop("from_")


def do_all(run, steps=None):
    said = [run.do("hello")]
    for s in steps or ALL:
        run.send(s)
        said.append(run.answer())
    return said


def part_undo():
    os.makedirs(DIR + "/quiet")
    os.mkdir(DIR + "/quiet.state", 0o700)
    quiet = Run(DIR + "/quiet.state")
    do_all(quiet, [dict(do="file", path=DIR + "/quiet/file", text="")])

    make_tree()
    before = look()
    run = Run()
    said = do_all(run)
    check("all steps are done", all(a["ok"] for a in said), said)
    check("each has changed something", all(a.get("changed", True) for a in said[1:]), said)
    said, status = run.undo()
    is_("undo says so", (said[-1]["ok"], len(said), status), (True, 1, 0))
    is_as_before("undo: the tree is as it was", before)

    for s in ALL:
        if s.get("path", "") in NOT_ALONE:
            continue
        make_tree()
        before = look()
        run = Run()
        do_all(run, [s])
        if s != ALL[14]:
            check("step %s: changes %s" % (s["do"], s.get("path", "")), differences(before, look()))
        run.undo()
        is_as_before("step %s: and is undone" % s["do"], before)

    for name, way in dict(end=Run.end, HUP=lambda r: (r.child.send_signal(signal.SIGHUP), r.rest())[1],
                          TERM=lambda r: (r.child.send_signal(signal.SIGTERM), r.rest())[1],
                          INT=lambda r: (r.child.send_signal(signal.SIGINT), r.rest())[1]).items():
        make_tree()
        before = look()
        run = Run()
        do_all(run)
        said, status = way(run)
        is_("%s: it is said, and why" % name, (said[-1]["ok"], "why" in said[-1], status), (True, True, 1))
        is_as_before("%s: the tree is as it was" % name, before)

    make_tree()
    before = look()
    run = Run()
    do_all(run)
    run.child.stdout.close()
    run.child.stdin.close()
    run.child.wait(60 * SLOW)
    is_as_before("nobody reads the answers: the tree is as it was", before)

    make_tree()
    before = look()
    run = Run()
    do_all(run)
    run.send(b'{"do":"commit"}')
    run.end()
    is_as_before("half a commit is none", before)

    make_tree()
    run = Run()
    do_all(run)
    is_("commit is answered", run.do("commit"), {"ok": True})
    is_("and the last", run.rest(), ([], 0))
    now = look()
    check("nothing put aside is left", not [p for p in now if ".rsio-" in p] and not os.listdir(STATE), now.keys())
    is_("what was made is there", (open(TREE + "/etc/conf").read(), os.readlink(TREE + "/etc/link"),
                                   now[TREE + "/new/in/new"][:3], now[TREE + "/new"][:3], os.listdir(TREE + "/full")),
        ("and again\n", "elsewhere", ["drwxr-s---", 1, 1], ["drwxr-xr-x", 0, 0], []))
    run = Run()
    said = do_all(run, [s for s in ALL if s["do"] in ("directory", "file") and "conf" not in s["path"]])
    check("a second time nothing changes", not any(a.get("changed") for a in said), said)
    is_("and nothing is to be undone", run.undo()[0][-1]["undone"], 0)

    said, status = quiet.rest()
    is_("silence: it is said, and why", (said[-1]["ok"], said[-1]["why"], status), (True, "nothing came for 20 s", 1))
    is_("silence: the tree is as it was", os.listdir(DIR + "/quiet") + os.listdir(DIR + "/quiet.state"), [])


globals()["part_" + PART]()
