/* fuzz_facts.c - what a host says of itself, and what is made of it: findings and plans. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "deploy.h"
#include "fuzz.h"

#define MARK "0123"

static struct deploy_wish wish = {
	.pool = "/srv/a", .namespace = "osl", .namespace_id = 7, .server = "s1", .server_id = 1, .client = "big-2",
	.key = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", .port = 5000, .by = "big-2",
	.portals = { { "10.0.0.1", "eth0" } }, .portal_count = 1,
	.binary = { .path = "rssrv-static", .size = 1 << 20, .machine = "x86_64", .version = "0.1",
		    .sha = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" },
};

static bool has_key;		/* the input */

static void check_plan(struct deploy_plan *p, const struct err *e)
{
	fuzz_check(p || (e->code && *e->text && fuzz_clean(e->text)));
	for (size_t i = 0; p && i < p->count; i++) {
		fuzz_check(json_is_object(p->steps[i].request) && json_string_value(json_object_get(p->steps[i].request, "do")));
		fuzz_check(!p->steps[i].say || (fuzz_clean(p->steps[i].say) && (has_key || !strstr(p->steps[i].say, wish.key))));
	}
	deploy_plan_free(p);
}

static void check_facts(const struct deploy_facts *f)
{
	static struct deploy_findings all;
	struct err e = { 0 };
	struct deploy_is is;

	deploy_check(f, &wish, 1700000000, &all);
	fuzz_check(all.count < DEPLOY_FINDINGS_MAX);
	for (size_t i = 0; i < all.count; i++)
		fuzz_check(*all.all[i].text && fuzz_clean(all.all[i].text) && fuzz_clean(all.all[i].next));
	deploy_has(f, &is, &e);
	e = (struct err){ 0 };
	check_plan(deploy_plan_make(f, &wish, &e), &e);
	e = (struct err){ 0 };
	check_plan(deploy_plan_remove(f, false, &e), &e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char begin[] = MARK " begin\nuid 0\nmachine x86_64\nkernel 6.1\n", end[] = "\n" MARK " end\n";
	size_t all = strlen(begin) + size + strlen(end);
	char *text = malloc(all);
	struct deploy_facts *f;
	struct err e = { 0 };

	if (!text)
		return 0;
	has_key = memmem(data, size, wish.key, strlen(wish.key)) != NULL;
	memcpy(text, begin, strlen(begin));
	memcpy(text + strlen(begin), data, size);
	memcpy(text + strlen(begin) + size, end, strlen(end));
	f = deploy_facts_parse(text, all, MARK, &e);
	fuzz_check(f || (e.code && fuzz_clean(e.text)));
	if (f)
		check_facts(f);
	deploy_facts_free(f);
	free(text);
	return 0;
}
