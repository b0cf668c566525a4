/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef CELLOS_BASE_UUID_H
#define CELLOS_BASE_UUID_H

#include "base/attr.h"

enum { UUID_TEXT_SIZE = 37 };

/**
 * uuid_v4() - a random UUID, RFC 9562 5.4, lower case with hyphens
 * @buf: UUID_TEXT_SIZE bytes
 *
 * Return: 0, or -errno if the kernel gives no random bytes
 */
int uuid_v4(char buf[UUID_TEXT_SIZE]) MUST_USE;

#endif
