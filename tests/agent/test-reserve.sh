#!/bin/bash
# Reservations: what each type forbids to whom, whom each action throws out, what survives a path
# and what ends with a session; one client alone with a volume.  Nothing that was forbidden
# is written, be it on its way already.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/agent.sh"
requires_program rssrv

write_server_conf "$W" portals=2 client=a client=b client=c
for n in b c; do
	sed -i "s/^$n .*/$n $(new_key)/" "$W/rssrvcfg"
done
for n in types keys pair alone lease; do
	make_volume "$W" $n 1M
done
printf '\n[volume looked]\npath = %s\nclients = a, b:ro\n' "$W/looked.raw" >>"$W/rssrvcfg"
truncate -s 1M "$W/looked.raw"
start_server "$W"

scenario "$W" <<'EOT'
node = {n: Node(n) for n in "abc"}
a, b, c = (node[n].login() for n in "abc")

def no(name, code, call, about=""):
    try:
        call()
    except Failed as e:
        is_(name, e.code, code)
        check(name + ": which is said", about in e.text, e.text)
        return
    check(name, False, "it was not refused")

def may(x):
    """What a client may do now: r, w."""
    done = ""
    for letter, kind, more in (("r", READ, {}), ("w", WRITE, {"payload": bytes(512)})):
        r = x.call(kind, offset=0, count=512, handle=1, **more)
        if r.status not in (OK, E_RESERVED):
            raise Refused(r)
        done += letter if r.status == OK else ""
    return done

# Types: a holds it, b has registered, c has not.
for x in (a, b, c):
    x.open("types")
is_("nobody has it", a.reserve("types", "read")["type"], "none")
a.reserve("types", "register", other="a1")
b.reserve("types", "register", other="b1")
for number, name, expected in ((1, "write-exclusive", ("rw", "r", "r")), (2, "exclusive-access", ("rw", "", "")),
                               (3, "write-exclusive-registrants", ("rw", "rw", "r")),
                               (4, "exclusive-access-registrants", ("rw", "rw", "")),
                               (5, "write-exclusive-all", ("rw", "rw", "r")),
                               (6, "exclusive-access-all", ("rw", "rw", ""))):
    is_("reserved as " + name, a.reserve("types", "reserve", key="a1", type=number)["type"], name)
    is_(name + ": who may what", (may(a), may(b), may(c)), expected)
    c.flush()
    if number < 5:
        no(name + ": not for another one", "EBADE", lambda: b.reserve("types", "reserve", key="b1", type=number), "client a")
        b.reserve("types", "release", key="b1", type=number)
        is_(name + ": it is not another one's to release", b.reserve("types", "read")["type"], name)
    no(name + ": released as what it is", "EINVAL", lambda: a.reserve("types", "release", key="a1", type=number % 6 + 1))
    a.reserve("types", "release", key="a1", type=number)
    is_(name + ": released", (may(a), may(b), may(c)), ("rw",) * 3)
no("without a registration", "EBADE", lambda: c.reserve("types", "reserve", key="c1", type=1))
no("with a wrong key", "EBADE", lambda: a.reserve("types", "reserve", key="b1", type=1))
a.reserve("types", "reserve", key="a1", type=5)
a.reserve("types", "register", key="a1", other="0")
is_("all registrants: it stays while there is one", (may(a), may(b)), ("r", "rw"))
b.reserve("types", "register", key="b1")
is_("and goes with the last", may(a), "rw")

# Keys.
no("registered with a key that is not there", "EBADE", lambda: a.reserve("keys", "register", key="5", other="6"))
a.reserve("keys", "register", other="6")
no("again without it", "EBADE", lambda: a.reserve("keys", "register", other="7"))
a.reserve("keys", "register", key="6", other="7")
a.reserve("keys", "register", other="8", ignore=True)
is_("who has which", a.reserve("keys", "read")["registered"], [{"client": "a", "key": "8", "holds": False}])
twice = "0123456789abcdef" * 2
a.reserve("keys", "register", twice, key="8", other="9")
a.reserve("keys", "register", twice, key="8", other="9")
check("the same request twice is one", True)
a.reserve("keys", "clear", key="9")
for name, bad in (("key", dict(key="xyz")), ("type", dict(type=7)), ("action", dict(action="take")), ("id", dict(id="1"))):
    no("not a " + name, "EINVAL", lambda: a.control("reserve", **{**dict(volume="keys", action="reserve", key="1",
                                                                         type=1, id=twice), **bad}), name)
