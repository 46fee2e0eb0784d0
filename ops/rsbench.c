/* rsbench - measures a volume, over a session of the protocol or as a file or device. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include "log.h"
#include "opt.h"
#include "rsbench.h"

#define POLL_MAX 0.1	/* seconds, as in the configuration */
#define FAILED_ENOUGH 1000	/* in a row: nothing will succeed any more */

static const struct opt table[] = {
	{ 'c', "config", OPT_STRING, "FILE", offsetof(struct bench_options, config), "the client's configuration", 0, 0 },
	{ 0, "run-dir", OPT_STRING, "DIR", offsetof(struct bench_options, run_dir), "where the identity of this client is kept", 0, 0 },
	{ 'r', "rw", OPT_STRING, "randread|randwrite|randrw|read|write|rw", offsetof(struct bench_options, rw),
	  "the load (randread)", 0, 0 },
	{ 'b', "block", OPT_SIZE, "SIZE", offsetof(struct bench_options, block), "bytes a request (8K)", 0, 0 },
	{ 's', "size", OPT_SIZE, "SIZE", offsetof(struct bench_options, size), "use only so much of the target", 0, 0 },
	{ 'd', "depth", OPT_INT, "N", offsetof(struct bench_options, depth), "requests under way, each job (64)", 1, 1024 },
	{ 'j', "jobs", OPT_INT, "N", offsetof(struct bench_options, jobs), "jobs (1)", 1, 64 },
	{ 0, "clients", OPT_INT, "N", offsetof(struct bench_options, clients), "log in so often, as NODE-1 to NODE-N (1: as NODE)", 1, 1024 },
	{ 'p', "paths", OPT_INT, "N", offsetof(struct bench_options, paths), "use only so many paths of the configuration (all)", 1, 64 },
	{ 'm', "mix", OPT_INT, "PERCENT", offsetof(struct bench_options, percent), "reads of a mixed load (70)", 0, 100 },
	{ 't', "time", OPT_DURATION, "TIME", offsetof(struct bench_options, time), "how long (5s)", 0, 0 },
	{ 0, "poll", OPT_DURATION, "TIME", offsetof(struct bench_options, poll), "ask for answers so long before sleeping (as configured)", 0, 0 },
	{ 0, "crc", OPT_INT, "0|1", offsetof(struct bench_options, crc), "payload checksums off or on (as configured)", 0, 1 },
	{ 0, "verify", OPT_FLAG, NULL, offsetof(struct bench_options, verify), "stamp what is written, check what is read", 0, 0 },
	{ 0, "json", OPT_FLAG, NULL, offsetof(struct bench_options, json), "print JSON", 0, 0 },
	{ 'q', "quiet", OPT_FLAG, NULL, offsetof(struct bench_options, quiet), "no live line", 0, 0 },
	{ 0, NULL, 0, NULL, 0, NULL, 0, 0 }
};

static const struct opt_program program = {
	.name = "rsbench",
	.synopsis = "[options] NS:VOLUME|FILE|DEVICE",
	.about = "Measures IOPS, throughput, latency and CPU of a volume.",
	.table = table,
	.operands = "NS:VOLUME|FILE|DEVICE",
	.page = "rsbench(8)",
};

