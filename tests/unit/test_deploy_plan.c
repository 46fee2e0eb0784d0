/* From what a host is to the steps that make it what is wanted; the second time there are none. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "deploy.h"
#include "deploy_impl.h"

#define MARK "00112233445566778899"
#define SHA "aaaaaaaaaaaabbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define KEY "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static struct deploy_wish wish(void)
{
	return (struct deploy_wish){
		.pool = DEPLOY_POOL, .namespace = "osl", .namespace_id = 7, .server = "s1", .server_id = 1, .client = "big-2",
		.key = KEY, .port = DEPLOY_PORT, .by = "big-2", .portals = { { "10.0.0.1", "eth0" } }, .portal_count = 1,
		.binary = { .path = "rssrv-static", .size = 1 << 20, .machine = "x86_64", .version = "0.1", .sha = SHA },
	};
}

static struct deploy_facts *facts(const char *lines)
{
	char *text = NULL;
	struct err e = { 0 };
	struct deploy_facts *f;

	assert_true(asprintf(&text, MARK " begin\nuid 0\nmachine x86_64\nkernel 6.1.0\n%s" MARK " end\n", lines) > 0);
	f = deploy_facts_parse(text, strlen(text), MARK, &e);
	free(text);
	if (!f)
		fail_msg("%s", e.text);
	return f;
}

static struct deploy_plan *plan(const char *lines, const struct deploy_wish *w)
{
	struct deploy_facts *f = facts(lines);
	struct err e = { 0 };
	struct deploy_plan *p = deploy_plan_make(f, w, &e);

	deploy_facts_free(f);
	if (!p)
		fail_msg("%s", e.text);
	return p;
}

static const struct deploy_step *step(const struct deploy_plan *p, const char *what, const char *path)
{
	for (size_t i = 0; i < p->count; i++) {
		const char *is = json_string_value(json_object_get(p->steps[i].request, "do"));
		const char *at = json_string_value(json_object_get(p->steps[i].request, "path"));

		if (strcmp(is, what) == 0 && (!path || (at && strcmp(at, path) == 0)))
			return &p->steps[i];
	}
	return NULL;
}

static void makes_all(void **state)
{
	struct deploy_wish w = wish();
	struct deploy_plan *p = plan("has systemd\nmissing /usr/local/lib\nmissing /usr/local/lib/rsio\n", &w);
	const struct deploy_step *s = step(p, "file", DEPLOY_CONFIG);

	(void)state;
	assert_non_null(step(p, "user", NULL));
	assert_non_null(step(p, "file", DEPLOY_LIB "/rssrv-aaaaaaaaaaaa"));
	assert_non_null(s);
	assert_non_null(strstr(s->text.text, "big-2 " KEY));
	assert_null(json_object_get(s->request, "text"));
	assert_non_null(step(p, "file", DEPLOY_UNIT));
	assert_non_null(step(p, "start-server", NULL));
	assert_null(step(p, "stop-server", NULL));
	assert_true(p->serves && !p->restarts);
	for (size_t i = 0; i < p->count; i++) {
		char *text = json_dumps(p->steps[i].request, 0);

		assert_null(strstr(text, KEY));
		assert_true(!p->steps[i].say || !strstr(p->steps[i].say, KEY));
		free(text);
	}
	deploy_plan_free(p);
}

/* As makes_all left it, by the plan's own steps. */
static char *as_deployed(const struct deploy_wish *w)
{
	struct deploy_plan *p = plan("has systemd\n", w);
	char sha[DEPLOY_SHA + 1], unit[DEPLOY_SHA + 1], *text = NULL, config[4096] = "", *at = config;
	const struct deploy_step *s = step(p, "file", DEPLOY_CONFIG);

	deploy_sha(s->text.text, s->text.size, sha);
	for (const char *line = s->text.text, *end; (end = strchr(line, '\n')); line = end + 1)
		at += sprintf(at, "|%.*s\n", (int)(end - line), line);
	deploy_sha(deploy_unit_text, strlen(deploy_unit_text), unit);
	assert_true(asprintf(&text, "has systemd\nhas active\naccount 998 998\nfile 755 root:root " SHA " " DEPLOY_LIB "/rssrv-aaaaaaaaaaaa\n"
			     "file 640 root:rsio %s " DEPLOY_CONFIG "\nfile 644 root:root %s " DEPLOY_UNIT "\nlink " DEPLOY_UNIT " "
			     DEPLOY_WANTED "\nlink " DEPLOY_LIB "/rssrv-aaaaaaaaaaaa " DEPLOY_PROGRAM "\n"
			     "directory 755 root:root " DEPLOY_LIB "\ndirectory 750 rsio:rsio " DEPLOY_STATE "\n"
			     "directory 750 rsio:rsio " DEPLOY_POOL "\nprocess 9 rssrv " DEPLOY_LIB "/rssrv-aaaaaaaaaaaa\n"
			     "text manifest\n|{\"pool\": \"" DEPLOY_POOL "\", \"user\": \"rsio\", \"directories\": [\"" DEPLOY_LIB "\"]}\ntext end\n"
			     "text config\n%s\ntext end\n", sha, unit, config) > 0);
	deploy_plan_free(p);
	return text;
}

