# shellcheck shell=bash
# filesystems.sh - file systems of a test's own to put pools on; source it after agent.sh.

# make_filesystem KIND DIR: tmpfs, or an image of ext4, xfs or btrfs, which is as small as mkfs lets it
# be.  False where this machine cannot.
make_filesystem()
{
	local kind=$1 dir=$2

	mkdir -p "$dir"
	case $kind in
	tmpfs)
		mount -t tmpfs -o size=256m rsio-test "$dir" || return
		;;
	ext4 | xfs | btrfs)
		truncate -s 320M "$dir.img"
		if ! "mkfs.$kind" -q "$dir.img" >/dev/null 2>&1 || ! mount -o loop "$dir.img" "$dir"; then
			note "no $kind here"
			return 1
		fi
		;;
	esac
	cleanup_fn umount "$dir"
	mkdir "$dir/pool"
}

# add_pools KIND...: those that can be had, each a pool of that name in $W/rssrvcfg; their names in $pools.
add_pools()
{
	local kind

	pools=''
	for kind; do
		make_filesystem "$kind" "$W/fs-$kind" || continue
		printf '\n[pool %s]\npath = %s\novercommit = yes\n' "$kind" "$W/fs-$kind/pool" >>"$W/rssrvcfg"
		pools+="$kind "
	done
}
