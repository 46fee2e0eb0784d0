/* test_view.c - state as text: the formats that administrators know, to the column. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "view.h"

#define UUID "5f0c6a1e-6f0f-4b43-9c0e-3a9d4c1f7b22"

/* Two networks, one path over each, one volume: the documentation's example. */
#define PATH(i, n, net, more) \
	"{'name':'if" i "/big-9-" n "','interface':'if" i "','local':'192.168." net ".1'," \
	"'server':'big-9-" n "','portal':'192.168." net ".9','port':5000,'protocol':'tcp'," \
	"'family':'IP'," more "}"
#define UP "'state':'up','since':3720,'reason':null,'connection':1,'rtt_us':80.5,'in_flight':3," \
	"'bytes_in_flight':24576,'read_bytes':1048576,'write_bytes':1536,'commands':131," \
	"'share':0.5,'errors':0"
#define VOLUME(more) \
	"{'id':0,'name':'oracle','uuid':'" UUID "','generation':'17','size':16106127360," \
	"'blocks':31457280,'block_size':512,'av':0,'server':'big-9','servers':1," \
	"'on_loss':'fail','opens':1,'in_flight':2,'reads':128,'read_bytes':1048576," \
	"'writes':3,'write_bytes':1536,'flushes':1,'errors':0,'resent':4," more "}"
#define NUMBERS "'read_iops':1234.4,'read_rate':10112000,'read_latency':{'count':128,'p50_us':80.5,'p90_us':101," \
	"'p99_us':3200,'p999_us':40890,'buckets':[[13312,1],[79872,120],[1048576,7]]},'write_iops':0,'write_rate':0," \
	"'write_latency':null"
#define READY "'read_only':false,'state':'ready','give_up_in':null"
#define NAMESPACE(paths, unassigned, volumes) \
	"{'name':'osl','id':0,'node':'sles1','servers':[{'id':0,'name':'big-9','version':'rssrv 0.1'," \
	"'state':'up','policy':'adaptive','paths':[" paths "]}],'unassigned':[" unassigned "]," \
	"'volumes':[" volumes "]}"
#define STATUS(ns) \
	"{'version':'0.1','pid':4711,'uptime':7260,'mount':'/rsio','run_dir':'/run/rsio'," \
	"'memory':{'buffers_used':8192,'buffers_held':1048576," \
	"'buffers_limit':268435456,'requests':2,'paused':0,'interrupted':1},'namespaces':[" ns "],'devices':[" \
	"{'namespace':'osl','volume':'oracle','id':0,'av':0,'block':'/dev/av0/oracle'," \
	"'raw':'/dev/av0/roracle','loop':'/dev/loop3','blocks':31457280,'block_size':512," \
	"'servers':1,'state':'ready'}]}"
#define EXAMPLE STATUS(NAMESPACE(PATH("0", "1", "10", UP) "," PATH("1", "2", "20", UP), "", \
				 VOLUME(READY)))

/* JSON with ' for ". */
static json_t *parse(const char *text)
{
	char *copy = strdup(text);
	json_error_t error;
	json_t *json;

	assert_non_null(copy);
	for (char *p = copy; *p; p++)
		if (*p == '\'')
			*p = '"';
	json = json_loads(copy, 0, &error);
	if (!json)
		fail_msg("fixture: %s at %d", error.text, error.position);
	free(copy);
	return json;
}

static const json_t *first(const json_t *status)
{
	return json_array_get(json_object_get(status, "namespaces"), 0);
}

static void check(char *text, const char *expected)
{
	assert_non_null(text);
	assert_string_equal(text, expected);
	free(text);
}

#define QUERY0 \
	"000 osl\n" \
	"  clt: sles1\n" \
	"  srv: 000 big-9\n" \
	"    0 oracle       disk  31457280 blocks of  512 bytes\n"

static void test_query(void **state)
{
	json_t *status = parse(EXAMPLE);

	(void)state;
	check(view_query(status, 0), QUERY0);
	check(view_query(status, 1),
	      "000 osl\n"
	      "  clt: sles1\n"
	      "  srv: 000 big-9\n"
	      "      up, rssrv 0.1, policy adaptive\n"
	      "    0 oracle       disk  31457280 blocks of  512 bytes\n"
	      "      uuid " UUID " generation 17\n"
	      "      ready, read-write, av0, 1 server(s), on loss fail\n");
	check(view_query(status, 2),
	      "000 osl\n"
	      "  clt: sles1\n"
	      "  srv: 000 big-9\n"
	      "      up, rssrv 0.1, policy adaptive\n"
	      "      path if0/big-9-1  192.168.10.1 -> 192.168.10.9/5000\n"
	      "        up, 80.5 us, 3 in flight\n"
	      "      path if1/big-9-2  192.168.20.1 -> 192.168.20.9/5000\n"
	      "        up, 80.5 us, 3 in flight\n"
	      "    0 oracle       disk  31457280 blocks of  512 bytes\n"
	      "      uuid " UUID " generation 17\n"
	      "      ready, read-write, av0, 1 server(s), on loss fail\n");
	check(view_query(status, 3),
	      "000 osl\n"
	      "  clt: sles1\n"
	      "  srv: 000 big-9\n"
	      "      up, rssrv 0.1, policy adaptive\n"
	      "      path if0/big-9-1  192.168.10.1 -> 192.168.10.9/5000\n"
	      "        up, 80.5 us, 3 in flight\n"
	      "        131 commands (50 %), 1 MiB read, 1.5 KiB written, 0 errors\n"
	      "      path if1/big-9-2  192.168.20.1 -> 192.168.20.9/5000\n"
	      "        up, 80.5 us, 3 in flight\n"
	      "        131 commands (50 %), 1 MiB read, 1.5 KiB written, 0 errors\n"
	      "    0 oracle       disk  31457280 blocks of  512 bytes\n"
	      "      uuid " UUID " generation 17\n"
	      "      ready, read-write, av0, 1 server(s), on loss fail\n"
	      "      128 reads of 1 MiB, 3 writes of 1.5 KiB, 1 flushes\n"
	      "      2 in flight, 4 resent, 0 errors, 1 opens\n");
	json_decref(status);
}

