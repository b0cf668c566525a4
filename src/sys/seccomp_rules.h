/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What a command may call, as tables. tools/seccomp-gen.c turns them into BPF
 * at build time, by libseccomp but for the allowlist; nothing of that library
 * is in a cell.
 *
 * Two filters are stacked, and the kernel takes the stricter answer:
 *   allow  - every call listed here; anything else ENOSYS, so that a libc
 *	      that probes a newer call falls back; other ABIs (x32, i386) ENOSYS
 *   watch  - of the listed calls: WATCHED ones go to the supervisor, which
 *	      writes an event and answers EPERM; some arguments get an errno
 * In a sandbox nobody hears of the watched ones: they are EPERM at once.
 */
#ifndef CELLOS_SYS_SECCOMP_RULES_H
#define CELLOS_SYS_SECCOMP_RULES_H

/* clang-format off */

/* Ordinary work of programs, threads, files, memory, sockets. Left out on
 * purpose: clone3, openat2 (struct arguments a filter cannot see), and all
 * that is nobody's business in a cell. */
#define SECCOMP_ALLOWED(X)                                                     \
	X(accept) X(accept4) X(access) X(alarm) X(arch_prctl) X(bind) X(brk)   \
	X(cachestat) X(capget) X(capset) X(chdir) X(chmod) X(chown)            \
	X(clock_getres) X(clock_gettime) X(clock_nanosleep) X(clone) X(close)  \
	X(close_range) X(connect) X(copy_file_range) X(creat) X(dup) X(dup2)   \
	X(dup3) X(epoll_create) X(epoll_create1) X(epoll_ctl) X(epoll_ctl_old) \
	X(epoll_pwait) X(epoll_pwait2) X(epoll_wait) X(epoll_wait_old)         \
	X(eventfd) X(eventfd2) X(execve) X(execveat) X(exit) X(exit_group)     \
	X(faccessat) X(faccessat2) X(fadvise64) X(fallocate) X(fchdir)         \
	X(fchmod) X(fchmodat) X(fchown) X(fchownat) X(fcntl) X(fdatasync)      \
	X(fgetxattr) X(flistxattr) X(flock) X(fork) X(fremovexattr)            \
	X(fsetxattr) X(fstat) X(fstatfs) X(fsync) X(ftruncate) X(futex)        \
	X(futex_waitv) X(futimesat) X(get_mempolicy) X(get_robust_list)        \
	X(get_thread_area) X(getcpu) X(getcwd) X(getdents) X(getdents64)       \
	X(getegid) X(geteuid) X(getgid) X(getgroups) X(getitimer)              \
	X(getpeername) X(getpgid) X(getpgrp) X(getpid) X(getppid)              \
	X(getpriority) X(getrandom) X(getresgid) X(getresuid) X(getrlimit)     \
	X(getrusage) X(getsid) X(getsockname) X(getsockopt) X(gettid)          \
	X(gettimeofday) X(getuid) X(getxattr) X(inotify_add_watch)             \
	X(inotify_init) X(inotify_init1) X(inotify_rm_watch) X(io_cancel)      \
	X(io_destroy) X(io_getevents) X(io_pgetevents) X(io_setup)             \
	X(io_submit) X(ioctl) X(ioprio_get) X(ioprio_set) X(kill)              \
	X(landlock_add_rule) X(landlock_create_ruleset)                        \
	X(landlock_restrict_self) X(lchown) X(lgetxattr) X(link) X(linkat)     \
	X(listen) X(listxattr) X(llistxattr) X(lremovexattr) X(lseek)          \
	X(lsetxattr) X(lstat) X(madvise) X(mbind) X(membarrier)                \
	X(memfd_create) X(memfd_secret) X(migrate_pages) X(mincore) X(mkdir)   \
	X(mkdirat) X(mknod) X(mknodat) X(mlock) X(mlock2) X(mlockall) X(mmap)  \
	X(modify_ldt) X(move_pages) X(mprotect) X(mq_getsetattr) X(mq_notify)  \
	X(mq_open) X(mq_timedreceive) X(mq_timedsend) X(mq_unlink) X(mremap)   \
	X(msgctl) X(msgget) X(msgrcv) X(msgsnd) X(msync) X(munlock)            \
	X(munlockall) X(munmap) X(nanosleep) X(newfstatat) X(open) X(openat)   \
	X(pause) X(personality) X(pidfd_getfd) X(pidfd_open)                   \
	X(pidfd_send_signal) X(pipe) X(pipe2) X(pkey_alloc) X(pkey_free)       \
	X(pkey_mprotect) X(poll) X(ppoll) X(prctl) X(pread64) X(preadv)        \
	X(preadv2) X(prlimit64) X(process_madvise) X(process_mrelease)         \
	X(process_vm_readv) X(process_vm_writev) X(pselect6) X(ptrace)         \
	X(pwrite64) X(pwritev) X(pwritev2) X(read) X(readahead) X(readlink)    \
	X(readlinkat) X(readv) X(recvfrom) X(recvmmsg) X(recvmsg)              \
	X(remap_file_pages) X(removexattr) X(rename) X(renameat) X(renameat2)  \
	X(restart_syscall) X(rmdir) X(rseq) X(rt_sigaction) X(rt_sigpending)   \
	X(rt_sigprocmask) X(rt_sigqueueinfo) X(rt_sigreturn) X(rt_sigsuspend)  \
	X(rt_sigtimedwait) X(rt_tgsigqueueinfo) X(sched_get_priority_max)      \
	X(sched_get_priority_min) X(sched_getaffinity) X(sched_getattr)        \
	X(sched_getparam) X(sched_getscheduler) X(sched_rr_get_interval)       \
	X(sched_setaffinity) X(sched_setattr) X(sched_setparam)                \
	X(sched_setscheduler) X(sched_yield) X(seccomp) X(select) X(semctl)    \
	X(semget) X(semop) X(semtimedop) X(sendfile) X(sendmmsg) X(sendmsg)    \
	X(sendto) X(set_mempolicy) X(set_mempolicy_home_node)                  \
	X(set_robust_list) X(set_thread_area) X(set_tid_address) X(setfsgid)   \
	X(setfsuid) X(setgid) X(setgroups) X(setitimer) X(setpgid)             \
	X(setpriority) X(setregid) X(setresgid) X(setresuid) X(setreuid)       \
	X(setrlimit) X(setsid) X(setsockopt) X(setuid) X(setxattr) X(shmat)    \
	X(shmctl) X(shmdt) X(shmget) X(shutdown) X(sigaltstack) X(signalfd)    \
	X(signalfd4) X(socket) X(socketpair) X(splice) X(stat) X(statfs)       \
	X(statx) X(symlink) X(symlinkat) X(sync) X(sync_file_range) X(syncfs)  \
	X(sysinfo) X(tee) X(tgkill) X(time) X(timer_create) X(timer_delete)    \
	X(timer_getoverrun) X(timer_gettime) X(timer_settime)                  \
	X(timerfd_create) X(timerfd_gettime) X(timerfd_settime) X(times)       \
	X(tkill) X(truncate) X(umask) X(uname) X(unlink) X(unlinkat) X(utime)  \
	X(utimensat) X(utimes) X(vfork) X(vmsplice) X(wait4) X(waitid)         \
	X(write) X(writev)

