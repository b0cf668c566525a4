/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "unpack/layer.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "unpack/blob.h"

enum { BLOCK = 1 << 16 };

/* Two archives: of the blob, which is one compressed file, and of what that
 * holds, a tar. The second reads from the first. */
struct layer {
	struct blob blob;
	struct archive *packed; /* NULL: the blob is the tar */
	struct archive *tar;
	crypto_hash_sha256_state hash; /* of the tar */
	struct layer_account *acc;
	struct place *place;
	bool is_over; /* more bytes than there may be */
	unsigned char in[BLOCK], out[BLOCK];
};

static void layer_drop(struct layer *l)
{
	if (l->tar)
		(void)archive_read_free(l->tar);
	if (l->packed)
		(void)archive_read_free(l->packed);
	blob_drop(&l->blob);
}

/* -- the two streams -- */

static la_ssize_t read_blob(struct archive *a, void *arg, const void **ret)
{
	struct layer *l = arg;
	ssize_t n = blob_read(&l->blob, l->in, sizeof(l->in));

	if (n < 0)
		archive_set_error(a, l->blob.sys, "read");
	*ret = l->in;
	return n;
}

/* The next bytes of the tar, hashed and counted */
static la_ssize_t read_tar(struct archive *a, void *arg, const void **ret)
{
	struct layer *l = arg;
	la_ssize_t n;

	if (l->packed) {
		n = archive_read_data(l->packed, l->out, sizeof(l->out));
		if (n < 0)
			archive_set_error(a, archive_errno(l->packed), "%s",
					  archive_error_string(l->packed));
	} else {
		n = blob_read(&l->blob, l->out, sizeof(l->out));
		if (n < 0)
			archive_set_error(a, l->blob.sys, "read");
	}
	if (n > 0 && (uint64_t)n > l->acc->stream_left) {
		l->is_over = true;
		archive_set_error(a, EFBIG, "too large");
		n = -1;
	}
	if (n > 0) {
		l->acc->stream_left -= (uint64_t)n;
		(void)crypto_hash_sha256_update(&l->hash, l->out,
						(unsigned long long)n);
	}
	*ret = l->out;
	return n < 0 ? ARCHIVE_FATAL : n;
}

static int said(struct archive *a, const char *what, struct err *e)
{
	const char *text = archive_error_string(a);
	char q[OCI_QUOTE];

	return err_set(e, ERR_PLAIN, 0, "%s: %s", what,
		       oci_quote(slice_of(text ? text : "?"), q));
}

/* Only the compression the media type says, and only once */
static int open_packed(struct layer *l, enum oci_kind kind, struct err *e)
{
	const bool gzip = kind == OCI_LAYER_GZIP;
	const char *word = gzip ? "gzip" : "zstd";
	const int code = gzip ? ARCHIVE_FILTER_GZIP : ARCHIVE_FILTER_ZSTD;
	struct archive_entry *entry;

	l->packed = archive_read_new();
	if (!l->packed)
		return err_set(e, ERR_PLAIN, ENOMEM, "%s", word);
	if ((gzip ? archive_read_support_filter_gzip(l->packed)
		  : archive_read_support_filter_zstd(l->packed)) ||
	    archive_read_support_format_raw(l->packed) ||
	    archive_read_open(l->packed, l, NULL, read_blob, NULL) ||
	    archive_read_next_header(l->packed, &entry) != ARCHIVE_OK)
		return said(l->packed, word, e);
	/* the filter, and the one that stands for the file itself */
	if (archive_filter_count(l->packed) != 2 ||
	    archive_filter_code(l->packed, 0) != code)
		return err_set(e, ERR_PLAIN, 0,
			       "is not %s, once, as its media type says", word);
	return 0;
}

static int open_tar(struct layer *l, struct err *e)
{
	l->tar = archive_read_new();
	if (!l->tar)
		return err_set(e, ERR_PLAIN, ENOMEM, "tar");
	if (archive_read_support_format_tar(l->tar) ||
	    archive_read_open(l->tar, l, NULL, read_tar, NULL))
		return said(l->tar, "tar", e);
	return 0;
}

