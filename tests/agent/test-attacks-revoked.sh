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
        reload(re.sub(r"(?m)^taken .*\n", "", whole).replace("clients = taken, relative", "clients = relative"))
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
w.finish()
EOT
done_testing
