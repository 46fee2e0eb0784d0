/* main.c - rsiod: options, configuration, into the background. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "daemon.h"
#include "opt.h"

static const struct opt options[] = {
	{ 'c', "config", OPT_STRING, "FILE", offsetof(struct daemon_options, config),
	  "the configuration, instead of /etc/rscltcfg", 0, 0 },
	{ 0, "check", OPT_FLAG, NULL, offsetof(struct daemon_options, check),
	  "read the configuration, say what is wrong with it, and end", 0, 0 },
	{ 'f', "foreground", OPT_FLAG, NULL, offsetof(struct daemon_options, foreground),
	  "stay in the foreground, log to standard error", 0, 0 },
	{ 'm', "mount", OPT_STRING, "DIR", offsetof(struct daemon_options, mount),
	  "mount there, instead of the configuration's mount or /rsio", 0, 0 },
	{ 'n', "no-wait", OPT_FLAG, NULL, offsetof(struct daemon_options, no_wait),
	  "start although no server answers yet", 0, 0 },
	{ 'o', "options", OPT_STRING, "manage", offsetof(struct daemon_options, mount_options),
	  "touch, mv and rm in the tree make, rename and remove volumes", 0, 0 },
	{ 0, "run-dir", OPT_STRING, "DIR", offsetof(struct daemon_options, run_dir),
	  "where pid file, control socket and log are", 0, 0 },
	{ 'v', "verbose", OPT_COUNT, NULL, offsetof(struct daemon_options, verbose),
	  "log more", 0, 0 },
	{ 0, NULL, OPT_FLAG, NULL, 0, NULL, 0, 0 },
};

static const struct opt_program program = {
	.name = "rsiod",
	.synopsis = "[-fnv] [-c FILE] [-m DIR] [-o manage] [--run-dir DIR]\n--check [-c FILE]",
	.about = "The client daemon: mounts the volumes of all configured servers.",
	.table = options,
	.page = "rsiod(8)",
};

/* Words with commas between, as mount(8) takes them; manage is the only one. */
static void read_mount_options(struct daemon_options *o)
{
	const char *at = o->mount_options;

	for (size_t length; at && *at; at += length + (at[length] == ',')) {
		length = strcspn(at, ",");
		if (length == strlen("manage") && strncmp(at, "manage", length) == 0) {
			o->manage = true;
			continue;
		}
		fprintf(stderr, "rsiod: there is no mount option '%.*s': manage is one\nTry 'rsiod --help'.\n", (int)length, at);
		exit(2);
	}
}

/* Absolute, without links and without a trailing slash, as the kernel will name it; the
 * last part need not exist. */
static char *absolute(const char *dir)
{
	char *real = realpath(dir, NULL), *copy, *slash, *joined;

	if (real)
		return real;
	copy = strdup(dir);
	if (!copy)
		return NULL;
	while ((slash = strrchr(copy, '/')) && slash[1] == 0 && slash != copy)
		*slash = 0;
	if (slash)
		*slash = 0;
	real = realpath(slash ? (slash == copy ? "/" : copy) : ".", NULL);
	if (!real || asprintf(&joined, "%s/%s", strcmp(real, "/") ? real : "", slash ? slash + 1 : copy) < 0)
		joined = NULL;
	free(real);
	free(copy);
	return joined ? joined : strdup(dir);
}

static char *mount_place(const struct daemon_options *o, const struct conf_client *conf)
{
	char *home, *place;

	if (o->mount)
		return absolute(o->mount);
	if (conf->mount)
		return absolute(conf->mount);
	home = mount_default();
	place = home ? absolute(home) : NULL;
	free(home);
	return place;
}

static int make_run_dir(const char *dir, struct err *e)
{
	if (mkdir(dir, 0755) < 0 && errno != EEXIST) {
		err_sys(e, errno, "run directory %s", dir);
		err_next(e, "make it, or choose another with --run-dir");
		return -e->code;
	}
	return 0;
}

/* The parent waits for a byte, the exit status; without one the child has ended. */
static int wait_ready(int fd, pid_t pid)
{
	unsigned char status;
	int ended;

	if (read(fd, &status, 1) == 1)
		return status;
	if (waitpid(pid, &ended, 0) < 0 || !WIFEXITED(ended)) {
		fprintf(stderr, "rsiod: it ended unexpectedly while it started\n");
		return 1;
	}
	return WEXITSTATUS(ended);
}

static int in_background(const struct daemon_options *o, const char *config, struct conf_client *conf,
			 const char *run_dir, const char *mount_dir)
{
	int p[2], ready;
	pid_t pid;

	if (pipe2(p, O_CLOEXEC) < 0 || (pid = fork()) < 0) {
		perror("rsiod");
		conf_client_free(conf);
		return 1;
	}
	if (pid > 0) {
		conf_client_free(conf);
		close(p[1]);
		return wait_ready(p[0], pid);
	}
	/* What the caller had open is not ours to keep. */
	ready = dup2(p[1], 3);
	close_range(4, ~0U, 0);
	fcntl(ready, F_SETFD, FD_CLOEXEC);
	setsid();
	if (chdir("/") < 0)
		perror("rsiod: /");
	return daemon_run(o, config, conf, run_dir, mount_dir, ready);
}

/* Starts with the configuration that was read. */
static int start(const struct daemon_options *o, const char *config, struct conf_client *conf,
		 const char *run_dir)
{
	char *mount_dir = mount_place(o, conf);
	struct err e = { 0 };
	int status;

	if (!mount_dir || make_run_dir(run_dir, &e) < 0) {
		if (e.code)
			err_print("rsiod", &e);
		conf_client_free(conf);
		status = 1;
	} else if (o->foreground) {
		status = daemon_run(o, config, conf, run_dir, mount_dir, -1);
	} else {
		status = in_background(o, config, conf, run_dir, mount_dir);
	}
	free(mount_dir);
	return status;
}

int main(int argc, char **argv)
{
	struct daemon_options o = { 0 };
	struct conf_report report = { 0 };
	struct conf_client *conf;
	char *config, *run_dir;
	int first, status;

	close_range(3, ~0U, 0);		/* a daemon keeps nothing open that its starter had */
	opt_parse(&program, &o, argc, argv, &first);
	read_mount_options(&o);
	config = o.config ? absolute(o.config) : conf_client_default_path();
	run_dir = opt_run_dir(o.run_dir);
	if (!config || !run_dir) {
		fprintf(stderr, "rsiod: no memory to start with\n");
		return 1;
	}
	conf = conf_client_read(config, (gid_t)-1, &report);
	conf_report_print("rsiod", &report);
	conf_report_free(&report);
	if (conf && o.check) {
		conf_client_check_keys(conf, &report);
		conf_report_print("rsiod", &report);
		conf_report_free(&report);
	}
	if (conf && !o.check) {
		status = start(&o, config, conf, run_dir);
	} else {
		status = conf ? 0 : 1;
		conf_client_free(conf);
	}
	free(config);
	free(run_dir);
	return status;
}
