/* rsagent_server.c - see rsagent_server.h. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "rsagent_server.h"
#include "secure.h"

/* rssrv is where deploy or `make install` put it, or a package; what is missing is said in our words. */
#define FIND								\
	"PATH=/usr/local/sbin:/usr/sbin:/sbin:$PATH\n"			\
	"command -v rssrv >/dev/null 2>&1 || {\n"			\
	"echo 'there is no rssrv on this host' >&2\n"			\
	"echo \"'rsagent deploy' puts it there\" >&2; exit 127; }\n"

static const char *run_dir_or(const char *run_dir)
{
	return run_dir ? run_dir : RSAGENT_RUN_DIR;
}

char *rsagent_server_script(const char *run_dir, ...)
{
	char *quoted = remote_quote(run_dir_or(run_dir)), *script = NULL, *more, *word;
	const char *next;
	va_list ap;

	if (!quoted || asprintf(&script, FIND "exec rssrv --run-dir %s", quoted) < 0)
		script = NULL;
	va_start(ap, run_dir);
	while (script && (next = va_arg(ap, const char *))) {
		word = remote_quote(next);
		if (!word || asprintf(&more, "%s %s", script, word) < 0)
			more = NULL;
		free(word);
		free(script);
		script = more;
	}
	va_end(ap);
	free(quoted);
	return script;
}

/*
 * The number in the pid file is sent signals by root, and the file may be in a directory of the server's user,
 * who could write any into it, or "-1".  Where the file is not root's, its owner's processes are all that it can mean.
 */
#define SERVER_PID							\
	"server_pid() {\n"						\
	"p=$dir/rssrv.pid; [ -f \"$p\" ] && [ ! -L \"$p\" ] && pid=$(head -c 20 \"$p\" 2>/dev/null) || return 1\n" \
	"case $pid in '' | 0* | 1 | *[!0-9]*) return 1 ;; esac\n"	\
	"u=$(stat -c %u \"$p\") && r=$(sed -n 's/^Uid:[^0-9]*\\([0-9]*\\).*/\\1/p' /proc/$pid/status 2>/dev/null) || return 1\n" \
	"[ -z \"$r\" ] || [ \"$u\" = 0 ] || [ \"$u\" = \"$r\" ] || {\n" \
	"echo \"$p has the number of a process of another user: it is sent no signal\" >&2\n" \
	"echo \"see who wrote it, and end rssrv there by hand\" >&2; exit 1; }; }\n"

/*
 * A server says in its audit that it has read the file, or that it has not.  The line before is
 * remembered with its number, as two may be the same.
 */
static const char reload_script[] =
	SERVER_PID
	"said() { rssrv --run-dir \"$dir\" --log | grep -n '(audit): reload by' | tail -n 1; }\n"
	"server_pid && kill -0 \"$pid\" 2>/dev/null || {\n"
	"[ -z \"$must\" ] && exit 0\n"
	"echo 'rssrv does not run there' >&2; echo \"'rsagent restart' starts it\" >&2; exit 1; }\n"
	"before=$(said); kill -HUP \"$pid\" || exit 1; n=0\n"
	"while [ \"$(said)\" = \"$before\" ]; do\n"
	"n=$((n + 1)); [ $n -lt 100 ] || { echo 'rssrv does not say that it has read its configuration' >&2\n"
	"echo \"'rsagent log' has what it says\" >&2; exit 1; }\n"
	"sleep 0.1 2>/dev/null || sleep 1; done\n"
	"case $(said) in *refused*) echo 'rssrv refused its configuration' >&2\n"
	"echo \"'rsagent log' has the reason\" >&2; exit 1 ;; esac\n";

static char *with_dir(const char *run_dir, const char *must, const char *before, const char *script)
{
	char *quoted = remote_quote(run_dir_or(run_dir)), *text = NULL;

	if (!quoted || asprintf(&text, FIND "dir=%s must=%s\n%s%s", quoted, must, before, script) < 0)
		text = NULL;
	free(quoted);
	return text;
}

static int run_script(struct remote *r, const char *what, char *script, const void *input, size_t size, struct err *e)
{
	char *out = script ? rsagent_run(r, what, script, input, size, 60, NULL, e) : NULL;

	if (!script)
		err_set(e, ENOMEM, "no memory");
	free(script);
	if (!out)
		return -e->code;
	free(out);
	return 0;
}

int rsagent_server_reload(struct remote *r, const char *run_dir, struct err *e)
{
	return run_script(r, "reloading", with_dir(run_dir, "yes", "", reload_script), NULL, 0, e);
}

/* Without systemd the server goes into the background, and is there when it returns. */
static const char restart_script[] =
	SERVER_PID
	"words=$(rssrv --check 2>&1 </dev/null) || { echo \"${words:-rssrv --check failed}\" | grep -v warning: | tail -n 1 >&2\n"
	"echo 'nothing was stopped' >&2; exit 1; }\n"
	"if [ -d /run/systemd/system ] && systemctl cat rssrv.service >/dev/null 2>&1; then\n"
	"systemctl restart rssrv.service </dev/null && exit 0\n"
	"rssrv --run-dir \"$dir\" --log --lines 3 >&2; exit 1\nfi\n"
	"if server_pid && kill \"$pid\" 2>/dev/null; then n=0\n"
	"while kill -0 \"$pid\" 2>/dev/null; do n=$((n + 1))\n"
	"[ $n -lt 300 ] || { echo \"rssrv (process $pid) does not end\" >&2\n"
	"echo \"'kill -9 $pid' there ends it, and 'rsagent restart' starts another one\" >&2; exit 1; }\n"
	"sleep 0.1 2>/dev/null || sleep 1; done\nfi\n"
	"rssrv --run-dir \"$dir\" </dev/null >/dev/null\n";

