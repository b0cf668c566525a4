/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A guest after the original's contract: its init reads command, cell and key
 * from the kernel's command line, and reports an exit code by AF_VSOCK, once,
 * with a tag (cell/vm.h, vm_tag()). The key can be read by all in the guest; so
 * this is for "portable" only. Its output is what comes by its console.
 */
#include "cell/vm_int.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "cell/driver.h"
#include "wire/b64.h"
#include "wire/json_out.h"

enum { FRAME = 36, CODE = 4, CALLERS = 8, CALL_MS = 5000, OFF_MS = 2000 };
enum { TURN_MS = 100, LAST_TURNS = 64 };

/* One that has connected; whoever sends nonsense is hung up on, and the next
 * one is heard. */
struct caller {
	int fd;
	uint64_t until_ns;
	uint8_t frame[FRAME + 1]; /* a longer one is none */
	size_t len;
};

struct foreign {
	struct machine *m;
	struct vm_wait wait;
	int epoll;
	struct caller callers[CALLERS];
	bool is_over;
	int32_t code;
};

/* -- the command line -- */

static void put_argv(struct wbuf *out, const struct spec_strings *a)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(VM_ARGS_MAX);
	struct json_out j;

	json_out_init(&j, &b, false);
	json_out_array(&j);
	for (size_t i = 0; i < a->n; i++)
		json_out_slice(&j, a->p[i]);
	json_out_end(&j, ']');
	if (b.failed)
		out->failed = true;
	else
		b64_put(out, (const uint8_t *)b.p, b.len);
}

int vm_foreign_args(const struct cell_request *req,
		    const uint8_t key[VM_KEY_LEN], struct wbuf *out)
{
	wbuf_fmt(out,
		 "console=ttyS0 reboot=k panic=1 pci=off ipv6.disable=1 "
		 "root=/dev/vda rw cellos.cell_id=%s cellos.vsock_port=%d "
		 "cellos.argv=",
		 req->spec->id.p, VM_SOCK_EXIT);
	put_argv(out, &req->spec->run->argv);
	wbuf_str(out, " cellos.exit_hmac_key=");
	b64_put(out, key, VM_KEY_LEN);
	/* what the VMM adds has to find room, too */
	return out->failed || out->len > VM_ARGS_MAX - VM_ARGS_VMM ? -E2BIG : 0;
}

uint64_t vm_foreign_memory_mib(const struct cell_request *req)
{
	const uint64_t least = 64, usual = 128;
	const uint64_t mib = req->memory_max / 1048576;

	return !req->memory_max ? usual : mib < least ? least : mib;
}

/* -- the exit -- */

static void hang_up(struct caller *c)
{
	fd_drop(&c->fd); /* the kernel takes it off the epoll set */
	c->len = 0;
}

static void take_frame(struct foreign *f, struct caller *c)
{
	const char *id = f->m->s->req->spec->id.p;
	const uint8_t ack = 0;
	uint8_t tag[32];

	vm_tag(f->m->key, c->frame, CODE, id, tag);
	if (sodium_memcmp(tag, c->frame + CODE, sizeof(tag)) == 0) {
		f->is_over = true;
		f->code = (int32_t)(c->frame[0] | (uint32_t)c->frame[1] << 8 |
				    (uint32_t)c->frame[2] << 16 |
				    (uint32_t)c->frame[3] << 24);
		(void)!send(c->fd, &ack, 1, MSG_NOSIGNAL);
	}
	hang_up(c);
}

static void hear(struct foreign *f, struct caller *c)
{
	ssize_t n =
		recv(c->fd, c->frame + c->len, sizeof(c->frame) - c->len, 0);

	if (n <= 0) {
		if (n == 0 || (errno != EAGAIN && errno != EINTR))
			hang_up(c);
		return;
	}
	c->len += (size_t)n;
	if (c->len == FRAME)
		take_frame(f, c);
	else if (c->len > FRAME)
		hang_up(c);
}

static struct caller *free_caller(struct foreign *f)
{
	for (size_t i = 0; i < CALLERS; i++)
		if (f->callers[i].fd < 0)
			return &f->callers[i];
	/* the one that has been here longest makes room */
	hang_up(&f->callers[0]);
	memmove(&f->callers[0], &f->callers[1],
		(CALLERS - 1) * sizeof(f->callers[0]));
	f->callers[CALLERS - 1] = (struct caller){ .fd = -1 };
	return &f->callers[CALLERS - 1];
}

static void welcome(struct foreign *f)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int fd = accept4(f->m->listener[VM_CONTROL], NULL, NULL,
			 SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct caller *c;

	if (fd < 0)
		return;
	c = free_caller(f);
	*c = (struct caller){ .fd = fd,
			      .until_ns =
				      clock_mono_ns() + CALL_MS * 1000000ULL };
	ev.data.fd = fd;
	if (epoll_ctl(f->epoll, EPOLL_CTL_ADD, fd, &ev) < 0)
		hang_up(c);
}

/* Return: has something happened */
static bool serve_callers(struct foreign *f)
{
	struct epoll_event ev[CALLERS + 1];
	const uint64_t now = clock_mono_ns();
	int n = epoll_wait(f->epoll, ev, CALLERS + 1, 0);

	for (int i = 0; i < n && !f->is_over; i++) {
		if (ev[i].data.fd == f->m->listener[VM_CONTROL]) {
			welcome(f);
			continue;
		}
		for (size_t k = 0; k < CALLERS; k++)
			if (f->callers[k].fd == ev[i].data.fd)
				hear(f, &f->callers[k]);
	}
	for (size_t k = 0; k < CALLERS; k++)
		if (f->callers[k].fd >= 0 && now > f->callers[k].until_ns)
			hang_up(&f->callers[k]);
	return n > 0;
}

