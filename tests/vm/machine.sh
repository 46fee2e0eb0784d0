# machine.sh - an emulated machine to be sourced by tests after functions.sh: another kernel,
# systemd as init, and rights that the host may lack.
#
# It has the host's userland: the host's / by virtiofs, read-only, with a tmpfs laid over it.  So a
# script finds everything under the host's names, and what it changes is gone at the end.
# The emulation is qemu's own (-accel tcg), some ten times slower than the host: it needs no
# /dev/kvm, and where there is one it need not work in a machine that is virtual itself.
#
#	vm_requires			skips the test where there is no qemu
#	vm_kernel 6.1			a kernel of Debian's, from the cache in $BUILD/vm
#	vm_kernel 5.10 bullseye		one of an older release
#	vm_run SECONDS SCRIPT [init=systemd] [memory=1024]
#	vm_test SECONDS SCRIPT [...]	the same, for a script that sources functions.sh; the last line of a test
#
# vm_run boots, runs SCRIPT by bash as root, ends, and has its status; it is 124 when
# SECONDS were not enough, 125 when the machine died before the script ended.  What the script
# said, both outputs, is in $W/vm.out, what the kernel said in $W/vm.console.  The script knows
# $BUILD and, as $HOST, the directory $W of the test outside, which it can read.
# Booting takes some 6 s, with systemd 15; what waits for something in the script has ten times
# as long as outside.
# shellcheck shell=bash

vm_requires()
{
	requires_root
	requires_cmd qemu-system-x86_64 busybox cpio depmod modprobe dpkg
	[ -x "$virtiofsd" ] || skip "$virtiofsd is missing: dist/install-deps.sh vm"
	[ "$(uname -m)" = x86_64 ] || skip "the kernels that are fetched are for x86-64"
}
virtiofsd=/usr/lib/qemu/virtiofsd

# Packages of kernels.  Those of this Debian come from its own archive; for an older one apt is
# told of that release's, in a place of its own.
vm_apt()	# RELEASE COMMAND...
{
	local dir=$BUILD/vm/apt-$1

	if [ "$1" = own ]; then
		"${@:2}"
		return
	fi
	mkdir -p "$dir/lists/partial" "$dir/cache"
	echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian $1 main" >"$dir/list"
	"${@:2}" -o "Dir::Etc::sourcelist=$dir/list" -o Dir::Etc::sourceparts=- \
		-o "Dir::State::lists=$dir/lists" -o "Dir::Cache=$dir/cache"
}

vm_fetch()	# VERSION-PREFIX RELEASE DIR
{
	local part=$3.part package

	rm -rf "$part"
	mkdir -p "$part/tree"
	[ "$2" = own ] || vm_apt "$2" apt-get -q update || return
	package=$(vm_apt "$2" apt-cache search --names-only "^linux-image-${1//./\\.}\.[^ ]*-cloud-amd64\$" |
		cut -d' ' -f1 | sort -V | tail -n 1)
	[ -n "$package" ] || return
	note "fetching $package"
	(cd "$part" && vm_apt "$2" apt-get -q -o APT::Sandbox::User=root download "$package") || return
	dpkg -x "$part"/*.deb "$part/tree" && rm "$part"/*.deb || return
	find "$part/tree" -name '*.ko.xz' -exec xz -d {} + &&
		depmod -b "$part/tree" "$(ls "$part/tree/lib/modules")" && mv "$part/tree" "$3"
	local status=$?
	rm -rf "$part"
	return $status
}

# vm_kernel 6.1 [RELEASE]: of this Debian, or RELEASE; sets $vm_kernel and $vm_version.
vm_kernel()
{
	vm_kernel=$BUILD/vm/linux-$1
	mkdir -p "$BUILD/vm"
	(
		flock 9
		[ -d "$vm_kernel" ] || vm_fetch "$1" "${2:-own}" "$vm_kernel"
	) 9>"$BUILD/vm/lock" >"$W/vm.fetch" 2>&1 || {
		show_output "$W/vm.fetch"
		skip "no kernel $1 can be fetched"
	}
	vm_version=$(ls "$vm_kernel/lib/modules")
}

# What the machine starts with: the modules for its file system, and what lays it out.
vm_initramfs()	# DIR SCRIPT INIT SECONDS
{
	local dir=$1 path

	mkdir -p "$dir/bin" "$dir/modules" "$dir/lower" "$dir/over" "$dir/new" "$dir/proc" "$dir/dev"
	cp "$(command -v busybox)" "$dir/bin/busybox"
	# Debian has it static and dynamic, and only one of them at a time.
	for path in $(ldd "$dir/bin/busybox" 2>/dev/null | grep -o '/[^ ]*'); do
		cp --parents "$path" "$dir/"
	done
	{
		echo '#!/bin/busybox sh'
		echo '/bin/busybox --install -s /bin'
		# In the order in which one needs another.
		for m in virtio_pci virtiofs overlay; do
			modprobe -S "$vm_version" -d "$vm_kernel" --show-depends "$m"
		done | sed -n 's/^insmod //p' | while read -r path _; do
			[ ! -e "$dir/modules/${path##*/}" ] || continue
			cp "$path" "$dir/modules/"
			echo "insmod /modules/${path##*/}"
		done
		cat <<-EOF
		set -e
		mount -t virtiofs -o ro host /lower
		mount -t tmpfs -o size=80% tmpfs /over
		mkdir /over/upper /over/work
		mount -t overlay -o lowerdir=/lower,upperdir=/over/upper,workdir=/over/work overlay /new
		# Nothing of the host's is started, nor does systemd think that it is in a container like the host.
		rm -rf /new/etc/systemd/system /new/var/log/journal /new/run /new/.dockerenv
		mkdir -p /new/etc/systemd/system /new/lib/modules/$vm_version /new/run
		: >/new/etc/fstab
		# /tmp is not emptied: the script may be there.
		ln -sf /dev/null /new/etc/tmpfiles.d/tmp.conf
		mount --bind /new$vm_kernel/lib/modules/$vm_version /new/lib/modules/$vm_version
		cat >/new/etc/vm-run <<'EOS'
		#!/bin/bash
		stty -F /dev/ttyS1 raw
		exec >/dev/ttyS1 2>&1 </dev/null
		cd /
		export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
		export BUILD=$BUILD HOST=$W TIME_LIMIT=$4 RSIO_SLOW=10 RSIO_SEED=${RSIO_SEED:-1}
		bash $2
		echo "vm-status \$?"
		sync
		# The last bytes have to leave the serial port.
		stty -F /dev/ttyS1 sane
		sleep 0.3
		echo 1 >/proc/sys/kernel/sysrq
		echo b >/proc/sysrq-trigger
		sleep 1000
		EOS
		chmod 755 /new/etc/vm-run
		EOF
		if [ "$3" = systemd ]; then
			cat <<-EOF
			cat >/new/etc/systemd/system/vm-run.service <<'EOS'
			[Service]
			Type=oneshot
			ExecStart=/etc/vm-run
			EOS
			exec switch_root /new /lib/systemd/systemd
			EOF
		else
			cat <<-EOF
			mount -t proc proc /new/proc
			mount -t sysfs sysfs /new/sys
			mount -t devtmpfs devtmpfs /new/dev
			mount -t tmpfs tmpfs /new/run
			ln -s /proc/self/fd /new/dev/fd
			mkdir -p /new/dev/shm
			mount -t tmpfs tmpfs /new/dev/shm
			ifconfig lo 127.0.0.1 up
			exec switch_root /new /etc/vm-run
			EOF
		fi
	} >"$dir/init"
	chmod 755 "$dir/init"
	mknod -m 600 "$dir/dev/console" c 5 1
	(cd "$dir" && find . | cpio -o -H newc --quiet | gzip -1) >"$dir.gz"
	rm -rf "$dir"
}

