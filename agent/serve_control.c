/*
 * serve_control.c - what a client may ask of the server itself: a JSON object
 * whose "do" names it, answered by a JSON object.  rsio-protocol(7) lists them.
 */
#include <jansson.h>
#include <string.h>
#include <sys/resource.h>
#include "conn.h"
#include "ctl.h"
#include "serve.h"
#include "server.h"

#define REQUEST_MAX 4096u	/* it is parsed on the loop, where others wait */
#define ANSWER_MAX 256

static double cpu_seconds(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void counters(struct conn *c)
{
	const struct server *s = c->loop->server;
	struct wire_reply reply = { .type = WIRE_CONTROL, .cookie = c->request.cookie };
	json_t *j = json_pack("{s:f, s:f}", "cpu", cpu_seconds(),
			      "uptime", (double)(clock_now() - s->started) / SECOND);
	char text[ANSWER_MAX];
	size_t n = json_dumpb(j, text, sizeof(text), JSON_COMPACT);

	json_decref(j);
	if (n && n <= sizeof(text))
		conn_reply(c, &reply, text, (uint32_t)n);
	else
		conn_refuse(c, WIRE_CONTROL, reply.cookie, WIRE_E_NO_MEMORY, "no memory for the answer");
}

int serve_control(struct conn *c, const uint8_t *payload, uint32_t length)
{
	uint64_t cookie = c->request.cookie;
	struct err e = { 0 };
	const char *what;
	json_t *j;

	if (length > REQUEST_MAX) {
		conn_refuse(c, WIRE_CONTROL, cookie, WIRE_E_INVALID, "a control request longer than 4096 bytes");
		return 0;
	}
	j = ctl_parse((const char *)payload, length, &e);
	what = json_string_value(json_object_get(j, "do"));
	if (!what)
		conn_refuse(c, WIRE_CONTROL, cookie, WIRE_E_INVALID, "not a JSON object with a \"do\"");
	else if (!strcmp(what, "counters"))
		counters(c);
	else
		conn_refuse(c, WIRE_CONTROL, cookie, WIRE_E_UNSUPPORTED, "this version has no such control request");
	json_decref(j);
	return 0;
}
