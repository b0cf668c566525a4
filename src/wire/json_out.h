/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Compact JSON text, docs/compatibility.md "JSON text": strings escape only \"
 * \\ \b \f \n \r \t and \u00xx below 0x20; doubles as shortest round-trip.
 *
 * A writer is a value on the stack. It puts the commas; with @sorted it also
 * refuses a member whose name is not above the one before it (the bytes of an
 * event's data must be in order), by failing the buffer.
 */
#ifndef CELLOS_WIRE_JSON_OUT_H
#define CELLOS_WIRE_JSON_OUT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/wbuf.h"

enum { JSON_OUT_DEPTH = 130 };

struct json_out {
	struct wbuf *b;
	bool sorted;
	int depth;
	bool comma[JSON_OUT_DEPTH];
	/* offset and length of the last member name per level, inside @b */
	size_t name_at[JSON_OUT_DEPTH], name_len[JSON_OUT_DEPTH];
};

/** json_out_init() - start a value at the end of @b */
void json_out_init(struct json_out *j, struct wbuf *b, bool sorted);
void json_out_object(struct json_out *j);
void json_out_array(struct json_out *j);
/** json_out_end() - close the innermost object ('}') or array (']') */
void json_out_end(struct json_out *j, char bracket);
/** json_out_key() - a member name; the value must follow */
void json_out_key(struct json_out *j, const char *name);
void json_out_key_slice(struct json_out *j, struct slice name);
void json_out_slice(struct json_out *j, struct slice s);
void json_out_str(struct json_out *j, const char *s);
void json_out_u64(struct json_out *j, uint64_t v);
void json_out_i64(struct json_out *j, int64_t v);
void json_out_double(struct json_out *j, double v);
void json_out_bool(struct json_out *j, bool v);
void json_out_null(struct json_out *j);
/** json_out_raw() - text that is already JSON, taken as one value */
void json_out_raw(struct json_out *j, struct slice text);

/* member = name + value */
void json_out_kstr(struct json_out *j, const char *name, const char *s);
/** json_out_kstr_or_null() - null if @s is NULL */
void json_out_kstr_or_null(struct json_out *j, const char *name, const char *s);
/** json_out_kstr_opt() - nothing if @s is NULL */
void json_out_kstr_opt(struct json_out *j, const char *name, const char *s);
void json_out_ku64(struct json_out *j, const char *name, uint64_t v);
void json_out_ki64(struct json_out *j, const char *name, int64_t v);
void json_out_kbool(struct json_out *j, const char *name, bool v);
void json_out_knull(struct json_out *j, const char *name);

/** json_text_string() - one quoted and escaped string, on its own */
void json_text_string(struct wbuf *b, struct slice s);
/** json_text_double() - NaN and infinities fail the buffer */
void json_text_double(struct wbuf *b, double v);

#endif
