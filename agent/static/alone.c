/*
 * alone.c - what a static rssrv has in the place of the C library's own, which would load
 * libraries of the host that it runs on: those of another glibc, or of none.
 *
 * Users and groups are those of /etc/passwd and /etc/group; no name of a host is resolved,
 * for portals are numbers; nothing is loaded, and the host's openssl.cnf, written for the
 * host's OpenSSL, is not read.  Linked with --fatal-warnings: whatever else the linker would
 * warn of ("requires at runtime the shared libraries") fails the build.
 */
#include <dlfcn.h>
#include <grp.h>
#include <netdb.h>
#include <openssl/crypto.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

/* Before main: a first use of OpenSSL would read it. */
static void __attribute__((constructor)) without_openssl_cnf(void)
{
	OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
}

/*
 * Users and groups; as with the originals the next call overwrites the last one's answer.
 */
static struct passwd *find_user(const char *name, uid_t uid)
{
	FILE *f = fopen("/etc/passwd", "re");
	struct passwd *p = NULL;

	if (!f)
		return NULL;
	while ((p = fgetpwent(f)))
		if (name ? strcmp(p->pw_name, name) == 0 : p->pw_uid == uid)
			break;
	fclose(f);
	return p;
}

struct passwd *getpwnam(const char *name)
{
	return find_user(name, 0);
}

struct passwd *getpwuid(uid_t uid)
{
	return find_user(NULL, uid);
}

struct group *getgrnam(const char *name)
{
	FILE *f = fopen("/etc/group", "re");
	struct group *g = NULL;

	if (!f)
		return NULL;
	while ((g = fgetgrent(f)) && strcmp(g->gr_name, name) != 0)
		;
	fclose(f);
	return g;
}

/*
 * Names of hosts: in OpenSSL, for what rssrv does not use.
 */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **found)
{
	(void)node;
	(void)service;
	(void)hints;
	*found = NULL;
	return EAI_FAIL;
}

void freeaddrinfo(struct addrinfo *found)
{
	(void)found;
}

int getnameinfo(const struct sockaddr *restrict a, socklen_t length, char *restrict host, socklen_t host_size,
		char *restrict service, socklen_t service_size, int flags)
{
	(void)a;
	(void)length;
	(void)host;
	(void)host_size;
	(void)service;
	(void)service_size;
	(void)flags;
	return EAI_FAIL;
}

struct hostent *gethostbyname(const char *name)
{
	(void)name;
	h_errno = NO_RECOVERY;
	return NULL;
}

/*
 * Modules: OpenSSL's.  The C library has uses for its own dlopen, so this one takes its place
 * (--wrap) in what others call.
 */
void *__wrap_dlopen(const char *file, int mode);
void *__wrap_dlopen(const char *file, int mode)
{
	(void)file;
	(void)mode;
	return NULL;
}

void *dlsym(void *restrict module, const char *restrict name)
{
	(void)module;
	(void)name;
	return NULL;
}

int dlclose(void *module)
{
	(void)module;
	return 0;
}

char *dlerror(void)
{
	static char text[] = "a static program loads no modules";

	return text;
}

int dladdr(const void *address, Dl_info *info)
{
	(void)address;
	(void)info;
	return 0;
}
