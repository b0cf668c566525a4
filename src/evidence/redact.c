/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Redaction of event data. */
#include "evidence/redact.h"

#include <strings.h>

#include "base/arena.h"
#include "base/limits.h"
#include "wire/json_in.h"
#include "wire/json_out.h"

/* a tree costs up to some fifty times its text */
enum { TREE_MAX = 64 * LIMIT_EVENT_LINE };

/* Take the next name from the comma list; names are trimmed. */
static bool next_name(const char **list, struct slice *ret)
{
	const char *p = *list;
	size_t n;

	while (*p == ',' || *p == ' ' || *p == '\t')
		p++;
	if (!*p)
		return false;
	n = strcspn(p, ",");
	*list = p + n;
	while (n && (p[n - 1] == ' ' || p[n - 1] == '\t'))
		n--;
	*ret = (struct slice){ p, n };
	return true;
}

bool redact_is_on(const char *list)
{
	struct slice name;

	return list && next_name(&list, &name);
}

static bool is_named(const char *list, struct slice member)
{
	struct slice name;

	while (next_name(&list, &name)) {
		if (slice_eq(name, member))
			return true;
		if (name.n == 8 && strncasecmp(name.p, "defaults", 8) == 0 &&
		    (slice_is(member, "argv") || slice_is(member, "path") ||
		     slice_is(member, "reason")))
			return true;
	}
	return false;
}

/* Members that say which run one of our own events belongs to. */
static bool is_identity(struct slice member)
{
	return slice_is(member, "cellId") || slice_is(member, "specId") ||
	       slice_is(member, "runId") || slice_is(member, "runUuid");
}

static void replace(struct json *v, struct json *text)
{
	switch (v->type) {
	case JSON_ARRAY:
		v->v.kids.first = v->v.kids.last = text;
		v->v.kids.count = 1;
		break;
	case JSON_OBJECT:
		v->v.kids.first = v->v.kids.last = NULL;
		v->v.kids.count = 0;
		break;
	case JSON_NULL:
	case JSON_BOOL:
	case JSON_I64:
	case JSON_U64:
	case JSON_DOUBLE:
	case JSON_STRING:
		v->type = JSON_STRING;
		v->v.s = SLICE_LIT(REDACTED_TEXT);
		break;
	}
}

/* Depth is bounded by the parser (LIMIT_JSON_DEPTH). */
static void walk(const char *list, struct json *v, bool keep_identity,
		 struct json *text)
{
	struct json *kid;

	if (v->type != JSON_OBJECT && v->type != JSON_ARRAY)
		return;
	for (kid = v->v.kids.first; kid; kid = kid->next) {
		if (v->type == JSON_OBJECT && is_named(list, kid->name) &&
		    !(keep_identity && is_identity(kid->name)))
			replace(kid, text);
		else
			walk(list, kid, false, text);
	}
}

int redact_data(const char *list, enum event_type t, struct slice data,
		struct wbuf *ret, struct err *e)
{
	OWNED(arena_drop) struct arena a = ARENA_INIT(TREE_MAX);
	struct json text = {
		.type = JSON_STRING,
		.v.s = SLICE_LIT(REDACTED_TEXT),
	};
	struct json *root;
	struct json_out j;

	if (t == EVENT_LINK) {
		wbuf_slice(ret, data);
		return 0;
	}
	if (json_parse(data, LIMIT_JSON_DEPTH, &a, &root, e)) {
		if (e)
			e->cls = ERR_SINK;
		return err_wrap(e, "event sink: redact %s", event_type_text(t));
	}
	walk(list, root, event_type_is_ours(t), &text);
	json_out_init(&j, ret, true);
	json_write(&j, root);
	if (ret->failed)
		return err_set(e, ERR_SINK, 0, "redact %s: too long",
			       event_type_text(t));
	return 0;
}
