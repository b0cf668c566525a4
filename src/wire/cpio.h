/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Archives of the form the kernel unpacks at boot: cpio "newc"
 * (Documentation/driver-api/early-userspace/buffer-format.rst of Linux).
 */
#ifndef CELLOS_WIRE_CPIO_H
#define CELLOS_WIRE_CPIO_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/wbuf.h"

enum { CPIO_HEADER = 110, CPIO_ALIGN = 4 };

/* The name of the last entry, which has no mode: a file may have that name. */
#define CPIO_LAST "TRAILER!!!"

struct cpio_entry {
	uint32_t mode;	/* type and permission bits */
	uint32_t mtime; /* seconds since 1970 */
	uint32_t size;	/* of the content that follows the name */
	uint32_t name;	/* length of the name, its NUL included */
	uint32_t check; /* free to use in this form; 0 */
};

/** cpio_head() - the header of an entry and its name, padded; the content, and
 *  bytes 0 to a multiple of CPIO_ALIGN, come next; @e->name is not read */
void cpio_head(struct wbuf *out, const struct cpio_entry *e, const char *name);
/**
 * cpio_put() - one entry, whole
 * @name: relative, without "./"
 * @n:    bytes of content, of a file's
 */
void cpio_put(struct wbuf *out, const char *name, uint32_t mode, const void *p,
	      size_t n);
/** cpio_end() - the last entry */
void cpio_end(struct wbuf *out);

/** cpio_get() - a header; false if it is none: another magic, no hexadecimal
 *  digit, no name */
bool cpio_get(const char p[CPIO_HEADER], struct cpio_entry *ret) MUST_USE;
/** cpio_pad() - how many bytes 0 follow @n bytes */
static inline uint32_t cpio_pad(uint32_t n)
{
	return (CPIO_ALIGN - n % CPIO_ALIGN) % CPIO_ALIGN;
}
/** cpio_name_is_beneath() - is it a way down from a directory: relative, no
 *  "." or ".." or nothing between two slashes, no longer than PATH_MAX */
bool cpio_name_is_beneath(const char *name);
/** cpio_link_is_beneath() - does a symbolic link of this name lead to what is
 *  beneath the same directory, by its text */
bool cpio_link_is_beneath(const char *name, const char *target);

#endif
