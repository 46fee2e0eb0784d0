/*
 * rsagent_task.c - the child's side of rsagent_many.h: what it tells, and what it asks.
 *
 * To the parent a JSON object a line, from it the answers: 0 or an errno, the length, the text.
 * An answer may be a password: of those that were typed unseen rsagent_hide.c keeps a copy, so that
 * none is in what is told, and nothing is kept here.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "rsagent_many_impl.h"
#include "secure.h"

int task_send(int fd, const void *from, size_t size)
{
	const char *bytes = from;

	while (size) {
		ssize_t n = send(fd, bytes, size, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		bytes += n;
		size -= (size_t)n;
	}
	return 0;
}

/* Takes message.  A parent that is gone has sent SIGTERM. */
static void tell_all(struct rsagent_task *t, json_t *message)
{
	char *line = message ? json_dumps(message, JSON_COMPACT) : NULL;

	json_decref(message);
	if (line && !task_send(t->fd, line, strlen(line)))
		task_send(t->fd, "\n", 1);
	free(line);
}

void task_tell(struct rsagent_task *t, json_t *message)
{
	hide_in(message);
	tell_all(t, message);
}

/* A JSON string of what may be no UTF-8. */
static json_t *clean(const char *text)
{
	char *copy = strdup(text);
	json_t *j;

	if (!copy)
		return NULL;
	/* Line ends stay; each line is cleaned by itself. */
	for (char *line = copy; line;) {
		char *end = strchr(line, '\n');

		if (end)
			*end = 0;
		err_clean(line);
		if (end)
			*end = '\n';
		line = end ? end + 1 : NULL;
	}
	j = json_string(copy);
	free(copy);
	return j;
}

void rsagent_progress(struct rsagent_task *t, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	task_tell(t, json_pack("{s:o}", "progress", clean(text)));
}

void rsagent_output(struct rsagent_task *t, const char *text)
{
	task_tell(t, json_pack("{s:o}", "output", clean(text)));
}

static int receive_all(int fd, void *to, size_t size)
{
	char *at = to;

	while (size) {
		ssize_t n = recv(fd, at, size, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EPIPE;
		at += n;
		size -= (size_t)n;
	}
	return 0;
}

static int no_answer(int code, struct err *e)
{
	if (code == ENOTTY)
		return err_set(e, code, "there is no terminal to ask at");
	if (code == ECANCELED)
		return err_set(e, code, "it was not answered");
	return err_sys(e, code, "cannot ask");
}

int rsagent_ask(struct rsagent_task *t, const char *question, bool secret, char *answer, size_t size, struct err *e)
{
	struct task_answer head;
	int r;

	task_tell(t, json_pack("{s:o, s:b}", "ask", clean(question), "secret", secret));
	r = receive_all(t->fd, &head, sizeof(head));
	if (!r && head.size >= TASK_ANSWER_MAX)
		r = -EPROTO;
	if (r)
		return err_sys(e, -r, "cannot ask");
	if (head.code)
		return no_answer((int)head.code, e);
	if (head.size >= size) {
		char rest[TASK_ANSWER_MAX];

		receive_all(t->fd, rest, head.size);
		secure_wipe(rest, sizeof(rest));
		return err_set(e, EMSGSIZE, "the answer is too long");
	}
	r = receive_all(t->fd, answer, head.size);
	answer[r ? 0 : head.size] = 0;
	if (!r && secret)
		hide_add(answer);
	return r ? err_sys(e, -r, "cannot ask") : 0;
}

int rsagent_edit(struct rsagent_task *t, const char *text, char **edited, struct err *e)
{
	struct task_answer head;
	int r;

	*edited = NULL;
	tell_all(t, json_pack("{s:s}", "edit", text));	/* it comes back, and is saved */
	r = receive_all(t->fd, &head, sizeof(head));
	if (!r && (head.code || head.size > TASK_TEXT_MAX))
		r = head.code ? -(int)head.code : -EPROTO;
	if (!r)
		*edited = calloc(1, head.size + 1);
	if (*edited)
		r = receive_all(t->fd, *edited, head.size);
	else if (!r)
		r = -ENOMEM;
	if (r == -ECANCELED)
		return err_set(e, ECANCELED, "the editor failed; nothing was changed");
	return r ? err_sys(e, -r, "cannot have it edited") : 0;
}

int rsagent_confirm(struct rsagent_task *t, const char *question, struct err *e)
{
	char text[TASK_QUESTION_MAX], answer[16] = "";
	int r;

	snprintf(text, sizeof(text), "%s [yes/no]? ", question);
	r = rsagent_ask(t, text, false, answer, sizeof(answer), e);
	if (r == -ENOTTY)
		err_next(e, "--yes does it without asking");
	if (r && r != -EMSGSIZE)
		return r;
	return strcmp(answer, "yes") == 0 ? 0 : err_set(e, ECANCELED, "it was not confirmed");
}
