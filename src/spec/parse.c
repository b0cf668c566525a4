/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A document's text to struct spec, driven by the tables of schema.c. Members
 * are read in the order of the text, so the first mistake in the text is the
 * one that is named; what is missing is named in the order of the tables.
 */
#include "spec/spec.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "spec/mounts.h"
#include "spec/schema.h"
#include "spec/text.h"
#include "spec/unknown.h"
#include "wire/json_out.h"

enum {
	/* A node is 64 bytes and the densest text is two bytes a node: what
	 * people write needs less than half of this. */
	MEMORY_MAX = 32 * LIMIT_SPEC_FILE,
	/* Members nobody reads may nest deeper than those that are stored. */
	IGNORED_DEPTH = 10000,
	ROOT_LEVEL = 1
};

struct parse {
	struct spec *s;
	struct err *e;
};

/* Lays out the pointers of @where: "at <pointer>: " + rule */
static int fail(struct parse *p, const struct place *where, const char *rule)
{
	char at[TEXT_QUOTED];

	return err_set(p->e, ERR_PLAIN, 0, "at %s: %s", place_text(where, at),
		       rule);
}

static int fail_memory(struct parse *p)
{
	return err_set(p->e, ERR_PLAIN, 0,
		       "the document needs more memory than allowed");
}

/* "<value> is not <what>", containers by their kind only */
static int fail_value(struct parse *p, const struct place *where,
		      const struct json *v, const char *what)
{
	OWNED(wbuf_drop) struct wbuf rule = WBUF_INIT(4 * TEXT_QUOTED);
	char quoted[TEXT_QUOTED];
	struct json_out j;

	switch (v->type) {
	case JSON_STRING:
		wbuf_str(&rule, text_quote(quoted, v->v.s));
		break;
	case JSON_ARRAY:
		wbuf_str(&rule, "an array");
		break;
	case JSON_OBJECT:
		wbuf_str(&rule, "an object");
		break;
	case JSON_NULL:
	case JSON_BOOL:
	case JSON_I64:
	case JSON_U64:
	case JSON_DOUBLE:
		json_out_init(&j, &rule, false);
		json_write(&j, v);
		break;
	}
	wbuf_fmt(&rule, " is not %s", what);
	return fail(p, where, wbuf_cstr(&rule));
}

static int fail_word(struct parse *p, const struct place *where,
		     const struct json *v, const char *const *words)
{
	OWNED(wbuf_drop) struct wbuf list = WBUF_INIT(TEXT_QUOTED);

	wbuf_str(&list, words[1] ? "one of " : "");
	for (size_t i = 0; words[i]; i++)
		if (words[i][0])
			wbuf_fmt(&list, "\"%s\"%s", words[i],
				 words[i + 1] ? ", " : "");
	return fail_value(p, where, v, wbuf_cstr(&list));
}

static int fail_member(struct parse *p, const struct place *where,
		       const char *fmt, const char *name)
{
	OWNED(wbuf_drop) struct wbuf rule = WBUF_INIT(TEXT_QUOTED);

	wbuf_fmt(&rule, fmt, name);
	return fail(p, where, wbuf_cstr(&rule));
}

static int read_object(struct parse *p, const struct place *where,
		       const struct json *v, const struct object *o, char *base,
		       unsigned level);

/* Containers under @v, itself at nesting @level, are not too deep */
static bool is_depth_ok(const struct json *v, unsigned level)
{
	if (v->type != JSON_ARRAY && v->type != JSON_OBJECT)
		return true;
	if (level > LIMIT_JSON_DEPTH)
		return false;
	for (const struct json *k = v->v.kids.first; k; k = k->next)
		if (!is_depth_ok(k, level + 1))
			return false;
	return true;
}

static int check_depth(struct parse *p, const struct place *where,
		       const struct json *v, unsigned level)
{
	if (is_depth_ok(v, level))
		return 0;
	return fail(p, where, "containers are nested more than 127 deep");
}

static void *new_array(struct parse *p, size_t n, size_t size)
{
	/* never NULL for an empty one: it is not an absent one */
	return arena_alloc(&p->s->arena, n ? n * size : 1);
}

