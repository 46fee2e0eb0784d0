/*
 * conf_keys.c - the sections and keys of the files, a row each.
 *
 * The parser, the defaults, "did you mean" and the test of the man pages all
 * come from these rows: a key is added here, in its struct and in its page.
 */
#include <string.h>
#include "opt.h"
#include "conf_impl.h"

#define AT(type, field) offsetof(struct type, field)
#define PORT 1, 65535
#define MINUTE (60 * 1000)
#define DAY (24 * 60 * MINUTE)

static const struct conf_section_row section_rows[] = {
	{ CONF_FILE_CLIENT, "defaults", CONF_UNNAMED, false },
	{ CONF_FILE_CLIENT, "interface", CONF_NAMED, false },
	{ CONF_FILE_CLIENT, "namespace", CONF_NAMED, true },
	{ CONF_FILE_CLIENT, "server", CONF_NAMED, false },
	{ CONF_FILE_CLIENT, "volume", CONF_NAMED_VOLUME, false },
	{ CONF_FILE_SERVER, "namespace", CONF_NAMED, false },
	{ CONF_FILE_SERVER, "server", CONF_NAMED, false },
	{ CONF_FILE_SERVER, "interface", CONF_NAMED, false },
	{ CONF_FILE_SERVER, "clients", CONF_UNNAMED, true },
	{ CONF_FILE_SERVER, "pool", CONF_NAMED, false },
	{ CONF_FILE_SERVER, "volume", CONF_NAMED, false },
	{ CONF_FILE_HOSTS, "host", CONF_NAMED, false },
	{ CONF_FILE_FLEET, "namespace", CONF_NAMED, false },
	{ CONF_FILE_FLEET, "client", CONF_NAMED, false },
	{ CONF_FILE_FLEET, "server", CONF_NAMED, false },
	{ CONF_FILE_FLEET, "interface", CONF_NAMED, false },
	{ CONF_FILE_FLEET, "pool", CONF_NAMED, false },
	{ CONF_FILE_FLEET, "volume", CONF_NAMED, false },
};
#define SECTION_ROWS (sizeof(section_rows) / sizeof(section_rows[0]))

#define SECURITY "tls|auth"
#define POLICY "adaptive|round-robin|round-robin-subset|fail-over|least-queue|weighted"
#define WEIGHTS "INTERFACE=N,INTERFACE=N"
#define STANDBYS "INTERFACE,INTERFACE"
#define ON_LOSS "fail|read-only|queue"

#define MUST CONF_REQUIRED
#define MAY CONF_OPTIONAL
#define INERT CONF_INERT

