#!/bin/bash
# A server that was looked at and found fit to write, and writes only much later: a library
# before libc's holds its writes back for as long as a file says.  Its client has given it
# up and its lease is over, but the other server takes over when these writes are done, and
# not before.  Two clients, each with blocks of its own.
# time-limit: 150
# long-time-limit: 300
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/matrix.sh"
requires_cmd cc
case $(nm -D "$BUILD/rssrv") in
*__asan_init* | *__tsan_init*) skip "nothing comes before a sanitizer's library" ;;
esac
test_seed

cat >"$W/late.c" <<'EOT'
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static _Atomic int *page;	/* [0]: hold them; [1]: so many are held */

__attribute__((constructor)) static void start(void)
{
	const char *name = getenv("LATE_WRITES");
	int fd = name ? open(name, O_RDWR | O_CLOEXEC) : -1;

	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		abort();
	close(fd);
}

static void hold(size_t size)
{
	const struct timespec pause = { 0, 5000000 };

	if (!page[0] || size < 4096)
		return;
	page[1]++;
	while (page[0])
		nanosleep(&pause, NULL);
	page[1]--;
}

ssize_t pwrite64(int fd, const void *buf, size_t size, off64_t offset)
{
	static ssize_t (*next)(int, const void *, size_t, off64_t);

	hold(size);
	if (!next)
		next = (ssize_t (*)(int, const void *, size_t, off64_t))dlsym(RTLD_NEXT, "pwrite64");
	return next(fd, buf, size, offset);
}

ssize_t pwrite(int fd, const void *buf, size_t size, off_t offset)
{
	return pwrite64(fd, buf, size, offset);
}
EOT
check "the library is built" cc -D_GNU_SOURCE -O2 -shared -fPIC -o "$W/late.so" "$W/late.c" -ldl
truncate -s 4096 "$W/late"

hold_writes()	# 0 OR 1
{
	python3 -c 'import struct, sys
with open(sys.argv[1], "r+b") as f:
	f.write(struct.pack("i", int(sys.argv[2])))' "$W/late" "$1"
}
held() { od -An -td4 -j4 -N4 "$W/late" | tr -d ' '; }
some_held() { [ "$(held)" -gt 0 ]; }

give_up=60
matrix_hosts 2 2
matrix_servers
stop_server "$W/s1"
VG="env LD_PRELOAD=$W/late.so LATE_WRITES=$W/late" matrix_server 1
matrix_clients 2
vol=$W/c1/mnt/osl/round-robin raw=$W/pool/round-robin.raw

for ((round = 1; round <= $(sample_or_all 1 4); round++)); do
	start_stamp data "$vol" --volume data --blocks 256 --jobs 16 --seed $((${RSIO_SEED:-1} + round))
	start_stamp other "$W/c2/mnt/osl/round-robin" --volume other --first 256 --blocks 256 --jobs 4
	is_used 1 1
	sleep_up_to 300
	hold_writes 1
	check "round $round: writes are held in the first server" wait_for 10 some_held
	on_networks host_silent s1
	check "round $round: the paths to it are given up" wait_for 20 paths_are "$W/c1" 2
	check "round $round: what it may write yet is waited for" wait_for 15 stands_still data
	sleep 3
	check "round $round: longer than its lease" stands_still data
	check "round $round: writes are held in it all the time" some_held
	hold_writes 0
	goes_on data "round $round: when they are done the other server takes over" 30
	goes_on other "round $round: for the other client too" 30
	on_networks host_heard s1
	end_stamp data
	end_stamp other
	check "round $round: all paths are back" wait_for 20 all_paths_up
	verified data "$raw" "round $round: the file has what was acknowledged" --buffered
	verified other "$raw" "round $round: of both" --buffered
	verified data "$W/c2/mnt/osl/round-robin" "round $round: and so the other client reads it"
done
done_testing
