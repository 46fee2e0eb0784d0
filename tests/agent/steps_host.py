"""The host's users, and the server that is stopped and started."""
from steps import *


def own_etc():
    """A copy of /etc that nobody else sees, and nothing of this project in it."""
    if not os.path.exists(DIR + "/etc"):
        subprocess.run(["cp", "-a", "/etc", DIR + "/etc"], check=True)
        subprocess.run(["mount", "--bind", DIR + "/etc", "/etc"], check=True)
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/usr/local/sbin"], check=True)
        subprocess.run(["sh", "-c", "! id stepper || userdel stepper; rm -f /etc/*- /etc/.pwd.lock"],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


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

    # A directory of the user's leads elsewhere by the time that it is undone.
    os.mkdir(TREE + "/victim")
    put(TREE + "/victim/key.rsio", "x")
    os.mkdir(TREE + "/theirs")
    run = Run()
    run.do("hello")
    run.do("start-server", **dict(plain, dirs=plain["dirs"] + [TREE + "/theirs"]))
    os.rmdir(TREE + "/theirs")
    os.symlink("victim", TREE + "/theirs")
    os.lchown(TREE + "/theirs", 1000, 1000)
    run.undo()
    is_("what a link of the user's leads to stays", os.listdir(TREE + "/victim"), ["key.rsio"])
    os.unlink(TREE + "/theirs")
    shutil.rmtree(TREE + "/victim")

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
"reset-failed rssrv.service") log reset ;;
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
    is_("systemd: undone", (calls(), os.path.exists(d + "/active")), (["stop", "reset"], False))
    put(d + "/active")
    run = Run()
    run.do("hello")
    is_("systemd: stopped", run.do("stop-server", how="systemd"), {"ok": True, "changed": True})
    run.do("run", argv=["true"], undo=["touch", d + "/files-undone"])
    is_("systemd: and no failure is remembered", calls(), ["stop", "reset"])
    run.undo()
    is_("systemd: runs again", (calls(), os.path.exists(d + "/active")), (["reload", "start"], True))
    os.unlink(d + "/active")
    run = Run()
    run.do("hello")
    is_("systemd: what does not run is not stopped", run.do("stop-server", how="systemd"), {"ok": True, "changed": False})
    is_("systemd: nor is its failure remembered", calls(), ["reset"])
    run.undo()
    put(d + "/broken")
    run = Run()
    run.do("hello")
    said = run.do("start-server", how="systemd")
    is_("systemd: the server's own words are the error", (said["error"], said["next"]),
        ("rssrv.service does not start: cannot listen on 10.0.0.1/5000: Address already in use", "end the other program"))
    run.undo()


globals()["part_" + PART]()
