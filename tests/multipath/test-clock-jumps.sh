#!/bin/bash
# The wall clock of the server and of the client jumps by a day, both ways, under verified
# load: nothing happens.  A library before libc's adds to each daemon's wall clock what its
# file says.  Who waits by that clock waits for the kernel's, and so a day or not at all.
# time-limit: 120
# long-time-limit: 300
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lab.sh"
requires_root
requires_fuse
requires_cmd cc jq python3
requires_program rssrv rsiod
case $(nm -D "$BUILD/rsiod") in
*__asan_init* | *__tsan_init*) skip "nothing comes before a sanitizer's library" ;;
esac
test_seed
jumps=$(sample_or_all 6 60)

# The wall clock is for people: in the log, in a file's times, in a volume's identity,
# in the names of snapshots that a schedule takes.
is "$(cd "$TOP" && grep -lE 'CLOCK_REALTIME|\<(time|gettimeofday)\((NULL|&|0)' agent/*.[ch] fusefs/*.[ch] lib/*.[ch] | tr '\n' ' ')" \
	"agent/meta.c agent/schedule.c fusefs/copy.c fusefs/io.c fusefs/names.c fusefs/ops.c lib/log.c " "nothing else asks for the time of day"

cat >"$W/clock.c" <<'EOT'
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static _Atomic long *wrong;	/* by so many seconds; and how often it was asked for */

__attribute__((constructor)) static void start(void)
{
	const char *name = getenv("WRONG_CLOCK");
	int fd = name ? open(name, O_RDWR | O_CLOEXEC) : -1;
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		abort();
	close(fd);
	wrong = p;
}

int clock_gettime(clockid_t clock, struct timespec *t)
{
	int r = (int)syscall(SYS_clock_gettime, clock, t);

	if (r == 0 && wrong && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
		t->tv_sec += wrong[0];
		wrong[1]++;
	}
	return r;
}

time_t time(time_t *out)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	if (out)
		*out = t.tv_sec;
	return t.tv_sec;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone)
{
	struct timespec t;

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &t);
	out->tv_sec = t.tv_sec;
	out->tv_usec = t.tv_nsec / 1000;
	return 0;
}
EOT
check "the clock is built" cc -D_GNU_SOURCE -O2 -shared -fPIC -o "$W/clock.so" "$W/clock.c"
for who in server client; do
	truncate -s 4096 "$W/$who.clock"
done

set_wrong()	# FILE SECONDS
{
	python3 -c 'import struct, sys
with open(sys.argv[1], "r+b") as f:
	f.write(struct.pack("q", int(sys.argv[2])))' "$@"
}

asked()		# FILE: how often
{
	od -An -td8 -j8 -N8 "$1"
}

with_clock()	# WHO COMMAND...
{
	local - VG="env LD_PRELOAD=$W/clock.so WRONG_CLOCK=$W/$1.clock"
	shift
	"$@"
}

write_server_conf "$W/srv" portals=2
write_client_conf "$W/clt" "$W/srv"
printf '[defaults]\ndetect = 2s\n' >>"$W/clt/rscltcfg"
make_volume "$W/srv" data 8M
make_volume "$W/srv" durable 2M
with_clock server start_server "$W/srv"
with_clock client start_client "$W/clt"
vol=$W/clt/mnt/osl
raw=$W/srv/pool
check "both portals carry a path" wait_for 10 paths_are "$W/clt" 2

start_stamp data "$vol/data" --blocks 2048 --jobs 16 --flush-every 100
start_stamp durable "$vol/durable" --blocks 512 --jobs 4 --dsync
run_traffic reader "$stamp" verify "$vol/data" "$W/data.log" --seconds 1000

day=86400
appeared() { [ -e "$vol/new$i" ]; }
gone_again() { [ ! -e "$vol/new$i" ]; }
for ((i = 1; i <= jumps; i++)); do
	for who in server client; do
		dice 4
		case $dice in
		0) set_wrong "$W/$who.clock" $((-day)) ;;
		1) set_wrong "$W/$who.clock" 0 ;;
		*) set_wrong "$W/$who.clock" $day ;;
		esac
	done
	sleep_up_to 600
	goes_on data "jump $i: writes go on"
	make_volume "$W/srv" new$i 1M
	check "jump $i: a new volume is there" wait_for 5 appeared
	rm "$raw/new$i.raw"
	check "jump $i: and gone with its file" wait_for 5 gone_again
done
check "what is asked of the client is answered" timeout 5 "$BUILD/rsconfig" --run-dir "$W/clt/run" -q
check "of the server too" timeout 5 "$BUILD/rssrv" --status --run-dir "$W/srv/run"

# What happens when paths come and go is not before its time either, nor a day late.
set_wrong "$W/server.clock" $((-day))
set_wrong "$W/client.clock" $day
lost() { grep -c 'silent for' "$W/clt/rsiod.out" || true; }
is "$(lost)" 0 "no path was lost by a jump"
kill_server "$W/srv"
set_wrong "$W/server.clock" $day
with_clock server start_server "$W/srv"
set_wrong "$W/client.clock" $((-day))
goes_on data "a server whose clock is elsewhere is the same server" 20
kill -STOP "$(server_pid "$W/srv")"
was_lost() { [ "$(lost)" -gt 0 ]; }
check "a path that is silent is given up" wait_for 10 was_lost
set_wrong "$W/client.clock" $day
kill -CONT "$(server_pid "$W/srv")"
goes_on data "and made anew" 20

for n in data durable; do
	end_stamp $n
	verified $n "$raw/$n.raw" "$n: the server's file has what was acknowledged" --buffered
	verified $n "$vol/$n" "$n: and so it reads through the mount"
done
end_stamp reader
for who in server client; do
	check "the $who did ask for the time of day" test "$(asked "$W/$who.clock")" -gt 0
done
tomorrow=$(date -d tomorrow +%Y_%m_%d)
like "$(cat "$W/srv/rssrv.out")" "^srv@[^ ]* $tomorrow" "and took it from there"
done_testing