uint64_t bench_clock(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* Latencies. */

static unsigned bin_of(uint64_t ns)
{
	unsigned octave;

	if (ns < 2 * BENCH_STEPS)
		return (unsigned)ns;
	octave = 63 - (unsigned)__builtin_clzll(ns) - 6;
	if (octave > 38)
		return BENCH_BINS - 1;
	return (octave + 1) * BENCH_STEPS + (unsigned)((ns >> octave) - BENCH_STEPS);
}

static double value_of(unsigned bin)
{
	unsigned octave = bin / BENCH_STEPS;

	if (octave < 2)
		return bin;
	return ((double)(bin % BENCH_STEPS) + BENCH_STEPS + 0.5) * (double)(UINT64_C(1) << (octave - 1));
}

void bench_latency_add(struct bench_latency *l, uint64_t ns)
{
	l->bins[bin_of(ns)]++;
	l->count++;
	l->sum += ns;
	if (ns > l->max)
		l->max = ns;
}

double bench_latency_at(const struct bench_latency *l, double percent)
{
	uint64_t want = (uint64_t)((double)l->count * percent / 100 + 0.999999), seen = 0;

	for (unsigned i = 0; i < BENCH_BINS; i++) {
		seen += l->bins[i];
		if (seen >= want && seen)
			return value_of(i) / 1000;
	}
	return 0;
}

/* The load. */

static uint64_t next_random(struct bench *b)
{
	b->seed ^= b->seed << 13;
	b->seed ^= b->seed >> 7;
	b->seed ^= b->seed << 17;
	return b->seed * UINT64_C(0x2545f4914f6cdd1d) >> 16;
}

static uint64_t next_block(struct bench *b, uint32_t job)
{
	if (b->random)
		return next_random(b) % b->blocks;
	return b->positions[job]++ % b->blocks;
}

bool bench_next(struct bench *b, struct bench_io *io)
{
	uint64_t block;

	io->started = bench_clock();
	if (io->started >= b->stop)
		return false;
	io->write = b->kind == BENCH_WRITE ||
		    (b->kind == BENCH_MIXED && next_random(b) % 100 >= (uint64_t)b->o.percent);
	do
		block = next_block(b, io->job);
	while (b->verify && io->write && !bench_verify_claim(b->verify, block));
	io->offset = block * b->o.block;
	io->count = (uint32_t)b->o.block;
	if (b->verify && io->write)
		bench_verify_fill(b->verify, block, io->buffer);
	else if (b->verify)
		io->since = bench_verify_since(b->verify, block);
	return true;
}

void bench_done(struct bench *b, struct bench_io *io, int error, const uint8_t *data)
{
	uint64_t took = bench_clock() - io->started, block = io->offset / b->o.block;

	if (b->verify && io->write)
		bench_verify_wrote(b->verify, block, !error);
	if (error) {
		b->errors++;
		if (!b->first_error)
			b->first_error = error;
		if (++b->failed_in_row == FAILED_ENOUGH)
			b->stop = 0;
		return;
	}
	b->failed_in_row = 0;
	if (b->verify && !io->write && !bench_verify_check(b->verify, block, io->since, data))
		b->damaged++;
	bench_latency_add(io->write ? &b->writes : &b->reads, took);
	if (io->write)
		b->write_bytes += io->count;
	else
		b->read_bytes += io->count;
}

void bench_progress(struct bench *b)
{
	static uint64_t shown, last_count, last_bytes;
	uint64_t count, bytes;
	double seconds;

	if (b->o.quiet || b->now < shown + 500000000)
		return;
	seconds = (double)(b->now - (shown ? shown : b->start)) / 1e9;
	count = b->reads.count + b->writes.count;
	bytes = b->read_bytes + b->write_bytes;
	if (seconds > 0)
		fprintf(stderr, "\r%5.1f s  %9.0f IOPS  %9.1f MB/s  p50 %.0f us  errors %" PRIu64 "   ",
			(double)(b->now - b->start) / 1e9, (double)(count - last_count) / seconds,
			(double)(bytes - last_bytes) / seconds / 1e6,
			bench_latency_at(b->reads.count ? &b->reads : &b->writes, 50), b->errors);
	shown = b->now;
	last_count = count;
	last_bytes = bytes;
}

unsigned bench_under_way(const struct bench *b)
{
	return (unsigned)(b->o.depth * b->o.jobs * b->o.clients);
}

/* The figures. */

static double cpu_seconds(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)u.ru_utime.tv_sec + (double)u.ru_utime.tv_usec / 1e6 + (double)u.ru_stime.tv_sec +
	       (double)u.ru_stime.tv_usec / 1e6;
}

static json_t *latency_json(const struct bench_latency *l, uint64_t bytes, double seconds)
{
	return json_pack("{s:I, s:f, s:f, s:{s:f, s:f, s:f, s:f, s:f, s:f}}",
		"count", (json_int_t)l->count, "iops", (double)l->count / seconds, "mbps", (double)bytes / seconds / 1e6,
		"latency_us", "mean", l->count ? (double)l->sum / (double)l->count / 1e3 : 0.0,
		"p50", bench_latency_at(l, 50), "p90", bench_latency_at(l, 90), "p99", bench_latency_at(l, 99),
		"p999", bench_latency_at(l, 99.9), "max", (double)l->max / 1e3);
}

