"""What test-boot.sh tries with one shell.

    boot.py DIR BUILD SHELL

Runs in a mount namespace of its own, as root.  Each result is a line, "ok NAME" or "not ok NAME".
"""
import hashlib
import json
import os
import select
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from said import check, is_  # noqa: E402,F401

DIR, BUILD, SHELL = sys.argv[1:4]
TOP = DIR + "/host"
LIB, STAGING = TOP + "/lib/rsio", TOP + "/lib/rsio/.staging"
MARKER = "4711abcd"
SLOW = int(os.environ.get("RSIO_SLOW", "1"))
PROGRAM = open(BUILD + "/rssrv-static", "rb").read()
MACHINE = os.uname().machine


def operands(size=len(PROGRAM), sha=hashlib.sha256(PROGRAM).hexdigest(), machine=MACHINE):
    return [MARKER, STAGING, str(size), sha, machine]


def boot(*args):
    return subprocess.run([BUILD + "/tests/tools/boot", *args], stdout=subprocess.PIPE, check=True).stdout


def meaning(line):
    """(code, text, next) of a failure."""
    kind, code, text = boot("script", *operands(), line).decode().rstrip("\n").split(" ", 2)
    return (int(code), *text.split("|")) if kind == "4" else None


class Boot:
    def __init__(self, **values):
        self.child = subprocess.Popen(SHELL.split(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.pending = b""
        self.send(boot("script", *operands(**values)))

    def send(self, data):
        try:
            self.child.stdin.write(data)
            self.child.stdin.flush()
        except BrokenPipeError:
            pass

    def line(self, seconds=60):
        while b"\n" not in self.pending:
            if not select.select([self.child.stdout], [], [], seconds * SLOW)[0]:
                raise TimeoutError("nothing is said; so far %r" % self.pending)
            data = os.read(self.child.stdout.fileno(), 65536)
            if not data:
                return None
            self.pending += data
        line, self.pending = self.pending.split(b"\n", 1)
        return line.decode()

    def to_steps(self):
        for said, send in (" send", PROGRAM), (" steps", json.dumps({"do": "hello"}).encode() + b"\n"):
            line = self.line()
            if line != MARKER + said:
                return line
            self.send(send)
        return json.loads(self.line())

    def do(self, what, **values):
        self.send(json.dumps(dict(do=what, **values)).encode() + b"\n")
        return json.loads(self.line())

    def end(self):
        try:
            self.child.stdin.close()
        except BrokenPipeError:
            pass
        said = []
        while (line := self.line()) is not None:
            said.append(line)
        return said, self.child.wait(60 * SLOW)


def look():
    return sorted((p, os.lstat(p).st_mode, os.lstat(p).st_uid) for at, dirs, files in os.walk(TOP)
                  for p in [os.path.join(at, n) for n in dirs + files])


def fresh(options="", made=()):
    subprocess.run(["umount", "-q", "-l", TOP], stderr=subprocess.DEVNULL)
    os.makedirs(TOP, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755" + options, "tmpfs", TOP], check=True)
    for d in made:
        os.makedirs(d)
    return look()


def rssrv_pid(parent):
    with open("/proc/%d/task/%d/children" % (parent, parent)) as f:
        for pid in f.read().split():
            if b"--steps" in open("/proc/%s/cmdline" % pid, "rb").read():
                return int(pid)
    return 0


def fails(name, code, words, next_="", **values):
    """Sends the program; it is to fail with that, and to leave nothing."""
    before = look()
    b = Boot(**values)
    line = b.line()
    if line == MARKER + " send":
        b.send(PROGRAM)
        line = b.line()
    said, status = b.end()
    m = meaning(line or "")
    check("%s: is said" % name, m and m[0] == code and words in m[1] and next_ in m[2] and status == 1, (line, m, said, status))
    is_("%s: nothing is left" % name, look(), before)


# What is to be.
before = fresh()
b = Boot()
hello = b.to_steps()
is_("it gets there and runs", (hello["ok"], hello["sha256"], hello["made"]), (True, operands()[3], [TOP + "/lib", LIB]))
is_("a step", b.do("file", path=TOP + "/f", text="x")["ok"], True)
is_("undo", b.do("undo"), {"ok": True, "undone": 1})
is_("the end", b.end(), ([], 0))
is_("nothing is left", look(), before)

b = Boot()
b.to_steps()
b.do("file", path=LIB + "/rssrv", **{"from": "rssrv"})
b.do("commit")
is_("after a commit its end is 0", b.end()[1], 0)
is_("and only what was committed is there", [p for p, _, _ in look()], [TOP + "/lib", LIB, LIB + "/rssrv"])
check("with modes that others can use", os.stat(LIB).st_mode & 0o777 == 0o755)
check("whole", open(LIB + "/rssrv", "rb").read() == PROGRAM)

# On the way.
before = fresh()
b = Boot()
b.line()
b.send(PROGRAM[:100000])
said, status = b.end()
is_("cut off: is said", (meaning(said[0])[1], status), ("the copy of rssrv ended after 100000 of %d bytes" % len(PROGRAM), 1))
is_("cut off: nothing is left", look(), before)
fails("another sha", 74, "did not get there as it is here", sha="0" * 64)
fails("another machine", 8, "the host is %s, and this rssrv is for " % MACHINE, machine="alpha")
fresh(",size=3m")
fails("a full disk", 28, "cannot write rssrv to " + STAGING, "make room")
fresh(",size=4k")
with open(TOP + "/x", "wb") as f:
    f.write(b"x" * 4096)
fails("a disk without any room", 28, "No space left", "make room")
fresh(",nr_inodes=3")
fails("no room for a second directory", 28, "cannot make " + STAGING, "make room")
fresh(",noexec")
fails("noexec", 8, "rssrv does not run there", "noexec")
fresh(made=[LIB])
subprocess.run(["mount", "-o", "remount,ro", TOP], check=True)
fails("read-only", 30, "cannot make " + STAGING + " there: mkdir", "writable")
fresh()
with open(TOP + "/lib", "w") as f:
    pass
fails("a file in the way", 5, "cannot make " + STAGING)

# Ends.
before = fresh()
b = Boot()
b.to_steps()
b.do("directory", path=TOP + "/new/dir")
os.kill(rssrv_pid(b.child.pid), signal.SIGKILL)
said, _ = b.end()
is_("rssrv killed: undone by another one", json.loads(said[-1]), {"ok": True, "undone": 2})
is_("rssrv killed: nothing is left", look(), before)

b = Boot()
b.to_steps()
b.do("directory", path=TOP + "/new/dir")
b.child.kill()
b.child.wait()
b.child.stdin.close()
while b.line() is not None:
    pass
end = time.monotonic() + 30 * SLOW
while look() != before and time.monotonic() < end:
    time.sleep(0.02)
is_("the shell killed: nothing is left", look(), before)

b = Boot()
b.to_steps()
b.do("directory", path=TOP + "/new/dir")
b.child.send_signal(signal.SIGTERM)
os.kill(rssrv_pid(b.child.pid), signal.SIGTERM)
b.end()
is_("all told to end: nothing is left", look(), before)

# What the power's failure leaves: no process, all files.
b = Boot()
b.to_steps()
b.do("directory", path=TOP + "/new/dir")
pid = rssrv_pid(b.child.pid)
b.child.kill()
os.kill(pid, signal.SIGKILL)
b.child.wait()
b.child.stdin.close()
while b.line() is not None:
    pass
check("both killed: something is left", look() != before)
with open(STAGING + "/rssrv.4194305", "w") as f:	# of a process that cannot be
    pass
b = Boot()
is_("which the next one undoes", b.to_steps()["undone"], 2)
second = Boot()
said = second.to_steps()
check("a second one beside it is refused", not said["ok"] and "another deploy" in said["error"], said)
second.end()
check("and takes nothing away", os.path.exists(STAGING + "/made"))
b.do("undo")
b.end()
is_("at last nothing is left", look(), before)

# Nothing comes for 20 s.
b = Boot()
b.line()
b.send(PROGRAM[:50000])
line = b.line()
code, text, _ = meaning(line)
check("a copy that stands still is given up", code == 110 and "stood still for 20 s after" in text, (code, text))
b.end()
is_("and nothing is left", look(), before)
