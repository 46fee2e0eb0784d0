#!/bin/bash
# test-attach.sh - block devices: made, named, refused, taken away.
# time-limit: 180
# shellcheck source=tests/functions.sh
. "$(dirname "$0")/../functions.sh"
requires_root
requires_fuse
requires_loop
requires_cmd mkfs.ext4 blkdiscard
requires_program rssrv rsiod rsconfig

# Names in /dev/avN are the machine's: these are this test's.
vol=vol$$ ro=ro$$ wanted=wanted$$ odd=odd$$
write_server_conf "$W/srv"
make_volume "$W/srv" $vol 64M
make_volume "$W/srv" $wanted 8M
make_volume "$W/srv" $odd 1000000
truncate -s 16M "$W/ro.raw"
printf '\n[volume %s]\npath = %s\nmode = ro\nav = 3\n' $ro "$W/ro.raw" >>"$W/srv/rssrvcfg"
write_client_conf "$W/clt" "$W/srv"
printf '\n[volume osl:%s]\nattach = yes\n' $wanted >>"$W/clt/rscltcfg"
start_server "$W/srv"
start_client "$W/clt"
m=$W/clt/mnt

rsconfig() { timeout 15 "$BUILD/rsconfig" --run-dir "$W/clt/run" "$@"; }
says() { rsconfig "$@" 2>&1 || true; }
detach_all() { rsconfig -d --force >/dev/null 2>&1 || true; }
cleanup_fn detach_all
dev=/dev/av0/$vol

# What the configuration wants is there.
check "attach = yes attaches at the start" wait_for 3 test -b /dev/av0/$wanted
check "and nothing else" test ! -e $dev

