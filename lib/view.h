/*
 * view.h - the client's state as text: what rsconfig prints, the status files
 * of the mounted tree, and the metrics.
 *
 * Pure: JSON in, text out; no file, no clock, no socket.  A member that is
 * missing or of another type is shown as "-" or left out, so that a tool and a
 * daemon of different versions get along.  Lines are at most 80 columns for
 * names of usual length; texts that somebody wrote (a path's reason) are not
 * broken.
 *
 * status is the reply to rsiod's control request {"do": "status"}:
 * { "version": "0.1", "pid": 4711, "uptime": seconds, "mount": "/rsio",
 *   "run_dir": "/run/rsio",
 *   "memory": { "buffers_used": bytes, "buffers_held": bytes, "buffers_limit": bytes,
 *      "requests": in hand, "paused": times no buffer was left, "interrupted": n },
 *   "namespaces": [ what namespace_status() gives, … ],
 *   "devices": [ { "namespace": "osl", "volume": "oracle", "id": 0, "av": 0,
 *      "block": "/dev/av0/oracle", "raw": "/dev/av0/roracle", "loop": "/dev/loop3",
 *      "blocks": n, "block_size": 512, "servers": 1, "state": "ready" }, … ] }
 * ns is one element of "namespaces".
 *
 * Every function returns text that ends with a newline and that the caller
 * frees, "" where there is nothing to show, or NULL when memory is short.
 */
#ifndef RSIO_VIEW_H
#define RSIO_VIEW_H

#include <jansson.h>

/* rsconfig -q: namespaces, servers, volumes.  A higher verbosity adds lines and
 * changes none: 1 states, UUIDs, generations, how many snapshots; 2 these, and the servers'
 * paths; 3 counters. */
char *view_query(const json_t *status, int verbosity);

/* rsconfig -m status: by client interface, the portals it reaches.  1 adds each
 * path's name, server, round trip and load, and the pairs that need not be used; 2
 * counters. */
char *view_paths(const json_t *status, int verbosity);

/* rsconfig -m explain: why each path has its share, and what happens when one fails. */
char *view_explain(const json_t *status);

/* rsconfig -l: attached devices, one a line; 1 the block device, 2 the raw name
 * and the size too, 3 the loop device and the state. */
char *view_devices(const json_t *status, int verbosity);

/* MOUNT/NAMESPACE/.rsio/{status,servers,paths,volumes} */
char *view_tree_status(const json_t *ns);
char *view_tree_servers(const json_t *ns);
char *view_tree_paths(const json_t *ns);
char *view_tree_volumes(const json_t *ns);

/* What is behind MOUNT/NAMESPACE/.rsio/{servers,paths,volumes}.json: an array,
 * a new reference.  paths has each server's and then the unassigned ones. */
json_t *view_json_servers(const json_t *ns);
json_t *view_json_paths(const json_t *ns);
json_t *view_json_volumes(const json_t *ns);

/* MOUNT/.rsio/status, the whole client. */
char *view_tree_client(const json_t *status);

/* MOUNT/.rsio/metrics: OpenMetrics text 1.0. */
char *view_metrics(const json_t *status);

/* rssrv's metrics file, from its own status: what its control request {"do": "status"} answers,
 * rssrv(8).  OpenMetrics text 1.0. */
char *view_server_metrics(const json_t *status);

/* Any JSON as --json and the .json files print it. */
char *view_json(const json_t *any);

#endif
