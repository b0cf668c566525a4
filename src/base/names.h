/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Names of errno values and signals. What an event says of an error must not
 * depend on the C library that the program is linked to: the table is made at
 * build time (tools/names-gen.c) with the texts of the GNU C library.
 */
#ifndef CELLOS_BASE_NAMES_H
#define CELLOS_BASE_NAMES_H

/**
 * errno_word() - the name of an errno value
 * @sys: the value, not negated
 *
 * Return: a static string, "EPERM" and so on; "0" for 0, "E?" if it has none
 */
const char *errno_word(int sys);

/**
 * errno_text() - the message of an errno value
 * @sys: the value, not negated
 *
 * Return: a static string, "Operation not permitted" and so on; NULL if it has
 * none
 */
const char *errno_text(int sys);

/**
 * signal_word() - the name of a signal, without its "SIG"
 * @sig: its number
 *
 * Return: a static string, "TERM" and so on; "?" for a real-time signal or
 * one that does not exist
 */
const char *signal_word(int sig);

#endif
