#!/bin/bash
# Two clients and one volume: rsconfig -a --exclusive, what the other one sees and gets, over a
# restart of the server and the death of a client; and persistent reservations by ioctl.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/../functions.sh"
requires_root
requires_fuse
requires_loop
requires_program rssrv rsiod rsconfig rsvol
requires_cmd python3

write_server_conf "$W/srv" client=node1 client=node2 portals=2
second=$(new_key)
sed -i "s/^node2 .*/node2 $second/" "$W/srv/rssrvcfg"
make_volume "$W/srv" one 4M
make_volume "$W/srv" keys 4M
write_client_conf "$W/a" "$W/srv"
write_client_conf "$W/b" "$W/srv" node=node2 "key=$second"
for n in a b; do
	printf '[defaults]\ndetect = 1s\n' >>"$W/$n/rscltcfg"
done
start_server "$W/srv"
start_client "$W/a"
start_client "$W/b"
a=$W/a/mnt/osl b=$W/b/mnt/osl
on() { timeout -k 1 30 "$BUILD/rsconfig" --run-dir "$W/$1/run" "${@:2}" 2>&1; }
said() { on "$@" || true; }
detach_all() { on a -d --force osl:one; on b -d --force osl:one; }
cleanup_fn detach_all

write_to() { dd if=/dev/zero of="$1" bs=4096 count=1 conv=notrunc oflag=direct status=none; }
read_from() { dd if="$1" of=/dev/null bs=4096 count=1 iflag=direct status=none; }
sees() { on "$1" -q | grep -q "$2.*reserved by $3"; }
not_reserved() { ! on "$1" -q | grep -q "$2.*reserved by"; }

# Alone.
check_fails 2 "--exclusive needs a name" on a -a --exclusive
exec 5<"$b/one"
check "it is open elsewhere" read_from "$b/one"
like "$(said a -a --exclusive osl:one)" "open by client node2" "then it is refused, and who has it is said"
check "and nothing was attached" not_reserved a one
exec 5<&-
check "when nobody has it" wait_for 10 on a -a --exclusive osl:one
check "who has it sees it" wait_for 5 sees a one node1
check "the other one too" wait_for 5 sees b one node1
check_fails 1 "the other one reads nothing" read_from "$b/one"
check_fails 1 "and writes nothing" write_to "$b/one"
like "$(cat "$W/b/rsiod.out")" "osl:one cannot be opened on srv: it is reserved by client node1" "its log says why"
like "$(said b -a --exclusive osl:one)" "reserved by client node1" "nor has it alone"
info() { timeout 20 "$BUILD/rsvol" --run-dir "$W/b/run" info osl:one 2>&1 || true; }
like "$(info)" "^reserved by node1$" "rsvol info says who has it"
check "who has it writes" write_to "$a/one"
kill_server "$W/srv"
start_server "$W/srv"
check "after a restart of the server, too" write_to "$a/one"
check_fails 1 "and the other one does not" write_to "$b/one"
check "detached" on a -d osl:one
check "it is free" wait_for 5 not_reserved b one
check "and nobody is named" test -z "$(info | grep '^reserved')"
check "for everybody" write_to "$b/one"

# A client that dies gives it up with its session.
check "alone again" wait_for 10 on a -a --exclusive osl:one
kill_client "$W/a"
check "the other one gets it" wait_for 30 write_to "$b/one"
on b -d osl:one >/dev/null || true
losetup -nO NAME,BACK-FILE | awk -v f="$a/one" '$2 == f { print $1 }' | xargs -r losetup -d
unmount "$W/a/mnt"
start_client "$W/a"

# The ioctls, as cluster software uses them.
cat >"$W/pr.py" <<'END'
import errno, fcntl, os, struct, sys
def iow(n, size):
    return 1 << 30 | size << 16 | ord("p") << 8 | n
REGISTER, RESERVE, RELEASE, PREEMPT, ABORT, CLEAR = (iow(200, 24), iow(201, 16), iow(202, 16), iow(203, 24),
                                                     iow(204, 24), iow(205, 16))
def call(path, number, *words):
    fd = os.open(path, os.O_RDWR)
    try:
        return fcntl.ioctl(fd, number, bytearray(struct.pack("=QII" if len(words) == 3 else "=QQII", *words)))
    except OSError as e:
        return errno.errorcode[e.errno]
    finally:
        os.close(fd)
def register(p, old, new, flags=0): return call(p, REGISTER, old, new, flags, 0)
def reserve(p, key, kind): return call(p, RESERVE, key, kind, 0)
def release(p, key, kind): return call(p, RELEASE, key, kind, 0)
def preempt(p, old, new, kind, n=PREEMPT): return call(p, n, old, new, kind, 0)
def clear(p, key): return call(p, CLEAR, key, 0, 0)
def write(p):
    fd = os.open(p, os.O_WRONLY)
    try:
        return os.pwrite(fd, b"x" * 4096, 0)
    except OSError as e:
        return errno.errorcode[e.errno]
    finally:
        os.close(fd)
END
PYTHONPATH=$W python3 - "$a/keys" "$b/keys" >"$W/pr.out" 2>&1 <<'END' || true
from pr import *
a, b = sys.argv[1:]
say = print
say(register(a, 0, 0xa1), register(b, 0, 0xfedcba9876543210))
say(reserve(a, 0xa1, 1), reserve(b, 0xfedcba9876543210, 1), reserve(a, 0x77, 1))
say(write(a), write(b))
say(preempt(b, 0xfedcba9876543210, 0xa1, 1), write(a), write(b))
say(register(a, 0, 0xa2, 1), preempt(a, 0xa2, 0xfedcba9876543210, 3, ABORT), write(a), write(b))
say(release(a, 0xa2, 3), write(b), clear(a, 0xa2), reserve(a, 0xa2, 1))
say(reserve(a, 0xa2, 9), call(a, RESERVE, 0xa2, 1, 4), call(a, iow(206, 16), 0, 0, 0))
fd = os.open(a, os.O_RDONLY)
try:
    fcntl.ioctl(fd, REGISTER, struct.pack("=QQII", 0, 1, 0, 0))
except OSError as e:
    say(errno.errorcode[e.errno])
END
is "$(cat "$W/pr.out")" "0 0
0 24 24
4096 EBADE
0 EBADE 4096
0 0 4096 EBADE
0 4096 0 24
EINVAL ENOTSUP ENOTTY
ENOTTY" "each ioctl does what its name says"
done_testing
