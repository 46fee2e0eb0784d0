#!/bin/bash
# Volumes that appear, go, grow and are replaced while clients look on; what the
# identity files are for; duplicates; SIGHUP.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/agent.sh"
requires_program rssrv

write_server_conf "$W" portals=1
sed -i "/^\[clients\]/a node2 $(new_key)" "$W/rssrvcfg"
make_volume "$W" first 1M
truncate -s 1M "$W/section.raw"
cat >>"$W/rssrvcfg" <<EOT

[volume section]
path = $W/section.raw
clients = node1
EOT
start_server "$W"

scenario "$W" <<'EOT'
c = Node().login()
other = Node("node2").login()
names = lambda conn=c: [v.name for v in conn.list()]
is_("the list at first", names(), ["section", "first"])
is_("a client sees only what it may", names(other), ["first"])

open(pool_file("second.raw"), "wb").truncate(4 << 20)
start = time.monotonic()
v = next_event(c, EV_ADDED)
check("a new file is told within a second", v and v.name == "second" and time.monotonic() - start < 1, v)
check("to everybody", next_event(other, EV_ADDED))
c.open("second", handle=1)
c.write(0, b"old content")
os.truncate(pool_file("second.raw"), 8 << 20)
start = time.monotonic()
v = next_event(c, EV_RESIZED)
check("so is a new size", v and v.size == 8 << 20 and time.monotonic() - start < 1, v)
is_("that can be used at once", c.read((8 << 20) - 512, 512), bytes(512))

before = v
os.unlink(pool_file("second.raw"))
open(pool_file("second.raw"), "wb").truncate(8 << 20)
v = next_event(c, EV_REPLACED) or next_event(c, EV_ADDED, 1)
check("a re-created file keeps its UUID", v and v.uuid == before.uuid)
check("and has a later generation", v and v.generation > before.generation, (v, before))
r = c.call(READ, offset=0, count=512, handle=1)
check("who has the old one open is refused", r.status in (E_GENERATION, E_NO_VOLUME), r)
refused("opening the old one is refused", E_GENERATION, lambda: c.open("second", 2, before.uuid, before.generation))
is_("the new one opens, with the same handle", c.open("second", 1, v.uuid, v.generation).generation, v.generation)
is_("and is empty", c.read(0, 11), bytes(11))
open(pool_file("new"), "wb").truncate(4 << 20)
os.rename(pool_file("new"), pool_file("second.raw"))
w = next_event(c, EV_REPLACED)
check("a file moved into its place is a new generation too", w and w.generation > v.generation, w)

os.unlink(pool_file("second.raw"))
v = next_event(c, EV_REMOVED)
check("a removed file is told", v and v.name == "second", v)
is_("and is no longer in the list", names(), ["section", "first"])
is_("who has it open is refused", c.call(WRITE, bytes(512), offset=0, count=512, handle=1).status, E_GENERATION)

for name in (".hidden.raw", "-dash.raw", "x" * 41 + ".raw", "no space.raw", "text.txt"):
    open(pool_file(name), "wb").truncate(4096)
os.symlink("/etc/passwd", pool_file("link.raw"))
os.mkdir(pool_file("dir.raw"))
os.mkfifo(pool_file("fifo.raw"))
open(pool_file("good.raw"), "wb").truncate(4096)
check("a good one among bad ones is told", next_event(c, EV_ADDED).name == "good")
is_("and the bad ones are not offered", names(), ["section", "first", "good"])

