# shellcheck shell=bash disable=SC2154
# growth.sh - for test-growth.sh and test-growth-long.sh: what is done over and over
# leaves nothing behind in rsiod, its helper and rssrv: no descriptor, no thread, no memory.
# They say how often.
# shellcheck source=tests/functions.sh
. "$(dirname "${BASH_SOURCE[0]}")/../functions.sh"
requires_root
: "${reconnects:?}" "${attaches:?}" "${opens:?}"
requires_fuse
requires_cmd python3 pgrep
requires_program rssrv rsiod rsconfig

slack=512	# KiB that may be had once more, whatever the number of rounds
# A sanitizer keeps what was freed: there descriptors and threads are what can be told.
! grep -qs -e -fsanitize "$BUILD/.flags" || slack=$((1 << 30))
vol=grow$$
write_server_conf "$W/srv"
make_volume "$W/srv" $vol 4M
write_client_conf "$W/clt" "$W/srv"
start_server "$W/srv"
start_client "$W/clt"
m=$W/clt/mnt
v=$m/osl/$vol
declare -A pids=([rsiod]=$(client_pid "$W/clt") [rssrv]=$(server_pid "$W/srv"))
pids[helper]=$(pgrep -o -P "${pids[rsiod]}")
read -r _ _ _ _ port <"$W/srv/portals"
unset MALLOC_PERTURB_

rsconfig() { timeout 15 "$BUILD/rsconfig" --run-dir "$W/clt/run" "$@" >/dev/null; }

# "DESCRIPTORS THREADS KiB" of a process.
figures()	# PID
{
	local fds

	fds=("/proc/$1/fd/"*)
	echo "${#fds[@]} $(awk '/^Threads:/ { t = $2 } /^RssAnon:/ { kib = $2 } END { print t, kib }' "/proc/$1/status")"
}

no_more()	# PID FDS THREADS KiB
{
	local fds threads kib

	read -r fds threads kib < <(figures "$1")
	[ "$fds" -le "$2" ] && [ "$threads" -le "$3" ] && [ "$kib" -le $(($4 + slack)) ]
}

# After a tenth of the rounds they are as they will stay.  What is on its way back yet (a
# worker that ends, a connection that lingers) has a moment.
stays()		# WHAT ROUNDS COMMAND...: called with the number of rounds to do
{
	local what=$1 rounds=$2 name
	local -A was=()
	shift 2

	"$@" $((rounds / 10)) || bail "$what"
	settle
	for name in "${!pids[@]}"; do
		was[$name]=$(figures "${pids[$name]}")
	done
	"$@" $((rounds - rounds / 10)) || bail "$what"
	for name in "${!pids[@]}"; do
		# shellcheck disable=SC2086  # three figures
		check "$rounds $what: $name has no more descriptors, threads and memory" \
			wait_for 10 no_more "${pids[$name]}" ${was[$name]}
		note "$name: ${was[$name]} KiB, now $(figures "${pids[$name]}") KiB," \
			"highest $(awk '/^VmHWM/ { print $2 }' "/proc/${pids[$name]}/status") KiB"
	done
}

# The same figures twice, half a second apart.
settle()
{
	local before='' now i p

	for ((i = 0; i < 10; i++)); do
		now=$(for p in "${pids[@]}"; do figures "$p"; done)
		[ "$before" != "$now" ] || return 0
		before=$now
		sleep 0.5
	done
}

# The connection is cut under traffic; the next read has another one.
reconnect()	# ROUNDS
{
	python3 - "$v" "$port" "$1" <<-'END'
	import os, subprocess, sys
	fd = os.open(sys.argv[1], os.O_RDWR)
	text = bytes(range(256)) * 32
	for i in range(int(sys.argv[3])):
	    offset = 8192 * (i % 512)
	    os.pwrite(fd, text, offset)
	    subprocess.run(["ss", "-K", "-t", "dport", "=", ":" + sys.argv[2]], stdout=subprocess.DEVNULL,
	                   stderr=subprocess.DEVNULL, check=True)
	    if os.pread(fd, len(text), offset) != text:
	        sys.exit("something else is read")
	END
}

attach()	# ROUNDS
{
	local i

	for ((i = 0; i < $1; i++)); do
		rsconfig -a osl:$vol && rsconfig -d osl:$vol || return 1
	done
}

# Volumes, texts and listings.
open_all()	# ROUNDS
{
	python3 - "$m" "$v" "$1" <<-'END'
	import os, sys
	m, v = sys.argv[1:3]
	files = [v, v, v, v, m + "/.rsio/status.json", m + "/osl/.rsio/status", m + "/.rsio/metrics"]
	for i in range(int(sys.argv[3])):
	    fd = os.open(files[i % len(files)], os.O_RDONLY)
	    os.pread(fd, 16384, 4096 * (i % 64))
	    os.close(fd)
	    os.listdir(m + "/osl")
	END
}

detach() { rsconfig -d --force osl:$vol 2>/dev/null || true; }
cleanup_fn detach

cuts() { ss -K -t dport = :1 >/dev/null 2>&1; }

stays "opens, reads and closes" "$opens" open_all
if cuts; then
	before=$(grep -c 'started transmit' "$W/clt/rsiod.out")
	stays reconnects "$reconnects" reconnect
	made=$(($(grep -c 'started transmit' "$W/clt/rsiod.out") - before))
	check "that many were made ($made)" test $made -ge $((reconnects * 9 / 10))
else
	ok "reconnects # SKIP ss -K does not work here"
fi
if losetup -f >/dev/null 2>&1; then
	stays "attaches and detaches" "$attaches" attach
else
	ok "attaches # SKIP no loop devices"
fi
done_testing
