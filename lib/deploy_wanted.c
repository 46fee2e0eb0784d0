/*
 * deploy_wanted.c - what is to be on a host: where its server listens, its configuration, the program.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "conf_write.h"
#include "deploy.h"
#include "deploy_impl.h"
#include "secure.h"

/* The program. */

static const struct { unsigned machine; const char *name; } machines[] = {
	{ EM_X86_64, "x86_64" }, { EM_AARCH64, "aarch64" }, { EM_RISCV, "riscv64" }, { EM_PPC64, "ppc64le" },
};

/* Static is a program that names no other to load it. */
static const char *wrong_program(int fd, const Elf64_Ehdr *h, char machine[32])
{
	Elf64_Phdr p;

	if (memcmp(h->e_ident, ELFMAG, SELFMAG) != 0 || h->e_ident[EI_CLASS] != ELFCLASS64 ||
	    h->e_ident[EI_DATA] != ELFDATA2LSB || (h->e_type != ET_EXEC && h->e_type != ET_DYN))
		return "is no program for 64 bits";
	snprintf(machine, 32, "machine %u", h->e_machine);
	for (size_t i = 0; i < sizeof(machines) / sizeof(machines[0]); i++)
		if (machines[i].machine == h->e_machine)
			snprintf(machine, 32, "%s", machines[i].name);
	for (unsigned i = 0; i < h->e_phnum; i++) {
		if (pread(fd, &p, sizeof(p), (off_t)(h->e_phoff + i * (uint64_t)h->e_phentsize)) != sizeof(p))
			return "is no whole program";
		if (p.p_type == PT_INTERP)
			return "is not static, and would need this host's libraries there";
	}
	return NULL;
}

int deploy_binary_read(const char *path, struct deploy_binary *b, struct err *e)
{
	uint8_t sum[SECURE_SHA256_SIZE];
	int fd = open(path, O_RDONLY | O_CLOEXEC), r = 0;
	const char *why;
	struct stat st;
	Elf64_Ehdr h;

	*b = (struct deploy_binary){ .path = path };
	if (fd < 0)
		return err_sys(e, errno, "cannot open %s", path);
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || pread(fd, &h, sizeof(h), 0) != sizeof(h))
		r = err_set(e, ENOEXEC, "%s is no program", path);
	else if ((why = wrong_program(fd, &h, b->machine)))
		r = err_set(e, ENOEXEC, "%s %s", path, why);
	else if (secure_sha256_fd(fd, sum))
		r = err_set(e, EIO, "cannot read %s", path);
	close(fd);
	if (r)
		return r;
	b->size = (uint64_t)st.st_size;
	for (size_t i = 0; i < sizeof(sum); i++)
		sprintf(b->sha + 2 * i, "%02x", sum[i]);
	snprintf(b->version, sizeof(b->version), "%s", RSIO_VERSION);
	return 0;
}

/* Where it listens. */

static bool has_portal(const struct deploy_wish *w, const char *address)
{
	for (size_t i = 0; i < w->portal_count; i++)
		if (strcmp(w->portals[i].address, address) == 0)
			return true;
	return false;
}

static void add_portal(struct deploy_wish *w, const struct deploy_address *a)
{
	struct deploy_portal *p;

	if (w->portal_count >= CONF_IFACE_MAX || has_portal(w, a->text))
		return;
	p = &w->portals[w->portal_count++];
	snprintf(p->address, sizeof(p->address), "%s", a->text);
	snprintf(p->device, sizeof(p->device), "%s", a->device);
}

static bool device_has_portal(const struct deploy_wish *w, const char *device)
{
	for (size_t i = 0; i < w->portal_count; i++)
		if (strcmp(w->portals[i].device, device) == 0)
			return true;
	return false;
}

/* Is the host's address in the subnet of one of ours?  The workstation's own view counts: it is
 * from here that it has to be reached. */
static bool on_link(const struct if_nameindex *devices, const struct deploy_address *a)
{
	struct sock_addr own[64];

	for (; devices && devices->if_index; devices++) {
		size_t n = sock_addresses_of(devices->if_name, own, 64);

		for (size_t i = 0; i < n; i++)
			if (own[i].ss.ss_family == a->address.ss.ss_family && sock_on_link(&own[i], &a->address))
				return true;
	}
	return false;
}