/* Snapshots are no disks: they are shown to who asks for more. */
static void test_query_snapshots(void **state)
{
	json_t *status = parse(STATUS(NAMESPACE("", "", VOLUME(READY))));
	json_t *ns = json_array_get(json_object_get(status, "namespaces"), 0);
	char *text;

	(void)state;
	json_object_set_new(ns, "snapshots", parse("["
		"{'name':'oracle@monday','of':'oracle','snapshot':'monday','taken':'2026-11-26T08:00:00Z','taken_seconds':1795680000,'blocks':8},"
		"{'name':'oracle@old','of':'oracle','snapshot':'old','taken':null,'taken_seconds':null,'blocks':16}]"));
	text = view_query(status, 0);
	assert_null(strstr(text, "monday"));
	assert_null(strstr(text, "snapshots"));
	free(text);
	text = view_query(status, 1);
	assert_non_null(strstr(text, "on loss fail\n      snapshots 2\n"));
	assert_null(strstr(text, "monday"));
	free(text);
	text = view_query(status, 2);
	assert_non_null(strstr(text, "      snapshots 2\n"
			       "        @monday       2026-11-26 08:00:00 UTC, 8 blocks\n"
			       "        @old          -, 16 blocks\n"));
	free(text);
	json_decref(status);
}

/* What is wrong stands at the end of its line, or below it. */
static void test_query_trouble(void **state)
{
	json_t *status = parse(STATUS(NAMESPACE("",
		PATH("0", "1", "10", "'state':'waiting','reason':'refused: is rssrv running there?'") ","
		PATH("1", "1", "10", "'state':'waiting','reason':'refused: is rssrv running there?'"),
		VOLUME("'read_only':true,'state':'waiting','give_up_in':86.2") ","
		"{'id':7,'name':'lost-one','server':'big-8','state':'lost','blocks':8,'block_size':4096}")));
	json_t *server = json_array_get(json_object_get(first(status), "servers"), 0);

	(void)state;
	json_object_set_new(server, "state", json_string("lost"));
	check(view_query(status, 0),
	      "000 osl\n"
	      "  clt: sles1\n"
	      "  srv: 000 big-9  lost\n"
	      "    0 oracle       disk  31457280 blocks of  512 bytes  waiting, gives up in 87 s, read-only\n"
	      "  srv: --- big-9-1  192.168.10.9/5000 waiting\n"
	      "      why: refused: is rssrv running there?\n"
	      "  srv: --- -\n"
	      "    7 lost-one     disk         8 blocks of 4096 bytes  lost\n");
	json_decref(status);
}

static void test_paths(void **state)
{
	json_t *status = parse(EXAMPLE);

	(void)state;
	check(view_paths(status, 0),
	      "0 if0 IP(TCP) 192.168.10.1/5000\n"
	      "    rep: 000 IP(TCP) 192.168.10.9/5000 connected tx: ok rx: ok\n"
	      "1 if1 IP(TCP) 192.168.20.1/5000\n"
	      "    rep: 001 IP(TCP) 192.168.20.9/5000 connected tx: ok rx: ok\n");
	check(view_paths(status, 2),
	      "0 if0 IP(TCP) 192.168.10.1/5000\n"
	      "    rep: 000 IP(TCP) 192.168.10.9/5000 connected tx: ok rx: ok\n"
	      "      if0/big-9-1 to osl:big-9, up for 1 h 02 min\n"
	      "      round trip 80.5 us, 3 in flight (24 KiB)\n"
	      "      131 commands (50 %), 1 MiB read, 1.5 KiB written, 0 errors\n"
	      "1 if1 IP(TCP) 192.168.20.1/5000\n"
	      "    rep: 001 IP(TCP) 192.168.20.9/5000 connected tx: ok rx: ok\n"
	      "      if1/big-9-2 to osl:big-9, up for 1 h 02 min\n"
	      "      round trip 80.5 us, 3 in flight (24 KiB)\n"
	      "      131 commands (50 %), 1 MiB read, 1.5 KiB written, 0 errors\n");
	json_decref(status);
}

/* Every interface with every portal; a portal keeps its number whatever order the
 * daemon has them in, and interface 10 comes after interface 9. */
