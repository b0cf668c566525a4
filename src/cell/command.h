/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Becoming the command, on this host or in a sandbox of its own; its end. */
#ifndef CELLOS_CELL_COMMAND_H
#define CELLOS_CELL_COMMAND_H

#include <stdint.h>

#include "base/attr.h"

/** command_reset_signals() - all to their default, none blocked */
void command_reset_signals(void);
/**
 * command_exec() - look @name up in PATH of environ, as execvp(3) of the GNU C
 * library does, and become it
 * @argv: NULL-terminated; one free place before it, for the shell
 *
 * Return: -errno, if it returns
 */
int command_exec(const char *name, char **argv) MUST_USE;
/** command_code() - a wait status as a shell tells it, 0 to 255; -1: no command
 *  ends so, whoever says it does */
int command_code(int32_t status) MUST_USE;

#endif
