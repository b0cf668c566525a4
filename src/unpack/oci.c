/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "unpack/oci.h"

#include <stdio.h>
#include <string.h>

#include "base/ascii.h"
#include "wire/json_in.h"
#include "wire/json_out.h"

enum { DEPTH_MAX = 32 };

static const char ref_name[] = "org.opencontainers.image.ref.name";

static const struct {
	const char *name;
	enum oci_kind kind;
} media_types[] = {
	{ "application/vnd.oci.image.index.v1+json", OCI_INDEX },
	{ "application/vnd.oci.image.manifest.v1+json", OCI_MANIFEST },
	{ "application/vnd.oci.image.config.v1+json", OCI_CONFIG },
	{ "application/vnd.oci.image.layer.v1.tar", OCI_LAYER_TAR },
	{ "application/vnd.oci.image.layer.v1.tar+gzip", OCI_LAYER_GZIP },
	{ "application/vnd.oci.image.layer.v1.tar+zstd", OCI_LAYER_ZSTD },
	{ "application/vnd.docker.distribution.manifest.list.v2+json",
	  OCI_INDEX },
	{ "application/vnd.docker.distribution.manifest.v2+json",
	  OCI_MANIFEST },
	{ "application/vnd.docker.container.image.v1+json", OCI_CONFIG },
	{ "application/vnd.docker.image.rootfs.diff.tar", OCI_LAYER_TAR },
	{ "application/vnd.docker.image.rootfs.diff.tar.gzip", OCI_LAYER_GZIP },
	{ "application/vnd.docker.image.rootfs.diff.tar.zstd", OCI_LAYER_ZSTD },
};

enum oci_kind oci_kind_of(struct slice media_type)
{
	for (size_t i = 0; i < ARRAY_SIZE(media_types); i++)
		if (slice_is(media_type, media_types[i].name))
			return media_types[i].kind;
	return OCI_OTHER;
}

const char *oci_quote(struct slice s, char buf[OCI_QUOTE])
{
	size_t n = 0;

	buf[n++] = '"';
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (n > OCI_QUOTE - 12) {
			n += (size_t)snprintf(buf + n, OCI_QUOTE - n, "...");
			break;
		}
		if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\')
			buf[n++] = (char)c;
		else
			n += (size_t)snprintf(buf + n, OCI_QUOTE - n, "\\x%02x",
					      c);
	}
	(void)snprintf(buf + n, OCI_QUOTE - n, "\"");
	return buf;
}

/* -- JSON -- */

/* As deep as the parser lets it be */
static const struct json *twice_in(const struct json *v)
{
	const struct json *found = NULL;

	if (v->type != JSON_ARRAY && v->type != JSON_OBJECT)
		return NULL;
	for (const struct json *k = v->v.kids.first; k && !found; k = k->next)
		found = k->is_dup ? k : twice_in(k);
	return found;
}

/* The whole of a document, an object */
static int parse(struct slice text, struct arena *a, struct json **ret,
		 struct err *e)
{
	const struct json *twice;
	char q[OCI_QUOTE];

	if (json_parse(text, DEPTH_MAX, a, ret, e))
		return -1;
	if ((*ret)->type != JSON_OBJECT)
		return err_set(e, ERR_PLAIN, 0, "is not a JSON object");
	twice = twice_in(*ret);
	if (twice)
		return err_set(e, ERR_PLAIN, 0,
			       "member %s is there twice in one object",
			       oci_quote(twice->name, q));
	return 0;
}

/* A member of that type, or NULL */
static const struct json *member(const struct json *obj, const char *name,
				 enum json_type type)
{
	const struct json *v =
		obj->type == JSON_OBJECT ? json_get(obj, name) : NULL;

	return v && v->type == type ? v : NULL;
}

static int get_digest(struct slice s, char ret[OCI_HEX])
{
	static const char prefix[] = "sha256:";
	const size_t skip = sizeof(prefix) - 1;

	if (s.n != skip + OCI_HEX - 1 || memcmp(s.p, prefix, skip) != 0)
		return -1;
	for (size_t i = 0; i < OCI_HEX - 1; i++) {
		char c = s.p[skip + i];

		if (ascii_hex(c) < 0 || c != ascii_lower(c))
			return -1;
		ret[i] = c;
	}
	ret[OCI_HEX - 1] = '\0';
	return 0;
}

/* A manifest that is an index as well is read as one or the other by different
 * readers, which then run different things. */
static int not_both(const struct json *doc, const char *other,
		    enum oci_kind kind, struct err *e)
{
	const struct json *type = json_get(doc, "mediaType");
	const struct json *version = member(doc, "schemaVersion", JSON_U64);
	char q[OCI_QUOTE];

