/*
 * conf_value.c - the values of keys: from text, by type, into structs.
 *
 * Every reason names the limit, and none shows the value: the line's number
 * tells the user which it is, and a node key that strayed into another line must
 * not be found in a log.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "opt.h"
#include "conf_impl.h"

#define HOST_MAX 253
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* One value on its way into a struct. */
struct value {
	struct conf_parse *parse;
	const struct conf_key_row *row;
	const char *text;
	void *to;
	char *why;
};

static const char *const security_names[] = { "tls", "auth", NULL };
static const char *const discovery_names[] = { "all", "names", "none", NULL };
static const char *const on_loss_names[] = { "fail", "read-only", "queue", NULL };

const char *conf_on_loss_name(enum conf_on_loss o)
{
	return (size_t)o < COUNT(on_loss_names) - 1 ? on_loss_names[o] : "?";
}

bool conf_name_valid(const char *name)
{
	size_t length = strlen(name);

	if (length < 1 || length > CONF_NAME_MAX || name[0] == '.' || name[0] == '-')
		return false;
	for (; *name; name++)
		if (!isascii(*name) || (!isalnum((unsigned char)*name) && !strchr("._-", *name)))
			return false;
	return true;
}

bool conf_volume_valid(const char *name)
{
	const char *at = strchr(name, '@');
	char volume[CONF_NAME_MAX + 1];

	if (!at)
		return conf_name_valid(name);
	if (at - name > CONF_NAME_MAX)
		return false;
	snprintf(volume, sizeof(volume), "%.*s", (int)(at - name), name);
	return conf_name_valid(volume) && conf_name_valid(at + 1) && at[1 + strspn(at + 1, "0123456789")];
}

