/*
 * conf_secret.c - node keys: where their text comes from, and which are easy to guess.
 *
 * Nothing here shows a key or a part of one: a message names the line, the client
 * or the namespace, and says what is wrong with what stands there.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "secure.h"
#include "conf_impl.h"

#define CREDENTIAL "@credential:"
#define FROM_FILE "@file:"
#define SECRET_MAX 255
#define BITS_WANTED 128

void *conf_secret(struct conf_parse *p, size_t count, size_t size)
{
	void *array = secure_alloc(count * size);

	if (!array)
		p->no_memory = true;
	return array;
}

/* Where the key is. */

/* The file's one word, 0-terminated. */
static bool read_secret(struct conf_parse *p, const char *path, char out[SECRET_MAX + 1], char *why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	const char *who = NULL;
	struct stat st;
	ssize_t n = -1;

	if (fd < 0 || fstat(fd, &st)) {
		snprintf(why, CONF_WHY_MAX, "the key's file cannot be opened: %s", strerror(errno));
	} else if (!S_ISREG(st.st_mode)) {
		snprintf(why, CONF_WHY_MAX, "what it names is not a file");
	} else if ((who = conf_readable_by(p, &st))) {
		snprintf(why, CONF_WHY_MAX, "the key's file can be read by %s (mode %04o); chmod 600 mends it", who,
			 (unsigned int)(st.st_mode & 07777));
	} else if ((n = read(fd, out, SECRET_MAX + 1)) < 1 || n > SECRET_MAX) {
		snprintf(why, CONF_WHY_MAX, n > SECRET_MAX ? "the key's file has more than %d bytes" :
			 "the key's file is empty or cannot be read", SECRET_MAX);
		n = -1;
	}
	if (fd >= 0)
		close(fd);
	while (n > 0 && (out[n - 1] == '\n' || out[n - 1] == '\r'))
		n--;
	if (n == 0)
		snprintf(why, CONF_WHY_MAX, "the key's file is empty");
	out[n > 0 ? n : 0] = 0;
	return n > 0;
}

static bool credential_path(const char *name, char *path, size_t size, char *why)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");

	if (!*name || strchr(name, '/') || name[0] == '.') {
		snprintf(why, CONF_WHY_MAX, "is not a credential's name");
		return false;
	}
	if (!dir || !*dir) {
		snprintf(why, CONF_WHY_MAX,
			 "there are no credentials: CREDENTIALS_DIRECTORY is not set; LoadCredential= in the unit sets it");
		return false;
	}
	if (snprintf(path, size, "%s/%s", dir, name) < (int)size)
		return true;
	snprintf(why, CONF_WHY_MAX, "the credential's path is too long");
	return false;
}

/* How hard it is to guess. */

/* Characters that do not go on as the two before them did, and of what repeats only
 * the first time. */
static unsigned surprises(const uint8_t *s, size_t n)
{
	unsigned count = 0;
	size_t period = 1;

	while (period < n && memcmp(s, s + period, n - period) != 0)
		period++;
	if (period <= n / 2)
		n = period;
	for (size_t i = 0; i < n; i++)
		count += i < 2 || (uint8_t)(s[i] - s[i - 1]) != (uint8_t)(s[i - 1] - s[i - 2]);
	return count;
}

static unsigned distinct(const uint8_t *s, size_t n)
{
	bool seen[256] = { false };
	unsigned count = 0;

	for (size_t i = 0; i < n; i++) {
		count += !seen[s[i]];
		seen[s[i]] = true;
	}
	return count;
}

static unsigned log2_of(unsigned n)
{
	unsigned bits = 0;

	while (n >>= 1)
		bits++;
	return bits;
}

/* Tenths of a bit that a character of this text has when it was drawn at random, or, where
 * it looks like words, as in words. */
