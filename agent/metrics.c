/* metrics.c - see metrics.h. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "log.h"
#include "metrics.h"
#include "server.h"
#include "status.h"
#include "view.h"

struct metrics {
	struct server *server;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* Under lock. */
	bool stop, again, ended;
	/* The thread's own. */
	char *file;			/* that was written last */
	bool failed;			/* which was said */
};

/* What the configuration says now; *file is the caller's.  *interval 0: nothing is to be written. */
static void read_conf(struct server *s, char **file, double *interval)
{
	pthread_rwlock_rdlock(&s->conf_lock);
	*file = s->conf->metrics ? strdup(s->conf->metrics) : NULL;
	*interval = *file ? s->conf->metrics_interval : 0;
	pthread_rwlock_unlock(&s->conf_lock);
}

static int write_all(int fd, const char *text, size_t n)
{
	while (n) {
		ssize_t done = write(fd, text, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return done ? -errno : -EIO;
		text += done;
		n -= (size_t)done;
	}
	return 0;
}

/* Not synced: after a crash of the host it is old anyway.  The directory may be another user's, who
 * collects it: what lies at the new one's name, a pipe that nobody reads, a second name of a volume,
 * is not written to. */
static int write_file(const char *file, const char *text)
{
	char *beside;
	int fd, r;

	if (asprintf(&beside, "%s.new", file) < 0)
		return -ENOMEM;
	unlink(beside);
	fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	r = fd < 0 ? -errno : write_all(fd, text, strlen(text));
	if (fd >= 0 && close(fd) < 0 && !r)
		r = -errno;
	if (!r && rename(beside, file) < 0)
		r = -errno;
	if (r && fd >= 0)
		unlink(beside);
	free(beside);
	return r;
}

static void say(struct metrics *m, const char *file, int r)
{
	if (r && !m->failed)
		log_warning("metrics", "cannot write %s: %s; tried again each time", file, strerror(-r));
	else if (!r && m->failed)
		log_info("metrics", "%s is written again", file);
	m->failed = r;
}

static void write_metrics(struct metrics *m, const char *file)
{
	json_t *status = status_json(m->server);
	char *text = status ? view_server_metrics(status) : NULL;

	say(m, file, text ? write_file(file, text) : -ENOMEM);
	free(text);
	json_decref(status);
}

/* The one that was written is not written any more. */
static void forget(struct metrics *m)
{
	if (m->file)
		unlink(m->file);
	free(m->file);
	m->file = NULL;
	m->failed = false;
}

static void round_of(struct metrics *m, double *interval)
{
	char *file;

	read_conf(m->server, &file, interval);
	if (m->file && (!file || strcmp(file, m->file) != 0))
		forget(m);
	if (!file)
		return;
	free(m->file);
	m->file = file;
	write_metrics(m, file);
}

/* 0: until the configuration is read again. */
static void wait_for(struct metrics *m, double seconds)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += (time_t)seconds;
	until.tv_nsec += (long)((seconds - (double)(time_t)seconds) * 1e9);
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	while (!m->stop && !m->again)
		if (seconds <= 0)
			pthread_cond_wait(&m->changed, &m->lock);
		else if (pthread_cond_timedwait(&m->changed, &m->lock, &until) == ETIMEDOUT)
			break;
	m->again = false;
}

static void *work(void *arg)
{
	struct metrics *m = arg;
	double interval;

	pthread_setname_np(pthread_self(), "rssrv-metrics");
	pthread_mutex_lock(&m->lock);
	while (!m->stop) {
		pthread_mutex_unlock(&m->lock);
		round_of(m, &interval);
		pthread_mutex_lock(&m->lock);
		wait_for(m, interval);
	}
	pthread_mutex_unlock(&m->lock);
	forget(m);
	pthread_mutex_lock(&m->lock);
	m->ended = true;
	pthread_cond_signal(&m->changed);
	pthread_mutex_unlock(&m->lock);
	return NULL;
}

struct metrics *metrics_start(struct server *s, struct err *e)
{
	struct metrics *m = calloc(1, sizeof(*m));
	pthread_condattr_t attr;
	int r = ENOMEM;

	if (m) {
		m->server = s;
		pthread_mutex_init(&m->lock, NULL);
		pthread_condattr_init(&attr);
		pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
		pthread_cond_init(&m->changed, &attr);
		pthread_condattr_destroy(&attr);
		r = pthread_create(&m->thread, NULL, work, m);
	}
	if (!r)
		return m;
	err_sys(e, r, "cannot start the thread that writes metrics");
	free(m);
	return NULL;
}

void metrics_apply(struct metrics *m)
{
	pthread_mutex_lock(&m->lock);
	m->again = true;
	pthread_cond_signal(&m->changed);
	pthread_mutex_unlock(&m->lock);
}

void metrics_stop(struct metrics *m)
{
	struct timespec until;
	bool ended;

	if (!m)
		return;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec++;
	pthread_mutex_lock(&m->lock);
	m->stop = true;
	pthread_cond_signal(&m->changed);
	/* It waits for changed no more: whoever waits now is here. */
	while (!m->ended && pthread_cond_timedwait(&m->changed, &m->lock, &until) != ETIMEDOUT)
		;
	ended = m->ended;
	pthread_mutex_unlock(&m->lock);
	if (!ended)
		return;		/* its directory hangs: it ends with the process */
	pthread_join(m->thread, NULL);
	pthread_cond_destroy(&m->changed);
	pthread_mutex_destroy(&m->lock);
	free(m);
}
