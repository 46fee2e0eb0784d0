"""Steps undone on each occasion, killed at any call, and changed by others before they are undone."""
from steps import *


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
    is_("the next run undoes what the killed one left", run.do("hello")["undone"], 24)
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
    def second_name():
        os.unlink(TREE + "/vols/a.raw")
        os.link(TREE + "/etc/same", TREE + "/vols/a.raw")
    between("a volume that was given away, now a name of another file", [dict(do="own", path=TREE + "/vols", was="5", owner="0:0")],
            second_name, ["/etc/same", "/vols/a.raw"], ["/vols"])
    is_("which is whose it was", describe(TREE + "/etc/same")[1:3], [0, 0])
    between("a command whose undo fails", [dict(do="run", argv=["true"], undo=["false"])], lambda: None, [], ["run"[len(TREE):]])


globals()["part_" + PART]()