static unsigned tenths(const char *text)
{
	bool digit = false, lower = false, upper = false, other = false, hex = true;
	size_t small = 0;

	for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
		hex = hex && isxdigit(*c);
		digit |= isdigit(*c) != 0;
		lower |= islower(*c) != 0;
		upper |= isupper(*c) != 0;
		other |= !isalnum(*c);
		small += islower(*c) != 0;
	}
	if (!hex && !upper && small * 4 >= strlen(text) * 3)
		return 20;
	if (other)
		return 65;
	if (!lower && !upper)
		return 33;
	if (hex)
		return 40;
	return lower && upper ? digit ? 59 : 57 : digit ? 51 : 47;
}

static unsigned guess_bits(const char *text, const struct conf_key *key)
{
	size_t n = strlen(text);
	unsigned of;

	if (n == 2 * CONF_KEY_BYTES && strspn(text, "0123456789abcdefABCDEF") == n) {
		of = distinct(key->bytes, CONF_KEY_BYTES);
		return surprises(key->bytes, CONF_KEY_BYTES) * (of < CONF_KEY_BYTES / 2 ? log2_of(of) : 8);
	}
	of = distinct((const uint8_t *)text, n);
	return surprises((const uint8_t *)text, n) * (of < 8 && n > 2 * of ? 10 * log2_of(of) : tenths(text)) / 10;
}

/* A key's text, as it stands in the line or in the file that the line names. */
static bool check_text(const char *text, char *why)
{
	for (const char *c = text; *c; c++) {
		if (isspace((unsigned char)*c) || iscntrl((unsigned char)*c)) {
			snprintf(why, CONF_WHY_MAX,
				 "a node key has no blanks; a comment stands on a line of its own");
			return false;
		}
	}
	if (text[0] && strchr("=;#@", text[0])) {
		snprintf(why, CONF_WHY_MAX, "a node key does not begin with '=', ';', '#' or '@', but for "
			 CREDENTIAL "NAME and " FROM_FILE "PATH");
		return false;
	}
	return true;
}

static bool set_key(const char *text, struct conf_key *key, char *why)
{
	if (!check_text(text, why))
		return false;
	if (secure_key_from_text(text, key->bytes)) {
		snprintf(why, CONF_WHY_MAX, "OpenSSL cannot hash the node key");
		return false;
	}
	key->bits = guess_bits(text, key);
	return true;
}

/* It is read again with the configuration, so a daemon that confines itself has to know. */
static void note_file(struct conf_parse *p, const char *path)
{
	char **more = realloc(p->key_files, (p->key_file_count + 2) * sizeof(*more));

	if (!more) {
		p->no_memory = true;
		return;
	}
	p->key_files = more;
	p->key_files[p->key_file_count++] = conf_dup(p, path);
	p->key_files[p->key_file_count] = NULL;
}

bool conf_key_is_elsewhere(const char *text)
{
	return strncmp(text, CREDENTIAL, strlen(CREDENTIAL)) == 0 || strncmp(text, FROM_FILE, strlen(FROM_FILE)) == 0;
}

/* On another host: all that is known of it is where it is, and that differs from what another one's is. */
static bool key_elsewhere(const char *text, struct conf_key *key)
{
	secure_id("rsio key elsewhere, first half", text, strlen(text), key->bytes);
	secure_id("rsio key elsewhere, second half", text, strlen(text), key->bytes + CONF_KEY_BYTES / 2);
	key->bits = 8 * CONF_KEY_BYTES;
	return true;
}

bool conf_node_key(struct conf_parse *p, const char *text, struct conf_key *key, char *why)
{
	char path[4096], secret[SECRET_MAX + 1];
	bool ok;

	if (strncmp(text, CREDENTIAL, strlen(CREDENTIAL)) == 0) {
		if (p->of_another_host)
			return key_elsewhere(text, key);
		if (!credential_path(text + strlen(CREDENTIAL), path, sizeof(path), why))
			return false;
	} else if (strncmp(text, FROM_FILE, strlen(FROM_FILE)) == 0) {
		if (text[strlen(FROM_FILE)] != '/') {
			snprintf(why, CONF_WHY_MAX, FROM_FILE " takes an absolute path");
			return false;
		}
		if (p->of_another_host)
			return key_elsewhere(text, key);
		snprintf(path, sizeof(path), "%s", text + strlen(FROM_FILE));
	} else {
		return set_key(text, key, why);
	}
	ok = read_secret(p, path, secret, why) && set_key(secret, key, why);
	if (ok)
		note_file(p, path);
	secure_wipe(secret, sizeof(secret));
	return ok;
}

