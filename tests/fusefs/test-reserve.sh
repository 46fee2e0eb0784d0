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
make_volume "$W/srv" own$$ 4M
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
detach_all() { on a -d --force osl:one; on b -d --force osl:one; on a -d --force osl:own$$; on b -d --force osl:own$$; }
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

# As the configuration says: attach = yes, exclusive = yes waits until it is had.
stop_client "$W/b"
exec 5<"$a/own$$"
check "it is open elsewhere" dd bs=4096 count=1 status=none of=/dev/null <&5
printf '[volume osl:own%s]\nattach = yes\nexclusive = yes\n' $$ >>"$W/b/rscltcfg"
start_client "$W/b"
says() { [ "$(grep -c "$1" "$W/b/rsiod.out")" = "$2" ]; }
check "a volume that another client has is waited for, and it is said" wait_for 10 says "osl:own$$ is not attached yet: .* is open by client node1" 1
dev=/dev/av0/own$$
check_fails 1 "it is not attached" test -e "$dev"
exec 5<&-
check "when nobody has it, it is attached" wait_for 20 test -b "$dev"
check "and nobody else's" wait_for 5 sees a "own$$" node2
check_fails 1 "the other one reads nothing" read_from "$a/own$$"
check "the one that has it does" read_from "$dev"
check "detached" on b -d "osl:own$$"
kill -HUP "$(client_pid "$W/b")"
check "read again" wait_for 10 says "was read again" 1
check_fails 1 "who detached it by hand gets it back by hand only" test -e "$dev"
check "the other one may have it alone now" on a -a --exclusive "osl:own$$"
stop_client "$W/b"
start_client "$W/b"
check "then it is reserved, and waited for" wait_for 10 says "osl:own$$ is not attached yet: .* reserved by client node1" 1
check "given up there" on a -d "osl:own$$"
check "it is attached here" wait_for 10 test -b "$dev"
check "detached, too" on b -d "osl:own$$"

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
def get(path, number, *words):
    """generation, number of keys; or key, generation, type"""
    fd, buf = os.open(path, os.O_RDWR), bytearray(struct.pack("=IIQ", *words) if words else bytes(16))
    try:
        fcntl.ioctl(fd, number, buf)
    except OSError as e:
        return errno.errorcode[e.errno]
    finally:
        os.close(fd)
    return struct.unpack("=IIQ", buf)[:2] if words else struct.unpack("=QII", buf)
def keys(p, room=0): return get(p, 3 << 30 | 16 << 16 | ord("p") << 8 | 206, 0, room, 0)
def reservation(p): return get(p, 2 << 30 | 16 << 16 | ord("p") << 8 | 207)
def write(p):
    fd = os.open(p, os.O_WRONLY)
    try:
        return os.pwrite(fd, b"x" * 4096, 0)
    except OSError as e:
        return errno.errorcode[e.errno]
    finally:
        os.close(fd)
END
cat >"$W/ioctls.py" <<'END'
from pr import *
a, b = sys.argv[1:]
A, B = 0xa1, 0xfedcba9876543210		# all 64 bits count
CONFLICT, IGNORE = 24, 1
def read(p):
    fd = os.open(p, os.O_RDONLY)
    try:
        return len(os.pread(fd, 4096, 0))
    except OSError as e:
        return errno.errorcode[e.errno]
    finally:
        os.close(fd)
def may(p): return ("r" if read(p) == 4096 else "") + ("w" if write(p) == 4096 else "")
def is_(name, *pairs):
    """got, expected, got, expected, ..."""
    got, expected = pairs[::2], pairs[1::2]
    print("%sok %s" % ("" if got == expected else "not ", name))
    if got != expected:
        print("# got %s, expected %s" % (got, expected))

is_("registering", keys(a)[1], 0, register(a, 0, A), 0, keys(a)[1], 1, register(b, 0, B), 0, keys(b)[1], 2)
is_("registering again takes the key of before", register(a, 0, 0xa3), CONFLICT, register(a, 0xa0, 0xa3), CONFLICT,
    register(a, A, 0xa3), 0, reserve(a, A, 1), CONFLICT)
is_("or the flag that it does not matter", register(a, 0x1234, A, IGNORE), 0)
generation = keys(a)[0]
is_("each is counted", register(a, A, A), 0, keys(a)[0], generation + 1)
is_("no flags but that one", register(a, A, A, 2), "ENOTSUP", call(a, RESERVE, A, 1, 4), "ENOTSUP",
    call(a, RELEASE, A, 1, 1), "ENOTSUP", call(a, PREEMPT, B, A, 1, 1), "ENOTSUP",
    call(a, ABORT, B, A, 1, 1), "ENOTSUP", call(a, CLEAR, A, 1, 0), "ENOTSUP")
