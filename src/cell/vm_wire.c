/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The set-up of a guest as bytes, and back. */
#include <errno.h>
#include <sodium.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "cell/command.h"
#include "cell/vm.h"

_Static_assert(sizeof(struct vm_order) == 16, "one write, one read");
_Static_assert(sizeof(struct vm_record) == 240, "as in every build");

void vm_tag(const uint8_t key[VM_KEY_LEN], const void *p, size_t n,
	    const char *id, uint8_t ret[32])
{
	crypto_auth_hmacsha256_state st;

	(void)crypto_auth_hmacsha256_init(&st, key, VM_KEY_LEN);
	(void)crypto_auth_hmacsha256_update(&st, p, n);
	(void)crypto_auth_hmacsha256_update(&st, (const uint8_t *)id,
					    strlen(id));
	(void)crypto_auth_hmacsha256_final(&st, ret);
}

void vm_seal(struct vm_record *r, const uint8_t key[VM_KEY_LEN], const char *id)
{
	vm_tag(key, r, offsetof(struct vm_record, tag), id, r->tag);
}

bool vm_is_genuine(const struct vm_record *r, const uint8_t key[VM_KEY_LEN],
		   const char *id)
{
	struct vm_record own = *r;

	if (r->word != VM_ENDED || r->code < 0 ||
	    command_code(r->status) != r->code)
		return false;
	vm_seal(&own, key, id);
	return sodium_memcmp(own.tag, r->tag, sizeof(own.tag)) == 0;
}

int vm_get_ready(const struct vm_record *r, struct cell_message *ret)
{
	struct vm_record own;

	memset(&own, 0, sizeof(own));
	own.word = VM_READY;
	own.limits = r->limits;
	memcpy(own.probe, r->probe, sizeof(own.probe));
	if (memcmp(&own, r, sizeof(own)) != 0)
		return -EPROTO;
	*ret = (struct cell_message){ .type = CELL_MSG_READY,
				      .limits = r->limits };
	memcpy(ret->probe, r->probe, sizeof(ret->probe));
	return 0;
}

static void put_text(struct wbuf *out, const char *s)
{
	wbuf_put(out, s, strlen(s) + 1);
}

void vm_put_setup(struct wbuf *out, struct vm_setup *h, const struct plan *p,
		  const struct cell_request *req)
{
	const struct spec_strings *a = &req->spec->run->argv;
	size_t first = plan_find(p, PLAN_VMM) + 1;

	h->version = VM_VERSION;
	h->n_ops = PLAN_OP_NUM;
	h->first = (uint32_t)first;
	h->n_steps = (uint32_t)(p->n - first);
	h->n_argv = (uint32_t)a->n;
	h->n_env = 0;
	while (req->envp[h->n_env])
		h->n_env++;
	wbuf_put(out, h, sizeof(*h));
	for (size_t i = first; i < p->n; i++) {
		const struct plan_step *s = &p->steps[i];
		struct vm_step w;

		memset(&w, 0, sizeof(w));
		w.op = s->op;
		w.flags = s->flags;
		w.n = s->n;
		w.n2 = s->n2;
		w.has_src = s->src != NULL;
		w.has_dst = s->dst != NULL;
		wbuf_put(out, &w, sizeof(w));
	}
	for (size_t i = first; i < p->n; i++) {
		if (p->steps[i].src)
			put_text(out, p->steps[i].src);
		if (p->steps[i].dst)
			put_text(out, p->steps[i].dst);
	}
	for (size_t i = 0; i < a->n; i++)
		put_text(out, a->p[i].p);
	for (size_t i = 0; i < h->n_env; i++)
		put_text(out, req->envp[i]);
	put_text(out, req->spec->id.p);
	if (out->failed)
		return;
	h->size = (uint32_t)out->len;
	memcpy(out->p, h, sizeof(*h));
}

static char *get_text(struct slice *c)
{
	const char *end = c->n ? memchr(c->p, '\0', c->n) : NULL;
	struct slice s;

	if (!end || !cursor_take(c, (size_t)(end - c->p) + 1, &s))
		return NULL;
	return (char *)(uintptr_t)s.p;
}

static int get_texts(struct slice *c, size_t n, size_t before, char ***ret)
{
	char **v = c->n < n ? NULL : calloc(n + before + 1, sizeof(*v));

	if (!v)
		return c->n < n ? -EPROTO : -ENOMEM;
	*ret = v + before;
	for (size_t i = 0; i < n; i++) {
		(*ret)[i] = get_text(c);
		if (!(*ret)[i])
			return -EPROTO;
	}
	return 0;
}

static int get_steps(struct slice *c, struct vm_told *t)
{
	struct slice steps;

	if (t->h.n_steps > PLAN_STEPS_MAX ||
	    !cursor_take(c, t->h.n_steps * sizeof(struct vm_step), &steps))
		return -EPROTO;
	for (size_t i = 0; i < t->h.n_steps; i++) {
		struct plan_step *s = &t->plan.steps[t->plan.n++];
		struct vm_step w;

		memcpy(&w, steps.p + i * sizeof(w), sizeof(w));
		if (w.op >= PLAN_OP_NUM)
			return -EPROTO;
		*s = (struct plan_step){ .op = (enum plan_op)w.op,
					 .flags = w.flags,
					 .n = w.n,
					 .n2 = w.n2 };
		if (w.has_src)
			s->src = get_text(c);
		if (w.has_dst)
			s->dst = get_text(c);
		if ((w.has_src && !s->src) || (w.has_dst && !s->dst))
			return -EPROTO;
	}
	return 0;
}

int vm_get_setup(char *p, size_t n, struct vm_told *ret)
{
	struct slice c = { p, n }, head;
	int r;

	if (!cursor_take(&c, sizeof(ret->h), &head))
		return -EPROTO;
	ret->setup = p;
	memcpy(&ret->h, head.p, sizeof(ret->h));
	if (ret->h.size != n || ret->h.version != VM_VERSION ||
	    ret->h.n_ops != PLAN_OP_NUM || !ret->h.n_argv)
		return -EPROTO;
	ret->plan = (struct plan){ .arena = ARENA_INIT(VM_TEXTS_MAX),
				   .full = true,
				   .in_uid = ret->h.uid,
				   .in_gid = ret->h.gid };
	r = get_steps(&c, ret);
	if (!r)
		r = get_texts(&c, ret->h.n_argv, 1, &ret->argv);
	if (!r)
		r = get_texts(&c, ret->h.n_env, 0, &ret->env);
	if (r)
		return r;
	ret->id = get_text(&c);
	return ret->id && !c.n ? 0 : -EPROTO;
}
