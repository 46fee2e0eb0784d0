#!/bin/bash
# sweep.sh [--list] DIR: what a test left that belongs to its work directory
# DIR.  Names each thing on a line; without --list also ends, unmounts and
# detaches it.  Processes are found by RSIO_TEST_DIR=DIR in their environment,
# which all that a test starts inherits; network namespaces by the name that
# functions.sh gives them.
#
# Daemons go first: who waits in the kernel for a reply of theirs cannot be
# ended before that.
set -uo pipefail

list=
if [ "${1:-}" = --list ]; then
	list=yes
	shift
fi
dir=${1:?usage: sweep.sh [--list] DIR}

# Neither this script nor a subshell of it is one of those it looks for.
[ -z "${RSIO_TEST_DIR:-}" ] || exec env -u RSIO_TEST_DIR "$0" ${list:+--list} "$dir"

# Without the shells above this script, and what functions.sh asks to spare.
processes()
{
	local pid me=$PPID spare=" ${SWEEP_SPARE:-} "

	while [ "${me:-0}" -gt 1 ]; do
		spare+="$me "
		me=$(sed -n 's/^PPid:[^0-9]*//p' "/proc/$me/status" 2>/dev/null)
	done
	for pid in /proc/[0-9]*; do
		pid=${pid#/proc/}
		[[ $spare != *" $pid "* ]] || continue
		grep -qzxF "RSIO_TEST_DIR=$dir" "/proc/$pid/environ" 2>/dev/null || continue
		echo "$pid"
	done
}

mounts()
{
	awk -v d="$dir/" 'index($5 "/", d) == 1 { print $5 }' /proc/self/mountinfo | sort -r
}

# "DEVICE BACKING-FILE".  To be asked before anything is unmounted: the file loses its
# directory then.
loops()
{
	local back file

	for back in /sys/block/loop*/loop/backing_file; do
		[ -r "$back" ] || continue
		file=$(<"$back")
		if [[ $file == "$dir"/* ]]; then
			back=${back#/sys/block/}
			echo "/dev/${back%%/*} $file"
		fi
	done
}

# Not when another one has it meanwhile.
detach()	# DEVICE BACKING-FILE
{
	local now
	now=$(cat "/sys/block/${1#/dev/}/loop/backing_file" 2>/dev/null) || return 0
	[ -z "$now" ] || [[ $2 != *"$now" ]] || losetup -d "$1" 2>/dev/null
}

namespaces()
{
	local n

	[ -e "$dir/.netns" ] || return 0
	while read -r n; do
		[ ! -e "/run/netns/$n" ] || echo "$n"
	done <"$dir/.netns"
}

daemons=() others=()
for pid in $(processes); do
	case $(readlink "/proc/$pid/exe") in
	*/rsiod | */rssrv | */rsiod\ * | */rssrv\ *) daemons+=("$pid") ;;
	*) others+=("$pid") ;;
	esac
done
for pid in "${daemons[@]}" "${others[@]}"; do
	echo "process $pid: $(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null)"
done
mounts | sed 's/^/mount /'
mapfile -t devices < <(loops)
for d in "${devices[@]}"; do
	echo "loop device $d"
done
namespaces | sed 's/^/network namespace /'
[ -z "$list" ] || exit 0

[ ${#daemons[@]} -eq 0 ] || kill -9 "${daemons[@]}" 2>/dev/null
for m in $(mounts); do
	# Aborts what waits on a FUSE mount whose daemon is gone.
	umount -l "$m" 2>/dev/null || fusermount3 -u -z "$m" 2>/dev/null
done
[ ${#others[@]} -eq 0 ] || kill -9 "${others[@]}" 2>/dev/null
for d in "${devices[@]}"; do
	detach "${d%% *}" "${d#* }"
done
for n in $(namespaces); do
	ip netns del "$n" 2>/dev/null
done
exit 0
