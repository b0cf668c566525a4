/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * JSON text to a tree. YAJL finds the tokens and decodes the escapes; what it
 * lets through is refused by a scan of the text before it: overlong UTF-8 and
 * encoded surrogates, lone \ud8xx escapes (it writes '?'), \v and \f as white
 * space.
 */
#include "wire/json_in.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <yajl/yajl_parse.h>

#include "base/ascii.h"
#include "base/utf8.h"
#include "wire/json_out.h"

struct in {
	struct arena *a;
	struct json *root;
	struct json **stack; /* open containers */
	unsigned depth, max_depth;
	struct slice key;
	const char *why; /* set when a callback gives up */
};

/* The code unit of "\uXXXX" at @p, or -1 if there is none */
static long unit_at(const char *p, size_t left)
{
	long v = 0;

	if (left < 6 || p[0] != '\\' || p[1] != 'u')
		return -1;
	for (size_t i = 2; i < 6; i++) {
		int d = ascii_hex(p[i]);

		if (d < 0)
			return -1;
		v = v << 4 | d;
	}
	return v;
}

/*
 * Length of the escape at @p, 0 for a lone surrogate. What is not an escape
 * at all is left to YAJL, which refuses it.
 */
static size_t escape_len(const char *p, size_t left)
{
	long hi = unit_at(p, left), lo;

	if (hi < 0)
		return left < 2 ? left : 2;
	if (hi < 0xd800 || hi > 0xdfff)
		return 6;
	lo = unit_at(p + 6, left - 6);
	return hi < 0xdc00 && lo >= 0xdc00 && lo <= 0xdfff ? 12 : 0;
}

/* Each turn moves on by at least one byte. */
static const char *scan(struct slice t, size_t *ret_at)
{
	bool in_string = false;
	size_t i = 0, n;

	while (i < t.n) {
		char c = t.p[i];

		*ret_at = i;
		n = utf8_len(t.p + i, t.n - i);
		if (n == 0)
			return "invalid UTF-8";
		if (c == '"')
			in_string = !in_string;
		else if (in_string && c == '\\')
			n = escape_len(t.p + i, t.n - i);
		else if (!in_string && (c == '\v' || c == '\f'))
			return "invalid white space";
		if (n == 0)
			return "lone surrogate in an escape";
		i += n;
	}
	return NULL;
}

/* A new node, hung into the open container or made the root */
static struct json *add(struct in *in, enum json_type type)
{
	struct json *parent = in->depth ? in->stack[in->depth - 1] : NULL;
	struct json *v = arena_alloc(in->a, sizeof(*v));

	if (!v) {
		in->why = "the text needs more memory than allowed";
		return NULL;
	}
	v->type = type;
	if (!parent) {
		in->root = v;
		return v;
	}
	if (parent->type == JSON_OBJECT)
		v->name = in->key;
	if (parent->v.kids.last)
		parent->v.kids.last->next = v;
	else
		parent->v.kids.first = v;
	parent->v.kids.last = v;
	parent->v.kids.count++;
	return v;
}

static int on_null(void *ctx)
{
	return add(ctx, JSON_NULL) != NULL;
}

static int on_bool(void *ctx, int b)
{
	struct json *v = add(ctx, JSON_BOOL);

	if (v)
		v->v.b = b != 0;
	return v != NULL;
}

static int on_number(void *ctx, const char *text, size_t n)
{
	struct in *in = ctx;
	char *s = arena_dup(in->a, text, n);
	struct json *v = add(in, JSON_DOUBLE);

	if (!s || !v) {
		in->why = "the text needs more memory than allowed";
		return 0;
	}
	if (!strpbrk(s, ".eE") && strcmp(s, "-0") != 0) {
		errno = 0;
		if (s[0] == '-') {
			v->v.i = strtoll(s, NULL, 10);
			v->type = JSON_I64;
		} else {
			v->v.u = strtoull(s, NULL, 10);
			v->type = JSON_U64;
		}
		if (errno == 0)
			return 1;
		v->type = JSON_DOUBLE;
	}
	v->v.d = strtod(s, NULL);
	if (isfinite(v->v.d))
		return 1;
	in->why = "number out of range";
	return 0;
}

