/*
 * deploy_check.c - what stands in the way of a server on that host, and what is worth knowing
 * before there is one.  Every refusal says what to do about it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "deploy.h"

#define KERNEL_MAJOR 4
#define KERNEL_MINOR 18
#define CLOCK_OFF 30			/* seconds that clocks may differ before it is said */
#define STATE_ROOM (8u << 20)		/* for logs, identities, the configuration */
#define POOL_ROOM (64u << 20)		/* below it a pool is worth a warning */

static struct deploy_finding *find(struct deploy_findings *out, enum deploy_level level, const char *what,
				   const char *fmt, ...) __attribute__((format(printf, 4, 5)));
static struct deploy_finding *find(struct deploy_findings *out, enum deploy_level level, const char *what,
				   const char *fmt, ...)
{
	struct deploy_finding *f = &out->all[out->count];
	va_list args;

	if (out->count == DEPLOY_FINDINGS_MAX - 1)
		f = &out->all[out->count - 1];		/* the last one is overwritten: there are too many anyway */
	else
		out->count++;
	*f = (struct deploy_finding){ .level = level, .what = what };
	va_start(args, fmt);
	vsnprintf(f->text, sizeof(f->text), fmt, args);
	va_end(args);
	err_clean(f->text);		/* it may have been cut within a character */
	return f;
}

