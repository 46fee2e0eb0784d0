#!/bin/bash
# boot.sh - in the machine of test-boot.sh: with attach = yes, and UUID= and _netdev in /etc/fstab, a file
# system on a volume is mounted at boot without being waited for by what does not need it; at
# shutdown it is unmounted before rsiod ends, and rsiod before the network goes; so it is when it was
# mounted by hand, and the end comes also when the server has gone before.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/../functions.sh"
unset RSIO_RUN_DIR RSIO_STATE_DIR
cp -a "$HOST/root/." /
modprobe -a fuse loop
hash -r
systemd-sysusers

install -d -o rsio -g rsio /srv/pool
write_server_conf "$W/srv" portals=2
sed "s|^path = .*|path = /srv/pool|" "$W/srv/rssrvcfg" >/etc/rssrvcfg
chgrp rsio /etc/rssrvcfg
chmod 640 /etc/rssrvcfg
write_client_conf "$W/clt" "$W/srv"
install -m 600 "$W/clt/rscltcfg" /etc/rscltcfg
printf '[defaults]\ngive-up = 5s\n[volume osl:vol]\nattach = yes\n' >>/etc/rscltcfg
mkdir -p /etc/systemd/system/rssrv.service.d
printf '[Unit]\nBefore=rsiod.service\n[Service]\nRuntimeDirectory=\nRuntimeDirectory=rsio-server\nEnvironment=RSIO_RUN_DIR=/run/rsio-server\n' \
	>/etc/systemd/system/rssrv.service.d/beside.conf

# A volume with a file system, made as if by another machine.
uuid=11111111-2222-4333-8444-555555555555
truncate -s 64M /srv/pool/vol.raw
mkfs.ext4 -q -U $uuid /srv/pool/vol.raw
chown rsio:rsio /srv/pool/vol.raw
mkdir /data
echo "UUID=$uuid /data ext4 _netdev 0 0" >>/etc/fstab

# What boots, and what shuts down all but this script: mounts and services are stopped by what a
# shutdown's targets conflict with.
cat >/etc/systemd/system/all.target <<EOF
[Unit]
Requires=basic.target
Wants=remote-fs.target rssrv.service
After=basic.target
EOF
cat >/etc/systemd/system/end.target <<EOF
[Unit]
DefaultDependencies=no
Requires=shutdown.target umount.target
After=shutdown.target umount.target
EOF
# It stands for the network, which goes last.
cat >/etc/systemd/system/net.service <<EOF
[Unit]
Before=network.target network-online.target
Wants=network.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/true
ExecStop=/bin/true
[Install]
WantedBy=network-online.target
EOF
mkdir -p /etc/systemd/system/vm-run.service.d
printf '[Unit]\nDefaultDependencies=no\n' >/etc/systemd/system/vm-run.service.d/stay.conf
systemctl daemon-reload
systemctl enable rsiod net 2>/dev/null
not_mounted() { ! mountpoint -q "$1"; }
active() { [ "$(systemctl is-active "$1")" = active ]; }
mounted() { mountpoint -q /data; }
log() { journalctl -o cat -b | sed 's/^/# /' | tail -n 60; }
failed() { [ "$tap_failed" = 0 ] || log; }
cleanup_fn failed

# In the journal since the last time: where each of these lines is, one after the other.
since()
{
	cursor=$(journalctl -n 0 --show-cursor | sed -n 's/^-- cursor: //p')
}
in_order()	# NAME PATTERN...
{
	local name=$1 at=0 now p
	shift
	journalctl -o cat --after-cursor="$cursor" >"$W/journal"
	for p; do
		now=$(grep -nE "$p" "$W/journal" | head -n 1 | cut -d: -f1)
		if [ -z "$now" ] || [ "$now" -le "$at" ]; then
			not_ok "$name"
			note "'$p' is in line ${now:-(none)}, after $at"
			return
		fi
		at=$now
	done
	ok "$name"
}
ends()
{
	check "$1" timeout 300 systemctl start end.target
	check "the file system is unmounted" not_mounted /data
	check "so is what else there is" not_mounted /mnt
	check "the tree too" not_mounted /rsio
	is "$(losetup -a)" "" "no device is left"
	is "$(systemctl is-active rsiod)" inactive "rsiod.service is inactive and did not fail"
}

check "it boots" timeout 300 systemctl start all.target
check "the file system on the volume is mounted" wait_for 20 mounted
like "$(findmnt -no SOURCE /data)" '^/dev/loop' "from its device"
check "rsiod.service is active" active rsiod
echo kept >/data/file
since
ends "it shuts down"
in_order "in the order of boot turned round" 'Unmounted data.mount' 'Stopped rsiod.service' 'Stopp(ed|ing) rssrv.service' 'Stopped net.service'
is "$(dumpe2fs -h /srv/pool/vol.raw 2>/dev/null | grep -c needs_recovery)" 0 "the file system was left in order"
is "$(debugfs -R 'cat /file' /srv/pool/vol.raw 2>/dev/null)" kept "what was written is there"

# Mounted by hand it is a local file system to systemd.
by_hand()
{
	check "both are started again" systemctl start rssrv rsiod
	check "the volume is attached" wait_for 20 test -b /dev/av0/vol
	check "and mounted by hand" mount /dev/av0/vol /mnt
	echo "$1" >/mnt/file
	since
}
by_hand second
ends "it shuts down with a file system that was mounted by hand"
is "$(debugfs -R 'cat /file' /srv/pool/vol.raw 2>/dev/null)" second "what was written to it is there"
is "$(dumpe2fs -h /srv/pool/vol.raw 2>/dev/null | grep -c needs_recovery)" 0 "it was left in order"

# What waits for a server that went first gives up, and the end comes all the same.
by_hand lost
systemctl kill -s KILL rssrv
systemctl stop rssrv
ends "it shuts down though the server has gone"
done_testing
