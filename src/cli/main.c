/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* One program, two faces: the name it is called by decides. */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "cli/supervisor.h"
#include "cli/verb.h"

/* A caller may have closed 0, 1 or 2: none of our own files may become one. */
static void fill_stdio(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= 2);
	if (fd > 2)
		(void)close(fd);
}

int main(int argc, char **argv)
{
	const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
	const char *name = slash ? slash + 1 : argc > 0 ? argv[0] : "";

	fill_stdio();
	/* a reader that goes away is an error of that write, not our end */
	(void)signal(SIGPIPE, SIG_IGN);
	if (strcmp(name, "cellos-supervisor") == 0)
		return supervisor_main(argc, argv);
	return verb_main(argc, argv);
}