static void second_time_nothing(void **state)
{
	struct deploy_wish w = wish();
	char *is = as_deployed(&w), *changed;
	struct deploy_plan *p = plan(is, &w);

	(void)state;
	assert_int_equal(p->count, 0);
	deploy_plan_free(p);

	/* Another program: it is installed, takes over, and the old one goes. */
	memset(w.binary.sha, 'c', 12);
	w.binary_only = true;
	p = plan(is, &w);
	assert_true(p->restarts);
	assert_non_null(step(p, "stop-server", NULL));
	assert_non_null(step(p, "link", DEPLOY_PROGRAM));
	assert_non_null(step(p, "remove", DEPLOY_LIB "/rssrv-aaaaaaaaaaaa"));
	assert_null(step(p, "file", DEPLOY_CONFIG));
	deploy_plan_free(p);

	/* Another client: the server is not restarted for it. */
	w = wish();
	w.client = "venus";
	p = plan(is, &w);
	assert_false(p->restarts);
	assert_non_null(strstr(step(p, "file", DEPLOY_CONFIG)->text.text, "big-2 " KEY));
	assert_non_null(strstr(step(p, "file", DEPLOY_CONFIG)->text.text, "venus " KEY));
	deploy_plan_free(p);

	/* A mode that somebody changed. */
	changed = strdup(is);
	memcpy(strstr(changed, "file 640"), "file 644", 8);
	w = wish();
	p = plan(changed, &w);
	assert_non_null(step(p, "file", DEPLOY_CONFIG));
	deploy_plan_free(p);
	free(changed);
	free(is);
}

static void removes_all_but_volumes(void **state)
{
	struct deploy_wish w = wish();
	char *is = as_deployed(&w), *more;
	struct deploy_facts *f;
	struct deploy_plan *p;
	struct err e = { 0 };

	(void)state;
	assert_true(asprintf(&more, "%sstate pool/\nstate x/\nstate osl:s1:main.mount\nstate flush-failed.1\nvolume 998 a.raw\nvolume 998 .rsio.snap/a/m.raw\n"
			     "pooled a.raw\npooled .rsio.snap/\n", is) > 0);
	f = facts(more);
	p = deploy_plan_remove(f, false, &e);
	assert_non_null(p);
	assert_int_equal(p->left_count, 3);
	assert_string_equal(p->left[0], DEPLOY_POOL "/a.raw");
	assert_null(step(p, "remove-tree", DEPLOY_POOL));
	/* It may be another pool. */
	assert_string_equal(p->left[2], DEPLOY_STATE "/x/");
	assert_null(step(p, "remove-tree", DEPLOY_STATE "/x"));
	assert_non_null(step(p, "remove", DEPLOY_STATE "/osl:s1:main.mount"));
	assert_non_null(step(p, "remove", DEPLOY_STATE "/flush-failed.1"));
	assert_non_null(step(p, "own", DEPLOY_POOL));
	assert_non_null(step(p, "remove-user", NULL));
	assert_non_null(strstr(p->sweep, "rmdir '" DEPLOY_LIB "'"));
	deploy_plan_free(p);
	p = deploy_plan_remove(f, true, &e);
	assert_int_equal(p->left_count, 1);
	assert_non_null(step(p, "remove", DEPLOY_POOL "/a.raw"));
	assert_non_null(step(p, "remove-tree", DEPLOY_POOL "/.rsio.snap"));
	assert_null(step(p, "remove-tree", DEPLOY_POOL));
	deploy_plan_free(p);
	deploy_facts_free(f);
	f = facts("");
	assert_null(deploy_plan_remove(f, false, &e));
	assert_int_equal(e.code, ENOENT);
	deploy_facts_free(f);
	free(more);
	free(is);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(makes_all), cmocka_unit_test(second_time_nothing), cmocka_unit_test(removes_all_but_volumes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
