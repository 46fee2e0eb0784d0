#!/bin/bash
# A pool that two servers share: one owns it, the other offers what the owner gave an
# identity; the ownership moves when the owner is gone; a failed flush is seen by both.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/servers.sh"

mkdir "$W/pool" "$W/1" "$W/2" "$W/3"
truncate -s 16M "$W/pool/v.raw"
for i in 1 2 3; do
	write_server_conf "$W/$i" server=srv$i serverid=$i portals=2
	sed -i "s|^path = .*|path = $W/pool\nshared = yes|" "$W/$i/rssrvcfg"
done
start_server "$W/1"
start_server "$W/2"

scenario "$W" <<'EOT'
from several import *
pool = lambda d: status(d)["pools"][0]

is_("the first one owns it", (pool(ONE)["shared"], pool(ONE)["owner"]), (True, "srv1"))
check("and the second knows", wait_until(lambda: pool(TWO)["owner"] == "srv1"), pool(TWO))
a, b = both()
v, w = a.list()[0], b.list()[0]
is_("both offer the same volume", (v.uuid, v.generation, v.size, v.shared), (w.uuid, w.generation, w.size, 1))
is_("past the cache", volume("v", ONE)["store"], "direct")
statx = os.statvfs(DIR + "/pool")
check("its blocks are those of direct I/O", v.block_size >= 512 and v.block_size == w.block_size, v.block_size)
a.write(4096, b"a" * 4096)
is_("what one writes the other reads", b.read(4096, 4096), b"a" * 4096)
is_("its claims are in the pool", os.path.exists(DIR + "/pool/.rsio.clients/node1"), True)
is_("and keep the other out", status_name(b.takeover("srv1", 1)[0]), "BUSY")

# What appears is identified by the owner alone.
send(ONE, "STOP")
with open(DIR + "/pool/new.raw", "wb") as f:
    f.truncate(1 << 20)
time.sleep(1.0)
is_("a new file waits for the owner", (volume("new", TWO), os.path.exists(DIR + "/pool/new.meta")), (None, False))
send(ONE, "CONT")
check("which gives it an identity", wait_until(lambda: volume("new", ONE)))
check("that the other one takes over", wait_until(lambda: volume("new", TWO)))
is_("the same", *[(volume("new", d)["uuid"], volume("new", d)["generation"]) for d in (ONE, TWO)])

# A file that is replaced is a new generation, which the owner says.
before = volume("new", TWO)
send(ONE, "STOP")
os.rename(DIR + "/pool/new.raw", DIR + "/pool/gone")
with open(DIR + "/pool/new.raw", "wb") as f:
    f.truncate(2 << 20)
check("a replaced file is not offered before the owner has seen it", wait_until(lambda: volume("new", TWO) is None) and
      not wait_until(lambda: volume("new", TWO), 1))
send(ONE, "CONT")
check("then it is", wait_until(lambda: volume("new", TWO) and volume("new", ONE) and
                               volume("new", TWO)["generation"] == volume("new", ONE)["generation"]))
check("with another generation and the same UUID", volume("new", TWO)["generation"] != before["generation"] and
      volume("new", TWO)["uuid"] == before["uuid"])
os.unlink(DIR + "/pool/gone")

# An identity that is changed is read anew.
meta = open(DIR + "/pool/new.meta").read()
generation = volume("new", TWO)["generation"]
with open(DIR + "/pool/new.meta.tmp", "w") as f:
    f.write(meta.replace("generation = " + generation, "generation = %d" % (int(generation) + 7)))
os.rename(DIR + "/pool/new.meta.tmp", DIR + "/pool/new.meta")
check("a generation that was changed shows on both", wait_until(
    lambda: all((volume("new", d) or {"generation": 0})["generation"] == str(int(generation) + 7) for d in (ONE, TWO))),
    [volume("new", d) for d in (ONE, TWO)])

# A flush that fails.
a.flush()
b.flush()
mark = DIR + "/pool/v.flush-failed"
open(mark, "w").close()
is_("a mark refuses flushes, whoever made it", [status_name(c.call(FLUSH, handle=1).status) for c in (a, b)],
    ["FLUSH_FAILED"] * 2)
