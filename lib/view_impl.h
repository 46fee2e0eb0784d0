/*
 * view_impl.h - what the view files share: reading JSON that may lack anything,
 * and writing text into memory.  For lib/view*.c only.
 */
#ifndef RSIO_VIEW_IMPL_H
#define RSIO_VIEW_IMPL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

struct view_out {
	FILE *f;		/* NULL: memory is short, and nothing is written */
	char *text;
	size_t size;
};

/* Written to as a file; view_finish gives the text, NULL when memory was short. */
void view_start(struct view_out *o);
char *view_finish(struct view_out *o);

/* Members of an object: "-" for a text that is not there or empty, fallback for
 * a number, NULL for an array that is not one. */
const char *view_str(const json_t *object, const char *key);
double view_num(const json_t *object, const char *key, double fallback);
const json_t *view_list(const json_t *object, const char *key);
bool view_true(const json_t *object, const char *key);
bool view_is(const json_t *object, const char *key, const char *value);

/* The array as view_list gives it, in the order of the items' namespaces where they have
 * one, of a number (NULL: none) and of a name ("if9" before "if10"): the daemon's own order
 * is that in which things came up.  A new reference, or NULL. */
json_t *view_sorted(const json_t *object, const char *key, const char *number, const char *name);

#define VIEW_SHORT 32

/* Into buf of VIEW_SHORT bytes, and back: a whole number or "-" ... */
const char *view_count(char *buf, const json_t *object, const char *key);
/* ... bytes as "14.6 GiB" ... */
const char *view_bytes(char *buf, double bytes);
/* ... seconds as "12 s", "3 min 10 s", "2 h 05 min", "3 d 04 h" ... */
const char *view_age(char *buf, double seconds);
/* ... microseconds as "80.5 us", "3.20 ms", "1.50 s", "-" when 0 (not known) or less ... */
const char *view_time(char *buf, double us);

/* ... seconds since 1970 as "2026-11-26 07:30:00 UTC", "-" when 0 (not known). */
const char *view_date(char *buf, double seconds);

/* Seconds that I/O may stand still: "2.75 s", "for ever" for null, "-" when it is not said. */
const char *view_wait(char *buf, const json_t *object, const char *key);
/* What happens when nothing leads to a server any more: "I/O waits 122.5 s, then on-loss =
 * fail", or "I/O waits 5 s, then goes on over another server". */
const char *view_last(char *buf, size_t size, const json_t *ns, const json_t *server);

/* What to do where a server's claim is in the way. */
#define VIEW_CLAIM_NEXT "let that server go on, or end its rssrv or its host: Claims in rssrv(8)"

/* A path with what it belongs to. */
struct view_path {
	const json_t *path;
	const json_t *ns;
	const json_t *server;	/* NULL: not known yet */
	size_t ns_index;
	/* Unused as it should be: its interface leads to other portals, and its portal is
	 * reached over other interfaces.  Such a path is no trouble. */
	bool spare;
};
/* All paths of a namespace, each server's and then the unassigned ones: calls fn
 * for each. */
void view_each_path(const json_t *ns, size_t ns_index,
		    void (*fn)(void *arg, const struct view_path *p), void *arg);

/* "read-only", "waiting, gives up in 87 s" and the like, "" for a volume that
 * is ready and writable. */
/* What a volume does of late and how long it takes, two lines, one for reads and one for writes;
 * of what it never did there is none, and none that an older rsiod does not say. */
void view_put_numbers(FILE *f, const json_t *volume, const char *indent);
void view_put_number_table(FILE *f, const json_t *volumes);
/* "p50 80.5 us, p90 …, p99 …, p99.9 …"; "-" where there is none. */
#define VIEW_LATENCY 120
const char *view_latency(char *buf, const json_t *object, const char *key);

bool view_offers(const json_t *volume, const char *server);	/* is it one of its servers? */
const char *view_volume_trouble(char *buf, size_t size, const json_t *volume);

#endif
