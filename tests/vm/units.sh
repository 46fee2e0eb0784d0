#!/bin/bash
# units.sh - in the machine of test-units.sh: rssrv.service and rsiod.service become active, serve a volume,
# reload, come back after a kill and stop; what the units close is closed, and what they leave
# open is enough for all that the daemons do.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/../functions.sh"
unset RSIO_RUN_DIR RSIO_STATE_DIR

cp -a "$HOST/root/." /
modprobe -a fuse loop
hash -r

# As INSTALL has it; and both on one host, as rssrv.service says.
check "systemd-sysusers makes the user" systemd-sysusers
is "$(getent passwd rsio | cut -d: -f6)" /var/lib/rsio "whose home is the state directory"
pool=/srv/pool key=$(new_key)
install -d -o rsio -g rsio $pool /srv/more
write_server_conf "$W/srv" "key=$key" portals=2
sed "s|^path = .*|path = $pool|" "$W/srv/rssrvcfg" >/etc/rssrvcfg
chgrp rsio /etc/rssrvcfg
chmod 640 /etc/rssrvcfg
write_client_conf "$W/clt" "$W/srv" "key=$key"
install -m 600 "$W/clt/rscltcfg" /etc/rscltcfg
mkdir -p /etc/systemd/system/rssrv.service.d
cat >/etc/systemd/system/rssrv.service.d/beside.conf <<EOF
[Service]
RuntimeDirectory=
RuntimeDirectory=rsio-server
Environment=RSIO_RUN_DIR=/run/rsio-server
EOF
systemctl daemon-reload

not_mounted() { ! mountpoint -q "$1"; }
active() { [ "$(systemctl is-active "$1")" = active ]; }
why() { journalctl -o cat -n 30 -u "$1" | sed 's/^/# /'; }
pid_of() { systemctl show -P MainPID "$1"; }
for u in rssrv rsiod; do
	check "$u is started" systemctl start $u
	check "$u.service is active" active $u
	active $u || why $u
	pid=$(pid_of $u)
	is "$(cat "/proc/$pid/comm")" $u "systemd knows its process"
done
server() { pid_of rssrv; }
client() { pid_of rsiod; }
field() { sed -n "s/^$2:[ \t]*//p" "/proc/$1/status"; }
said()
{
	[ "$tap_failed" != 0 ] || return 0
	note "$(rsconfig -m status -vv 2>&1; journalctl -o cat -n 40 -u rssrv -u rsiod)"
}
cleanup_fn said

# What it is for.
is "$(stat -c %U "/proc/$(server)")" rsio "rssrv is the user rsio"
check "a volume is made, once a path is up" wait_for 10 rsvol create vol 300M --if-missing
there() { [ -e "/rsio/osl/$1" ]; }
wait_for 10 there vol || bail "it is in the tree"
is "$(stat -c %U:%G $pool/vol.raw)" rsio:rsio "and is its user's"
check "it is attached" rsconfig -a osl:vol
dev=/dev/av0/vol
check "it gets a file system" mkfs.ext4 -q $dev
mkdir -p /data
check "that is mounted" mount $dev /data
load() { fio --name=load --directory=/data --size=16M --rw=randrw --bs=8k --direct=1 --verify=crc32c --verify_fatal=1 "$@"; }
check "what is written is read" load

# ext4 grows for who has CAP_SYS_RESOURCE.
size_of_fs() { echo $(($(stat -f -c '%b * %S' /data))); }
before=$(size_of_fs)
check "the volume grows, with the file system" rsvol resize osl:vol 428M --grow-fs
check "that has more" test "$(size_of_fs)" -gt $((before + (96 << 20)))
is "$(blockdev --getsize64 $dev)" $((428 << 20)) "as has the device"

# What is closed.
server_may_not()	# NAME COMMAND...: in its mount namespace, as its user
{
	local name=$1
	shift
	if nsenter -t "$(server)" -m setpriv --reuid rsio --regid rsio --clear-groups "$@" >"$W/may" 2>&1; then
		not_ok "$name"
		note "$(cat "$W/may")"
	else
		ok "$name"
	fi
}
is "$(field "$(server)" CapEff) $(field "$(server)" CapPrm) $(field "$(server)" CapBnd)" \
	"0000000000000000 0000000000000000 0000000000000000" "rssrv has no capability, nor could it get one"