is_("and FUA", status_name(b.call(WRITE, b"x" * 4096, offset=0, count=4096, handle=1, flags=F_FUA).status), "FLUSH_FAILED")
is_("others are written", status_name(b.call(WRITE, b"x" * 4096, offset=0, count=4096, handle=1).status), "OK")
is_("it shows", [volume("v", d)["flush_failed"] for d in (ONE, TWO)], [True, True])
ctl({"do": "clear-flush-error", "volume": "v"}, TWO)
is_("cleared at one", os.path.exists(mark), False)
is_("it is so for both", [status_name(c.call(FLUSH, handle=1).status) for c in (a, b)], ["OK"] * 2)
is_("that shows too", [volume("v", d)["flush_failed"] for d in (ONE, TWO)], [False, False])
finish(a, b)
EOT
logged "$W/1" 'main: this server is its owner now' "the log says who owns the pool"
logged "$W/2" 'main: server srv1 is its owner' "and that of the other one"
logged "$W/2" 'new.raw has no identity yet: its pool.s owner, another server, gives it one' "and what it waits for"
logged "$W/1" 'v: a flush failed by way of another server' "and whose flush failed"
logged "$W/1" 'v: the flush error was cleared by way of another server' "and that it was cleared"

kill_server "$W/1"
disown -a
scenario "$W" <<'EOT'
from several import *
check("when the owner is killed the other one owns it", wait_until(lambda: status(TWO)["pools"][0]["owner"] == "srv2"))
with open(DIR + "/pool/later.raw", "wb") as f:
    f.truncate(1 << 20)
check("and gives identities", wait_until(lambda: volume("later", TWO)) and os.path.exists(DIR + "/pool/later.meta"))
EOT
start_server "$W/1"
start_server "$W/3"
scenario "$W" <<'EOT'
from several import *
THREE = DIR + "/3"
owners = lambda: [status(d)["pools"][0]["owner"] for d in (ONE, TWO, THREE)]
check("who comes back finds it so", wait_until(lambda: owners() == ["srv2"] * 3), owners())
is_("and offers all", [sorted(v["name"] for v in status(d)["volumes"]) for d in (ONE, TWO, THREE)], [["later", "new", "v"]] * 3)
send(TWO, "KILL")
check("one of two takes it", wait_until(lambda: len({status(d)["pools"][0]["owner"] for d in (ONE, THREE)} - {"srv2"}) == 1 and
                                       status(ONE)["pools"][0]["owner"] == status(THREE)["pools"][0]["owner"]))
EOT
kill_server "$W/2"
stop_server "$W/3"

# Who may use it.
refused()	# CONF REGEX NAME
{
	local status=0

	timeout 30 "$BUILD/rssrv" -f -c "$1" --run-dir "$W/run9" >"$W/refused" 2>&1 || status=$?
	is $status 1 "$3"
	like "$(cat "$W/refused")" "$2" "  and it says why"
}
variant()	# SED-EXPRESSION: a third server's configuration, changed
{
	sed "$1" "$W/3/rssrvcfg" >"$W/3/other"
	chmod 600 "$W/3/other"
}
variant '/^shared/d'
refused "$W/3/other" 'main\]: .*/pool is shared by other servers, the one with serverid 1 among them' \
	"an rssrv that does not share it keeps out"
like "$(cat "$W/refused")" "say 'shared = yes' in its section here too" "  and what to do"
variant 's/^serverid.*/serverid = 1/'
refused "$W/3/other" '/pool is in use by another rssrv with serverid 1' "so does a second one with the same id"
stop_server "$W/1"
variant '/^shared/d'
cp "$W/3/other" "$W/2/rssrvcfg"
chmod 600 "$W/2/rssrvcfg"
start_server "$W/2"
refused "$W/3/rssrvcfg" '/pool is in use by an rssrv that does not share it' "and one that shares from one that does not"
stop_server "$W/2"
variant 's/^serverid.*/serverid = 1/'
start_server "$W/3"
sed -i '/^shared/d' "$W/3/rssrvcfg"
kill -HUP "$(server_pid "$W/3")"
logged "$W/3" "main: 'shared' changes only with a restart" "what is shared stays so until a restart"

# A file of a section is used in the same ways.
mkdir "$W/files"
truncate -s 1M "$W/files/f.raw"
for i in 1 2; do
	mkdir -p "$W/files/$i"
	write_server_conf "$W/files/$i" server=srv$i serverid=$i
	printf '\n[volume f]\npath = %s\nshared = yes\n' "$W/files/f.raw" >>"$W/files/$i/rssrvcfg"
done
sed -i '/^shared/d' "$W/files/2/rssrvcfg"
start_server "$W/files/1"
start_server "$W/files/2"
like "$(cat "$W/files/2/rssrv.out")" 'files/f.raw is shared by other servers, the one with serverid 1 among them' \
	"a file that is shared is not offered by one that does not share it"
is "$(cd "$W/files" && ls)" "$(printf '%s\n' 1 2 f.raw f.raw.rsio)" "and nothing else is made beside it until a client opens it"
done_testing
