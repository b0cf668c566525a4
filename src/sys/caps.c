/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Capabilities by capset(2) and prctl(2). */
#include "sys/caps.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int caps_drop_bounding(void)
{
	return caps_keep_bounding(0);
}

int caps_keep_bounding(uint64_t mask)
{
	/* a kernel without ambient capabilities has none to clear: Linux before
	 * 4.3, gVisor */
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 &&
	    errno != EINVAL)
		return -errno;
	for (int c = 0; c < 64; c++) {
		if (mask >> c & 1)
			continue;
		if (prctl(PR_CAPBSET_DROP, c, 0, 0, 0) == 0)
			continue;
		if (errno == EINVAL) /* past the last one */
			break;
		/* not ours to drop, which is fine if it is gone already */
		if (prctl(PR_CAPBSET_READ, c, 0, 0, 0) != 0)
			return -EPERM;
	}
	return 0;
}

int caps_set(uint64_t mask)
{
	struct __user_cap_header_struct h = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct d[2] = { { 0 }, { 0 } };

	d[0].permitted = d[0].effective = (uint32_t)mask;
	d[1].permitted = d[1].effective = (uint32_t)(mask >> 32);
	return syscall(SYS_capset, &h, d) < 0 ? -errno : 0;
}

bool caps_are_none(void)
{
	struct __user_cap_header_struct h = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct d[2] = { { 0 }, { 0 } };

	if (syscall(SYS_capget, &h, d) < 0)
		return false;
	return !(d[0].permitted | d[0].effective | d[0].inheritable |
		 d[1].permitted | d[1].effective | d[1].inheritable);
}
