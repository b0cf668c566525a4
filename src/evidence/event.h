/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * CloudEvents of a run: their types, their envelope and their data, as in
 * cellos-events(7) and docs/compatibility.md "Events". Builders are pure:
 * values in, bytes out. The data of an event is compact JSON with members
 * sorted at every depth.
 */
#ifndef CELLOS_EVIDENCE_EVENT_H
#define CELLOS_EVIDENCE_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/slice.h"
#include "base/wbuf.h"
#include "spec/spec.h"

#define EVENT_PREFIX "dev.cellos.events."
/* Members `source`. All are the supervisor's words: it signs what the gate
 * told it in the name the original's proxies have. */
#define EVENT_SOURCE	   "cellos-supervisor"
#define EVENT_SOURCE_DNS   "cellos-dns-proxy"
#define EVENT_SOURCE_SNI   "cellos-sni-proxy"
#define EVENT_SOURCE_VM	   "cellos-host-firecracker" /* of both microVM walls */
#define EVENT_SOURCE_GUEST "/cellos-supervisor/host-telemetry"

/* X(enum suffix, type without EVENT_PREFIX, ours, when it is written).
 * The man page cellos-events(7) and the contracts are checked against it. */
#define EVENT_TYPES(X)                                                         \
	X(NETWORK_SCOPE, "cell.observability.v1.network_scope", 0,             \
	  "first, when the cell is admitted")                                  \
	X(DNS_TARGET_SET, "cell.observability.v1.dns_target_set", 0,           \
	  "next, unless CELLOS_TRUST_PLANE_EVENTS is off")                     \
	X(L7_EGRESS_DECISION, "cell.observability.v1.l7_egress_decision", 0,   \
	  "for each egress rule, and when the gate judged a name")             \
	X(DNS_RESOLUTION, "cell.observability.v1.dns_resolution", 0,           \
	  "for each egress rule, with CELLOS_RESOLVE_EGRESS_DNS")              \
	X(STARTED, "cell.lifecycle.v1.started", 0,                             \
	  "secrets are resolved, the command is next")                         \
	X(MANIFEST_FAILED, "cell.lifecycle.v1.manifest-failed", 0,             \
	  "an artifact of the image is another; nothing is booted")            \
	X(CONTAINER_SECURITY, "cell.observability.v1.container_security", 0,   \
	  "after started")                                                     \
	X(NETWORK_POLICY, "cell.observability.v1.network_policy", 0,           \
	  "the cell has a network namespace of its own")                       \
	X(PROCESS_SPAWNED, "cell.observability.v1.process_spawned", 0,         \
	  "just before the command is started")                                \
	X(DNS_QUERY, "cell.observability.v1.dns_query", 0,                     \
	  "the cell asked its resolver")                                       \
	X(QUERY_PERMITTED, "cell.dns.v1.query_permitted", 0,                   \
	  "before the dns_query of a name that is on the list")                \
	X(QUERY_REFUSED, "cell.dns.v1.query_refused", 0,                       \
	  "after the dns_query of a name or type that is not")                 \
	X(NETWORK_FLOW_DECISION,                                               \
	  "cell.observability.v1.network_flow_decision", 0,                    \
	  "a flow ended, or a rule is summed up, where a variable asks")       \
	X(GUEST_SPAWNED, "cell.observability.guest.process_spawned", 0,        \
	  "the agent of a machine says so, where spec.telemetry asks")         \
	X(GUEST_EXITED, "cell.observability.guest.process_exited", 0,          \
	  "the same")                                                          \
	X(GUEST_INOTIFY, "cell.observability.guest.fs_inotify_fired", 0,       \
	  "the same, of an agent that is not ours")                            \
	X(GUEST_DENIED, "cell.observability.guest.capability_denied", 0,       \
	  "the same, of an agent that is not ours")                            \
	X(GUEST_CONNECT, "cell.observability.guest.net_connect_attempted", 0,  \
	  "the same, of an agent that is not ours")                            \
	X(AGENT_SILENCED, "cell.observability.v1.guest.agent_silenced", 0,     \
	  "once, when that agent was not heard for 10 seconds")                \
	X(NETWORK_ENFORCEMENT, "cell.observability.v1.network_enforcement", 0, \
	  "after the command, with a network namespace")                       \
	X(COMPLETED, "cell.command.v1.completed", 0, "the command has ended")  \
	X(SUMMARY, "cell.compliance.v1.summary", 0, "teardown, always")        \
	X(HOMEOSTASIS, "cell.authority.v1.homeostasis", 0,                     \
	  "after the summary, always")                                         \
	X(HOMEOSTASIS_VIOLATION, "cell.authority.v1.homeostasis_violation", 0, \
	  "next, if more was used than declared")                              \
	X(DESTROYED, "cell.lifecycle.v1.destroyed", 0, "last, always")         \
	X(ENFORCEMENT, "cell.evidence.v1.enforcement", 1,                      \
	  "before exec: what was asked, what the kernel says; when the cell "  \
	  "tries a forbidden system call; and the totals of its door")         \
	X(CONNECTION, "cell.evidence.v1.connection", 1,                        \
	  "a flow through the door ended, or something was refused there")     \
	X(RESIDUE, "cell.evidence.v1.residue", 1,                              \
	  "after teardown: what was looked for and what is left")              \
	X(LINK, "cell.evidence.v1.link", 1,                                    \
	  "first line of a run, at durability boundaries, and last line")      \
	X(SIGNED, "signed_envelope.v1", 0, "wrapper of every signed event")

