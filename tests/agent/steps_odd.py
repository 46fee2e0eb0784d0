"""Odd names, links on the way, lines that lie, disks that are full."""
from steps import *


def owners():
    """Whose names in a pool become whose."""
    def whose():
        return {p[len(TREE) + 6:]: w[1] for p, w in look(TREE + "/vols").items() if p != TREE + "/vols"}

    make_tree()
    was = whose()
    run = Run()
    said = do_all(run, [dict(do="own", path=TREE + "/vols", was="5:6", owner="0:0")])
    own = ".rsio.snap", ".rsio.snap/a", ".rsio.snap/a/s.raw", "a.raw", "a.meta"
    is_("what is the user's becomes root's, and nothing of others", whose(), dict(was, **{p: 0 for p in own + ("copy",)}))
    said = run.do("own", path=TREE + "/vols", was="0:0", owner="5:6")
    is_("and of root's what a server has becomes the user's", whose(),
        dict(was, **{p: 5 for p in own + ("root.raw",)}, copy=0))
    is_("a second time nothing changes", run.do("own", path=TREE + "/vols", was="0:0", owner="5:6"), {"ok": True, "changed": False})
    run.undo()
    is_("undone all are whose they were", whose(), was)

    put(TREE + "/etc/five", "", 0o644, (5, 6))
    subprocess.run(["mount", "--bind", TREE + "/etc", TREE + "/vols/.rsio.snap/a"], check=True)
    run = Run()
    do_all(run, [dict(do="own", path=TREE + "/vols", was="5", owner="0:0")])
    is_("what is mounted there stays whose it was", describe(TREE + "/etc/five")[1], 5)
    run.undo()
    subprocess.run(["umount", TREE + "/vols/.rsio.snap/a"], check=True)

    os.link(TREE + "/etc/same", TREE + "/vols/c.raw")
    before = look()
    run = Run()
    run.do("hello")
    said = run.do("own", path=TREE + "/vols", was="0:0", owner="5:6")
    check("a second name of a file of root's is refused", not said["ok"] and "hard link" in said["error"], said)
    run.undo()
    is_as_before("and nothing was given away", before)

    os.rename(TREE + "/vols", TREE + "/away")
    os.symlink("etc", TREE + "/vols")
    os.lchown(TREE + "/vols", 5, 6)
    put(TREE + "/etc/x.raw", "root's")
    before = look()
    run = Run()
    run.do("hello")
    said = run.do("own", path=TREE + "/vols", was="0:0", owner="5:6")
    check("a link of the user's in the place of the directory is not followed", not said["ok"] and said["errno"] == 1, said)
    run.undo()
    is_as_before("nothing is given away there", before)


def part_odd():
    """Names, links on the way, lines that lie."""
    owners()
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


globals()["part_" + PART]()
