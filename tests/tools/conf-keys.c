/*
 * conf-keys - the table of configuration keys, a line each:
 *
 *	FILE <tab> SECTION <tab> KEY <tab> NEED <tab> DEFAULT
 *
 * NEED is optional, required or inert; DEFAULT is none where there is none.
 */
#include <stdio.h>
#include "conf.h"

int main(void)
{
	static const char *const files[] = { "rscltcfg", "rssrvcfg", "hosts", "fleet" };
	static const char *const needs[] = { "optional", "required", "inert" };
	size_t count;
	const struct conf_key_row *rows = conf_key_table(&count);

	for (size_t i = 0; i < count; i++)
		printf("%s\t%s\t%s\t%s\t%s\n", files[rows[i].file],
		       rows[i].section, rows[i].name, needs[rows[i].need],
		       rows[i].fallback ? rows[i].fallback : "none");
	return 0;
}
