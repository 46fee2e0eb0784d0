#!/bin/bash
# A volume that is renamed or cut has nothing to do any more with what began before: a clone of it that is still
# being copied would have what is written to it under its new name, and a copy into it, of a client that
# closed it and did not wait, would land on what another one has written since.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/agent.sh"
requires_root
requires_cmd strace
requires_program rssrv

write_server_conf "$W" client=boss client=guest
sed -i "s/^guest .*/guest $(new_key)/" "$W/rssrvcfg"
echo 'manage = boss' >>"$W/rssrvcfg"
mount -t tmpfs -o size=256m rsio-test "$W/pool"
cleanup_fn umount "$W/pool"
head -c 16M /dev/zero | tr '\0' n >"$W/pool/from.raw"
for v in cut renamed cloned; do
	head -c 16M /dev/zero | tr '\0' o >"$W/pool/$v.raw"
done
start_server "$W"
strace -qq -o /dev/null -e trace=write -e inject=write:delay_enter=1000 true 2>/dev/null || skip "strace cannot trace here"
(
	trap - EXIT HUP INT TERM
	exec strace -f -qq -o /dev/null -e trace=copy_file_range,pread64 -e inject=copy_file_range:delay_enter=200000 \
		-e inject=pread64:delay_enter=5000 -p "$(server_pid "$W")"
) &
tracer=$!
cleanup_fn end_process $tracer
traced() { ! grep -L "^TracerPid:.*[1-9]" "/proc/$(server_pid "$W")"/task/*/status | grep -q .; }
wait_for 10 traced || bail "strace is there"

scenario "$W" <<'EOT'
M = 1 << 20
SIZE = 16 * M
boss, guest = Node("boss").login(snapshots=True), Node("guest").login(copies=True)
guest.open("from", handle=1)

# Closed, and not waited for.
def leave(name):
    guest.open(name, handle=2)
    copy = guest.start(COPY, struct.pack("<IQ", 1, 0), handle=2, offset=0, count=SIZE)
    check(name + ": a copy begins", wait_until(lambda: guest.read(0, 1, handle=2) == b"n"))
    guest.must(CLOSE, handle=2)
    return copy

def size(name):
    return os.stat(pool_file(name + ".raw")).st_size

def written(name, to):
    boss.open(to, handle=3)
    last = size(to) - 512
    boss.write(last, b"w" * 512, handle=3)
    return last

copy = leave("cut")
boss.work("resize", volume="cut", size=8 * M, confirm="cut")
last = written("cut", "cut")
is_("cut: what its client has under way ends as with any handle that is not open", guest.wait(copy).status, E_HANDLE)
is_("cut: what was written afterwards stays", boss.read(last, 512, handle=3), b"w" * 512)
is_("cut: and so does its size", size("cut"), 8 * M)
boss.must(CLOSE, handle=3)

copy = leave("renamed")
boss.work("rename", volume="renamed", to="now")
last = written("renamed", "now")
is_("renamed: the same", (guest.wait(copy).status, boss.read(last, 512, handle=3)), (E_HANDLE, b"w" * 512))
boss.must(CLOSE, handle=3)

clone = boss.start_work("clone", volume="cloned", to="clone")["id"]
check("cloned: the moment is over", wait_until(lambda: boss.job(clone).get("taken")), boss.job(clone))
boss.work("rename", volume="cloned", to="other")
written("cloned", "other")
job = boss.wait_job(clone)
check("cloned: the clone of what was renamed meanwhile, and written, is none", job["state"] == "failed" and
      job["error"]["code"] == "ESTALE", job)
is_("cloned: and is not there", "clone" in [v["name"] for v in status()["volumes"]], False)
EOT
done_testing