/* -- entries -- */

/* Holes are bytes: somebody will read them. */
static int write_data(struct layer *l, int fd, uint64_t size, struct err *e)
{
	const void *p;
	la_int64_t at;
	size_t n;
	int r;

	while ((r = archive_read_data_block(l->tar, &p, &n, &at)) ==
	       ARCHIVE_OK) {
		if (at < 0 || (uint64_t)at > size || n > size - (uint64_t)at)
			return err_set(e, ERR_PLAIN, 0, "data beyond its size");
		while (n) {
			ssize_t done = pwrite(fd, p, n, at);

			if (done < 0)
				return err_set(e, ERR_PLAIN, errno, "write");
			p = (const char *)p + done;
			n -= (size_t)done;
			at += done;
		}
	}
	if (r != ARCHIVE_EOF)
		return said(l->tar, "tar", e);
	return ftruncate(fd, (off_t)size) < 0
		       ? err_set(e, ERR_PLAIN, errno, "its size")
		       : 0;
}

static int put_file(struct layer *l, struct archive_entry *entry,
		    const struct entry_name *n, const struct place_attr *a,
		    struct err *e)
{
	OWNED(fd_drop) int fd = -1;
	const int64_t size = archive_entry_size(entry);

	if (size < 0 || (uint64_t)size > l->acc->file_left)
		return err_set(e, ERR_PLAIN, 0,
			       "files of more than %" PRIu64
			       " bytes in all; the limit is "
			       "CELLOS_LIMIT_IMAGE_BYTES",
			       l->acc->max);
	l->acc->file_left -= (uint64_t)size;
	if (place_file(l->place, n, &fd, e) ||
	    write_data(l, fd, (uint64_t)size, e) || place_attr(fd, a, e))
		return -1;
	l->acc->files++;
	return 0;
}

static int put_link(struct layer *l, const char *to, const struct entry_name *n,
		    struct err *e)
{
	static struct entry_name target; /* large */
	const char *why;

	if (name_parse(slice_of(to), &target, &why) ||
	    target.kind != NAME_PLAIN)
		return err_set(e, ERR_PLAIN, 0,
			       "a hard link to what is no file of the image");
	return place_link(l->place, n, &target, e);
}

static int get_attr(struct archive_entry *entry, struct place_attr *ret,
		    struct err *e)
{
	const int64_t uid = archive_entry_uid(entry);
	const int64_t gid = archive_entry_gid(entry);

	/* the last one means "as it is" to chown(2) */
	if (uid < 0 || uid >= UINT32_MAX || gid < 0 || gid >= UINT32_MAX)
		return err_set(e, ERR_PLAIN, 0,
			       "owner %" PRId64 ":%" PRId64 " is none", uid,
			       gid);
	*ret = (struct place_attr){ .uid = (uid_t)uid,
				    .gid = (gid_t)gid,
				    .mode = archive_entry_perm(entry) };
	return 0;
}

static int put_plain(struct layer *l, struct archive_entry *entry,
		     const struct entry_name *n, struct err *e)
{
	const char *link = archive_entry_hardlink(entry);
	const char *to = archive_entry_symlink(entry);
	struct place_attr a;

	if (link)
		return put_link(l, link, n, e);
	if (get_attr(entry, &a, e))
		return -1;
	switch ((unsigned)archive_entry_filetype(entry)) {
	case AE_IFREG:
		l->acc->set_ids += (a.mode & 06000) != 0;
		return put_file(l, entry, n, &a, e);
	case AE_IFDIR:
		return place_dir(l->place, n, &a, e);
	case AE_IFLNK:
		return to ? place_symlink(l->place, n, to, &a, e)
			  : err_set(e, ERR_PLAIN, 0, "a link without target");
	case AE_IFCHR:
	case AE_IFBLK:
	case AE_IFIFO:
		l->acc->nodes++;
		return place_nothing(l->place, n, e);
	default:
		return err_set(e, ERR_PLAIN, 0, "is of no known kind");
	}
}