static void print_time(const char *name, double us)
{
	double value = us < 1e3 ? us : us < 1e6 ? us / 1e3 : us / 1e6;

	printf(" %s %.*f %s", name, value < 10 ? 2 : value < 100 ? 1 : 0, value, us < 1e3 ? "us" : us < 1e6 ? "ms" : "s");
}

static void print_text(const char *what, const struct bench_latency *l, uint64_t bytes, double seconds)
{
	static const struct {
		const char *name;
		double percent;
	} some[] = { { "p50", 50 }, { "p90", 90 }, { "p99", 99 }, { "p99.9", 99.9 } };

	if (!l->count)
		return;
	printf("%-6s %10.0f IOPS %10.1f MB/s\n      ", what, (double)l->count / seconds, (double)bytes / seconds / 1e6);
	print_time("mean", (double)l->sum / (double)l->count / 1e3);
	for (size_t i = 0; i < sizeof some / sizeof *some; i++)
		print_time(some[i].name, bench_latency_at(l, some[i].percent));
	print_time("max", (double)l->max / 1e3);
	printf("\n");
}

/* server: seconds of CPU, < 0 when nobody could tell. */
static void report(const struct bench *b, double seconds, double cpu, double server)
{
	json_t *j;

	if (!b->o.quiet)
		fprintf(stderr, "\r%79s\r", "");
	if (!b->o.json) {
		printf("%s over %s: %s, %llu bytes, %.2f s\n       %d client(s), %d job(s) with depth %d\n", b->target,
		       b->carrier, b->o.rw, b->o.block, seconds, b->o.clients, b->o.jobs, b->o.depth);
		print_text("read", &b->reads, b->read_bytes, seconds);
		print_text("write", &b->writes, b->write_bytes, seconds);
		printf("cpu    %.2f cores", cpu / seconds);
		if (server >= 0)
			printf(", %.2f at the server", server / seconds);
		printf("; errors %" PRIu64 "; damaged %" PRIu64 "\n", b->errors, b->damaged);
		return;
	}
	j = json_pack("{s:s, s:s, s:s, s:I, s:i, s:i, s:i, s:f, s:o, s:o, s:f, s:I, s:I}", "target", b->target, "carrier",
		b->carrier, "rw", b->o.rw, "block", (json_int_t)b->o.block, "clients", b->o.clients, "jobs", b->o.jobs, "depth",
		b->o.depth, "seconds", seconds, "read", latency_json(&b->reads, b->read_bytes, seconds), "write",
		latency_json(&b->writes, b->write_bytes, seconds), "cores", cpu / seconds, "errors", (json_int_t)b->errors,
		"damaged", (json_int_t)b->damaged);
	json_object_set_new(j, "server_cores", server >= 0 ? json_real(server / seconds) : json_null());
	json_dumpf(j, stdout, JSON_INDENT(2));
	printf("\n");
	json_decref(j);
}

static int parse_kind(struct bench *b)
{
	static const struct {
		const char *name;
		enum bench_kind kind;
		bool random;
	} kinds[] = {
		{ "randread", BENCH_READ, true }, { "randwrite", BENCH_WRITE, true }, { "randrw", BENCH_MIXED, true },
		{ "read", BENCH_READ, false }, { "write", BENCH_WRITE, false }, { "rw", BENCH_MIXED, false },
	};

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		if (strcmp(b->o.rw, kinds[i].name))
			continue;
		b->kind = kinds[i].kind;
		b->random = kinds[i].random;
		return 0;
	}
	return -EINVAL;
}

