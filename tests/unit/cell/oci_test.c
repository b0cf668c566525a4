/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The bundle of a sandbox, member by member. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cell/door.h"
#include "cell/oci.h"

#define CAPS                                            \
	"[\"CAP_KILL\",\"CAP_SETGID\",\"CAP_SETPCAP\"," \
	"\"CAP_SETUID\"]"

static char secret[] = "S=not-to-be-written";
static char *const env[] = { secret, NULL };

static void load(struct spec *s, struct plan *p, struct cell_request *req)
{
	static const char doc[] =
		"{\"apiVersion\":\"cellos.io/v1\",\"kind\":\"ExecutionCell\","
		"\"spec\":{\"id\":\"p\",\"lifetime\":{\"ttlSeconds\":60},"
		"\"authority\":{},\"run\":{\"argv\":[\"sh\",\"-c\",\"\\u00e9\"]"
		"}"
		"}}";
	struct err e;

	assert_int_equal(spec_parse(slice_of(doc), s, &e), 0);
	*req = (struct cell_request){ .spec = s, .envp = env };
	*p = (struct plan){
		.in_uid = 1000,
		.in_gid = 1001,
		.cwd = "/w",
		.n = 5,
		.steps = {
			/* parts of every cell: of the root, no mounts */
			{ .op = PLAN_BIND, .dst = "/usr", .n = LIMIT_MOUNTS + 1 },
			{ .op = PLAN_BIND, .dst = "/etc/services",
			  .flags = PLAN_F_OWN | PLAN_F_RO },
			{ .op = PLAN_SENTRY_TMPFS, .dst = "/tmp", .n = 4096,
			  .n2 = 01777 },
			{ .op = PLAN_BIND, .dst = "/w", .n = 0 },
			{ .op = PLAN_BIND, .dst = "/r", .n = 1,
			  .flags = PLAN_F_RO },
		},
	};
}

static const char whole[] =
	"{\"hostname\":\"cell\",\"linux\":{\"namespaces\":["
	"{\"type\":\"pid\"},{\"type\":\"ipc\"},{\"type\":\"uts\"},"
	"{\"type\":\"mount\"}]},\"mounts\":["
	"{\"destination\":\"/proc\",\"options\":[],\"source\":\"proc\","
	"\"type\":\"proc\"},"
	"{\"destination\":\"/tmp\",\"options\":[\"nosuid\",\"nodev\","
	"\"size=4096\",\"mode=1777\"],\"source\":\"tmpfs\","
	"\"type\":\"tmpfs\"},"
	"{\"destination\":\"/w\",\"options\":[\"rbind\",\"nosuid\",\"rw\"],"
	"\"source\":\"/mounts/0\",\"type\":\"bind\"},"
	"{\"destination\":\"/r\",\"options\":[\"rbind\",\"nosuid\",\"ro\"],"
	"\"source\":\"/mounts/1\",\"type\":\"bind\"},"
	"{\"destination\":\"/.cellos/channel\",\"options\":[\"bind\","
	"\"nosuid\",\"nodev\",\"noexec\",\"rw\"],\"source\":\"/channel\","
	"\"type\":\"bind\"}],\"ociVersion\":\"1.0.2\",\"process\":{"
	"\"args\":[\"/.cellos/init\",\"1000\",\"1001\",\"/w\",\"sh\","
	"\"-c\",\"\xc3\xa9\"],\"capabilities\":{\"bounding\":" CAPS
	",\"effective\":" CAPS ",\"permitted\":" CAPS "},\"cwd\":\"/\","
	"\"env\":[],"
	"\"noNewPrivileges\":true,\"rlimits\":[{\"hard\":1024,"
	"\"soft\":1024,\"type\":\"RLIMIT_NOFILE\"}],\"terminal\":false,"
	"\"user\":{\"gid\":0,\"uid\":0}},\"root\":{\"path\":\"/cell\","
	"\"readonly\":true}}";

/* @door and @in as in the request; Return: config.json, good until the next */
static const char *config(const struct door *door, enum cell_stdin in)
{
	static struct wbuf b = { .max = 65536 };
	static struct plan p;
	struct cell_request req;
	struct spec s;

	wbuf_reset(&b);
	load(&s, &p, &req);
	req.door = door;
	req.in = in;
	oci_config(&req, &p, 1024, &b);
	spec_drop(&s);
	return wbuf_cstr(&b);
}

static void all_of_it(void **state)
{
	(void)state;
	assert_string_equal(config(NULL, CELL_STDIN_NULL), whole);
}

/* With a way out it has the network of its caller, or runsc gives it none. */
static void a_network(void **state)
{
	static const struct door door = { .n_tcp = 0 };

	(void)state;
	assert_non_null(strstr(config(&door, CELL_STDIN_NULL),
			       "{\"type\":\"mount\"},{\"path\":"
			       "\"/proc/self/ns/net\",\"type\":"
			       "\"network\"}]"));
}

/* Its other end goes another way. */
static void a_terminal(void **state)
{
	(void)state;
	assert_non_null(
		strstr(config(NULL, CELL_STDIN_PTY), "\"terminal\":true"));
}

/* Nothing of the run's: no mount, no way out, and an init that is told nothing
 */
static void a_trial(void **state)
{
	OWNED(wbuf_drop) struct wbuf b = WBUF_INIT(4096);

	(void)state;
	oci_trial_config(&b);
	assert_string_equal(
		wbuf_cstr(&b),
		"{\"ociVersion\":\"1.0.2\",\"process\":{\"args\":["
		"\"/.cellos/init\"],\"cwd\":\"/\",\"user\":{\"gid\":0,"
		"\"uid\":0}},\"root\":{\"path\":\"/cell\","
		"\"readonly\":true}}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_of_it),
		cmocka_unit_test(a_network),
		cmocka_unit_test(a_terminal),
		cmocka_unit_test(a_trial),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
