/*
 * rsagent_config.c - rsagent config: the servers' configurations, shown, or edited here and put there.
 *
 * Neither what is shown nor what the editor gets has a key in it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "diff.h"
#include "rsagent_mask.h"
#include "rsagent_server.h"
#include "secure.h"

struct options {
	struct rsagent_remote remote;
	const char *run_dir;
	bool edit, yes;
};

static const struct opt table[] = {
	{ 0, "edit", OPT_FLAG, NULL, offsetof(struct options, edit),
	  "edit it with $VISUAL or $EDITOR, and put it there", 0, 0 },
	{ 'y', "yes", OPT_FLAG, NULL, offsetof(struct options, yes),
	  "without asking", 0, 0 },
	RSAGENT_REMOTE_OPTIONS(struct options),
	RSAGENT_RUN_DIR_OPTION(struct options),
	{ 0, NULL, OPT_FLAG, NULL, 0, NULL, 0, 0 },
};

static char *hidden(const struct conf_text *t, size_t *shown_size)
{
	size_t size;
	const char *bytes = conf_text_bytes(t, &size);

	return conf_text_hidden(CONF_FILE_SERVER, bytes, size, shown_size);
}

static int show(struct rsagent_task *t, struct remote *r, struct rsagent_server_conf *c, struct err *e)
{
	size_t size;
	char *text = hidden(c->text, &size);

	(void)r;
	if (!text)
		return err_set(e, ENOMEM, "no memory");
	if (t->remote->json)
		json_object_set_new(t->result, "config", json_string(text));
	else
		rsagent_output(t, text);
	free(text);
	return 0;
}

/* Its mistakes, a line each. */
static void tell(struct rsagent_task *t, const struct conf_report *report)
{
	for (size_t i = 0; i < report->count; i++)
		rsagent_output(t, report->lines[i]);
}

/* Once through the editor: the new text into *to.  -EAGAIN: it has mistakes, and is to be edited once more. */
static int edit_once(struct rsagent_task *t, const struct rsagent_server_conf *c, const struct rsagent_mask *mask,
		     char **text, struct conf_text **to, struct err *e)
{
	struct conf_report report = { .count = 0 };
	char *edited, *bytes;
	size_t size;
	int r = rsagent_edit(t, *text, &edited, e);

	if (r)
		return r;
	free(*text);
	*text = edited;
	bytes = rsagent_unmask(mask, edited, &size, e);
	if (!bytes) {
		rsagent_output(t, e->text);
		return -EAGAIN;
	}
	*to = conf_text_of(CONF_FILE_SERVER, c->path, bytes, size, e);
	secure_free(bytes);
	if (!*to)
		return -e->code;
	r = conf_text_check(*to, &report, e);
	tell(t, &report);
	conf_report_free(&report);
	return r ? -EAGAIN : 0;
}

static int edit_until_good(struct rsagent_task *t, const struct rsagent_server_conf *c, struct conf_text **to, struct err *e)
{
	struct rsagent_mask *mask = rsagent_mask(c->text);
	char *text = mask ? strdup(rsagent_masked(mask)) : NULL;
	struct err again;
	int r;

	if (!text)
		r = err_set(e, ENOMEM, "no memory");
	else
		while ((r = edit_once(t, c, mask, &text, to, e)) == -EAGAIN) {
			conf_text_free(*to);
			*to = NULL;
			/* What is wrong stays in e. */
			if (rsagent_confirm(t, "Shall it be edited again", &again)) {
				err_next(e, "nothing was changed; what was typed is gone");
				r = -e->code;
				break;
			}
		}
	free(text);
	rsagent_mask_free(mask);
	return r;
}

static char *difference(const struct rsagent_server_conf *c, const struct conf_text *to)
{
	struct diff_side before = { .name = c->path }, after = { .name = c->path };
	char *shown[2] = { hidden(c->text, &before.shown_size), hidden(to, &after.shown_size) }, *diff = NULL;

	before.text = conf_text_bytes(c->text, &before.size);
	after.text = conf_text_bytes(to, &after.size);
	before.shown = shown[0];
	after.shown = shown[1];
	if (shown[0] && shown[1])
		diff = diff_unified(&before, &after);
	free(shown[0]);
	free(shown[1]);
	return diff;
}

static int edit(struct rsagent_task *t, struct remote *r, struct rsagent_server_conf *c, struct err *e)
{
	const struct options *o = t->arg;
	struct conf_text *to = NULL;
	int ret = edit_until_good(t, c, &to, e);
	char *diff = ret ? NULL : difference(c, to);

	if (!ret && !diff)
		ret = err_set(e, ENOMEM, "no memory");
	if (!ret && !*diff) {
		json_object_set_new(t->result, "text", json_string("not changed"));
	} else if (!ret) {
		rsagent_output(t, diff);
		ret = o->yes ? 0 : rsagent_confirm(t, "Shall it be put there", e);
		if (!ret) {
			conf_text_free(c->text);
			c->text = to;
			to = NULL;
			rsagent_progress(t, "writing %s", c->path);
			ret = rsagent_server_conf_save(r, o->run_dir, c, true, e);
		}
		if (!ret)
			json_object_set_new(t->result, "text", json_sprintf("changed; the old one is %s.bak-1", c->path));
	}
	free(diff);
	conf_text_free(to);
	return ret;
}

static int config(struct rsagent_task *t, struct err *e)
{
	const struct options *o = t->arg;

	return rsagent_server_conf(t, o->edit ? edit : show, e);
}

/* The texts were shown. */
static void show_nothing(const struct rsagent_outcome *all, size_t count)
{
	(void)all;
	(void)count;
}

static int run(void *options, int count, char **words, struct err *e)
{
	const struct options *o = options;
	struct rsagent_many m = { .run = config, .show = o->edit ? NULL : show_nothing, .arg = options };

	return rsagent_on_hosts(&m, &o->remote, count, words, e);
}

const struct rsagent_command rsagent_config = {
	.program = {
		.name = "rsagent config",
		.synopsis = "[--edit [--yes]] [options] HOST...",
		.about = "Shows the configurations of the servers on these hosts, without the keys, or\n"
			 "has them edited here, one after the other, checks them and lets the servers\n"
			 "read them.",
		.table = table,
		.operands = "HOST",
		.page = "rsagent(8)",
	},
	.summary = "show or edit their configurations",
	.size = sizeof(struct options),
	.run = run,
};
