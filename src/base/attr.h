/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The one language extension we use: __attribute__, under short names. */
#ifndef CELLOS_BASE_ATTR_H
#define CELLOS_BASE_ATTR_H

#include <stddef.h>

/* The local is released by @fn when it leaves its scope. */
#define OWNED(fn)    __attribute__((cleanup(fn)))
#define PRINTF(f, a) __attribute__((format(printf, f, a)))
#define MUST_USE     __attribute__((warn_unused_result))
/* Filled before it is read: not zeroed first, which would cost its pages. */
#define NO_INIT	      __attribute__((uninitialized))
#define NORETURN      __attribute__((noreturn))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif
