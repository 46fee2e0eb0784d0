/*
 * remote_login.c - who are you: the agent's keys, keys in files, what the user types.
 *
 * In OpenSSH's order, but that a key that was given by name comes first, so that an agent with many
 * keys does not use up the attempts before it.  A passphrase is asked for only when the server would
 * take the key, where its public part can be read.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "remote_impl.h"
#include "secure.h"

#define ATTEMPTS 3		/* at passphrases and passwords */
#define ROUNDS 16		/* of questions that a server asks */

/* One login. */
struct login {
	struct remote *r;
	int64_t limit;			/* ms that an answer may take */
	int offered;			/* SSH_AUTH_METHOD_… that the server takes now */
	int rc;				/* of the last attempt: SSH_AUTH_… */
	bool cancelled;			/* the user does not go on */
	bool asked_nobody;		/* something would have been asked for, but nobody is there */
	bool broken;			/* the connection ended */
	unsigned passwords;		/* tried */
	char tried[320];		/* in words */
};

static void note_tried(struct login *l, const char *what)
{
	size_t used = strlen(l->tried);

	if (used + strlen(what) + 8 < sizeof(l->tried))
		snprintf(l->tried + used, sizeof(l->tried) - used, "%s%s", used ? ", " : "", what);
}

static bool done(const struct login *l)
{
	return l->rc == SSH_AUTH_SUCCESS || l->cancelled || l->broken;
}

/* After each attempt: was that all, and what does the server take now? */
static void after(struct login *l)
{
	if (l->rc == SSH_AUTH_AGAIN || l->rc == SSH_AUTH_ERROR)
		l->broken = true;	/* no answer in time, or the connection ended */
	else
		l->offered = ssh_userauth_list(l->r->session, NULL);
}

/* The time that the call itself takes is the user's, who touches a token. */
#define ATTEMPT(l, call) \
	do { \
		int64_t deadline = remote_now() + (l)->limit, before; \
		do { \
			before = remote_now(); \
			(l)->rc = (call); \
			deadline += remote_now() - before; \
		} while ((l)->rc == SSH_AUTH_AGAIN && remote_wait((l)->r, deadline) == 0); \
	} while (0)

/* What the user types, in memory that is in no core file; NULL when there is nothing. */
static char *ask(struct login *l, const char *prompt, bool echo)
{
	const struct remote_ask *a = &l->r->options.ask;
	char *answer;

	if (!a->secret) {
		l->asked_nobody = true;
		return NULL;
	}
	answer = secure_alloc(REMOTE_SECRET_MAX);
	if (!answer || a->secret(a->arg, prompt, echo, answer, REMOTE_SECRET_MAX)) {
		l->cancelled = true;
		secure_free(answer);
		return NULL;
	}
	return answer;
}

/* Keys in the agent. */

/* Its keys, or those of these files. */
static void try_agent(struct login *l, char *const *files, size_t count)
{
	struct remote *r = l->r;
	pid_t between;

	if (!r->config.agent[0] || done(l))
		return;
	between = remote_agent(r, files, count);
	if (!between)
		return;
	if (between < 0) {
		note_tried(l, "the agent, which does not answer");
		r->config.agent[0] = 0;
		return;
	}
	ATTEMPT(l, ssh_userauth_agent(r->session, NULL));
	remote_agent_end(between);
	if (l->rc == SSH_AUTH_ERROR && ssh_is_connected(r->session)) {	/* so it was not the host */
		l->rc = SSH_AUTH_DENIED;
		note_tried(l, "the agent, which signs nothing");
		r->config.agent[0] = 0;
		return;
	}
	if (!count)
		note_tried(l, "the agent's keys");
	after(l);
}

/* Keys in files. */

struct passphrase {
	struct login *login;
	const char *file;
	int count;			/* how often it was asked for */
};

static int give_passphrase(const char *prompt, char *buffer, size_t size, int echo, int verify, void *userdata)
{
	struct passphrase *p = userdata;
	char text[REMOTE_PATH_MAX + 64], *answer;

	(void)prompt;
	(void)echo;
	(void)verify;
	p->count++;
	snprintf(text, sizeof(text), "Passphrase for %s: ", p->file);
	answer = ask(p->login, text, false);
	if (!answer)
		return -1;
	snprintf(buffer, size, "%s", answer);
	secure_free(answer);
	return 0;
}

/* The private key, after up to three passphrases; NULL: not to be had. */
static ssh_key read_private(struct login *l, const char *file)
{
	struct passphrase p = { l, file, 0 };
	ssh_key key = NULL;
	int before;

	do {
		before = p.count;
		if (ssh_pki_import_privkey_file(file, NULL, give_passphrase, &p, &key) == SSH_OK)
			return key;
		/* An empty answer is "not this one". */
	} while (p.count > before && p.count < ATTEMPTS && !l->cancelled && !l->asked_nobody);
	return NULL;
}