static bool copy_text(struct in *in, const unsigned char *p, size_t n,
		      struct slice *ret_s)
{
	char *s = arena_dup(in->a, p, n);

	if (!s) {
		in->why = "the text needs more memory than allowed";
		return false;
	}
	*ret_s = (struct slice){ s, n };
	return true;
}

static int on_string(void *ctx, const unsigned char *p, size_t n)
{
	struct json *v = add(ctx, JSON_STRING);

	return v && copy_text(ctx, p, n, &v->v.s);
}

static int on_key(void *ctx, const unsigned char *p, size_t n)
{
	struct in *in = ctx;

	return copy_text(in, p, n, &in->key);
}

static int open_container(struct in *in, enum json_type type)
{
	struct json *v;

	if (in->depth == in->max_depth) {
		in->why = "nested too deeply";
		return 0;
	}
	v = add(in, type);
	if (v)
		in->stack[in->depth++] = v;
	return v != NULL;
}

static int on_object(void *ctx)
{
	return open_container(ctx, JSON_OBJECT);
}

static int on_array(void *ctx)
{
	return open_container(ctx, JSON_ARRAY);
}

static int on_end_array(void *ctx)
{
	struct in *in = ctx;

	in->depth--;
	return 1;
}

struct member {
	struct json *v;
	size_t at; /* place in the text, qsort() is not stable */
};

static int member_cmp(const void *va, const void *vb)
{
	const struct member *a = va, *b = vb;
	int c = slice_cmp(a->v->name, b->v->name);

	return c ? c : a->at < b->at ? -1 : a->at > b->at;
}

/*
 * The members sorted by name, those of one name in the order of the text.
 * Return: caller frees; NULL without memory
 */
static struct member *members_sorted(const struct json *obj)
{
	struct member *m = calloc(obj->v.kids.count + 1, sizeof(*m));
	size_t n = 0;

	if (!m)
		return NULL;
	for (struct json *v = obj->v.kids.first; v; v = v->next, n++)
		m[n] = (struct member){ v, n };
	qsort(m, n, sizeof(*m), member_cmp);
	return m;
}

static int on_end_object(void *ctx)
{
	struct in *in = ctx;
	struct json *obj = in->stack[--in->depth];
	struct member *m;

	if (obj->v.kids.count < 2)
		return 1;
	m = members_sorted(obj);
	if (!m) {
		in->why = "the text needs more memory than allowed";
		return 0;
	}
	for (size_t i = 1; i < obj->v.kids.count; i++)
		m[i].v->is_dup = slice_eq(m[i].v->name, m[i - 1].v->name);
	free(m);
	return 1;
}

static const yajl_callbacks callbacks = {
	.yajl_null = on_null,
	.yajl_boolean = on_bool,
	.yajl_number = on_number,
	.yajl_string = on_string,
	.yajl_start_map = on_object,
	.yajl_map_key = on_key,
	.yajl_end_map = on_end_object,
	.yajl_start_array = on_array,
	.yajl_end_array = on_end_array,
};

static int fail_at(struct err *e, struct slice text, size_t at, const char *why)
{
	size_t line = 1, from = 0;

	for (size_t i = 0; i < at && i < text.n; i++) {
		if (text.p[i] != '\n')
			continue;
		line++;
		from = i + 1;
	}
	return err_set(e, ERR_PLAIN, 0, "%s at line %zu column %zu", why, line,
		       at - from + 1);
}

