/*
 * manage_parse.c - a request for work, from JSON: see manage_impl.h.
 *
 * A table says of each op which members it has and what they may be.  What is not in it is
 * refused and not skipped: a member of a later version that was ignored could be the one
 * that says "but do not overwrite".
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "manage_impl.h"
#include "manage_ops.h"
#include "schedule.h"
#include "text.h"
#include "wire.h"

/* The same sentence for each mistake in a member. */
static int mistake(const struct manage_work *w, const struct member *m, const char *what, struct err *e)
{
	return err_set(e, EINVAL, "%s: \"%s\" %s", w->op->name, m->name, what);
}

static bool snapshot_name(const char *text)
{
	return wire_snapshot_name_ok(text, strlen(text));
}

static int take_text(struct manage_work *w, const struct member *m, const json_t *j, struct err *e)
{
	const char *text = json_string_value(j);
	char *to = (char *)w + m->offset;
	bool good = true;
	const char *what = "";

	if (!text)
		return mistake(w, m, "has to be a string", e);
	switch (m->kind) {
	case MEMBER_NAME:
		good = conf_name_valid(text);
		what = "is not a name: 1 to 40 of A-Z a-z 0-9 . _ -, and not a dot or a dash first";
		break;
	case MEMBER_SNAPSHOT:
		good = snapshot_name(text);
		what = "is not a name for a snapshot: 1 to 40 of A-Z a-z 0-9 . _ -, not a dot or a dash first, and not digits alone";
		break;
	case MEMBER_SOURCE:
		good = wire_volume_name_ok(text, strlen(text));
		what = "is neither a volume's name nor VOLUME@SNAPSHOT";
		break;
	default:
		good = strlen(text) <= m->max;
		what = "is too long";
		break;
	}
	if (!good)
		return mistake(w, m, what, e);
	snprintf(to, m->max + 1, "%s", text);
	if (m->kind == MEMBER_TEXT)
		err_clean(to);
	return 0;
}

/* Distinct names; of clients perhaps with ":ro". */
static bool list_entry(const struct member *m, const char *text)
{
	char name[CONF_NAME_MAX + 1];
	size_t length = text ? strlen(text) : 0;

	if (!text || (m->kind == MEMBER_CLIENTS && length > 3 && strcmp(text + length - 3, ":ro") == 0))
		length = text ? length - 3 : 0;
	if (!length || length > CONF_NAME_MAX)
		return false;
	snprintf(name, sizeof(name), "%.*s", (int)length, text);
	return conf_name_valid(name);
}

static int take_list(struct manage_work *w, const struct member *m, const json_t *j, struct err *e)
{
	char ***to = (char ***)((char *)w + m->offset), **list;
	size_t n = json_array_size(j);

	if (m->kind == MEMBER_CLIENTS && json_is_null(j))
		return 0;
	if (!json_is_array(j) || n < m->min || n > m->max)
		return err_set(e, EINVAL, "%s: \"%s\" has to be a list of %" PRIu64 " to %" PRIu64 " names%s", w->op->name,
			       m->name, m->min, m->max, m->kind == MEMBER_CLIENTS ? ", or null" : "");
	*to = list = calloc(n + 1, sizeof(*list));
	if (!list)
		return err_set(e, ENOMEM, "no memory for a request");
	for (size_t i = 0; i < n; i++) {
		const char *text = json_string_value(json_array_get(j, i));

		if (!list_entry(m, text))
			return err_set(e, EINVAL, "%s: \"%s\" has '%.60s', which is no name%s", w->op->name, m->name,
				       text ? text : "", m->kind == MEMBER_CLIENTS ? ", nor one with :ro behind it" : "");
		if (strings_have(list, text))
			return err_set(e, EINVAL, "%s: \"%s\" names %s twice", w->op->name, m->name, text);
		list[i] = strdup(text);
		if (!list[i])
			return err_set(e, ENOMEM, "no memory for a request");
	}
	return 0;
}

static int take_number(struct manage_work *w, const struct member *m, const json_t *j, struct err *e)
{
	json_int_t n = json_integer_value(j);
	uint64_t *to = (uint64_t *)(void *)((char *)w + m->offset);

	if (!json_is_integer(j) || n < 0 || (uint64_t)n < m->min || (uint64_t)n > m->max)
		return err_set(e, EINVAL, "%s: \"%s\" has to be a number, %" PRIu64 " to %" PRIu64 "%s", w->op->name,
			       m->name, m->min, m->max, m->kind == MEMBER_SIZE ? ", of bytes" : "");
	if (m->kind == MEMBER_SIZE && n % 512)
		return err_set(e, EINVAL, "%s: \"%s\" has to be whole blocks of 512 bytes, and %" PRIu64 " is not", w->op->name,
			       m->name, (uint64_t)n);
	*to = (uint64_t)n;
	return 0;
}

/* min and max are of thousandths. */
static int take_real(struct manage_work *w, const struct member *m, const json_t *j, struct err *e)
{
	double n = json_number_value(j), min = (double)m->min / 1000, max = (double)m->max / 1000;

	if (!json_is_number(j) || !(n >= min && n <= max))
		return err_set(e, EINVAL, "%s: \"%s\" has to be a number, %g to %.0f", w->op->name, m->name, min, max);
	*(double *)(void *)((char *)w + m->offset) = n;
	return 0;
}