/* [defaults] and [namespace] of the client have these in common. */
#define BEHAVIOUR(section, base, field, of)							\
	{ CONF_FILE_CLIENT, section, "security", SECURITY, of("tls"),				\
	  "How paths are secured.",								\
	  MAY, CONF_TYPE_SECURITY, AT(base, field security), 0, 0 },				\
	{ CONF_FILE_CLIENT, section, "policy", POLICY, of("adaptive"),				\
	  "How the next command picks its path.",						\
	  MAY, CONF_TYPE_POLICY, AT(base, field policy), 0, 0 },				\
	{ CONF_FILE_CLIENT, section, "weight", WEIGHTS, of("1 for each"),			\
	  "What each interface gets with the policy weighted.",					\
	  MAY, CONF_TYPE_WEIGHTS, AT(base, field shares), 0, 0 },				\
	{ CONF_FILE_CLIENT, section, "standby", STANDBYS, of("none"),			\
	  "The interfaces that round-robin-subset keeps for when another fails.",		\
	  MAY, CONF_TYPE_STANDBYS, AT(base, field shares), 0, 0 },				\
	{ CONF_FILE_CLIENT, section, "detect", "duration", of("2s"),				\
	  "A path that owes an answer and says nothing for so long has failed.",		\
	  MAY, CONF_TYPE_DURATION, AT(base, field detect), 10, 60 * MINUTE },			\
	{ CONF_FILE_CLIENT, section, "retry", "duration", of("0.5s"),				\
	  "The wait before a failed path is tried again.",					\
	  MAY, CONF_TYPE_DURATION, AT(base, field retry), 10, 1000 },				\
	{ CONF_FILE_CLIENT, section, "probation", "duration", of("10s"),			\
	  "How long a path that was lost again and again is used only when no better one is left.",	\
	  MAY, CONF_TYPE_DURATION, AT(base, field probation), 0, DAY },			\
	{ CONF_FILE_CLIENT, section, "give-up", "duration", of("120s"),				\
	  "With no path left, I/O waits for so long before on-loss applies.",			\
	  MAY, CONF_TYPE_DURATION, AT(base, field give_up), 10, 7 * DAY },			\
	{ CONF_FILE_CLIENT, section, "on-loss", ON_LOSS, of("fail"),				\
	  "What happens after give-up.",							\
	  MAY, CONF_TYPE_ON_LOSS, AT(base, field on_loss), 0, 0 },				\
	{ CONF_FILE_CLIENT, section, "learn-portals", "yes|no", of("yes"),			\
	  "Whether portals that a server tells of are used.",					\
	  MAY, CONF_TYPE_BOOL, AT(base, field learn_portals), 0, 0 },				\
	{ CONF_FILE_CLIENT, section, "payload-crc", "yes|no", of("yes"),			\
	  "Whether data carries a checksum on the wire.",					\
	  MAY, CONF_TYPE_BOOL, AT(base, field payload_crc), 0, 0 },				\
	{ CONF_FILE_CLIENT, section, "poll", "auto|microseconds", of("auto"),			\
	  "How long to look for more work before sleeping.",					\
	  MAY, CONF_TYPE_MICROSECONDS_OR_AUTO, AT(base, field poll), 0, 100000 }

#define ITSELF(text) text
#define INHERITED(text) "as in [defaults]"

/* [namespace] and [server] of the server have these in common. */
#define SERVICE(section, of)									\
	{ CONF_FILE_SERVER, section, "security", SECURITY, of("tls"),				\
	  "The least that is accepted from a client.",						\
	  MAY, CONF_TYPE_SECURITY, AT(conf_server, security), 0, 0 },				\
	{ CONF_FILE_SERVER, section, "user", "user", of("rsio where that user exists"),		\
	  "Who the server becomes once its portals and pools are open.",			\
	  MAY, CONF_TYPE_TEXT, AT(conf_server, user), 0, 0 },					\
	{ CONF_FILE_SERVER, section, "fence-command", "command", NULL,				\
	  "Ends another server of the namespace that keeps its claims, or says that it is off.",	\
	  MAY, CONF_TYPE_TEXT, AT(conf_server, fence_command), 0, 0 },			\
	{ CONF_FILE_SERVER, section, "on-event", "command", NULL,				\
	  "Is run when something happens.",							\
	  INERT, CONF_TYPE_TEXT, AT(conf_server, on_event), 0, 0 },				\
	{ CONF_FILE_SERVER, section, "poll", "microseconds", of("0"),				\
	  "How long to look for more work before sleeping.",					\
	  MAY, CONF_TYPE_MICROSECONDS, AT(conf_server, poll), 0, 100000 }

/* Whose volumes are. */
#define OWN(section, base, of)									\
	{ CONF_FILE_CLIENT, section, "owner", "user", of("root, or the user who runs rsiod"),	\
	  "Whose the file is.",									\
	  MAY, CONF_TYPE_OWNER, AT(base, own), 0, 0 },						\
	{ CONF_FILE_CLIENT, section, "group", "group", of("disk, or that user's"),		\
	  "Which group's the file is.",								\
	  MAY, CONF_TYPE_GROUP, AT(base, own), 0, 0 },						\
	{ CONF_FILE_CLIENT, section, "mode", "permissions", of("0660, or 0600 where a user runs rsiod"), \
	  "Who may read and write it, from 0000 to 0777.",					\
	  MAY, CONF_TYPE_PERMISSIONS, AT(base, own), 0, 0 }
