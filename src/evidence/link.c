/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The chain of links of one run. */
#include "evidence/link.h"

#include <inttypes.h>
#include <sodium.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "evidence/body.h"
#include "wire/b64.h"

void link_hash(struct slice line, uint8_t ret[LINK_HASH])
{
	(void)crypto_hash_sha256(ret, (const unsigned char *)line.p, line.n);
}

void link_digest_text(const uint8_t hash[LINK_HASH], char buf[LINK_DIGEST_TEXT])
{
	memcpy(buf, "sha256:", 7);
	hex_text(buf + 7, hash, LINK_HASH);
}

void link_drop(struct link_keeper *k)
{
	free(k->cell_id);
	free(k->spec_id);
	free(k->run_id);
	free(k->run_uuid);
	/* the digests are counted by what goes before them */
	memset(k, 0, offsetof(struct link_keeper, lines));
}

static char *copy_id(const char *s)
{
	return s && strlen(s) <= LINK_ID_MAX ? strdup(s) : NULL;
}

int link_begin(struct link_keeper *k, const char *cell_id, const char *spec_id,
	       const char *run_id, const char *run_uuid, struct err *e)
{
	link_drop(k);
	k->cell_id = copy_id(cell_id);
	k->spec_id = copy_id(spec_id);
	k->run_id = copy_id(run_id);
	k->run_uuid = copy_id(run_uuid);
	if (k->cell_id && k->spec_id && k->run_id && k->run_uuid)
		return 0;
	link_drop(k);
	return err_set(e, ERR_SINK, 0,
		       "event link: an id of the run is missing or longer "
		       "than %d bytes",
		       LINK_ID_MAX);
}

int link_event_check(const struct link_keeper *k, uint64_t n, struct err *e)
{
	if (!k->is_open)
		return err_set(e, ERR_SINK, 0,
			       "event link: event %" PRIu64 " before the "
			       "opening link",
			       n);
	if (k->is_closed)
		return err_set(e, ERR_SINK, 0,
			       "event link: event %" PRIu64 " after the final "
			       "link",
			       n);
	if (n != k->n + 1)
		return err_set(e, ERR_SINK, 0,
			       "event link: event %" PRIu64 " refused, %" PRIu64
			       " is next",
			       n, k->n + 1);
	if (k->pending == LINK_LINES_MAX)
		return err_set(e, ERR_SINK, 0,
			       "event link: a link is due after %d events",
			       LINK_LINES_MAX);
	return 0;
}

void link_event_note(struct link_keeper *k, struct slice line)
{
	link_hash(line, k->lines[k->pending++]);
	k->n++;
}

int link_check(const struct link_keeper *k, uint64_t n, struct err *e)
{
	if (!k->cell_id)
		return err_set(e, ERR_SINK, 0, "event link: no run has begun");
	if (k->is_closed)
		return err_set(e, ERR_SINK, 0, "event link: the run is closed");
	if (n != k->n)
		return err_set(e, ERR_SINK, 0,
			       "event link: link after event %" PRIu64
			       " refused, the last event is %" PRIu64,
			       n, k->n);
	return 0;
}

void link_body(const struct link_keeper *k, bool final, struct wbuf *b)
{
	char text[LINK_DIGEST_TEXT];
	struct json_out j;
	size_t i;

	json_out_init(&j, b, true);
	json_out_object(&j);
	body_ktext(&j, "cellId", k->cell_id);
	if (final)
		json_out_ku64(&j, "count", k->n);
	json_out_key(&j, "digests");
	json_out_array(&j);
	for (i = 0; i < k->pending; i++) {
		link_digest_text(k->lines[i], text);
		json_out_str(&j, text);
	}
	json_out_end(&j, ']');
	json_out_kbool(&j, "final", final);
	json_out_ku64(&j, "from", k->n - k->pending + 1);
	link_digest_text(k->previous, text);
	json_out_kstr_or_null(&j, "previous", k->sequence ? text : NULL);
	body_ktext(&j, "runId", k->run_id);
	body_ktext(&j, "runUuid", k->run_uuid);
	json_out_ku64(&j, "sequence", k->sequence);
	body_ktext(&j, "specId", k->spec_id);
	json_out_ku64(&j, "to", k->n);
	json_out_end(&j, '}');
}

void link_note(struct link_keeper *k, bool final, struct slice line)
{
	link_hash(line, k->previous);
	k->pending = 0;
	k->sequence++;
	k->is_open = true;
	k->is_closed = final;
}
