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
# Of a traced program the sanitizer cannot tell what leaks.
TRACED = dict(os.environ, ASAN_OPTIONS=os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0")


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


# Every call by which a step, an undo or the commit changes something, or makes it last.
CHANGES = ("openat,mkdirat,linkat,symlinkat,renameat,renameat2,unlinkat,fchown,fchownat,fchmod,fchmodat,fsync,fdatasync,"
           "pwrite64,ftruncate,write,rmdir,flock")


def count_calls(lines):
    """How many of these calls a run has, and which of them are its answers to the lines."""
    log = DIR + "/calls"
    subprocess.run(["strace", "-qq", "-o", log, "-e", "trace=" + CHANGES, RSSRV, "--steps", STATE], input=lines,
                   env=TRACED, stdout=subprocess.DEVNULL, timeout=60 * SLOW)
    calls = open(log).read().splitlines()
    return len(calls), [i for i, c in enumerate(calls) if c.startswith("write(1,")]


def killed_at(n, lines):
    """A run that is killed when it is about to make call number n."""
    subprocess.run(["strace", "-qq", "-o", "/dev/null", "-e", "trace=none", "-e",
                    "inject=%s:signal=KILL:when=%d" % (CHANGES, n), RSSRV, "--steps", STATE], input=lines,
                   env=TRACED, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60 * SLOW)


def picked(count):
    """All of them, or in make check some that the seed chooses."""
    every = 1 if os.environ.get("RSIO_LONG") else 19
    return range(1 + int(os.environ.get("RSIO_SEED", "1")) % every, count + 1, every)


def part_kill():
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", DIR], check=True)
    files = [s for s in ALL if s["do"] != "run"]
    lines = b"".join(json.dumps(s).encode() + b"\n" for s in [dict(do="hello")] + files)
    undo, commit = b'{"do":"undo"}\n', b'{"do":"commit"}\n'

    make_tree()
    before = look()
    count, _ = count_calls(lines + undo)
    make_tree()
    bad, tried = [], 0
    for n in picked(count):
        fresh_tree(before)
        start = look()
        killed_at(n, lines + undo)
        said, status = undo_after()
        d = differences(start, look())
        tried += 1
        if d or status or os.listdir(STATE):
            bad.append((n, d, said, os.listdir(STATE)))
    check("killed at any call of %d steps or of their undo (%d of %d tried): undone" % (len(files), tried, count),
          not bad, bad[:3])

    # Undoing is killed too, and once more.
    make_tree()
    bad = []
    for n in picked(count):
        fresh_tree(before)
        start = look()
        killed_at(count * 2 // 3, lines)
        for m in n, n // 2 + 1:
            subprocess.run(["strace", "-qq", "-o", "/dev/null", "-e", "trace=none", "-e",
                            "inject=%s:signal=KILL:when=%d" % (CHANGES, m), RSSRV, "--steps-undo", STATE],
                           env=TRACED, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60 * SLOW)
        said, status = undo_after()
        d = differences(start, look())
        if d or status or os.listdir(STATE):
            bad.append((n, d, said, os.listdir(STATE)))
    check("an undo that is killed twice is done by the next one", not bad, bad[:3])

    # All or nothing.
    make_tree()
    count, _ = count_calls(lines + commit)
    after = {p: w for p, w in look().items()}
    paths = set(after)
    bad, outcomes = [], set()
    for n in picked(count):
        fresh_tree(before)
        start = look()
        killed_at(n, lines + commit)
        undo_after()
        now = look()
        if not differences(start, now):
            outcomes.add("before")
        elif set(now) == paths and open(TREE + "/etc/conf").read() == "and again\n":
            outcomes.add("after")
        else:
            bad.append((n, sorted(now)))
        if os.listdir(STATE):
            bad.append((n, os.listdir(STATE)))
    check("killed at any call up to a commit (of %d): all or nothing" % count, not bad, bad[:3])
    check("and once it was to be, all", "after" in outcomes or not os.environ.get("RSIO_LONG"), outcomes)

    # A new run finds what a killed one left.
    make_tree()
    before = look()
    run = Run()
    do_all(run)
    run.child.kill()
    run.child.wait()
    run = Run()
    is_("the next run undoes what the killed one left", run.do("hello")["undone"], 18)
    is_as_before("and finds the tree as it was", before)
    second = Run()
    said, status = second.end()
    check("a second one at the same time is refused by name", not said[0]["ok"] and said[0]["errno"] == 16 and
          "another deploy" in said[0]["error"] and status == 1, said)
    run.undo()

    # A command that outlives its run is waited for: nothing is undone under it.
    make_tree()
    before = look()
    run = Run()
    run.do("hello")
    run.send(dict(do="run", argv=["sh", "-c", "touch %s/one; sleep 1; touch %s/two" % (TREE, TREE)],
                  undo=["sh", "-c", "rm %s/one %s/two" % (TREE, TREE)]))
    while not os.path.exists(TREE + "/one"):
        time.sleep(0.01)
    run.child.kill()
    run.child.wait()
    is_("what a command that goes on has made is undone behind it", undo_after(), ([{"ok": True, "undone": 1}], 0))
    is_as_before("and the tree is as it was", before)

    # The journal's last line was cut off by a failure of power: it was not begun.
    make_tree()
    run = Run()
    do_all(run)
    run.child.kill()
    run.child.wait()
    with open(STATE + "/journal", "ab") as f:
        f.write(b'+ 01234567 {"do":"made","path":"%s/etc"' % TREE.encode())
    is_("half a line in the journal counts nothing", undo_after()[1], 0)
    run = Run()
    do_all(run)
    run.child.kill()
    run.child.wait()
    with open(STATE + "/journal", "r+b") as f:
        f.seek(60)
        f.write(b"X")
    said, status = undo_after()
    check("a damaged one is refused, and said", status == 1 and "damaged" in said[0]["error"], said)
    said, status = Run().end()
    check("by a new run too", status == 1 and "damaged" in said[0]["error"], said)


def fresh_tree(before):
    """As at first; made anew only where it is not, since times and numbers are looked at."""
    if differences(before, look()) or os.listdir(STATE):
        make_tree()


def part_others():
    """Somebody else changes between a step and its undo what the step has changed."""
    conf = TREE + "/etc/conf"

    def between(name, steps, meanwhile, left, says):
        """left: what is as somebody else has made it; says: of what the answer has to speak."""
        make_tree()
        before = look()
        run = Run()
        do_all(run, steps)
        meanwhile()
        said, status = run.undo()
        d = [x.split(":")[0][len(TREE):] for x in differences(before, look())]
        is_("%s: theirs stays, all else is as it was" % name, sorted(x for x in d if ".rsio-" not in x), left)
        errors = [a for a in said[:-1] if "undo" in a]
        check("%s: it is said" % name, [a["undo"][len(TREE):] for a in errors] == says and (status == 1) == bool(says) and
              said[-1]["ok"] == (not says), (said, status))
        is_("%s: and it is over with" % name, os.listdir(STATE), [])
        return errors

    new = [dict(do="file", path=conf, text="new\n")]
    errors = between("edited in its place", new, lambda: put(conf, "theirs\n"), ["/etc/conf"], ["/etc/conf"])
    old = errors[0]["next"].split()[-1]
    is_("what was there before is kept, and named", (open(old).read(), describe(old)[:3]), ("old\n", ["-rw-r-----", 1, 2]))

    def replaced():
        put(conf + ".x", "theirs\n")
        os.rename(conf + ".x", conf)
    between("replaced by another file", new, replaced, ["/etc/conf"], ["/etc/conf"])
    between("given another mode", new, lambda: os.chmod(conf, 0o604), ["/etc/conf"], ["/etc/conf"])
    between("removed", new, lambda: os.unlink(conf), [], [])
    between("written again as it had been made", new, lambda: put(conf, "new\n"), [], [])
    made = [dict(do="file", path=TREE + "/etc/new", text="x")]
    between("a new file, edited", made, lambda: put(TREE + "/etc/new", "y"), ["/etc/new"], ["/etc/new"])
    between("a new file, removed", made, lambda: os.unlink(TREE + "/etc/new"), [], [])

    def to_directory():
        os.unlink(TREE + "/etc/new")
        os.mkdir(TREE + "/etc/new")
    between("a new file, now a directory", made, to_directory, ["/etc/new"], ["/etc/new"])

    def other_link():
        os.unlink(TREE + "/etc/link")
        os.symlink("theirs", TREE + "/etc/link")
    between("a link to elsewhere", [dict(do="link", path=TREE + "/etc/link", to="new")], other_link, ["/etc/link"],
            ["/etc/link"])
    between("a name that was removed, taken", [dict(do="remove", path=conf)], lambda: put(conf, "theirs\n"), ["/etc/conf"],
            ["/etc/conf"])
    between("a tree that was removed, made again", [dict(do="remove-tree", path=TREE + "/full")],
            lambda: os.mkdir(TREE + "/full"), ["/full/broken", "/full/deep", "/full/deep/er", "/full/deep/file"],
            ["/full"])
    errors = between("something in a new directory", [dict(do="directory", path=TREE + "/new/one")],
                     lambda: put(TREE + "/new/one/theirs", ""), ["/new", "/new/one", "/new/one/theirs"], ["/new/one", "/new"])
    check("by its name", "theirs" in errors[0]["error"], errors)
    between("a directory, given away", [dict(do="directory", path=TREE + "/owned", mode="0700", owner="9:9")],
            lambda: os.chown(TREE + "/owned", 10, 10), ["/owned"], ["/owned"])
    between("a command whose undo fails", [dict(do="run", argv=["true"], undo=["false"])], lambda: None, [], ["run"[len(TREE):]])


def part_odd():
    """Names, links on the way, lines that lie."""
    make_tree()
    before = look()
    names = ["a b", "line\nbreak", "quote\"'`$(x)", "back\\slash", "-n", "*", "\u00fcml\u00e4ut \u65e5", "x" * 255, "\x7f\x1b[31m"]
    steps = []
    for n in names:
        steps += [dict(do="file", path=TREE + "/" + n, text=n), dict(do="link", path=TREE + "/etc/" + n, to=n),
                  dict(do="directory", path=TREE + "/full/" + n + "/" + n)]
    steps += [dict(do="remove", path=TREE + "/etc/" + n) for n in names]
    run = Run()
    said = do_all(run, steps)
    check("names with anything in them", all(a["ok"] for a in said), said)
    is_("are made as they are", sorted(os.listdir(TREE + "/full")), sorted(names + ["deep", "broken"]))
    run.child.kill()
    run.child.wait()
    undo_after()
    is_as_before("and undone", before)

    run = Run()
    run.do("hello")
    os.symlink(TREE + "/full", TREE + "/ours")
    os.symlink("/nowhere/at/all", TREE + "/astray")
    os.symlink("loop", TREE + "/loop")
    os.symlink(TREE + "/etc", TREE + "/theirs")
    os.lchown(TREE + "/theirs", 1000, 1000)
    os.symlink("../etc/conf", TREE + "/full/config")
    os.mkfifo(TREE + "/pipe")
    before = look()
    is_("root's link on the way is followed", run.do("file", path=TREE + "/ours/deep/new", text="x"),
        {"ok": True, "changed": True})
    is_("to where it leads", open(TREE + "/full/deep/new").read(), "x")

    def refused(name, number, do, **values):
        said = run.do(do, **values)
        check("%s is refused" % name, not said["ok"] and said["errno"] == number, said)
        return said.get("error", "")

    refused("a link of another user's", 1, "file", path=TREE + "/theirs/new", text="x")
    refused("one that leads astray", 2, "file", path=TREE + "/astray/new", text="x")
    refused("one that leads to itself", 40, "file", path=TREE + "/loop/new", text="x")
    refused("a file in the place of a link", 40, "file", path=TREE + "/full/config", text="x")
    is_("and what it leads to is untouched", open(TREE + "/etc/conf").read(), "old\n")
    refused("a file in the place of a directory", 17, "file", path=TREE + "/full", text="x")
    refused("a file in the place of a pipe", 17, "file", path=TREE + "/pipe", text="x")
    refused("a link in the place of a directory", 17, "link", path=TREE + "/full", to="x")
    refused("a directory in the place of a file", 20, "directory", path=TREE + "/etc/conf")
    refused("a directory in that of a link, if it has another owner", 40, "directory", path=TREE + "/ours", owner="3:3")
    is_("else it will do", run.do("directory", path=TREE + "/ours"), {"ok": True, "changed": False})
    refused("below a file", 20, "directory", path=TREE + "/etc/conf/x/y")
    refused("removing what is not empty", 39, "remove", path=TREE + "/full")
    refused("removing a pipe", 22, "remove", path=TREE + "/pipe")
    refused("removing a file as a tree", 20, "remove-tree", path=TREE + "/etc/conf")
    is_("removing what is not there", run.do("remove", path=TREE + "/no/such/thing"), {"ok": True, "changed": False})
    refused("an unknown owner", 2, "directory", path=TREE + "/x", owner="nobody-at-all")
    refused("an unknown group", 2, "file", path=TREE + "/x", text="", owner="root:nobody-at-all")
    subprocess.run(["mount", "--bind", TREE + "/etc", TREE + "/full/deep/er"], check=True)
    check("by its name", TREE + "/full/deep/er" in refused("removing a tree with something mounted in it", 16, "remove-tree",
                                                           path=TREE + "/full"))
    said, _ = run.undo()
    subprocess.run(["umount", TREE + "/full/deep/er"], check=True)
    is_as_before("after all of that nothing has changed", before)

    make_tree()
    run = Run()
    do_all(run, [dict(do="remove-tree", path=TREE + "/full")])
    aside = [d for d in os.listdir(TREE) if d.startswith(".rsio-")][0]
    subprocess.run(["mount", "--bind", TREE + "/etc", TREE + "/" + aside + "/deep/er"], check=True)
    run.send({"do": "commit"})
    said, _ = run.rest()
    check("what is mounted there after all is left, and said", "left" in said[0] and said[-1]["ok"] and
          open(TREE + "/etc/conf").read() == "old\n", said)
    lie()


def lie():
    make_tree()
    before = look()
    secret = "5ec2e7" * 10
    run = Run()
    for line in ('{"do":"file","path":"/x","text":"%s' % secret, '{"do":"file","path":"/x","text":"%s","do":"file"}' % secret,
                 '"%s"' % secret, "[]", "", "null", "{}", '{"do":7}', '{"do":"%s"}' % secret, '{"%s":1,"do":"undo"}' % secret,
                 '{"do":"hello","path":"/x"}', '{"do":"file","path":"%s","text":"x"}' % secret, '{"do":"file","path":"/x"}',
                 '{"do":"file","path":"/x","text":"","from":"rssrv"}', '{"do":"file","path":"/x","from":"%s"}' % secret,
                 '{"do":"file","path":"/x/../y","text":""}', '{"do":"file","path":"/x//y","text":""}',
                 '{"do":"file","path":"/x/","text":""}', '{"do":"file","path":"/","text":""}',
                 '{"do":"file","path":"/x","text":"","mode":"%s"}' % secret, '{"do":"file","path":"/x","text":"","mode":420}',
                 '{"do":"file","path":"/x","text":"","mode":"0888"}', '{"do":"file","path":"/x","text":"","mode":"17777"}',
                 '{"do":"file","path":"/%s","text":""}' % ("x" * 256), '{"do":"remove","path":"%s"}' % ("/x" * 2048),
                 '{"do":"file","path":"/x\\u0000y","text":""}', '{"do":"link","path":"/x","to":""}',
                 '{"do":"user","name":"a:b"}', '{"do":"user","name":"-r"}', '{"do":"user","name":"x","home":"/a:b"}',
                 '{"do":"user","name":"12"}', '{"do":"run","argv":[]}', '{"do":"run","argv":"%s"}' % secret,
                 '{"do":"run","argv":[1]}', '{"do":"run","argv":["true"],"seconds":0}',
                 '{"do":"run","argv":["true"],"seconds":1e9}', '{"do":"start-server","how":"%s"}' % secret,
                 '{"do":"start-server","how":"plain"}', "[" * 100000, '{"do":"remove","path":"/x","x":%s}' % ("[" * 5000)):
        run.send(line.encode() + b"\n")
        said = run.answer()
        if said.get("ok", True) or said["errno"] != 22 or secret in json.dumps(said):
            check("refused: %.60s" % line, False, said)
    check("lines that lie are refused, and not repeated", True)
    run.send(b"\xff\xfe\x00\x01\n")
    check("bytes too", not run.answer()["ok"])
    said = run.do("commit")
    check("after any of them nothing is committed", not said["ok"] and "failed" in said["error"], said)
    run.undo()
    is_as_before("and nothing was done", before)

    run = Run()
    do_all(run, [dict(do="file", path=TREE + "/big", text="x" * (15 << 20))])
    is_("a line of 15 MiB", os.path.getsize(TREE + "/big"), 15 << 20)
    try:
        run.send(b" " * ((17 << 20) + 1))
    except BrokenPipeError:
        pass
    said = run.answer()
    check("one of 17 MiB is the end", said["ok"] and "16 MiB" in said["why"], said)
    run.child.wait(60 * SLOW)
    is_as_before("and all is undone", before)

    os.chmod(STATE, 0o777)
    said, status = Run().end()
    check("a directory that others can write to is refused", status == 1 and "others" in said[0]["error"], said)
    os.chmod(STATE, 0o700)
    os.symlink(STATE, DIR + "/link")
    said, status = Run(state=DIR + "/nowhere").end()
    check("one that is not there too", status == 1 and said[0]["errno"] == 2, said)

    run = Run()
    run.do("hello")
    said = run.do("run", argv=["sh", "-c", "echo begin; sleep 100"], seconds=1)
    check("a command that does not end is ended", said["errno"] == 110 and said["output"] == "begin\n", said)
    said = run.do("run", argv=["sh", "-c", "yes 0123456789 | head -c 1000000"])
    check("of much output the first 4 KiB are told", said["ok"] and len(said["output"]) == 4096, said)
    said = run.do("run", argv=["printf", r"a\033[31m\0\377b\nlast"])
    is_("and nothing that a terminal minds", said["output"], "a?[31m??b\nlast")
    said = run.do("run", argv=["no-such-command"])
    is_("a command that is not there", (said["errno"], said["error"]),
        (2, "no-such-command ended with status 127: no-such-command: there is no such command"))
    said = run.do("run", argv=["sh", "-c", "cat; env; exit 4"])
    check("no input, a plain environment", sorted(x.split("=")[0] for x in said["output"].split()) ==
          ["HOME", "LC_ALL", "PATH", "PWD"], said)
    run.send(dict(do="run", argv=["sh", "-c", "sleep 100"]))
    for _ in range(3):
        run.send({"do": "alive"})
    said, status = run.end()
    check("a command ends when who asked for it goes", "was ended" in said[0]["error"] and status == 1, said)


def part_full():
    """No space, and none to write at all: each step fails or is done, and is undone."""
    tops = TREE,
    small = DIR + "/small"
    os.mkdir(small)
    for what in "blocks", "inodes":
        bad, failed = [], set()
        for room in list(range(0, 12)) + [20, 40]:
            shutil.rmtree(TREE, ignore_errors=True)
            subprocess.run(["umount", "-q", DIR], stderr=subprocess.DEVNULL)
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k,nr_inodes=200", "tmpfs", DIR], check=True)
            make_tree()
            put(TREE + "/etc/conf", "o" * 9000, 0o640, (1, 2))
            fill_up(what, room)
            before = look()
            run = Run()
            said = do_all(run, [s for s in ALL if s["do"] != "run"])
            failed |= {s["do"] for s, a in zip(ALL, said[1:]) if not a["ok"]}
            codes = {a["errno"] for a in said if not a["ok"]} - {28, 2}
            if room % 2:
                run.child.kill()
                run.child.wait()
                status = undo_after()[1]
            else:
                status = run.undo()[1]
            d = differences(before, look())
            if d or status or codes or os.listdir(STATE):
                bad.append((room, d, status, codes, os.listdir(STATE)))
            if room == 0 and not all("No space left" in a["error"] for a in said if a.get("errno") == 28):
                bad.append(said)
        check("no %s left at any step: undone" % what, not bad, bad[:2])
        check("and steps of each kind had failed", failed >= {"directory", "file", "link"}, failed)

    subprocess.run(["umount", "-q", DIR])
    make_tree()
    ro = DIR + "/ro"
    os.mkdir(ro)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", ro], check=True)
    put(ro + "/conf", "old")
    before = look(TREE, ro)
    run = Run()
    is_("before it is read-only", do_all(run, [dict(do="file", path=ro + "/conf", text="new"), ALL[3]])[1]["ok"], True)
    subprocess.run(["mount", "-o", "remount,ro", ro], check=True)
    said = run.do("file", path=ro + "/other", text="")
    is_("a read-only file system says so", (said["errno"], said["error"]),
        (30, "cannot write %s/other: Read-only file system" % ro))
    said, status = run.undo()
    check("what cannot be undone now is said", status == 1 and said[0]["undo"] == ro + "/conf" and said[0]["errno"] == 30 and
          not said[-1]["ok"], said)
    is_("the rest is undone", open(TREE + "/etc/conf").read(), "old\n")
    said, status = Run().end()
    check("a new run refuses to begin before that is done", status == 1 and not said[-1]["ok"] and "cut off" in said[-1]["next"],
          said)
    subprocess.run(["mount", "-o", "remount,rw", ro], check=True)
    is_("which the next one does", undo_after(), ([{"ok": True, "undone": 1}], 0))
    is_as_before("then all is as it was", before, TREE, ro)


def fill_up(what, room):
    """So many pages or inodes stay free."""
    n = 0
    st = os.statvfs(DIR)
    if what == "blocks":
        with open(DIR + "/filler", "wb") as f:
            f.write(b"x" * 4096 * max(st.f_bavail - room, 0))
        return
    while os.statvfs(DIR).f_ffree > room:
        put(DIR + "/filler%d" % n)
        n += 1


def own_etc():
    """A copy of /etc that nobody else sees, and nothing of this project in it."""
    if not os.path.exists(DIR + "/etc"):
        subprocess.run(["cp", "-a", "/etc", DIR + "/etc"], check=True)
        subprocess.run(["mount", "--bind", DIR + "/etc", "/etc"], check=True)
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/usr/local/sbin"], check=True)
        subprocess.run(["sh", "-c", "! id stepper || userdel stepper; rm -f /etc/*- /etc/.pwd.lock"],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def script(path, text):
    put(path, "#!/bin/sh\n" + text, 0o755)


def users():
    """The files that useradd and its like write; times too, but not which file it is."""
    return {p: w[:-1] if p != "/etc" else 0 for p, w in look("/etc").items() if os.path.isfile(p)}


def is_etc(name, before):
    d = differences(before, users())
    return check(name, not d and not os.listdir(STATE), "\n".join(d + os.listdir(STATE)))


def try_user(name, before, end):
    run = Run()
    run.do("hello")
    is_("%s: it is made" % name, run.do("user", name="stepper", home="/var/lib/stepper"), {"ok": True, "changed": True})
    line = subprocess.run(["getent", "passwd", "stepper"], stdout=subprocess.PIPE, text=True).stdout.strip().split(":")
    check("%s: with its home and no shell" % name, line[5:] in (["/var/lib/stepper", "/usr/sbin/nologin"],
                                                              ["/var/lib/stepper", "/sbin/nologin"]), line)
    is_("%s: a second time nothing changes" % name, run.do("user", name="stepper"), {"ok": True, "changed": False})
    is_("%s: it can be an owner" % name, run.do("directory", path=TREE + "/x", owner="stepper:stepper"),
        {"ok": True, "changed": True})
    end(run)


def part_users():
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", DIR], check=True)
    make_tree()
    own_etc()
    before = users()
    try_user("useradd", before, Run.undo)
    is_etc("useradd: undone to the byte", before)

    def killed(run):
        run.child.kill()
        run.child.wait()
        is_("undone afterwards", undo_after(), ([{"ok": True, "undone": 2}], 0))
    try_user("useradd, killed", before, killed)
    is_etc("useradd, killed: undone to the byte", before)

    def other(run):
        for f, line in ("passwd", "other:x:4711:4711::/:/bin/sh\n"), ("group", "other:x:4711:\n"):
            with open("/etc/" + f, "a") as to:
                to.write(line)
        run.undo()
    try_user("somebody makes another user", before, other)
    now = users()
    is_("of two new users the other one stays", [open("/etc/passwd").read().count(u) for u in ("\nstepper:", "\nother:")],
        [0, 1])
    is_("in the files that nobody else changed nothing is left", [p for p in before if now.get(p) != before[p]],
        ["/etc/group", "/etc/passwd"])
    subprocess.run("sed -i /^other:/d /etc/passwd /etc/group; rm -f /etc/*-", shell=True)

    before = users()
    run = Run()
    run.do("hello")
    run.do("user", name="stepper", home="/x")
    is_("commit", run.do("commit"), {"ok": True})
    run.rest()
    check("after a commit it stays", "\nstepper:" in open("/etc/passwd").read())
    subprocess.run("usermod -aG daemon,games stepper; usermod -aG daemon games; rm -f /etc/*-", shell=True)
    made = users()
    run = Run()
    run.do("hello")
    is_("it is removed", run.do("remove-user", name="stepper"), {"ok": True, "changed": True})
    check("and in no file", not subprocess.run("grep -q stepper /etc/passwd /etc/group /etc/shadow /etc/gshadow",
                                               shell=True).returncode == 0)
    run.undo()
    is_etc("a removed user comes back to the byte", made)
    run = Run()
    run.do("hello")
    run.do("remove-user", name="stepper")
    with open("/etc/passwd", "a") as f:
        f.write("other:x:4711:4711::/:/bin/sh\n")
    run.undo()
    is_("a removed user comes back beside another one", [open("/etc/passwd").read().count(u)
                                                         for u in ("\nstepper:", "\nother:")], [1, 1])
    subprocess.run("sed -i /^other:/d /etc/passwd; userdel stepper; rm -f /etc/*-", shell=True)

    killed_with_users()

    # As busybox has it; the other names are taken away.
    script("/usr/local/sbin/addgroup", 'echo "$2:x:777:" >>/etc/group\n')
    script("/usr/local/sbin/adduser", '[ "$*" = "-S -D -H -h /var/lib/stepper -s /sbin/nologin -G stepper stepper" ] || exit 9\n'
           'echo "stepper:x:777:777:x:/var/lib/stepper:/sbin/nologin" >>/etc/passwd\necho "stepper:!::::::" >>/etc/shadow\n')
    for program in "useradd", "groupdel":
        subprocess.run(["mount", "--bind", "/dev/null", "/usr/sbin/" + program], check=True)
    before = users()
    try_user("adduser", before, Run.undo)
    is_etc("adduser: undone to the byte", before)
    script("/usr/local/sbin/adduser", "echo 'adduser: no more numbers' >&2; exit 1\n")
    run = Run()
    run.do("hello")
    is_("one that fails says why", run.do("user", name="stepper")["error"],
        "adduser ended with status 1: adduser: no more numbers")
    run.undo()
    is_etc("and nothing of it is left", before)


def killed_with_users():
    """useradd and userdel go on when the run that started them is killed; undoing waits for them."""
    lines = b'{"do":"hello"}\n{"do":"%s","name":"stepper"}\n'
    for what in b"user", b"remove-user":
        before, bad = users(), []
        for undo in b"", b'{"do":"undo"}\n':
            count, _ = count_calls(lines % what + undo)
            undo_after()
            for n in picked(count):
                killed_at(n, lines % what + undo)
                status = undo_after()[1]
                d = differences(before, users())
                if status or d or os.listdir(STATE):
                    bad.append((n, status, d, os.listdir(STATE)))
        check("killed at any call of %s or its undo: as before" % what.decode(), not bad, bad[:2])
        if what == b"user":
            subprocess.run("useradd -r -U stepper; usermod -aG daemon stepper; rm -f /etc/*-", shell=True)
    subprocess.run("userdel stepper; rm -f /etc/*-", shell=True)


STATE_DIR = "/var/lib/rsio"


def server_tree(port):
    make_tree()
    for d in "/run", "/var/lib":
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", d], check=True)
    os.mkdir(TREE + "/pool")
    put(TREE + "/pool/v.raw", "x" * 4096)
    put(TREE + "/conf", "[namespace osl]\nnamespaceid = 1\nsecurity = auth\n\n[server s]\nserverid = 1\n\n[interface i]\n"
        "address = 127.0.0.1\nport = %d\n\n[clients]\nc %s\n\n[pool p]\npath = %s/pool\n" % (port, "0" * 64, TREE), 0o600)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def server_pid():
    try:
        pid = int(open("/run/rsio/rssrv.pid").read())
        return pid if os.readlink("/proc/%d/exe" % pid) == RSSRV else 0
    except (OSError, ValueError):
        return 0


def part_server():
    server_tree(5000)
    plain = dict(how="plain", program=RSSRV, config=TREE + "/conf", run_dir="/run/rsio", dirs=[STATE_DIR, TREE + "/pool"])
    tops = TREE, "/run", "/var/lib"
    before = look(*tops)
    run = Run()
    run.do("hello")
    is_("nothing is there to stop", run.do("stop-server", **plain), {"ok": True, "changed": False})
    is_("it is started plainly", run.do("start-server", **plain), {"ok": True, "changed": True})
    check("and runs", server_pid())
    is_("once", run.do("start-server", **plain), {"ok": True, "changed": False})
    check("with files of its own", os.path.exists(TREE + "/pool/v.meta") and os.path.exists("/run/rsio/rssrv.sock"))
    run.undo()
    is_("undone it does not run", server_pid(), 0)
    is_as_before("nor is anything of it left", before, *tops)

    run = Run()
    run.do("hello")
    run.do("start-server", **plain)
    run.child.kill()
    run.child.wait()
    is_("killed, and undone", undo_after(), ([{"ok": True, "undone": 1}], 0))
    is_as_before("nothing is left of it", before, *tops)

    run = Run()
    run.do("hello")
    run.do("start-server", **plain)
    put(TREE + "/pool/new.raw", "y" * 4096)
    end = time.monotonic() + 20 * SLOW
    while not os.path.exists(TREE + "/pool/new.meta") and time.monotonic() < end:
        time.sleep(0.02)
    run.undo()
    is_("a volume that was made meanwhile stays, with what it is", sorted(os.listdir(TREE + "/pool")),
        ["new.meta", "new.raw", "v.raw"])
    os.unlink(TREE + "/pool/new.meta")
    os.unlink(TREE + "/pool/new.raw")

    put(TREE + "/bad", open(TREE + "/conf").read().replace(TREE + "/pool", TREE + "/no/pool"), 0o600)
    before = look(*tops)
    run = Run()
    run.do("hello")
    said = run.do("start-server", **dict(plain, config=TREE + "/bad"))
    check("one that does not start says why", not said["ok"] and said["error"].startswith("the server does not start: ")
          and "/no/pool" in said["error"], said)
    run.undo()
    is_as_before("and leaves nothing", before, *tops)

    # One that runs, with what it has of its own; then another program and configuration in its place, undone.
    run = Run()
    run.do("hello")
    run.do("directory", path="/run/rsio")
    run.do("link", path=TREE + "/rssrv", to=RSSRV)
    linked = dict(plain, program=TREE + "/rssrv")
    run.do("start-server", **linked)
    run.do("commit")
    run.rest()
    first = server_pid()
    conf = open(TREE + "/conf").read()
    run = Run()
    run.do("hello")
    said = [run.do("link", path=TREE + "/rssrv", to="/bin/false"), run.do("file", path=TREE + "/conf", text="bad\n", mode="0600"),
            run.do("stop-server", **linked)]
    check("it is stopped", all(a["ok"] and a["changed"] for a in said) and gone(first), said)
    check("and the new one is none", not run.do("start-server", **linked)["ok"])
    said, status = run.undo()
    is_("undo: says so", (said[-1]["ok"], status), (True, 0))
    check("the old one runs again, as it did", server_pid() not in (0, first) and open(TREE + "/conf").read() == conf)

    run = Run()
    run.do("hello")
    run.do("remove", path=TREE + "/rssrv")
    run.do("remove", path=TREE + "/conf")
    run.do("stop-server", **linked)
    run.child.kill()
    run.child.wait()
    is_("killed after the stop: undone", undo_after()[1], 0)
    check("and it runs again", server_pid())

    run = Run()
    run.do("hello")
    run.do("stop-server", **linked)
    run.do("commit")
    run.rest()
    is_("a stop that is committed", server_pid(), 0)
    killed_with_server(linked, tops)
    run = Run()
    do_all(run, [dict(do="stop-server", **linked)])
    run.do("commit")
    run.rest()
    hangs(linked, tops)
    with_systemd()


def what_stays(*tops):
    """But for what each server writes anew in its run directory."""
    return {p: w for p, w in look(*tops).items() if not p.startswith("/run/rsio/rssrv.")}


def killed_with_server(plain, tops):
    """Killed at any call of a start or a stop: the server runs, or does not, as before."""
    for what, runs in ("start-server", False), ("stop-server", True):
        lines = b'{"do":"hello"}\n' + json.dumps(dict(do=what, **plain)).encode() + b"\n"
        bad, before = [], what_stays(*tops)
        count, _ = count_calls(lines + b'{"do":"undo"}\n')
        for n in picked(count):
            killed_at(n, lines)
            status = undo_after()[1]
            d = [] if runs else differences(before, what_stays(*tops))
            if status or bool(server_pid()) != runs or d or os.listdir(STATE):
                bad.append((n, status, server_pid(), d, os.listdir(STATE)))
        check("killed at any call of %s: as before" % what, not bad, bad[:2])
        if what == "start-server":
            run = Run()
            do_all(run, [dict(do="start-server", **plain)])
            run.do("commit")
            run.rest()


def hangs(plain, tops):
    """A server that is never ready, and has gone into the background: nothing of it runs on."""
    script(TREE + "/hangs", "setsid sh -c 'echo $$ >%s/pid; exec sleep 1000' &\nwait\n" % TREE)
    before = look(*tops)
    run = Run()
    run.do("hello")
    said = run.do("start-server", **dict(plain, program=TREE + "/hangs", seconds=1))
    pid = int(open(TREE + "/pid").read())
    os.unlink(TREE + "/pid")
    check("a server that is never ready is ended, wherever it went", said["errno"] == 110 and gone(pid), said)
    run.undo()
    is_as_before("and leaves nothing", before, *tops)


def gone(pid):
    """Or about to be: whoever is to wait for it may take its time."""
    try:
        with open("/proc/%d/status" % pid) as f:
            return "\nState:\tZ" in f.read()
    except OSError:
        return True


FAKE = """
log() { echo "$*" >>%(d)s/calls; }
case "$*" in
"is-active rssrv.service") if [ -e %(d)s/active ]; then echo active; else echo inactive; exit 3; fi ;;
"start rssrv.service") log start; [ ! -e %(d)s/broken ] || { echo "Job failed." >&2; exit 1; }; : >%(d)s/active ;;
"stop rssrv.service") log stop; rm -f %(d)s/active ;;
daemon-reload) log reload ;;
*) log "unknown: $*"; exit 1 ;;
esac
"""


def with_systemd():
    """systemctl's part is played by a script; what is asked of it is what counts."""
    d = DIR + "/systemd"
    os.mkdir(d)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/usr/local/sbin"], check=True)
    script("/usr/local/sbin/systemctl", FAKE % {"d": d})
    script("/usr/local/sbin/journalctl", "echo 'rssrv: cannot listen on 10.0.0.1/5000: Address already in use'\n"
           "echo 'rssrv: end the other program'\n")

    def calls():
        try:
            with open(d + "/calls") as f:
                return f.read().split()
        finally:
            os.unlink(d + "/calls")

    run = Run()
    run.do("hello")
    is_("systemd: started", run.do("start-server", how="systemd"), {"ok": True, "changed": True})
    is_("systemd: once", run.do("start-server", how="systemd"), {"ok": True, "changed": False})
    is_("systemd: asked for", calls(), ["reload", "start"])
    run.undo()
    is_("systemd: undone", (calls(), os.path.exists(d + "/active")), (["stop"], False))
    put(d + "/active")
    run = Run()
    run.do("hello")
    is_("systemd: stopped", run.do("stop-server", how="systemd"), {"ok": True, "changed": True})
    run.do("run", argv=["true"], undo=["touch", d + "/files-undone"])
    calls()
    run.undo()
    is_("systemd: runs again", (calls(), os.path.exists(d + "/active")), (["reload", "start"], True))
    os.unlink(d + "/active")
    put(d + "/broken")
    run = Run()
    run.do("hello")
    said = run.do("start-server", how="systemd")
    is_("systemd: the server's own words are the error", (said["error"], said["next"]),
        ("rssrv.service does not start: cannot listen on 10.0.0.1/5000: Address already in use", "end the other program"))
    run.undo()


globals()["part_" + PART]()
