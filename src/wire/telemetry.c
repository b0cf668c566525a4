/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The few forms of CBOR that a frame has. */
#include "wire/telemetry.h"

#include <string.h>

#include "base/cursor.h"
#include "base/utf8.h"

enum { UINT, NEGATIVE, BYTES, TEXT, LIST, MAP, TAG, SIMPLE };
enum { PAIRS_MAX = 16 };

static const char *const probes[TELEMETRY_PROBE_NUM] = {
#define X(name, word) [TELEMETRY_##name] = word,
	TELEMETRY_PROBES(X)
#undef X
};

const char *telemetry_word(enum telemetry_probe p)
{
	return (unsigned)p < TELEMETRY_PROBE_NUM ? probes[p] : "?";
}

/* -- out -- */

static void put_head(struct wbuf *b, unsigned major, uint64_t v)
{
	unsigned n = v < 24 ? 0 : v <= 0xff ? 1 : v <= 0xffff ? 2 : 4;
	unsigned info = n == 0 ? (unsigned)v : n == 1 ? 24 : n == 2 ? 25 : 26;

	if (v > 0xffffffff) {
		n = 8;
		info = 27;
	}
	wbuf_byte(b, (char)(major << 5 | info));
	while (n--)
		wbuf_byte(b, (char)(v >> 8 * n & 0xff));
}

static void put_text(struct wbuf *b, const char *s)
{
	put_head(b, TEXT, strlen(s));
	wbuf_str(b, s);
}

void telemetry_put(struct wbuf *out, const struct telemetry_frame *f)
{
	const size_t at = out->len;
	size_t n;

	for (int i = 0; i < 4; i++)
		wbuf_byte(out, 0);
	put_head(out, MAP, 5);
	put_text(out, "content_version");
	put_head(out, UINT, TELEMETRY_VERSION);
	put_text(out, "probe_source");
	put_text(out, telemetry_word(f->probe));
	put_text(out, "guest_pid");
	put_head(out, UINT, f->pid);
	put_text(out, "guest_comm");
	put_text(out, f->comm);
	put_text(out, "guest_monotonic_ns");
	put_head(out, UINT, f->monotonic_ns);
	if (out->failed)
		return;
	n = out->len - at - 4;
	for (int i = 0; i < 4; i++)
		out->p[at + (size_t)i] = (char)(n >> 8 * i & 0xff);
}

/* -- in -- */

static bool get_head(struct slice *c, unsigned *major, uint64_t *ret)
{
	struct slice s;
	unsigned first, info, n;

	if (!cursor_take(c, 1, &s))
		return false;
	first = (unsigned char)*s.p;
	*major = first >> 5;
	info = first & 31;
	*ret = info;
	if (info < 24)
		return true;
	if (info > 27)
		return false; /* indefinite, or reserved */
	n = 1u << (info - 24);
	if (!cursor_take(c, n, &s))
		return false;
	*ret = 0;
	for (unsigned i = 0; i < n; i++)
		*ret = *ret << 8 | (unsigned char)s.p[i];
	return true;
}

static bool get_uint(struct slice *c, uint64_t max, uint64_t *ret)
{
	unsigned major;

	return get_head(c, &major, ret) && major == UINT && *ret <= max;
}

static bool get_text(struct slice *c, size_t max, struct slice *ret)
{
	unsigned major;
	uint64_t n;

	if (!get_head(c, &major, &n) || major != TEXT || n > max ||
	    !cursor_take(c, (size_t)n, ret))
		return false;
	for (size_t i = 0; i < ret->n;) {
		size_t k = utf8_len(ret->p + i, ret->n - i);

		if (!k || !ret->p[i])
			return false;
		i += k;
	}
	return true;
}

static bool skip(struct slice *c)
{
	unsigned major;
	uint64_t n;
	struct slice s;

	if (!get_head(c, &major, &n))
		return false;
	if (major == UINT || major == NEGATIVE)
		return true;
	return (major == BYTES || major == TEXT) && n <= c->n &&
	       cursor_take(c, (size_t)n, &s);
}

static bool get_probe(struct slice *c, enum telemetry_probe *ret)
{
	struct slice s;

	if (!get_text(c, 64, &s))
		return false;
	for (size_t i = 0; i < TELEMETRY_PROBE_NUM; i++)
		if (slice_eq(s, slice_of(probes[i]))) {
			*ret = (enum telemetry_probe)i;
			return true;
		}
	return false;
}

static bool get_comm(struct slice *c, char ret[TELEMETRY_COMM_MAX + 1])
{
	struct slice s;

	if (!get_text(c, TELEMETRY_COMM_MAX, &s))
		return false;
	memcpy(ret, s.p, s.n);
	ret[s.n] = '\0';
	return true;
}

enum { VERSION = 1, PROBE = 2, PID = 4, COMM = 8, TIME = 16, ALL = 31 };

static bool get_pair(struct slice *c, struct telemetry_frame *f, unsigned *seen)
{
	static const struct {
		const char *name;
		unsigned bit;
	} keys[] = { { "content_version", VERSION },
		     { "probe_source", PROBE },
		     { "guest_pid", PID },
		     { "guest_comm", COMM },
		     { "guest_monotonic_ns", TIME } };
	struct slice key;
	unsigned bit = 0;
	uint64_t v;

	if (!get_text(c, 64, &key))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (slice_eq(key, slice_of(keys[i].name)))
			bit = keys[i].bit;
	if (*seen & bit)
		return false;
	*seen |= bit;
	switch (bit) {
	case VERSION:
		return get_uint(c, TELEMETRY_VERSION, &v) &&
		       v == TELEMETRY_VERSION;
	case PROBE:
		return get_probe(c, &f->probe);
	case PID:
		if (!get_uint(c, UINT32_MAX, &v))
			return false;
		f->pid = (uint32_t)v;
		return true;
	case COMM:
		return get_comm(c, f->comm);
	case TIME:
		return get_uint(c, UINT64_MAX, &f->monotonic_ns);
	default:
		return skip(c);
	}
}

static bool get_body(struct slice c, struct telemetry_frame *ret)
{
	unsigned major, seen = 0;
	uint64_t pairs;

	if (!get_head(&c, &major, &pairs) || major != MAP || pairs > PAIRS_MAX)
		return false;
	for (uint64_t i = 0; i < pairs; i++)
		if (!get_pair(&c, ret, &seen))
			return false;
	return seen == ALL && c.n == 0;
}

ptrdiff_t telemetry_get(struct slice in, struct telemetry_frame *ret)
{
	uint32_t n = 0;

	if (in.n < 4)
		return 0;
	for (int i = 3; i >= 0; i--)
		n = n << 8 | (unsigned char)in.p[i];
	if (n == 0 || n > TELEMETRY_BODY_MAX)
		return -1;
	if (in.n - 4 < n)
		return 0;
	*ret = (struct telemetry_frame){ 0 };
	return get_body((struct slice){ in.p + 4, n }, ret) ? (ptrdiff_t)n + 4
							    : -1;
}