static bool refuse(const struct value *v, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
static bool refuse(const struct value *v, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(v->why, CONF_WHY_MAX, fmt, ap);
	va_end(ap);
	return false;
}

static bool store(const struct value *v, const char *text)
{
	char **to = v->to;

	free(*to);
	*to = conf_dup(v->parse, text);
	return true;
}

static bool set_text(const struct value *v)
{
	for (const char *p = v->text; *p; p++)
		if (iscntrl((unsigned char)*p))
			return refuse(v, "has a control character in it");
	return store(v, v->text);
}

static bool set_path(const struct value *v)
{
	if (v->text[0] != '/')
		return refuse(v, "is not an absolute path");
	return set_text(v);
}

static bool set_device(const struct value *v)
{
	size_t length = strlen(v->text);

	if (length >= IFNAMSIZ || strchr(v->text, '/') || strcspn(v->text, " \t:") != length)
		return refuse(v,
			      "is not a network device's name (1..%d bytes, no blank, '/' or ':')",
			      IFNAMSIZ - 1);
	return set_text(v);
}

static bool set_name(const struct value *v)
{
	if (!conf_name_valid(v->text))
		return refuse(v, "is not a name (1..%d of A-Z a-z 0-9 . _ -, no leading . or -)",
			      CONF_NAME_MAX);
	memcpy(v->to, v->text, strlen(v->text) + 1);
	return true;
}

/* Digits only: no sign, no blank, no octal. */
static bool parse_int(const char *text, int min, int max, int *number)
{
	size_t length = strlen(text);
	long n;

	if (length < 1 || length > 9 || strspn(text, "0123456789") != length)
		return false;
	n = strtol(text, NULL, 10);
	if (n < min || n > max)
		return false;
	*number = (int)n;
	return true;
}

static bool set_int(const struct value *v)
{
	if (!parse_int(v->text, v->row->min, v->row->max, v->to))
		return refuse(v, "is not a number from %d to %d", v->row->min, v->row->max);
	return true;
}

static bool set_microseconds(const struct value *v)
{
	double *seconds = v->to;
	bool or_auto = v->row->type == CONF_TYPE_MICROSECONDS_OR_AUTO;
	int n;

	if (or_auto && strcmp(v->text, "auto") == 0) {
		*seconds = CONF_POLL_AUTO;
		return true;
	}
	if (!parse_int(v->text, v->row->min, v->row->max, &n))
		return refuse(v, "is not %sa number of microseconds from %d to %d",
			      or_auto ? "auto or " : "", v->row->min, v->row->max);
	*seconds = n / 1e6;
	return true;
}

static bool set_duration(const struct value *v)
{
	double *to = v->to, seconds;

	if (opt_parse_duration(v->text, &seconds))
		return refuse(v, "is not a duration, as 500ms, 2s or 5min");
	if (!(seconds >= v->row->min / 1e3 && seconds <= v->row->max / 1e3))
		return refuse(v, "is not from %gs to %gs", v->row->min / 1e3, v->row->max / 1e3);
	*to = seconds;
	return true;
}

/* The index of the text among names; -1 with the reason said. */
static int choose(const struct value *v, const char *const *names, const char *wanted)
{
	char hint[64];

	for (int i = 0; names[i]; i++)
		if (strcmp(names[i], v->text) == 0)
			return i;
	refuse(v, "is not %s%s", wanted, conf_hint(hint, sizeof(hint), v->text, names));
	return -1;
}

static bool set_bool(const struct value *v)
{
	static const char *const names[] = { "no", "yes", NULL };
	int i = choose(v, names, "yes or no");

	if (i < 0)
		return false;
	*(bool *)v->to = i;
	return true;
}

static bool set_mode(const struct value *v)
{
	static const char *const names[] = { "rw", "ro", NULL };
	int i = choose(v, names, "rw or ro");

	if (i < 0)
		return false;
	*(bool *)v->to = i;
	return true;
}

static bool set_security(const struct value *v)
{
	int i = choose(v, security_names, "tls or auth");

	if (i < 0)
		return false;
	*(enum conf_security *)v->to = (enum conf_security)i;
	return true;
}

static bool set_policy(const struct value *v)
{
	const char *names[POLICY_COUNT + 1] = { NULL };
	bool volume = strcmp(v->row->section, "volume") == 0;
	int i;

	if (!volume && strcmp(v->text, policy_name(POLICY_LEAST_BLOCKS)) == 0)
		return refuse(v, "least-blocks is a policy of single volumes: it belongs in [volume NAMESPACE:VOLUME]");
	for (i = 0; i < POLICY_COUNT && (volume || i != POLICY_LEAST_BLOCKS); i++)
		names[i] = policy_names[i];
	i = choose(v, names, volume ? "a policy: adaptive, round-robin, round-robin-subset, fail-over, least-queue, "
				      "weighted or least-blocks" :
				      "a policy: adaptive, round-robin, round-robin-subset, fail-over, least-queue "
				      "or weighted");
	if (i < 0)
		return false;
	*(enum policy *)v->to = (enum policy)i;
	return true;
}

static bool set_shares(const struct value *v)
{
	char why[SHARES_WHY_MAX];

	if (v->row->type == CONF_TYPE_WEIGHTS ? shares_set_weights(v->to, v->text, why) :
						shares_set_standbys(v->to, v->text, why))
		return true;
	return refuse(v, "%s", why);
}

static bool set_on_loss(const struct value *v)
{
	int i = choose(v, on_loss_names, "fail, read-only or queue");

	if (i < 0)
		return false;
	*(enum conf_on_loss *)v->to = (enum conf_on_loss)i;
	return true;
}

static bool set_discovery(const struct value *v)
{
	int i = choose(v, discovery_names, "all, names or none");

	if (i < 0)
		return false;
	*(enum conf_discovery *)v->to = (enum conf_discovery)i;
	return true;
}

static bool set_protocol(const struct value *v)
{
	if (strcmp(v->text, "tcp") != 0)
		return refuse(v, "only tcp is available in this version");
	return true;
}

/* An address without brackets, in its shortest form, its %scope kept.  False
 * when it is none. */
static bool shorten(const char *text, char *out, size_t size)
{
	char copy[INET6_ADDRSTRLEN + IF_NAMESIZE + 2], *scope;
	size_t length = strlen(text);
	struct in6_addr six;
	struct in_addr four;

	if (length >= 2 && text[0] == '[' && text[length - 1] == ']' && strchr(text, ':')) {
		text++;
		length -= 2;
	}
	if (length >= sizeof(copy))
		return false;
	memcpy(copy, text, length);
	copy[length] = 0;
	if (inet_pton(AF_INET, copy, &four) == 1)
		return inet_ntop(AF_INET, &four, out, (socklen_t)size) != NULL;

	scope = strchr(copy, '%');
	if (scope)
		*scope++ = 0;
	if (inet_pton(AF_INET6, copy, &six) != 1 ||
	    !inet_ntop(AF_INET6, &six, out, (socklen_t)size))
		return false;
	if (scope) {
		size_t used = strlen(out);

		if (!*scope || strlen(scope) >= IF_NAMESIZE || strpbrk(scope, " \t/%[]:"))
			return false;
		snprintf(out + used, size - used, "%%%s", scope);
	}
	return true;
}

/* Refuses what nothing can be bound or sent to as it stands. */
static bool usable_address(const struct value *v, const char *address)
{
	char copy[INET6_ADDRSTRLEN + IF_NAMESIZE + 2];
	struct in6_addr six;
	struct in_addr four;
	char *scope;

	snprintf(copy, sizeof(copy), "%s", address);
	scope = strchr(copy, '%');
	if (scope)
		*scope = 0;
	if (inet_pton(AF_INET, copy, &four) == 1) {
		if (IN_MULTICAST(ntohl(four.s_addr)) || four.s_addr == INADDR_BROADCAST)
			return refuse(v, "is a multicast or broadcast address");
		return true;
	}
	if (inet_pton(AF_INET6, copy, &six) == 1) {
		if (IN6_IS_ADDR_MULTICAST(&six))
			return refuse(v, "is a multicast address");
		if (IN6_IS_ADDR_LINKLOCAL(&six) && !scope)
			return refuse(v,
				      "is a link-local address and needs its device, as "
				      "fe80::1%%eth0");
	}
	return true;
}

static bool set_address(const struct value *v)
{
	char address[INET6_ADDRSTRLEN + IF_NAMESIZE + 2];

	if (!shorten(v->text, address, sizeof(address)))
		return refuse(v, "is not an IPv4 or IPv6 address (a port has a key of its own)");
	return usable_address(v, address) && store(v, address);
}

/* Letters, digits, dots and dashes, and not all digits: 10.1.1 is a mistyped address. */
static bool is_host_name(const char *text)
{
	bool letter = false;
	size_t length = strlen(text);

	if (length > HOST_MAX || text[0] == '.' || text[0] == '-')
		return false;
	for (; *text; text++) {
		if (!isascii(*text) || (!isalnum((unsigned char)*text) && !strchr("._-", *text)))
			return false;
		letter = letter || isalpha((unsigned char)*text);
	}
	return letter;
}

static bool set_portal(const struct value *v)
{
	char address[INET6_ADDRSTRLEN + IF_NAMESIZE + 2];

	if (!shorten(v->text, address, sizeof(address))) {
		if (!is_host_name(v->text))
			return refuse(v,
				      "is not an address or a host name (a port has a key of its "
				      "own)");
		return store(v, v->text);
	}
	if (strcmp(address, "0.0.0.0") == 0 || strcmp(address, "::") == 0)
		return refuse(v, "is no server's address");
	return usable_address(v, address) && store(v, address);
}

enum conf_right conf_right(char *const *clients, const char *name)
{
	size_t n = strlen(name);

	if (!clients)
		return CONF_RIGHT_WRITE;
	for (; *clients; clients++)
		if (strncmp(*clients, name, n) == 0 && (!(*clients)[n] || (*clients)[n] == ':'))
			return (*clients)[n] ? CONF_RIGHT_READ : CONF_RIGHT_WRITE;
	return CONF_RIGHT_NONE;
}

/* NAME, or where rights are given NAME:ro; NAME:rw is the same as NAME. */
static bool list_word(const struct value *v, char *word)
{
	char *right = v->row->type == CONF_TYPE_ACCESS ? strchr(word, ':') : NULL;
	bool good;

	if (right && strcmp(right, ":ro") != 0 && strcmp(right, ":rw") != 0)
		return false;
	if (right)
		*right = 0;
	good = conf_name_valid(word);
	if (right && right[2] == 'o')
		*right = ':';
	return good;
}

static bool repeats(char *const *list, const char *word)
{
	char name[CONF_NAME_MAX + 1];

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(word, ":"), word);
	return list && conf_right(list, name) != CONF_RIGHT_NONE;
}

