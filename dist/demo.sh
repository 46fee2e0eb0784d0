#!/bin/bash
# demo.sh: a server and a client on this machine, over loopback, with a file
# system on one of the volumes; all of it keeps running.  demo.sh stop ends it.
#
# The files are in .demo/, the programs are those in $BUILD (build).  DEMO_MNT
# says where the tree is mounted (/rsio), DEMO_RUN which run directory both
# daemons have (/run/rsio, so that the commands need no option).
set -euo pipefail

cd "$(dirname "$0")/.."
TOP=$PWD
BUILD=${BUILD:-build}
MNT=${DEMO_MNT:-/rsio}
RUN=${DEMO_RUN:-/run/rsio}
STATE=$TOP/.demo
FS=$STATE/fs
SHOWN=${BUILD#"$TOP"/}	# how commands are shown
case $BUILD in /*) ;; *) BUILD=$TOP/$BUILD ;; esac

say() { printf '\n== %s\n' "$*"; }

fail()		# TEXT, NEXT STEP
{
	echo "demo: $1" >&2
	echo "demo: $2" >&2
	exit 1
}

run()		# shows a command of ours as one would type it, and runs it
{
	local program=$1
	shift
	echo "# $SHOWN/$program $*"
	"$BUILD/$program" "$@"
}

running()	# PID-FILE: does its daemon live?
{
	local pid name
	pid=$(cat "$1" 2>/dev/null) && [ -n "$pid" ] || return 1
	name=$(basename "$1" .pid)
	# The number may be another's by now.
	case $(readlink "/proc/$pid/exe") in
	*/"$name" | */"$name (deleted)") return 0 ;;
	esac
	return 1
}

until_not()	# SECONDS COMMAND...
{
	local i
	for ((i = 0; i < $1 * 20; i++)); do
		"${@:2}" || return 0
		sleep 0.05
	done
	return 1
}

stop()
{
	local problem=

	[ -e "$STATE/settings" ] || fail "no demo runs from here" "make demo starts one"
	# What it was started with counts, not what the environment says now.
	# shellcheck source=/dev/null
	. "$STATE/settings"
	export RSIO_RUN_DIR=$RUN
	if mountpoint -q "$FS"; then
		umount "$FS" || fail "$FS is in use" "leave it, then make demo-stop again"
	fi
	if running "$RUN/rsiod.pid"; then
		"$BUILD/rsconfig" -d || true
		"$BUILD/rsconfig" -m stop || fail "rsiod does not end" "free $MNT, then make demo-stop again"
		until_not 15 running "$RUN/rsiod.pid" || problem="rsiod still runs"
	fi
	if running "$RUN/rssrv.pid"; then
		kill "$(cat "$RUN/rssrv.pid")"
		until_not 15 running "$RUN/rssrv.pid" || problem="rssrv still runs"
	fi
	[ -z "$problem" ] || fail "$problem" "$SHOWN/rsclogcat and $SHOWN/rsslogcat say why"
	[ "$MADE_MNT" = no ] || rmdir "$MNT" 2>/dev/null || true
	rm -rf --one-file-system "$STATE"
	echo "The demo is stopped, its volumes are deleted."
}

prepare()
{
	[ "$(id -u)" = 0 ] || fail "mounting and block devices need root" "sudo make demo"
	for p in rssrv rsiod rsconfig; do
		[ -x "$BUILD/$p" ] || fail "$BUILD/$p is not built" "make"
	done
	[ ! -e "$STATE/settings" ] || fail "the demo runs already" "make demo-stop ends it"
	[ -c /dev/fuse ] || modprobe fuse 2>/dev/null || true
	[ -c /dev/fuse ] || fail "this machine has no /dev/fuse" "load the module fuse, or give the container that device"
	for d in rssrv rsiod; do
		! running "$RUN/$d.pid" || fail "$d runs already, in $RUN" "end it, or say DEMO_RUN=DIR for another directory"
	done
	MADE_MNT=no
	if mountpoint -q "$MNT" 2>/dev/null || { [ -d "$MNT" ] && [ -n "$(ls -A "$MNT")" ]; }; then
		fail "$MNT is in use" "say DEMO_MNT=DIR for another mount point"
	fi
	if [ ! -d "$MNT" ]; then
		mkdir -p "$MNT"
		MADE_MNT=yes
	fi
	mkdir -p "$STATE/pool" "$FS" "$RUN"
	chmod 700 "$STATE"
	printf 'MNT=%q RUN=%q BUILD=%q MADE_MNT=%q\n' "$MNT" "$RUN" "$BUILD" $MADE_MNT >"$STATE/settings"
}

