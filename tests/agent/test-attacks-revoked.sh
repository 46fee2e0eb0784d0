#!/bin/bash
# A client that goes on after its access was taken away: removed from [clients], its key
# replaced, its volume taken off its list or made read-only for it, each with every type of
# command on a connection that is open, in the clear and within TLS.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/agent.sh"
requires_program rssrv
requires_cmd openssl

write_server_conf "$W" client=taken client=witness client=relative
for c in taken witness relative; do
	sed -i "s/^$c .*/$c $(new_key)/" "$W/rssrvcfg"
done
make_volume "$W" quiet 1M
truncate -s 1M "$W/ledger.raw"
printf '\n[volume ledger]\npath = %s\nshared = yes\nclients = taken, relative\n' "$W/ledger.raw" >>"$W/rssrvcfg"
truncate -s 1M "$W/cell.raw"
printf '\n[volume cell]\npath = %s\nclients = relative, taken\n' "$W/cell.raw" >>"$W/rssrvcfg"
sed -i "s|^path = $W/pool|manage = taken relative\n&|" "$W/rssrvcfg"
start_server "$W"

scenario "$W" <<'EOT'
import re
import signal
from hostile import Witness
from tls import Tls

w = Witness()
conf = os.path.join(DIR, "rssrvcfg")
whole = open(conf).read()
pid = status()["process"]["pid"]
keys = {n: clients_key(n) for n in ("taken", "relative")}
address, port = portals()[0][3:]

def reload(text, said="configuration read again"):
    before = log().count(said)
    open(conf, "w").write(text)
    os.kill(pid, signal.SIGHUP)
    assert wait_until(lambda: log().count(said) > before)

before = b"what was there".ljust(1 << 20, b".")
def restore():
    open(DIR + "/ledger.raw", "r+b").write(before)

restore()
def log():
    return open(DIR + "/rssrv.out").read()

def connect(within, node="taken"):
    node = Node(node)
    options = {"key": keys[node.name]}
    if within:
        t = Tls(address, port, "osl/" + node.name, node_key(keys[node.name]))
        options["within"] = t
    c = node.login(**options)
    # The lists are in force a little after the configuration was read.
    wait_until(lambda: c.call(OPEN, rec(T_NAME, "ledger"), handle=1).status == OK)
    wait_until(lambda: c.call(DISCARD, handle=1, count=512).status == OK)
    c.open("ledger", handle=2, read_only=True)
    restore()
    return c

DATA = b"not any more".ljust(512)
CHANGING = [("write", WRITE, DATA, dict(handle=1, count=512)),
            ("write, FUA", WRITE, DATA, dict(handle=1, count=512, flags=F_FUA)),
            ("long write", WRITE, DATA * 512, dict(handle=1, count=512 * 512)),
            ("discard", DISCARD, b"", dict(handle=1, count=4096)),
            ("write zeroes", WRITE_ZEROES, b"", dict(handle=1, count=4096))]
READING = [("read", READ, b"", dict(handle=1, count=512)),
           ("read of what is open to read", READ, b"", dict(handle=2, count=512)),
           ("flush", FLUSH, b"", dict(handle=1)),
           ("status", STATUS, b"", dict(handle=1, count=4096))]
OTHERS = [("open", OPEN, rec(T_NAME, "ledger"), dict(handle=3)),
          ("open to read", OPEN, rec(T_NAME, "ledger"), dict(handle=3, flags=F_READ_ONLY)),
          ("takeover", TAKEOVER, rec(T_SERVER, "other") + rec16(T_SERVER_ID, 7), dict(handle=1))]
ALWAYS = [("list", LIST, b"", dict(count=100)), ("close", CLOSE, b"", dict(handle=9)),
          ("fence", FENCE, fence_body(1, [1]), {}), ("ping", PING, b"", {}),
          ("control", CONTROL, b'{"do":"counters"}', {}), ("bye", BYE, b"", {})]

def answers(c, commands):
    return {name: status_name(c.call(kind, data, **header).status) for name, kind, data, header in commands}

def all_are(name, got, allowed):
    check(name, all(v in allowed for v in got.values()), got)

def untouched(name):
    check(name + ": the volume is what it was", open(DIR + "/ledger.raw", "rb").read() == before)