static void next(struct deploy_finding *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void next(struct deploy_finding *f, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(f->next, sizeof(f->next), fmt, args);
	va_end(args);
	err_clean(f->next);
}

static void check_program(const struct deploy_facts *f, const struct deploy_wish *w, struct deploy_findings *out)
{
	int major = 0, minor = 0;

	if (*w->binary.machine && strcmp(f->machine, w->binary.machine) != 0)
		next(find(out, DEPLOY_REFUSAL, "architecture", "it is %s, and %s is for %s", f->machine, w->binary.path,
			  w->binary.machine), "build rssrv-static on a machine of %s, and name it with --binary", f->machine);
	if (sscanf(f->kernel, "%d.%d", &major, &minor) == 2 &&
	    (major < KERNEL_MAJOR || (major == KERNEL_MAJOR && minor < KERNEL_MINOR)))
		next(find(out, DEPLOY_REFUSAL, "kernel", "its kernel is %s, and rssrv needs %d.%d or newer", f->kernel,
			  KERNEL_MAJOR, KERNEL_MINOR), "update the host's kernel");
}

static void check_rights(const struct deploy_facts *f, struct deploy_findings *out)
{
	if (f->uid)
		next(find(out, DEPLOY_REFUSAL, "rights", "one is %s there, not root", f->user),
		     "log in as root, or as a user who may use sudo");
	if (f->server_uid < 0 && !f->has_useradd)
		next(find(out, DEPLOY_REFUSAL, "user", "there is no user " DEPLOY_USER ", and neither useradd nor adduser to make it"),
		     "make the user " DEPLOY_USER " there");
}

static const char *size_text(uint64_t bytes, char buf[32])
{
	if (bytes >= 10ull << 30)
		snprintf(buf, 32, "%" PRIu64 " GiB", bytes >> 30);
	else
		snprintf(buf, 32, "%" PRIu64 " MiB", bytes >> 20);
	return buf;
}

static void check_place(const struct deploy_facts *f, const char *path, uint64_t room, enum deploy_level level,
			struct deploy_findings *out)
{
	const struct deploy_place *p = deploy_facts_place(f, path);
	char have[32], want[32];

	if (!p)
		return;
	if (p->read_only)
		next(find(out, DEPLOY_REFUSAL, "read-only", "the file system of %s is read-only", path),
		     "see why it is (dmesg there), and mount -o remount,rw it");
	else if (!p->writable && !f->uid)
		next(find(out, DEPLOY_REFUSAL, "rights", "%s is not writable, also for root", path),
		     "see 'lsattr -d' and the mounts there");
	else if (p->free < room)
		next(find(out, level, "space", "%s has %s free, and %s are wanted", path, size_text(p->free, have),
			  size_text(room, want)), level == DEPLOY_REFUSAL ? "make room there" :
		     "--pool DIR names another place for volumes");
}

static void check_places(const struct deploy_facts *f, const struct deploy_wish *w, struct deploy_findings *out)
{
	const struct deploy_place *lib = deploy_facts_place(f, DEPLOY_LIB);

	/* Twice: what came over, and the file that it becomes. */
	check_place(f, DEPLOY_LIB, 2 * w->binary.size + STATE_ROOM, DEPLOY_REFUSAL, out);
	check_place(f, "/etc", 1u << 20, DEPLOY_REFUSAL, out);
	check_place(f, DEPLOY_STATE, STATE_ROOM, DEPLOY_REFUSAL, out);
	check_place(f, w->pool, POOL_ROOM, DEPLOY_WARNING, out);
	if (lib && lib->no_exec)
		next(find(out, DEPLOY_REFUSAL, "noexec", "the file system of " DEPLOY_LIB " is mounted noexec: no program runs from there"),
		     "mount -o remount,exec it");
	if (f->systemd && (strncmp(w->pool, "/home/", 6) == 0 || strncmp(w->pool, "/root/", 6) == 0))
		next(find(out, DEPLOY_REFUSAL, "pool", "%s is hidden from services by the unit's ProtectHome", w->pool),
		     "--pool DIR outside of /home and /root");
	if (strncmp(w->pool, "/tmp/", 5) == 0 || strncmp(w->pool, "/var/tmp/", 9) == 0 || strncmp(w->pool, "/run/", 5) == 0)
		next(find(out, DEPLOY_WARNING, "pool", "%s does not last: the host clears it", w->pool),
		     "--pool DIR names another place for volumes");
}

/* Ours is what a deploy put there. */
static bool is_ours(const char *program)
{
	return program && strncmp(program, DEPLOY_LIB "/", strlen(DEPLOY_LIB "/")) == 0;
}

static bool pid_is_ours(const struct deploy_facts *f, int pid)
{
	for (size_t i = 0; pid && i < f->process_count; i++)
		if (f->processes[i].pid == pid && is_ours(f->processes[i].program))
			return true;
	return false;
}

static bool meets(const struct deploy_listener *k, const struct deploy_wish *w)
{
	for (size_t i = 0; i < w->portal_count; i++) {
		bool six = strchr(w->portals[i].address, ':') != NULL;

		if (k->any ? k->six || !six : k->six ? six : strcmp(k->text, w->portals[i].address) == 0)
			return true;
	}
	return false;
}

/* A portal does without its UDP port, but is not found by who looks for servers. */
static void check_port(const struct deploy_facts *f, const struct deploy_wish *w, bool udp, struct deploy_findings *out)
{
	for (size_t i = 0; i < f->listener_count; i++) {
		const struct deploy_listener *k = &f->listeners[i];

		if (k->udp != udp || pid_is_ours(f, k->pid) || !meets(k, w))
			continue;
		next(find(out, udp ? DEPLOY_WARNING : DEPLOY_REFUSAL, "port", "%sport %d is taken there, by %s%s (pid %d)%s",
			  udp ? "UDP " : "", w->port, k->pid ? k->name : "a process that cannot be seen", k->any ? " at every address" : "", k->pid,
			  udp ? ": rsconfig --discover will not find it" : ""),
		     "--port N names another one, or end that process");
		return;
	}
}

static void check_others(const struct deploy_facts *f, struct deploy_findings *out)
{
	for (size_t i = 0; i < f->process_count; i++) {
		const struct deploy_process *p = &f->processes[i];

		if (strcmp(p->name, "rssrv") == 0) {
			if (!is_ours(p->program))
				next(find(out, DEPLOY_REFUSAL, "rssrv", "an rssrv runs there that rsagent did not put there: %s (pid %d)",
					  p->program ? p->program : "?", p->pid),
				     "end it, and take its " DEPLOY_CONFIG " away, or leave that host as it is");
		} else if (strcmp(p->name, "rsiod") == 0) {
			next(find(out, DEPLOY_NOTE, "rsiod", "a client, rsiod, runs there too"),
			     "the two need run directories of their own: see the unit");
		} else if (strcmp(p->name, "multipathd") == 0) {
			next(find(out, DEPLOY_WARNING, "multipathd", "multipathd runs there, and may seize disks that volumes are to be"),
			     "put them into blacklist{} of /etc/multipath.conf");
		} else {
			next(find(out, DEPLOY_WARNING, "storage", "%s (pid %d) runs there, which serves disks too", p->name, p->pid),
			     "see that it offers nothing that is in the pool");
		}
	}
	for (size_t i = 0; i < f->note_count; i++)
		next(find(out, DEPLOY_WARNING, "storage", "%s", f->notes[i]), "see that they offer nothing that is in the pool");
}

/* Things that stand where ours would. */
static void check_strangers(const struct deploy_facts *f, struct deploy_findings *out)
{
	static const char *const own[] = { DEPLOY_CONFIG, DEPLOY_PROGRAM, DEPLOY_UNIT };
	const struct deploy_path *p;

	if (f->manifest)
		return;
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
		p = deploy_facts_path(f, own[i]);
		if (p->kind != DEPLOY_ABSENT)
			next(find(out, DEPLOY_REFUSAL, "files", "%s is there, and rsagent did not put it there", own[i]),
			     "a server that was installed by hand stays in hand; else move it away");
	}
}

