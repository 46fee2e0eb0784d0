/* Node keys: where they come from, two of one client, and what --check warns of. */
#include "conf_file.h"
#include "secure.h"

#define SERVER_HEAD "[namespace osl]\nnamespaceid=1\n[server s]\nserverid=1\n[interface a]\naddress=10.0.0.1\n"
#define CLIENT "[namespace osl]\nnamespaceid=1\nnodename=a\nnodekey="
#define BELOW "\n" SRV
#define GOOD "9f2c47d1a80be35576c4f01d2e8b93a65fd0714c8eb23a69d7e51f840c6ba392"
#define OTHER "41d7a5c03b9e68f217e4902dc85ab36f0e71d4c96a2b853ff8136d07b9e0ca54"

static void make_file(const char *name, const char *text, mode_t mode, char out[PATH_MAX])
{
	FILE *f;

	snprintf(out, PATH_MAX, "%.*s/%s", PATH_MAX - 64, dir, name);
	f = fopen(out, "we");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	assert_int_equal(chmod(out, mode), 0);
}

/* The key that a client's file with this nodekey has; NULL with the mistake in *r. */
static bool key_of(const char *nodekey, uint8_t key[SECURE_KEY_SIZE], struct conf_report *r)
{
	char text[PATH_MAX + 200];
	struct conf_client *c;

	snprintf(text, sizeof(text), CLIENT "%s" BELOW, nodekey);
	c = client_of(text, r);
	if (!c)
		return false;
	memcpy(key, c->namespaces[0].key.bytes, SECURE_KEY_SIZE);
	assert_int_equal(c->namespaces[0].key.line, 4);
	conf_client_free(c);
	return true;
}

static void same_as_in_the_file(const char *nodekey, const char *text)
{
	uint8_t key[SECURE_KEY_SIZE], expected[SECURE_KEY_SIZE];
	struct conf_report r;

	assert_true(key_of(nodekey, key, &r));
	conf_report_free(&r);
	assert_int_equal(secure_key_from_text(text, expected), 0);
	assert_memory_equal(key, expected, sizeof(key));
}

static void refused(const char *nodekey, const char *why)
{
	uint8_t key[SECURE_KEY_SIZE];
	struct conf_report r;

	assert_false(key_of(nodekey, key, &r));
	assert_int_equal(r.count, 1);
	if (!strstr(r.lines[0], why))
		fail_msg("%s\nand not: %s", r.lines[0], why);
	assert_null(strstr(r.lines[0], GOOD));
	conf_report_free(&r);
}

/* A file of the configuration that only says where its keys are may be read by all. */
static void modes(const char *reference)
{
	char text[PATH_MAX + 300];
	struct conf_report r;
	struct conf_client *c;
	struct conf_server *s;

	snprintf(text, sizeof(text), CLIENT "%s" BELOW, reference);
	write_bytes(text, strlen(text), 0644);
	c = conf_client_read(path, (gid_t)-1, &r);
	assert_non_null(c);
	assert_string_equal(c->key_files[0], reference + strlen("@file:"));
	assert_null(c->key_files[1]);
	conf_client_free(c);
	conf_report_free(&r);
	for (int key = 0; key < 2; key++) {
		snprintf(text, sizeof(text), SERVER_HEAD "[clients]\na %s\n%s", reference, key ? "b " OTHER "\n" : "");
		write_bytes(text, strlen(text), 0644);
		s = conf_server_read(path, (gid_t)-1, &r);
		assert_int_equal(s == NULL, key);
		assert_int_equal(r.count, key);
		conf_server_free(s);
		conf_report_free(&r);
	}
}

static void keys_in_files(void **state)
{
	char file[PATH_MAX], reference[PATH_MAX + 16];

	(void)state;
	unsetenv("CREDENTIALS_DIRECTORY");
	refused("@credential:osl", "CREDENTIALS_DIRECTORY is not set");
	setenv("CREDENTIALS_DIRECTORY", dir, 1);
	make_file("osl", GOOD "\n", 0400, file);
	same_as_in_the_file("@credential:osl", GOOD);
	refused("@credential:other", "cannot be opened: No such file");
	refused("@credential:../osl", "is not a credential's name");
	refused("@file:osl", "takes an absolute path");
	refused("@" GOOD, "does not begin with");
	refused("@file:/dev/null", "is not a file");
	snprintf(reference, sizeof(reference), "@file:%s", file);
	if (strlen(reference) > 150)
		skip();
	make_file("osl", "a passphrase", 0600, file);
	refused(reference, "has no blanks");
	make_file("osl", "", 0600, file);
	refused(reference, "is empty");
	make_file("osl", GOOD GOOD GOOD GOOD, 0600, file);
	refused(reference, "more than 255 bytes");
	make_file("osl", GOOD "\r\n", 0600, file);
	same_as_in_the_file(reference, GOOD);
	modes(reference);
	make_file("osl", GOOD, 0644, file);
	refused(reference, "can be read by everybody (mode 0644)");
	unlink(file);
}