vm_run()	# SECONDS SCRIPT [init=systemd] [memory=MIB]
{
	local seconds=$1 script=$2 init=none memory=1024 arg pid status
	shift 2
	for arg; do
		case $arg in
		init=* | memory=*) local "$arg" ;;
		*) bail "vm_run: what is $arg?" ;;
		esac
	done
	vm_initramfs "$W/vm.initramfs" "$script" "$init" "$seconds"
	start_daemon "virtiofsd:$W" "$W/vm.virtiofsd" "[ -S $(printf %q "$W/vm.sock") ]" \
		"$virtiofsd" --socket-path="$W/vm.sock" -o source=/ -o sandbox=chroot -o cache=always ||
		bail "virtiofsd starts"
	: >"$W/vm.out"
	qemu-system-x86_64 -accel tcg -cpu max -nodefaults -display none -no-reboot -m "$memory" \
		-kernel "$vm_kernel/boot/vmlinuz-$vm_version" -initrd "$W/vm.initramfs.gz" \
		-append "console=ttyS0 panic=-1 quiet mitigations=off nokaslr no_timer_check audit=0 systemd.unit=vm-run.service systemd.show_status=no" \
		-serial "file:$W/vm.console" -serial "file:$W/vm.out" \
		-object "memory-backend-memfd,id=mem,size=${memory}M,share=on" -numa node,memdev=mem \
		-chardev "socket,id=host,path=$W/vm.sock" -device vhost-user-fs-pci,chardev=host,tag=host \
		-device virtio-rng-pci </dev/null >"$W/vm.qemu" 2>&1 &
	pid=$!
	cleanup_fn end_process "$pid"
	try_for "$seconds" gone "$pid" && status='' || status=124
	end_process "$pid"
	kill_daemon "virtiofsd:$W"
	[ -n "$status" ] || status=$(sed -n 's/^vm-status //p' "$W/vm.out")
	sed -i '/^vm-status /d' "$W/vm.out"
	return "${status:-125}"
}

# What the script said is what this test says.
vm_test()	# SECONDS SCRIPT [init=systemd] [memory=MIB]
{
	local status=0

	vm_run "$@" || status=$?
	cat "$W/vm.out"
	# shellcheck disable=SC2034  # functions.sh
	tap_finished=yes tap_count=$(grep -cE '^(not )?ok ' "$W/vm.out" || true)
	case $status in
	0 | 77) exit $status ;;
	124) not_ok "the machine ends within $1 s" ;;
	125) not_ok "the machine lives until the script ends" ;;
	esac
	note "the kernel said at the end:"
	show_output "$W/vm.console"
	exit 1
}
