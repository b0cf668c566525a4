/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The break-out programs: each tries one thing a cell must not allow and says
 * in one word what the kernel answered.
 */
#ifndef HOSTILE_H
#define HOSTILE_H

#include <stddef.h>

struct probe {
	const char *name;
	/* @arg: what the test passes (a path, a port, a name), or "".
	 * Return: a word that lives until the program ends */
	const char *(*run)(const char *arg);
};

/* A system call that needs nothing but numbers. Pointers are 0 or -1, so that
 * a kernel that looks at them at all answers EFAULT, never what the wall says.
 */
struct raw_probe {
	const char *name;
	long nr;
	long a[6];
};

extern const struct raw_probe raw_probes[];
extern const size_t raw_probes_num;

extern const struct probe fs_probes[], net_probes[], kernel_probes[],
	proc_probes[], limits_probes[];
extern const size_t fs_probes_num, net_probes_num, kernel_probes_num,
	proc_probes_num, limits_probes_num;

/** word_of() - "ok", or the name of errno when @r is -1 */
const char *word_of(long r);
/** word_fmt() - a formatted word, in static storage, the last call wins */
const char *word_fmt(const char *fmt, ...)
	__attribute__((format(printf, 1, 2)));
/** word_read() - whole of a file without its last LF, or the errno's name */
const char *word_read(const char *path);
/** word_status() - a field of /proc/self/status */
const char *word_status(const char *path, const char *field);

#endif
