/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Landlock rulesets. */
#include "sys/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Bits and members newer than the headers of Debian 12 (ABI 2). */
#define FS_EXECUTE     (1ULL << 0)
#define FS_WRITE_FILE  (1ULL << 1)
#define FS_READ_FILE   (1ULL << 2)
#define FS_READ_DIR    (1ULL << 3)
#define FS_REFER       (1ULL << 13) /* ABI 2 */
#define FS_TRUNCATE    (1ULL << 14) /* ABI 3 */
#define FS_IOCTL_DEV   (1ULL << 15) /* ABI 5 */
#define SCOPE_ABSTRACT (1ULL << 0)  /* ABI 6 */
#define SCOPE_SIGNAL   (1ULL << 1)  /* ABI 6 */

struct ruleset_attr {
	uint64_t handled_access_fs;
	uint64_t handled_access_net; /* ABI 4: the gate's business, not ours */
	uint64_t scoped;	     /* ABI 6 */
};

int landlock_abi(void)
{
	long r = syscall(SYS_landlock_create_ruleset, NULL, 0,
			 LANDLOCK_CREATE_RULESET_VERSION);

	return r < 0 ? 0 : (int)r;
}

static uint64_t all_rights(int abi)
{
	uint64_t m = (1ULL << 13) - 1;

	if (abi >= 2)
		m |= FS_REFER;
	if (abi >= 3)
		m |= FS_TRUNCATE;
	if (abi >= 5)
		m |= FS_IOCTL_DEV;
	return m;
}

int landlock_new(int abi)
{
	struct ruleset_attr a = { .handled_access_fs = all_rights(abi) };
	size_t size = sizeof(a.handled_access_fs);
	long r;

	if (abi >= 6) {
		a.scoped = SCOPE_ABSTRACT | SCOPE_SIGNAL;
		size = sizeof(a);
	} else if (abi >= 4) {
		size = 2 * sizeof(uint64_t);
	}
	r = syscall(SYS_landlock_create_ruleset, &a, size, 0);
	return r < 0 ? -errno : (int)r;
}

int landlock_allow(int ruleset, int abi, const char *path,
		   enum landlock_access access)
{
	struct landlock_path_beneath_attr b = { 0 };
	const uint64_t file_only = FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE |
				   FS_TRUNCATE | FS_IOCTL_DEV;
	struct stat st;
	long r;
	int saved;

	switch (access) {
	case LANDLOCK_LIST:
		b.allowed_access = FS_READ_DIR;
		break;
	case LANDLOCK_READ:
		b.allowed_access = FS_READ_FILE | FS_READ_DIR;
		break;
	case LANDLOCK_EXEC:
		b.allowed_access = FS_READ_FILE | FS_READ_DIR | FS_EXECUTE;
		break;
	case LANDLOCK_WRITE:
		b.allowed_access = ~0ULL;
		break;
	case LANDLOCK_DEVICE:
		b.allowed_access = FS_READ_FILE | FS_READ_DIR | FS_WRITE_FILE |
				   FS_TRUNCATE | FS_IOCTL_DEV;
		break;
	}
	b.parent_fd = open(path, O_PATH | O_CLOEXEC);
	if (b.parent_fd < 0)
		return -errno;
	b.allowed_access &= all_rights(abi);
	/* a rule on a file may not name what only directories have */
	if (fstat(b.parent_fd, &st) == 0 && !S_ISDIR(st.st_mode))
		b.allowed_access &= file_only;
	r = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH,
		    &b, 0);
	saved = errno;
	(void)close(b.parent_fd);
	return r < 0 ? -saved : 0;
}

int landlock_enter(int ruleset)
{
	return syscall(SYS_landlock_restrict_self, ruleset, 0) < 0 ? -errno : 0;
}
