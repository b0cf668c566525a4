/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Starting a VMM: its arguments, its descriptors, its walls. */
#ifndef CELLOS_CELL_VM_START_H
#define CELLOS_CELL_VM_START_H

#include "cell/stage.h"
#include "cell/vm.h"

/** vm_memory_mib() - of the whole machine: what the command may have, and what
 *  its kernel takes */
uint64_t vm_memory_mib(const struct cell_request *req);
/**
 * vm_start() - a VMM that boots the image
 * @port: ours, non-blocking, of enum vm_port, and 0 the serial log; the VMM
 * gets the other ends
 *
 * Descriptors of @s that the VMM's could be in the way of are moved.
 *
 * Return: its pid, or -errno
 */
pid_t vm_start(struct stage *s, int port[VM_PORTS]) MUST_USE;

#endif
