/*
 * manage_do.c - the ops: what each asks for, and how the catalog is told.  See manage_impl.h.
 */
#include <errno.h>
#include <string.h>
#include "manage_impl.h"
#include "manage_ops.h"

#define AT(field) offsetof(struct manage_work, field)
#define NAME(member, field, needed) { member, MEMBER_NAME, AT(field), needed, 1, CONF_NAME_MAX, 0 }
#define SNAP(member, field, needed) { member, MEMBER_SNAPSHOT, AT(field), needed, 1, CONF_NAME_MAX, 0 }
#define SIZE_MOST 9223372036854775296u	/* 2^63 - 512 */
#define END { NULL, 0, 0, false, 0, 0, 0 }

static int not_yet(struct server *s, const struct task *t, json_t **result, struct err *e)
{
	(void)s;
	(void)result;
	return err_set(e, EOPNOTSUPP, "this version of rssrv cannot %s", t->work.op->name);
}

static const struct member create_members[] = {
	NAME("volume", volume, true),
	NAME("pool", pool, false),
	{ "size", MEMBER_SIZE, AT(size), true, 512, SIZE_MOST, 0 },
	{ "preallocate", MEMBER_BOOL, AT(preallocate), false, 0, 0, 0 },
	{ "if_missing", MEMBER_BOOL, AT(if_missing), false, 0, 0, 0 },
	END
};
static const struct member resize_members[] = {
	NAME("volume", volume, true),
	{ "size", MEMBER_SIZE, AT(size), true, 512, SIZE_MOST, 0 },
	{ "confirm", MEMBER_TEXT, AT(confirm), false, 1, WIRE_VOLUME_NAME_MAX, AT(has_confirm) },
	END
};
static const struct member rename_members[] = {
	NAME("volume", volume, true),
	NAME("to", to, true),
	END
};
static const struct member remove_members[] = {
	NAME("volume", volume, true),
	{ "confirm", MEMBER_TEXT, AT(confirm), true, 1, WIRE_VOLUME_NAME_MAX, AT(has_confirm) },
	{ "snapshots", MEMBER_BOOL, AT(snapshots), false, 0, 0, 0 },
	END
};
static const struct member snapshot_members[] = {
	{ "volumes", MEMBER_VOLUMES, AT(volumes), true, 1, SNAPSHOT_VOLUMES_MAX, 0 },
	SNAP("name", snapshot, true),
	{ "hold_limit", MEMBER_REAL, AT(hold_limit), false, 10, 10000, 0 },
	END
};
static const struct member snapshot_remove_members[] = {
	NAME("volume", volume, true),
	SNAP("snapshot", snapshot, true),
	END
};
static const struct member rollback_members[] = {
	NAME("volume", volume, true),
	SNAP("snapshot", snapshot, true),
	{ "confirm", MEMBER_TEXT, AT(confirm), true, 1, WIRE_VOLUME_NAME_MAX, AT(has_confirm) },
	END
};
static const struct member clone_members[] = {
	{ "volume", MEMBER_SOURCE, AT(volume), true, 1, WIRE_VOLUME_NAME_MAX, 0 },
	NAME("to", to, false),
	NAME("prefix", prefix, false),
	{ "count", MEMBER_COUNT, AT(count), false, 1, CLONES_MAX, 0 },
	NAME("pool", pool, false),
	END
};
static const struct member copy_members[] = {
	{ "volume", MEMBER_SOURCE, AT(volume), true, 1, WIRE_VOLUME_NAME_MAX, 0 },
	NAME("to", to, true),
	NAME("pool", pool, false),
	END
};
static const struct member limit_members[] = {
	NAME("volume", volume, true),
	NAME("client", client, false),
	{ "iops", MEMBER_COUNT, AT(iops), false, 0, 1000000000, AT(has_iops) },
	{ "mbps", MEMBER_REAL, AT(mbps), false, 0, 1000000000, AT(has_mbps) },
	{ "burst", MEMBER_REAL, AT(burst), false, 0, 3600000, AT(has_burst) },
	END
};
static const struct member access_members[] = {
	NAME("volume", volume, true),
	{ "clients", MEMBER_CLIENTS, AT(clients), true, 1, ACCESS_CLIENTS_MAX, 0 },
	END
};
static const struct member label_members[] = {
	NAME("volume", volume, true),
	{ "text", MEMBER_TEXT, AT(text), true, 0, LABEL_MAX, 0 },
	END
};
static const struct member schedule_members[] = {
	NAME("volume", volume, true),
	{ "every", MEMBER_REAL, AT(every), true, 0, EVERY_MAX * 1000ull, 0 },
	{ "keep", MEMBER_COUNT, AT(keep), false, 1, KEEP_MAX, 0 },
	END
};

static const struct manage_op ops[] = {
	{ "create", create_members, not_yet },
	{ "resize", resize_members, not_yet },
	{ "rename", rename_members, not_yet },
	{ "remove", remove_members, not_yet },
	{ "snapshot", snapshot_members, not_yet },
	{ "snapshot_remove", snapshot_remove_members, not_yet },
	{ "rollback", rollback_members, not_yet },
	{ "clone", clone_members, not_yet },
	{ "copy", copy_members, not_yet },
	{ "limit", limit_members, not_yet },
	{ "access", access_members, not_yet },
	{ "label", label_members, not_yet },
	{ "schedule", schedule_members, not_yet },
};

const struct manage_op *manage_op(const char *name)
{
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
		if (strcmp(ops[i].name, name) == 0)
			return &ops[i];
	return NULL;
}