/* Known, forbidden, worth an event: EPERM. */
#define SECCOMP_WATCHED(X)                                                     \
	X(acct) X(add_key) X(adjtimex) X(bpf) X(chroot) X(clock_adjtime)       \
	X(clock_settime) X(delete_module) X(fanotify_init) X(fanotify_mark)    \
	X(finit_module) X(fsconfig) X(fsmount) X(fsopen) X(fspick)             \
	X(init_module) X(io_uring_enter) X(io_uring_register)                  \
	X(io_uring_setup) X(ioperm) X(iopl) X(kcmp) X(kexec_file_load)         \
	X(kexec_load) X(keyctl) X(lookup_dcookie) X(mount) X(mount_setattr)    \
	X(move_mount) X(name_to_handle_at) X(nfsservctl) X(open_by_handle_at)  \
	X(open_tree) X(perf_event_open) X(pivot_root) X(quotactl)              \
	X(quotactl_fd) X(reboot) X(request_key) X(setdomainname)               \
	X(sethostname) X(setns) X(settimeofday) X(swapoff) X(swapon) X(syslog) \
	X(umount2) X(unshare) X(userfaultfd) X(vhangup)

/* The original's CELLOS_SUBPROCESS_SECCOMP=baseline. */
#define SECCOMP_BASELINE(X)                                                    \
	X(ptrace) X(process_vm_readv) X(process_vm_writev) X(bpf)              \
	X(perf_event_open) X(keyctl) X(add_key) X(request_key) X(mount)        \
	X(umount2) X(pivot_root) X(setns) X(unshare) X(init_module)            \
	X(finit_module) X(delete_module) X(kexec_load)

/* What the gate may call once it serves a cell; anything else kills it. Sockets
 * of IPv4 and IPv6 only, no memory that is executed. */
#define SECCOMP_GATE(X)                                                        \
	X(accept4) X(brk) X(clock_gettime) X(close) X(connect) X(epoll_ctl)    \
	X(epoll_pwait) X(epoll_wait) X(exit) X(exit_group) X(getpeername)      \
	X(getrandom) X(getsockname) X(getsockopt) X(madvise) X(mremap)         \
	X(munmap) X(pipe2) X(poll) X(read) X(readv) X(recvfrom) X(recvmmsg)    \
	X(recvmsg) X(restart_syscall) X(rt_sigprocmask) X(rt_sigreturn)        \
	X(sendmmsg) X(sendmsg) X(sendto) X(setsockopt) X(shutdown) X(splice)   \
	X(write) X(writev)

/* What may be called where an image is unpacked; anything else kills. Files, but
 * no node, no process, no socket, no memory that is executed. */
#define SECCOMP_UNPACK(X)                                                      \
	X(brk) X(close) X(exit) X(exit_group) X(fchmod) X(fchmodat) X(fchown)  \
	X(fchownat) X(fcntl) X(fstat) X(ftruncate) X(getdents64) X(getrandom)  \
	X(linkat) X(lseek) X(madvise) X(mkdirat) X(mremap) X(munmap)           \
	X(newfstatat) X(open) X(openat) X(openat2) X(pwrite64) X(read)         \
	X(restart_syscall) X(rt_sigreturn) X(symlinkat) X(unlinkat) X(write)   \
	X(writev)

/* clang-format on */

#endif
