#!/bin/bash
# The static rssrv where the kernel has nothing that came after Linux 4.18.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/agent.sh"
requires_program rssrv-static tests/tools/without
requires_cmd jq
export RSSRV=rssrv-static
status() { "$BUILD/rssrv" --status --run-dir "$W/run" | jq -c "$1"; }

# After 4.18, of what this program or its C library could try.
newer=(close_range faccessat2 openat2 clone3 epoll_pwait2 futex_waitv landlock_create_ruleset landlock_add_rule
	landlock_restrict_self io_uring_setup io_uring_enter io_uring_register pidfd_open pidfd_getfd
	pidfd_send_signal process_madvise memfd_secret process_mrelease)
lacking=("$BUILD/tests/tools/without")
"${lacking[@]}" "${newer[@]}" -- true || skip "needs seccomp"

write_server_conf "$W" portals=1
sed -i '/^serverid/a fence-command = exit 0' "$W/rssrvcfg"
# A portal by its device, which rssrv could be bound to only as root.
sed -i 's/^address = 127.0.0.1/device = lo/' "$W/rssrvcfg"
make_volume "$W" v 4M

serves()	# HOW
{
	HOW=$1 scenario "$W" <<-'EOT'
	import os
	how = os.environ["HOW"]
	c = Node().login(copies=True)
	c.open("v", handle=1)
	data = os.urandom(65536)
	c.write(0, data, 1, F_FUA)
	c.write(1 << 20, data, 1)
	c.flush(1)
	c.must(DISCARD, offset=65536, count=65536, handle=1)
	c.must(WRITE_ZEROES, offset=1 << 20, count=4096, handle=1)
	check(how + ": what was written is read", c.read(0, 65536, 1) == data)
	check(how + ": zeroes as well", c.read(1 << 20, 8192, 1) == bytes(4096) + data[4096:8192])
	c.copy(1, 0, 2 << 20, 65536)
	check(how + ": a copy", c.read(2 << 20, 65536, 1) == data)
	EOT
}

exec 9</dev/null
VG="${lacking[*]} ${newer[*]} bind-device --" start_server "$W"
exec 9<&-
pid=$(server_pid "$W")
serves "calls that are not there"
runner=$(pgrep -P "$pid" -x rssrv-fence)
is "$(find "/proc/$pid/fd" "/proc/$runner/fd" -lname /dev/null -name 9)" "" "what its starter had open it closed"
is "$(find "/proc/$runner/fd" -type l | wc -l)" 4 "nothing that it has open goes to who runs fence-command"
is "$(status '[.confinement.landlock, .confinement.without == null]')" '[0,true]' "it says that there is no Landlock"
like "$(grep confined: "$W/rssrv.out")" 'no Landlock \(the kernel has none\)$' "and so does its log"
kill -HUP "$pid"
logged "$W" "configuration read again" "the configuration is read again"
serves "after that"
stop_server "$W"

# Some runtimes refuse what they do not know instead.
VG="${lacking[*]} -e EPERM landlock_create_ruleset close_range openat2 faccessat2 epoll_pwait2 io_uring_setup --" start_server "$W"
serves "calls that are refused"
stop_server "$W"
VG="${lacking[*]} -e EOPNOTSUPP preadv2 copy_file_range -e EINVAL renameat2 --" start_server "$W"
serves "a file system that has little"
stop_server "$W"
done_testing
