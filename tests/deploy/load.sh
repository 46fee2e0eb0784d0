# shellcheck shell=bash
# load.sh - verified load on the volume lab:v1 of the client $clt while a server is changed.
: "${clt:?the client directory}"

loads()		# until $W/stop is there
{
	while [ ! -e "$W/stop" ]; do
		"$BUILD/rsbench" --rw randrw --verify --time 1 --depth 4 --json "$clt/mnt/lab/v1" >>"$W/load" 2>&1 || return
		: >"$W/loaded"
	done
}

load()		# NAME COMMAND...: under verified load, which must not fail; the command's status, and $W/out
{
	local name=$1 status=0 loader
	shift
	rm -f "$W/stop" "$W/loaded" "$W/load"
	loads &
	loader=$!
	wait_for 20 test -e "$W/loaded"
	"$@" >"$W/out" 2>&1 || status=$?
	touch "$W/stop"
	if wait "$loader"; then
		ok "$name: no request failed, and no block is another than was written"
	else
		not_ok "$name: no request failed, and no block is another than was written"
		note "$(tail -n 3 "$W/load")"
	fi
	note "$name: the longest request took $(jq -s 'map(.read.latency_us.max, .write.latency_us.max) | max / 1000 | round' "$W/load") ms"
	return $status
}
