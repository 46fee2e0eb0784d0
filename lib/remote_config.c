/*
 * remote_config.c - whom a target means: the user's and the system's ssh configuration.
 *
 * libssh reads these files itself, but finds the home directory in the password file whatever HOME says,
 * expands %d to another directory than OpenSSH does, gives a list of identities back as its first member, and runs
 * the commands of "Match exec" for as long as they like.  So both files, with what they include, are first
 * written into one text in memory without what is read here: identities, known hosts, the agent.  libssh gets
 * the rest: names, ports, users, proxies, algorithms.
 */
#include <ctype.h>
#include <errno.h>
#include <fnmatch.h>
#include <glob.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "remote_impl.h"

#define LINE_MAX_LIBSSH 1000	/* it cuts longer ones in two */
#define DEPTH_MAX 8

static bool name_is_sane(const char *text, const char *also)
{
	if (!*text || *text == '-')
		return false;
	for (; *text; text++)
		if (!isalnum((unsigned char)*text) && !strchr(also, *text))
			return false;
	return true;
}

static int parse_port(const char *text)
{
	char *end;
	long n = strtol(text, &end, 10);

	return !isdigit((unsigned char)*text) || *end || n < 1 || n > 65535 ? -1 : (int)n;
}

/* Where host and port are divided: NULL when there is no port. */
static char *find_port(char *rest)
{
	char *colon = strchr(rest, ':');

	if (rest[0] == '[') {
		colon = strstr(rest, "]:");
		return colon ? colon + 1 : NULL;
	}
	return colon && !strchr(colon + 1, ':') ? colon : NULL;	/* two: IPv6 */
}

static int no_target(const char *text, struct err *e)
{
	err_set(e, EINVAL, "%s is not [user@]host[:port]", text);
	err_next(e, "for example root@storage1 or admin@[fd00::1]:2222");
	return -EINVAL;
}

int remote_parse(const char *text, struct remote_target *out, struct err *e)
{
	char copy[2 * REMOTE_NAME_MAX + 8], *host = copy, *at, *port;

	memset(out, 0, sizeof(*out));
	if (strlen(text) >= REMOTE_NAME_MAX)
		return no_target("what was given", e);
	strcpy(copy, text);
	at = strrchr(copy, '@');
	if (at) {
		*at = 0;
		host = at + 1;
		strcpy(out->user, copy);
	}
	port = find_port(host);
	if (port) {
		*port++ = 0;
		out->port = parse_port(port);
	}
	if (host[0] == '[' && host[strlen(host) - 1] == ']') {
		host[strlen(host) - 1] = 0;
		host++;
	}
	strcpy(out->host, host);
	if ((at && !name_is_sane(out->user, "._-+@\\")) || !name_is_sane(out->host, "._-:%") || out->port < 0)
		return no_target(text, e);
	return 0;
}

/* One reading of the files. */
struct reading {
	struct remote *r;
	FILE *out;			/* what libssh gets */
	bool ours;			/* the block that is being read is about the target */
	char scope[LINE_MAX_LIBSSH];	/* its first line */
};

/* The next word at *p, which may be in quotes; NULL when there is none.  The text is cut. */
static char *next_word(char **p)
{
	char *word = *p + strspn(*p, " \t\r\n"), *end;

	if (!*word)
		return NULL;
	if (*word == '"') {
		end = strchr(++word, '"');
	} else {
		end = strpbrk(word, " \t\r\n");
	}
	*p = end ? end + 1 : word + strlen(word);
	if (end)
		*end = 0;
	return word;
}

/* Patterns as OpenSSH has them: one with ! in front that matches says no. */
static bool matches(char *patterns, const char *separators, const char *name)
{
	bool yes = false;

	for (char *state, *p = strtok_r(patterns, separators, &state); p; p = strtok_r(NULL, separators, &state)) {
		if (*p == '!') {
			if (!fnmatch(p + 1, name, FNM_CASEFOLD))
				return false;
		} else if (!fnmatch(p, name, FNM_CASEFOLD)) {
			yes = true;
		}
	}
	return yes;
}