/* YAJL's own words, without class, full stop and line end */
static int fail_yajl(struct err *e, struct slice text, yajl_handle h, size_t at)
{
	unsigned char *s = yajl_get_error(h, 0, NULL, 0);
	char why[128] = "out of memory";
	const char *from;
	size_t n;

	if (s) {
		from = strstr((const char *)s, ": ");
		from = from ? from + 2 : (const char *)s;
		n = strcspn(from, "\n");
		n = n < sizeof(why) ? n : sizeof(why) - 1;
		while (n && from[n - 1] == '.')
			n--;
		memcpy(why, from, n);
		why[n] = '\0';
		yajl_free_error(h, s);
	}
	return fail_at(e, text, at, why);
}

static void yajl_drop(yajl_handle *h)
{
	if (*h)
		yajl_free(*h);
}

int json_parse(struct slice text, unsigned max_depth, struct arena *a,
	       struct json **ret_root, struct err *e)
{
	struct in in = { .a = a, .max_depth = max_depth };
	OWNED(yajl_drop) yajl_handle h = NULL;
	yajl_status st;
	const char *why;
	size_t at = 0;

	why = scan(text, &at);
	if (why)
		return fail_at(e, text, at, why);
	in.stack = arena_alloc(a, max_depth * sizeof(struct json *));
	h = yajl_alloc(&callbacks, NULL, &in);
	if (!h || !in.stack)
		return err_set(e, ERR_PLAIN, 0, "out of memory");
	st = yajl_parse(h, (const unsigned char *)text.p, text.n);
	at = yajl_get_bytes_consumed(h);
	if (st == yajl_status_ok) {
		st = yajl_complete_parse(h);
		at = text.n;
	}
	if (in.why)
		return fail_at(e, text, at ? at - 1 : 0, in.why);
	if (st != yajl_status_ok)
		return fail_yajl(e, text, h, at);
	if (!in.root || in.depth)
		return fail_at(e, text, text.n, "unexpected end of the text");
	*ret_root = in.root;
	return 0;
}

const struct json *json_get(const struct json *obj, const char *name)
{
	const struct json *found = NULL;

	if (obj->type != JSON_OBJECT)
		return NULL;
	for (const struct json *v = obj->v.kids.first; v; v = v->next)
		if (slice_is(v->name, name))
			found = v;
	return found;
}

static void write_sorted(struct json_out *out, const struct json *obj)
{
	struct member *m = members_sorted(obj);
	size_t n = obj->v.kids.count;

	if (!m) {
		out->b->failed = true;
		return;
	}
	for (size_t i = 0; i < n; i++) {
		if (i + 1 < n && slice_eq(m[i].v->name, m[i + 1].v->name))
			continue;
		json_out_key_slice(out, m[i].v->name);
		json_write(out, m[i].v);
	}
	free(m);
}

static void write_kids(struct json_out *out, const struct json *v)
{
	for (const struct json *k = v->v.kids.first; k; k = k->next) {
		if (v->type == JSON_OBJECT)
			json_out_key_slice(out, k->name);
		json_write(out, k);
	}
}

/* Recursion is bounded by @max_depth of the parse. */
void json_write(struct json_out *out, const struct json *v)
{
	switch (v->type) {
	case JSON_NULL:
		json_out_null(out);
		break;
	case JSON_BOOL:
		json_out_bool(out, v->v.b);
		break;
	case JSON_I64:
		json_out_i64(out, v->v.i);
		break;
	case JSON_U64:
		json_out_u64(out, v->v.u);
		break;
	case JSON_DOUBLE:
		json_out_double(out, v->v.d);
		break;
	case JSON_STRING:
		json_out_slice(out, v->v.s);
		break;
	case JSON_ARRAY:
		json_out_array(out);
		write_kids(out, v);
		json_out_end(out, ']');
		break;
	case JSON_OBJECT:
		json_out_object(out);
		if (out->sorted)
			write_sorted(out, v);
		else
			write_kids(out, v);
		json_out_end(out, '}');
		break;
	}
}