check "-a attaches" rsconfig -a osl:$vol
check "a block device" test -b $dev
is "$(blockdev --getsize64 $dev)" 67108864 "of the volume's size"
loop=$(readlink $dev)
is "$(cat "/sys/block/${loop#/dev/}/loop/dio")" 1 "with direct I/O"
is "$(readlink /dev/av0/r$vol)" "$m/osl/$vol" "and the raw name is the mounted file"
check "attaching again is fine" rsconfig -a osl:$vol
is "$(readlink $dev)" "$loop" "and makes no second one"
check "a read-only volume" rsconfig -a osl:$ro
is "$(blockdev --getro /dev/av3/$ro)" 1 "is a read-only device, in the av that its server proposes"
like "$(says -lvv)" "osl:$vol@[0-9]+" "-l shows it"
check "a volume of any size" rsconfig -a osl:$odd
is "$(blockdev --getsize64 /dev/av0/$odd)" 999936 "is a device of whole sectors"
check_fails 1 "an unknown volume is refused" rsconfig -a osl:nothing

# Data, and holes all the way down.
dd if=/dev/urandom of="$W/data" bs=1M count=8 status=none
dd if="$W/data" of=$dev bs=1M oflag=direct conv=fsync status=none
check "what is written is on the server" cmp -n 8388608 "$W/data" "$W/srv/pool/$vol.raw"
before=$(stat -c %b "$W/srv/pool/$vol.raw")
blkdiscard -o 0 -l 4194304 $dev
check "discard gives the server's space back" test "$(stat -c %b "$W/srv/pool/$vol.raw")" -le $((before - 8000))
check "and reads as zeroes" cmp -n 4194304 /dev/zero $dev
blkdiscard -z -o 4194304 -l 1048576 $dev
check "so does what was zeroed" cmp -n 5242880 /dev/zero $dev
check "and nothing else" cmp -n 3145728 -i 5242880 "$W/data" "$W/srv/pool/$vol.raw"

# It grows with its volume.
truncate -s 96M "$W/srv/pool/$vol.raw"
kill -HUP "$(server_pid "$W/srv")"
has_grown() { [ "$(blockdev --getsize64 $dev)" = 100663296 ]; }
check "the device grows within a second" try_for 1 has_grown

# Held: refused by name.
mkfs.ext4 -q $dev
mkdir "$W/fs"
mount $dev "$W/fs"
umount_fs() { umount -l "$W/fs" 2>/dev/null || true; }
cleanup_fn umount_fs
out=$(says -d osl:$vol)
like "$out" "osl:$vol is in use: .*mounted at $W/fs" "a mounted device is not detached, and who holds it is named"
check "it works on" dd if=/dev/zero of="$W/fs/file" bs=1M count=4 conv=fsync status=none
kill -TERM "$(client_pid "$W/clt")"
says_so() { grep -q "osl:$vol is in use" "$m/.rsio/log"; }
check "nor does SIGTERM end what is in use" wait_for 3 says_so
check "the other devices stay too" test -b /dev/av3/$ro
umount "$W/fs"
exec_sleep() { exec sleep 100; }
exec_sleep <$dev &
sitter=$!
holds() { [ "$(readlink /proc/$sitter/fd/0)" = "$loop" ]; }
wait_for 2 holds
like "$(says -d osl:$vol)" "sleep \(pid $sitter\) has $loop open" "nor is one that a process has open"
kill $sitter
wait $sitter 2>/dev/null || true
check "it is detached when nobody holds it" rsconfig -d osl:$vol
check "its names are gone" test ! -e $dev -a ! -L $dev -a ! -L /dev/av0/r$vol
check "so is the loop device's file" test ! -e "/sys/block/${loop#/dev/}/loop/backing_file"
like "$(says -d osl:$vol)" "not attached" "a second time it says so"
check "what the configuration wants can be detached" rsconfig -d osl:$wanted
kill -HUP "$(server_pid "$W/srv")"
sleep 0.5
check "and stays so" test ! -e /dev/av0/$wanted

# Whose a name is.
mkdir -p /dev/av0
touch $dev
like "$(says -a osl:$vol)" "$dev exists and is not a link" "a file that is in the way is not replaced"
rm $dev
ln -s /dev/loop99999 $dev
check "a link that leads nowhere is" rsconfig -a osl:$vol
write_server_conf "$W/srv2" namespace=oslo id=201
make_volume "$W/srv2" $vol 8M
make_volume "$W/srv2" r$ro 8M
printf '\n[volume r%s]\npath = %s\nav = 3\n' $ro "$W/srv2/r.raw" >>"$W/srv2/rssrvcfg"
mv "$W/srv2/pool/r$ro.raw" "$W/srv2/r.raw"
start_server "$W/srv2"
write_client_conf "$W/clt2" "$W/srv2"
start_client "$W/clt2"
other() { timeout 15 "$BUILD/rsconfig" --run-dir "$W/clt2/run" "$@" 2>&1 || true; }
like "$(other -a oslo:$vol)" "$dev is taken: it belongs to $m/osl/$vol" "another daemon's device is not taken over"
like "$(other -a oslo:r$ro)" "/dev/av3/r$ro is taken: it belongs to $m/osl/$ro" "nor is a raw name by a volume of that name"
is "$(readlink $dev)" "$(readlink -f $dev)" "the link is what it was"
stop_client "$W/clt2"
write_client_conf "$W/clt" "$W/srv" "$W/srv2"
kill -HUP "$(client_pid "$W/clt")"
check "a second namespace" wait_for 5 test -e "$m/oslo/$vol"
like "$(says -a oslo:$vol)" "$dev is taken: it belongs to $m/osl/$vol" "nor another namespace's"

# By force: always, and without the server.
mkfs.ext4 -q $dev
mount $dev "$W/fs"
kill -STOP "$(server_pid "$W/srv")"
dd if=/dev/zero of="$W/fs/file" bs=1M count=4 conv=fsync status=none 2>"$W/dd.out" &
writer=$!
in_flight() { [ "$(jq '[.namespaces[].volumes[].in_flight] | add' "$m/.rsio/status.json")" -gt 0 ]; }
wait_for 3 in_flight
check "-d --force ends within seconds while the server hangs" rsconfig -d --force osl:$vol
check "and what waited" wait_for 10 gone $writer
check "its names are gone" test ! -L $dev -a ! -L /dev/av0/r$vol
like "$(says -a osl:$vol)" "that was detached: .*mounted at $W/fs" "while it is mounted it is not attached anew"
check "and has no name" test ! -L $dev
like "$(rsconfig -l)" "^osl:$vol@[0-9]+ +-  ending$" "-l says that it is about to end"
is "$(rsconfig -l --json | jq -r ".devices[] | select(.volume == \"$vol\").state")" ending "--json too"
umount_fs &
unmounter=$!
check "a file system that was on it can be unmounted" wait_for 10 gone $unmounter
kill -CONT "$(server_pid "$W/srv")"
check "then it is attached anew" wait_for 10 rsconfig -a osl:$vol
check "and can be read" dd if=$dev of=/dev/null bs=4k count=1 iflag=direct status=none

# A daemon that dies: what nobody uses is taken away.
check "attached once more" wait_for 10 rsconfig -a osl:$ro
loop=$(readlink /dev/av3/$ro)
kill_client "$W/clt"
unbound() { [ ! -e "/sys/block/${loop#/dev/}/loop/backing_file" ]; }
check "an idle device ends with its daemon" wait_for 3 unbound
check "and so do its names" test ! -L /dev/av3/$ro
done_testing