/* ~ and % as OpenSSH expands them in names of files. */
static int expand(const struct remote *r, const char *text, char *out, size_t size)
{
	const char *home = r->config.home;
	size_t used = 0;

	out[0] = 0;
	if (text[0] == '~' && (text[1] == '/' || !text[1])) {
		used = (size_t)snprintf(out, size, "%s", home);
		text++;
	}
	for (; *text && used < size; text++) {
		const char *value = NULL;
		char one[2] = { *text, 0 };

		if (*text == '%') {
			text++;
			value = *text == 'd' ? home : *text == 'h' ? r->name : *text == 'r' ? r->user :
				*text == 'n' ? r->target.host : *text == '%' ? "%" : NULL;
			if (!value)
				return -EINVAL;
		}
		used += (size_t)snprintf(out + used, size - used, "%s", value ? value : one);
	}
	return used < size ? 0 : -ENAMETOOLONG;
}

static void add_identity(struct remote *r, const char *text)
{
	struct remote_config *c = &r->config;
	char path[REMOTE_PATH_MAX];

	if (!strcasecmp(text, "none") || c->identity_count == REMOTE_IDENTITIES || expand(r, text, path, sizeof(path)))
		return;
	for (size_t i = 0; i < c->identity_count; i++)
		if (!strcmp(c->identities[i], path))
			return;
	c->identities[c->identity_count] = strdup(path);
	if (c->identities[c->identity_count])
		c->identity_count++;
}

/* "Match": what can be told here without running anything. */
static bool match_is_ours(struct reading *g, char *rest)
{
	char *word, *argument;

	while ((word = next_word(&rest))) {
		if (!strcasecmp(word, "all"))
			continue;
		argument = next_word(&rest);
		if (!argument || (strcasecmp(word, "host") && strcasecmp(word, "originalhost")) ||
		    !matches(argument, ",", g->r->target.host))
			return false;
	}
	return true;
}

static void read_file(struct reading *g, const char *path, int depth);

static void include(struct reading *g, char *rest, int depth)
{
	struct reading outer = *g;
	char *word, path[REMOTE_PATH_MAX], full[2 * REMOTE_PATH_MAX + 16];

	while ((word = next_word(&rest))) {
		glob_t found;

		if (expand(g->r, word, path, sizeof(path)))
			continue;
		snprintf(full, sizeof(full), "%s/.ssh/%s", g->r->config.home, path);
		if (glob(path[0] == '/' ? path : full, 0, NULL, &found))
			continue;
		for (size_t i = 0; i < found.gl_pathc; i++)
			read_file(g, found.gl_pathv[i], depth + 1);
		globfree(&found);
	}
	/* Where the include was, the block goes on. */
	g->ours = outer.ours;
	strcpy(g->scope, outer.scope);
	fprintf(g->out, "%s\n", g->scope);
}

static void set_once(const struct remote *r, char *to, size_t size, const char *text)
{
	if (!to[0] && expand(r, text, to, size))
		to[0] = 0;
}

/* The beginning of a block. */
static void begin_block(struct reading *g, const char *line, const char *key, char *rest)
{
	bool match = !strcasecmp(key, "match");

	if (match && strcasestr(rest, "exec")) {
		g->ours = false;
		strcpy(g->scope, "Host exec.invalid");
	} else {
		snprintf(g->scope, sizeof(g->scope), "%s", line);
		g->ours = match ? match_is_ours(g, rest) : matches(rest, " \t\r\n\"", g->r->target.host);
	}
	fprintf(g->out, "%s\n", g->scope);
}

static const char *const not_for_libssh[] = {
	"identityfile", "identitiesonly", "userknownhostsfile", "globalknownhostsfile", "hostkeyalias",
	"identityagent", "stricthostkeychecking", "loglevel", "connecttimeout", "controlmaster", "controlpath",
	"gssapiauthentication", "passwordauthentication", "pubkeyauthentication", "kbdinteractiveauthentication",
	"challengeresponseauthentication", "preferredauthentications", "sendenv", "setenv", "certificatefile",
};