static void put_pointer(char *to, const void *v)
{
	memcpy(to, &v, sizeof(v));
}

static int read_uint(struct parse *p, const struct place *where,
		     const struct json *v, uint64_t max, uint64_t *ret_n)
{
	const char *what = max == UINT16_MAX ? "an unsigned integer <= 65535"
			   : max == UINT32_MAX
				   ? "an unsigned integer <= 4294967295"
				   : "an unsigned integer";

	if (v->type != JSON_U64 || v->v.u > max)
		return fail_value(p, where, v, what);
	*ret_n = v->v.u;
	return 0;
}

static int read_word(struct parse *p, const struct place *where,
		     const struct json *v, const char *const *words,
		     int *ret_word)
{
	if (v->type != JSON_STRING)
		return fail_word(p, where, v, words);
	for (int i = 0; words[i]; i++) {
		if (!words[i][0] || !slice_is(v->v.s, words[i]))
			continue;
		*ret_word = i;
		return 0;
	}
	return fail_word(p, where, v, words);
}

static int read_string(struct parse *p, const struct place *where,
		       const struct json *v, struct slice *ret_s)
{
	if (v->type != JSON_STRING)
		return fail_value(p, where, v, "a string");
	*ret_s = v->v.s;
	return 0;
}

static int read_strings(struct parse *p, const struct place *where,
			const struct json *v, struct spec_strings *ret_s)
{
	size_t i = 0;

	if (v->type != JSON_ARRAY)
		return fail_value(p, where, v, "an array of strings");
	ret_s->p = new_array(p, v->v.kids.count, sizeof(*ret_s->p));
	if (!ret_s->p)
		return fail_memory(p);
	for (const struct json *k = v->v.kids.first; k; k = k->next, i++) {
		struct place item = { .up = where, .index = i };

		if (read_string(p, &item, k, &ret_s->p[i]))
			return -1;
	}
	ret_s->n = i;
	return 0;
}

static int read_words(struct parse *p, const struct place *where,
		      const struct json *v, const struct field *f, char *base)
{
	size_t i = 0;
	int *w;

	if (v->type != JSON_ARRAY)
		return fail_value(p, where, v, "an array of words");
	w = new_array(p, v->v.kids.count, sizeof(*w));
	if (!w)
		return fail_memory(p);
	for (const struct json *k = v->v.kids.first; k; k = k->next, i++) {
		struct place item = { .up = where, .index = i };

		if (read_word(p, &item, k, f->words, &w[i]))
			return -1;
	}
	put_pointer(base + f->at, w);
	memcpy(base + f->also, &i, sizeof(i));
	return 0;
}

static int read_list(struct parse *p, const struct place *where,
		     const struct json *v, const struct field *f, char *base,
		     unsigned level)
{
	size_t i = 0;
	char *a;

	if (v->type != JSON_ARRAY)
		return fail_value(p, where, v, "an array of objects");
	a = new_array(p, v->v.kids.count, f->object->size);
	if (!a)
		return fail_memory(p);
	for (const struct json *k = v->v.kids.first; k; k = k->next, i++) {
		struct place item = { .up = where, .index = i };

		if (read_object(p, &item, k, f->object, a + i * f->object->size,
				level + 1))
			return -1;
	}
	put_pointer(base + f->at, a);
	memcpy(base + f->also, &i, sizeof(i));
	return 0;
}

struct label_at {
	struct spec_label l;
	size_t at;
};

static int label_cmp(const void *va, const void *vb)
{
	const struct label_at *a = va, *b = vb;
	int c = slice_cmp(a->l.name, b->l.name);

	return c ? c : a->at < b->at ? -1 : a->at > b->at;
}

