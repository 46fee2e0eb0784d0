#!/bin/bash
# The lab's hosts: a real sshd, a file tree of their own that can be compared, and no
# way to them but their interfaces.

# shellcheck source=tests/deploy/hosts.sh
. "$(dirname "$0")/hosts.sh"
requires_loop
requires_cmd mkfs.ext4

# A file system that another test unmounts while hosts are there.
truncate -s 8M "$W/image"
mkfs.ext4 -q "$W/image"
mkdir "$W/elsewhere"
loop=$(losetup -f --show "$W/image")
cleanup_fn losetup -d "$loop"
mount "$loop" "$W/elsewhere"
cleanup_fn unmount "$W/elsewhere"

hosts_start 2
host_add s1
host_add s2 size=64M
umount "$W/elsewhere"
check_fails 1 "hosts do not hold what the machine has mounted" test -e "/proc/fs/ext4/${loop#/dev/}"
host_known s1

over_ssh() { ws ssh -F "$HOME/.ssh/config" -i "$HOME/.ssh/id_ed25519" -o "UserKnownHostsFile=$HOME/.ssh/known_hosts" \
	-o StrictHostKeyChecking=yes -o BatchMode=yes "$@" </dev/null; }

is "$(over_ssh root@s1 hostname)" s1 "a login with the key"
is "$(over_ssh nopw@s1 sudo -n id -u)" 0 "sudo without password"
check_fails 1 "sudo wants one of the others" over_ssh admin@s1 sudo -n true
is "$(echo "$HOST_PASSWORD" | on_host s1 setpriv --reuid=admin --regid=admin --init-groups sudo -S -p '' id -u)" 0 "and takes it"
check "over the second network too" ws timeout 5 bash -c "</dev/tcp/$(host_addr s1 1)/22"
check_fails 1 "not from elsewhere" nsenter --net="/run/netns/$host_switch" timeout 2 bash -c "</dev/tcp/$(host_addr s1)/22"

before=$(host_tree s1)
on_host s1 sh -c 'echo \# >>/etc/fstab; mkdir /usr/share/x; chmod 700 /usr/bin/env; rm /etc/debian_version; touch /tmp/t'
is "$(diff <(echo "$before") <(host_tree s1) | sed -n 's/^> //p' | cut -d' ' -f1-2)" "/etc/debian_version removed
/etc/fstab -rw-r--r--
/usr/bin/env -rwx------
/usr/share/x drwxr-xr-x
/tmp/t -rw-r--r--" "the tree says what was changed"
is "$(diff <(echo "$before") <(host_tree s1) | grep -c '^<')" 0 "and nothing else"
check "the machine's own is as it was" test -e /etc/debian_version

host_space s2 100
check_fails 1 "a full disk" on_host s2 dd if=/dev/zero of=/var/big bs=1M count=1
host_read_only s1
check_fails 1 "a read-only file system" on_host s1 touch /etc/new
host_writable s1

host_link s1 0 lost
check_fails 124 "a lost link" ws timeout 2 bash -c "</dev/tcp/$(host_addr s1)/22"
host_link s1 0 up
is "$(over_ssh root@s1 hostname)" s1 "which comes back"
host_kill s1
host_boot s1
host_sshd s1
check "after a power cut the files are there" on_host s1 test -d /usr/share/x
check_fails 1 "but for those in memory" on_host s1 test -e /tmp/t

done_testing
