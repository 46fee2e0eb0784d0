/* rsslogcat.c - prints the log of the server, rssrv. */
#include "logcat.h"

int main(int argc, char **argv)
{
	static const struct logcat l = {
		.name = "rsslogcat",
		.about = "Prints the log of the server rssrv.",
		.page = "rsslogcat(8)",
		.daemon = "rssrv",
		.audit = true,
	};

	return logcat_main(&l, argc, argv);
}