static int read_labels(struct parse *p, const struct place *where,
		       const struct json *v, const struct field *f, char *base)
{
	struct label_at *l;
	struct spec_label *out;
	size_t n = 0, kept = 0;

	if (v->type != JSON_OBJECT)
		return fail_value(p, where, v, "an object of strings");
	l = new_array(p, v->v.kids.count, sizeof(*l));
	out = new_array(p, v->v.kids.count, sizeof(*out));
	if (!l || !out)
		return fail_memory(p);
	for (const struct json *k = v->v.kids.first; k; k = k->next, n++) {
		struct place item = { .up = where, .name = k->name };

		l[n] = (struct label_at){ .l.name = k->name, .at = n };
		if (read_string(p, &item, k, &l[n].l.value))
			return -1;
	}
	qsort(l, n, sizeof(*l), label_cmp);
	for (size_t i = 0; i < n; i++)
		if (i + 1 == n || !slice_eq(l[i].l.name, l[i + 1].l.name))
			out[kept++] = l[i].l;
	put_pointer(base + f->at, out);
	memcpy(base + f->also, &kept, sizeof(kept));
	return 0;
}

static int read_new_object(struct parse *p, const struct place *where,
			   const struct json *v, const struct field *f,
			   char *base, unsigned level)
{
	char *o = arena_alloc(&p->s->arena, f->object->size);

	if (!o)
		return fail_memory(p);
	if (read_object(p, where, v, f->object, o, level))
		return -1;
	put_pointer(base + f->at, o);
	return 0;
}

static int read_inline(struct parse *p, const struct place *where,
		       const struct json *v, const struct field *f, char *base,
		       unsigned level)
{
	if (read_object(p, where, v, f->object, base + f->at, level))
		return -1;
	if (f->also)
		*(bool *)(void *)(base + f->also) = true;
	return 0;
}

static int read_any(struct parse *p, const struct place *where,
		    const struct json *v, const struct field *f, char *base,
		    unsigned level)
{
	if (check_depth(p, where, v, level))
		return -1;
	put_pointer(base + f->at, v);
	return 0;
}

/* One scalar member, or what a member of any other kind needs */
static int read_field(struct parse *p, const struct place *where,
		      const struct json *v, const struct field *f, char *base,
		      unsigned level)
{
	void *to = base + f->at;
	uint64_t n = 0;
	int word;

	switch (f->kind) {
	case FIELD_STR:
		return read_string(p, where, v, to);
	case FIELD_STRS:
		return read_strings(p, where, v, to);
	case FIELD_U64:
		return read_uint(p, where, v, UINT64_MAX, to);
	case FIELD_U32:
		if (read_uint(p, where, v, UINT32_MAX, &n))
			return -1;
		*(uint32_t *)to = (uint32_t)n;
		return 0;
	case FIELD_U16:
		if (read_uint(p, where, v, UINT16_MAX, &n))
			return -1;
		*(uint16_t *)to = (uint16_t)n;
		return 0;
	case FIELD_OPT_U64:
	case FIELD_OPT_U32:
		if (read_uint(p, where, v,
			      f->kind == FIELD_OPT_U32 ? UINT32_MAX
						       : UINT64_MAX,
			      &n))
			return -1;
		*(struct spec_opt_u64 *)to = (struct spec_opt_u64){ true, n };
		return 0;
	case FIELD_BOOL:
		if (v->type != JSON_BOOL)
			return fail_value(p, where, v, "true or false");
		*(bool *)to = v->v.b;
		return 0;
	case FIELD_WORD:
		return read_word(p, where, v, f->words, to);
	case FIELD_CONST:
		return read_word(p, where, v, f->words, &word);
	case FIELD_WORDS:
		return read_words(p, where, v, f, base);
	case FIELD_OBJECT:
		return read_new_object(p, where, v, f, base, level);
	case FIELD_INLINE:
		return read_inline(p, where, v, f, base, level);
	case FIELD_LIST:
		return read_list(p, where, v, f, base, level);
	case FIELD_LABELS:
		return read_labels(p, where, v, f, base);
	case FIELD_ANY:
		return read_any(p, where, v, f, base, level);
	}
	return fail(p, where, "unknown kind of field");
}

/* The object a tag chooses; the tag may stand anywhere */
static int choose_variant(struct parse *p, const struct place *where,
			  const struct json *v, const struct object **o)
{
	const struct field *tag = (*o)->variants[0]->fields;
	const struct json *k = json_get(v, tag->name);
	struct place at = { .up = where, .name = slice_of(tag->name) };
	int word = 0;

	if (!k)
		return fail_member(p, where,
				   "required member \"%s\" is missing",
				   tag->name);
	if (read_word(p, &at, k, tag->words, &word))
		return -1;
	*o = (*o)->variants[word];
	return 0;
}