is_("nothing of that was done", keys(a)[1], 2, reservation(a), (0, generation + 1, 0))
for kind, bars in ((1, "r"), (2, ""), (3, "rw"), (4, "rw"), (5, "rw"), (6, "rw")):
    is_("type %d: who holds it, and another who has registered" % kind, reserve(b, B, kind), 0, may(b), "rw", may(a), bars)
    is_("type %d is told" % kind, reservation(a), (0 if kind > 4 else B, generation + 1, kind))
    if kind < 5:
        is_("type %d is not had twice" % kind, reserve(a, A, kind), CONFLICT, release(a, A, kind), 0, reservation(a)[2], kind)
    is_("type %d is released as what it is" % kind, release(b, B, kind % 6 + 1), "EINVAL", release(b, A, kind), CONFLICT,
        reservation(a)[2], kind, release(b, B, kind), 0, reservation(a)[2], 0, may(a), "rw")
is_("type 3 keeps out who has not registered", register(a, A, 0), 0, keys(a)[1], 1, reserve(b, B, 3), 0, may(a), "r",
    release(b, B, 3), 0, register(a, 0, A), 0)
is_("there are six types", reserve(a, A, 0), "EINVAL", reserve(a, A, 7), "EINVAL", reserve(a, A, 9), "EINVAL",
    preempt(a, A, B, 7), "EINVAL", release(a, A, 7), "EINVAL")
# linux/pr.h and the kernel's drivers disagree which key is the caller's own.
for number in PREEMPT, ABORT:
    for own_first in True, False:
        how = "%s, own key %s: " % ("preempt" if number == PREEMPT else "abort", "first" if own_first else "second")
        is_(how + "who is thrown out", reserve(b, B, 1), 0, preempt(a, *((A, B) if own_first else (B, A)), 2, number), 0,
            reservation(a)[0], A, reservation(a)[2], 2, may(a), "rw", may(b), "", keys(b)[1], 1, reserve(b, B, 1), CONFLICT)
        is_(how + "nobody has that key", preempt(a, A, 0x999, 1, number), CONFLICT, reservation(a)[2], 2)
        is_(how + "comes back", release(a, A, 2), 0, register(b, 0, B), 0, may(b), "rw")
is_("clearing with a wrong key", reserve(b, B, 2), 0, clear(a, B), CONFLICT, may(a), "", keys(a)[1], 2)
is_("clearing", clear(a, A), 0, may(a), "rw", keys(a)[1], 0, reservation(b)[2], 0, reserve(b, B, 1), CONFLICT)
is_("which keys there are is more than this can tell", keys(a, 4), "ENOTSUP")
is_("no other ioctl", call(a, iow(206, 16), 0, 0, 0), "ENOTTY", call(a, iow(199, 24), 0, 0, 0, 0), "ENOTTY",
    call(a, iow(200, 16), 0, 0, 0), "ENOTTY")
fd = os.open(a, os.O_RDONLY)
for name, number in (("register", REGISTER), ("reservation", 2 << 30 | 16 << 16 | ord("p") << 8 | 207)):
    try:
        got = fcntl.ioctl(fd, number, bytearray(24))
    except OSError as e:
        got = errno.errorcode[e.errno]
    is_("not through a file that is open for reading: " + name, got, "ENOTTY")
END
PYTHONPATH=$W python3 "$W/ioctls.py" "$a/keys" "$b/keys" >"$W/pr.out" 2>&1 && status=0 || status=$?
while read -r line; do
	case $line in
	"ok "*) ok "ioctls: ${line#ok }" ;;
	"not ok "*) not_ok "ioctls: ${line#not ok }" ;;
	*) note "${line#\# }" ;;
	esac
done <"$W/pr.out"
is "$status" 0 "all of them were tried"

# A server that does not answer is not waited for without end.
kill -STOP "$(server_pid "$W/srv")"
silent=$(PYTHONPATH=$W timeout -k 1 40 python3 -c 'from pr import *; print(register(sys.argv[1], 0, 1))' "$a/keys" 2>&1) || true
kill -CONT "$(server_pid "$W/srv")"
is "$silent" ETIMEDOUT "nor is a server waited for that does not answer"
registered() { [ "$(PYTHONPATH=$W python3 -c 'from pr import *; print(register(sys.argv[1], 0, 7, 1))' "$a/keys")" = 0 ]; }
check "when it does again it goes on" wait_for 20 registered
done_testing