/* -- the run -- */

/* As a wait status; what a process cannot end with is 255 */
static void over(struct foreign *f) NORETURN;
static void over(struct foreign *f)
{
	const int32_t code = f->code < 0 || f->code > 255 ? 255 : f->code;
	const uint64_t end = clock_mono_ns() + OFF_MS * 1000000ULL;

	vm_telemetry_end(f->m);
	/* it powers off, and what it says until then is heard */
	while (f->m->port[0] >= 0 && clock_mono_ns() < end)
		(void)vm_turn_for(f->m, false, -1, 0, OFF_MS / 10);
	driver_end(f->m->s, CELL_TOLD_ENDED, code << 8);
}

static void silent(struct foreign *f) NORETURN;
static void silent(struct foreign *f)
{
	driver_tell(f->m->s, CELL_TOLD_SILENT);
	_exit(125);
}

static void end_of_vmm(struct foreign *f) NORETURN;
static void end_of_vmm(struct foreign *f)
{
	/* its last word may be in the socket still */
	for (int i = 0; i < LAST_TURNS && !f->is_over; i++)
		if (!serve_callers(f))
			break;
	if (f->is_over)
		over(f);
	vm_drain(f->m);
	vm_lost(f->m);
}

static void serve(struct foreign *f) NORETURN;
static void serve(struct foreign *f)
{
	const uint64_t seconds = f->m->s->req->firecracker.exit_wait_seconds;
	const uint64_t end = clock_mono_ns() + seconds * 1000000000;
	char why[VM_WHY_SIZE];

	for (;;) {
		(void)vm_turn_for(f->m, false, f->epoll, POLLIN, TURN_MS);
		(void)serve_callers(f);
		if (f->is_over)
			over(f);
		if (f->m->is_dead)
			end_of_vmm(f);
		if (seconds && clock_mono_ns() > end)
			silent(f);
		if (!f->m->is_asked_to_end)
			continue;
		f->m->is_asked_to_end = false;
		if (firecracker_ctrl_alt_del(&f->wait, why)) {
			/* then it is killed when its time is up */
		}
	}
}

/* For the VMM, while the guest is heard: its exit may be the answer. */
static int wait_vmm(void *arg, int fd, short events, uint64_t ns)
{
	struct foreign *f = arg;

	for (;;) {
		const uint64_t turn = clock_mono_ns() + TURN_MS * 1000000ULL;
		int r = vm_wait_vmm(f->m, fd, events, turn < ns ? turn : ns);

		if (r != -ETIMEDOUT || turn >= ns)
			return r;
		(void)serve_callers(f);
	}
}

static void tell(struct foreign *f)
{
	const struct cell_request *req = f->m->s->req;
	OWNED(wbuf_drop) struct wbuf args = WBUF_INIT(VM_ARGS_MAX);
	struct vm_boot b = { .memory_mib = vm_foreign_memory_mib(req) };
	char why[VM_WHY_SIZE] = "firecracker";
	int r;

	randombytes_buf(f->m->key, sizeof(f->m->key));
	r = vm_foreign_args(req, f->m->key, &args);
	if (r)
		vm_fail(f->m, f->m->step, -r, "the kernel's command line");
	b.args = wbuf_cstr(&args);
	vm_check(f->m, firecracker_tell(f->m->s, &b, &f->wait, why), why);
}

/* Nothing of it runs before every check of the run has passed. */
static void let_go(struct foreign *f)
{
	const struct cell_message ready = { .type = CELL_MSG_READY };
	struct machine *m = f->m;
	char why[VM_WHY_SIZE] = "firecracker";
	int r;

	if (cell_send(m->s->child_sock, &ready, -1))
		_exit(125);
	vm_wait_go(m);
	r = firecracker_go(&f->wait, why);
	/* one that says no has not started; of any other nobody knows */
	if (r == -EPROTO)
		vm_check(m, r, why);
	/* as exec would */
	(void)close(m->s->child_sock);
	if (r)
		_exit(125);
	vm_telemetry_begin(m);
}

void vm_foreign_main(struct machine *m)
{
	static struct foreign f;
	struct epoll_event ev = { .events = EPOLLIN };
	int r;

	f.m = m;
	f.wait = (struct vm_wait){ wait_vmm, &f, m->api };
	for (size_t i = 0; i < CALLERS; i++)
		f.callers[i].fd = -1;
	f.epoll = epoll_create1(EPOLL_CLOEXEC);
	ev.data.fd = m->listener[VM_CONTROL];
	r = f.epoll < 0 || epoll_ctl(f.epoll, EPOLL_CTL_ADD, ev.data.fd, &ev) <
				    0
		    ? -errno
		    : 0;
	/* the console goes where the command's output would */
	if (!r)
		r = vm_echo(m);
	if (!r)
		r = driver_drop_stdio(m->s);
	if (!r)
		r = stage_lock_helper(m->s, vm_driver_id(m->s->plan), false);
	if (r)
		vm_fail(m, m->step, -r, "driver of the VMM");
	tell(&f);
	let_go(&f);
	serve(&f);
}