no("no such volume", "ENOENT", lambda: a.reserve("nothing", "read"), "nothing")
no("who may only read", "EACCES", lambda: b.reserve("looked", "register", other="1"), "looked")
no("who may not see it", "ENOENT", lambda: c.reserve("looked", "read"))

# Preempt: b's writes are on their way, hundreds of them, when a takes over.
b.events.clear()
b.open("pair", handle=2)
a.open("pair", handle=2)
b.reserve("pair", "register", other="b1")
b.reserve("pair", "reserve", key="b1", type=1)
e = next_event(a, EV_RESIZED)
while e.name != "pair" or not e.reserved_by:
    e = next_event(a, EV_RESIZED)
is_("others are told who has it", e.reserved_by, "b")
is_("and find it in the list", {v.name: v.reserved_by for v in c.list()}["pair"], "b")
a.reserve("pair", "register", other="a1")
for which, own, other in (("drivers", "a1", "b1"), ("documentation", "b1", "a1")):
    cookies = [b.start(WRITE, b"b" * 4096, offset=4096 * (i % 200), count=4096, handle=2) for i in range(400)]
    is_("preempted as the %s have it" % which, a.reserve("pair", "preempt", key=own, other=other, type=1)["registered"],
        [{"client": "a", "key": "a1", "holds": True}])
    for i in range(200):
        a.write(4096 * i, b"a" * 4096, handle=2)
    statuses = {b.wait(k).status for k in cookies}
    check("writes on their way were done or refused (%s)" % which, statuses <= {OK, E_RESERVED}, statuses)
    is_("and none came afterwards (%s)" % which, a.read(0, 200 * 4096, handle=2), b"a" * 200 * 4096)
    refused("nor later", E_RESERVED, lambda: b.write(0, b"b" * 512, handle=2))
    b.reserve("pair", "register", other="b1")
    a.reserve("pair", "release", key="a1", type=1)
    b.reserve("pair", "reserve", key="b1", type=1)
no("nobody has that key", "EBADE", lambda: a.reserve("pair", "preempt", key="a1", other="77", type=1))

# Over a path's loss, and at the session's end.
second = node["b"].login(b.session, portal=1)
b.reset()
is_("another path of the session has it still", second.reserve("pair", "read")["registered"][0]["client"], "b")
second.write(0, b"b" * 512, handle=2)
refused("and others not", E_RESERVED, lambda: a.write(0, b"a" * 512, handle=2))
second.bye()
check("goodbye gives it up", wait_until(lambda: a.reserve("pair", "read")["type"] == "none"))
a.write(0, b"a" * 512, handle=2)
dying = node["b"].login(lease=500)
dying.open("lease")
dying.reserve("lease", "register", other="b1")
dying.reserve("lease", "reserve", key="b1", type=2)
check("who is silent loses it with its lease", wait_until(lambda: a.reserve("lease", "read")["type"] == "none"))

# Alone.
b = node["b"].login()
b.open("alone")
no("not while another has it open", "EBADE", lambda: a.reserve("alone", "alone"), "client b")
b.must(CLOSE, handle=1)
is_("alone", a.reserve("alone", "alone")["alone"], True)
a.open("alone", handle=3)
text = refused("nobody else opens it", E_RESERVED, lambda: b.open("alone"))
check("who has it is said", "client a" in text, text)
refused("not to read either", E_RESERVED, lambda: b.open("alone", read_only=True))
no("nor reserves", "EBADE", lambda: b.reserve("alone", "register", other="1"), "which has it alone")
a.write(0, b"a" * 512, handle=3)
a.bye()
a = Node("a").login()
a.open("alone", handle=3, alone=True)
refused("a new session has it again", E_RESERVED, lambda: b.open("alone"))
a.bye()
check("given up", wait_until(lambda: b.reserve("alone", "read")["type"] == "none"))
b.open("alone")
b.must(CLOSE, handle=1)
a = Node("a").login()
text = refused("not when another one had it meanwhile", E_RESERVED, lambda: a.open("alone", handle=3, alone=True))
check("which is said", "another client has had it" in text, text)
a.reserve("alone", "alone")
a.open("alone", handle=3, alone=True)
a.reserve("alone", "release")
b.open("alone")
check("released, it is everybody's", True)
EOT
done_testing
