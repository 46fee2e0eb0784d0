#!/bin/bash
# Who sees a volume, who may only read it, and what becomes of both when the list changes:
# checked with every command, also for who has it open.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/agent.sh"
requires_program rssrv

write_server_conf "$W" client=writer client=reader client=stranger
sed -i "s/^reader .*/reader $(new_key)/; s/^stranger .*/stranger $(new_key)/" "$W/rssrvcfg"
make_volume "$W" inpool 1M
truncate -s 1M "$W/ledger.raw"
printf '\n[volume ledger]\npath = %s\nclients = writer, reader:ro\n' "$W/ledger.raw" >>"$W/rssrvcfg"
start_server "$W"

scenario "$W" <<'EOT'
import signal
conf = os.path.join(DIR, "rssrvcfg")
text = open(conf).read()
pid = status()["process"]["pid"]
SHARE = "clients = writer, reader:ro"

def reload(clients):
    assert SHARE in text
    open(conf, "w").write(text.replace(SHARE, clients))
    os.kill(pid, signal.SIGHUP)

def write(c, handle=1):
    return status_name(c.call(WRITE, b"x" * 512, offset=0, count=512, handle=handle).status)

def listed(c):
    return {v.name: bool(v.flags & F_READ_ONLY) for v in c.list()}

w, r, s = Node("writer").login(), Node("reader").login(), Node("stranger").login()
is_("the writer's list", listed(w), {"ledger": False, "inpool": False})
is_("the reader's says that it is read-only", listed(r), {"ledger": True, "inpool": False})
is_("the stranger's does not have it", listed(s), {"inpool": False})
text_ = refused("who is not on the list cannot open it", E_NO_VOLUME, lambda: s.open("ledger"))
check("and is told what may be missing", "stranger is not among its clients" in text_, text_)
is_("which looks as if it were not there", refused("a volume that is not there", E_NO_VOLUME, lambda: s.open("nothing")),
    text_.replace("ledger", "nothing"))
w.open("ledger")
reply = r.must(OPEN, rec(T_NAME, "ledger"), handle=1)
check("the reader's open says that it only reads", reply.flags & F_READ_ONLY)
is_("the writer writes", write(w), "OK")
is_("the reader reads it", r.read(0, 512, 1), b"x" * 512)
is_("the reader does not write", write(r), "READ_ONLY")
is_("nor discard", status_name(r.call(DISCARD, offset=0, count=512, handle=1).status), "READ_ONLY")
is_("nor write zeroes", status_name(r.call(WRITE_ZEROES, offset=0, count=512, handle=1).status), "READ_ONLY")
is_("the status has the list as it stands", [v["clients"] for v in status()["volumes"]], [["writer", "reader:ro"], None])

reload("clients = writer:ro reader:rw")
check("the reader may write now", wait_until(lambda: write(r) == "OK"))
is_("the writer may not any more, though it has it open", write(w), "READ_ONLY")
e = next_event(w, EV_RESIZED)
check("it is told", e and e.flags & F_READ_ONLY, e)
is_("it still reads", w.read(0, 512, 1), b"x" * 512)
reload("clients = reader")
check("off the list it does not even read",
      wait_until(lambda: status_name(w.call(READ, offset=0, count=512, handle=1).status) == "NO_VOLUME"))
is_("the other is not concerned", write(r), "OK")
reload("# everybody")
check("without a list everybody sees it", wait_until(lambda: "ledger" in listed(s)))
s.open("ledger", handle=2)
is_("and writes", write(s, 2), "OK")
for wrong, why in (("clients = reader:xy", "each perhaps with :ro"), ("clients = reader reader:ro", "names a client twice"),
                   ("clients = nobody:ro", "'nobody' is not in")):
    reload(wrong)
    check("a mistake in the list is named", wait_until(lambda: why in open(DIR + "/rssrv.out").read()), wrong)
is_("and changes nothing", write(s, 2), "OK")

# A pool's.
text = text.replace("\npath = %s/pool\n" % DIR, "\npath = %s/pool\nclients = writer reader:ro\n" % DIR)
assert "clients = writer reader:ro\n" in text
w, r, s = Node("writer").login(), Node("reader").login(), Node("stranger").login()
s.open("inpool", handle=1)
is_("without a list everybody writes to a pool's volumes", write(s), "OK")
w.open("inpool")
r.open("inpool")
reload(SHARE)
check("a pool gets a list: who is not in it loses its volumes",
      wait_until(lambda: status_name(s.call(READ, offset=0, count=512, handle=1).status) == "NO_VOLUME"))
is_("and does not see them", listed(s), {})
is_("one only reads", (write(r), r.read(0, 512, 1)), ("READ_ONLY", b"x" * 512))
is_("one writes", write(w), "OK")
open(DIR + "/pool/later.raw", "wb").truncate(1 << 20)
check("a volume that comes later", wait_until(lambda: "later" in listed(w)))
is_("has the list too", (listed(s), listed(r)["later"]), ({}, True))
EOT
check "audit lines say who opened it to read" grep -q 'open of ledger (ro) by reader' "$W/rssrv.out"
check "and who got nothing" grep -q 'open of ledger (rw) by stranger from .* refused (no-volume)' "$W/rssrv.out"
done_testing