#define DEFAULT_OWN(text) text
#define FROM_OWN(text) "as in [namespace]"

#define FROM_NAMESPACE(text) "as in [namespace]"

#define CLT CONF_FILE_CLIENT
#define SRV CONF_FILE_SERVER
#define HST CONF_FILE_HOSTS
#define FLT CONF_FILE_FLEET

static const struct conf_key_row key_rows[] = {
	{ CLT, "defaults", "port", "1..65535", "5000", "The portals' port.",
	  MAY, CONF_TYPE_INT, AT(conf_defaults, port), PORT },
	{ CLT, "defaults", "protocol", "tcp", "tcp", "What carries the frames.",
	  MAY, CONF_TYPE_PROTOCOL, 0, 0, 0 },
	BEHAVIOUR("defaults", conf_defaults, behaviour., ITSELF),
	{ CLT, "defaults", "mount", "directory", "/rsio, for a plain user ~/rsio",
	  "Where the tree is mounted.",
	  MAY, CONF_TYPE_PATH, AT(conf_defaults, mount), 0, 0 },
	{ CLT, "defaults", "admin-group", "group", NULL,
	  "Whose members may change things beside root and the owner.",
	  MAY, CONF_TYPE_TEXT, AT(conf_defaults, admin_group), 0, 0 },
	{ CLT, "defaults", "allow-other", "yes|no", "yes",
	  "Whether others than root get into the tree that root mounts.",
	  MAY, CONF_TYPE_BOOL, AT(conf_defaults, allow_other), 0, 0 },
	{ CLT, "defaults", "manage", "yes|no", "no",
	  "Whether touch, mv and rm in the tree make, rename and remove volumes.",
	  MAY, CONF_TYPE_BOOL, AT(conf_defaults, manage), 0, 0 },
	{ CLT, "defaults", "on-event", "command", NULL, "Is run when something happens.",
	  INERT, CONF_TYPE_TEXT, AT(conf_defaults, on_event), 0, 0 },

	{ CLT, "interface", "address", "address", NULL, "The address paths start from.",
	  MAY, CONF_TYPE_ADDRESS, AT(conf_interface, address), 0, 0 },
	{ CLT, "interface", "device", "device", NULL, "The network device paths start from.",
	  MAY, CONF_TYPE_DEVICE, AT(conf_interface, device), 0, 0 },
	{ CLT, "interface", "port", "1..65535", "as in [namespace]",
	  "The port of the portals that are reached from here.",
	  MAY, CONF_TYPE_INT, AT(conf_interface, port), PORT },
	{ CLT, "interface", "protocol", "tcp", "as in [namespace]",
	  "What carries the frames.",
	  MAY, CONF_TYPE_PROTOCOL, 0, 0, 0 },

	{ CLT, "namespace", "namespaceid", "0..65535", NULL,
	  "The namespace's number, as its servers have it.",
	  MUST, CONF_TYPE_INT, AT(conf_namespace, id), 0, 65535 },
	{ CLT, "namespace", "nodename", "name", NULL,
	  "This host's name, as the servers' [clients] have it.",
	  MUST, CONF_TYPE_NAME, AT(conf_namespace, nodename), 0, 0 },
	{ CLT, "namespace", "nodekey", "key", NULL,
	  "The secret that goes with the node name.",
	  MUST, CONF_TYPE_KEY, AT(conf_namespace, key), 0, 0 },
	{ CLT, "namespace", "port", "1..65535", "as in [defaults]", "The portals' port.",
	  MAY, CONF_TYPE_INT, AT(conf_namespace, port), PORT },
	{ CLT, "namespace", "protocol", "tcp", "as in [defaults]",
	  "What carries the frames.",
	  MAY, CONF_TYPE_PROTOCOL, 0, 0, 0 },
	BEHAVIOUR("namespace", conf_namespace, behaviour., INHERITED),
	OWN("namespace", conf_namespace, DEFAULT_OWN),
	{ CLT, "namespace", "manage", "yes|no", "as in [defaults]",
	  "Whether touch, mv and rm in the tree make, rename and remove volumes.",
	  MAY, CONF_TYPE_BOOL, AT(conf_namespace, manage), 0, 0 },

	{ CLT, "server", "address", "address or host name", NULL, "The portal's address.",
	  MUST, CONF_TYPE_PORTAL, AT(conf_portal, address), 0, 0 },
	{ CLT, "server", "port", "1..65535", "as in [interface]", "The portal's port.",
	  MAY, CONF_TYPE_INT, AT(conf_portal, port), PORT },
	{ CLT, "server", "protocol", "tcp", "as in [interface]", "What carries the frames.",
	  MAY, CONF_TYPE_PROTOCOL, 0, 0, 0 },

	{ CLT, "volume", "policy", POLICY "|least-blocks", "as in [namespace]",
	  "How this volume's next command picks its path.",
	  MAY, CONF_TYPE_POLICY, AT(conf_volume_rule, policy), 0, 0 },
	{ CLT, "volume", "weight", WEIGHTS, "1 for each",
	  "What each interface gets of this volume with the policy weighted.",
	  MAY, CONF_TYPE_WEIGHTS, AT(conf_volume_rule, shares), 0, 0 },
	{ CLT, "volume", "standby", STANDBYS, "none",
	  "The interfaces that round-robin-subset keeps for when another fails.",
	  MAY, CONF_TYPE_STANDBYS, AT(conf_volume_rule, shares), 0, 0 },
	{ CLT, "volume", "on-loss", ON_LOSS, "as in [namespace]",
	  "What happens to this volume after give-up.",
	  MAY, CONF_TYPE_ON_LOSS, AT(conf_volume_rule, on_loss), 0, 0 },
	OWN("volume", conf_volume_rule, FROM_OWN),
	{ CLT, "volume", "attach", "yes|no", "no",
	  "Whether the volume gets a block device at start.",
	  MAY, CONF_TYPE_BOOL, AT(conf_volume_rule, attach), 0, 0 },
	{ CLT, "volume", "exclusive", "yes|no", "no",
	  "Whether no other client may have the volume open while its block device is there.",
	  MAY, CONF_TYPE_BOOL, AT(conf_volume_rule, exclusive), 0, 0 },

	{ SRV, "namespace", "namespaceid", "0..65535", NULL, "The namespace's number.",
	  MUST, CONF_TYPE_INT, AT(conf_server, namespace_id), 0, 65535 },
	{ SRV, "namespace", "port", "1..65535", "5000", "The portals' port.",
	  MAY, CONF_TYPE_INT, AT(conf_server, port), PORT },
	{ SRV, "namespace", "protocol", "tcp", "tcp", "What carries the frames.",
	  MAY, CONF_TYPE_PROTOCOL, 0, 0, 0 },
	{ SRV, "namespace", "discovery", "all|names|none", "all",
	  "What strangers are told who look for servers.",
	  MAY, CONF_TYPE_DISCOVERY, AT(conf_server, discovery), 0, 0 },
	SERVICE("namespace", ITSELF),

	{ SRV, "server", "serverid", "0..255", NULL,
	  "The server's number in its namespace.",
	  MUST, CONF_TYPE_INT, AT(conf_server, server_id), 0, 255 },
	SERVICE("server", FROM_NAMESPACE),
	{ SRV, "server", "metrics", "file", NULL,
	  "Where the server writes what it does, as OpenMetrics text.",
	  MAY, CONF_TYPE_PATH, AT(conf_server, metrics), 0, 0 },
	{ SRV, "server", "metrics-interval", "duration", "15s",
	  "How often it does.",
	  MAY, CONF_TYPE_DURATION, AT(conf_server, metrics_interval), 1000, 60 * MINUTE },

	{ SRV, "interface", "address", "address", NULL, "Where the portal listens.",
	  MAY, CONF_TYPE_ADDRESS, AT(conf_listen, address), 0, 0 },
	{ SRV, "interface", "device", "device", NULL,
	  "The network device the portal listens on.",
	  MAY, CONF_TYPE_DEVICE, AT(conf_listen, device), 0, 0 },
	{ SRV, "interface", "port", "1..65535", "as in [namespace]", "The portal's port.",
	  MAY, CONF_TYPE_INT, AT(conf_listen, port), PORT },
	{ SRV, "interface", "protocol", "tcp", "as in [namespace]",
	  "What carries the frames.",
	  MAY, CONF_TYPE_PROTOCOL, 0, 0, 0 },

	{ SRV, "pool", "path", "directory", NULL, "Where the pool's volumes are.",
	  MUST, CONF_TYPE_PATH, AT(conf_pool, path), 0, 0 },
	{ SRV, "pool", "clients", "clients, CLIENT:ro", "every client",
	  "Who sees the pool's volumes, and who of them may only read them.",
	  MAY, CONF_TYPE_ACCESS, AT(conf_pool, clients), 0, 0 },
	{ SRV, "pool", "manage", "clients", "every client",
	  "Who may create and change volumes.",
	  MAY, CONF_TYPE_LIST, AT(conf_pool, manage), 0, 0 },
	{ SRV, "pool", "shared", "yes|no", "no",
	  "Whether other servers use the directory too.",
	  MAY, CONF_TYPE_BOOL, AT(conf_pool, shared), 0, 0 },
	{ SRV, "pool", "overcommit", "yes|no", "no",
	  "Whether its volumes may be promised more space than there is.",
	  MAY, CONF_TYPE_BOOL, AT(conf_pool, overcommit), 0, 0 },

	{ SRV, "volume", "path", "file or block device", NULL, "What the volume is kept in.",
	  MUST, CONF_TYPE_PATH, AT(conf_volume, path), 0, 0 },
	{ SRV, "volume", "mode", "rw|ro", "rw", "Whether it can be written to.",
	  MAY, CONF_TYPE_MODE, AT(conf_volume, read_only), 0, 0 },
	{ SRV, "volume", "clients", "clients, CLIENT:ro", "every client",
	  "Who sees the volume, and who of them may only read it.",
	  MAY, CONF_TYPE_ACCESS, AT(conf_volume, clients), 0, 0 },
	{ SRV, "volume", "uuid", "UUID", "made once and kept",
	  "The volume's identity.",
	  MAY, CONF_TYPE_UUID, AT(conf_volume, uuid), 0, 0 },
	{ SRV, "volume", "shared", "yes|no", "no",
	  "Whether other servers offer it too.",
	  MAY, CONF_TYPE_BOOL, AT(conf_volume, shared), 0, 0 },
	{ SRV, "volume", "av", "0..3", "0", "The N of the proposed /dev/avN.",
	  MAY, CONF_TYPE_INT, AT(conf_volume, av), 0, 3 },

	{ HST, "host", "address", "address or host name", "NAME", "Where it is.",
	  MAY, CONF_TYPE_TEXT, AT(conf_host, address), 0, 0 },
	{ HST, "host", "user", "user", "as ssh would take", "Who logs in.",
	  MAY, CONF_TYPE_TEXT, AT(conf_host, user), 0, 0 },
	{ HST, "host", "port", "1..65535", "as ssh would take", "Where sshd listens.",
	  MAY, CONF_TYPE_INT, AT(conf_host, port), PORT },
	{ HST, "host", "identity", "file", "as ssh would take", "The private key to log in with.",
	  MAY, CONF_TYPE_TEXT, AT(conf_host, identity), 0, 0 },
	{ HST, "host", "fingerprint", "SHA256:TEXT", NULL, "The host's key.",
	  MAY, CONF_TYPE_TEXT, AT(conf_host, fingerprint), 0, 0 },
	{ HST, "host", "role", "names", NULL, "The groups of hosts that it belongs to.",
	  MAY, CONF_TYPE_LIST, AT(conf_host, roles), 0, 0 },
	{ HST, "host", "namespace", "name", NULL, "The namespace that its server is of.",
	  MAY, CONF_TYPE_NAME, AT(conf_host, namespace), 0, 0 },

	/* Beside the server's keys, which a fleet's sections of the same names take: in_file(). */
	{ FLT, "client", "host", "[user@]host[:port]", "NAME", "Where the client is.",
	  MAY, CONF_TYPE_TEXT, AT(conf_fleet_client, host), 0, 0 },
	{ FLT, "client", "config", "file", "/etc/rscltcfg", "Its configuration there.",
	  MAY, CONF_TYPE_PATH, AT(conf_fleet_client, config), 0, 0 },
	{ FLT, "server", "host", "[user@]host[:port]", "NAME", "Where the server is.",
	  MAY, CONF_TYPE_TEXT, AT(conf_fleet_server, host), 0, 0 },
};
#define KEY_ROWS (sizeof(key_rows) / sizeof(key_rows[0]))