enum event_type {
#define X(name, type, ours, when) EVENT_##name,
	EVENT_TYPES(X)
#undef X
		EVENT_TYPE_NUM
};

/** event_type_text() - the full type, prefix included */
const char *event_type_text(enum event_type t);
/** event_type_is_ours() - not one of the original's */
bool event_type_is_ours(enum event_type t);

/* What every builder needs to know about the run it speaks of. */
struct event_run {
	const struct spec *spec;
	const char *cell_id;   /* = spec.id */
	const char *run_id;    /* CELLOS_RUN_ID, else run-local-001 */
	const char *run_uuid;  /* ours, fresh per run */
	const char *raw_hash;  /* 64 hex, of the document as read */
	const char *spec_hash; /* "sha256:" + 64 hex, canonical */
	const char *keyset_id, *resolver_kid, *l7_kid;
	/* of a machine's image, 64 hex digits; NULL: it boots none */
	const char *kernel_digest, *rootfs_digest, *vmm_digest;
};

/* An event before signing; all strings borrowed. */
struct event {
	const char *id; /* UUIDv4 */
	const char *source;
	const char *type;  /* full */
	const char *time;  /* RFC 3339 */
	struct slice data; /* compact JSON object, sorted */
};

/** event_signed_bytes() - the envelope in its member order.
 *  Also the whole line (without LF) when events are not signed. */
void event_signed_bytes(struct wbuf *b, const struct event *ev);
/** event_wrapper_line() - docs/compatibility.md "Signed events", without LF
 *  @algorithm: "ed25519" or "hmac-sha256"; @signature: base64url text */
void event_wrapper_line(struct wbuf *b, const struct event *ev,
			const char *algorithm, const char *kid,
			const char *signature);

/* -- data of the original's types; those of the door: evidence/event_net.h --
 */
void event_network_scope(struct wbuf *b, const struct event_run *r);
void event_dns_target_set(struct wbuf *b, const struct event_run *r,
			  const char *updated_at);
/** event_manifest_failed() - digests: 64 hex digits, without a prefix, or "":
 *  there is none, which is told as null */
void event_manifest_failed(struct wbuf *b, const char *role,
			   const char *expected, const char *actual,
			   const char *manifest);
void event_started(struct wbuf *b, const struct event_run *r);

struct telemetry_frame;
/** event_declared() - what a guest says of itself: nobody checked it
 *  @received: RFC 3339, when it came */
void event_declared(struct wbuf *b, const struct event_run *r,
		    const struct telemetry_frame *f, const char *received);
/** event_agent_silenced() - @elapsed_ms: since it was last heard */
void event_agent_silenced(struct wbuf *b, const struct event_run *r,
			  uint64_t window_ms, uint64_t elapsed_ms);
/** event_container_security() - @status: text of /proc/<pid>/status, or NULL */
void event_container_security(struct wbuf *b, const struct event_run *r,
			      const char *status);
void event_network_policy(struct wbuf *b, const struct event_run *r);
void event_process_spawned(struct wbuf *b, const struct event_run *r);
/** event_network_enforcement() - @exit_code NULL: of a sandbox that was lost */
void event_network_enforcement(struct wbuf *b, const struct event_run *r,
			       const int *exit_code, bool nft_applied,
			       const char *spawn_error);
void event_completed(struct wbuf *b, const struct event_run *r,
		     uint64_t duration_ms, int exit_code,
		     const char *spawn_error);
/** event_summary() - @exit_code NULL: the command phase was not reached */
void event_summary(struct wbuf *b, const struct event_run *r,
		   const int *exit_code);
/** event_homeostasis() - @exercised: distinct connections that were let
 *  through, NULL: not counted; what is over 2^32 - 1 is written as that */
void event_homeostasis(struct wbuf *b, const struct event_run *r,
		       const uint64_t *exercised);
/** event_homeostasis_violation() - Return: false if @exercised is not more than
 *  the document declares: nothing is written, there is no violation */
bool event_homeostasis_violation(struct wbuf *b, const struct event_run *r,
				 uint64_t exercised);
/** event_destroyed() - @reason NULL = succeeded; @residue_class and
 *  @evidence_ref NULL = omitted (portable); @terminal_state "clean", "forced",
 *  or NULL: on the host wall */
void event_destroyed(struct wbuf *b, const struct event_run *r,
		     const char *reason, const char *residue_class,
		     const char *evidence_ref, const char *terminal_state);

#endif