static int prepare(struct bench *b, struct err *e)
{
	if (b->o.size && b->o.size < b->size)
		b->size = b->o.size;
	b->blocks = b->size / b->o.block;
	if (b->blocks < (uint64_t)bench_under_way(b) * 2)
		return err_set(e, EINVAL, "%s has %" PRIu64 " blocks of %llu bytes: too few for %u requests under way",
			       b->target, b->blocks, b->o.block, bench_under_way(b));
	b->positions = calloc((size_t)b->o.jobs, sizeof *b->positions);
	if (!b->positions)
		return err_set(e, ENOMEM, "no memory");
	for (int i = 0; i < b->o.jobs; i++)
		b->positions[i] = b->blocks / (uint64_t)b->o.jobs * (uint64_t)i;
	if (b->o.verify && !(b->verify = bench_verify_new(b->blocks, (uint32_t)b->o.block)))
		return err_set(e, EINVAL, "cannot verify blocks of %llu bytes", b->o.block);
	b->seed = bench_clock() | 1;
	return 0;
}

static int run(struct bench *b, const struct bench_carrier *carrier, struct err *e)
{
	double cpu, seconds, before = -1, after = -1;
	int r = prepare(b, e);

	if (r)
		return r;
	if (carrier->server_cpu)
		before = carrier->server_cpu(b);
	cpu = cpu_seconds();
	b->start = b->now = bench_clock();
	b->stop = b->start + (uint64_t)(b->o.time * 1e9);
	r = carrier->run(b, e);
	seconds = (double)(bench_clock() - b->start) / 1e9;
	cpu = cpu_seconds() - cpu;
	if (r)
		return r;
	if (before >= 0)
		after = carrier->server_cpu(b);
	report(b, seconds, cpu, before >= 0 && after >= before ? after - before : -1);
	if (b->failed_in_row >= FAILED_ENOUGH)
		return err_sys(e, -b->first_error, "ended early, since nothing succeeds: %" PRIu64 " requests failed, the first",
			       b->errors);
	if (b->errors)
		return err_sys(e, -b->first_error, "%" PRIu64 " requests failed, the first", b->errors);
	if (b->damaged)
		return err_set(e, EIO, "%" PRIu64 " blocks are not what was written", b->damaged);
	return 0;
}

/* A mount whose daemon is dead has its files still, and they cannot be looked at. */
static bool is_file(const char *target)
{
	return *target == '/' || *target == '.' || access(target, F_OK) == 0 || errno != ENOENT;
}

/* What is wrong with the command line, or NULL. */
static const char *wrong_usage(struct bench *b, int targets)
{
	if (targets != 1)
		return "name one target";
	if (is_file(b->target) && (b->o.paths || b->o.clients > 1 || b->o.crc >= 0))
		return "--paths, --clients and --crc are for NS:VOLUME: a file or device has no sessions";
	if (parse_kind(b))
		return "--rw is one of randread, randwrite, randrw, read, write, rw";
	if (b->o.block < 512 || b->o.block > 1 << 20 || b->o.block % 512)
		return "--block is a multiple of 512 up to 1M";
	if (b->o.time <= 0)
		return "--time is longer than 0";
	if (b->o.poll > POLL_MAX)
		return "--poll is at most 100ms; what 'poll = 50' in the configuration means is --poll 50us";
	return NULL;
}

int main(int argc, char **argv)
{
	struct bench b = { .o = { .rw = "randread", .block = 8192, .depth = 64, .jobs = 1, .clients = 1, .percent = 70,
				   .time = 5, .poll = -1, .crc = -1 } };
	const struct bench_carrier *carrier;
	struct err e = { 0 };
	const char *wrong;
	int first, r;

	opt_parse(&program, &b.o, argc, argv, &first);
	b.target = argv[first];
	wrong = wrong_usage(&b, argc - first);
	if (wrong) {
		fprintf(stderr, "rsbench: %s\nTry 'rsbench --help'.\n", wrong);
		return 2;
	}
	b.o.quiet = b.o.quiet || b.o.json || !isatty(STDERR_FILENO);
	log_set_level(LOG_LEVEL_ERROR);
	carrier = is_file(b.target) ? &bench_file : &bench_session;
	b.carrier = carrier == &bench_file ? "file" : "session";
	r = carrier->open(&b, &e);
	if (!r)
		r = run(&b, carrier, &e);
	carrier->close(&b);
	if (r)
		err_print("rsbench", &e);
	free(b.positions);
	bench_verify_free(b.verify);
	return r ? 1 : 0;
}
