/*
 * boot.c - what deploy_boot.h says, for tests: boot command 0|1|2 MARKER prints a command line,
 * boot script MARKER DIR SIZE SHA MACHINE a script, and with a further operand LINE what that line means.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "deploy_boot.h"

static int print(char *text)
{
	if (text)
		fputs(text, stdout);
	free(text);
	return !text;
}

int main(int argc, char **argv)
{
	struct deploy_boot b = { 0 };
	struct err e = { 0 };

	if (argc == 4 && strcmp(argv[1], "command") == 0)
		return print(deploy_boot_command((enum deploy_sudo)atoi(argv[2]), argv[3]));
	if (argc < 7 || argc > 8)
		return 2;
	b = (struct deploy_boot){ .marker = argv[2], .dir = argv[3], .size = strtoull(argv[4], NULL, 10), .sha = argv[5],
				  .machine = argv[6] };
	if (argc == 7)
		return print(deploy_boot_script(&b));
	printf("%d", (int)deploy_boot_line(&b, argv[7], &e));
	printf(" %d %s|%s\n", e.code, e.text, e.next);
	return 0;
}
