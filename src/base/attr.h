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

/* A sanitizer's run-time makes system calls of its own, which a filter of ours
 * would kill. */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

#endif