static void test_paths_matrix(void **state)
{
	json_t *status = parse(STATUS(NAMESPACE(
		PATH("10", "2", "20", "'state':'down','reason':'no route: check the cable'") ","
		PATH("10", "1", "10", "'state':'up'") ","
		PATH("9", "2", "20", "'state':'draining','reason':null"),
		PATH("9", "1", "10", "'state':'connecting','reason':null"), "")));

	(void)state;
	check(view_paths(status, 0),
	      "0 if9 IP(TCP) 192.168.10.1/5000\n"
	      "    rep: 000 IP(TCP) 192.168.10.9/5000 connecting tx: - rx: -\n"
	      "    rep: 001 IP(TCP) 192.168.20.9/5000 draining tx: - rx: ok\n"
	      "1 if10 IP(TCP) 192.168.10.1/5000\n"
	      "    rep: 000 IP(TCP) 192.168.10.9/5000 connected tx: ok rx: ok\n"
	      "    rep: 001 IP(TCP) 192.168.20.9/5000 disconnected tx: - rx: -\n"
	      "      why: no route: check the cable\n");
	json_decref(status);
}

/* Two networks: an interface that leads elsewhere is no trouble, one without a
 * link is. */
static void test_unused(void **state)
{
	json_t *status = parse(STATUS(NAMESPACE(
		PATH("0", "1", "10", UP) ","
		PATH("0", "2", "20", "'state':'unused','reason':'portal big-9-2 is in the network of if1'") ","
		PATH("1", "1", "10", "'state':'unused','reason':'portal big-9-1 is in the network of if0'") ","
		PATH("1", "2", "20", UP), "", "")));
	json_t *path = json_array_get(json_object_get(json_array_get(json_object_get(
		first(status), "servers"), 0), "paths"), 3);

	(void)state;
	check(view_paths(status, 0),
	      "0 if0 IP(TCP) 192.168.10.1/5000\n"
	      "    rep: 000 IP(TCP) 192.168.10.9/5000 connected tx: ok rx: ok\n"
	      "1 if1 IP(TCP) 192.168.20.1/5000\n"
	      "    rep: 001 IP(TCP) 192.168.20.9/5000 connected tx: ok rx: ok\n");
	check(view_tree_servers(first(status)),
	      " id server           state      version      policy         paths up  failover\n"
	      "  0 big-9            up         rssrv 0.1    adaptive       2 of 2    -\n");
	json_object_set_new(path, "state", json_string("unused"));
	json_object_set_new(path, "reason", json_string("device eth1 has no link"));
	check(view_paths(status, 0),
	      "0 if0 IP(TCP) 192.168.10.1/5000\n"
	      "    rep: 000 IP(TCP) 192.168.10.9/5000 connected tx: ok rx: ok\n"
	      "    rep: 001 IP(TCP) 192.168.20.9/5000 unused tx: - rx: -\n"
	      "      why: portal big-9-2 is in the network of if1\n"
	      "1 if1 IP(TCP) 192.168.10.1/5000\n"
	      "    rep: 000 IP(TCP) 192.168.10.9/5000 unused tx: - rx: -\n"
	      "      why: portal big-9-1 is in the network of if0\n"
	      "    rep: 001 IP(TCP) 192.168.20.9/5000 unused tx: - rx: -\n"
	      "      why: device eth1 has no link\n");
	check(view_tree_servers(first(status)),
	      " id server           state      version      policy         paths up  failover\n"
	      "  0 big-9            up         rssrv 0.1    adaptive       1 of 4    -\n");
	json_decref(status);
}

/* In whatever order things came up, they are shown in the same. */
/* Every policy's sentence, and those about a standby and a path that is down. */
#define TWO(policy, a, b) \
	"{'namespaces':[{'name':'osl','noticed_within':1.75,'noticed_last':2.5,'give_up':120,'on_loss':'fail','servers':[{" \
	"'name':'big-9','policy':'" policy "','paths':[" a "," b "]}],'volumes':[]}]}"
#define ONE(name, more) "{'name':'" name "','state':'up','share':0.75,'rtt_us':80.5,'in_flight':3," more "}"
#define AFTER \
	"  a reset or a lost link is noticed at once, silence within 1.75 s;\n" \
	"  what was under way then goes on over another path of the server\n" \
	"  silence of the last path is noticed within 2.5 s\n" \
	"  with no path left I/O waits for 120 s, then on-loss = fail applies\n"

static void explained(const char *text, const char *expected)
{
	json_t *status = parse(text);

	check(view_explain(status), expected);
	json_decref(status);
}

