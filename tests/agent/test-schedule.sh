#!/bin/bash
# Snapshots that the server takes by itself: one now and again, the newest of them kept, others
# left alone; over a restart no more than one at once, and whatever the clock says.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/agent.sh"
requires_program rssrv
export RSIO_TEST_EVERY_MIN=1

write_server_conf "$W"
make_volume "$W" v 1M
make_volume "$W" w 1M
start_server "$W"

cat >"$W/snaps.py" <<'EOT'
import re
def snaps(c, name="v"):
    return [s["name"] for s in c.control("volume", name=name)["volume"]["snapshots"]]
NAME = r"^20\d\d-\d\d-\d\dT\d\d\.\d\d\.\d\dZ(-\d+)?$"
EOT

PYTHONPATH=$W scenario "$W" <<'EOT'
from snaps import *
c = Node().login()
c.work("snapshot", volumes=["v"], name="mine")
c.work("snapshot", volumes=["v"], name="2020-01-31T12.00.00Z")
c.work("schedule", volume="v", every=1, keep=2)
seen = set()
check("they are taken again and again, and old ones go",
      wait_until(lambda: seen.update(snaps(c)) or len(seen) >= 6, 60), seen)
own = [n for n in snaps(c) if n not in ("mine", "2020-01-31T12.00.00Z")]
check("the newest are kept", len(own) in (2, 3), own)
check("their names are times", all(re.match(NAME, n) for n in own), own)
is_("those of others stay", set(snaps(c)) - set(own), {"mine", "2020-01-31T12.00.00Z"})
is_("another volume has none", snaps(c, "w"), [])
c.work("schedule", volume="v", every=3600, keep=2)
c.work("schedule", volume="w", every=3600, keep=2)
check("a first one is taken at once", wait_until(lambda: len(snaps(c, "w")) == 1))
# A clone of a volume with a schedule has none of its own.
c.work("clone", volume="v", to="clone")
is_("a clone has no schedule", c.control("volume", name="clone")["volume"]["schedule"], None)
schedule = lambda: c.control("volume", name="v")["volume"]["schedule"]
check("the volume has", wait_until(lambda: schedule()["next"]), schedule())
s = schedule()
is_("as it was asked for", (s["every"], s["keep"]), (3600, 2))
check("and says when the next one is due", 3400 < s["next_seconds"] - time.time() <= 3601, s)
is_("in words too", s["next"], time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(s["next_seconds"])))
is_("the list of all says so as well",
    [(v["name"], v["schedule"] and v["schedule"]["every"]) for v in c.control("volumes")["volumes"]],
    [("clone", None), ("v", 3600), ("w", 3600)])
open(DIR + "/w", "w").write(snaps(c, "w")[0])
EOT
stop_server "$W"
start_server "$W"
logged "$W" 'ready' "a server that is started anew"
PYTHONPATH=$W scenario "$W" <<'EOT'
from snaps import *
c = Node().login()
w = open(DIR + "/w").read()
c.work("schedule", volume="v", every=1, keep=2)
check("goes on", wait_until(lambda: len(set(snaps(c)) - {"mine"}) and "v@20" in open(DIR + "/rssrv.out").read()))
c.work("schedule", volume="v", every=0)
is_("and takes none before its time", snaps(c, "w"), [w])
EOT
stop_server "$W"

# The newest is made to be long ago: several were missed.
snap_time() { sed -i "s/^taken = .*/taken = $1/" "$W"/pool/.rsio.snap/w/*.meta; }
snap_time 2020-01-31T12:00:00Z
start_server "$W"
PYTHONPATH=$W scenario "$W" <<'EOT'
from snaps import *
c = Node().login()
w = open(DIR + "/w").read()
check("of those that were missed one is taken", wait_until(lambda: len(snaps(c, "w")) == 2))
c.work("schedule", volume="v", every=1, keep=2)
before = set(snaps(c))
check("others are taken meanwhile", wait_until(lambda: len(set(snaps(c)) - before) >= 2, 30))
is_("but no second of that", len(snaps(c, "w")), 2)
c.work("schedule", volume="v", every=0)
EOT
stop_server "$W"

# The clock was set back: it is of tomorrow, and so are all names of today taken.
snap_time 2099-01-31T12:00:00Z
start_server "$W"
PYTHONPATH=$W scenario "$W" <<'EOT'
from snaps import *
c = Node().login()
before = snaps(c, "w")
c.work("schedule", volume="v", every=1, keep=2)
old = set(snaps(c))
check("others are taken", wait_until(lambda: len(set(snaps(c)) - old) >= 2, 30))
is_("one of the future counts as just taken", snaps(c, "w"), before)
c.work("schedule", volume="w", every=1, keep=1)
check("what is taken now is kept though it is the oldest",
      wait_until(lambda: len(snaps(c, "w")) == 1 and snaps(c, "w")[0] not in before, 30), snaps(c, "w"))
c.work("schedule", volume="w", every=0)
c.work("schedule", volume="v", every=0)
c.work("remove", volume="v", confirm="v", snapshots=True)
EOT
check "each is in the log" grep -qE '\(schedule\): v@20.*Z taken, writes were held for' "$W/rssrv.out"
done_testing
