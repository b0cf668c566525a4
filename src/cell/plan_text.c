/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A finished plan: found, shown, dropped. */
#include <inttypes.h>
#include <string.h>

#include "base/utf8.h"
#include "cell/plan.h"

static const char *const words[] = {
#define X(name, word) [PLAN_##name] = word,
	PLAN_STEPS(X)
#undef X
};
_Static_assert(ARRAY_SIZE(words) == PLAN_OP_NUM, "a word per step");

static const char *const walls[] = {
#define X(name, word) [CELL_WALL_##name] = word,
	CELL_WALLS(X)
#undef X
};
_Static_assert(ARRAY_SIZE(walls) == CELL_WALL_NUM, "a word per wall");

const char *cell_wall_word(enum cell_wall w)
{
	return (unsigned)w < CELL_WALL_NUM ? walls[w] : "?";
}

const char *plan_op_word(enum plan_op op)
{
	return (unsigned)op < PLAN_OP_NUM ? words[op] : "?";
}

size_t plan_find(const struct plan *p, enum plan_op op)
{
	size_t i = 0;

	while (i + 1 < p->n && p->steps[i].op != op)
		i++;
	return i;
}

void plan_drop(struct plan *p)
{
	arena_drop(&p->arena);
	p->n = 0;
}

/* Paths are a document's, and what they hold must not be a line of a plan */
static void put_text(struct wbuf *out, const char *s)
{
	size_t left = strlen(s), n;
	char shown[UTF8_SHOWN];

	for (; left; s += n, left -= n) {
		n = utf8_show(s, left, shown);
		wbuf_str(out, shown);
	}
}

void plan_print(const struct plan *p, struct wbuf *out)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct plan_step *s = &p->steps[i];
		bool text = s->op == PLAN_FILE;

		wbuf_fmt(out, "%3zu  %-16s", i + 1, plan_op_word(s->op));
		if (s->dst) {
			wbuf_byte(out, ' ');
			put_text(out, s->dst);
		}
		if (s->src && !text && (!s->dst || strcmp(s->src, s->dst))) {
			wbuf_str(out, s->dst ? " <- " : " ");
			put_text(out, s->src);
		}
		if (s->op == PLAN_TMPFS || s->op == PLAN_ROOT ||
		    s->op == PLAN_SENTRY_TMPFS)
			wbuf_fmt(out, " size=%" PRIu64, s->n);
		if (s->op == PLAN_OVERLAY)
			wbuf_fmt(out, " size=%" PRIu64, s->n2);
		if (s->op == PLAN_CGROUP && s->n)
			wbuf_fmt(out, " memory=%" PRIu64 " pids=%" PRIu64, s->n,
				 s->n2);
		if (s->op == PLAN_VMM)
			wbuf_fmt(out, " memory=%" PRIu64 "MiB cpus=%" PRIu64,
				 s->n, s->n2);
		if (s->op == PLAN_USER)
			wbuf_fmt(out, " uid=%u gid=%u (%u:%u on the host)",
				 p->in_uid, p->in_gid, p->out_uid, p->out_gid);
		if (s->op == PLAN_LANDLOCK)
			wbuf_fmt(out, " abi=%" PRIu64, s->n);
		if (s->op == PLAN_BIND)
			wbuf_str(out, s->flags & PLAN_F_RO ? " ro" : " rw");
		if (s->flags & PLAN_F_IDMAP)
			wbuf_str(out, " idmapped");
		if (s->flags & PLAN_F_OPTIONAL)
			wbuf_str(out, " if-present");
		if (s->why)
			wbuf_fmt(out, "  # %s", s->why);
		wbuf_byte(out, '\n');
	}
}
