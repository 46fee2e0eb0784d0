/* rsagent_file.c - one key in a configuration, put there without touching the rest. */
#include <errno.h>
#include <string.h>
#include "conf_write.h"
#include "rsagent.h"

static int change_server(struct conf_text *t, const struct rsagent_edit *edit, struct err *e)
{
	static const struct conf_place clients = { .kind = "clients" };

	if (!conf_text_has(t, &clients))
		return err_set(e, EINVAL, "%s: there is no [clients] section", edit->path);
	return conf_text_client(t, !edit->key ? CONF_CLIENT_DROP_FIRST : edit->second ? CONF_CLIENT_SECOND :
				edit->replace ? CONF_CLIENT_REPLACE : CONF_CLIENT_ADD, edit->name, edit->key, e);
}

static int change_client(struct conf_text *t, const struct rsagent_edit *edit, struct err *e)
{
	const struct conf_place namespace = { .kind = "namespace", .name = edit->name };

	if (!conf_text_has(t, &namespace)) {
		err_set(e, EINVAL, "%s: there is no [namespace] of that name", edit->path);
		err_next(e, "'rsagent deploy' of its servers makes one here; by hand: rscltcfg(5)");
		return -EINVAL;
	}
	return conf_text_set(t, &namespace, "nodekey", edit->key, e);
}

/* No backup: it would keep the key that was to go. */
int rsagent_edit_file(const struct rsagent_edit *edit, struct err *e)
{
	struct conf_report report = { NULL, 0, 0 };
	struct conf_text *t;
	int r;

	if (edit->key && strlen(edit->key) > RSAGENT_KEY_MAX)
		return err_set(e, EINVAL, "a key has at most %d bytes", RSAGENT_KEY_MAX);
	t = conf_text_open(edit->file, edit->path, false, e);
	if (!t)
		return -e->code;
	r = edit->file == CONF_FILE_SERVER ? change_server(t, edit, e) : change_client(t, edit, e);
	if (!r) {
		r = conf_text_save(t, false, &report, e);
		if (r)
			conf_report_print("rsagent", &report);
		conf_report_free(&report);
	}
	conf_text_free(t);
	return r;
}
