/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Whether KVM runs a stock kernel here: a device that opens need not. */
#ifndef CELLOS_CLI_KVM_H
#define CELLOS_CLI_KVM_H

#include "cell/cell.h"
#include "cell/state.h"

/**
 * kvm_is_usable() - has a machine by KVM booted here to our init
 * @req: of a machine that is to be started, with its image
 *
 * Tried once a boot of this host and kernel of an image, in a cell, for a few
 * seconds at most; what came of it is kept in the state directory.
 */
bool kvm_is_usable(const struct state_dirs *d, const struct cell_request *req);
/** kvm_forget() - so that it is tried again */
void kvm_forget(const struct state_dirs *d);

#endif