static void test_explain(void **state)
{
	(void)state;
	explained(TWO("adaptive", ONE("a/1", "'carries':1073741824"), ONE("b/2", "'carries':null")),
		  "osl\n  big-9: policy adaptive, a command goes where it is expected to be answered first\n"
		  "    a/1, 75 % so far: an answer takes 80.5 us, under load it carries 1 GiB/s\n"
		  "    b/2, 75 % so far: an answer takes 80.5 us\n" AFTER);
	explained(TWO("least-queue", ONE("a/1", "'suspect':true"), ONE("b/2", "'suspect':false")),
		  "osl\n  big-9: policy least-queue, a command goes where the fewest are under way\n"
		  "    a/1, 75 % so far: owes an answer: commands avoid it\n"
		  "    b/2, 75 % so far: 3 commands under way now\n" AFTER);
	explained(TWO("round-robin-subset", ONE("a/1", "'suspect':true"), ONE("b/2", "'standby':true")),
		  "osl\n  big-9: policy round-robin-subset, paths in turn; standbys join while another has failed\n"
		  "    a/1, 75 % so far: owes an answer: commands avoid it\n"
		  "    b/2, 75 % so far: standby, in use because a/1 does not work\n" AFTER);
	explained(TWO("fail-over", ONE("a/1", "'suspect':true"), ONE("b/2", "'x':0")),
		  "osl\n  big-9: policy fail-over, the first path that works takes all\n"
		  "    a/1, 75 % so far: owes an answer: commands avoid it\n    b/2, 75 % so far: the first that works\n" AFTER);
	explained(TWO("fail-over", ONE("a/1", "'suspect':true"), "{'name':'b/2','state':'down','since':5}"),
		  "osl\n  big-9: policy fail-over, the first path that works takes all\n"
		  "    a/1, 75 % so far: the first that works\n    b/2, 0 % so far: down\n" AFTER);
	explained(TWO("fail-over", ONE("a/1", "'probation':7.4"), ONE("b/2", "'probation':null")),
		  "osl\n  big-9: policy fail-over, the first path that works takes all\n"
		  "    a/1, 75 % so far: on probation for 7 s more, as it was lost again and again: commands avoid it\n"
		  "    b/2, 75 % so far: the first that works\n" AFTER);
	explained(TWO("fail-over", ONE("a/1", "'probation':7"), ONE("b/2", "'suspect':true")),
		  "osl\n  big-9: policy fail-over, the first path that works takes all\n"
		  "    a/1, 75 % so far: the first that works; on probation for 7 s more, but nothing better is left\n"
		  "    b/2, 75 % so far: owes an answer: commands avoid it\n" AFTER);
	explained(TWO("weighted", ONE("a/1", "'weight':3"), ONE("b/2", "'weight':1")),
		  "osl\n  big-9: policy weighted, commands in proportion to the weights\n"
		  "    a/1, 75 % so far: its weight is 3 of 4\n    b/2, 75 % so far: its weight is 1 of 4\n" AFTER);
	explained(TWO("round-robin-subset", ONE("a/1", "'standby':false"), ONE("b/2", "'standby':true")),
		  "osl\n  big-9: policy round-robin-subset, paths in turn; standbys join while another has failed\n"
		  "    a/1, 75 % so far: it takes turns\n"
		  "    b/2, 75 % so far: standby: waits until another path fails\n" AFTER);
	explained(TWO("round-robin-subset", "{'name':'a/1','state':'down','since':5,'lost_ago':7,'share':0.1,'reason':'no link'}",
		      ONE("b/2", "'standby':true")),
		  "osl\n  big-9: policy round-robin-subset, paths in turn; standbys join while another has failed\n"
		  "    a/1, 10 % so far: down, lost 7 s ago\n      why: no link\n"
		  "    b/2, 75 % so far: standby, in use because a/1 does not work\n" AFTER);
	explained(TWO("fail-over", "{'name':'a/1','state':'down','since':5,'lost_ago':null}", ONE("b/2", "'x':0")),
		  "osl\n  big-9: policy fail-over, the first path that works takes all\n"
		  "    a/1, 0 % so far: down\n    b/2, 75 % so far: the first that works\n" AFTER);
	explained("{'namespaces':[{'name':'osl','give_up':9,'noticed_within':1,'noticed_last':2,'on_loss':'queue','servers':[],"
		  "'volumes':[{'name':'oracle','policy':'least-blocks'},{'name':'redo','policy':null}]}]}",
		  "osl\n  no server was reached yet: rsconfig -m status shows why\n"
		  "  volume oracle has a policy of its own: least-blocks\n"
		  "  a reset or a lost link is noticed at once, silence within 1 s;\n"
		  "  what was under way then goes on over another path of the server\n"
		  "  silence of the last path is noticed within 2 s\n"
		  "  with no path left I/O waits for ever\n");
	explained("{'namespaces':[{'name':'osl','servers':[],'volumes':[{'name':'oracle','waits_for':'big-9 is stopped','legs':["
		  "{'server':'big-9','state':'away','share':0.75},{'server':'big-10','state':'open','share':0.25}]},"
		  "{'name':'redo','legs':[{'server':'big-9','state':'open','share':1}]}]}]}",
		  "osl\n  no server was reached yet: rsconfig -m status shows why\n"
		  "  volume oracle goes over several servers, by the same rules:\n"
		  "    big-9, 75 % so far: away\n    big-10, 25 % so far\n    writes wait: big-9 is stopped\n"
		  "    let that server go on, or end its rssrv or its host: Claims in rssrv(8)\n");
}

/* How long I/O may stand still: one path of two, the last one, a server. */
#define BOUNDS(silent, reset) "'failover_silent':" silent ",'failover_reset':" reset
#define BOUND(on_loss, up, server, paths) \
	STATUS("{'name':'osl','id':0,'node':'sles1','on_loss':'" on_loss "','servers':[{'id':0,'name':'big-9'," \
	       "'state':'up','policy':'fail-over','paths_up':" up "," server ",'paths':[" paths "]}]}")

static void has(char *text, const char *expected)
{
	assert_non_null(text);
	if (!strstr(text, expected))
		fail_msg("\n%s\nis not in\n%s", expected, text);
	free(text);
}

