/* path_health.c - is a path alive, and how far is it to be trusted: keepalive, suspicion, probation. */
#include "log.h"
#include "path_impl.h"

#define SECOND UINT64_C(1000000000)
#define SUSPECT_LOST 0.625		/* of detect, for a path that is not the only one */
#define KEEPALIVE_PER_DETECT 4		/* pings in the time after which silence is a failure */
#define KEEPALIVE_MAX (WIRE_LEASE / 3.0)	/* seconds: the server judges our silence too */

/*
 * PROBATION.  Each loss costs what was under way a wait, up to detect and more, and a path
 * that comes and goes looks its best just before the next one.  So after PATH_FLAPS losses
 * within PATH_FLAPS_WITHIN seconds it comes back on probation: commands take it when
 * nothing better is left, and in full when the configured time passed without a loss.
 */
void path_health_loss(struct path *p)
{
	uint64_t now = loop_now(p->loop), *oldest;

	p->losses[p->loss_count++ % PATH_FLAPS] = now;
	oldest = &p->losses[p->loss_count % PATH_FLAPS];
	p->flapped = p->probation || (p->loss_count >= PATH_FLAPS && now - *oldest < PATH_FLAPS_WITHIN * SECOND);
}

static void begin_probation(struct path *p)
{
	double time = p->setup.namespace->behaviour.probation;

	p->probation = p->flapped && time > 0 ? loop_now(p->loop) + (uint64_t)(time * 1e9) : 0;
	if (p->probation)
		log_info(path_log_name(p), "on probation for %g s: it was lost again and again", time);
}

void path_health_begin(struct path *p)
{
	p->heard = p->alive = loop_now(p->loop);
	p->alive_absent = loop_absent(p->loop);
	p->pinged = p->stamp = 0;
	p->last_ping = p->heard;
	p->suspect = false;
	begin_probation(p);
	p->rate = (struct path_rate){
		.since = p->heard, .commands = p->commands, .read_bytes = p->read_bytes, .write_bytes = p->write_bytes,
	};
}

static void look_at_probation(struct path *p)
{
	if (!p->probation || loop_now(p->loop) < p->probation)
		return;
	p->probation = 0;
	p->flapped = false;
	log_info(path_log_name(p), "in full use again");
	p->ops->changed(p->owner, p);
}

double path_probation(const struct path *p)
{
	if (p->state != PATH_UP || !p->probation)
		return -1;
	return p->probation > loop_now(p->loop) ? (double)(p->probation - loop_now(p->loop)) / 1e9 : 0;
}

unsigned path_rank(const struct path *p)
{
	return p->suspect ? 2 : p->probation || p->leaving ? 1 : 0;
}

static void look_at_rate(struct path *p)
{
	struct path_rate *r = &p->rate;
	double seconds = (double)(loop_now(p->loop) - r->since) / 1e9;

	if (seconds > 0) {
		r->iops = (double)(p->commands - r->commands) / seconds;
		r->read = (double)(p->read_bytes - r->read_bytes) / seconds;
		r->write = (double)(p->write_bytes - r->write_bytes) / seconds;
	}
	r->since = loop_now(p->loop);
	r->commands = p->commands;
	r->read_bytes = p->read_bytes;
	r->write_bytes = p->write_bytes;
}

double path_keepalive_time(double detect)
{
	double t = detect / KEEPALIVE_PER_DETECT;

	return t < KEEPALIVE_MAX ? t : KEEPALIVE_MAX;
}

double path_noticed_within(const struct path_setup *s, bool others)
{
	double detect = s->namespace->behaviour.detect;

	/* Silence begins just after a keepalive at worst, and is judged at one. */
	return detect * (others ? SUSPECT_LOST : 1) + path_keepalive_time(detect);
}

static void suspect(struct path *p, bool yes)
{
	if (p->suspect == yes)
		return;
	p->suspect = yes;
	p->ops->changed(p->owner, p);
}

