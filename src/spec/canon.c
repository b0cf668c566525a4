/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The canonical text: the rows of the schema, written out in their order. */
#include "spec/spec.h"

#include <string.h>

#include "base/limits.h"
#include "spec/schema.h"
#include "wire/json_out.h"

static void write_object(struct json_out *j, const struct object *o,
			 const char *base);

static const void *pointer_at(const char *p)
{
	const void *v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static void write_strings(struct json_out *j, const struct spec_strings *s)
{
	json_out_array(j);
	for (size_t i = 0; i < s->n; i++)
		json_out_slice(j, s->p[i]);
	json_out_end(j, ']');
}

static void write_words(struct json_out *j, const struct field *f,
			const char *base)
{
	const int *w = pointer_at(base + f->at);
	size_t n = *(const size_t *)(const void *)(base + f->also);

	json_out_array(j);
	for (size_t i = 0; i < n; i++)
		json_out_str(j, f->words[w[i]]);
	json_out_end(j, ']');
}

static void write_list(struct json_out *j, const struct field *f,
		       const char *base)
{
	const char *p = pointer_at(base + f->at);
	size_t n = *(const size_t *)(const void *)(base + f->also);

	json_out_array(j);
	for (size_t i = 0; i < n; i++)
		write_object(j, f->object, p + i * f->object->size);
	json_out_end(j, ']');
}

static void write_labels(struct json_out *j, const struct field *f,
			 const char *base)
{
	const struct spec_label *l = pointer_at(base + f->at);
	size_t n = *(const size_t *)(const void *)(base + f->also);

	json_out_object(j);
	for (size_t i = 0; i < n; i++) {
		json_out_key_slice(j, l[i].name);
		json_out_slice(j, l[i].value);
	}
	json_out_end(j, '}');
}

/* Opaque values are sorted inside a text that is not. */
static void write_any(struct json_out *j, const struct json *v)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(8 * LIMIT_SPEC_FILE);
	struct json_out sub;

	json_out_init(&sub, &b, true);
	json_write(&sub, v);
	json_out_raw(j, wbuf_as_slice(&b));
	if (b.failed)
		j->b->failed = true;
}

/* Is there something to write, or (with OMIT) something worth writing? */
static bool is_present(const struct field *f, const char *base)
{
	const void *p = base + f->at;
	bool omit = f->flags & OMIT;

	switch (f->kind) {
	case FIELD_STR:
		return ((const struct slice *)p)->p != NULL;
	case FIELD_STRS:
		return omit ? ((const struct spec_strings *)p)->n != 0
			    : ((const struct spec_strings *)p)->p != NULL;
	case FIELD_OPT_U64:
	case FIELD_OPT_U32:
		return ((const struct spec_opt_u64 *)p)->present;
	case FIELD_BOOL:
		return !omit || *(const bool *)p;
	case FIELD_WORD:
		return f->words[*(const int *)p][0] != '\0';
	case FIELD_WORDS:
	case FIELD_LIST:
	case FIELD_LABELS:
		if (omit)
			return *(const size_t *)(const void *)(base + f->also);
		return pointer_at(p) != NULL;
	case FIELD_OBJECT:
	case FIELD_ANY:
		return pointer_at(p) != NULL;
	case FIELD_INLINE:
		return !f->also || *(const bool *)(base + f->also);
	case FIELD_U64:
	case FIELD_U32:
	case FIELD_U16:
	case FIELD_CONST:
		break;
	}
	return true;
}

static void write_value(struct json_out *j, const struct field *f,
			const char *base)
{
	const void *p = base + f->at;

	switch (f->kind) {
	case FIELD_STR:
		json_out_slice(j, *(const struct slice *)p);
		break;
	case FIELD_STRS:
		write_strings(j, p);
		break;
	case FIELD_U64:
		json_out_u64(j, *(const uint64_t *)p);
		break;
	case FIELD_U32:
		json_out_u64(j, *(const uint32_t *)p);
		break;
	case FIELD_U16:
		json_out_u64(j, *(const uint16_t *)p);
		break;
	case FIELD_OPT_U64:
	case FIELD_OPT_U32:
		json_out_u64(j, ((const struct spec_opt_u64 *)p)->v);
		break;
	case FIELD_BOOL:
		json_out_bool(j, *(const bool *)p);
		break;
	case FIELD_WORD:
		json_out_str(j, f->words[*(const int *)p]);
		break;
	case FIELD_WORDS:
		write_words(j, f, base);
		break;
	case FIELD_CONST:
		json_out_str(j, f->words[0]);
		break;
	case FIELD_OBJECT:
		write_object(j, f->object, pointer_at(p));
		break;
	case FIELD_INLINE:
		write_object(j, f->object, p);
		break;
	case FIELD_LIST:
		write_list(j, f, base);
		break;
	case FIELD_LABELS:
		write_labels(j, f, base);
		break;
	case FIELD_ANY:
		write_any(j, pointer_at(p));
		break;
	}
}

/* Recursion follows the tables, which are a tree. */
static void write_object(struct json_out *j, const struct object *o,
			 const char *base)
{
	if (o->variants) {
		const struct field *tag = o->variants[0]->fields;

		o = o->variants[*(const int *)(const void *)(base + tag->at)];
	}
	json_out_object(j);
	for (size_t i = 0; i < o->n; i++) {
		const struct field *f = &o->fields[i];

		if (is_present(f, base)) {
			json_out_key(j, f->name);
			write_value(j, f, base);
		} else if (!(f->flags & OMIT)) {
			json_out_knull(j, f->name);
		}
	}
	json_out_end(j, '}');
}

void spec_canonical(const struct spec *s, struct wbuf *b)
{
	struct json_out j;

	json_out_init(&j, b, false);
	write_object(&j, &schema_spec, (const char *)s);
}

const char *spec_delivery_word(enum spec_delivery d)
{
	return schema_delivery_words[d];
}