static void test_failover(void **state)
{
	json_t *two = parse(BOUND("fail", "2", BOUNDS("122.5", "120"),
		PATH("0", "1", "10", UP "," BOUNDS("2.75", "1")) ","
		PATH("1", "2", "20", UP "," BOUNDS("2.75", "1"))));
	json_t *last = parse(BOUND("read-only", "1", BOUNDS("122.5", "120"),
		PATH("0", "1", "10", UP "," BOUNDS("122.5", "120")) ","
		PATH("1", "2", "20", "'state':'down'," BOUNDS("null", "null"))));
	json_t *ever = parse(BOUND("queue", "1", BOUNDS("null", "null"),
		PATH("0", "1", "10", UP "," BOUNDS("null", "null"))));

	(void)state;
	has(view_paths(two, 1), "3 in flight (24 KiB)\n      silent, I/O waits 2.75 s; reset, 1 s; then it goes on elsewhere\n");
	has(view_paths(two, 1), "elsewhere\nsrv: 000 osl:big-9 silent, I/O waits 122.5 s, then on-loss = fail\n");
	has(view_paths(last, 1), "      the last path: silent, I/O waits 122.5 s, then on-loss = read-only\n1 if1");
	has(view_paths(last, 1), "disconnected tx: - rx: -\n      if1/big-9-2 to osl:big-9, down for -\n"
			    "      round trip -, - in flight (0 B)\nsrv: 000");
	has(view_paths(ever, 1), "      the last path: silent, I/O waits for ever\nsrv: 000 osl:big-9 silent, I/O waits for ever\n");
	has(view_tree_servers(first(two)), "fail-over      2 of 2    122.5 s\n");
	has(view_tree_servers(first(ever)), "fail-over      1 of 1    for ever\n");
	has(view_tree_status(first(two)), "failover    2.75 s when a path falls silent, 122.5 s when a server does\n");
	has(view_tree_status(first(last)), "failover    122.5 s when a path falls silent, 122.5 s when a server does\n");
	has(view_tree_status(first(ever)), "failover    for ever when a path falls silent, for ever when a server does\n");
	has(view_explain(two), "    when a path falls silent I/O goes on elsewhere within 2.75 s, after a reset within 1 s\n"
			       "    when all of it falls silent I/O waits 122.5 s, then on-loss = fail\n");
	has(view_explain(ever), "first that works\n    when all of it falls silent I/O waits for ever\n");
	json_object_set_new(json_array_get(json_object_get(first(two), "servers"), 0), "takeover", json_real(122.5));
	has(view_paths(two, 1), "srv: 000 osl:big-9 silent, I/O waits 122.5 s, then goes on over another server\n");
	json_decref(two);
	json_decref(last);
	json_decref(ever);
}

static void test_order(void **state)
{
	json_t *status = parse(STATUS("{'name':'osl','servers':["
		"{'id':2,'name':'a','state':'up','paths':["
		PATH("0", "2", "20", "'state':'up'") "," PATH("0", "1", "10", "'state':'up'") "]},"
		"{'id':1,'name':'b','state':'up'}]}"));
	char *text = view_query(status, 2);

	(void)state;
	assert_non_null(text);
	assert_true(strstr(text, "srv: 001 b") < strstr(text, "srv: 002 a"));
	assert_true(strstr(text, "path if0/big-9-1") < strstr(text, "path if0/big-9-2"));
	free(text);
	check(view_tree_paths(first(status)),
	      "path                     state      round trip in flight    share  for\n"
	      "if0/big-9-1              up                  -         -      0 %  -\n"
	      "if0/big-9-2              up                  -         -      0 %  -\n");
	json_decref(status);
}

static void test_devices(void **state)
{
	json_t *status = parse(EXAMPLE);
	json_t *device = json_array_get(json_object_get(status, "devices"), 0);

	(void)state;
	check(view_devices(status, 0), "osl:oracle@0                 /dev/av0/oracle\n");
	check(view_devices(status, 1), "osl:oracle@0\n    b: /dev/av0/oracle\n");
	check(view_devices(status, 2),
	      "osl:oracle@0\n"
	      "    c: /dev/av0/roracle          31457280 blocks,  1 server(s)\n"
	      "    b: /dev/av0/oracle\n");
	check(view_devices(status, 3),
	      "osl:oracle@0\n"
	      "    c: /dev/av0/roracle          31457280 blocks,  1 server(s)\n"
	      "    b: /dev/av0/oracle\n"
	      "    loop: /dev/loop3, blocks of 512 bytes, ready\n");
	json_array_insert_new(json_object_get(status, "devices"), 0,
			      json_pack("{s:s, s:s, s:i, s:s, s:s}", "namespace", "osl", "volume", "redo",
					"id", 1, "block", "/dev/av0/redo", "state", "ready"));
	check(view_devices(status, 0), "osl:oracle@0                 /dev/av0/oracle\n"
				       "osl:redo@1                   /dev/av0/redo\n");
	json_array_remove(json_object_get(status, "devices"), 0);
	json_object_set_new(device, "state", json_string("lost"));
	check(view_devices(status, 0), "osl:oracle@0                 /dev/av0/oracle  lost\n");
	check(view_devices(status, 1), "osl:oracle@0  lost\n    b: /dev/av0/oracle\n");
	json_decref(status);
}

