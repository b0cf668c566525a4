/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* spec.telemetry: what a guest's agent is listened to for, and its events. */
#ifndef CELLOS_CLI_TELEMETRY_H
#define CELLOS_CLI_TELEMETRY_H

#include "cell/cell.h"

/**
 * telemetry_rules() - what the document asks for
 *
 * A declared event stands for each probe whose name begins with it:
 * "process.spawn" for process.spawned, "process" for both.
 */
struct cell_telemetry_rules telemetry_rules(const struct spec *spec,
					    const struct limits *l);

#endif