static void two_lines_of_one_client(void **state)
{
	struct conf_report r;
	struct conf_server *c = server_of(SERVER_HEAD "[clients]\na " GOOD "\nb x\na " OTHER "\n", &r);
	uint8_t key[SECURE_KEY_SIZE];

	(void)state;
	assert_non_null(c);
	assert_int_equal(r.count, 0);
	conf_report_free(&r);
	assert_int_equal(c->client_count, 2);
	assert_int_equal(secure_key_from_text(OTHER, key), 0);
	assert_memory_equal(c->clients[0].second.bytes, key, sizeof(key));
	assert_int_equal(c->clients[0].second.line, 10);
	assert_int_equal(c->clients[1].second.line, 0);
	conf_server_free(c);
}

/* What --check says of a client with that key; "" when it is content. */
static void weak(const char *key, const char *what)
{
	char text[1000];
	struct conf_report r;
	struct conf_server *c;

	snprintf(text, sizeof(text), SERVER_HEAD "[clients]\na %s\n", key);
	c = server_of(text, &r);
	assert_non_null(c);
	conf_report_free(&r);
	conf_server_check_keys(c, &r);
	conf_server_free(c);
	if (r.count != (*what != 0) || r.warnings != r.count || (r.count && !strstr(r.lines[0], what)))
		fail_msg("%s: %zu lines, %s", key, r.count, r.count ? r.lines[0] : "");
	assert_true(!r.count || !strstr(r.lines[0], key));
	conf_report_free(&r);
}

static void weak_keys(void **state)
{
	(void)state;
	weak("0xbig2", ":8: warning: [clients] a: the key can be guessed: 30 bits at most");
	weak("correct-horse-battery-staple", ": 56 bits at most");
	weak(GOOD, "");
	weak("k3jXv0nPq8-ZtW5rLm2_Yc", "");
	weak("0000000000000000000000000000000000000000000000000000000000000000", ": 0 bits");
	weak("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", ": 16 bits");
	weak("9f2c47d19f2c47d19f2c47d19f2c47d19f2c47d19f2c47d19f2c47d19f2c47d1", " bits at most");
	weak("passwordpasswordpasswordpasswordpassword", " bits at most");
	weak("abababababababababbbabababababababababababababababababab", " bits at most");
	weak("1234567890123456789012345678901234567890", " bits at most");
	weak("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", " bits at most");
}

static void expect_lines(const struct conf_report *r, const char *const *lines)
{
	size_t n = 0;

	for (; lines[n]; n++)
		if (n >= r->count || !strstr(r->lines[n], lines[n]))
			fail_msg("line %zu is %s", n, n < r->count ? r->lines[n] : "not there");
	assert_int_equal(r->count, n);
	assert_int_equal(r->warnings, n);
}

static void repeated_keys(void **state)
{
	struct conf_report r;
	struct conf_server *s = server_of(SERVER_HEAD "[clients]\na " GOOD "\nb " OTHER "\nc " GOOD "\nb " GOOD "\n", &r);
	struct conf_client *c;

	(void)state;
	conf_report_free(&r);
	conf_server_check_keys(s, &r);
	expect_lines(&r, (const char *const[]){
		":10: warning: [clients] c: the key is that of a too",
		":11: warning: [clients] b: has two keys, here and in line 9",
		":11: warning: [clients] b: the key is that of c too", NULL });
	conf_report_free(&r);
	conf_server_free(s);
	c = client_of(CLIENT GOOD BELOW "[namespace lab]\nnamespaceid=2\nnodename=a\nnodekey=" GOOD BELOW, &r);
	conf_report_free(&r);
	conf_client_check_keys(c, &r);
	expect_lines(&r, (const char *const[]){ ":10: warning: nodekey of lab: the key is that of osl too", NULL });
	conf_report_free(&r);
	conf_client_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_in_files),
		cmocka_unit_test(two_lines_of_one_client),
		cmocka_unit_test(weak_keys),
		cmocka_unit_test(repeated_keys),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