#define TREE_STATUS \
	"namespace   osl, id 0, this client is sles1\n" \
	"servers     1 of 1 up\n" \
	"paths       2 of 2 up\n" \
	"volumes     1 of 1 ready\n" \
	"in flight   2\n" \
	"read        1 MiB in 128 reads\n" \
	"written     1.5 KiB in 3 writes\n" \
	"errors      0, 4 commands were sent again\n" \
	"trouble     none\n"

static void test_tree(void **state)
{
	json_t *status = parse(EXAMPLE), *json;

	(void)state;
	check(view_tree_status(first(status)), TREE_STATUS);
	check(view_tree_client(status),
	      "rsiod       version 0.1, pid 4711, up 2 h 01 min\n"
	      "mount       /rsio\n"
	      "run dir     /run/rsio\n"
	      "buffers     8 KiB used, 1 MiB held, 256 MiB at most\n"
	      "requests    2 in hand, 1 interrupted, 0 times no buffer was left\n"
	      "devices     1\n"
	      "\n" TREE_STATUS);
	check(view_tree_servers(first(status)),
	      " id server           state      version      policy         paths up  failover\n"
	      "  0 big-9            up         rssrv 0.1    adaptive       2 of 2    -\n");
	check(view_tree_paths(first(status)),
	      "path                     state      round trip in flight    share  for\n"
	      "if0/big-9-1              up            80.5 us         3     50 %  1 h 02 min\n"
	      "if1/big-9-2              up            80.5 us         3     50 %  1 h 02 min\n");
	check(view_tree_volumes(first(status)),
	      " id volume           server             blocks       size  state\n"
	      "  0 oracle           big-9            31457280     15 GiB  ready\n");
	json = view_json_paths(first(status));
	assert_int_equal(json_array_size(json), 2);
	json_decref(json);
	json = view_json_volumes(first(status));
	assert_int_equal(json_array_size(json), 1);
	json_decref(json);
	json_decref(status);
}

static void test_tree_trouble(void **state)
{
	json_t *status = parse(STATUS(NAMESPACE(PATH("0", "1", "10", UP) ","
		PATH("1", "2", "20", "'state':'down','since':61,'reason':'no route: check the cable'"),
		"", VOLUME("'read_only':true,'state':'lost'"))));

	(void)state;
	check(view_tree_status(first(status)),
	      "namespace   osl, id 0, this client is sles1\n"
	      "servers     1 of 1 up\n"
	      "paths       1 of 2 up\n"
	      "volumes     0 of 1 ready\n"
	      "in flight   2\n"
	      "read        1 MiB in 128 reads\n"
	      "written     1.5 KiB in 3 writes\n"
	      "errors      0, 4 commands were sent again\n"
	      "trouble\n"
	      "  path if1/big-9-2 down: no route: check the cable\n"
	      "  volume oracle lost, read-only\n");
	check(view_tree_paths(first(status)),
	      "path                     state      round trip in flight    share  for\n"
	      "if0/big-9-1              up            80.5 us         3     50 %  1 h 02 min\n"
	      "if1/big-9-2              down                -         -      0 %  1 min 01 s\n"
	      "  why: no route: check the cable\n");
	json_decref(status);
}

/* Every line of the exposition is a comment of the three kinds or a sample of the
 * family that was announced last; families come once; the end is marked. */
static void check_metrics(const char *text)
{
	char family[128] = "", type[32] = "", seen[8192] = " ", mark[160];
	bool ended = false;

	for (const char *line = text, *end; *line; line = end + 1) {
		char word[160];

		assert_false(ended);
		end = strchr(line, '\n');
		assert_non_null(end);
		if (!strncmp(line, "# EOF\n", 6)) {
			ended = true;
		} else if (sscanf(line, "# TYPE %127s %31s", family, type) == 2) {
			snprintf(mark, sizeof(mark), " %s ", family);
			assert_null(strstr(seen, mark));
			assert_true(strlen(seen) + strlen(mark) < sizeof(seen));
			strcat(seen, mark);
		} else if (sscanf(line, "# UNIT %127s %31s", word, mark) == 2) {
			assert_string_equal(word, family);
			assert_true(strlen(word) > strlen(mark));
			assert_string_equal(word + strlen(word) - strlen(mark), mark);
		} else if (sscanf(line, "# HELP %127s", word) == 1) {
			assert_string_equal(word, family);
		} else {
			size_t n = strcspn(line, "{ ");

			snprintf(word, sizeof(word), "%s%s", family, !strcmp(type, "counter") ? "_total" :
				 !strcmp(type, "info") ? "_info" : strcmp(type, "histogram") ? "" :
				 n > 7 && !memcmp(line + n - 7, "_bucket", 7) ? "_bucket" :
				 n > 4 && !memcmp(line + n - 4, "_sum", 4) ? "_sum" : "_count");
			assert_int_equal(n, strlen(word));
			assert_memory_equal(line, word, n);
		}
	}
	assert_true(ended);
}

static void assert_contains(const char *text, const char *line)
{
	if (!strstr(text, line))
		fail_msg("no line '%s' in\n%s", line, text);
}

