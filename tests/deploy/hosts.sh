# shellcheck shell=bash
# hosts.sh - for tests/deploy: source it instead of functions.sh.  Hosts with a real
# sshd: each a set of namespaces (network, mounts, processes, name) with a FILE TREE OF
# ITS OWN over this machine's, in memory, and reachable only over its interfaces.  What
# is logged in from, the workstation, is a network namespace beside them.
#
#	hosts_start 2			# two networks, 10.66.0.0/24 and 10.66.1.0/24
#	host_add s1			# 10.66.0.1 and 10.66.1.1, sshd on port 22
#	before=$(host_tree s1)
#	ws "$BUILD/rsagent" deploy root@s1
#	is "$(host_tree s1)" "$before" "nothing is left"
#
# The workstation's HOME is $W/home: an ed25519 key without passphrase, which every
# host takes for each of its users, a config that knows the hosts by name, and a
# known_hosts once host_known was called.  Users of a host, all with $HOST_PASSWORD:
#	root, admin (sudo with the password), nopw (sudo without), plain (no sudo)
# shellcheck source=tests/functions.sh
. "$(dirname "${BASH_SOURCE[0]}")/../functions.sh"
requires_netns
requires_cmd sshd ssh-keygen sudo python3 pivot_root unshare

HOST_PASSWORD=pw-$(od -An -vtx1 -N8 /dev/urandom | tr -d ' \n')
host_networks=0 host_count=0 host_switch='' WS=''
declare -A host_pid=() host_number=() host_netns=()

hosts_start()	# NETWORKS: the switches, and the workstation at .254 of each
{
	local i

	host_networks=${1:-1}
	host_switch=$(netns_add switch)
	WS=$(netns_add ws)
	for ((i = 0; i < host_networks; i++)); do
		ip -n "$host_switch" link add "net$i" type bridge
		ip -n "$host_switch" link set "net$i" up
		host_plug "$WS" ws "$i" 254
	done
	mkdir -p "$HOME/.ssh"
	chmod 700 "$HOME/.ssh"
	ssh-keygen -q -t ed25519 -N '' -C workstation -f "$HOME/.ssh/id_ed25519"
}

host_plug()	# NETNS PORT NETWORK N: an interface eth$NETWORK with 10.66.$NETWORK.$N
{
	ip -n "$1" link add "eth$3" type veth peer name "$2-$3" netns "$host_switch"
	ip -n "$host_switch" link set "$2-$3" master "net$3" up
	ip -n "$1" addr add "10.66.$3.$4/24" dev "eth$3"
	ip -n "$1" link set "eth$3" up
}

host_addr() { echo "10.66.${2:-0}.${host_number[$1]}"; }	# NAME [NETWORK=0]

ws()		# COMMAND...: on the workstation
{
	nsenter --net="/run/netns/$WS" "$@"
}

on_host()	# NAME COMMAND...: there, as root
{
	local pid=${host_pid[$1]}
	shift
	nsenter -t "$pid" -m -p -u -i -n -- env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
		HOME=/root LC_ALL=C "$@"
}

# The script of the host's first process, which also takes what others leave.
host_init()	# prints it; it takes DIR NAME
{
	# shellcheck disable=SC2016  # for the shell inside
	printf '%s\n' 'set -e' 'cd "$1"' \
		'mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" root' \
		'mount --rbind /dev root/dev' 'mount -t tmpfs -o mode=1777 shm root/dev/shm' \
		'mount -t devpts -o newinstance,ptmxmode=0666 devpts root/dev/pts' \
		'mount -t proc proc root/proc' 'mount -t sysfs sysfs root/sys' \
		'mount --bind run root/run' 'mount --bind tmp root/tmp' \
		'hostname "$2"' 'cd root' 'pivot_root . .' 'umount -l .' \
		'exec chroot . /bin/sh -c "while :; do sleep 1000 & wait; done" </dev/null'
}

host_is_up() { on_host "$1" test -d /proc/1 -a ! -e "$W" 2>/dev/null; }	# NAME
host_init_pid() { host_pid[$1]=$(cat "/proc/$2/task/$2/children") && host_pid[$1]=${host_pid[$1]% } && [ -n "${host_pid[$1]}" ]; }	# NAME PID