	if (!version || version->v.u != 2)
		return err_set(e, ERR_PLAIN, 0, "schemaVersion is not 2");
	if (type &&
	    (type->type != JSON_STRING || oci_kind_of(type->v.s) != kind))
		return err_set(
			e, ERR_PLAIN, 0, "mediaType %s is not that of %s",
			type->type == JSON_STRING ? oci_quote(type->v.s, q)
						  : "(no string)",
			kind == OCI_INDEX ? "an index" : "a manifest");
	if (json_get(doc, other))
		return err_set(e, ERR_PLAIN, 0,
			       "has manifests and layers, and can be read as "
			       "two different images");
	return 0;
}

/* -- descriptors -- */

static bool is_for_us(const struct json *platform)
{
	const struct json *os, *arch;

	if (!platform)
		return true;
	os = member(platform, "os", JSON_STRING);
	arch = member(platform, "architecture", JSON_STRING);
	return os && arch && slice_is(os->v.s, "linux") &&
	       slice_is(arch->v.s, "amd64");
}

static int get_desc(const struct json *v, const char *where,
		    struct oci_desc *ret, struct err *e)
{
	const struct json *type = member(v, "mediaType", JSON_STRING);
	const struct json *digest = member(v, "digest", JSON_STRING);
	const struct json *size = member(v, "size", JSON_U64);
	const struct json *notes = member(v, "annotations", JSON_OBJECT);
	const struct json *ref =
		notes ? member(notes, ref_name, JSON_STRING) : NULL;

	*ret = (struct oci_desc){
		.fits = is_for_us(
			v->type == JSON_OBJECT ? json_get(v, "platform") : NULL)
	};
	if (!type)
		return err_set(e, ERR_PLAIN, 0,
			       "%s has no mediaType that is a string", where);
	if (!digest || get_digest(digest->v.s, ret->digest))
		return err_set(e, ERR_PLAIN, 0,
			       "%s: digest is not sha256: and 64 lower-case "
			       "hex digits",
			       where);
	if (!size || size->v.u > INT64_MAX)
		return err_set(e, ERR_PLAIN, 0,
			       "%s: size is no number of bytes", where);
	ret->media_type = type->v.s;
	ret->kind = oci_kind_of(type->v.s);
	ret->size = size->v.u;
	if (ref)
		ret->ref = ref->v.s;
	return 0;
}

/* A member that is an array of descriptors, @max at most */
static int get_descs(const struct json *doc, const char *name, size_t max,
		     struct arena *a, struct oci_desc **ret, size_t *ret_n,
		     struct err *e)
{
	const struct json *list = member(doc, name, JSON_ARRAY);
	char where[32];
	size_t n = 0;

	if (!list)
		return err_set(e, ERR_PLAIN, 0, "has no array \"%s\"", name);
	if (list->v.kids.count > max)
		return err_set(e, ERR_PLAIN, 0,
			       "%s: %zu entries, of which there may be %zu",
			       name, list->v.kids.count, max);
	*ret = arena_alloc(a, (list->v.kids.count + 1) * sizeof(**ret));
	if (!*ret)
		return err_set(e, ERR_PLAIN, ENOMEM, "%s", name);
	for (const struct json *v = list->v.kids.first; v; v = v->next, n++) {
		(void)snprintf(where, sizeof(where), "%s[%zu]", name, n);
		if (get_desc(v, where, *ret + n, e))
			return -1;
	}
	*ret_n = n;
	return 0;
}

/* -- documents -- */

int oci_read_layout(struct slice text, struct arena *a, struct err *e)
{
	const struct json *v;
	struct json *doc;

	if (parse(text, a, &doc, e))
		return -1;
	v = member(doc, "imageLayoutVersion", JSON_STRING);
	if (!v || !slice_is(v->v.s, "1.0.0"))
		return err_set(e, ERR_PLAIN, 0,
			       "imageLayoutVersion is not \"1.0.0\"");
	return 0;
}

int oci_read_index(struct slice text, struct arena *a, struct oci_index *ret,
		   struct err *e)
{
	struct json *doc;

	*ret = (struct oci_index){ 0 };
	if (parse(text, a, &doc, e) || not_both(doc, "layers", OCI_INDEX, e))
		return -1;
	return get_descs(doc, "manifests", OCI_ENTRIES_MAX, a, &ret->entries,
			 &ret->n, e);
}

int oci_read_manifest(struct slice text, struct arena *a,
		      struct oci_manifest *ret, struct err *e)
{
	const struct json *config;
	char q[OCI_QUOTE];
	struct json *doc;

