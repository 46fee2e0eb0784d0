/*
 * manage_ops.h - the table of what may be asked for: a row for each op, and one for each of
 * its members.  manage_parse.c reads requests by it.
 */
#ifndef RSSRV_MANAGE_OPS_H
#define RSSRV_MANAGE_OPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum member_kind {
	MEMBER_NAME,		/* a name */
	MEMBER_SNAPSHOT,	/* a name that is not a bare number */
	MEMBER_SOURCE,		/* VOLUME or VOLUME@SNAPSHOT */
	MEMBER_TEXT,		/* at most max bytes */
	MEMBER_VOLUMES,		/* min to max distinct names */
	MEMBER_CLIENTS,		/* the same, each perhaps with ":ro"; or null */
	MEMBER_SIZE,		/* whole blocks of 512 bytes */
	MEMBER_COUNT,		/* min to max */
	MEMBER_REAL,		/* min to max thousandths */
	MEMBER_BOOL,
	MEMBER_UUID,		/* as text; 16 bytes */
	MEMBER_GENERATION,	/* as text, since it has 64 bits */
};

struct member {
	const char *name;	/* NULL: behind the last */
	enum member_kind kind;
	size_t offset;		/* in struct manage_work */
	bool needed;
	uint64_t min, max;	/* of texts: max is what its place in struct manage_work holds */
	size_t given;		/* the bool that says it was there; 0: none */
};

#endif
