/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * An error is plain bytes: the same value is returned, sent in one datagram
 * from a child between clone and exec, and put into an event.
 *
 * @text is the outermost message, the one that ends up after "Error: " and in
 * lifecycle.destroyed.reason; @cause is what it wraps, if anything.
 */
#ifndef CELLOS_BASE_ERR_H
#define CELLOS_BASE_ERR_H

#include <errno.h>
#include <stdio.h>

#include "base/attr.h"

/*
 * The class decides the prefix of the message (err_class_prefix()), and, for
 * `cellos`, nothing else: exit codes are decided by the verb.
 */
enum err_class {
	ERR_PLAIN,     /* no prefix */
	ERR_SPEC,      /* "invalid cell specification: " */
	ERR_HOST,      /* "host backend: " */
	ERR_SINK,      /* "event sink: " */
	ERR_BROKER,    /* "secret broker: " */
	ERR_EXPORT,    /* "export sink: " */
	ERR_LIFECYCLE, /* "lifecycle: " */
	ERR_CLASS_NUM
};

struct err {
	enum err_class cls;
	int sys;	 /* errno at the place of failure, 0 if none */
	char text[768];	 /* NUL-terminated; cut on a character boundary */
	char cause[768]; /* "" if there is none */
};

/**
 * err_class_prefix() - the text every message of a class starts with
 * @cls: the class
 *
 * Return: a static string, "" for ERR_PLAIN
 */
const char *err_class_prefix(enum err_class cls);

/**
 * err_set() - fill an error once, where the fact is known
 * @e:   may be NULL; overwritten whole
 * @cls: decides the prefix, which is put before the formatted text
 * @sys: errno of the failed call, or 0. If not 0, ": <os text> (os error n)"
 *       is appended, the form readers of the original know.
 *
 * Return: -1, so that callers can `return err_set(...)`
 */
int err_set(struct err *e, enum err_class cls, int sys, const char *fmt, ...)
	PRINTF(4, 5);

/**
 * err_wrap() - put a context in front of an error
 * @e: the present text moves to cause (joined before an older cause by ": ");
 *     the formatted text, without prefix, becomes the text
 *
 * Return: -1
 */
int err_wrap(struct err *e, const char *fmt, ...) PRINTF(2, 3);

/**
 * err_prefix() - words in front of the text; cause and errno stay
 * @e:     becomes ERR_PLAIN: the words go before the prefix of its class
 * @words: with what separates them from the text
 *
 * Return: -1
 */
int err_prefix(struct err *e, const char *words);

/**
 * err_print() - the form every fatal error has on stderr
 * @f: "Error: <text>\n", then, with a cause, "\nCaused by:\n    <cause>\n";
 *     both by utf8_print(), so that nothing named in them is a line of its own
 */
void err_print(FILE *f, const struct err *e);

/**
 * err_os_text() - "<os text> (os error n)" for an errno
 * @sys: errno
 * @buf: receives the NUL-terminated text
 */
void err_os_text(int sys, char *buf, size_t size);

/** last_errno() - the 0 or -1 of a system call as 0 or -errno */
static inline int last_errno(int r)
{
	return r < 0 ? -errno : 0;
}

#endif
