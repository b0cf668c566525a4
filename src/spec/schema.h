/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The document as tables: one row a member, in their declared order. The
 * same rows drive the reader (parse.c) and the canonical writer (canon.c).
 */
#ifndef CELLOS_SPEC_SCHEMA_H
#define CELLOS_SPEC_SCHEMA_H

#include <stddef.h>

enum field_kind {
	FIELD_STR,  /* struct slice */
	FIELD_STRS, /* struct spec_strings */
	FIELD_U64,  /* uint64_t */
	FIELD_U32,
	FIELD_U16,
	FIELD_OPT_U64, /* struct spec_opt_u64 */
	FIELD_OPT_U32, /* the same, values up to 2^32-1 */
	FIELD_BOOL,
	FIELD_WORD,   /* an enum whose values are the places in @words */
	FIELD_WORDS,  /* array of those; count at @also */
	FIELD_CONST,  /* must be words[0]; stored nowhere */
	FIELD_OBJECT, /* pointer to a struct of @object */
	FIELD_INLINE, /* the struct itself; bool at @also, if any, is set */
	FIELD_LIST,   /* array of structs of @object; count at @also */
	FIELD_LABELS, /* array of struct spec_label; count at @also */
	FIELD_ANY     /* const struct json * */
};

enum {
	REQ = 1,  /* must be there */
	NUL = 2,  /* null means absent */
	OMIT = 4, /* not written when absent, empty or false */
	EMPTY = 8 /* an absent array becomes an empty one */
};

struct object;

struct field {
	const char *name;
	enum field_kind kind;
	unsigned flags;
	size_t at, also;
	const struct object *object;
	const char *const *words; /* NULL-terminated; "" = no word */
};

struct object {
	size_t size;
	const struct field *fields;
	size_t n;
	void (*defaults)(void *o);
	/* one object a word of the tag, which is the first field of each */
	const struct object *const *variants;
};

extern const struct object schema_document; /* struct spec */
extern const struct object schema_spec;	    /* struct spec */
extern const char *const schema_delivery_words[];

#endif
