/*
 * text.h - hashes, UUIDs as text, paths of descriptors, and lists of strings.
 */
#ifndef RSSRV_TEXT_H
#define RSSRV_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* For a table of that many places, a power of two. */
size_t hash_place(const void *data, size_t size, size_t places);

#define UUID_TEXT 37
void uuid_format(const uint8_t uuid[16], char out[UUID_TEXT]);
int uuid_parse(const char *text, uint8_t uuid[16]);	/* 0 or -EINVAL */
int uuid_make(uint8_t uuid[16]);			/* random, version 4; 0 or -EIO */

/* Of what is open as fd: an absolute path, into PATH_MAX bytes.  0 or -errno. */
int fd_path(int fd, char *out);

/* NULL-terminated lists; NULL is a list too. */
char **strings_copy(char *const *list);		/* NULL: no memory, or list was NULL */
void strings_free(char **list);
bool strings_have(char *const *list, const char *text);
bool strings_equal(char *const *a, char *const *b);

#endif
