/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * System call filters (generated at build time, see sys/seccomp_rules.h) and
 * the listener that hears of the watched calls. Needs no_new_privs, or
 * CAP_SYS_ADMIN in the caller's user namespace.
 */
#ifndef CELLOS_SYS_SECCOMP_H
#define CELLOS_SYS_SECCOMP_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/attr.h"

/** seccomp_enter_allow() - the allowlist; unknown calls ENOSYS; 0 or -errno */
int seccomp_enter_allow(void) MUST_USE;
/** seccomp_enter_watch() - the watch filter (Linux 5.0)
 *  Return: the listener's descriptor (close-on-exec), or -errno */
int seccomp_enter_watch(void) MUST_USE;
/** seccomp_enter_refuse() - the watch filter where nobody watches: what it
 *  would tell is EPERM; 0 or -errno */
int seccomp_enter_refuse(void) MUST_USE;
/** seccomp_enter_runtime() - for a sandbox's runtime: no file that runs as its
 *  owner or group; 0 or -errno */
int seccomp_enter_runtime(void) MUST_USE;
/** seccomp_enter_baseline() - the original's baseline filter; 0 or -errno */
int seccomp_enter_baseline(void) MUST_USE;
/** seccomp_enter_gate() - the gate's own; 0 or -errno */
int seccomp_enter_gate(void) MUST_USE;
/** seccomp_enter_unpack() - of who unpacks an image; 0 or -errno */
int seccomp_enter_unpack(void) MUST_USE;
/** seccomp_enter_bpf() - an operator's raw program of struct sock_filter
 *  @len: bytes, a multiple of 8; 0 or -errno */
int seccomp_enter_bpf(const void *prog, size_t len) MUST_USE;

/** seccomp_listen() - make answers quick where the kernel can (Linux 6.6): the
 *  caller and we take turns on one processor; else nothing */
void seccomp_listen(int listener);
/**
 * seccomp_answer() - take one notification and refuse the call with EPERM
 * @ret_pid: the caller in this process's pid namespace
 *
 * Return: the call's number, -EAGAIN if nothing waits (the caller died),
 * or another -errno
 */
int seccomp_answer(int listener, pid_t *ret_pid) MUST_USE;
/** seccomp_name() - name of a watched call, or "unknown" */
const char *seccomp_name(int nr);

#endif