void path_alive(struct path *p, uint64_t when)
{
	p->alive = when;
	p->alive_absent = loop_absent(p->loop);
	suspect(p, false);
}

/* A ping goes out as soon as the path was silent for one interval, whenever that began:
 * so there is a look that makes it suspect before the one that gives it up. */
static double next_look(const struct path *p, double silent, double interval)
{
	if (p->pinged)
		return interval / 2;
	return silent < 0.9 * interval ? interval - silent : interval;
}

/*
 * SUSPICION.  A path that has not answered a ping for an interval gets no new commands
 * while another path leads to the same server, and is given up sooner than one that is
 * the last: what it has in flight is fenced over the other and sent there.  That is cheap
 * when it was wrong, so it may be quick.  With the last path gone nothing could be done
 * but wait: there the whole of detect must pass.
 *
 * A server that stands still is silent on all its paths, and none of them is at fault:
 * the other one counts only if it was heard after the ping.  Who had no reason to speak
 * is asked, and while an answer is owed it is looked twice as often.
 *
 * When another server was heard and this one was not, over any path, its paths are suspect
 * too: what both offer goes to the other one.  But they are given up no sooner, for what they
 * have in flight cannot be fenced there so cheaply (mpio_legs.c).
 *
 * A slow path with much to carry is silent for long though nothing is wrong: behind 1 MiB
 * at 4 Mbit/s a ping arrives after two seconds.  So it is a sign of life when the peer's
 * kernel acknowledges what is in front of the ping.  It is none of the server, whose kernel
 * goes on with that while the process is stopped or stuck; but of that no more than what is
 * in front of the ping, and no more than its receive buffer takes (net.ipv4.tcp_rmem, 6 MiB
 * by default): that much later such a server is noticed, a few milliseconds where the
 * network is fast.  What is sent after the ping never counts, or a few small commands a
 * second would keep a stuck server alive for minutes.  A network that fell silent
 * acknowledges nothing, and is noticed as soon as ever.
 *
 * Silence is judged by the time that we were awake.
 */
static uint64_t silence(struct path *p)
{
	uint64_t away = loop_absent(p->loop) - p->alive_absent, ago;
	uint64_t silent = loop_now(p->loop) - p->alive;

	silent = silent > away ? silent - away : 0;
	if (!p->pinged || !path_ping_moves(p, &ago))
		return silent;
	ago = ago > away ? ago - away : 0;
	if (ago >= silent)
		return silent;
	path_alive(p, loop_now(p->loop) - ago);
	return ago;
}

void path_keepalive(struct path *p)
{
	uint64_t now = loop_now(p->loop), silent = silence(p), next;
	double detect = p->setup.namespace->behaviour.detect, interval = path_keepalive_time(detect) * 1e9;
	enum path_others others = p->pinged ? p->ops->others(p->owner, p) : PATH_ALONE;

	look_at_rate(p);
	look_at_probation(p);
	if (p->pinged && (double)silent > detect * 1e9 * (others == PATH_OTHER_PATH ? SUSPECT_LOST : 1)) {
		path_lost(p, "silent for %.1f s%s", (double)silent / 1e9,
			  others == PATH_OTHER_PATH ? ", while another path to the server is not" : "");
		return;
	}
	/* A path that is not silent says so too: the server counts our lease from these. */
	if (!p->pinged && (double)(now - p->last_ping) >= 0.9 * interval)
		path_ping(p);
	else if (others && (double)silent >= interval && (double)(now - p->pinged) >= 0.9 * interval)
		suspect(p, true);
	if (p->device[0] && !sock_device_running(p->device)) {
		path_lost(p, "device %s lost its link", p->device);
		return;
	}
	next = now + (uint64_t)next_look(p, (double)silent, interval);
	loop_arm(p->loop, &p->timer, p->probation && p->probation < next ? p->probation : next);
}
