/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Build-time generator: names and texts of errno values, and names of signals,
 * as C arrays on stdout. They are those of the C library of the build machine;
 * the program itself may be linked to one that has other texts, or none.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define ERRNO_LAST 133 /* EHWPOISON, <asm-generic/errno.h> */

int main(void)
{
	printf("static const struct {\n\tchar name[16];\n\tchar text[52];\n"
	       "} errnos[] = {\n");
	for (int i = 1; i <= ERRNO_LAST; i++)
		if (strerrorname_np(i))
			printf("\t[%d] = { \"%s\", \"%s\" },\n", i,
			       strerrorname_np(i), strerror(i));
	printf("};\n\nstatic const char signals[][8] = {\n");
	for (int i = 1; i < SIGSYS + 1; i++)
		if (sigabbrev_np(i))
			printf("\t[%d] = \"%s\",\n", i, sigabbrev_np(i));
	printf("};\n");
	return 0;
}