size_t deploy_choose_portals(const struct deploy_facts *f, struct deploy_wish *w)
{
	struct deploy_address via = { .text = "" };
	struct if_nameindex *devices = if_nameindex();

	for (size_t i = 0; i < f->address_count; i++)
		if (!device_has_portal(w, f->addresses[i].device) && on_link(devices, &f->addresses[i]))
			add_portal(w, &f->addresses[i]);
	if (!w->portal_count && *f->via) {
		snprintf(via.text, sizeof(via.text), "%s", f->via);
		for (size_t i = 0; i < f->address_count; i++)
			if (strcmp(f->addresses[i].text, f->via) == 0)
				via = f->addresses[i];
		add_portal(w, &via);
	}
	if (devices)
		if_freenameindex(devices);
	return w->portal_count;
}

/* Its configuration. */

struct edit {
	struct conf_text *text;
	struct err *e;
	int r;
};

static void set(struct edit *d, const char *kind, const char *name, const char *key, const char *value)
{
	const struct conf_place at = { kind, name, NULL };

	if (!d->r)
		d->r = conf_text_set(d->text, &at, key, value, d->e);
}

static void set_number(struct edit *d, const char *kind, const char *name, const char *key, int value)
{
	char text[20];

	snprintf(text, sizeof(text), "%d", value);
	set(d, kind, name, key, text);
}

/* One that is there, however it is named. */
static bool text_has(const struct conf_text *t, const char *kind, const char *key, const char *value)
{
	char name[2 * CONF_NAME_MAX + 2], space[CONF_NAME_MAX + 1], found[4096];

	for (size_t i = 0; conf_text_section(t, kind, i, name, space); i++) {
		const struct conf_place at = { kind, name, NULL };

		if (conf_text_get(t, &at, key, found, sizeof(found)) >= 0 && strcmp(found, value) == 0)
			return true;
	}
	return false;
}

/* KIND0, or with a higher number. */
static void free_name(const struct conf_text *t, const char *kind, const char *stem, char name[CONF_NAME_MAX + 1])
{
	struct conf_place at = { kind, name, NULL };

	for (int i = 0; i < 1000; i++) {
		snprintf(name, CONF_NAME_MAX + 1, "%s%d", stem, i);
		if (!conf_text_has(t, &at))
			return;
	}
}

static void add_portals(struct edit *d, const struct deploy_wish *w)
{
	char name[CONF_NAME_MAX + 1];

	for (size_t i = 0; i < w->portal_count && !d->r; i++) {
		if (text_has(d->text, "interface", "address", w->portals[i].address) ||
		    text_has(d->text, "interface", "device", w->portals[i].device))
			continue;
		free_name(d->text, "interface", "if", name);
		set(d, "interface", name, "address", w->portals[i].address);
	}
}

static void add_pool(struct edit *d, const struct deploy_wish *w)
{
	char name[CONF_NAME_MAX + 1] = "main";
	const struct conf_place at = { "pool", name, NULL };

	if (text_has(d->text, "pool", "path", w->pool))
		return;
	if (conf_text_has(d->text, &at))
		free_name(d->text, "pool", "pool", name);
	set(d, "pool", name, "path", w->pool);
}

/* A key that it has already stays, also as one of two. */
static void add_client(struct edit *d, const struct deploy_wish *w)
{
	const char *bytes;
	size_t size;

	if (d->r || !w->key)
		return;
	bytes = conf_text_bytes(d->text, &size);
	if (conf_text_client_keys(d->text, w->client) && memmem(bytes, size, w->key, strlen(w->key)))
		return;
	d->r = conf_text_client(d->text, CONF_CLIENT_REPLACE, w->client, w->key, d->e);
}

static int take_bytes(const struct conf_text *t, struct deploy_secret *out, struct err *e)
{
	size_t size;
	const char *bytes = conf_text_bytes(t, &size);

	out->text = secure_alloc(size + 1);
	if (!out->text)
		return err_set(e, ENOMEM, "no memory");
	memcpy(out->text, bytes, size);
	out->size = size;
	return 0;
}

static int number_of(const struct conf_text *t, const char *kind, const char *name, const char *key, int otherwise)
{
	const struct conf_place at = { kind, name, NULL };
	char text[20], *end;
	long n;

	if (conf_text_get(t, &at, key, text, sizeof(text)) < 0)
		return otherwise;
	n = strtol(text, &end, 10);
	return end == text || *end || n < 0 || n > 65535 ? otherwise : (int)n;
}

int deploy_config_from(const struct deploy_secret *old, const struct deploy_wish *w, struct deploy_secret *out,
		       struct err *e)
{
	static const char first[] = "# rssrvcfg - made by rsagent deploy; rssrvcfg(5) says what can stand here.\n";
	struct edit d = { .e = e };
	struct conf_report report = { NULL, 0, 0 };

