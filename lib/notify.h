/*
 * notify.h - tells the service manager how the daemon fares: sd_notify(3)'s protocol, which
 * is a datagram to the socket that NOTIFY_SOCKET names, without its library.
 */
#ifndef RSIO_NOTIFY_H
#define RSIO_NOTIFY_H

/* "READY=1", "RELOADING=1", "STOPPING=1".  1 when it was told, 0 when nobody asked (no
 * NOTIFY_SOCKET), or -errno. */
int notify(const char *state);

#endif
