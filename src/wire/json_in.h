/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * JSON text to a tree, over YAJL's tokenizer (RFC 8259 grammar, UTF-8
 * checked, no BOM, no comments, no trailing bytes). Numbers keep their value as
 * docs/compatibility.md "JSON text" says: an integer within i64/u64 stays one;
 * outside, and "-0", becomes a double. A lone surrogate escape is an error.
 *
 * Pure: same bytes, same verdict. Memory comes from the caller's arena.
 */
#ifndef CELLOS_WIRE_JSON_IN_H
#define CELLOS_WIRE_JSON_IN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"

enum json_type {
	JSON_NULL,
	JSON_BOOL,
	JSON_I64, /* negative integer */
	JSON_U64, /* non-negative integer */
	JSON_DOUBLE,
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT
};

struct json {
	enum json_type type;
	bool is_dup; /* a member whose name stood before it in its object */
	struct slice name; /* of a member; n = 0 elsewhere */
	union {
		bool b;
		int64_t i;
		uint64_t u;
		double d;
		struct slice s; /* decoded; may hold NUL */
		struct {
			struct json *first; /* in the order of the text */
			struct json *last;
			size_t count;
		} kids;
	} v;
	struct json *next;
};

/**
 * json_parse() - one JSON value
 * @text:      the whole text
 * @max_depth: containers nested deeper are an error (root counts as 1)
 * @a:         everything lives here; the tree borrows nothing from @text
 * @e:         on failure "<reason> at line L column C", class ERR_PLAIN
 *
 * Duplicate member names are kept, the later ones marked is_dup: whether that
 * is an error is for the caller to say.
 *
 * Return: 0 or -1
 */
int json_parse(struct slice text, unsigned max_depth, struct arena *a,
	       struct json **ret_root, struct err *e) MUST_USE;

/** json_get() - the last member of that name, or NULL */
const struct json *json_get(const struct json *obj, const char *name);

struct json_out;
/** json_write() - write a tree; objects sorted by name if @out is sorted (a
 *  repeated name: the last one wins), else in the order of the text */
void json_write(struct json_out *out, const struct json *v);

#endif
