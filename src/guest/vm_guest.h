/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Pid 1 of a machine: its parts. */
#ifndef CELLOS_GUEST_VM_GUEST_H
#define CELLOS_GUEST_VM_GUEST_H

#include <signal.h>

#include "base/attr.h"
#include "cell/vm.h"

/* Ends the agent, with what is there: none that a stop of the command sends */
#define VM_AGENT_END SIGUSR1

/** vm_guest_main() - from the kernel's hands to the end */
void vm_guest_main(void) NORETURN;

/** vm_boot_devices() - the kernel's file systems and our modules, in an
 *  initramfs; 0 or -errno, @ret_what: at what */
int vm_boot_devices(const char **ret_what) MUST_USE;
/** vm_boot_has_sockets() - does the VMM give AF_VSOCK, not virtio-serial */
bool vm_boot_has_sockets(void);
/** vm_port_open() - of enum vm_port; waits for the device
 *  Return: a descriptor or -errno */
int vm_port_open(int n) MUST_USE;
/** vm_agent_start() - a process that declares what starts and ends here
 *  @told: wiped in it; Return: its pid, or -errno */
pid_t vm_agent_start(struct vm_told *told) MUST_USE;
/** vm_boot_root() - the image at VM_GUEST_IMAGE and room at VM_FILES, in a root
 *  that can be left; 0 or -errno */
int vm_boot_root(const struct vm_setup *h, const char **ret_what) MUST_USE;
/** vm_boot_group() - a control group with the limits of @h
 *  Return: its directory, or -errno */
int vm_boot_group(const struct vm_setup *h, const char **ret_what) MUST_USE;
/** vm_group_limits() - what of @h it has, as the kernel shows it
 *  Return: 0 or -errno, @ret_what: the file */
int vm_group_limits(int group, const struct vm_setup *h,
		    struct cell_guest_limits *ret,
		    const char **ret_what) MUST_USE;
/** vm_group_oom() - has its limit of memory killed */
bool vm_group_oom(int group);

#endif
