#!/bin/bash
# test-boot-storm.sh - many desktops start at once from clones of one golden volume, while another
# volume grows and snapshots of everything are taken; and many processes work on one volume.
# time-limit: 120
# long-time-limit: 900
# shellcheck source=tests/functions.sh
. "$(dirname "$0")/../functions.sh"
requires_root
requires_fuse
requires_loop
requires_cmd mkfs.xfs jq cmp xargs
requires_program rssrv rsiod rsvol
grep -qw xfs /proc/filesystems || modprobe xfs 2>/dev/null || skip "needs XFS in the kernel"

clones=$(sample_or_all 24 260)
golden=$(sample_or_all 64 1024)		# MiB
read=$(sample_or_all 8 64)		# MiB of each
rounds=$(sample_or_all 1 3)
workers=$(sample_or_all 40 200)

umount_pool() { umount -l "$W/srv/pool"; }
truncate -s 6G "$W/image"
mkfs.xfs -q "$W/image" || bail "mkfs.xfs"
write_server_conf "$W/srv"
echo 'overcommit = yes' >>"$W/srv/rssrvcfg"
mount -o loop "$W/image" "$W/srv/pool" || bail "a pool on XFS"
cleanup_fn umount_pool
write_client_conf "$W/clt" "$W/srv"
start_server "$W/srv"
start_client "$W/clt"
osl=$W/clt/mnt/osl
rsvol() { timeout -k 1 60 "$BUILD/rsvol" --run-dir "$W/clt/run" "$@"; }

head -c "${golden}M" /dev/urandom >"$W/image-of-gold"
rsvol create gold "${golden}M" >/dev/null || bail "the golden volume"
dd if="$W/image-of-gold" of="$osl/gold" bs=1M conv=notrunc,fsync status=none || bail "its content"
rsvol snapshot gold@ready >/dev/null || bail "its snapshot"
rsvol create grower 16M >/dev/null || bail "a volume that grows"

started=$(date +%s.%N)
check "$clones clones, in one go" rsvol clone gold@ready --count "$clones" --name desk-
note "| $clones clones of ${golden} MiB: $(date +%s.%N | awk -v a="$started" '{ printf "%.2f", $1 - a }') s"
is "$(rsvol ls --json | jq '[.volumes[] | select(.name | startswith("desk-"))] | length')" "$clones" "they are listed"
mapfile -t desks < <(find "$osl" -name "desk-*" -printf "%f\n" | sort)
is "${#desks[@]}" "$clones" "they are in the tree"

# Each desktop's first part, compared with what the golden image was made from.
boot()	# AT-ONCE: prints MB/s, or nothing when one differs
{
	local from to
	from=$(date +%s.%N)
	printf '%s\n' "${desks[@]}" | xargs -P "$1" -I{} cmp -n "$((read << 20))" "$osl/{}" "$W/image-of-gold" >&2 || return 1
	to=$(date +%s.%N)
	awk -v a="$from" -v b="$to" -v n="$clones" -v m="$read" 'BEGIN { printf "%.0f\n", n * m * 1.048576 / (b - a) }'
}

# Meanwhile: it grows, what it has got is written, and each 64th time a snapshot of all is taken.  They go when
# the readers have ended: to remove each of them by a command of its own is no part of such a morning.
size=16	# of the one that grows, MiB; it does so in each round
others()	# ROUND: until $W/others is gone; the number of snapshots is in $W/done, with its size
{
	local n=0 k
	while [ -e "$W/others" ]; do
		n=$((n + 1))
		for ((k = 0; k < 64; k++)); do
			size=$((size + 1))
			rsvol resize grower ${size}M &&
				dd if="$W/image-of-gold" of="$osl/grower" bs=1M count=1 seek=$((size - 1)) conv=notrunc,fsync status=none || return 1
		done
		rsvol snapshot gold grower "${desks[@]}" --name "r$1-$n" || return 1
		[ "$(find "$osl/.snap/gold/" -mindepth 1 -name "r$1-$n" | wc -l)" = 1 ] || return 1
		echo "$n $size" >"$W/done"
	done
}

check "all started once, 16 at a time" boot 16
quiet=() busy=()
for ((i = 0; i < rounds; i++)); do
	quiet+=("$(boot 16 2>"$W/quiet$i")") || note "$(cat "$W/quiet$i")"
	touch "$W/others"
	rm -f "$W/done"
	others "$i" >"$W/others.out" 2>&1 &
	pid=$!
	# At least one snapshot falls into it.
	for ((k = 0; k < 50; k++)); do
		busy+=("$(boot 16 2>"$W/busy$i")") || note "$(cat "$W/busy$i")"
		[ ! -e "$W/done" ] || break
	done
	rm "$W/others"
	wait $pid || { not_ok "growing and snapshots beside them"; note "$(tail -3 "$W/others.out")"; }
	read -r taken size <"$W/done"
	for ((k = 1; k <= taken; k++)); do
		printf "%s@r$i-$k\n" gold grower "${desks[@]}"
	done | xargs -P 2 -I{} "$BUILD/rsvol" --run-dir "$W/clt/run" rm {} >/dev/null || not_ok "the snapshots go"
	note "| round $i: $(cat "$W/done") snapshots of $((clones + 2)) volumes, MiB grown to"
done
all_there() { [ "$(printf '%s\n' "${quiet[@]}" "${busy[@]}" | grep -c '^[0-9]')" = $((${#quiet[@]} + ${#busy[@]})) ]; }
check "every block of each was the golden one's" all_there
median() { printf '%s\n' "$@" | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
q=$(median "${quiet[@]}") b=$(median "${busy[@]}")
note "| 16 at a time: $q MB/s alone, $b MB/s beside growth and snapshots: $(awk -v b="$b" -v q="$q" 'BEGIN { printf "%.2f", b / q }')"
note "| all at once: $(boot "$clones" 2>"$W/all" || cat "$W/all") MB/s"
# A machine that does other things too says nothing about a tenth: the short form does not ask.
enough() { [ "$rounds" = 1 ] || awk -v b="$b" -v q="$q" 'BEGIN { exit !(b >= 0.9 * q) }'; }
check "readers keep nine tenths" enough
check "and all at once" boot "$clones"

# A desktop that is used is itself alone.
last=${desks[-1]}
dd if=/dev/zero of="$osl/$last" bs=1M count=1 conv=notrunc,fsync status=none
check "a clone that is written to has what was written" cmp -n 1048576 "$osl/$last" /dev/zero
check "the golden one has not" cmp "$osl/gold" "$W/image-of-gold"

# Many processes, each with a part of one volume, which another process verifies.
rsvol create shared "${workers}M" >/dev/null || bail "a volume for many"
export W osl BUILD
# shellcheck disable=SC2016  # for the shell below
seq 0 $((workers - 1)) | xargs -P "$workers" -I{} sh -c \
	'"$BUILD/tests/stamp" write "$osl/shared" "$W/log{}" --first $(({} * 256)) --blocks 256 --writer {} --seconds 3 --volume shared --jobs 1' \
	>"$W/writers" 2>&1
is $? 0 "$workers processes write to one volume at once"
# shellcheck disable=SC2016
seq 0 $((workers - 1)) | xargs -P 8 -I{} sh -c \
	'"$BUILD/tests/stamp" verify "$osl/shared" "$W/log{}" --first $(({} * 256)) --blocks 256 --volume shared' >"$W/verified" 2>&1
is $? 0 "and each finds all of its blocks"
note "$(tail -1 "$W/verified")"
done_testing
