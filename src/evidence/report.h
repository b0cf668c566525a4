/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Bodies of our own event types: what was asked of the kernel and what it
 * answered (enforcement), and what was left when all was taken down (residue).
 * Pure: values in, bytes out.
 */
#ifndef CELLOS_EVIDENCE_REPORT_H
#define CELLOS_EVIDENCE_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/wbuf.h"
#include "evidence/event.h"

enum { REPORT_ITEMS_MAX = 64, REPORT_TEXT = 96, REPORT_TOTALS_MAX = 32 };

/* One mechanism: asked for, and read back from the kernel. */
struct report_item {
	char name[32];		 /* "seccomp", "memory.max", "userns", ... */
	char asked[REPORT_TEXT]; /* "" = not asked for */
	char got[REPORT_TEXT];	 /* what the kernel says now */
	bool enforced;
};

/* One attack tried by our own code inside the finished cell, before exec. */
struct report_probe {
	char name[32];	   /* "connect-outside", "af-vsock", ... */
	char expected[32]; /* errno word, e.g. "ENETUNREACH" */
	char got[32];
	bool passed;
};

/* What the door let through and refused in the whole run, one figure. */
struct report_total {
	const char *name; /* static */
	uint64_t value;
};

enum report_phase {
	REPORT_PREPARED,  /* everything holds, the command may start */
	REPORT_REFUSED,	  /* something did not: the command does not start */
	REPORT_VIOLATION, /* the command called what seccomp watches for */
	REPORT_ENDED,	  /* the runner ended the cell, see @detail */
	REPORT_TOTALS	  /* the door is closed: see @totals */
};

struct report_enforcement {
	enum report_phase phase;
	const char *backend; /* "host" */
	struct report_item items[REPORT_ITEMS_MAX];
	size_t n_items;
	struct report_probe probes[REPORT_ITEMS_MAX];
	size_t n_probes;
	/* REPORT_REFUSED: where it failed */
	char stage[48];	  /* plan step name */
	char detail[256]; /* path or object, and the rule */
	int sys;	  /* errno, 0 if none */
	/* REPORT_VIOLATION */
	int syscall_nr;
	char syscall_name[32];
	char answer[32]; /* errno word the call got */
	/* REPORT_TOTALS */
	struct report_total totals[REPORT_TOTALS_MAX];
	size_t n_totals;
};

/* The item that says how a sandbox was run */
#define REPORT_PLATFORM "platform"

/** report_begin() - empty, of this phase; the rest is the caller's */
void report_begin(struct report_enforcement *r, enum report_phase phase,
		  const char *backend);
/* Adding to a full list is a bug of the caller: it sets the failed buffer at
 * build time, so the event is not written and the cell is refused. */
void report_item_add(struct report_enforcement *r, const char *name,
		     const char *asked, const char *got, bool enforced);
void report_probe_add(struct report_enforcement *r, const char *name,
		      const char *expected, const char *got);
void report_total_add(struct report_enforcement *r, const char *name,
		      uint64_t value);

/** event_enforcement() - data of cell.evidence.v1.enforcement */
void event_enforcement(struct wbuf *b, const struct event_run *run,
		       const struct report_enforcement *r);

enum { RESIDUE_MAX = 64 };

struct report_residue {
	/* what was re-read, e.g. "pids", "cgroup", "mounts", "namespaces",
	 * "files"; and how many objects were looked at */
	struct {
		char kind[16];
		unsigned looked_at, left;
	} checked[8];
	size_t n_checked;
	/* what is still there, one line each */
	char left[RESIDUE_MAX][160];
	size_t n_left, n_left_dropped;
};

/** report_residue_begin() - nothing looked at yet */
void report_residue_begin(struct report_residue *r);
void report_residue_checked(struct report_residue *r, const char *kind,
			    unsigned looked_at, unsigned left);
void report_residue_left(struct report_residue *r, const char *fmt, ...)
	PRINTF(2, 3);
/** report_residue_class() - "none" or "documented_exception" */
const char *report_residue_class(const struct report_residue *r);

/** event_residue() - data of cell.evidence.v1.residue
 *  @run: for gc only cell_id, run_id and run_uuid are known; spec may be NULL,
 *        then specId is cell_id
 *  @by:  "run" or "gc" */
void event_residue(struct wbuf *b, const struct event_run *run,
		   const struct report_residue *r, const char *by);

#endif
