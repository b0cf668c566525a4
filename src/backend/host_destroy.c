/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Taking a host cell down, in whatever state it is, and looking again. */
#include <signal.h>
#include <stdlib.h>

#include "backend/host.h"
#include "base/fd.h"
#include "cell/residue.h"
#include "sys/pidfd.h"

int host_destroy(struct backend_cell *c, struct report_residue *r,
		 struct err *e)
{
	struct residue_facts f = { .init = c->init_pid,
				   .ns_fd = { c->ns_fd[0], c->ns_fd[1] },
				   .leaf = &c->leaf,
				   .run_uuid = c->req->run_uuid };
	bool alive = c->init_pid > 0 && !c->reaped;
	int left;

	if (alive && pidfd_signal(c->pidfd, SIGKILL)) {
		/* dead already: there is still a child to reap */
	}
	/* while it and its namespaces end */
	residue_look_mounts(&f, r);
	if (alive && !host_reap(c))
		report_residue_left(r, "cell init, pid %ld, does not end",
				    (long)c->init_pid);
	relay_finish(&c->relay);
	fd_drop(&c->init_sock);
	fd_drop(&c->child_sock);
	fd_drop(&c->stage.init_sock);
	fd_drop(&c->stage.child_sock);
	fd_drop(&c->listener);
	fd_drop(&c->telemetry);
	fd_drop(&c->pidfd);
	for (size_t i = 0; i < STAGE_SOURCES; i++)
		fd_drop(&c->stage.source[i]);
	for (int i = 0; i < CGROUP_CONTROLLER_NUM; i++)
		f.had_leaf |= c->leaf.path[i][0] != '\0';
	left = cgroup_leaf_remove(&c->leaf);
	f.had_leaf &= left == 0;
	residue_look(&f, r);
	fd_drop(&c->ns_fd[0]);
	fd_drop(&c->ns_fd[1]);
	if (c->sigfd >= 0)
		(void)sigprocmask(SIG_SETMASK, &c->old_mask, NULL);
	fd_drop(&c->sigfd);
	free(c);
	if (left)
		return err_set(e, ERR_HOST, 0,
			       "%d control group directories could not be "
			       "removed",
			       left);
	return 0;
}
