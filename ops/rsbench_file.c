/* Requests on a file or device, through io_uring with direct I/O. */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "rsbench.h"

static struct {
	int fd;
	bool has_ring;
	struct io_uring ring;
	struct bench_io *ios;
} state = { .fd = -1 };

static int file_open(struct bench *b, struct err *e)
{
	int flags = (b->kind == BENCH_READ ? O_RDONLY : O_RDWR) | O_CLOEXEC;
	struct stat st;

	state.fd = open(b->target, flags | O_DIRECT);
	if (state.fd < 0 && errno == EINVAL)	/* tmpfs of older kernels has no direct I/O */
		state.fd = open(b->target, flags);
	if (state.fd < 0 || fstat(state.fd, &st) < 0)
		return err_sys(e, errno, "opening %s", b->target);
	b->size = (uint64_t)st.st_size;
	if (S_ISBLK(st.st_mode) && ioctl(state.fd, BLKGETSIZE64, &b->size) < 0)
		return err_sys(e, errno, "the size of %s", b->target);
	return 0;
}

static bool submit(struct bench *b, struct bench_io *io)
{
	struct io_uring_sqe *sqe;

	if (!bench_next(b, io))
		return false;
	sqe = io_uring_get_sqe(&state.ring);
	if (io->write)
		io_uring_prep_write(sqe, state.fd, io->buffer, io->count, io->offset);
	else
		io_uring_prep_read(sqe, state.fd, io->buffer, io->count, io->offset);
	io_uring_sqe_set_data(sqe, io);
	return true;
}

static unsigned reap(struct bench *b, unsigned busy)
{
	struct io_uring_cqe *cqe;
	unsigned head, seen = 0;

	io_uring_for_each_cqe(&state.ring, head, cqe) {
		struct bench_io *io = io_uring_cqe_get_data(cqe);

		seen++;
		bench_done(b, io, cqe->res < 0 ? cqe->res : (uint32_t)cqe->res < io->count ? -EIO : 0, io->buffer);
		if (!submit(b, io))
			busy--;
	}
	io_uring_cq_advance(&state.ring, seen);
	return busy;
}

static int file_run(struct bench *b, struct err *e)
{
	unsigned n = bench_under_way(b), busy = 0;
	int r = io_uring_queue_init(n, &state.ring, 0);

	if (r < 0)
		return err_sys(e, -r, "io_uring");
	state.has_ring = true;
	state.ios = calloc(n, sizeof *state.ios);
	if (!state.ios)
		return err_set(e, ENOMEM, "no memory for %u requests", n);
	for (unsigned i = 0; i < n; i++) {
		struct bench_io *io = &state.ios[i];

		io->job = i % (unsigned)b->o.jobs;
		io->buffer = aligned_alloc(4096, (b->o.block + 4095) / 4096 * 4096);
		if (!io->buffer)
			return err_set(e, ENOMEM, "no memory for %u requests", n);
		memset(io->buffer, 0x5a, b->o.block);
		busy += submit(b, io);
	}
	while (busy) {
		r = io_uring_submit_and_wait(&state.ring, 1);
		if (r < 0 && r != -EINTR)
			return err_sys(e, -r, "io_uring");
		busy = reap(b, busy);
		b->now = bench_clock();
		bench_progress(b);
	}
	return 0;
}

static void file_close(struct bench *b)
{
	if (state.has_ring)
		io_uring_queue_exit(&state.ring);
	for (unsigned i = 0; state.ios && i < bench_under_way(b); i++)
		free(state.ios[i].buffer);
	free(state.ios);
	if (state.fd >= 0)
		close(state.fd);
}

const struct bench_carrier bench_file = { .open = file_open, .run = file_run, .close = file_close };
