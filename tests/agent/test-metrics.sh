#!/bin/bash
# test-metrics.sh - the server's metrics file: what is in it was done, it is always whole, and
# it goes where the configuration says, as far as the server may.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/agent.sh"
requires_cmd jq python3
requires_program rssrv rsbench
requires_root
id nobody >/dev/null 2>&1 || skip "needs the user nobody"

write_server_conf "$W/srv" client=bench
make_volume "$W/srv" vol 4M
make_volume "$W/srv" other 4M
mkdir "$W/collected" "$W/later"
chown -R nobody "$W/srv" "$W/collected" "$W/later"
chmod 755 "$W"
m=$W/collected/rssrv.prom

# Without the key there is nothing to do; with it alone it is written every 15 s.
start_server "$W/srv"
switches()	# of the thread that would write it
{
	local task
	for task in "/proc/$(server_pid "$W/srv")/task"/*; do
		[ "$(cat "$task/comm")" != rssrv-metrics ] || sed -n 's/^voluntary_ctxt_switches:[[:space:]]*//p' "$task/status"
	done
}
has_thread() { [ -n "$(switches)" ]; }
wait_for 5 has_thread || true	# which gives itself its name
before=$(switches)
like "$before" '^[0-9]+$' "there is a thread for it"
sleep 0.5
check "which sleeps" test $(($(switches) - before)) -le 5
stop_server "$W/srv"
sed -i "/^serverid/a user = nobody\nmetrics = $m" "$W/srv/rssrvcfg"
start_server "$W/srv"
check "the file alone is enough" wait_for 10 test -e "$m"
before=$(switches)
sleep 0.5
check "and the thread sleeps" test $(($(switches) - before)) -le 5
stop_server "$W/srv"
sed -i "s/^metrics = .*/&\nmetrics-interval = 1s/" "$W/srv/rssrvcfg"
write_client_conf "$W/bench" "$W/srv" node=bench
start_server "$W/srv"
check "it is there soon" wait_for 10 test -e "$m"
is "$(stat -c '%U %a' "$m")" "nobody 644" "everybody may read it"

# Who owns the directory leads it nowhere else by what lies at the name of the new one.
collected() { [ "$(stat -c %i "$m")" != "$1" ]; }
echo mine >"$W/collected/mine"
chown nobody "$W/collected/mine"
ln "$W/collected/mine" "$m.new"
check "written again beside another file's name" wait_for 10 collected "$(stat -c %i "$m")"
is "$(cat "$W/collected/mine")" mine "which keeps what it has"
mkfifo "$m.new"
chown nobody "$m.new"
check "and beside a pipe" wait_for 10 collected "$(stat -c %i "$m")"
rm "$W/collected/mine"

# Each read of it is a whole one, while clients come and go.
cat >"$W/whole.py" <<'END'
import os, sys
seen = set()
while not os.path.exists(sys.argv[2]):
    with open(sys.argv[1]) as f:
        text, inode = f.read(), os.fstat(f.fileno()).st_ino
    seen.add(inode)
    lines = text.splitlines()
    if not lines or lines[-1] != "# EOF" or lines.count("# EOF") != 1:
        sys.exit("torn: %r" % text[-100:])
print(len(seen) > 1)
END
python3 "$W/whole.py" "$m" "$W/enough" >"$W/whole" 2>&1 &
reader=$!
mkdir -p "$W/bench/run"
for i in 1 2 3; do
	"$BUILD/rsbench" -c "$W/bench/rscltcfg" --run-dir "$W/bench/run" --json --quiet --rw randrw --block 4K \
		--depth 4 --time 700ms osl:vol >"$W/bench.$i" || not_ok "rsbench"
done
reads=$(jq -s 'map(.read.count) | add' "$W"/bench.[123])
writes=$(jq -s 'map(.write.count) | add' "$W"/bench.[123])
touch "$W/enough"
wait $reader
is "$(cat "$W/whole")" True "a reader finds a whole one, each time it is written"

# rsbench may end with commands under way: what it had the answer of was done.
value() { sed -n "s|^$1 ||p" "$m"; }
at_least() { [ "$(value "$1")" -ge "$2" ] && [ "$(value "$1")" -le $(($2 + 12)) ]; }
check "reads" wait_for 10 at_least 'rssrv_volume_reads_total{volume="vol"}' "$reads"
check "writes" wait_for 10 at_least 'rssrv_volume_writes_total{volume="vol"}' "$writes"
is "$(value 'rssrv_volume_read_bytes_total{volume="vol"}')" \
	$(($(value 'rssrv_volume_reads_total{volume="vol"}') * 4096)) "bytes"
is "$(value 'rssrv_volume_read_latency_seconds_count{volume="vol"}')" \
	"$(value 'rssrv_volume_reads_total{volume="vol"}')" "each has a time"
is "$(value 'rssrv_volume_read_latency_seconds_bucket{volume="vol",le="+Inf"}')" \
	"$(value 'rssrv_volume_reads_total{volume="vol"}')" "in a bucket"
is "$(grep -c 'latency.*volume="other"' "$m")" 0 "what was never used has none"
is "$(value 'rssrv_volume_size_bytes{volume="vol"}')" 4194304 "the size"
is "$(grep -cE '^rssrv_pool_state\{pool="[^"]+",rssrv_pool_state="ok"\} 1$' "$m")" 1 "the pool's state"

# Another place, with a reload: within what it may; then beyond.
sed -i "s|^metrics = .*|metrics = $W/collected/two.prom|" "$W/srv/rssrvcfg"
chown nobody "$W/srv/rssrvcfg"
kill -HUP "$(server_pid "$W/srv")"
check "a reload moves it" wait_for 10 test -e "$W/collected/two.prom"
gone() { [ ! -e "$m" ]; }
check "and takes the old one away" wait_for 10 gone
if [ "$("$BUILD/rssrv" --status --run-dir "$W/srv/run" | jq .confinement.landlock)" -gt 0 ]; then
	sed -i "s|^metrics = .*|metrics = $W/later/rssrv.prom|" "$W/srv/rssrvcfg"
	kill -HUP "$(server_pid "$W/srv")"
	said() { grep -q "WARNING (metrics): $W/later/rssrv.prom is not within" "$W/srv/rssrv.out"; }
	check "beyond what it may write to it says so" wait_for 10 said
	failed() { grep -q "WARNING (metrics): cannot write $W/later/rssrv.prom" "$W/srv/rssrv.out"; }
	check "and that it cannot" wait_for 10 failed
	sed -i "s|^metrics = .*|metrics = $W/collected/two.prom|" "$W/srv/rssrvcfg"
	kill -HUP "$(server_pid "$W/srv")"
	check "back again" wait_for 10 test -e "$W/collected/two.prom"
fi
stop_server "$W/srv"
is "$(find "$W/collected" "$W/later" -type f)" "" "nothing is left of it when the server has ended"
done_testing