	*ret = (struct oci_manifest){ 0 };
	if (parse(text, a, &doc, e) ||
	    not_both(doc, "manifests", OCI_MANIFEST, e))
		return -1;
	config = member(doc, "config", JSON_OBJECT);
	if (!config)
		return err_set(e, ERR_PLAIN, 0, "has no object \"config\"");
	if (get_desc(config, "config", &ret->config, e) ||
	    get_descs(doc, "layers", OCI_LAYERS_MAX, a, &ret->layers, &ret->n,
		      e))
		return -1;
	if (ret->config.kind != OCI_CONFIG)
		return err_set(e, ERR_PLAIN, 0,
			       "config: %s is not the config of an image",
			       oci_quote(ret->config.media_type, q));
	for (size_t i = 0; i < ret->n; i++)
		if (ret->layers[i].kind < OCI_LAYER_TAR)
			return err_set(
				e, ERR_PLAIN, 0,
				"layers[%zu]: %s is no layer that can be "
				"unpacked: tar, tar+gzip or tar+zstd",
				i, oci_quote(ret->layers[i].media_type, q));
	return 0;
}

static int is_for_this_machine(const struct json *doc, struct err *e)
{
	const struct json *os = member(doc, "os", JSON_STRING);
	const struct json *arch = member(doc, "architecture", JSON_STRING);
	char q[2][OCI_QUOTE];

	if (os && arch && is_for_us(doc))
		return 0;
	return err_set(e, ERR_PLAIN, 0,
		       "is for os %s, architecture %s; a machine here is "
		       "linux, amd64",
		       os ? oci_quote(os->v.s, q[0]) : "(none)",
		       arch ? oci_quote(arch->v.s, q[1]) : "(none)");
}

int oci_read_config(struct slice text, struct arena *a, struct oci_config *ret,
		    struct err *e)
{
	const struct json *rootfs, *type, *ids;
	struct json *doc;

	*ret = (struct oci_config){ 0 };
	if (parse(text, a, &doc, e) || is_for_this_machine(doc, e))
		return -1;
	rootfs = member(doc, "rootfs", JSON_OBJECT);
	type = rootfs ? member(rootfs, "type", JSON_STRING) : NULL;
	ids = rootfs ? member(rootfs, "diff_ids", JSON_ARRAY) : NULL;
	if (!type || !slice_is(type->v.s, "layers") || !ids ||
	    ids->v.kids.count > OCI_LAYERS_MAX)
		return err_set(e, ERR_PLAIN, 0,
			       "rootfs is not of type \"layers\" with at most "
			       "%d diff_ids",
			       (int)OCI_LAYERS_MAX);
	ret->diff_ids =
		arena_alloc(a, (ids->v.kids.count + 1) * sizeof(char[OCI_HEX]));
	if (!ret->diff_ids)
		return err_set(e, ERR_PLAIN, ENOMEM, "diff_ids");
	for (const struct json *v = ids->v.kids.first; v; v = v->next)
		if (v->type != JSON_STRING ||
		    get_digest(v->v.s, ret->diff_ids[ret->n++]))
			return err_set(e, ERR_PLAIN, 0,
				       "rootfs.diff_ids[%zu] is not sha256: "
				       "and 64 lower-case hex digits",
				       ret->n ? ret->n - 1 : 0);
	ret->run = member(doc, "config", JSON_OBJECT);
	return 0;
}

/* -- what is told -- */

static void put_fact(const char *name, const struct json *v, struct wbuf *out)
{
	OWNED(wbuf_drop) struct wbuf text = WBUF_INIT(OCI_FACT_MAX);
	struct json_out j;

	json_out_init(&j, &text, false);
	json_write(&j, v);
	if (text.failed) {
		wbuf_fmt(out, "%s (longer than %d bytes)\n", name,
			 (int)OCI_FACT_MAX);
		return;
	}
	wbuf_fmt(out, "%s ", name);
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.p[i];

		if (c >= 0x20 && c < 0x7f)
			wbuf_byte(out, (char)c);
		else
			wbuf_fmt(out, "\\x%02x", c);
	}
	wbuf_byte(out, '\n');
}

void oci_facts(const struct oci_config *c, struct wbuf *out)
{
	static const char *const names[] = { "User", "WorkingDir", "Entrypoint",
					     "Cmd", "Env" };

	for (size_t i = 0; c->run && i < ARRAY_SIZE(names); i++) {
		const struct json *v = json_get(c->run, names[i]);

		if (v && v->type != JSON_NULL &&
		    !(v->type == JSON_STRING && !v->v.s.n) &&
		    !(v->type == JSON_ARRAY && !v->v.kids.count))
			put_fact(names[i], v, out);
	}
}
