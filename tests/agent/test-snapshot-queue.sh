#!/bin/bash
# Where the file system shares no blocks a volume is copied for one snapshot at a time: the next one waits for
# its turn, says so and how far the other is, can be cancelled, and is of the moment when it had it.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/agent.sh"
requires_root
requires_cmd strace
requires_program rssrv

write_server_conf "$W" client=boss
echo 'manage = boss' >>"$W/rssrvcfg"
mount -t tmpfs -o size=256m rsio-test "$W/pool"
cleanup_fn umount "$W/pool"
head -c 32M /dev/zero | tr '\0' a >"$W/pool/v.raw"
make_volume "$W" w 1M
start_server "$W"
# A copy takes long enough to be seen.
strace -qq -o /dev/null -e trace=write -e inject=write:delay_enter=1000 true 2>/dev/null || skip "strace cannot trace here"
(
	trap - EXIT HUP INT TERM
	exec strace -f -qq -o /dev/null -e trace=pread64 -e inject=pread64:delay_enter=5000 -p "$(server_pid "$W")"
) &
tracer=$!
cleanup_fn end_process $tracer
traced() { ! grep -L "^TracerPid:.*[1-9]" "/proc/$(server_pid "$W")"/task/*/status | grep -q .; }
wait_for 10 traced || bail "strace is there"

scenario "$W" <<'EOT'
c = Node("boss").login(snapshots=True)
c.open("v")
def snapshot(name, *volumes, **more):
    return c.start_work("snapshot", volumes=list(volumes), name=name, **more)["id"]

first = snapshot("first", "v")
check("a first one is copied", wait_until(lambda: c.job(first)["stage"] == "copying" and c.job(first).get("taken")), c.job(first))
c.write(0, b"b" * 512)
second, third = snapshot("second", "v", "w"), snapshot("third", "v")
waits = lambda ident: c.job(ident)["stage"].startswith("waiting for another copy")
check("a second one waits, of several volumes too", wait_until(lambda: waits(second)), c.job(second))
check("and a third", wait_until(lambda: waits(third)), c.job(third))
j = c.job(second)
check("with how far the first one is", 0 < j["of"] <= 32 << 20 and j["done"] <= j["of"], j)
try:
    c.work("snapshot", volumes=["v"], name="now", at_once=True)
    check("one that is to be at once is refused", False)
except Failed as e:
    check("one that is to be at once is refused", e.code == "EBUSY" and "% of which is done" in e.text, e)
try:
    c.work("resize", volume="v", size=1 << 20, confirm="v")
    check("nor is the volume cut meanwhile", False)
except Failed as e:
    is_("nor is the volume cut meanwhile", e.code, "EBUSY")
c.cancel(third)
is_("one that waits is cancelled", c.wait_job(third)["state"], "cancelled")
c.write(0, b"c" * 512)
is_("the first one is done", c.wait_job(first)["state"], "done")
is_("the second too", c.wait_job(second)["state"], "done")
content = []
for handle, name in enumerate(("v@first", "v@second"), 10):
    c.open(name, handle=handle)
    content.append(c.read(0, 1, handle=handle))
is_("each is of its own moment", content, [b"a", b"c"])
s = {x["name"]: x["taken_seconds"] for x in c.control("volume", name="v")["volume"]["snapshots"]}
is_("and there are no others", sorted(s), ["first", "second"])
EOT
done_testing
