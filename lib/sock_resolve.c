/* sock_resolve.c - names of hosts: a file of its own, for what asks no resolver is linked without one. */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include "sock.h"

int sock_resolve(const char *text, int port, struct sock_addr *out)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM,
				  .ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG };
	struct addrinfo *found;
	char service[16];

	memset(out, 0, sizeof *out);
	snprintf(service, sizeof service, "%d", port);
	if (getaddrinfo(text, service, &hints, &found))
		return -ENOENT;
	memcpy(&out->ss, found->ai_addr, found->ai_addrlen);
	out->length = found->ai_addrlen;
	freeaddrinfo(found);
	return 0;
}
