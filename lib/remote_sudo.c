/*
 * remote_sudo.c - root there, where the login is somebody else: by sudo.
 *
 * sudo is always told -k: a password that somebody gave it a minute ago counts nothing, so that whether it
 * reads one from its input is known before.  The password is tried once with a command that does nothing, of the
 * shell that is run later: of another program sudoers may say something else, and a password that sudo does not
 * read would be the first line of root's script.  What is run later gets it as the first line of the input, from
 * which sudo takes a byte at a time.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "remote_impl.h"
#include "secure.h"

#define SECONDS 30		/* PAM may wait after a wrong password, and ask other hosts */
#define ATTEMPTS 3

enum verdict { RIGHT, WRONG, FAILED };

static int no_sudo(struct remote *r, struct err *e)
{
	err_set(e, ENOENT, "%s is not root, and there is no sudo on %s", remote_label(r), r->target.host);
	err_next(e, "log in as root@%s, or install sudo there and let %s use it", r->target.host, r->user);
	return -ENOENT;
}

static int not_allowed(struct remote *r, const char *said, struct err *e)
{
	const char *line = strrchr(said, '\n');

	line = line ? line + 1 : said;
	if (strstr(said, "must have a tty")) {
		err_set(e, EPERM, "sudo on %s wants a terminal of %s", r->target.host, r->user);
		err_next(e, "there, by visudo: Defaults:%s !requiretty; or log in as root@%s", r->user, r->target.host);
	} else {
		err_set(e, EPERM, "sudo on %s does not let %s be root%s%.200s", r->target.host, r->user, *line ? ": " : "", line);
		err_next(e, "there, by visudo: %s ALL=(ALL) ALL; or log in as root@%s", r->user, r->target.host);
	}
	return -EPERM;
}

static enum verdict try_word(struct remote *r, const char *word, struct err *e)
{
	struct remote_result result;
	enum verdict verdict = FAILED;
	size_t length = strlen(word);
	char *line = secure_alloc(length + 2);

	if (!line) {
		err_sys(e, ENOMEM, "cannot use sudo");
		return FAILED;
	}
	memcpy(line, word, length);
	line[length] = '\n';
	if (!remote_run(r, "asking sudo", "exec sudo -k -S -p '' sh -c :", line, length + 1, 4096, SECONDS, &result, e)) {
		if (!result.status)
			verdict = RIGHT;
		else if (strstr(result.err, "incorrect password") || strstr(result.err, "no password") ||
			 strstr(result.err, "Sorry, try again"))
			verdict = WRONG;
		else
			not_allowed(r, result.err, e);
		remote_result_free(&result);
	}
	secure_free(line);
	return verdict;
}

static void take_word(struct remote *r, char *word)
{
	if (r->password != word)
		secure_free(r->password);
	r->password = word;
	r->power = REMOTE_SUDO_PASSWORD;
	r->root = true;
}

static int nobody_to_ask(struct remote *r, struct err *e)
{
	err_set(e, ENOKEY, "sudo on %s wants %s's password, and there is nobody to ask for it", r->target.host, r->user);
	err_next(e, "run this at a terminal, log in as root@%s, or there, by visudo: %s ALL=(ALL) NOPASSWD: ALL", r->target.host,
		 r->user);
	return -ENOKEY;
}

static int ask_for_word(struct remote *r, struct err *e)
{
	const struct remote_ask *ask = &r->options.ask;
	char prompt[2 * REMOTE_NAME_MAX + 64], *word;
	enum verdict verdict = WRONG;

	for (int i = 0; i < ATTEMPTS && verdict == WRONG; i++) {
		snprintf(prompt, sizeof(prompt), "%s[sudo] password of %s on %s: ", i ? "Not that one. " : "", r->user, r->target.host);
		word = secure_alloc(REMOTE_SECRET_MAX);
		if (!word || ask->secret(ask->arg, prompt, false, word, REMOTE_SECRET_MAX)) {
			secure_free(word);
			err_set(e, ECANCELED, "no password for sudo on %s was typed", r->target.host);
			err_next(e, "type it, or log in as root@%s", r->target.host);
			return -ECANCELED;
		}
		verdict = try_word(r, word, e);
		if (verdict == RIGHT) {
			take_word(r, word);
			return 0;
		}
		secure_free(word);
	}
	if (verdict == FAILED)
		return -e->code;
	err_set(e, EACCES, "sudo on %s takes none of %d passwords for %s", r->target.host, ATTEMPTS, r->user);
	err_next(e, "it is the password of %s there, not of root, and not a key's", r->user);
	return -EACCES;
}

int remote_become_root(struct remote *r, struct err *e)
{
	static const char script[] = "id -u; if ! command -v sudo >/dev/null; then echo none; exit; fi\n"
				     "if sudo -k -n sh -c : </dev/null; then echo free; else echo word; fi\n";
	struct remote_result result;
	bool free_of_words, none, word;
	struct err unused;
	int rc = remote_run(r, "asking who the login is", script, NULL, 0, 4096, SECONDS, &result, e);

	if (rc)
		return rc;
	e = e ? e : &unused;
	r->root = !strncmp(result.out, "0\n", 2);
	none = strstr(result.out, "none\n");
	free_of_words = strstr(result.out, "free\n");
	word = strstr(result.err, "password is required");
	if (!r->root && !none && !free_of_words && !word)
		rc = not_allowed(r, result.err, e);
	remote_result_free(&result);
	if (r->root || rc)
		return rc;
	if (none)
		return no_sudo(r, e);
	if (free_of_words) {
		r->power = REMOTE_SUDO;
		r->root = true;
		return 0;
	}
	/* The login's password, if one was typed, is most often the same. */
	if (r->password) {
		enum verdict verdict = try_word(r, r->password, e);

		if (verdict == RIGHT)
			take_word(r, r->password);
		if (verdict != WRONG)
			return verdict == RIGHT ? 0 : -e->code;
	}
	return r->options.ask.secret ? ask_for_word(r, e) : nobody_to_ask(r, e);
}