const struct conf_key_row *conf_key_table(size_t *count)
{
	*count = KEY_ROWS;
	return key_rows;
}

const struct conf_section_row *conf_section_find(enum conf_file file, const char *kind)
{
	for (size_t i = 0; i < SECTION_ROWS; i++)
		if (section_rows[i].file == file && strcmp(section_rows[i].kind, kind) == 0)
			return &section_rows[i];
	return NULL;
}

void conf_section_kinds(enum conf_file file, const char **kinds, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < SECTION_ROWS && n + 1 < max; i++)
		if (section_rows[i].file == file)
			kinds[n++] = section_rows[i].kind;
	kinds[n] = NULL;
}

const char *conf_hint(char *buf, size_t size, const char *word, const char *const *candidates)
{
	const char *nearest = opt_nearest(word, candidates);

	buf[0] = 0;
	if (nearest)
		snprintf(buf, size, " (did you mean %s?)", nearest);
	return buf;
}

static bool in_file(const struct conf_key_row *row, enum conf_file file)
{
	return row->file == file || (file == CONF_FILE_FLEET && row->file == CONF_FILE_SERVER);
}

const struct conf_key_row *conf_key_find(const struct conf_section_row *section, const char *name,
					 char *hint, size_t size)
{
	const char *names[KEY_ROWS + 1], *elsewhere = NULL;
	size_t n = 0;

	for (size_t i = 0; i < KEY_ROWS; i++) {
		const struct conf_key_row *row = &key_rows[i];

		if (!in_file(row, section->file))
			continue;
		if (strcmp(row->section, section->kind) != 0) {
			if (!elsewhere && strcmp(row->name, name) == 0)
				elsewhere = row->section;
			continue;
		}
		if (strcmp(row->name, name) == 0)
			return row;
		names[n++] = row->name;
	}
	names[n] = NULL;
	if (elsewhere)
		snprintf(hint, size, " here; it belongs in [%s]", elsewhere);
	else
		conf_hint(hint, size, name, names);
	return NULL;
}

int conf_key_line(const struct conf_section *s, const char *key)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->entries[i].row && strcmp(s->entries[i].row->name, key) == 0)
			return s->entries[i].line;
	return s->line;
}

bool conf_has(const struct conf_section *s, const char *key)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->entries[i].row && strcmp(s->entries[i].row->name, key) == 0)
			return true;
	return false;
}

bool conf_is_kind(const struct conf_section *s, const char *kind)
{
	return s->row && strcmp(s->row->kind, kind) == 0;
}

void conf_copy_name(char to[CONF_NAME_MAX + 1], const struct conf_section *s)
{
	snprintf(to, CONF_NAME_MAX + 1, "%.*s", CONF_NAME_MAX, s->name);
}
