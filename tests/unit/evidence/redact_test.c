/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Redaction: which members, which values, which types not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "evidence/redact.h"

static const struct {
	const char *list;
	enum event_type t;
	const char *in, *out;
} rows[] = {
	{ "a", EVENT_STARTED, "{\"a\":\"x\",\"b\":\"x\"}",
	  "{\"a\":\"[redacted]\",\"b\":\"x\"}" },
	{ "a", EVENT_STARTED, "{\"a\":[1,{\"b\":2}]}",
	  "{\"a\":[\"[redacted]\"]}" },
	{ "a", EVENT_STARTED, "{\"a\":[]}", "{\"a\":[\"[redacted]\"]}" },
	{ "a", EVENT_STARTED, "{\"a\":{\"b\":2}}", "{\"a\":{}}" },
	{ "a", EVENT_STARTED, "{\"a\":null}", "{\"a\":\"[redacted]\"}" },
	{ "a", EVENT_STARTED, "{\"a\":1}", "{\"a\":\"[redacted]\"}" },
	{ "a", EVENT_STARTED, "{\"a\":1.0}", "{\"a\":\"[redacted]\"}" },
	{ "a", EVENT_STARTED, "{\"a\":true}", "{\"a\":\"[redacted]\"}" },
	{ "a", EVENT_STARTED, "{\"b\":[{\"c\":{\"a\":1,\"z\":1.0}}]}",
	  "{\"b\":[{\"c\":{\"a\":\"[redacted]\",\"z\":1.0}}]}" },
	{ "A,aa", EVENT_STARTED, "{\"a\":1}", "{\"a\":1}" },
	{ " b ,, a ", EVENT_STARTED, "{\"a\":1,\"b\":2,\"c\":3}",
	  "{\"a\":\"[redacted]\",\"b\":\"[redacted]\",\"c\":3}" },
	{ "defaults", EVENT_COMPLETED,
	  "{\"argv\":[\"/bin/sh\",\"-c\"],\"path\":\"/x\",\"reason\":\"r\","
	  "\"specId\":\"s\"}",
	  "{\"argv\":[\"[redacted]\"],\"path\":\"[redacted]\",\"reason\":"
	  "\"[redacted]\",\"specId\":\"s\"}" },
	{ "x,defaults", EVENT_COMPLETED, "{\"reason\":\"r\",\"x\":1}",
	  "{\"reason\":\"[redacted]\",\"x\":\"[redacted]\"}" },
	{ "cellId", EVENT_STARTED, "{\"cellId\":\"c\"}",
	  "{\"cellId\":\"[redacted]\"}" },
	{ "cellId,runId,runUuid,specId,items,name", EVENT_ENFORCEMENT,
	  "{\"cellId\":\"c\",\"items\":[{\"name\":\"n\"}],\"probes\":["
	  "{\"name\":\"n\",\"runId\":\"x\"}],\"runId\":\"r\",\"runUuid\":"
	  "\"u\",\"specId\":\"s\"}",
	  "{\"cellId\":\"c\",\"items\":[\"[redacted]\"],\"probes\":["
	  "{\"name\":\"[redacted]\",\"runId\":\"[redacted]\"}],\"runId\":"
	  "\"r\",\"runUuid\":\"u\",\"specId\":\"s\"}" },
	{ "runUuid,address", EVENT_CONNECTION,
	  "{\"destination\":{\"address\":\"a\",\"port\":1},\"runUuid\":"
	  "\"u\"}",
	  "{\"destination\":{\"address\":\"[redacted]\",\"port\":1},"
	  "\"runUuid\":\"u\"}" },
	{ "digests,previous,cellId,data,event,signature", EVENT_LINK,
	  "{\"cellId\":\"c\",\"digests\":[\"d\"],\"previous\":null}",
	  "{\"cellId\":\"c\",\"digests\":[\"d\"],\"previous\":null}" },
};

static void test_table(void **state)
{
	struct err e;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(LIMIT_EVENT_LINE);

		assert_int_equal(redact_data(rows[i].list, rows[i].t,
					     slice_of(rows[i].in), &b, &e),
				 0);
		assert_string_equal(wbuf_cstr(&b), rows[i].out);
	}
}

static void test_is_on(void **state)
{
	(void)state;
	assert_false(redact_is_on(NULL));
	assert_false(redact_is_on(""));
	assert_false(redact_is_on(" , ,"));
	assert_true(redact_is_on(", a"));
}

static void test_not_json(void **state)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(LIMIT_EVENT_LINE);
	struct err e;

	(void)state;
	assert_int_equal(
		redact_data("a", EVENT_STARTED, SLICE_LIT("{\"a\":"), &b, &e),
		-1);
	assert_int_equal(e.cls, ERR_SINK);
	assert_int_equal(b.len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_is_on),
		cmocka_unit_test(test_not_json),
	};

	return cmocka_run_group_tests_name("evidence/redact", tests, NULL,
					   NULL);
}
