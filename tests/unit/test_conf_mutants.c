/*
 * test_conf_mutants.c - thousands of small edits of both samples: none crashes
 * the parser, none makes it show a node key.
 *
 * The edits are the same ones for the same RSIO_SEED, so that what fails once fails again.
 */
#include "../seed.h"
#include "conf_file.h"

static uint64_t seed;

static uint32_t draw(uint32_t below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % below;
}

/* One edit of a text in a buffer of twice the size. */
static size_t mutate(char *text, size_t size, size_t room)
{
	static const char *const pieces[] = {
		"[",
		"]",
		"=",
		";",
		" ;",
		"#",
		"\n",
		"\r\n",
		"\\",
		":",
		"::",
		"%",
		"/",
		",",
		"\xff",
		"\x80",
		"[server x]\n",
		"[namespace osl]\n",
		"[clients]\n",
		"[volume a:b]\n",
		"0",
		"99999999999999999999",
		"tls",
		"weighted",
		"port",
		"1e9",
		"nan",
		"-",
		".",
		"\t",
		"\xef\xbb\xbf",
	};
	uint32_t at = draw((uint32_t)size + 1), length = 1 + draw(24);
	const char *piece = pieces[draw(COUNT(pieces))];

	switch (draw(5)) {
	case 0:		/* another byte */
		if (at < size)
			text[at] = (char)draw(256);
		return size;
	case 1:		/* some taken out */
		if (at + length > size)
			return size;
		memmove(text + at, text + at + length, size - at - length);
		return size - length;
	case 2:		/* some said twice */
		if (at + length > size || size + length > room)
			return size;
		memmove(text + at + length, text + at, size - at);
		return size + length;
	case 3:		/* a piece put in */
		length = (uint32_t)strlen(piece);
		if (size + length > room)
			return size;
		memmove(text + at + length, text + at, size - at);
		memcpy(text + at, piece, length);
		return size + length;
	default:	/* cut short */
		return draw(8) ? size : at;
	}
}

static void read_mutant(enum conf_file file)
{
	struct conf_report r;
	bool good;

	if (file == CONF_FILE_CLIENT) {
		struct conf_client *c = conf_client_read(path, (gid_t)-1, &r);

		good = c != NULL;
		conf_client_free(c);
	} else {
		struct conf_server *c = conf_server_read(path, (gid_t)-1, &r);

		good = c != NULL;
		conf_server_free(c);
	}
	assert_int_equal(good, r.count == r.warnings);
	for (size_t i = 0; i < r.count; i++) {
		assert_memory_equal(r.lines[i], path, strlen(path));
		assert_null(strpbrk(r.lines[i], "\n\r\033\xff\x80"));
		/* The end of each key, which no message may show, wherever it strayed to. */
		if (strstr(r.lines[i], "Secr3t"))
			fail_msg("a key is shown: %s", r.lines[i]);
	}
	conf_report_free(&r);
}

/* Both samples with more sections in them and with keys that can be found again. */
static char *mutants_origin(enum conf_file file)
{
	static const char client[] = "[volume osl:a]\npolicy=fail-over\nattach=yes\n[interface "
				     "if3]\ndevice=eth1\nport=5001\n";
	static const char server[] =
		"[pool p]\npath=/srv/p\nmanage=big-2,venus\n[volume v]\npath=/dev/x\nmode=ro\n"
		"uuid=00112233-4455-6677-8899-aabbccddeeff\nclients=venus\n";
	bool is_client = file == CONF_FILE_CLIENT;
	char *text = sample(is_client ? "rscltcfg" : "rssrvcfg"), *whole = calloc(1, 8192),
	     *to = whole;

	for (const char *at = text; *at; at++) {
		if (strncmp(at, "0xbig", 5) == 0) {
			to = stpcpy(to, "0xbig/Secr3t");
			at += 4;
		} else {
			*to++ = *at;
		}
	}
	strcpy(to, is_client ? client : server);
	free(text);
	return whole;
}

static void mutants(enum conf_file file, int count)
{
	char *origin = mutants_origin(file), text[4096];

	for (int i = 0; i < count; i++) {
		size_t size = strlen(origin);

		seed = test_seed((uint64_t)i * 2 + file);
		memcpy(text, origin, size);
		for (uint32_t edits = 1 + draw(6); edits; edits--)
			size = mutate(text, size, sizeof(text));
		write_bytes(text, size, 0600);
		read_mutant(file);
	}
	free(origin);
}

static void test_client_mutants(void **state)
{
	(void)state;
	mutants(CONF_FILE_CLIENT, 5000);
}

static void test_server_mutants(void **state)
{
	(void)state;
	mutants(CONF_FILE_SERVER, 5000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_client_mutants),
		cmocka_unit_test(test_server_mutants),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