/* Names with blanks or commas between. */
static bool set_list(const struct value *v)
{
	char copy[CONF_LINE_MAX + 1], *next = copy, *word, **list = NULL;
	size_t count = 0;

	snprintf(copy, sizeof(copy), "%s", v->text);
	while ((word = strsep(&next, " \t,"))) {
		char **more;

		if (!*word)
			continue;
		if (!list_word(v, word)) {
			conf_list_free(list);
			return refuse(v, v->row->file == CONF_FILE_HOSTS ? "is not a list of names" :
				      v->row->type == CONF_TYPE_ACCESS ?
				      "is not a list of client names, each perhaps with :ro" : "is not a list of client names");
		}
		if (repeats(list, word)) {
			conf_list_free(list);
			return refuse(v, v->row->file == CONF_FILE_HOSTS ? "names one twice" : "names a client twice");
		}
		more = realloc(list, (count + 2) * sizeof(*list));
		if (!more) {
			v->parse->no_memory = true;
			break;
		}
		list = more;
		list[count++] = conf_dup(v->parse, word);
		list[count] = NULL;
	}
	if (!count) {
		conf_list_free(list);
		return refuse(v, "names no client");
	}
	conf_list_free(*(char ***)v->to);
	*(char ***)v->to = list;
	return true;
}

