/*
 * rsvol_top.c - which volumes, or paths, do how much, and how long it takes: of the time between two looks
 * at what rsiod counts.
 *
 * rsiod's status has counters and the buckets of a histogram; a look less the one before
 * is what was done in between, percentiles too.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include "latency.h"
#include "rsvol.h"

#define DEFAULT_LINES 24
#define WIDTH 80
#define COLUMN 12		/* of one number as text */

struct row {
	const json_t *item;
	char name[128];
	double reads, writes, bytes;			/* a second */
	double read_p50, read_p99, write_p50, write_p99;	/* us; of a path the first two are of both */
	double in_flight, errors;
};

struct look {
	json_t *status;			/* owned; NULL: there was none */
	double when;
	json_t *items;			/* by name: of status */
};

struct top {
	const struct rsvol *rv;
	const char *only;		/* a namespace, or a volume's full name; NULL: all */
	bool terminal, keys;
	struct termios before;
	struct look last, now;
	struct row *rows;
	size_t count, known;
};

static volatile sig_atomic_t asked_to_end;

static void on_signal(int number)
{
	(void)number;
	asked_to_end = 1;
}

static double monotonic(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double number(const json_t *object, const char *key)
{
	return json_number_value(json_object_get(object, key));
}

/* Looks. */

static void forget(struct look *l)
{
	json_decref(l->items);
	json_decref(l->status);
	*l = (struct look){ NULL, 0, NULL };
}

static void add(struct look *l, const char *namespace, const json_t *item)
{
	char name[160];

	snprintf(name, sizeof name, "%s:%s", namespace, rsvol_text(item, "name", ""));
	json_object_set(l->items, name, (json_t *)(uintptr_t)item);
}

static void add_all(struct look *l, const char *namespace, const json_t *list)
{
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
		add(l, namespace, item);
}

static int look(struct top *t)
{
	struct err e = { 0 };
	const json_t *ns, *server;
	size_t i, j;

	forget(&t->last);
	t->last = t->now;
	t->now = (struct look){ NULL, 0, NULL };
	t->now.status = rsvol_ask_daemon(t->rv, json_pack("{s:s}", "do", "status"), &e);
	if (!t->now.status) {
		err_print("rsvol", &e);
		return RSVOL_FAILED;
	}
	t->now.when = monotonic();
	t->now.items = json_object();
	json_array_foreach(json_object_get(t->now.status, "namespaces"), i, ns) {
		const char *name = rsvol_text(ns, "name", "");

		if (!t->rv->paths)
			add_all(&t->now, name, json_object_get(ns, "volumes"));
		else
			json_array_foreach(json_object_get(ns, "servers"), j, server)
				add_all(&t->now, name, json_object_get(server, "paths"));
	}
	return RSVOL_DONE;
}

/* What was done in between. */

static double grew(const json_t *item, const json_t *before, const char *key)
{
	double d = number(item, key) - number(before, key);

	return d > 0 ? d : 0;		/* less: it began anew */
}

static void percentiles(const json_t *item, const json_t *before, const char *key, double *p50, double *p99)
{
	struct histogram now = { 0 }, then = { 0 };

	latency_add(&now, json_object_get(item, key));
	latency_add(&then, json_object_get(before, key));
	histogram_since(&now, &then);
	*p50 = histogram_percentile(&now, 50) / 1e3;
	*p99 = histogram_percentile(&now, 99) / 1e3;
}

static void fill_volume(struct row *r, const json_t *before, double seconds)
{
	r->reads = grew(r->item, before, "reads") / seconds;
	r->writes = grew(r->item, before, "writes") / seconds;
	percentiles(r->item, before, "read_latency", &r->read_p50, &r->read_p99);
	percentiles(r->item, before, "write_latency", &r->write_p50, &r->write_p99);
}

static void fill_path(struct row *r, const json_t *before, double seconds)
{
	r->reads = grew(r->item, before, "commands") / seconds;
	percentiles(r->item, before, "latency", &r->read_p50, &r->read_p99);
}

static bool is_wanted(const struct top *t, const char *name)
{
	size_t n = t->only ? strlen(t->only) : 0;

	return !n || strcmp(name, t->only) == 0 || (strncmp(name, t->only, n) == 0 && name[n] == ':');
}

/* Used: it has done something, or somebody has it open. */
static bool is_used(const json_t *item)
{
	return number(item, "opens") > 0 || json_is_object(json_object_get(item, "latency")) ||
	       json_is_object(json_object_get(item, "read_latency")) ||
	       json_is_object(json_object_get(item, "write_latency"));
}

static int busier(const void *one, const void *other)
{
	const struct row *a = one, *b = other;
	double x = a->reads + a->writes, y = b->reads + b->writes;

	if (x != y)
		return x > y ? -1 : 1;
	if (a->in_flight != b->in_flight)
		return a->in_flight > b->in_flight ? -1 : 1;
	return strverscmp(a->name, b->name);
}

static void make_rows(struct top *t)
{
	double seconds = t->now.when - t->last.when;
	const char *name;
	json_t *item;

	free(t->rows);
	t->count = t->known = 0;
	t->rows = calloc(json_object_size(t->now.items) + 1, sizeof *t->rows);
	if (!t->rows)
		abort();
	json_object_foreach(t->now.items, name, item) {
		const json_t *before = json_object_get(t->last.items, name);
		struct row *r = &t->rows[t->count];

		if (!is_wanted(t, name))
			continue;
		t->known++;
		if (!is_used(item))
			continue;
		*r = (struct row){ .item = item, .in_flight = number(item, "in_flight"), .errors = number(item, "errors") };
		snprintf(r->name, sizeof r->name, "%s", name);
		err_clean(r->name);
		r->bytes = (grew(item, before, "read_bytes") + grew(item, before, "write_bytes")) / seconds;
		if (t->rv->paths)
			fill_path(r, before, seconds);
		else
			fill_volume(r, before, seconds);
		t->count++;
	}
	qsort(t->rows, t->count, sizeof *t->rows, busier);
}

/* Showing. */

/* Four digits at most: 7, 950, 12k, 1.2M. */
static const char *short_number(double n, char buf[COLUMN])
{
	static const char units[] = { ' ', 'k', 'M', 'G' };
	size_t u = 0;

	while (n >= (u ? 999.5 : 9999.5) && u + 1 < sizeof units) {
		n /= 1000;
		u++;
	}
	if (u)
		snprintf(buf, COLUMN, n < 9.95 ? "%.1f%c" : "%.0f%c", n, units[u]);
	else
		snprintf(buf, COLUMN, "%.0f", n);
	return buf;
}

/* 85us, 1.20ms, 35ms, 2.1s; "-" when there was nothing. */
static const char *short_time(double us, char buf[COLUMN])
{
	static const char *const units[] = { "us", "ms", "s" };
	size_t u = 0;

	while (us >= 999.5 && u + 1 < sizeof units / sizeof *units) {
		us /= 1000;
		u++;
	}
	snprintf(buf, COLUMN, us < 9.995 && u ? "%.2f%s" : us < 99.95 ? "%.1f%s" : "%.0f%s", us, units[u]);
	return us > 0 ? buf : "-";
}

/* The end of a long name tells more. */
static const char *short_name(const char *name, int width, char buf[WIDTH])
{
	size_t n = strlen(name);

	if ((int)n <= width)
		return name;
	snprintf(buf, WIDTH, "~%s", name + n - (size_t)width + 1);
	return buf;
}

static void print_row(const struct top *t, const struct row *r)
{
	char a[COLUMN], b[COLUMN], c[COLUMN], d[COLUMN], e[COLUMN], f[COLUMN], g[COLUMN], h[COLUMN], name[WIDTH];

	if (t->rv->paths)
		printf("%-36s %8s %9.1f %8s %8s %6s", short_name(r->name, 36, name), short_number(r->reads, a),
		       r->bytes / 1e6, short_time(r->read_p50, b), short_time(r->read_p99, c),
		       short_number(r->in_flight, d));
	else
		printf("%-17s %6s %6s %7.1f %7s %7s %7s %7s %4s %3s", short_name(r->name, 17, name),
		       short_number(r->reads, a), short_number(r->writes, b), r->bytes / 1e6,
		       short_time(r->read_p50, c), short_time(r->read_p99, d), short_time(r->write_p50, e),
		       short_time(r->write_p99, f), short_number(r->in_flight, g), short_number(r->errors, h));
}

static size_t lines_of_terminal(void)
{
	struct winsize w;

	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_row >= 4 ? w.ws_row : DEFAULT_LINES;
}

static void print_table(const struct top *t)
{
	const char *end = t->terminal ? "\033[K\n" : "\n";
	size_t most = t->terminal ? lines_of_terminal() - 3 : t->count, shown = t->count;
	char clock[16];
	time_t now = time(NULL);
	struct tm tm;

	if (shown > most)
		shown = most - 1;
	strftime(clock, sizeof clock, "%H:%M:%S", localtime_r(&now, &tm));
	printf("%s%s: %zu, used: %zu; in the %.1f s to %s%s", t->terminal ? "\033[H" : "",
	       t->rv->paths ? "paths" : "volumes", t->known, t->count, t->now.when - t->last.when, clock, end);
	if (t->rv->paths)
		printf("%-36s %8s %9s %8s %8s %6s%s", "PATH", "CMDS/S", "MB/S", "P50", "P99", "QUEUE", end);
	else
		printf("%-17s %6s %6s %7s %7s %7s %7s %7s %4s %3s%s", "VOLUME", "READ/S", "WRI/S", "MB/S", "READ50",
		       "READ99", "WRI50", "WRI99", "QUE", "ERR", end);
	for (size_t i = 0; i < shown; i++) {
		print_row(t, &t->rows[i]);
		fputs(end, stdout);
	}
	if (shown < t->count)
		printf("and %zu that did less%s", t->count - shown, end);
	if (t->terminal)
		fputs("\033[J", stdout);
}

static json_t *row_json(const struct top *t, const struct row *r)
{
	const char *colon = strchr(r->name, ':');
	json_t *j = json_pack("{s:s%, s:s, s:f, s:f, s:f, s:f, s:f}", "namespace", r->name,
			      colon ? (size_t)(colon - r->name) : 0, t->rv->paths ? "path" : "volume",
			      colon ? colon + 1 : r->name, t->rv->paths ? "iops" : "read_iops", r->reads, "rate", r->bytes,
			      t->rv->paths ? "p50_us" : "read_p50_us", r->read_p50,
			      t->rv->paths ? "p99_us" : "read_p99_us", r->read_p99, "in_flight", r->in_flight);

	json_object_set_new(j, "errors", json_real(r->errors));
	if (t->rv->paths)
		return j;
	json_object_set_new(j, "write_iops", json_real(r->writes));
	json_object_set_new(j, "write_p50_us", json_real(r->write_p50));
	json_object_set_new(j, "write_p99_us", json_real(r->write_p99));
	return j;
}

static int print(const struct top *t)
{
	json_t *list;

	if (!t->rv->json) {
		print_table(t);
		return RSVOL_DONE;
	}
	list = json_array();
	for (size_t i = 0; i < t->count; i++)
		json_array_append_new(list, row_json(t, &t->rows[i]));
	return rsvol_print_json(json_pack("{s:f, s:o}", "seconds", t->now.when - t->last.when,
					  t->rv->paths ? "paths" : "volumes", list));
}

/* The terminal: q ends it, and whatever else is typed shows the next look at once. */

static void take_terminal(struct top *t)
{
	struct termios raw;
	struct sigaction act = { .sa_handler = on_signal };

	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	sigaction(SIGHUP, &act, NULL);
	t->terminal = !t->rv->once && !t->rv->json && isatty(STDOUT_FILENO);
	if (!t->terminal)
		return;
	fputs("\033[?1049h", stdout);
	t->keys = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &t->before) == 0;
	if (!t->keys)
		return;
	raw = t->before;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	tcsetattr(STDIN_FILENO, TCSANOW, &raw);
}

static void give_terminal_back(struct top *t)
{
	if (t->keys)
		tcsetattr(STDIN_FILENO, TCSANOW, &t->before);
	if (t->terminal)
		fputs("\033[?1049l", stdout);
}

static void pause_for(struct top *t, double seconds)
{
	struct pollfd p = { .fd = t->keys ? STDIN_FILENO : -1, .events = POLLIN };
	char key = 0;

	if (poll(&p, 1, (int)(seconds * 1000)) == 1 && (read(STDIN_FILENO, &key, 1) != 1 || key == 'q'))
		asked_to_end = 1;
}

int rsvol_top(const struct rsvol *rv, char **operands)
{
	struct top t = { .rv = rv, .only = operands[0] };
	double interval = rv->interval > 0 ? rv->interval : 1;
	int status = look(&t);

	if (status)
		return status;
	take_terminal(&t);
	do {
		pause_for(&t, interval);
		status = asked_to_end ? RSVOL_DONE : look(&t);
		if (asked_to_end || status)
			break;
		make_rows(&t);
		status = print(&t);
		if (fflush(stdout) == EOF)
			break;
	} while (!status && !rv->once);
	give_terminal_back(&t);
	forget(&t.last);
	forget(&t.now);
	free(t.rows);
	return status;
}
