"""What the parts of test-steps.sh are written in: steps_change.py, steps_odd.py, steps_host.py, each

    steps_….py DIR RSSRV PART

Runs in mount and network namespaces of its own, as root.  Each result is a line, "ok NAME" or "not ok NAME".
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

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from said import check, is_  # noqa: E402,F401

DIR, RSSRV, PART = sys.argv[1:4]
TREE, STATE = DIR + "/tree", DIR + "/state"
SLOW = int(os.environ.get("RSIO_SLOW", "1"))
# Of a traced program the sanitizer cannot tell what leaks.
TRACED = dict(os.environ, ASAN_OPTIONS=os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0")


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
    os.makedirs(TREE + "/vols/.rsio.snap/a")
    for name in ".rsio.snap/a/s.raw", "a.raw", "a.meta", "copy":
        put(TREE + "/vols/" + name, name, 0o640, (5, 6))
    for name in ".rsio.snap/a", ".rsio.snap", "":
        os.chown(TREE + "/vols/" + name, 5, 6)
    put(TREE + "/vols/theirs.raw", "theirs", 0o600, (9, 9))
    put(TREE + "/vols/root.raw", "root's")
    put(TREE + "/vols/notes", "root's")
    os.symlink("../etc/same", TREE + "/vols/b.raw")
    os.lchown(TREE + "/vols/b.raw", 5, 6)


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
    dict(do="own", path=TREE + "/vols", was="5", owner="0:0"),
    dict(do="own", path=TREE + "/vols", was="0:0", owner="daemon:daemon"),
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


# Every call by which a step, an undo or the commit changes something, or makes it last.
CHANGES = ("openat,mkdirat,linkat,symlinkat,renameat,renameat2,unlinkat,fchown,fchownat,fchmod,fchmodat,fsync,fdatasync,"
           "pwrite64,ftruncate,write,rmdir,flock,syncfs")


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


def fresh_tree(before):
    """As at first; made anew only where it is not, since times and numbers are looked at."""
    if differences(before, look()) or os.listdir(STATE):
        make_tree()


def script(path, text):
    put(path, "#!/bin/sh\n" + text, 0o755)
