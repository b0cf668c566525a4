/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What an agent in a guest declares: frames of a length (32 bits,
 * little-endian) and a CBOR map (RFC 8949) of
 *
 *	content_version, probe_source, guest_pid, guest_comm, guest_monotonic_ns
 *
 * Pure. Whoever reads one believes none of it.
 */
#ifndef CELLOS_WIRE_TELEMETRY_H
#define CELLOS_WIRE_TELEMETRY_H

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/slice.h"
#include "base/wbuf.h"

/* X(suffix, word); the last two are ours: nothing happened, the agent is
 * there; it ends, and has left nothing out */
#define TELEMETRY_PROBES(X)                 \
	X(SPAWNED, "process.spawned")       \
	X(EXITED, "process.exited")         \
	X(INOTIFY, "fs.inotify_fired")      \
	X(DENIED, "capability.denied")      \
	X(CONNECT, "net.connect_attempted") \
	X(ALIVE, "agent.alive")             \
	X(COMPLETE, "agent.complete")

enum telemetry_probe {
#define X(name, word) TELEMETRY_##name,
	TELEMETRY_PROBES(X)
#undef X
		TELEMETRY_PROBE_NUM
};

enum {
	TELEMETRY_VERSION = 1,
	TELEMETRY_BODY_MAX = 4096,
	TELEMETRY_FRAME_MAX = 4 + TELEMETRY_BODY_MAX,
	TELEMETRY_COMM_MAX = 16
};

struct telemetry_frame {
	enum telemetry_probe probe;
	uint32_t pid;
	uint64_t monotonic_ns;
	char comm[TELEMETRY_COMM_MAX + 1]; /* UTF-8, no NUL in it */
};

const char *telemetry_word(enum telemetry_probe p);

/** telemetry_put() - one frame, as an agent sends it */
void telemetry_put(struct wbuf *out, const struct telemetry_frame *f);
/**
 * telemetry_get() - the frame at the start of some bytes
 *
 * Each key once, in any order; keys nobody knows are passed over. Of integers,
 * lengths and maps the definite forms only; nothing behind the map.
 *
 * Return: its length in bytes; 0: there is more to come; -1: it is none
 */
ptrdiff_t telemetry_get(struct slice in, struct telemetry_frame *ret) MUST_USE;

#endif