	*out = (struct deploy_secret){ NULL, 0 };
	if (w->config)
		old = w->config;
	d.text = conf_text_of(CONF_FILE_SERVER, DEPLOY_CONFIG, old->text ? old->text : first,
			      old->text ? old->size : strlen(first), e);
	if (!d.text)
		return -e->code;
	if (!old->text) {
		set_number(&d, "namespace", w->namespace, "namespaceid", w->namespace_id);
		if (w->port != DEPLOY_PORT)
			set_number(&d, "namespace", w->namespace, "port", w->port);
		set_number(&d, "server", w->server, "serverid", w->server_id);
	} else if (!w->config && number_of(d.text, "namespace", w->namespace, "port", DEPLOY_PORT) != w->port) {
		set_number(&d, "namespace", w->namespace, "port", w->port);
	}
	if (!w->config) {
		add_portals(&d, w);
		add_client(&d, w);
		add_pool(&d, w);
	}
	if (!d.r)
		d.r = conf_text_check(d.text, &report, e);
	conf_report_free(&report);
	if (!d.r)
		d.r = take_bytes(d.text, out, e);
	conf_text_free(d.text);
	return d.r;
}

int deploy_config(const struct deploy_wish *w, struct deploy_secret *out, struct err *e)
{
	const struct deploy_secret none = { NULL, 0 };

	return deploy_config_from(&none, w, out, e);
}

/* What the host's own configuration says already. */

static bool first_name(const struct conf_text *t, const char *kind, char name[CONF_NAME_MAX + 1])
{
	char found[2 * CONF_NAME_MAX + 2], space[CONF_NAME_MAX + 1];

	if (!conf_text_section(t, kind, 0, found, space) || !conf_name_valid(found))
		return false;
	snprintf(name, CONF_NAME_MAX + 1, "%.*s", CONF_NAME_MAX, found);
	return true;
}

bool deploy_has_pool(const struct deploy_facts *f, const char *path)
{
	struct conf_text *t = f->config.text ?
		conf_text_of(CONF_FILE_SERVER, DEPLOY_CONFIG, f->config.text, f->config.size, NULL) : NULL;
	bool has = t && text_has(t, "pool", "path", path);

	conf_text_free(t);
	return has;
}

bool deploy_has_pool_beside(const struct deploy_facts *f, const char *path)
{
	struct conf_text *t = f->config.text ?
		conf_text_of(CONF_FILE_SERVER, DEPLOY_CONFIG, f->config.text, f->config.size, NULL) : NULL;
	char name[2 * CONF_NAME_MAX + 2], space[CONF_NAME_MAX + 1], found[4096];
	bool has = false;

	for (size_t i = 0; t && !has && conf_text_section(t, "pool", i, name, space); i++) {
		const struct conf_place at = { "pool", name, NULL };

		has = conf_text_get(t, &at, "path", found, sizeof(found)) > 0 && strcmp(found, path) != 0;
	}
	conf_text_free(t);
	return has;
}

int deploy_has(const struct deploy_facts *f, struct deploy_is *is, struct err *e)
{
	struct conf_text *t;
	char name[2 * CONF_NAME_MAX + 2], space[CONF_NAME_MAX + 1];

	*is = (struct deploy_is){ .namespace_id = -1, .server_id = -1, .port = DEPLOY_PORT };
	if (!f->config.text)
		return 0;
	t = conf_text_of(CONF_FILE_SERVER, DEPLOY_CONFIG, f->config.text, f->config.size, e);
	if (!t)
		return -e->code;
	if (first_name(t, "namespace", is->namespace)) {
		is->namespace_id = number_of(t, "namespace", is->namespace, "namespaceid", -1);
		is->port = number_of(t, "namespace", is->namespace, "port", DEPLOY_PORT);
	}
	if (first_name(t, "server", is->server))
		is->server_id = number_of(t, "server", is->server, "serverid", -1);
	for (size_t i = 0; is->portal_count < CONF_IFACE_MAX && conf_text_section(t, "interface", i, name, space); i++) {
		const struct conf_place at = { "interface", name, NULL };
		struct deploy_portal *p = &is->portals[is->portal_count];

		if (conf_text_get(t, &at, "address", p->address, sizeof(p->address)) > 0)
			is->portal_count++;
	}
	if (conf_text_section(t, "pool", 0, name, space)) {
		const struct conf_place at = { "pool", name, NULL };

		conf_text_get(t, &at, "path", is->pool, sizeof(is->pool));
	}
	conf_text_free(t);
	return 0;
}