static bool set_uuid(const struct value *v)
{
	static const uint8_t nil[16];
	uint8_t uuid[16];
	const char *p = v->text;

	for (size_t i = 0; i < sizeof(uuid); i++) {
		char digits[3] = "";

		if ((i == 4 || i == 6 || i == 8 || i == 10) && *p++ != '-')
			return refuse(v, "is not a UUID (8-4-4-4-12 hex digits)");
		for (int d = 0; d < 2; d++, p++) {
			if (!isxdigit((unsigned char)*p))
				return refuse(v, "is not a UUID (8-4-4-4-12 hex digits)");
			digits[d] = *p;
		}
		uuid[i] = (uint8_t)strtoul(digits, NULL, 16);
	}
	if (*p || memcmp(uuid, nil, sizeof(nil)) == 0)
		return refuse(v, "is not a UUID (8-4-4-4-12 hex digits, not all zero)");
	memcpy(v->to, uuid, sizeof(uuid));
	return true;
}

bool conf_value_set(struct conf_parse *p, const struct conf_key_row *row, void *base,
		    const char *text, char *why)
{
	struct value v = {
		.parse = p, .row = row, .text = text, .to = (char *)base + row->offset, .why = why,
	};

	switch ((enum conf_type)row->type) {
	case CONF_TYPE_TEXT: return set_text(&v);
	case CONF_TYPE_PATH: return set_path(&v);
	case CONF_TYPE_DEVICE: return set_device(&v);
	case CONF_TYPE_ADDRESS: return set_address(&v);
	case CONF_TYPE_PORTAL: return set_portal(&v);
	case CONF_TYPE_LIST:
	case CONF_TYPE_ACCESS: return set_list(&v);
	case CONF_TYPE_UUID: return set_uuid(&v);
	case CONF_TYPE_NAME: return set_name(&v);
	case CONF_TYPE_KEY: return conf_node_key(p, text, v.to, why);
	case CONF_TYPE_INT: return set_int(&v);
	case CONF_TYPE_DURATION: return set_duration(&v);
	case CONF_TYPE_MICROSECONDS:
	case CONF_TYPE_MICROSECONDS_OR_AUTO: return set_microseconds(&v);
	case CONF_TYPE_BOOL: return set_bool(&v);
	case CONF_TYPE_MODE: return set_mode(&v);
	case CONF_TYPE_OWNER: return conf_set_owner(v.to, text, why);
	case CONF_TYPE_GROUP: return conf_set_group(v.to, text, why);
	case CONF_TYPE_PERMISSIONS: return conf_set_permissions(v.to, text, why);
	case CONF_TYPE_SECURITY: return set_security(&v);
	case CONF_TYPE_POLICY: return set_policy(&v);
	case CONF_TYPE_WEIGHTS:
	case CONF_TYPE_STANDBYS: return set_shares(&v);
	case CONF_TYPE_ON_LOSS: return set_on_loss(&v);
	case CONF_TYPE_DISCOVERY: return set_discovery(&v);
	case CONF_TYPE_PROTOCOL: return set_protocol(&v);
	}
	return false;
}

void conf_fill_defaults(struct conf_parse *p, enum conf_file file, const char *section, void *base)
{
	size_t count;
	const struct conf_key_row *rows = conf_key_table(&count);
	char why[CONF_WHY_MAX];

	for (size_t i = 0; i < count; i++)
		if (rows[i].file == file && strcmp(rows[i].section, section) == 0 &&
		    rows[i].fallback && rows[i].type >= CONF_TYPE_NAME)
			conf_value_set(p, &rows[i], base, rows[i].fallback, why);
}

bool conf_fill(struct conf_parse *p, const struct conf_section *s, void *base)
{
	size_t count, before = p->mistake_count - p->warning_count;
	const struct conf_key_row *rows = conf_key_table(&count);
	char why[CONF_WHY_MAX];

	for (size_t i = 0; i < s->count; i++) {
		const struct conf_entry *e = &s->entries[i];

		if (!e->row || !e->value)
			continue;
		if (!conf_value_set(p, e->row, base, e->value, why))
			conf_mistake(p, e->line, s, e->row->name, "%s", why);
		else if (e->row->need == CONF_INERT)
			conf_warning(p, e->line, s, e->row->name, "has no effect in this version");
	}
	for (size_t i = 0; i < count; i++)
		if (rows[i].need == CONF_REQUIRED && rows[i].file == s->row->file &&
		    strcmp(rows[i].section, s->row->kind) == 0 && !conf_has(s, rows[i].name))
			conf_mistake(p, s->line, s, rows[i].name, "is missing (%s)", rows[i].kind);
	return p->mistake_count - p->warning_count == before;
}