# Duplicates.
import shutil
shutil.copy(pool_file("first.meta"), pool_file("copy.meta"))
open(pool_file("copy.raw"), "wb").truncate(4096)
open(pool_file("section.raw"), "wb").truncate(4096)
time.sleep(0.6)
is_("a second UUID or name is not offered, the first stays", names(), ["section", "first", "good"])
uuid = volume("first")["uuid"]
os.unlink(pool_file("copy.meta"))
v = next_event(c, EV_ADDED)
check("without the copied identity it is", v and v.name == "copy" and v.uuid.hex() != uuid.replace("-", ""), v)
open(pool_file("good.meta"), "w").write("uuid = nonsense\n")
EOT
logged "$W" 'volumes first .* and copy .* have the same UUID' "the log names both of one UUID"
logged "$W" 'the name section stands for .*/section.raw and for .*/pool/section.raw' "and of one name"
logged "$W" 'link.raw' "and the link"
is "$(grep -c 'have the same UUID' "$W/rssrv.out")" 1 "it says so once"

uuid=$(sed -n 's/^uuid = //p' "$W/pool/first.meta")
stop_server "$W"
rm "$W/pool/section.raw"
start_server "$W"
scenario "$W" "$uuid" <<'EOT'
is_("a UUID is kept over a restart", volume("first")["uuid"], sys.argv[2])
check("an identity file that cannot be read is an error", volume("good") is None)
EOT
logged "$W" 'good.meta: uuid: nonsense is not a value' "that names file, key and value"
check "a [volume]'s identity is beside it" grep -q "^uuid = " "$W/section.raw.rsio"

# SIGHUP.
scenario "$W" <<'EOT'
import signal
conf = os.path.join(DIR, "rssrvcfg")
text = open(conf).read()
pid = status()["process"]["pid"]
os.mkdir(os.path.join(DIR, "pool2"))
open(os.path.join(DIR, "pool2", "inpool2.raw"), "wb").truncate(4096)

def reload(new):
    open(conf, "w").write(new)
    os.kill(pid, signal.SIGHUP)

c, other = Node().login(), Node("node2").login()
c.open("section", handle=1)
other.open("first", handle=1)
reload(text + "\nnonsense\n")
is_("a mistake changes nothing", c.read(0, 512, 1), bytes(512))
key2 = clients_key("node2")
more = text.replace("clients = node1", "mode = ro")
more += "\n[pool more]\npath = %s/pool2\n" % DIR
reload(more)
check("a new pool's volume is offered", next_event(c, EV_ADDED).name == "inpool2")
check("clients = is gone: others may see it", wait_until(lambda: "section" in [v.name for v in other.list()]))
is_("mode = ro holds for who has it open", c.call(WRITE, bytes(512), offset=0, count=512, handle=1).status, E_READ_ONLY)
other.open("section", handle=2)
reload(text)
check("taken back: the pool's volume goes", next_event(c, EV_REMOVED).name == "inpool2")
check("and who may not see a volume any more cannot read it",
      wait_until(lambda: other.call(READ, offset=0, count=512, handle=2).status == E_NO_VOLUME))
check("nobody lost a session", c.ping() and other.ping())
is_("and what others may is untouched", other.read(0, 512, 1), bytes(512))
reload(text.replace(key2, "another-key"))
check("a changed key ends that node's session", other.closed(5))
check("and no other", c.ping() > 0)
check("the new key lets it in", Node("node2").login().ping() > 0)
ns, ident, server, address, port = portals()[0]
is_("the list tells of the portal", c.portals(), [(address, int(port))])
reload(text.replace("[clients]", "[interface if9]\naddress = %s\nport = %d\n\n[clients]" % (address, port + 4001)))
e = next_event(c, EV_PORTAL)
check("a new portal is told", e and first(e.payload, T_PORTAL) == b"%s/%d" % (address.encode(), port + 4001), e)
is_("and so does the list", c.portals(), [(address, port), (address, port + 4001)])
reload(text)
e = next_event(c, EV_PORTAL_REMOVED)
check("and a portal that is gone", e and first(e.payload, T_PORTAL) == b"%s/%d" % (address.encode(), port + 4001), e)
is_("the list has it no more", c.portals(), [(address, port)])
EOT
logged "$W" 'nothing changes' "the log says that nothing changed"
logged "$W" 'if9\] is closed' "a removed portal is closed"
done_testing
