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
    with_systemd()


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
