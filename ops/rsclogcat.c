/* rsclogcat.c - prints the log of the client daemon, rsiod. */
#include "logcat.h"

int main(int argc, char **argv)
{
	static const struct logcat l = {
		.name = "rsclogcat",
		.about = "Prints the log of the client daemon rsiod.",
		.page = "rsclogcat(8)",
		.daemon = "rsiod",
	};

	return logcat_main(&l, argc, argv);
}
