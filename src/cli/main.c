/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* One program, two faces: the name it is called by decides. */
#include <string.h>

#include "cli/supervisor.h"
#include "cli/verb.h"

int main(int argc, char **argv)
{
	const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
	const char *name = slash ? slash + 1 : argc > 0 ? argv[0] : "";

	if (strcmp(name, "cellos-supervisor") == 0)
		return supervisor_main(argc, argv);
	return verb_main(argc, argv);
}