static const struct field *find_field(const struct object *o, struct slice name)
{
	for (size_t i = 0; i < o->n; i++)
		if (slice_is(name, o->fields[i].name))
			return &o->fields[i];
	return NULL;
}

static int add_unknown(struct parse *p, const struct place *where,
		       const struct json *k, const struct object *o)
{
	const char *nearest = NULL;
	unsigned best = UNKNOWN_FAR;

	if (k->is_dup)
		return 0;
	for (size_t i = 0; i < o->n; i++) {
		unsigned d = unknown_distance(k->name, o->fields[i].name);

		if (d >= best)
			continue;
		best = d;
		nearest = o->fields[i].name;
	}
	return unknown_add(p->s, where, nearest) ? fail_memory(p) : 0;
}

static int finish_object(struct parse *p, const struct place *where,
			 const struct object *o, uint64_t seen, char *base)
{
	for (size_t i = 0; i < o->n; i++) {
		const struct field *f = &o->fields[i];
		void *empty;

		if (seen >> i & 1)
			continue;
		if (f->flags & REQ)
			return fail_member(p, where,
					   "required member \"%s\" is missing",
					   f->name);
		if (!(f->flags & EMPTY))
			continue;
		empty = new_array(p, 0, 1);
		if (!empty)
			return fail_memory(p);
		put_pointer(base + f->at, empty);
	}
	return 0;
}

static int read_members(struct parse *p, const struct place *where,
			const struct json *v, const struct object *o,
			char *base, unsigned level)
{
	uint64_t seen = 0;

	for (const struct json *k = v->v.kids.first; k; k = k->next) {
		struct place at = { .up = where, .name = k->name };
		const struct field *f = find_field(o, k->name);

		if (!f) {
			if (add_unknown(p, &at, k, o))
				return -1;
			continue;
		}
		if (k->is_dup)
			return fail(p, &at, "the member stands twice");
		seen |= UINT64_C(1) << (f - o->fields);
		if (k->type == JSON_NULL && f->flags & NUL)
			continue;
		if (read_field(p, &at, k, f, base, level + 1))
			return -1;
	}
	return finish_object(p, where, o, seen, base);
}

/* Recursion follows the tables, which are a tree. */
static int read_object(struct parse *p, const struct place *where,
		       const struct json *v, const struct object *o, char *base,
		       unsigned level)
{
	if (v->type != JSON_OBJECT)
		return fail_value(p, where, v, "an object");
	if (o->variants) {
		/* the original buffers these whole before it looks */
		if (check_depth(p, where, v, level) ||
		    choose_variant(p, where, v, &o))
			return -1;
	}
	if (o->defaults)
		o->defaults(base);
	return read_members(p, where, v, o, base, level);
}

/* What the tables do not say: flags beside arrays, and the mounts */
static int derive(struct parse *p)
{
	struct spec *s = p->s;

	if (s->correlation)
		s->correlation->has_labels = s->correlation->labels != NULL;
	if (s->export) {
		s->export->has_artifacts = s->export->artifacts != NULL;
		s->export->has_targets = s->export->targets != NULL;
	}
	return mounts_derive(s) ? fail_memory(p) : 0;
}

int spec_parse(struct slice text, struct spec *s, struct err *e)
{
	OWNED(spec_drop) struct spec t = { .arena = ARENA_INIT(MEMORY_MAX) };
	struct parse p = { &t, e };
	struct json *root;

	if (text.n > LIMIT_SPEC_FILE)
		return err_set(e, ERR_PLAIN, 0,
			       "the document is larger than %d bytes",
			       LIMIT_SPEC_FILE);
	if (json_parse(text, IGNORED_DEPTH, &t.arena, &root, e))
		return -1;
	if (read_object(&p, NULL, root, &schema_document, (char *)&t,
			ROOT_LEVEL) ||
	    derive(&p))
		return -1;
	*s = t;
	t = (struct spec){ 0 };
	return 0;
}

void spec_drop(struct spec *s)
{
	arena_drop(&s->arena);
	*s = (struct spec){ 0 };
}