static void test_metrics(void **state)
{
	json_t *status = parse(EXAMPLE);
	char *text = view_metrics(status);

	(void)state;
	assert_non_null(text);
	check_metrics(text);
	assert_contains(text, "# TYPE rsio_path_rtt_seconds gauge\n# UNIT rsio_path_rtt_seconds seconds\n");
	assert_contains(text, "\nrsio_build_info{version=\"0.1\"} 1\n");
	assert_contains(text, "\nrsio_buffers_held_bytes 1048576\n");
	assert_contains(text, "\nrsio_path_rtt_seconds{namespace=\"osl\",server=\"big-9\",path=\"if0/big-9-1\"} 8.05e-05\n");
	assert_contains(text, "\nrsio_path_read_bytes_total{namespace=\"osl\",server=\"big-9\",path=\"if1/big-9-2\"} 1048576\n");
	assert_contains(text, "\nrsio_path_state{namespace=\"osl\",server=\"big-9\",path=\"if0/big-9-1\",rsio_path_state=\"up\"} 1\n");
	assert_contains(text, "\nrsio_volume_state{namespace=\"osl\",volume=\"oracle\",rsio_volume_state=\"waiting\"} 0\n");
	assert_contains(text, "\nrsio_volume_state{namespace=\"osl\",volume=\"oracle\",rsio_volume_state=\"cache-lost\"} 0\n");
	assert_contains(text, "\nrsio_volume_generation{namespace=\"osl\",volume=\"oracle\"} 17\n");
	assert_contains(text, "\nrsio_volume_writes_total{namespace=\"osl\",volume=\"oracle\"} 3\n");
	assert_null(strstr(text, "\nrsio_volume_give_up_seconds{"));
	free(text);
	json_decref(status);
}

/* What was used has its rates and times. */
static void test_numbers(void **state)
{
	json_t *status = parse(STATUS(NAMESPACE(PATH("0", "1", "10", UP ",'iops':1234.4,'read_rate':10112000,'write_rate':0,"
		"'latency':{'count':1,'p50_us':80,'p90_us':81,'p99_us':82,'p999_us':83,'buckets':[[80000,1]]}"), "",
		VOLUME(READY "," NUMBERS) "," VOLUME(READY))));
	char *text;

	(void)state;
	check(view_paths(status, 1),
	      "0 if0 IP(TCP) 192.168.10.1/5000\n"
	      "    rep: 000 IP(TCP) 192.168.10.9/5000 connected tx: ok rx: ok\n"
	      "      if0/big-9-1 to osl:big-9, up for 1 h 02 min\n"
	      "      round trip 80.5 us, 3 in flight (24 KiB)\n"
	      "      9.6 MiB/s read, 0 B/s written, 50 % of the commands, 0 failures\n"
	      "      1234 commands/s; p50 80.0 us, p90 81.0 us, p99 82.0 us, p99.9 83.0 us\n"
	      "vol: 000 osl:oracle 2 in flight, 0 errors\n"
	      "      reads   1234/s, 9.6 MiB/s; p50 80.5 us, p90 101.0 us, p99 3.20 ms, p99.9 40.89 ms\n");
	check(view_tree_volumes(first(status)),
	      " id volume           server             blocks       size  state\n"
	      "  0 oracle           big-9            31457280     15 GiB  ready\n"
	      "  0 oracle           big-9            31457280     15 GiB  ready\n"
	      "\n"
	      "volume           read/s  wri/s    bytes/s  read p50       p99 write p50       p99\n"
	      "oracle             1234      0    9.6 MiB   80.5 us   3.20 ms         -         -\n");
	text = view_metrics(status);
	assert_non_null(text);
	check_metrics(text);
	assert_contains(text, "# TYPE rsio_volume_read_latency_seconds histogram\n");
	assert_contains(text, "\nrsio_volume_read_latency_seconds_bucket{namespace=\"osl\",volume=\"oracle\",le=\"1.6384e-05\"} 1\n"
			"rsio_volume_read_latency_seconds_bucket{namespace=\"osl\",volume=\"oracle\",le=\"6.5536e-05\"} 1\n"
			"rsio_volume_read_latency_seconds_bucket{namespace=\"osl\",volume=\"oracle\",le=\"0.000262144\"} 121\n"
			"rsio_volume_read_latency_seconds_bucket{namespace=\"osl\",volume=\"oracle\",le=\"0.001048576\"} 121\n"
			"rsio_volume_read_latency_seconds_bucket{namespace=\"osl\",volume=\"oracle\",le=\"0.004194304\"} 128\n");
	assert_contains(text, "\nrsio_volume_read_latency_seconds_bucket{namespace=\"osl\",volume=\"oracle\",le=\"17.179869184\"} 128\n"
			"rsio_volume_read_latency_seconds_bucket{namespace=\"osl\",volume=\"oracle\",le=\"+Inf\"} 128\n"
			"rsio_volume_read_latency_seconds_count{namespace=\"osl\",volume=\"oracle\"} 128\n"
			"rsio_volume_read_latency_seconds_sum{namespace=\"osl\",volume=\"oracle\"} 0.01");
	assert_null(strstr(text, "\nrsio_volume_write_latency_seconds_"));
	free(text);
	json_decref(status);
}