static bool is_for_libssh(const char *key)
{
	for (size_t i = 0; i < sizeof(not_for_libssh) / sizeof(not_for_libssh[0]); i++)
		if (!strcasecmp(key, not_for_libssh[i]))
			return false;
	return true;
}

static void our_key(struct reading *g, const char *key, char *rest)
{
	struct remote *r = g->r;
	struct remote_config *c = &r->config;
	char *value = next_word(&rest);

	if (!value || !g->ours)
		return;
	if (!strcasecmp(key, "identityfile")) {
		c->identities_given = true;
		add_identity(r, value);
	} else if (!strcasecmp(key, "identitiesonly")) {
		c->identities_only = !strcasecmp(value, "yes");
	} else if (!strcasecmp(key, "userknownhostsfile")) {
		set_once(r, c->known_hosts, sizeof(c->known_hosts), value);
	} else if (!strcasecmp(key, "hostkeyalias")) {
		set_once(r, c->alias, sizeof(c->alias), value);
	} else if (!strcasecmp(key, "identityagent")) {
		if (!strcasecmp(value, "none"))
			c->no_agent = true;
		else if (*value != '$' && strcasecmp(value, "SSH_AUTH_SOCK"))
			set_once(r, c->agent, sizeof(c->agent), value);
	}
}

static void read_line(struct reading *g, char *line, int depth)
{
	char copy[LINE_MAX_LIBSSH], *rest = copy, *key;

	line[strcspn(line, "\r\n")] = 0;
	strcpy(copy, line);
	for (char *p = copy; *p && !isspace((unsigned char)*p); p++)	/* "Key=value" too */
		if (*p == '=')
			*p = ' ';
	key = next_word(&rest);
	if (!key || *key == '#')
		return;
	rest += strspn(rest, " \t=");
	if (!strcasecmp(key, "include"))
		include(g, rest, depth);
	else if (!strcasecmp(key, "host") || !strcasecmp(key, "match"))
		begin_block(g, line, key, rest);
	else if (is_for_libssh(key))
		fprintf(g->out, "%s\n", line);
	else
		our_key(g, key, rest);
}

static void read_file(struct reading *g, const char *path, int depth)
{
	FILE *f = depth < DEPTH_MAX ? fopen(path, "re") : NULL;
	char line[LINE_MAX_LIBSSH];

	if (!f)
		return;
	while (fgets(line, sizeof(line), f)) {
		int c = 0;

		if (!strchr(line, '\n'))	/* too long for libssh: the rest of it is left out too */
			while ((c = fgetc(f)) != EOF && c != '\n')
				;
		if (!c || c == EOF)
			read_line(g, line, depth);
	}
	fclose(f);
}

/* Both files as one text that libssh can open; -1 when there is no memory. */
static int gather(struct remote *r)
{
	struct reading g = { .r = r };
	char path[REMOTE_PATH_MAX + 16];
	int fd = memfd_create("ssh_config", MFD_CLOEXEC);
	const char *const files[] = { path, "/etc/ssh/ssh_config" };

	g.out = fd < 0 ? NULL : fdopen(dup(fd), "w");
	if (!g.out) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	snprintf(path, sizeof(path), "%s/.ssh/config", r->config.home);
	for (int i = 0; i < 2; i++) {
		g.ours = true;
		strcpy(g.scope, "Host *");
		fprintf(g.out, "%s\n", g.scope);
		read_file(&g, files[i], 0);
	}
	if (fclose(g.out)) {
		close(fd);
		return -1;
	}
	return fd;
}

/* What the configuration leaves open. */
static void fill_in(struct remote *r)
{
	static const char *const usual[] = { "id_ed25519", "id_ecdsa", "id_rsa" };
	struct remote_config *c = &r->config;
	const char *agent = getenv("SSH_AUTH_SOCK");

	if (!c->known_hosts[0])
		snprintf(c->known_hosts, sizeof(c->known_hosts), "%.900s/.ssh/known_hosts", c->home);
	if (!c->agent[0] && agent)
		snprintf(c->agent, sizeof(c->agent), "%s", agent);
	if (c->no_agent)
		c->agent[0] = 0;
	for (size_t i = 0; !c->identities_given && i < sizeof(usual) / sizeof(usual[0]); i++) {
		char path[REMOTE_NAME_MAX];

		snprintf(path, sizeof(path), "~/.ssh/%s", usual[i]);
		add_identity(r, path);
	}
}