/* Would the server take it?  Yes where that cannot be told. */
static bool is_welcome(struct login *l, const char *file)
{
	ssh_key public = remote_public(file);

	if (!public)
		return true;
	ATTEMPT(l, ssh_userauth_try_publickey(l->r->session, NULL, public));
	ssh_key_free(public);
	after(l);
	return l->rc == SSH_AUTH_SUCCESS;
}

static void try_file(struct login *l, const char *file)
{
	char what[REMOTE_NAME_MAX];
	ssh_key key;

	if (access(file, R_OK) || done(l) || !(l->offered & SSH_AUTH_METHOD_PUBLICKEY))
		return;
	snprintf(what, sizeof(what), "%.200s", file);
	if (is_welcome(l, file)) {
		l->rc = SSH_AUTH_DENIED;
		key = read_private(l, file);
		if (key) {
			ATTEMPT(l, ssh_userauth_publickey(l->r->session, NULL, key));
			ssh_key_free(key);
			after(l);
		} else {
			snprintf(what, sizeof(what), "%.180s, which could not be read", file);
		}
	}
	note_tried(l, what);
}

/* A key that is in the agent as well needs no passphrase. */
static void try_keys(struct login *l)
{
	const struct remote_config *c = &l->r->config;
	char *named = (char *)l->r->options.identity;

	if (named) {
		try_agent(l, &named, 1);
		try_file(l, named);
	}
	if (l->rc != SSH_AUTH_PARTIAL && (c->identity_count || !c->identities_only))
		try_agent(l, c->identities, c->identities_only ? c->identity_count : 0);
	for (size_t i = 0; i < c->identity_count && !done(l) && l->rc != SSH_AUTH_PARTIAL; i++)
		if (!named || strcmp(c->identities[i], named))
			try_file(l, c->identities[i]);
}

int remote_check_identity(const char *file, struct err *e)
{
	struct stat st;

	if (!file)
		return 0;
	if (access(file, R_OK) || stat(file, &st)) {
		err_sys(e, errno, "cannot read the key %s", file);
		err_next(e, "--identity takes the file of a private key");
		return -e->code;
	}
	if (st.st_mode & 077) {
		err_set(e, EACCES, "the key %s can be read by others", file);
		err_next(e, "chmod 600 %s", file);
		return -EACCES;
	}
	return 0;
}

/* What the user types. */

/* The last one is kept: sudo may want the same. */
static void keep_password(struct remote *r, char *password)
{
	secure_free(r->password);
	r->password = password;
}

static void try_password(struct login *l)
{
	char prompt[2 * REMOTE_NAME_MAX + 32], *password;

	snprintf(prompt, sizeof(prompt), "%s%s's password: ", l->passwords ? "Not that one. " : "", remote_label(l->r));
	password = ask(l, prompt, false);
	if (!password)
		return;
	ATTEMPT(l, ssh_userauth_password(l->r->session, NULL, password));
	keep_password(l->r, password);
	l->passwords++;
	note_tried(l, "a password");
	after(l);
}

/* Prompts are the server's: they are cleaned, and say who asks. */
static void answer_questions(struct login *l)
{
	ssh_session s = l->r->session;
	int count = ssh_userauth_kbdint_getnprompts(s);

	for (int i = 0; i < count && i < ROUNDS && !l->cancelled; i++) {
		char text[512], echo = 0, *answer;
		const char *prompt = ssh_userauth_kbdint_getprompt(s, (unsigned)i, &echo);

		snprintf(text, sizeof(text), "%s(%.200s) %.200s", l->passwords && !i ? "Not that one. " : "", remote_label(l->r),
			 prompt ? prompt : "");
		err_clean(text);
		answer = ask(l, text, echo);
		if (!answer)
			return;
		if (ssh_userauth_kbdint_setanswer(s, (unsigned)i, answer) < 0)
			l->cancelled = true;
		if (count == 1 && !echo)
			keep_password(l->r, answer);
		else
			secure_free(answer);
	}
}

static void try_questions(struct login *l)
{
	bool asked = false;

	if (!l->r->options.ask.secret) {
		l->asked_nobody = true;
		return;
	}
	for (int i = 0; i < ROUNDS && !l->cancelled; i++) {
		ATTEMPT(l, ssh_userauth_kbdint(l->r->session, NULL, NULL));
		if (l->rc != SSH_AUTH_INFO)
			break;
		asked |= ssh_userauth_kbdint_getnprompts(l->r->session) > 0;
		answer_questions(l);
	}
	l->passwords++;
	if (asked)
		note_tried(l, "a password");
	if (!l->cancelled)
		after(l);
}

/* All of it. */

