/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Every environment variable there is, in one table: `--help`, the man page
 * and the tests are made from it. Readers of a variable use the accessor of
 * its class, so that the class in the table is the class in force.
 */
#ifndef CELLOS_CLI_ENV_H
#define CELLOS_CLI_ENV_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/limits.h"

enum env_class {
	ENV_PRESENCE,  /* any value switches it on, "0" and "" too */
	ENV_TRUTHY,    /* 1 true yes on; anything else is off */
	ENV_NOT_FALSY, /* on unless 0 false no off */
	ENV_EXACT,     /* on only if exactly "1" */
	ENV_ENUM,      /* one of the words in the document line */
	ENV_STRING,
	ENV_PATH,
	ENV_INTEGER,
	ENV_CLASS_NUM
};

enum env_status {
	ENV_ACTIVE,
	ENV_REFUSED, /* setting it refuses the run: not built yet */
	ENV_IGNORED  /* has no effect in this build, and says so */
};

/* X(name, class, default or "", status, document line) */
#define ENV_TABLE(X)                                                          \
	X("CELLOS_DEPLOYMENT_PROFILE", ENUM, "hardened", ACTIVE,              \
	  "hardened or portable: what happens when isolation is missing")     \
	X("CELLOS_TEST_FORCE_MISSING_ISOLATION_PRIMITIVES", STRING, "",       \
	  ACTIVE,                                                             \
	  "comma list of unshare, seccomp, cgroup-v2, all: replaces "         \
	  "the probe of the host")                                            \
	X("CELLOS_REQUIRE_ISOLATION", STRING, "", IGNORED,                    \
	  "a full cell is always isolated outside portable")                  \
	X("CELLOS_STRICT_CONFIG", TRUTHY, "", ACTIVE,                         \
	  "refuse to start on ignored or misconfigured variables and on "     \
	  "unknown members of the document")                                  \
	X("CELLOS_RUN_ID", STRING, "run-local-001", ACTIVE,                   \
	  "data.runId of every event")                                        \
	X("CELLOS_K8S_NAMESPACE", STRING, "", ACTIVE,                         \
	  "refuse documents placed in another Kubernetes namespace")          \
	X("CELLOS_REQUIRE_AUTHORITY_DERIVATION", PRESENCE, "", ACTIVE,        \
	  "refuse authority without spec.authority.authorityDerivation")      \
	X("CELLOS_REQUIRE_TELEMETRY_DECLARED", PRESENCE, "", ACTIVE,          \
	  "refuse documents without spec.telemetry")                          \
	X("CELLOS_REQUIRE_SCOPED_DERIVATION_TOKENS", NOT_FALSY, "1", IGNORED, \
	  "scope of derivation tokens; no token is accepted yet")             \
	X("CELLOS_AUTHORITY_KEYS_PATH", PATH, "", REFUSED,                    \
	  "keys of derivation tokens")                                        \
	X("CELLOS_POLICY_PACK_PATH", PATH, "", REFUSED, "policy pack")        \
	X("CELLOS_POLICY_ALLOW_DOWNGRADE", TRUTHY, "", IGNORED,               \
	  "older policy packs; no pack is accepted yet")                      \
	X("CELLOS_AUTHZ_POLICY_PATH", PATH, "", REFUSED,                      \
	  "authorization policy")                                             \
	X("CELLOS_CALLER_IDENTITY", STRING, "default", IGNORED,               \
	  "no decision uses it")                                              \
	X("CELLOS_TRUST_VERIFY_KEYS_PATH", PATH, "", REFUSED,                 \
	  "keys of the trust keyset")                                         \
	X("CELLOS_REQUIRE_TRUST_VERIFY_KEYS", TRUTHY, "", REFUSED,            \
	  "make keyset failures fatal")                                       \
	X("CELLOS_TRUST_KEYSET_PATH", PATH, "", REFUSED,                      \
	  "signed trust keyset")                                              \
	X("CELLOS_TRUST_KEYSET_CHAIN_PATH", PATH, "", REFUSED,                \
	  "chain of signed trust keysets")                                    \
	X("CELLOS_TRUST_KEYSET_ID", STRING, "cellos:builtin-v0", ACTIVE,      \
	  "keysetId in trust-plane events")                                   \
	X("CELLOS_TRUST_RESOLVER_KID", STRING, "cellos-local-resolve-v0",     \
	  ACTIVE, "issuerKid of DNS events")                                  \
	X("CELLOS_TRUST_L7_KID", STRING, "cellos-local-l7-v0", ACTIVE,        \
	  "issuerKid of L7 events")                                           \
	X("CELLOS_CELL_BACKEND", ENUM, "", ACTIVE,                            \
	  "unset, stub or host: the host; gvisor; qemu; firecracker")         \
	X("CELLOS_GVISOR_RUNSC_BIN", PATH, "runsc", ACTIVE,                   \
	  "gvisor: the OCI runtime, a path or a name to be found in PATH")    \
	X("CELLOS_GVISOR_BUNDLE_ROOT", PATH, "", IGNORED,                     \
	  "a bundle lives in memory, where only its own cell sees it")        \
	X("CELLOS_FIRECRACKER_BINARY", PATH, "firecracker", ACTIVE,           \
	  "firecracker: the VMM; has to be set if CELLOS_CELL_BACKEND is"     \
	  " what chooses it")                                                 \
	X("CELLOS_FIRECRACKER_KERNEL_IMAGE", PATH, "", ACTIVE,                \
	  "firecracker: an ELF kernel; default that of an image")             \
	X("CELLOS_FIRECRACKER_ROOTFS_IMAGE", PATH, "", ACTIVE,                \
	  "firecracker: the root, read-only; default that of an image")       \
	X("CELLOS_FIRECRACKER_MANIFEST", PATH, "", ACTIVE,                    \
	  "digests of kernel, rootfs, initrd, init, firecracker")             \
	X("CELLOS_FIRECRACKER_ALLOW_NO_MANIFEST", EXACT, "", ACTIVE,          \
	  "with _REALLY: boot what was not verified")                         \
	X("CELLOS_FIRECRACKER_ALLOW_NO_MANIFEST_REALLY", EXACT, "", ACTIVE,   \
	  "the other half of it")                                             \
	X("CELLOS_FIRECRACKER_JAILER_BINARY", PATH, "", ACTIVE,               \
	  "start the VMM by Firecracker's jailer")                            \
	X("CELLOS_FIRECRACKER_JAILER_UID", INTEGER, "10002", ACTIVE,          \
	  "as this user of the host")                                         \
	X("CELLOS_FIRECRACKER_JAILER_GID", INTEGER, "10002", ACTIVE,          \
	  "and this group")                                                   \
	X("CELLOS_FIRECRACKER_REQUIRE_JAILER", NOT_FALSY, "1", ACTIVE,        \
	  "refuse without a jailer, if CELLOS_CELL_BACKEND chooses the wall") \
	X("CELLOS_FIRECRACKER_ALLOW_NO_JAILER", EXACT, "", ACTIVE,            \
	  "the cell's own walls are enough")                                  \
	X("CELLOS_FIRECRACKER_ENABLE_NETWORK", NOT_FALSY, "1", ACTIVE,        \
	  "off: refuse documents with egressRules")                           \
	X("CELLOS_FIRECRACKER_ALLOW_NO_VSOCK", EXACT, "", ACTIVE,             \
	  "bound the wait for the exit of a guest with another init")         \
	X("CELLOS_FIRECRACKER_NO_VSOCK_TIMEOUT_SECS", INTEGER, "5", ACTIVE,   \
	  "to this")                                                          \
	X("CELLOS_FIRECRACKER_NO_SECCOMP", EXACT, "", ACTIVE,                 \
	  "start the VMM without its own filters; ours stay")                 \
	X("CELLOS_FIRECRACKER_CHROOT_BASE", PATH, "", IGNORED,                \
	  "a jail lies in the memory of its cell")                            \
	X("CELLOS_FIRECRACKER_SOCKET_DIR", PATH, "", IGNORED,                 \
	  "sockets of the VMM lie in the memory of its cell")                 \
	X("CELLOS_FIRECRACKER_SCRATCH_DIR", PATH, "", IGNORED,                \
	  "what a guest of ours writes lies in its memory; refused with "     \
	  "another's")                                                        \
	X("CELLOS_FIRECRACKER_POOL_SIZE", INTEGER, "0", IGNORED,              \
	  "a machine made in advance could not be told the document")         \
	X("CELLOS_HOST_TELEMETRY_SIGN_ALG", ENUM, "off", IGNORED,             \
	  "events of a guest are signed as all of a run are")                 \
	X("CELLOS_HOST_TELEMETRY_SIGN_KID", STRING, "", IGNORED, "the same")  \
	X("CELLOS_HOST_TELEMETRY_SIGN_HMAC_KEY", STRING, "", IGNORED,         \
	  "events of a guest are signed as all of a run are")                 \
	X("CELLOS_HOST_TELEMETRY_SIGN_ED25519_SK", STRING, "", IGNORED,       \
	  "events of a guest are signed as all of a run are")                 \
	X("CELLOS_BROKER", ENUM, "memory", ACTIVE,                            \
	  "env: secrets from CELLOS_SECRET_<KEY>; with secretRefs every "     \
	  "other broker is refused")                                          \
	X("CELLOS_SECRET_<KEY>", STRING, "", ACTIVE,                          \
	  "value of the secret KEY (upper case, - as _) for the env broker")  \
	X("CELL_OS_USE_NOOP_SINK", PRESENCE, "", ACTIVE,                      \
	  "no primary event sink")                                            \
	X("NATS_URL", STRING, "nats://127.0.0.1:4222", ACTIVE,                \
	  "primary event sink; never contacted, recorded as misconfigured "   \
	  "unless CELL_OS_USE_NOOP_SINK is set")                              \
	X("CELL_OS_REQUIRE_JETSTREAM", PRESENCE, "", REFUSED,                 \
	  "a primary event sink must be connected")                           \
	X("CELLOS_EVENTS_SUBJECT_TEMPLATE", STRING, "", ACTIVE,               \
	  "event subject with {spec_id}, {run_id}, {tenantId}; shown by "     \
	  "--validate")                                                       \
	X("CELLOS_TENANT_ID", STRING, "", ACTIVE,                             \
	  "event subject cellos.events.<tenant>.<spec>.<run>")                \
	X("CELL_OS_EVENTS_SUBJECT", STRING, "cellos.events.v1", ACTIVE,       \
	  "event subject, verbatim")                                          \
	X("CELL_OS_JSONL_EVENTS", PATH, "", ACTIVE,                           \
	  "journal: one JSON line an event, appended")                        \
	X("CELLOS_REDACT_EVENT_FIELDS", STRING, "", ACTIVE,                   \
	  "comma list of member names to hide in events, or defaults")        \
	X("CELLOS_EVENT_SIGNING", ENUM, "off", ACTIVE,                        \
	  "off, ed25519, hmac-sha256: sign every event")                      \
	X("CELLOS_EVENT_SIGNING_KID", STRING, "", ACTIVE,                     \
	  "id of the signing key")                                            \
	X("CELLOS_EVENT_SIGNING_KEY_BASE64", STRING, "", ACTIVE,              \
	  "signing key, base64url; wiped from the environment when read")     \
	X("CELLOS_DLQ_DIR", PATH, "", IGNORED,                                \
	  "dead letters: an event that cannot be written ends the cell")      \
	X("CELLOS_RUN_TIMEOUT_MS", INTEGER, "", ACTIVE,                       \
	  "limit of the command in milliseconds, at least 1")                 \
	X("CELLOS_RUN_ARGV0_ALLOW_PREFIXES", STRING, "", ACTIVE,              \
	  "comma list of directories argv[0] must be under")                  \
	X("CELLOS_SUBPROCESS_UNSHARE", STRING, "", ACTIVE,                    \
	  "portable: namespaces of the command (pid ipc net uts mnt, 1)")     \
	X("CELLOS_SUBPROCESS_SECCOMP", ENUM, "off", ACTIVE,                   \
	  "baseline, bpf or off; outside portable it only adds")              \
	X("CELLOS_SECCOMP_BPF_PATH", PATH, "", ACTIVE,                        \
	  "raw seccomp program, stacked on ours")                             \
	X("CELLOS_CGROUP_PARENT", PATH, "", ACTIVE,                           \
	  "cgroup directory below which the cell's own is made")              \
	X("CELLOS_CGROUP_MEMORY_MAX", STRING, "", ACTIVE,                     \
	  "memory limit in bytes, or with K, M, G, T; the smaller of it and " \
	  "the document's counts")                                            \
	X("CELLOS_CGROUP_CPU_MAX", STRING, "", ACTIVE,                        \
	  "<quota> [<period>] in microseconds, or max; the document wins")    \
	X("CELLOS_TRUST_PLANE_EVENTS", NOT_FALSY, "1", ACTIVE,                \
	  "write dns_target_set")                                             \
	X("CELLOS_RESOLVE_EGRESS_DNS", TRUTHY, "", ACTIVE,                    \
	  "write dns_resolution: the hosts of egressRules, resolved by the "  \
	  "host")                                                             \
	X("CELLOS_L7_GATE_OBSERVABILITY", TRUTHY, "", ACTIVE,                 \
	  "write an l7_egress_decision for each name of dnsAuthority")        \
	X("CELLOS_ECH", ENUM, "outer", ACTIVE,                                \
	  "outer: a hello with ECH is judged by its outer name and flagged; " \
	  "deny: it is refused")                                              \
	X("CELLOS_DNS_AUTHORITY_REFRESH", TRUTHY, "", REFUSED,                \
	  "names are resolved when the cell asks for them only")              \
	X("CELLOS_DNS_AUTHORITY_CONTINUOUS", TRUTHY, "", IGNORED,             \
	  "needs CELLOS_DNS_AUTHORITY_REFRESH")                               \
	X("CELLOS_DNS_AUTHORITY_TICK_INTERVAL_SECS", INTEGER, "", IGNORED,    \
	  "needs CELLOS_DNS_AUTHORITY_REFRESH")                               \
	X("CELLOS_DNS_PROXY", TRUTHY, "", ACTIVE,                             \
	  "the resolver also listens at the endpoint of the first resolver, " \
	  "inside the cell")                                                  \
	X("CELLOS_DNS_PROXY_UPSTREAM_OVERRIDE", STRING, "", ACTIVE,           \
	  "ip:port inside the cell that is asked in place of the resolvers, " \
	  "with CELLOS_DNS_PROXY")                                            \
	X("CELLOS_DNS_UPSTREAM_PROTOCOL", ENUM, "", ACTIVE,                   \
	  "do53-udp or do53-tcp: how every resolver is asked, whatever the "  \
	  "document says; dot, doh and doq are refused")                      \
	X("CELLOS_DNS_UPSTREAM_TRANSPORT", ENUM, "", ACTIVE,                  \
	  "older name of CELLOS_DNS_UPSTREAM_PROTOCOL, which wins")           \
	X("CELLOS_DNS_UPSTREAM_DOT_SERVER", STRING, "", IGNORED,              \
	  "of the protocol dot, which is refused")                            \
	X("CELLOS_DNS_UPSTREAM_DOT_PORT", INTEGER, "", IGNORED,               \
	  "of the protocol dot, which is refused")                            \
	X("CELLOS_DNS_UPSTREAM_DOT_SNI", STRING, "", IGNORED,                 \
	  "of the protocol dot, which is refused")                            \
	X("CELLOS_DNS_UPSTREAM_DOH_URL", STRING, "", IGNORED,                 \
	  "of the protocol doh, which is refused")                            \
	X("CELLOS_DNS_UPSTREAM_DOQ_SERVER", STRING, "", IGNORED,              \
	  "of the protocol doq, which is refused")                            \
	X("CELLOS_DNS_UPSTREAM_DOQ_PORT", INTEGER, "", IGNORED,               \
	  "of the protocol doq, which is refused")                            \
	X("CELLOS_DNSSEC_TRUST_ANCHORS_PATH", PATH, "", REFUSED,              \
	  "answers are not validated by DNSSEC")                              \
	X("CELLOS_SNI_PROXY", TRUTHY, "", ACTIVE,                             \
	  "the gate also listens at CELLOS_SNI_PROXY_BIND inside the cell")   \
	X("CELLOS_SNI_PROXY_BIND", STRING, "127.0.0.1:8443", ACTIVE,          \
	  "ip:port of that")                                                  \
	X("CELLOS_SNI_PROXY_UPSTREAM_OVERRIDE", STRING, "", ACTIVE,           \
	  "ip:port inside the cell that allowed connections to "              \
	  "CELLOS_SNI_PROXY_BIND lead to")                                    \
	X("CELLOS_PER_FLOW_ENFORCEMENT_EVENTS", EXACT, "", ACTIVE,            \
	  "1: write network_flow_decision for each rule after the command")   \
	X("CELLOS_PER_FLOW_REALTIME", EXACT, "", ACTIVE,                      \
	  "1: write network_flow_decision for each connection, count them")   \
	X("CELLOS_FIRECRACKER_PER_FLOW_EBPF", EXACT, "", ACTIVE,              \
	  "as CELLOS_PER_FLOW_REALTIME")                                      \
	X("CELLOS_FIRECRACKER_PER_FLOW_BACKEND", ENUM, "", IGNORED,           \
	  "connections are told by the gate, the rest by nflog")              \
	X("CELLOS_PER_FLOW_BACKEND", ENUM, "", IGNORED,                       \
	  "connections are told by the gate, the rest by nflog")              \
	X("CELLOS_FIRECRACKER_PER_FLOW_NFLOG_GROUP", INTEGER, "", IGNORED,    \
	  "a cell's network has groups of its own")                           \
	X("CELLOS_EBPF_OBJECT_PATH", PATH, "", IGNORED,                       \
	  "no eBPF program is loaded")                                        \
	X("CELLOS_EXPORT_DIR", PATH, "", IGNORED, "needs spec.export")        \
	X("CELLOS_EXPORT_HTTP_BASE_URL", STRING, "", IGNORED,                 \
	  "needs spec.export; must still be an http(s) URL")                  \
	X("CELLOS_RUN_DIR", PATH, "", ACTIVE,                                 \
	  "locks and resource lists; default /run/cellos or "                 \
	  "$XDG_RUNTIME_DIR/cellos")                                          \
	X("CELLOS_STATE_DIR", PATH, "", ACTIVE,                               \
	  "keys and journals; default /var/lib/cellos or "                    \
	  "$XDG_STATE_HOME/cellos")                                           \
	X("RUST_LOG", STRING, "info", ACTIVE,                                 \
	  "log level: error, warn, info, debug; target=level too")            \
	X("NO_COLOR", STRING, "", ACTIVE, "not empty: no colour on stderr")

