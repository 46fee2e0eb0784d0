/* log_print.h - rssrv --log: the log of the server here, printed, for a host where nothing else is installed. */
#ifndef AGENT_LOG_PRINT_H
#define AGENT_LOG_PRINT_H

#include <stdbool.h>

/* The last so many lines (-1: all), and with follow what comes, until nobody reads it any more.  run_dir: NULL
 * is the usual one.  The exit status; what is wrong was printed. */
int log_print(const char *run_dir, int lines, bool follow);

#endif
