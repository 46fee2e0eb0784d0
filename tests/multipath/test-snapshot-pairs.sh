#!/bin/bash
# Snapshots of three volumes, of one moment, while numbers are written to a and then b, and to
# b and then c, each when the one before was acknowledged: on file systems that share blocks and
# on some that do not.  In every snapshot the second has the number of the first or one less, all
# that was acknowledged before is in, and nothing that was begun afterwards.  The same of three
# that are in pools of their own, of different kinds.  No path is taken
# for a failed one.  (Three, since one alone that is not held is out of order with none: who
# writes waits at the other one.)
# time-limit: 300
# long-time-limit: 900
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lab.sh"
requires_root
requires_fuse
requires_loop
requires_cmd mkfs.ext4 mkfs.xfs mkfs.btrfs python3
requires_program rssrv rsiod rsvol
rounds=$(sample_or_all 4 100)
pairs=$BUILD/tests/pairs
rsvol() { timeout -k 1 60 "$BUILD/rsvol" --run-dir "$W/clt/run" "$@"; }

write_server_conf "$W/srv" portals=2
write_client_conf "$W/clt" "$W/srv"
make_disk()	# NAME MKFS...
{
	local name=$1 disk=$W/disk.$1
	shift
	mkdir "$disk"
	if [ "$1" = tmpfs ]; then
		cleanup_fn umount "$disk"
		mount -t tmpfs -o size=512M rsio-test "$disk"
	else
		truncate -s 1G "$disk.img"
		"$@" "$disk.img" >/dev/null
		mount_image "$disk.img" "$disk"
	fi
	printf '\n[pool %s]\npath = %s\n' "$name" "$disk" >>"$W/srv/rssrvcfg"
	truncate -s 34M "$disk/$name-"{a,b,c,some,many}.raw "$disk/across-$name.raw"
	# In pieces: to clone some takes a while, in which what is not held would go on.  With too
	# many nothing is cloned during the hold.
	python3 - "$disk/$name-some.raw" 300 "$disk/$name-many.raw" 2500 <<-'END'
		import os, sys
		for name, pieces in zip(sys.argv[1::2], sys.argv[2::2]):
		    fd = os.open(name, os.O_WRONLY)
		    for i in range(int(pieces)):
		        os.pwrite(fd, b"x" * 4096, i * 8192)
	END
}
make_disk xfs mkfs.xfs -q -m reflink=1
make_disk btrfs mkfs.btrfs -q
make_disk ext4 mkfs.ext4 -q
make_disk tmpfs tmpfs
start_server "$W/srv"
start_client "$W/clt"
vol=$W/clt/mnt/osl
check "both portals carry a path" wait_for 10 paths_are "$W/clt" 2

has_written()	# LOG: every job is through once
{
	"$pairs" note "$1" | awk '$2 < 1 { bad = 1 } END { exit bad || !NR }'
}

note_all()	# FS WHEN
{
	"$pairs" note "$W/$1.ab.log" >"$W/$2.ab"
	"$pairs" note "$W/$1.bc.log" >"$W/$2.bc"
}

take()	# FS NAME SOME|MANY: one snapshot, checked
{
	local snap=$W/disk.$1/.rsio.snap

	note_all "$1" before
	rsvol snapshot "osl:$1-a" "osl:$1-b" "osl:$1-$3" "osl:$1-c" --name "$2" --hold 10s >"$W/rsvol.out" 2>&1 ||
		{ cat "$W/rsvol.out"; return 1; }
	note_all "$1" after
	"$pairs" check "$snap/$1-a/$2.raw" "$snap/$1-b/$2.raw" "$W/before.ab" "$W/after.ab" &&
		"$pairs" check "$snap/$1-b/$2.raw" "$snap/$1-c/$2.raw" "$W/before.bc" "$W/after.bc"
}

take_across()	# NAME: the same of volumes in three pools
{
	note_all across before
	rsvol snapshot osl:across-{xfs,ext4,btrfs} --name "$1" --hold 10s >"$W/rsvol.out" 2>&1 ||
		{ cat "$W/rsvol.out"; return 1; }
	note_all across after
	for fs in xfs ext4 btrfs; do
		ln -sf "$W/disk.$fs/.rsio.snap/across-$fs/$1.raw" "$W/$fs.snap"
	done
	"$pairs" check "$W/xfs.snap" "$W/ext4.snap" "$W/before.ab" "$W/after.ab" &&
		"$pairs" check "$W/ext4.snap" "$W/btrfs.snap" "$W/before.bc" "$W/after.bc"
}

for fs in xfs btrfs ext4 tmpfs; do
	run_traffic "$fs.ab" "$pairs" write "$vol/$fs-a" "$vol/$fs-b" "$W/$fs.ab.log" 0 8
	run_traffic "$fs.bc" "$pairs" write "$vol/$fs-b" "$vol/$fs-c" "$W/$fs.bc.log" 8 16
	check "$fs: it is written to" wait_for 20 has_written "$W/$fs.ab.log"
	check "$fs: to all" wait_for 20 has_written "$W/$fs.bc.log"
	for ((i = 1; i <= rounds; i++)); do
		pieces=$([ $((i % 2)) = 1 ] && echo some || echo many)
		check "$fs: snapshot $i, with $pieces pieces, is of one moment" take "$fs" "s$i" "$pieces"
		for v in a b c "$pieces"; do
			check "$fs: snapshot $i of $v goes" rsvol rm "osl:$fs-$v@s$i"
		done
	done
	end_stamp "$fs.ab"
	end_stamp "$fs.bc"
	note "$fs: held $(grep -o "writes to $fs-[abc] and 3 others were held for [0-9.]* ms" "$W/srv/rssrv.out" |
		awk '{ print $(NF - 1) }' | sort -n | tr '\n' ' ')ms"
done
run_traffic across.ab "$pairs" write "$vol/across-xfs" "$vol/across-ext4" "$W/across.ab.log" 0 8
run_traffic across.bc "$pairs" write "$vol/across-ext4" "$vol/across-btrfs" "$W/across.bc.log" 8 16
check "across: they are written to" wait_for 20 has_written "$W/across.ab.log"
check "across: all three" wait_for 20 has_written "$W/across.bc.log"
for ((i = 1; i <= rounds; i++)); do
	check "across: snapshot $i of volumes in three pools is of one moment" take_across "s$i"
done
end_stamp across.ab
end_stamp across.bc
is "$(find "$W"/disk.*/ -maxdepth 1 -name '.rsio.pending' -o -maxdepth 1 -name '.rsio.decided.*')" "" \
	"nothing is left to be decided"
is "$(grep -c 'silent for' "$W/clt/rsiod.out" || true)" 0 "no path was taken for a failed one"
done_testing