struct env_info {
	const char *name;
	enum env_class cls;
	enum env_status status;
	const char *dflt;
	const char *doc;
};

/* ENV_TABLE and one row per limit of base/limits.h, in this order. */
size_t env_count(void);
struct env_info env_info(size_t i);
const char *env_status_word(enum env_status s);

/** env_text() - the value, NULL if unset or not UTF-8 */
const char *env_text(const char *name);
/** env_path() - the value as bytes, NULL if unset */
const char *env_path(const char *name);
/** env_nonblank() - trimmed copy in @buf, NULL if unset, blank or too long */
const char *env_nonblank(const char *name, char *buf, size_t size);
bool env_present(const char *name);
bool env_truthy(const char *name);
/** env_exact() - it is 1, and nothing else */
bool env_exact(const char *name);
/** env_not_falsy() - true when unset or blank, too */
bool env_not_falsy(const char *name);
/** env_wipe() - overwrite the value where the kernel put it, then unset */
void env_wipe(const char *name);

/**
 * env_limits() - the limits in force: defaults, then the variables
 * @ret_pids_asked: CELLOS_LIMIT_PIDS was given: a default that cannot be had
 *                  falls back, a limit that was asked for refuses
 * @e: names variable, value and range
 */
int env_limits(struct limits *ret, bool *ret_pids_asked,
	       struct err *e) MUST_USE;

/** text_trim() - copy without outer white space; false if it does not fit */
bool text_trim(const char *s, char *buf, size_t size);
/** text_u64() - decimal digits only; false on anything else or overflow */
bool text_u64(const char *s, unsigned long long *ret);
/** env_quote() - "x" as messages quote it (docs/compatibility.md "Documents"),
 *  cut to the buffer; @buf */
const char *env_quote(char *buf, size_t size, const char *s);

#endif
