/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The face of the original: argv as it has it, exit status 0 or 1. */
#ifndef CELLOS_CLI_SUPERVISOR_H
#define CELLOS_CLI_SUPERVISOR_H

int supervisor_main(int argc, char **argv);

#endif