for p in server client; do
	is "$(field "$($p)" NoNewPrivs) $(field "$($p)" Seccomp)" "1 2" "the $p is confined"
	check "by its unit and by itself" test "$(field "$($p)" Seccomp_filters)" -ge 2
done
allowed=$((1 << 21 | 1 << 24 | 1 << 1 | 1 << 2 | 1 << 19 | 1 << 8))
is "$((0x$(field "$(client)" CapBnd) & ~allowed))" 0 "rsiod has no capability but those of its unit"
server_may_not "rssrv: /usr is read-only" touch /usr/x
server_may_not "rssrv: /etc is" touch /etc/x
server_may_not "rssrv: /home is out of sight" ls /home/.
server_may_not "rssrv: no disks" test -e /dev/loop0
server_may_not "rssrv: no kernel log" test -e /dev/kmsg
server_may_not "rssrv: other users' processes are out of sight" test -e "/proc/$(client)"
server_may_not "rssrv: kernel settings are read-only" sh -c 'echo 1 >/proc/sys/kernel/panic'
server_may_not "rssrv: control groups are read-only" mkdir /sys/fs/cgroup/x
touch /tmp/everybodys
server_may_not "rssrv: /tmp is its own" test -e /tmp/everybodys
is "$(readlink "/proc/$(client)/ns/mnt")" "$(readlink /proc/1/ns/mnt)" "rsiod: its mount is seen by all"
for u in rssrv rsiod; do
	note "$(systemd-analyze security $u --no-pager 2>/dev/null | tail -n 1)"
done

# Reload.
said_of() { journalctl -o cat -u "$1" | grep -q "$2"; }
sed -i "s|^path = .*|&\novercommit = yes|; \$a\\\n[pool more]\npath = /srv/more" /etc/rssrvcfg
check "rssrv is reloaded" systemctl reload rssrv
check "what the configuration says now holds" wait_for 10 rsvol create big 100T --pool main --if-missing
check "but for a pool that it may not see any more, and it says so" wait_for 10 said_of rssrv "more.*restart"
before=$(client)
check "rsiod is reloaded" systemctl reload rsiod
check "it read its configuration" said_of rsiod "was read again"
is "$(client)" "$before" "and is the one that it was"
check "the volume is there" wait_for 10 there big

# Killed.
restarts() { systemctl show -P NRestarts "$1"; }
back()		# UNIT PID: another one
{
	active "$1" && [ "$(pid_of "$1")" != "$2" ]
}
fio --name=load --directory=/data --size=16M --rw=randrw --bs=8k --direct=1 --verify=crc32c --verify_fatal=1 \
	--time_based --runtime=10 --rate_iops=100 >"$W/fio" 2>&1 &
fio=$!
cleanup_fn end_process $fio
before=$(server)
kill -KILL "$before"
check "rssrv comes back when it was killed" wait_for 10 back rssrv "$before"
is "$(restarts rssrv)" 1 "systemd started it again"
check "with the pool that is new" wait_for 10 rsvol create two 4M --pool more --if-missing
check "rsiod did not notice but for its paths" active rsiod
wait $fio && status=0 || status=$?
is "$status" 0 "what was read and written meanwhile is right"
before=$(client)
umount /data
rsconfig -d osl:vol >/dev/null
kill -KILL "$before"
check "rsiod comes back when it was killed" wait_for 10 back rsiod "$before"
is "$(restarts rsiod)" 1 "systemd started it again"
check "with its tree" wait_for 10 there vol
check "the volume is attached again" wait_for 5 rsconfig -a osl:vol
check "and what was in it is" mount $dev /data
check "it is read" test -s /data/load.0.0

# The end.
umount /data
check "rsiod is stopped" systemctl stop rsiod
check "nothing is mounted" not_mounted /rsio
check_fails 1 "nothing is attached" test -e $dev
is "$(losetup -a)" "" "no loop device is left"
check "rssrv is stopped" systemctl stop rssrv
for u in rssrv rsiod; do
	is "$(systemctl is-active $u)" inactive "$u.service is inactive, and did not fail"
done
refused=$(journalctl -o cat -u rssrv -u rsiod | grep -i 'not permitted\|denied' | grep -v 'pool more') || true
is "$refused" "" "nothing was refused to them but that pool"
check "they are enabled" systemctl enable rssrv rsiod
done_testing