for within in (False, True):
    mode = "tls" if within else "auth"
    # Made read-only: what it opened to write is open.
    c = connect(within)
    all_are(mode + ": before, all is allowed", answers(c, READING), ("OK",))
    reload(whole.replace("clients = taken,", "clients = taken:ro,"))
    wait_until(lambda: answers(c, CHANGING[:1]) != {"write": "OK"})
    restore()
    all_are(mode + ": made read-only, nothing changes a volume", answers(c, CHANGING), ("READ_ONLY",))
    all_are(mode + ": and reading goes on", answers(c, READING), ("OK",))
    all_are(mode + ": it has nothing to take over", answers(c, OTHERS[2:]), ("READ_ONLY",))
    is_(mode + ": an open is to read", c.must(OPEN, rec(T_NAME, "ledger"), handle=4).flags & F_READ_ONLY, F_READ_ONLY)
    all_are(mode + ": with that neither", answers(c, [(n, k, d, {**h, "handle": 4}) for n, k, d, h in CHANGING]), ("READ_ONLY",))

    # Off the volume's list.
    reload(whole.replace("clients = taken, relative", "clients = relative"))
    wait_until(lambda: answers(c, READING[:1]) != {"read": "OK"})
    all_are(mode + ": off the list, nothing reaches it", answers(c, CHANGING + READING), ("NO_VOLUME", "HANDLE"))
    all_are(mode + ": it is not to be opened or taken over", answers(c, OTHERS), ("NO_VOLUME", "HANDLE"))
    is_(mode + ": nor listed", [v.name for v in c.list() if v.name == "ledger"], [])
    check(mode + ": and the connection is of use for the rest", c.ping() > 0)
    untouched(mode)

    # Removed from [clients]: it says each type of command until nobody answers.
    reload(whole)
    for name, kind, data, header in CHANGING + READING + OTHERS + ALWAYS:
        c = connect(within)
        reload(re.sub(r"(?m)^taken .*\n", "", whole).replace("taken, ", "").replace(", taken", "").replace("taken ", ""))
        end = time.monotonic() + 10
        try:
            while time.monotonic() < end:
                c.call(kind, data, **header)
            check("%s: removed, then %s: the connection is closed" % (mode, name), False)
        except (Closed, OSError):
            pass
        restore()
        c.close()
        reload(whole)
    check(mode + ": removed from [clients], every type of command ends with the connection", True)
    check(mode + ": the log has why", "connection of taken 127.0.0.1/" in log() and
          "ended: the node's key was changed or removed" in log())
    untouched(mode)

    # Another key.
    c = connect(within)
    reload(whole.replace(keys["taken"], "%064x" % random.getrandbits(256)))
    check(mode + ": with its key replaced the connection ends", c.closed())
    if within:
        t = Tls(address, port, "osl/taken", node_key(keys["taken"]))
        check("tls: and no handshake is made with the old one", t.binding() is None)
    else:
        refused("auth: and the old one lets nobody in", E_KEY, lambda: connect(False))
    reload(whole)
    c = connect(within)
    other = connect(within, "relative")
    check(mode + ": given back, it is let in", c.ping() > 0)
    # Another client's lists are its own.
    reload(whole.replace("clients = taken, relative", "clients = relative"))
    is_(mode + ": a client that keeps its access goes on", other.read(0, 14), b"what was there")
    reload(whole)
# What it had reserved keeps nobody out, and it reserves nothing any more.
def cell(c, what, data=b"", **more):
    return status_name(c.call(what, data, offset=0, count=512, handle=5, **more).status)

def fails(name, code, call):
    try:
        call()
        check(name, False, "it is done")
    except Failed as e:
        is_(name, e.code, code)

c, other = connect(False), connect(True, "relative")
other.open("cell", handle=5)
for now in ("clients = relative", "clients = relative, taken:ro"):
    c.open("cell", handle=5)
    c.reserve("cell", "register", other="c1")
    c.reserve("cell", "reserve", key="c1", type=2)
    is_("reserved, another does not read it", cell(other, READ), "RESERVED")
    reload(whole.replace("clients = relative, taken", now))
    check("with its access its reservation goes", wait_until(lambda: cell(other, WRITE, bytes(512)) == "OK"), cell(other, READ))
    fails("it reserves nothing any more", "ENOENT" if now[-1] == "e" else "EACCES",
          lambda: c.reserve("cell", "register", other="c1"))
    r = c.call(OPEN, rec(T_NAME, "cell"), handle=6, flags=32)
    is_("nor by an open", status_name(r.status), "NO_VOLUME" if now[-1] == "e" else "READ_ONLY")
    is_("the other goes on", cell(other, READ), "OK")
    reload(whole)
    wait_until(lambda: c.call(OPEN, rec(T_NAME, "cell"), handle=5).status == OK and cell(c, DISCARD) == "OK")

# The right to manage.
c.work("create", volume="made", size=1 << 20)
reload(whole.replace("manage = taken relative", "manage = relative"))
for op, more in (("create", dict(volume="more", size=512)), ("resize", dict(volume="made", size=2 << 20)),
                 ("rename", dict(volume="made", to="mine")), ("remove", dict(volume="made", confirm="made")),
                 ("snapshot", dict(volumes=["made"], name="s")), ("clone", dict(volume="made", to="more")),
                 ("copy", dict(volume="made", to="more")), ("limit", dict(volume="made", iops=1)),
                 ("access", dict(volume="made", clients=["taken"])), ("label", dict(volume="made", text="x")),
                 ("schedule", dict(volume="made", every=3600, keep=2))):
    fails("the right to manage is gone: " + op, "EACCES", lambda: c.work(op, **more))
is_("nothing was made or changed", sorted(n for n in os.listdir(DIR + "/pool") if n.endswith(".raw")), ["made.raw", "quiet.raw"])
is_("who keeps it has it", other.work("label", volume="made", text="x") and None, None)
w.finish()
EOT
done_testing