static void try_all(struct login *l)
{
	bool keys = false;

	ATTEMPT(l, ssh_userauth_none(l->r->session, NULL));
	after(l);
	while (!done(l)) {
		if ((l->offered & SSH_AUTH_METHOD_PUBLICKEY) && !keys) {
			keys = true;
			try_keys(l);
		} else if ((l->offered & SSH_AUTH_METHOD_INTERACTIVE) && l->passwords < ATTEMPTS) {
			try_questions(l);
		} else if ((l->offered & SSH_AUTH_METHOD_PASSWORD) && l->passwords < ATTEMPTS) {
			try_password(l);
		} else {
			break;
		}
		if (l->asked_nobody && keys)
			break;
		if (l->asked_nobody)
			l->passwords = ATTEMPTS;
	}
}

static const char *methods(int offered, char *out, size_t size)
{
	snprintf(out, size, "%s%s%s", offered & SSH_AUTH_METHOD_PUBLICKEY ? ", a key" : "",
		 offered & (SSH_AUTH_METHOD_PASSWORD | SSH_AUTH_METHOD_INTERACTIVE) ? ", a password" : "",
		 offered & (SSH_AUTH_METHOD_GSSAPI_MIC | SSH_AUTH_METHOD_HOSTBASED) ? ", other proofs" : "");
	return *out ? out + 2 : "nothing that this program has";
}

static int refused(struct login *l, struct err *e)
{
	struct remote *r = l->r;
	char list[80], command[2 * REMOTE_NAME_MAX + 32];
	bool words = l->offered & (SSH_AUTH_METHOD_PASSWORD | SSH_AUTH_METHOD_INTERACTIVE);

	err_set(e, EACCES, "%s is refused: %s takes %s%s%s", remote_label(r), r->target.host,
		methods(l->offered, list, sizeof(list)), l->tried[0] ? "; tried: " : "; there was nothing to try", l->tried);
	snprintf(command, sizeof(command), r->port == 22 ? "ssh-copy-id %s@%s" : "ssh-copy-id -p %3$d %1$s@%2$s", r->user,
		 r->target.host, r->port);
	if (l->asked_nobody && words)
		err_next(e, "a password can be typed at a terminal; or a key: --identity FILE, or put one there by %s; the account needs a "
			 "login shell that exists", command);
	else if (l->passwords)
		err_next(e, "is the password right, and may %s log in at all (PermitRootLogin and AllowUsers in sshd_config, a "
			 "login shell that exists)?", r->user);
	else
		err_next(e, "put a key there by %s, or name one that is: --identity FILE; the account needs a login shell that exists",
			 command);
	return -EACCES;
}

static int broke_off(struct login *l, struct err *e)
{
	struct remote *r = l->r;
	const char *why = ssh_get_error(r->session);

	if (ssh_is_connected(r->session) && l->rc == SSH_AUTH_AGAIN) {
		err_set(e, ETIMEDOUT, "%s does not answer the login of %s within %lld s", r->target.host, r->user,
			(long long)l->limit / 1000);
		err_next(e, "is the host overloaded, or does it wait for a directory of users (LDAP) that does not answer?");
		return -ETIMEDOUT;
	}
	if (strcasestr(why, "too many")) {
		err_set(e, EACCES, "%s is refused after too many attempts; tried: %s", remote_label(r), l->tried);
		err_next(e, "name the right key: --identity FILE, or IdentityFile and IdentitiesOnly for %s in the ssh configuration",
			 r->target.host);
		return -EACCES;
	}
	err_set(e, ECONNRESET, "%s ends the connection during the login of %s%s%s", r->target.host, r->user, *why ? ": " : "",
		why);
	err_next(e, "its own log says why: journalctl -u ssh");
	return -ECONNRESET;
}

static void show_banner(struct remote *r)
{
	const struct remote_ask *a = &r->options.ask;
	char *text = a->banner ? ssh_get_issue_banner(r->session) : NULL;

	if (!text)
		return;
	for (char *state, *line = strtok_r(text, "\r\n", &state); line; line = strtok_r(NULL, "\r\n", &state)) {
		err_clean(line);
		a->banner(a->arg, line);
	}
	ssh_string_free_char(text);
}

int remote_login(struct remote *r, struct err *e)
{
	struct login l = { .r = r, .limit = r->options.connect_seconds * 1000LL, .rc = SSH_AUTH_DENIED };

	try_all(&l);
	if (l.rc == SSH_AUTH_SUCCESS) {
		show_banner(r);
		return 0;
	}
	if (l.cancelled) {
		err_set(e, ECANCELED, "the login to %s was given up: nothing was typed", r->target.host);
		err_next(e, "type it, or give a key that %s takes: --identity FILE", r->target.host);
		return -ECANCELED;
	}
	return l.broken ? broke_off(&l, e) : refused(&l, e);
}
