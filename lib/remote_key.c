/*
 * remote_key.c - is it the host that was meant?  Its key, the files of known hosts, the user.
 *
 * The files are read here, and not by libssh, which forgets that a key has changed when the system's
 * file does not know the host.  A line of them is still libssh's to take apart.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>
#include "remote_impl.h"

/* What the files say of a key. */
enum known {
	KNOWN_NOT,		/* nothing of this host */
	KNOWN_YES,
	KNOWN_OTHER_TYPE,	/* a key of another type only */
	KNOWN_CHANGED,		/* another key of the same type */
	KNOWN_REVOKED,
};

struct finding {
	enum known known;
	const char *file;	/* of the line that says so */
	int line;
	char type[16];		/* of the key that is known */
};

static const char *type_name(ssh_key key)
{
	switch (ssh_key_type(key)) {
	case SSH_KEYTYPE_ED25519: return "ED25519";
	case SSH_KEYTYPE_RSA: return "RSA";
	case SSH_KEYTYPE_ECDSA:
	case SSH_KEYTYPE_ECDSA_P256:
	case SSH_KEYTYPE_ECDSA_P384:
	case SSH_KEYTYPE_ECDSA_P521: return "ECDSA";
	default: return ssh_key_type_to_char(ssh_key_type(key));
	}
}

/* As it is in the names of files. */
static const char *file_name(const char *type)
{
	return !strcmp(type, "RSA") ? "rsa" : !strcmp(type, "ECDSA") ? "ecdsa" : "ed25519";
}

/* host, or [host]:port, as known_hosts has it; in small letters. */
static void known_name(const struct remote *r, char out[REMOTE_NAME_MAX + 16])
{
	const char *name = r->config.alias[0] ? r->config.alias : r->name;

	if (r->port == 22 || r->config.alias[0])
		snprintf(out, REMOTE_NAME_MAX + 16, "%s", name);
	else
		snprintf(out, REMOTE_NAME_MAX + 16, "[%s]:%d", name, r->port);
	for (char *p = out; *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p + 32);
}

/* One line about a key for that host. */
static enum known judge(const char *line, const char *name, ssh_key key, char type[16])
{
	struct ssh_knownhosts_entry *entry = NULL;
	bool revoked = !strncmp(line, "@revoked", 8);
	enum known known = KNOWN_OTHER_TYPE;

	if (revoked)
		line += 8 + strspn(line + 8, " \t");
	if (*line == '@' || ssh_known_hosts_parse_line(name, line, &entry) != SSH_OK)
		return KNOWN_NOT;
	if (!ssh_key_cmp(entry->publickey, key, SSH_KEY_CMP_PUBLIC))
		known = revoked ? KNOWN_REVOKED : KNOWN_YES;
	else if (revoked)
		known = KNOWN_NOT;
	else if (!strcmp(type_name(entry->publickey), type_name(key)))
		known = KNOWN_CHANGED;
	snprintf(type, 16, "%s", type_name(entry->publickey));
	ssh_knownhosts_entry_free(entry);
	return known;
}

/* One that fits is enough, since a host may have several; one that is revoked is the end. */
static void look_in(const char *file, const char *name, ssh_key key, struct finding *out)
{
	FILE *f = fopen(file, "re");
	char *line = NULL;
	size_t size = 0;
	int number = 0;

	while (f && getline(&line, &size, f) > 0) {
		char *text = line + strspn(line, " \t"), type[16];
		enum known known;

		number++;
		text[strcspn(text, "\r\n")] = 0;
		for (char *p = text; *p; p++)
			if (*p == '\t')
				*p = ' ';
		if (!*text || *text == '#')
			continue;
		known = judge(text, name, key, type);
		if (known == KNOWN_NOT || out->known == KNOWN_REVOKED ||
		    (out->known == KNOWN_YES && known != KNOWN_REVOKED) ||
		    (out->known == KNOWN_CHANGED && known == KNOWN_OTHER_TYPE))
			continue;
		out->known = known;
		out->file = file;
		out->line = number;
		strcpy(out->type, type);
	}
	free(line);
	if (f)
		fclose(f);
}

static int changed(struct remote *r, const char *name, const char *type, const struct finding *f, struct err *e)
{
	if (f->known == KNOWN_REVOKED) {
		err_set(e, EKEYREJECTED, "the %s key that %s shows, %s, is revoked by %s, line %d", type, name, r->fingerprint,
			f->file, f->line);
		err_next(e, "do not trust what answers there; the host needs a new key");
		return -EKEYREJECTED;
	}
	if (f->known == KNOWN_CHANGED)
		err_set(e, EKEYREJECTED, "the key of %s has changed: it shows %s %s, and %s, line %d, has another one: either it was "
			"installed anew, or somebody is in between", name, type, r->fingerprint, f->file, f->line);
	else
		err_set(e, EKEYREJECTED, "%s shows a key of another kind than the known one: %s %s, and %s, line %d, has %s", name,
			type, r->fingerprint, f->file, f->line, f->type);
	err_next(e, "only if you know why: ssh-keygen -f '%s' -R '%s', and then again", f->file, name);
	return -EKEYREJECTED;
}

