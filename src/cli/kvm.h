/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Whether KVM runs a stock kernel here: a device that opens need not. */
#ifndef CELLOS_CLI_KVM_H
#define CELLOS_CLI_KVM_H

#include "cell/cell.h"
#include "cell/state.h"

/** kvm_kept() - what is known of it for an image; nothing is tried */
enum cell_kvm kvm_kept(const struct state_dirs *d, const struct image *im);
/**
 * kvm_try() - boot a machine to our init, in a cell, in a few seconds or not
 * @req: of a machine that is to be started, with its image
 *
 * What came of it is kept in the state directory, for this boot of this host
 * and this kernel of an image: also that time ran out, or each run of a host
 * whose KVM hangs would wait for it. A host that was only busy is asked again
 * by `cellos doctor`.
 *
 * Return: CELL_KVM_UNTRIED: something else was in the way
 */
enum cell_kvm kvm_try(const struct state_dirs *d,
		      const struct cell_request *req);
/** kvm_forget() - so that it is tried again */
void kvm_forget(const struct state_dirs *d);

#endif
