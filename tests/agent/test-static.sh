#!/bin/bash
# The static rssrv: it needs nothing on the host that it is taken to, and serves as the other.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/agent.sh"
requires_program rssrv-static
requires_cmd readelf jq
export RSSRV=rssrv-static

is "$(readelf -lW "$BUILD/rssrv-static" | grep -c 'Requesting program interpreter')" 0 "it asks for no interpreter"
is "$(readelf -dW "$BUILD/rssrv-static" | grep -c NEEDED || true)" 0 "nor for libraries"
like "$(readelf -hW "$BUILD/rssrv-static" | grep Type:)" DYN "and may be loaded anywhere"
is "$("$BUILD/rssrv-static" --version)" "$("$BUILD/rssrv" --version)" "it has the other's version"
is "$("$BUILD/rssrv-static" --help | md5sum)" "$("$BUILD/rssrv" --help | md5sum)" "and its options"

serves()	# WHAT
{
	WHAT=$1 scenario "$W" <<-'EOT'
	c = Node().login()
	c.open("v", handle=1)
	c.write(0, b"x" * 4096, 1, F_FUA)
	check("it serves " + os.environ["WHAT"], c.read(0, 4096, 1) == b"x" * 4096)
	EOT
}

write_server_conf "$W"
make_volume "$W" v 1M
start_server "$W"
serves "as whoever starts it"
stop_server "$W"

# A host with nothing but /proc and a user.
requires_root
requires_cmd unshare
id nobody >/dev/null 2>&1 || skip "needs the user nobody"
host=$W/host
mkdir -p "$host/etc" "$host/pool" "$host/run" "$host/proc" "$host/dev"
printf 'root:x:0:0::/:\nkeeper:x:777:778::/:\n' >"$host/etc/passwd"
printf 'root:x:0:\nkeeper:x:778:\n' >"$host/etc/group"
cp "$BUILD/rssrv-static" "$host/rssrv"
sed "s:$W/pool:/pool:; /^serverid/a user = keeper" "$W/rssrvcfg" >"$host/etc/rssrvcfg"
cp --sparse=always "$W/pool/v.raw" "$host/pool"
chown -R 777:778 "$host/pool"
chgrp 778 "$host/etc/rssrvcfg"
chmod 640 "$host/etc/rssrvcfg"
chmod 755 "$W" "$host" "$host/pool"
is "$(chroot "$host" /rssrv --check 2>&1)" "" "a user is found in /etc/passwd, without a C library there"
sed 's/keeper$/nosuch/' "$host/etc/rssrvcfg" >"$host/etc/other"
chmod 600 "$host/etc/other"
like "$(chroot "$host" /rssrv -c /etc/other --check 2>&1)" "no user nosuch" "one that is not there is missed"
# shellcheck disable=SC2016  # they expand in there
start_daemon "rssrv:$host" "$host/rssrv.out" '[ -S "$host/run/rssrv.sock" ]' \
	"$TESTS_DIR/own-mounts.sh" sh -c 'mount -t proc proc "$1/proc" && exec chroot "$1" /rssrv -f --run-dir /run --state-dir /run' sh "$host" || bail "it starts in an empty host"
serves "in an empty host"
pid=$(server_pid "$host")
is "$(sed -n 's/^\([UG]\)id:\t\([0-9]*\)\t.*/\1\2/p' "/proc/$pid/status" | paste -sd ' ')" "U777 G778" "as its user there"
stop_server "$host"
done_testing