static int take_identity(struct manage_work *w, const struct member *m, const json_t *j, struct err *e)
{
	const char *text = json_string_value(j);
	char *at = (char *)w + m->offset, *end;
	unsigned long long n;

	if (m->kind == MEMBER_UUID)
		return text && uuid_parse(text, (uint8_t *)at) == 0 ? 0 : mistake(w, m, "is not a UUID", e);
	errno = 0;
	n = text && *text >= '1' && *text <= '9' ? strtoull(text, &end, 10) : 0;
	if (!n || *end || errno)
		return mistake(w, m, "is not a generation, which is a text of digits", e);
	memcpy(at, &(uint64_t){ n }, sizeof(uint64_t));
	return 0;
}

static int take(struct manage_work *w, const struct member *m, const json_t *j, struct err *e)
{
	switch (m->kind) {
	case MEMBER_NAME:
	case MEMBER_SNAPSHOT:
	case MEMBER_SOURCE:
	case MEMBER_TEXT:
		return take_text(w, m, j, e);
	case MEMBER_VOLUMES:
	case MEMBER_CLIENTS:
		return take_list(w, m, j, e);
	case MEMBER_REAL:
		return take_real(w, m, j, e);
	case MEMBER_UUID:
	case MEMBER_GENERATION:
		return take_identity(w, m, j, e);
	case MEMBER_BOOL:
		if (!json_is_boolean(j))
			return mistake(w, m, "has to be true or false", e);
		*(bool *)((char *)w + m->offset) = json_is_true(j);
		return 0;
	default:
		return take_number(w, m, j, e);
	}
}

static const struct member *find_member(const struct manage_op *op, const char *name)
{
	for (const struct member *m = op->members; m->name; m++)
		if (strcmp(m->name, name) == 0)
			return m;
	return NULL;
}

static int take_members(struct manage_work *w, const json_t *j, struct err *e)
{
	const struct member *m;
	const char *name;
	json_t *value;
	int r;

	json_object_foreach((json_t *)j, name, value) {
		if (strcmp(name, "op") == 0)
			continue;
		m = find_member(w->op, name);
		if (!m) {
			err_set(e, EINVAL, "%s has no \"%.60s\"", w->op->name, name);
			err_clean(e->text);
			return -EINVAL;
		}
		r = take(w, m, value, e);
		if (r)
			return r;
		if (m->given)
			*(bool *)((char *)w + m->given) = true;
	}
	for (m = w->op->members; m->name; m++)
		if (m->needed && !json_object_get(j, m->name))
			return err_set(e, EINVAL, "%s needs \"%s\"", w->op->name, m->name);
	return 0;
}

/* What no single member can say. */
static int check_whole(const struct manage_work *w, struct err *e)
{
	const char *op = w->op->name;

	if (strcmp(op, "clone") == 0 && !*w->to == !*w->prefix)
		return err_set(e, EINVAL, "clone needs \"to\", or \"prefix\" and \"count\"");
	if (strcmp(op, "clone") == 0 && !*w->prefix != !w->count)
		return err_set(e, EINVAL, "clone needs \"prefix\" and \"count\" together");
	if (*w->prefix && snprintf(NULL, 0, "%s%" PRIu64, w->prefix, w->count) > CONF_NAME_MAX)
		return err_set(e, EINVAL, "clone: \"prefix\" and a number come to more than %d characters", CONF_NAME_MAX);
	if (strcmp(op, "schedule") == 0 && w->every > 0 && w->every < schedule_least())
		return err_set(e, EINVAL, "schedule: \"every\" has to be at least %u seconds", schedule_least());
	if (strcmp(op, "schedule") == 0 && w->every > 0 && !w->keep)
		return err_set(e, EINVAL, "schedule needs \"keep\": how many snapshots to keep");
	if (w->has_confirm && strcmp(w->confirm, w->volume) != 0)
		return err_set(e, EINVAL, "%s: \"confirm\" has to be the volume's name once more, %s", op, w->volume);
	return 0;
}

int manage_parse(struct manage_work *w, const json_t *j, struct err *e)
{
	const char *op = json_string_value(json_object_get(j, "op"));
	int r;

	memset(w, 0, sizeof(*w));
	if (!op)
		return err_set(e, EINVAL, "\"work\" has to be an object with an \"op\"");
	w->op = manage_op(op);
	if (!w->op) {
		err_set(e, EOPNOTSUPP, "this version of rssrv does not know the op \"%.60s\"", op);
		err_clean(e->text);
		return -EOPNOTSUPP;
	}
	r = take_members(w, j, e);
	return r ? r : check_whole(w, e);
}

void manage_work_free(struct manage_work *w)
{
	strings_free(w->volumes);
	strings_free(w->clients);
	w->volumes = w->clients = NULL;
}

const char *manage_text(const struct manage_work *w, char out[MANAGE_TEXT_MAX])
{
	int n = snprintf(out, MANAGE_TEXT_MAX, "%s of %s", w->op->name, w->volumes ? w->volumes[0] : w->volume);

	for (char **v = w->volumes; v && *v && v[1] && n < MANAGE_TEXT_MAX; v++)
		n += snprintf(out + n, (size_t)(MANAGE_TEXT_MAX - n), ", %s", v[1]);
	if (n < MANAGE_TEXT_MAX && *w->snapshot)
		n += snprintf(out + n, (size_t)(MANAGE_TEXT_MAX - n), "@%s", w->snapshot);
	if (n < MANAGE_TEXT_MAX && (*w->to || *w->prefix))
		n += snprintf(out + n, (size_t)(MANAGE_TEXT_MAX - n), " to %s%s", *w->to ? w->to : w->prefix, *w->to ? "" : "…");
	if (n < MANAGE_TEXT_MAX && w->size)
		snprintf(out + n, (size_t)(MANAGE_TEXT_MAX - n), ", %" PRIu64 " bytes", w->size);
	return out;
}
