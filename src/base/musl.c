/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Linked to musl only: what the GNU C library does for a static program, or
 * has, and musl not.
 */
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <unistd.h>

void __explicit_bzero_chk(void *p, size_t n, size_t room);
unsigned gnu_dev_major(unsigned long long dev);
unsigned gnu_dev_minor(unsigned long long dev);
unsigned long long gnu_dev_makedev(unsigned major, unsigned minor);

/* The archives that Debian ships are compiled with _FORTIFY_SOURCE, which turns
 * calls into checked ones. This is the one they need. */
void __explicit_bzero_chk(void *p, size_t n, size_t room)
{
	if (n > room)
		abort();
	explicit_bzero(p, n);
}

/* What glibc's <sys/sysmacros.h> calls, in the archive of libarchive: numbers
 * of device nodes, which nobody asks for. */
unsigned gnu_dev_major(unsigned long long dev)
{
	return major(dev);
}

unsigned gnu_dev_minor(unsigned long long dev)
{
	return minor(dev);
}

unsigned long long gnu_dev_makedev(unsigned major, unsigned minor)
{
	return makedev(major, minor);
}

extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

/*
 * Relocated pointers are read-only from here on (PT_GNU_RELRO): a dynamic
 * loader does that, and the start of a static GNU program. Before main(), and
 * without it there is none.
 */
static void __attribute__((constructor)) protect_relocated(void)
{
	const char *base = (const char *)&__ehdr_start;
	const ElfW(Phdr) *p =
		(const ElfW(Phdr) *)(const void *)(base + __ehdr_start.e_phoff);
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	for (size_t i = 0; i < __ehdr_start.e_phnum; i++) {
		size_t start = p[i].p_vaddr & ~(page - 1);
		size_t end = (p[i].p_vaddr + p[i].p_memsz) & ~(page - 1);

		if (p[i].p_type == PT_GNU_RELRO && end > start &&
		    mprotect((void *)(base + start), end - start, PROT_READ))
			_exit(125);
	}
}
