/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Every limit of the program in one table: name, default, unit, reason.
 * Limits an operator may move have a variable; the others are constants of
 * the format or of the original.
 */
#ifndef CELLOS_BASE_LIMITS_H
#define CELLOS_BASE_LIMITS_H

#include <stddef.h>
#include <stdint.h>

/* X(enum suffix, variable, default, minimum, maximum, what it bounds) */
#define LIMITS(X)                                                              \
	X(JOURNAL_BYTES, "CELLOS_LIMIT_JOURNAL_BYTES", 67108864, 65536,        \
	  1099511627776,                                                       \
	  "bytes of events one run may write; at the limit the "               \
	  "cell is ended, not the evidence")                                   \
	X(PIDS, "CELLOS_LIMIT_PIDS", 1024, 1, 4194304,                         \
	  "processes and threads in a cell when nothing else is asked for")    \
	X(TMP_BYTES, "CELLOS_LIMIT_TMP_BYTES", 1073741824, 1048576,            \
	  1099511627776,                                                       \
	  "size of each private /tmp, of the layer over workingDirectory, "    \
	  "and of each directory that a machine gets a copy of")               \
	X(SHM_BYTES, "CELLOS_LIMIT_SHM_BYTES", 268435456, 65536,               \
	  1099511627776, "size of the private /dev/shm")                       \
	X(GRACE_SECONDS, "CELLOS_LIMIT_GRACE_SECONDS", 5, 0, 120,              \
	  "seconds between SIGTERM and SIGKILL at a deadline, unless the "     \
	  "document says gracefulShutdownSeconds")                             \
	X(EVENTS_PER_SECOND, "CELLOS_LIMIT_EVENTS_PER_SECOND", 100, 1, 100000, \
	  "queries and connections a second that get an event of "             \
	  "their own; more are counted, one event a kind")                     \
	X(RELAY_IDLE_SECONDS, "CELLOS_LIMIT_RELAY_IDLE_SECONDS", 900, 1,       \
	  86400, "seconds without a byte after which a connection ends")       \
	X(UPSTREAM_MS, "CELLOS_LIMIT_UPSTREAM_MS", 1000, 50, 30000,            \
	  "milliseconds one resolver has to answer")                           \
	X(PIN_TTL_MIN_SECONDS, "CELLOS_LIMIT_PIN_TTL_MIN_SECONDS", 30, 0,      \
	  86400, "shortest life of an answer, whatever its TTL says")          \
	X(PIN_TTL_MAX_SECONDS, "CELLOS_LIMIT_PIN_TTL_MAX_SECONDS", 3600, 1,    \
	  604800, "longest life of an answer")                                 \
	X(PIN_GRACE_SECONDS, "CELLOS_LIMIT_PIN_GRACE_SECONDS", 300, 0, 86400,  \
	  "seconds an expired answer may still be connected to")               \
	X(WILDCARD_NAMES, "CELLOS_LIMIT_WILDCARD_NAMES", 1000, 1, 65536,       \
	  "distinct names that may be asked for below one \"*.\" entry")       \
	X(DRAIN_MS, "CELLOS_LIMIT_DRAIN_MS", 2000, 0, 60000,                   \
	  "milliseconds connections have to end after the command")            \
	X(IMAGE_BYTES, "CELLOS_LIMIT_IMAGE_BYTES", 8589934592, 1048576,        \
	  1099511627776,                                                       \
	  "bytes the layers of an OCI image may be unpacked, and the files "   \
	  "made of them")

enum limit {
#define X(name, var, dflt, min, max, what) LIMIT_##name,
	LIMITS(X)
#undef X
		LIMIT_NUM
};

struct limit_info {
	const char *variable;
	uint64_t dflt, min, max;
	const char *what;
};

extern const struct limit_info limit_table[LIMIT_NUM];

/* Values in force for this process; filled by limits_default(), then moved by
 * whoever reads the environment. */
struct limits {
	uint64_t v[LIMIT_NUM];
};

void limits_default(struct limits *l);

/* Fixed bounds. */
enum {
	LIMIT_SPEC_FILE = 4 * 1024 * 1024, /* a document */
	LIMIT_JSON_DEPTH = 127,		   /* containers in each other */
	LIMIT_EVENT_LINE = 1048576,	   /* LF included */
	LIMIT_ARGV_BASE64 = 3072,	   /* argv of a document */
	LIMIT_MOUNTS = 64,		   /* declared mounts of one cell */
	LIMIT_BPF_BYTES = 32768,	   /* CELLOS_SECCOMP_BPF_PATH */
};

#endif
