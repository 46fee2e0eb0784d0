#!/bin/bash
# test-tree.sh - the mounted tree: what is in it, and that it follows the server.
# shellcheck source=tests/functions.sh
. "$(dirname "$0")/../functions.sh"
requires_root
requires_fuse
requires_program rssrv rsiod

write_server_conf "$W/srv" portals=2
write_client_conf "$W/clt" "$W/srv"
make_volume "$W/srv" one 64M
make_volume "$W/srv" two 8M
truncate -s 16M "$W/ro.raw"
printf '\n[volume three]\npath = %s\nmode = ro\n' "$W/ro.raw" >>"$W/srv/rssrvcfg"
start_server "$W/srv"
start_client "$W/clt"
m=$W/clt/mnt

# What is there.
listing() { (cd "$1" && echo *); }
is "$(listing "$m")" "osl" "the root shows the namespace"
is "$(listing "$m/osl")" "one three two" "the namespace shows its volumes"
is "$(listing "$m/osl/.rsio")" \
	"paths paths.json servers servers.json status status.json volumes volumes.json" "a namespace's texts"
is "$(listing "$m/.rsio")" "log metrics status status.json" "the client's texts"
is "$(stat -c '%s %A %U:%G' "$m/osl/one")" "67108864 -rw-rw---- root:disk" "a volume's size and mode"
is "$(stat -c %o "$m/osl/one")" 1048576 "so much is best read at once"
is "$(stat -c '%A' "$m/osl/three")" "-r--r-----" "a read-only volume's mode"
is "$(stat -c '%A' "$m" "$m/osl" "$m/osl/.rsio" | sort -u)" "drwxr-xr-x" "directories' mode"
is "$(stat -fc '%S %b %c' "$m")" "4096 22528 3" "statfs sums the volumes up"
is "$(awk -v d="$m" '$5 == d { sub(/.* - /, ""); print $1, $2 }' /proc/self/mountinfo)" "fuse.rsio rsio" \
	"type and source of the mount"

# The texts.
for t in status servers paths volumes; do
	check "osl/.rsio/$t can be read" grep -q . "$m/osl/.rsio/$t"
	check "osl/.rsio/$t.json is JSON" jq -e . "$m/osl/.rsio/$t.json"
done
check "the client's status.json is JSON" jq -e '.namespaces[0].volumes | length == 3' "$m/.rsio/status.json"
is "$(tail -n 1 "$m/.rsio/metrics")" "# EOF" "metrics end as OpenMetrics do"
check "metrics count each volume" grep -q 'volume="two"' "$m/.rsio/metrics"
check "the log is there" grep -q 'mounted at' "$m/.rsio/log"

# Nothing is made or taken away here.
try() { "$@" 2>&1 || true; }
like "$(try touch "$m/osl/new")" 'not permitted' "no file can be made"
is "$(echo "$m"/osl/.[!.]*)" "$m/osl/.rsio" "snapshots are not listed with the volumes"
is "$(ls "$m/osl/.snap")" "$(ls "$m/osl")" "but there is a place for those of each"
is "$(find "$m/osl/.snap" -type f)" "" "and none yet"
like "$(try mkdir "$m/osl/.snap/four")" 'not permitted' "who has no volume has no place for snapshots"
like "$(try rm "$m/osl/one")" 'not permitted' "no volume can be removed"
like "$(try mv "$m/osl/one" "$m/osl/four")" 'not permitted' "nor renamed"
like "$(try ln "$m/osl/one" "$m/osl/four")" 'not permitted' "nor linked"
like "$(try ln -s one "$m/osl/four")" 'not permitted' "no link can be made"
like "$(try dd if=/dev/zero of="$m/osl/three" bs=512 count=1 conv=notrunc)" 'Read-only' \
	"a read-only volume cannot be opened for writing"
check "but for reading" dd if="$m/osl/three" of=/dev/null bs=512 count=1 status=none
like "$(try sh -c "echo x >'$m/.rsio/status'")" 'denied|not permitted' "a text cannot be written"

# Owner, mode and times of a volume hold while it is mounted, as those of a node in /dev.
chown 1:1 "$m/osl/two"
chmod 640 "$m/osl/two"
touch -d '2001-02-03 04:05:06 UTC' "$m/osl/two"
is "$(stat -c '%u %g %a %Y' "$m/osl/two")" "1 1 640 981173106" "owner, mode and times can be set"

# It follows the server.
appears() { [ -e "$m/osl/new" ]; }
is_gone() { [ ! -e "$m/osl/new" ]; }
has_size() { [ "$(stat -c %s "$m/osl/new")" = "$1" ]; }
make_volume "$W/srv" new 4M
kill -HUP "$(server_pid "$W/srv")"
check "a volume that is added appears within a second" try_for 1 appears
number=$(stat -c %i "$m/osl/new")
exec 5<"$m/osl/new"
truncate -s 6M "$W/srv/pool/new.raw"
kill -HUP "$(server_pid "$W/srv")"
check "one that grows does within a second" try_for 1 has_size 6291456
is "$(stat -Lc %s /proc/self/fd/5)" 6291456 "also where it is open"
is "$(tail -c +4194305 "$m/osl/new" | wc -c)" 2097152 "what was added can be read"
mv "$W/srv/pool/new.raw" "$W/kept.raw"
kill -HUP "$(server_pid "$W/srv")"
check "one that is removed goes within a second" try_for 1 is_gone
like "$(try dd bs=512 count=1 of=/dev/null <&5)" 'error reading' "who has it open gets an error"
exec 5<&-
mv "$W/kept.raw" "$W/srv/pool/new.raw"
kill -HUP "$(server_pid "$W/srv")"
check "it comes back" try_for 1 appears
is "$(stat -c %i "$m/osl/new")" "$number" "with its inode number"

# The numbers are the same after a restart.
stop_client "$W/clt"
start_client "$W/clt"
is "$(stat -c %i "$m/osl/new")" "$number" "and has it in rsiod's next life"
done_testing