static int find_home(struct remote_config *c, struct err *e)
{
	const char *home = getenv("HOME");
	const struct passwd *p = home && *home ? NULL : getpwuid(getuid());

	if (p)
		home = p->pw_dir;
	if (!home || *home != '/' || strlen(home) >= sizeof(c->home) - 64) {
		err_set(e, ENOENT, "cannot tell where your keys and known hosts are");
		err_next(e, "set HOME");
		return -ENOENT;
	}
	strcpy(c->home, home);
	return 0;
}

static char *get_option(struct remote *r, enum ssh_options_e option)
{
	char *value = NULL, *copy;

	if (ssh_options_get(r->session, option, &value) != SSH_OK)
		return NULL;
	copy = strdup(value);
	ssh_string_free_char(value);
	return copy;
}

/* Name, user, port and proxy, after libssh has read what it was given. */
static int take_over(struct remote *r, struct err *e)
{
	char *host = get_option(r, SSH_OPTIONS_HOST), *user = get_option(r, SSH_OPTIONS_USER);
	const struct passwd *p = getpwuid(getuid());
	unsigned port = 22;

	snprintf(r->name, sizeof(r->name), "%s", host ? host : r->target.host);
	snprintf(r->user, sizeof(r->user), "%s", r->target.user[0] ? r->target.user : user ? user : p ? p->pw_name : "root");
	free(host);
	free(user);
	ssh_options_get_port(r->session, &port);
	r->port = r->target.port ? r->target.port : port ? (int)port : 22;
	r->proxy = get_option(r, SSH_OPTIONS_PROXYCOMMAND);
	if (r->proxy && !strcasecmp(r->proxy, "none")) {
		free(r->proxy);
		r->proxy = NULL;
	}
	if (ssh_options_set(r->session, SSH_OPTIONS_USER, r->user) ||
	    ssh_options_set(r->session, SSH_OPTIONS_PORT, &(unsigned){ (unsigned)r->port }))
		return err_set(e, EINVAL, "cannot log in as %s at port %d", r->user, r->port);
	return 0;
}

int remote_configure(struct remote *r, struct err *e)
{
	const int no = 0;
	char path[REMOTE_PATH_MAX + 16];
	int fd, rc;

	rc = find_home(&r->config, e);
	if (rc)
		return rc;
	snprintf(r->name, sizeof(r->name), "%s", r->target.host);
	snprintf(r->user, sizeof(r->user), "%s", r->target.user);
	snprintf(path, sizeof(path), "%s/.ssh", r->config.home);
	if (ssh_options_set(r->session, SSH_OPTIONS_HOST, r->target.host) ||
	    ssh_options_set(r->session, SSH_OPTIONS_SSH_DIR, path) ||
	    ssh_options_set(r->session, SSH_OPTIONS_PROCESS_CONFIG, &no))
		return err_set(e, EINVAL, "%s cannot be a host's name", r->target.host);
	fd = gather(r);
	if (fd < 0)
		return err_sys(e, ENOMEM, "cannot read the ssh configuration");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	rc = ssh_options_parse_config(r->session, path);
	close(fd);
	if (rc) {
		err_set(e, EINVAL, "cannot read %s/.ssh/config: %s", r->config.home, ssh_get_error(r->session));
		err_next(e, "ssh -G %s shows what OpenSSH makes of it", r->target.host);
		return -EINVAL;
	}
	rc = take_over(r, e);
	if (rc)
		return rc;
	fill_in(r);
	if (ssh_options_set(r->session, SSH_OPTIONS_KNOWNHOSTS, r->config.known_hosts))
		return err_sys(e, ENOMEM, "cannot use %s", r->config.known_hosts);
	return 0;
}

void remote_config_fini(struct remote_config *c)
{
	for (size_t i = 0; i < c->identity_count; i++)
		free(c->identities[i]);
	c->identity_count = 0;
}
