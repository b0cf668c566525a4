/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "unpack/pick.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "unpack/blob.h"

enum { INDEXES_MAX = 4, NAMES_MAX = 400 };

static int read_file(int layout, const char *name, struct wbuf *text,
		     struct err *e)
{
	int r = file_read(layout, name, O_NOFOLLOW, text);

	return r ? err_set(e, ERR_PLAIN, -r, "%s", name) : 0;
}

static int in_blob(const struct oci_desc *d, struct err *e)
{
	char words[OCI_HEX + 16];

	(void)snprintf(words, sizeof(words), "blobs/sha256/%s: ", d->digest);
	return err_prefix(e, words);
}

/* -- index.json -- */

static bool is_image(const struct oci_desc *d)
{
	return d->fits && (d->kind == OCI_INDEX || d->kind == OCI_MANIFEST);
}

static bool is_named(const struct oci_desc *d, const char *ref)
{
	return !ref || slice_is(d->ref, ref);
}

static void list_names(const struct oci_index *in, const char *ref,
		       char buf[NAMES_MAX])
{
	char q[OCI_QUOTE];
	size_t n = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < in->n; i++) {
		const struct oci_desc *d = &in->entries[i];
		int more;

		if (!is_image(d) || !is_named(d, ref))
			continue;
		if (n > NAMES_MAX - OCI_QUOTE - 80) {
			(void)snprintf(buf + n, NAMES_MAX - n, ", ...");
			return;
		}
		more = snprintf(buf + n, NAMES_MAX - n, "%s%s%s%.12s%s",
				n ? ", " : "",
				d->ref.n ? oci_quote(d->ref, q) : "(no name)",
				" (sha256:", d->digest, "...)");
		n += (size_t)more;
	}
}

/* Two names of one image are no choice. */
static int choose(const struct oci_index *in, const char *ref,
		  const struct oci_desc **ret, struct err *e)
{
	char names[NAMES_MAX], q[OCI_QUOTE];
	unsigned others = 0;

	*ret = NULL;
	for (size_t i = 0; i < in->n; i++) {
		const struct oci_desc *d = &in->entries[i];

		if (!is_image(d) || !is_named(d, ref))
			continue;
		if (!*ret)
			*ret = d;
		else
			others += strcmp(d->digest, (*ret)->digest) != 0;
	}
	if (*ret && !others)
		return 0;
	list_names(in, *ret ? ref : NULL, names);
	if (!*ret && ref && names[0])
		return err_set(e, ERR_PLAIN, 0,
			       "index.json: no image for linux/amd64 is named "
			       "%s; there is %s",
			       oci_quote(slice_of(ref), q), names);
	if (!*ret)
		return err_set(e, ERR_PLAIN, 0,
			       "index.json: has no image for linux/amd64");
	if (ref)
		return err_set(e, ERR_PLAIN, 0,
			       "index.json: more than one image is named so: "
			       "%s; give each a name of its own "
			       "(org.opencontainers.image.ref.name)",
			       names);
	return err_set(e, ERR_PLAIN, 0,
		       "index.json: more than one image: %s; say which, as "
		       "--oci DIR:NAME",
		       names);
}

/* -- blobs -- */

/* From one entry down to a manifest */
static int follow(int blobs, const struct oci_desc *d, struct arena *a,
		  const struct oci_desc **ret, struct err *e)
{
	for (int depth = 0; d->kind == OCI_INDEX; depth++) {
		OWNED(wbuf_drop) struct wbuf text = WBUF_INIT(OCI_DOC_MAX);
		struct oci_index in;
		size_t i = 0;

		if (depth == INDEXES_MAX)
			return err_set(e, ERR_PLAIN, 0,
				       "index.json: more than %d indexes in "
				       "each other",
				       (int)INDEXES_MAX);
		if (blob_text(blobs, d, &text, e))
			return -1;
		if (oci_read_index(wbuf_as_slice(&text), a, &in, e))
			return in_blob(d, e);
		while (i < in.n && !is_image(&in.entries[i]))
			i++;
		if (i == in.n) {
			(void)err_set(e, ERR_PLAIN, 0,
				      "has no image for linux/amd64");
			return in_blob(d, e);
		}
		d = &in.entries[i];
	}
	*ret = d;
	return 0;
}

static int read_image(int blobs, const struct oci_desc *d, struct arena *a,
		      struct picked *ret, struct err *e)
{
	OWNED(wbuf_drop) struct wbuf text = WBUF_INIT(OCI_DOC_MAX);
	const struct oci_desc *config = &ret->manifest.config;

	if (blob_text(blobs, d, &text, e))
		return -1;
	if (oci_read_manifest(wbuf_as_slice(&text), a, &ret->manifest, e))
		return in_blob(d, e);
	wbuf_reset(&text);
	if (blob_text(blobs, config, &text, e))
		return -1;
	if (oci_read_config(wbuf_as_slice(&text), a, &ret->config, e))
		return in_blob(config, e);
	if (ret->config.n != ret->manifest.n) {
		(void)err_set(e, ERR_PLAIN, 0,
			      "%zu diff_ids, and %zu layers in the manifest",
			      ret->config.n, ret->manifest.n);
		return in_blob(config, e);
	}
	(void)snprintf(ret->digest, sizeof(ret->digest), "%s", d->digest);
	return 0;
}

int pick(int layout, int blobs, const char *ref, struct arena *a,
	 struct picked *ret, struct err *e)
{
	OWNED(wbuf_drop) struct wbuf text = WBUF_INIT(OCI_DOC_MAX);
	const struct oci_desc *d;
	struct oci_index in;

	*ret = (struct picked){ 0 };
	if (read_file(layout, "oci-layout", &text, e))
		return -1;
	if (oci_read_layout(wbuf_as_slice(&text), a, e))
		return err_prefix(e, "oci-layout: ");
	wbuf_reset(&text);
	if (read_file(layout, "index.json", &text, e))
		return -1;
	if (oci_read_index(wbuf_as_slice(&text), a, &in, e))
		return err_prefix(e, "index.json: ");
	if (choose(&in, ref, &d, e) || follow(blobs, d, a, &d, e))
		return -1;
	return read_image(blobs, d, a, ret, e);
}