int rsagent_server_restart(struct remote *r, const char *run_dir, struct err *e)
{
	return run_script(r, "restarting", with_dir(run_dir, "", "", restart_script), NULL, 0, e);
}

/* A sum in front of the text and one behind it: equal, the text is whole. */
#define SUM "sum() { sha256sum <\"$f\" 2>/dev/null || cksum <\"$f\"; }\n"
static const char read_script[] =
	"f=" RSAGENT_CONFIG "; [ -e $f ] || f=/etc/dvsc/rssrvcfg\n"
	"[ -e $f ] || { echo 'there is no " RSAGENT_CONFIG " on this host' >&2\n"
	"echo \"'rsagent deploy' makes a server of it\" >&2; exit 1; }\n"
	"[ ! -L $f ] || f=$(readlink -f $f)\n" SUM
	"a=$(sum); echo \"$f\"; echo \"$a\"; cat \"$f\" || exit 1\n"
	"[ \"$a\" = \"$(sum)\" ] || { echo \"$f is being changed by somebody else\" >&2; exit 1; }\n";

static int take_line(char **at, char *to, size_t size)
{
	size_t n = strcspn(*at, "\n");

	if (n >= size || (*at)[n] != '\n')
		return -EPROTO;
	memcpy(to, *at, n);
	to[n] = 0;
	*at += n + 1;
	return 0;
}

static int conf_read(struct remote *r, struct rsagent_server_conf *c, struct err *e)
{
	size_t size;
	char *out = rsagent_run(r, "reading " RSAGENT_CONFIG, read_script, NULL, 0, 20, &size, e), *at = out;

	*c = (struct rsagent_server_conf){ .text = NULL };
	if (!out)
		return -e->code;
	if (take_line(&at, c->path, sizeof(c->path)) || take_line(&at, c->sum, sizeof(c->sum)))
		err_set(e, EPROTO, "the host gave no configuration");
	else
		c->text = conf_text_of(CONF_FILE_SERVER, c->path, at, size - (size_t)(at - out), e);
	secure_wipe(out, size);
	free(out);
	return c->text ? 0 : -e->code;
}

/*
 * One at a time: the lock has the number of who holds it, and counts nothing when that is gone.  The
 * copy has mode and owner before it has a key.  It is counted, since a link that is lost ends it
 * early, and checked there, for users and pools that only that host knows.
 */
static const char save_script[] =
	SUM "n=$f.new; lock=/run/rssrvcfg.lock\n"
	"lock() { (umask 077; set -C; echo $$ >$lock) 2>/dev/null; }\n"
	"lock || { pid=$(cat $lock 2>/dev/null)\n"
	"[ -z \"$pid\" ] || ! kill -0 \"$pid\" 2>/dev/null || { echo \"$f is being changed by somebody else, process $pid\" >&2\n"
	"echo 'do it again in a minute' >&2; exit 75; }\n"
	"rm -f $lock; lock || { : >$lock; exit 1; }; }\n"
	"trap 'rm -f \"$n\" $lock' EXIT; trap 'exit 1' HUP INT TERM PIPE\n"
	"rm -f \"$n\"; cp -p \"$f\" \"$n\" && cat >\"$n\" || exit 1\n"
	"[ $(wc -c <\"$n\") -eq $size ] || { echo 'the configuration did not come whole; nothing was changed' >&2; exit 1; }\n"
	"words=$(rssrv --check -c \"$n\" 2>&1 </dev/null) || { echo \"${words:-rssrv --check failed}\" | grep -v warning: | tail -n 1 >&2; exit 1; }\n"
	"[ \"$(sum)\" = \"$old\" ] || { echo \"$f was changed by somebody else meanwhile\" >&2; echo 'do it again' >&2; exit 75; }\n"
	"sync \"$n\" 2>/dev/null || sync\n"
	"[ -z \"$backup\" ] || ln -f \"$f\" \"$f.bak-1\" || exit 1\n"
	"mv -f \"$n\" \"$f\" || exit 1; sync \"${f%/*}\" 2>/dev/null || sync\n";

int rsagent_server_conf_save(struct remote *r, const char *run_dir, struct rsagent_server_conf *c, bool backup,
			     struct err *e)
{
	char *path = remote_quote(c->path), *sum = remote_quote(c->sum), *before = NULL;
	struct conf_report report;
	const char *bytes;
	size_t size;
	int ret;

	ret = conf_text_check(c->text, &report, e);
	conf_report_free(&report);
	bytes = conf_text_bytes(c->text, &size);
	if (!ret && (!path || !sum || asprintf(&before, "f=%s old=%s backup=%s size=%zu\n%s", path, sum,
			     backup ? "yes" : "", size, save_script) < 0)) {
		before = NULL;
		ret = err_set(e, ENOMEM, "no memory");
	}
	if (!ret)
		ret = run_script(r, "writing the configuration", with_dir(run_dir, "", before, reload_script), bytes, size, e);
	free(path);
	free(sum);
	free(before);
	return ret;
}

static void conf_free(struct rsagent_server_conf *c)
{
	conf_text_free(c->text);
	c->text = NULL;
}

int rsagent_server_conf(struct rsagent_task *t, rsagent_conf_fn *work, struct err *e)
{
	struct remote *r = rsagent_login(t, RSAGENT_ROOT, e);
	struct rsagent_server_conf c;
	int ret;

	if (!r)
		return -e->code;
	ret = conf_read(r, &c, e);
	if (!ret)
		ret = work(t, r, &c, e);
	conf_free(&c);
	remote_close(r);
	return ret;
}