host_add()	# NAME [size=256M]: a host that is up, with sshd; size is what all of its files may take
{
	local name=$1 dir=$W/hosts/$1 size=256M i
	[ $# = 1 ] || local "$2"

	host_count=$((host_count + 1))
	host_number[$name]=$host_count
	host_netns[$name]=$(netns_add "$name")
	for ((i = 0; i < host_networks; i++)); do
		host_plug "${host_netns[$name]}" "$name" "$i" "$host_count"
	done
	mkdir -p "$dir"
	mount -t tmpfs -o "mode=755,size=$size" host "$dir"
	cleanup_fn umount -l "$dir"
	mkdir "$dir"/{upper,work,root,run} && mkdir -m 1777 "$dir/tmp"
	# Nothing of the machine's own /root is there, however much that is to remove.
	mkdir -m 700 "$dir/upper/root" && python3 -c 'import os, sys; os.setxattr(sys.argv[1], "trusted.overlay.opaque", b"y")' "$dir/upper/root"
	printf '\nHost %s\n\tHostName %s\n' "$name" "$(host_addr "$name")" >>"$HOME/.ssh/config"
	host_boot "$name"
	host_furnish "$name"
	host_sshd "$name"
}

host_boot()	# NAME: also after host_kill; its files are what they were, but for /run and /tmp
{
	local name=$1 dir=$W/hosts/$1 script outer

	script=$(host_init)
	find "$dir/run" "$dir/tmp" -mindepth 1 -delete
	nsenter --net="/run/netns/${host_netns[$name]}" unshare -m -p -u -i -f --kill-child --propagation private \
		sh -c "$script" host-init "$dir" "$name" >"$W/$name.init" 2>&1 </dev/null &
	outer=$!
	daemon_pid[host:$name]=$outer
	cleanup_fn host_kill "$name"
	if ! wait_for 10 host_init_pid "$name" "$outer" || ! wait_for 10 host_is_up "$name"; then
		show_output "$W/$name.init"
		bail "the host $name starts"
	fi
}

# Nothing of this project that the machine may have, users, the keys.
host_furnish()	# NAME
{
	on_host "$1" sh -es "$HOST_PASSWORD" "$(cat "$HOME/.ssh/id_ed25519.pub")" <<-'END'
		rm -rf /usr/local /etc/rssrvcfg /etc/rscltcfg /var/lib/rsio /root /home /etc/systemd/system/rssrv.service
		mkdir -p /usr/local/sbin /usr/local/bin /usr/local/lib /home
		mkdir -m 700 /root
		printf '127.0.0.1 localhost\n127.0.1.1 %s\n' "$(hostname)" >/etc/hosts
		hostname >/etc/hostname
		! id rsio >/dev/null 2>&1 || userdel rsio 2>/dev/null
		for u in admin nopw plain; do useradd -m -s /bin/bash $u; done
		for u in root admin nopw plain; do
			echo "$u:$1"
			home=$(getent passwd $u | cut -d: -f6)
			mkdir -m 700 $home/.ssh
			echo "$2" >$home/.ssh/authorized_keys
			chown -R $u: $home
		done | chpasswd -c SHA256 -s 1000
		printf '%s\n' 'Defaults !lecture, !admin_flag' 'root ALL=(ALL:ALL) ALL' 'admin ALL=(ALL:ALL) ALL' \
			'nopw ALL=(ALL:ALL) NOPASSWD: ALL' >/etc/sudoers
		rm -rf /etc/sudoers.d /etc/ssh/sshd_config.d
		rm -f /etc/ssh/ssh_host_*
		ssh-keygen -q -t ed25519 -N '' -C "$(hostname)" -f /etc/ssh/ssh_host_ed25519_key
		printf '%s\n' 'HostKey /etc/ssh/ssh_host_ed25519_key' 'UsePAM yes' 'PermitRootLogin yes' 'UseDNS no' \
			'PrintMotd no' 'PrintLastLog no' 'LoginGraceTime 60' \
			'Subsystem sftp internal-sftp' >/etc/ssh/sshd_config
		# Nothing of a session that waits for services which are not there, or for the dice.
		for f in sshd sudo; do
			printf '%s\n' 'auth required pam_unix.so nodelay' 'account required pam_unix.so' \
				'session required pam_unix.so' >/etc/pam.d/$f
		done
	END
}

# "LINE..." go before the rest of the configuration, where the first one counts:
# host_sshd s1 'PasswordAuthentication no'.  What it had been told before is forgotten.
host_sshd()	# NAME [LINE...]
{
	local name=$1
	shift

	host_sshd_stop "$name"
	printf '%s\n' "$@" | on_host "$name" sh -c 'mkdir -p /run/sshd; cat - /etc/ssh/sshd_config >/run/sshd_config'
	on_host "$name" /usr/sbin/sshd -f /run/sshd_config -E /run/sshd.log || bail "sshd starts on $name"
	wait_for 10 host_listens "$name" 22 || bail "sshd listens on $name"
}

host_listens() { [ -n "$(ip netns exec "${host_netns[$1]}" ss -Hltn "sport = :$2")" ]; }	# NAME PORT

host_sshd_stop()	# NAME: who is logged in stays
{
	# shellcheck disable=SC2016  # for the shell there
	on_host "$1" sh -c '[ ! -e /run/sshd.pid ] || kill $(cat /run/sshd.pid); rm -f /run/sshd.pid'
	wait_for 10 host_is_silent "$1"
}
host_is_silent() { ! host_listens "$1" 22; }	# NAME

host_key() { on_host "$1" cat /etc/ssh/ssh_host_ed25519_key.pub | cut -d' ' -f1,2; }	# NAME
host_fingerprint() { on_host "$1" ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub | cut -d' ' -f2; }	# NAME: SHA256:…
host_known() { echo "$(host_addr "$1") $(host_key "$1")" >>"$HOME/.ssh/known_hosts"; }	# NAME

# Everything that is not as in the machine's tree, a line each: path, kind, mode, owner, content.
host_tree()	# NAME
{
	python3 "$TESTS_DIR/deploy/host_tree.py" "$W/hosts/$1"
}

host_kill()	# NAME: the power goes
{
	kill_daemon "host:$1"
}

host_link()	# NAME NETWORK down|up; "lost": all is up and nothing gets through
{
	case $3 in
	lost) ip -n "$host_switch" link set "$1-$2" nomaster ;;
	up) ip -n "$host_switch" link set "$1-$2" master "net$2" up ;;
	*) ip -n "$host_switch" link set "$1-$2" "$3" ;;
	esac
}

host_space()	# NAME KIB: that much is free from now on
{
	local used

	used=$(df -k --output=used "$W/hosts/$1" | tail -n 1)
	mount -o "remount,size=$((used + $2))k" "$W/hosts/$1"
}

host_read_only() { on_host "$1" mount -o remount,ro /; }	# NAME; /run and /tmp stay writable
host_writable() { on_host "$1" mount -o remount,rw /; }		# NAME