/* What --check warns of. */

bool conf_same_key(const struct conf_key *a, const struct conf_key *b)
{
	return secure_equal(a->bytes, b->bytes, sizeof(a->bytes));
}

static void warn_if_weak(struct conf_parse *p, const char *who, const struct conf_key *key)
{
	if (key->bits < BITS_WANTED)
		conf_warning(p, key->line, NULL, NULL, "%s: the key can be guessed: %u bits at most, and %d are wanted; "
			     "'rsagent key' makes a good one", who, key->bits, BITS_WANTED);
}

/* By its key; [clients] may have thousands. */
struct named_key {
	const char *name;
	const struct conf_key *key;
};

static int by_key(const void *a, const void *b)
{
	const struct named_key *x = a, *y = b;
	int order = memcmp(x->key->bytes, y->key->bytes, sizeof(x->key->bytes));

	return order ? order : x->key->line - y->key->line;
}

static void warn_of_repeated(struct conf_parse *p, const char *kind, struct named_key *keys, size_t count)
{
	if (count)
		qsort(keys, count, sizeof(*keys), by_key);
	for (size_t i = 1; i < count; i++)
		if (memcmp(keys[i].key->bytes, keys[i - 1].key->bytes, sizeof(keys[i].key->bytes)) == 0)
			conf_warning(p, keys[i].key->line, NULL, NULL, "%s%s: the key is that of %s too: who has one can be both",
				     kind, keys[i].name, keys[i - 1].name);
}

void conf_server_check_keys(const struct conf_server *c, struct conf_report *report)
{
	struct conf_parse p = { .file = CONF_FILE_SERVER, .path = c->path };
	struct named_key *keys = conf_zeroed(&p, 2 * c->client_count + 1, sizeof(*keys));
	char who[CONF_NAME_MAX + 20];
	size_t count = 0;

	for (size_t i = 0; keys && i < c->client_count; i++) {
		const struct conf_allowed *a = &c->clients[i];

		snprintf(who, sizeof(who), "[clients] %s", a->name);
		keys[count++] = (struct named_key){ a->name, &a->key };
		warn_if_weak(&p, who, &a->key);
		if (!a->second.line)
			continue;
		keys[count++] = (struct named_key){ a->name, &a->second };
		warn_if_weak(&p, who, &a->second);
		conf_warning(&p, a->second.line, NULL, NULL, "%s: has two keys, here and in line %d; "
			     "take away the old one when 'rssrv --status' says that no connection uses it", who, a->key.line);
	}
	if (keys)
		warn_of_repeated(&p, "[clients] ", keys, count);
	free(keys);
	conf_report_take(&p, report);
}

void conf_client_check_keys(const struct conf_client *c, struct conf_report *report)
{
	struct conf_parse p = { .file = CONF_FILE_CLIENT, .path = c->path };
	struct named_key *keys = conf_zeroed(&p, c->namespace_count + 1, sizeof(*keys));
	char who[CONF_NAME_MAX + 40];

	for (size_t i = 0; keys && i < c->namespace_count; i++) {
		const struct conf_namespace *ns = &c->namespaces[i];

		snprintf(who, sizeof(who), "[namespace %s] nodekey", ns->name);
		keys[i] = (struct named_key){ ns->name, &ns->key };
		warn_if_weak(&p, who, &ns->key);
	}
	if (keys)
		warn_of_repeated(&p, "nodekey of ", keys, c->namespace_count);
	free(keys);
	conf_report_take(&p, report);
}