static void check_network(const struct deploy_facts *f, const struct deploy_wish *w, struct deploy_findings *out)
{
	int mtu = 0;

	if (!w->portal_count)
		next(find(out, DEPLOY_REFUSAL, "network", "it has no address to listen at"), "--portal ADDRESS names one");
	for (size_t i = 0; i < w->portal_count; i++) {
		for (size_t j = 0; j < f->interface_count; j++) {
			const struct deploy_interface *n = &f->interfaces[j];

			if (strcmp(n->name, w->portals[i].device) != 0)
				continue;
			if (!n->up)
				next(find(out, DEPLOY_WARNING, "network", "%s has no link", n->name), "look at its cable and switch");
			if (n->speed && n->speed < 1000)
				find(out, DEPLOY_WARNING, "network", "%s has %d Mbit/s", n->name, n->speed);
			if (mtu && n->mtu && n->mtu != mtu)
				find(out, DEPLOY_NOTE, "network", "its interfaces have MTUs of %d and %d", mtu, n->mtu);
			mtu = n->mtu;
		}
	}
	if (w->portal_count == 1)
		find(out, DEPLOY_NOTE, "network", "there is one path only, %s: a second network makes failing over possible",
		     w->portals[0].address);
}

static void check_clock(const struct deploy_facts *f, int64_t now, struct deploy_findings *out)
{
	int64_t off = f->time - now;

	if (!f->time || (off <= CLOCK_OFF && off >= -CLOCK_OFF))
		return;
	next(find(out, DEPLOY_WARNING, "clock", "its clock is %" PRId64 " seconds %s", off < 0 ? -off : off,
		  off < 0 ? "late" : "early"), "logs and the names of snapshots will be off by that; NTP mends it");
}

void deploy_check(const struct deploy_facts *f, const struct deploy_wish *w, int64_t now, struct deploy_findings *out)
{
	out->count = 0;
	check_program(f, w, out);
	check_rights(f, out);
	check_places(f, w, out);
	check_port(f, w, false, out);
	check_port(f, w, true, out);
	check_strangers(f, out);
	check_others(f, out);
	check_network(f, w, out);
	check_clock(f, now, out);
	if (f->staging)
		find(out, DEPLOY_NOTE, "staging", "an earlier run was cut off there; what it did is undone first");
}

int deploy_refused(const struct deploy_findings *all, struct err *e)
{
	for (size_t i = 0; i < all->count; i++) {
		if (all->all[i].level != DEPLOY_REFUSAL)
			continue;
		err_set(e, EPERM, "nothing was changed: %s", all->all[i].text);
		if (*all->all[i].next)
			err_next(e, "%s", all->all[i].next);
		return -EPERM;
	}
	return 0;
}