/* Appended in one piece, so that several processes do not mix their lines. */
static int remember(struct remote *r, const char *name, ssh_key key, struct err *e)
{
	char *base64 = NULL, *line = NULL, *slash, dir[REMOTE_PATH_MAX];
	const char *file = r->config.known_hosts;
	int fd, size, code = 0;

	snprintf(dir, sizeof(dir), "%s", file);
	slash = strrchr(dir, '/');
	if (slash && slash != dir) {
		*slash = 0;
		mkdir(dir, 0700);
	}
	if (ssh_pki_export_pubkey_base64(key, &base64) != SSH_OK)
		return err_sys(e, ENOMEM, "cannot write the key of %s to %s", name, file);
	size = asprintf(&line, "%s %s %s\n", name,
			ssh_key_type(key) == SSH_KEYTYPE_RSA || ssh_key_type(key) == SSH_KEYTYPE_ED25519 ?
			ssh_key_type_to_char(ssh_key_type(key)) : ssh_pki_key_ecdsa_name(key), base64);
	ssh_string_free_char(base64);
	fd = open(file, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0) {
		code = errno;
	} else {
		char last = '\n';

		/* A last line without its end would swallow ours. */
		if (lseek(fd, -1, SEEK_END) >= 0 && read(fd, &last, 1) == 1 && last != '\n' && write(fd, "\n", 1) != 1)
			code = errno;
		if (size < 0 || write(fd, line, (size_t)size) != size)
			code = size < 0 ? ENOMEM : errno;
		close(fd);
	}
	free(line);
	if (!code)
		return 0;
	err_sys(e, code, "cannot write the key of %s to %s", name, file);
	err_next(e, "see that you may write there, or write it by ssh-keyscan %s >>%s", name, file);
	return -code;
}

/* Nobody knows it. */
static int introduce(struct remote *r, const char *name, const char *type, ssh_key key, struct err *e)
{
	const struct remote_ask *ask = &r->options.ask;
	char address[SOCK_TEXT_MAX] = "";
	const struct remote_key shown = { name, address, type, r->fingerprint, r->config.known_hosts };

	if (r->options.fingerprint)
		return remember(r, name, key, e);
	if (r->address.length)
		sock_format(&r->address, address);
	if (!ask->confirm) {
		err_set(e, ENOKEY, "the key of %s is not known yet: it shows %s %s", name, type, r->fingerprint);
		err_next(e, "if that is what ssh-keygen -lf /etc/ssh/ssh_host_%s_key.pub prints there: --fingerprint %s",
			 file_name(type), r->fingerprint);
		return -ENOKEY;
	}
	if (!ask->confirm(ask->arg, &shown)) {
		err_set(e, ECANCELED, "the key of %s was not confirmed", name);
		err_next(e, "look there what it is: ssh-keygen -lf /etc/ssh/ssh_host_%s_key.pub", file_name(type));
		return -ECANCELED;
	}
	return remember(r, name, key, e);
}

static bool is_given(const struct remote *r)
{
	const char *given = r->options.fingerprint;
	size_t length = strlen(r->fingerprint);

	/* Some tools pad base64. */
	return !strncmp(given, r->fingerprint, length) && strspn(given + length, "=") == strlen(given + length);
}

static int not_given(struct remote *r, const char *name, const char *type, struct err *e)
{
	if (strncmp(r->options.fingerprint, "SHA256:", 7)) {
		err_set(e, EINVAL, "%.80s is not a fingerprint", r->options.fingerprint);
		err_next(e, "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub on the host prints it: SHA256:…");
		return -EINVAL;
	}
	err_set(e, EKEYREJECTED, "%s shows the %s key %s, not %.80s as was given", name, type, r->fingerprint,
		r->options.fingerprint);
	err_next(e, "look at the host itself: ssh-keygen -lf /etc/ssh/ssh_host_%s_key.pub; nothing was sent to it",
		 file_name(type));
	return -EKEYREJECTED;
}

static int take_fingerprint(struct remote *r, ssh_key key)
{
	unsigned char *hash = NULL;
	size_t size;
	char *text;

	if (ssh_get_publickey_hash(key, SSH_PUBLICKEY_HASH_SHA256, &hash, &size))
		return -ENOMEM;
	text = ssh_get_fingerprint_hash(SSH_PUBLICKEY_HASH_SHA256, hash, size);
	ssh_clean_pubkey_hash(&hash);
	if (!text)
		return -ENOMEM;
	snprintf(r->fingerprint, sizeof(r->fingerprint), "%s", text);
	ssh_string_free_char(text);
	return 0;
}

int remote_check_key(struct remote *r, struct err *e)
{
	struct finding f = { 0 };
	char name[REMOTE_NAME_MAX + 16];
	ssh_key key = NULL;
	int rc;

	known_name(r, name);
	if (ssh_get_server_publickey(r->session, &key) != SSH_OK || take_fingerprint(r, key)) {
		ssh_key_free(key);
		return err_set(e, EPROTO, "%s shows no key that could be read: %s", name, ssh_get_error(r->session));
	}
	look_in(r->config.known_hosts, name, key, &f);
	look_in("/etc/ssh/ssh_known_hosts", name, key, &f);
	if (f.known != KNOWN_NOT && f.known != KNOWN_YES)
		rc = changed(r, name, type_name(key), &f, e);
	else if (r->options.fingerprint && !is_given(r))
		rc = not_given(r, name, type_name(key), e);
	else if (f.known == KNOWN_YES)
		rc = 0;
	else
		rc = introduce(r, name, type_name(key), key, e);
	ssh_key_free(key);
	return rc;
}
