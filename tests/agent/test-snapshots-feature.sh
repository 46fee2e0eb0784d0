#!/bin/bash
# Snapshots are there for the connections that know what they are, and for no others: LIST, events, OPEN.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/agent.sh"
requires_program rssrv

write_server_conf "$W" client=boss client=guest portals=2
sed -i "s/^guest .*/guest $(new_key)/" "$W/rssrvcfg"
echo 'manage = boss' >>"$W/rssrvcfg"
make_volume "$W" vol 1M
make_volume "$W" other 1M
start_server "$W"

scenario "$W" <<'EOT'
node = Node("boss")
old = node.login()
new = node.login(old.session, portal=1, snapshots=True)
names = lambda c: sorted(v.name for v in c.list())

def said(c):
    """What it was told of so far: pings go behind the events."""
    c.ping()
    told = [(number(e.payload, T_EVENT_KIND), get_volume(first(e.payload, T_VOLUME)).name) for e in c.events]
    c.events.clear()
    return told

features = lambda c: sorted(d[1:].decode() for t, _, d in records(c.welcome.payload) if t == T_FEATURE)
is_("the server names the feature to who does", features(new), ["payload-crc", "snapshots"])
is_("and not to others", features(old), ["payload-crc"])
new.open("vol", handle=1)
new.write(0, b"monday" * 100)
start = int(time.time())
new.work("snapshot", volumes=["vol", "other"], name="monday")
new.write(0, b"tuesday" * 100)
is_("who knows of them is told", sorted(said(new)), [(EV_ADDED, "other@monday"), (EV_ADDED, "vol@monday")])
is_("on the same session's other connection nothing is", said(old), [])
is_("they are listed", names(new), ["other", "other@monday", "vol", "vol@monday"])
is_("and not where they are not known", names(old), ["other", "vol"])
is_("nor counted", number(old.must(LIST, offset=0, count=1).payload, T_TOTAL), 2)
v = new.open("vol@monday", handle=2)
is_("one is opened", (v.name, v.flags, v.size), ("vol@monday", F_READ_ONLY | F_SNAPSHOT, 1 << 20))
check("it says when it was taken", start <= v.taken <= time.time(), v)
check("its UUID is its own", v.uuid not in [w.uuid for w in new.list() if w.name != v.name])
is_("its id is counted among snapshots", sorted(w.id for w in new.list() if "@" in w.name), [0, 1])
is_("those of volumes stay", sorted(w.id for w in new.list() if "@" not in w.name), [0, 1])
is_("it is what the volume was", new.read(0, 600, handle=2), b"monday" * 100)
refused("nobody writes to it", E_READ_ONLY, lambda: new.write(0, bytes(512), handle=2))
refused("who does not know what it is opens none", E_NO_VOLUME, lambda: old.open("vol@monday", handle=3))
refused("there is no other", E_NO_VOLUME, lambda: new.open("vol@tuesday", handle=3))
guest = Node("guest").login(snapshots=True)
is_("who may see the volume may see its snapshots", names(guest), ["other", "other@monday", "vol", "vol@monday"])
new.work("access", volume="vol", clients=["boss"])
e = next_event(guest, EV_REMOVED)
is_("who may not see it any more is told", e and e.name.split("@")[0], "vol")
is_("and sees none of them", names(guest), ["other", "other@monday"])
refused("or opens one", E_NO_VOLUME, lambda: guest.open("vol@monday", handle=3))
new.must(CLOSE, handle=2)
said(new), said(old)
new.work("snapshot_remove", volume="vol", snapshot="monday")
is_("that one goes is told", said(new), [(EV_REMOVED, "vol@monday")])
is_("to who knew it", said(old), [])
is_("it is listed no more", names(new), ["other", "other@monday", "vol"])
EOT
done_testing
