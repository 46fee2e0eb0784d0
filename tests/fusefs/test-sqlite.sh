#!/bin/bash
# test-sqlite.sh - SQLite with a write-ahead log on an attached volume, while
# the server is killed: every acknowledged commit is there.
# shellcheck source=tests/functions.sh
. "$(dirname "$0")/../functions.sh"
requires_root
requires_fuse
requires_loop
requires_cmd sqlite3 mkfs.ext4 e2fsck
requires_program rssrv rsiod rsconfig

write_server_conf "$W/srv"
write_client_conf "$W/clt" "$W/srv"
make_volume "$W/srv" db 128M
start_server "$W/srv"
start_client "$W/clt"
rsconfig=("$BUILD/rsconfig" --run-dir "$W/clt/run")
"${rsconfig[@]}" -a osl:db >/dev/null || bail "the volume is attached"
mkfs.ext4 -q /dev/av0/db
mkdir "$W/fs"
mount /dev/av0/db "$W/fs"
cleanup_fn sh -c "! mountpoint -q $W/fs || umount $W/fs"
is "$(sqlite3 "$W/fs/t.db" 'pragma journal_mode=wal; create table t(n integer primary key, what blob);')" wal \
	"a database with a write-ahead log"

# One commit a line; each number is written down when sqlite3 said that it is committed.
writer()
{
	local n

	for ((n = 1; n <= 300; n++)); do
		echo "pragma synchronous=full; begin; insert into t values($n, randomblob(2000)); commit; select $n;"
	done | sqlite3 -bail "$W/fs/t.db" >"$W/acknowledged"
}
writer &
writer_pid=$!
cleanup_fn end_process $writer_pid
acknowledged() { [ "$(wc -l <"$W/acknowledged")" -ge "$1" ]; }
for n in 40 120 200; do
	wait_for 30 acknowledged $n || bail "commits go on"
	kill_server "$W/srv"
	start_server "$W/srv"
done
status=0
wait $writer_pid || status=$?
is $status 0 "no commit failed though the server was killed three times"
is "$(tail -n 1 "$W/acknowledged")" 300 "all are acknowledged"
umount "$W/fs"
check "fsck" e2fsck -fn /dev/av0/db
# Read by another client: nothing comes from a cache of the first.
check "the volume is detached" "${rsconfig[@]}" -d osl:db
mount -o loop "$W/srv/pool/db.raw" "$W/fs"
is "$(sqlite3 "$W/fs/t.db" 'pragma integrity_check;')" ok "the database is whole"
is "$(sqlite3 "$W/fs/t.db" 'select count(*), sum(n), min(length(what)) from t;')" "300|45150|2000" "every commit is there"
umount "$W/fs"
done_testing