/* Of what rssrv says of itself. */
static void test_server_metrics(void **state)
{
	json_t *status = parse("{'version':'0.1','namespace':'osl','server':'big-9','process':{'uptime':5,'cpu_user':0.25},"
		"'pools':[{'name':'p','bytes':1000,'free':10,'state':'low'}],'sessions':[{},{}],"
		"'volumes':[{'name':'oracle','size':4096,'reads':7,'queue':2,'errors':1,"
		"'read_latency':{'count':7,'buckets':[[13312,1],[79872,6]]},'write_latency':null,"
		"'users':[{'node':'sles\\\\1','reads':5}]}, {'name':'idle','size':512}]}");
	char *text = view_server_metrics(status);

	(void)state;
	assert_non_null(text);
	check_metrics(text);
	assert_contains(text, "\nrssrv_build_info{namespace=\"osl\",server=\"big-9\",version=\"0.1\"} 1\n");
	assert_contains(text, "\nrssrv_cpu_user_seconds_total 0.25\n");
	assert_contains(text, "\nrssrv_sessions 2\n");
	assert_contains(text, "\nrssrv_pool_state{pool=\"p\",rssrv_pool_state=\"low\"} 1\n");
	assert_contains(text, "\nrssrv_pool_free_bytes{pool=\"p\"} 10\n");
	assert_contains(text, "\nrssrv_volume_reads_total{volume=\"oracle\"} 7\n");
	assert_contains(text, "\nrssrv_volume_disk_errors_total{volume=\"oracle\"} 1\n");
	assert_contains(text, "\nrssrv_volume_size_bytes{volume=\"idle\"} 512\n");
	assert_contains(text, "\nrssrv_volume_read_latency_seconds_bucket{volume=\"oracle\",le=\"6.5536e-05\"} 1\n");
	assert_contains(text, "\nrssrv_volume_read_latency_seconds_count{volume=\"oracle\"} 7\n");
	assert_contains(text, "\nrssrv_client_reads_total{volume=\"oracle\",client=\"sles\\\\1\"} 5\n");
	assert_null(strstr(text, "latency_seconds_count{volume=\"idle\""));
	free(text);
	json_decref(status);
}

static void test_metrics_escape(void **state)
{
	json_t *status = parse("{'namespaces':[{'volumes':[{'name':'v','reads':1}]}]}");
	char *text;

	(void)state;
	json_object_set_new((json_t *)first(status), "name", json_string("a\\b\nc\"d"));
	text = view_metrics(status);
	assert_non_null(text);
	check_metrics(text);
	assert_contains(text, "\nrsio_volume_reads_total{namespace=\"a\\\\b\\nc\\\"d\",volume=\"v\"} 1\n");
	free(text);
	json_decref(status);
}

static void all_views(const json_t *status)
{
	const json_t *ns = first(status);

	for (int verbosity = 0; verbosity <= 4; verbosity++) {
		free(view_query(status, verbosity));
		free(view_paths(status, verbosity));
		free(view_devices(status, verbosity));
	}
	free(view_explain(status));
	free(view_tree_status(ns));
	free(view_tree_servers(ns));
	free(view_tree_paths(ns));
	free(view_tree_volumes(ns));
	free(view_tree_client(status));
	json_decref(view_json_servers(ns));
	json_decref(view_json_paths(ns));
	json_decref(view_json_volumes(ns));
	free(view_json(status));
	free(view_metrics(status));
	free(view_server_metrics(status));
}

/* Takes one member away, or makes it another type, everywhere in turn.  What is
 * taken away comes back as the last member, so the next one is the first. */
static void damage(const json_t *status, json_t *at)
{
	static const char *const others[] = { "null", "[]", "{}", "-1", "\"\"", "\"x\"", "[1]", "1e300" };
	json_t *value;
	size_t i;

	json_array_foreach(at, i, value)
		damage(status, value);
	for (size_t n = json_object_size(at); n; n--) {
		char *key = strdup(json_object_iter_key(json_object_iter(at)));

		assert_non_null(key);
		value = json_incref(json_object_get(at, key));
		damage(status, value);
		json_object_del(at, key);
		all_views(status);
		for (i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
			json_object_set_new(at, key, json_loads(others[i], JSON_DECODE_ANY, NULL));
			all_views(status);
		}
		json_object_del(at, key);
		json_object_set_new(at, key, value);
		free(key);
	}
}

static void test_damaged(void **state)
{
	json_t *status = parse(EXAMPLE), *empty = json_object();

	(void)state;
	all_views(NULL);
	all_views(empty);
	check(view_query(empty, 3), "");
	check(view_paths(empty, 3), "");
	check(view_devices(empty, 3), "");
	damage(status, status);
	check(view_query(status, 0), QUERY0);	/* all was put back: the walk was whole */
	json_decref(empty);
	json_decref(status);
}

static void test_json(void **state)
{
	json_t *json = parse("{'a':[1]}");

	(void)state;
	check(view_json(json), "{\n  \"a\": [\n    1\n  ]\n}\n");
	json_decref(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_query_snapshots),
		cmocka_unit_test(test_query), cmocka_unit_test(test_query_trouble),
		cmocka_unit_test(test_paths), cmocka_unit_test(test_paths_matrix),
		cmocka_unit_test(test_unused), cmocka_unit_test(test_explain),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_failover),
		cmocka_unit_test(test_devices), cmocka_unit_test(test_tree),
		cmocka_unit_test(test_tree_trouble), cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_metrics),
		cmocka_unit_test(test_server_metrics), cmocka_unit_test(test_metrics_escape), cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