free_port()	# on the portals' addresses
{
	local p
	for p in {5000..5100}; do
		if ! (: </dev/tcp/127.0.1.1/"$p") 2>/dev/null && ! (: </dev/tcp/127.0.2.1/"$p") 2>/dev/null; then
			echo "$p"
			return
		fi
	done
	fail "no free port from 5000 to 5100" "end one of those that have them"
}

configure()
{
	local key port
	key=$(od -An -vtx1 -N32 /dev/urandom | tr -d ' \n')
	port=$(free_port)
	(
		umask 077
		cat >"$STATE/rssrvcfg" <<-END
			[namespace demo]
			namespaceid = 0

			[server server1]
			serverid = 0

			[interface if0]
			address = 127.0.1.1
			port    = $port

			[interface if1]
			address = 127.0.2.1
			port    = $port

			[clients]
			$(uname -n | cut -c 1-40 | tr -c 'A-Za-z0-9._\n-' _) $key

			[pool main]
			path = $STATE/pool
		END
		cat >"$STATE/rscltcfg" <<-END
			[interface if0]
			address = 127.0.1.2

			[interface if1]
			address = 127.0.2.2

			[namespace demo]
			namespaceid = 0
			nodename    = $(uname -n | cut -c 1-40 | tr -c 'A-Za-z0-9._\n-' _)
			nodekey     = $key

			[server server1-1]
			address = 127.0.1.1
			port    = $port

			[server server1-2]
			address = 127.0.2.1
			port    = $port
		END
	)
	truncate -s 1G "$STATE/pool/home.raw"
	truncate -s 512M "$STATE/pool/oracle.raw"
	truncate -s 64M "$STATE/pool/scratch.raw"
}

start()
{
	local tree=/usr/include
	[ -d $tree ] || tree=$TOP/lib

	prepare
	trap '[ $? = 0 ] || echo "demo: it did not get to its end; make demo-stop takes away what there is" >&2' EXIT
	configure
	export RSIO_RUN_DIR=$RUN

	say "A server with two portals and three volumes, and a client"
	run rssrv -c "$STATE/rssrvcfg"
	run rsiod -c "$STATE/rscltcfg" -m "$MNT"

	say "What there is"
	run rsconfig -q
	run rsconfig -m status

	say "The tree at $MNT"
	(cd "$MNT" && find . -mindepth 1 -printf '%M %10s  %P\n' | sort -k3)

	say "A file system on a block device over a volume"
	run rsconfig -a demo:home
	device=$(run_quiet -l -vv | sed -n 's/^ *b: \([^ ]*\).*/\1/p' | head -n 1)
	echo "# mkfs.ext4 $device; mount $device $FS"
	mkfs.ext4 -q -F "$device"
	mount "$device" "$FS"

	say "Copy $tree onto it, unmount, check, mount, compare"
	cp -a "$tree" "$FS/copy"
	du -sh "$FS/copy"
	umount "$FS"
	e2fsck -f -n "$device"
	mount "$device" "$FS"
	diff -r --no-dereference "$tree" "$FS/copy"
	echo "The copy is what $tree is ($(find "$FS/copy" -type f | wc -l) files)."
	finish
}

run_quiet() { "$BUILD/rsconfig" "$@"; }

finish()
{
	local prefix=
	[ "$RUN" = /run/rsio ] || prefix="RSIO_RUN_DIR=$RUN "

	say "All of it keeps running, $SECONDS s after the start.  To try next, as root:"
	cat <<-END
		  cat $MNT/demo/.rsio/status
		  ${prefix}$SHOWN/rsvol create data 100M
		  ${prefix}$SHOWN/rsvol snapshot home --name first --freeze
		  ${prefix}$SHOWN/rsvol ls
		  dd if=/dev/zero of=$MNT/demo/scratch bs=1M count=64 conv=notrunc,fsync
		  ${prefix}$SHOWN/rsclogcat -f
		and to end it:
		  make demo-stop
	END
}

case ${1:-start} in
start) start ;;
stop) stop ;;
*)
	echo "usage: demo.sh [start|stop]" >&2
	exit 2
	;;
esac