static int put_entry(struct layer *l, struct archive_entry *entry,
		     struct err *e)
{
	static struct entry_name n; /* large */
	const char *path = archive_entry_pathname(entry);
	char words[OCI_QUOTE + 4], q[OCI_QUOTE];
	const char *why;
	int r;

	if (!path)
		return err_set(e, ERR_PLAIN, 0, "an entry without a name");
	if (!l->acc->entries_left)
		return err_set(e, ERR_PLAIN, 0, "more than %d entries in all",
			       (int)LAYER_ENTRIES_MAX);
	l->acc->entries_left--;
	if (name_parse(slice_of(path), &n, &why))
		r = err_set(e, ERR_PLAIN, 0, "%s", why);
	else if (n.kind == NAME_IGNORED)
		r = 0;
	else if (n.kind == NAME_WHITEOUT || n.kind == NAME_OPAQUE)
		r = place_hide(l->place, &n, e);
	else
		r = put_plain(l, entry, &n, e);
	if (!r)
		return 0;
	(void)snprintf(words, sizeof(words),
		       "%s: ", oci_quote(slice_of(path), q));
	return err_prefix(e, words);
}

static int put_all(struct layer *l, struct err *e)
{
	struct archive_entry *entry;
	const void *rest;
	la_ssize_t n;
	int r;

	while ((r = archive_read_next_header(l->tar, &entry)) == ARCHIVE_OK)
		if (put_entry(l, entry, e))
			return -1;
	/* also what it only warns of, a name that is no UTF-8 for one */
	if (r != ARCHIVE_EOF)
		return said(l->tar, "tar", e);
	/* zeros behind the last entry belong to what was hashed */
	do
		n = read_tar(l->tar, l, &rest);
	while (n > 0);
	return n < 0 ? said(l->tar, "tar", e) : 0;
}

/* A damaged blob is told as that, whatever it made of the archive. */
static int verdict(struct layer *l, const char *diff_id, int r, struct err *e)
{
	char got[OCI_HEX];
	struct err damage;

	if (l->is_over)
		return err_set(e, ERR_PLAIN, 0,
			       "layers of more than %" PRIu64
			       " bytes in all when unpacked; the limit is "
			       "CELLOS_LIMIT_IMAGE_BYTES",
			       l->acc->max);
	if (blob_end(&l->blob, &damage)) {
		*e = damage;
		return -1;
	}
	if (r)
		return r;
	blob_hex(&l->hash, got);
	if (strcmp(got, diff_id) != 0)
		return err_set(e, ERR_PLAIN, 0,
			       "unpacked it has sha256:%s, the config's "
			       "diff_id is sha256:%s",
			       got, diff_id);
	return 0;
}

int layer_unpack(int blobs, const struct oci_desc *d, const char *diff_id,
		 size_t i, struct place *p, struct layer_account *acc,
		 struct err *e)
{
	static struct layer l; /* large; one at a time */
	char words[32];
	int r;

	l.packed = l.tar = NULL;
	l.acc = acc;
	l.place = p;
	l.is_over = false;
	(void)crypto_hash_sha256_init(&l.hash);
	place_next_layer(p);
	r = blob_open(blobs, d, &l.blob, e);
	if (!r) {
		if (d->kind != OCI_LAYER_TAR)
			r = open_packed(&l, d->kind, e);
		if (!r)
			r = open_tar(&l, e);
		if (!r)
			r = put_all(&l, e);
		r = verdict(&l, diff_id, r, e);
	}
	layer_drop(&l);
	if (!r)
		return 0;
	(void)snprintf(words, sizeof(words), "layer %zu: ", i);
	return err_prefix(e, words);
}
