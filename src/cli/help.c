/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Walks a verb's words by its table; help texts come from the same rows. */
#include "cli/help.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include "base/utf8.h"

enum { WORD_MAX = 64, HELP_COLUMN = 24, HELP_WIDTH = 79 };

static size_t min_of(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Edits (insert, delete, replace) from @a to @b; long words are far away. */
static size_t distance(const char *a, const char *b)
{
	size_t n = strlen(b), row[WORD_MAX + 1];

	if (strlen(a) > WORD_MAX || n > WORD_MAX)
		return SIZE_MAX;
	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (size_t i = 0; a[i]; i++) {
		size_t diag = row[0];

		row[0] = i + 1;
		for (size_t j = 0; j < n; j++) {
			size_t up = row[j + 1];
			size_t best = diag + (a[i] != b[j]);

			best = min_of(best, min_of(up, row[j]) + 1);
			diag = up;
			row[j + 1] = best;
		}
	}
	return row[n];
}

const char *help_nearer(const char *typed, const char *best, const char *word)
{
	size_t d = distance(typed, word), far = strlen(typed) / 3;

	/* two letters swapped are two edits, and the commonest slip */
	if (far < 2)
		far = strlen(typed) > 2 ? 2 : 1;
	if (d > far)
		return best;
	return !best || d < distance(typed, best) ? word : best;
}

/* @text from column HELP_COLUMN on, wrapped there; @at is where we stand. */
static void wrapped(FILE *f, int at, const char *text)
{
	int col = at;

	if (at >= HELP_COLUMN) {
		fputc('\n', f);
		col = 0;
	}
	for (const char *p = text; *p;) {
		int n = (int)strcspn(p, " ");

		if (col > HELP_COLUMN && col + 1 + n > HELP_WIDTH) {
			fputc('\n', f);
			col = 0;
		}
		if (col < HELP_COLUMN)
			fprintf(f, "%*s", HELP_COLUMN - col, "");
		else
			fputc(' ', f);
		col = (col < HELP_COLUMN ? HELP_COLUMN : col + 1) + n;
		fprintf(f, "%.*s", n, p);
		p += n;
		p += strspn(p, " ");
	}
	fputc('\n', f);
}

void help_all(FILE *f)
{
	fputs("Usage: cellos VERB [OPTION]... [ARGUMENT]...\n\n"
	      "Run one unit of work in a cell: nothing it does not need is "
	      "there, it ends when\nits time is over, and signed events say "
	      "what happened.\n\nVerbs:\n",
	      f);
	for (size_t i = 0; i < verb_count; i++)
		wrapped(f, fprintf(f, "  %s", verbs[i].name), verbs[i].summary);
	fputs("\n\"cellos help VERB\" tells more. "
	      "See also cellos(1), cellos-spec(5), cellos-events(7).\n",
	      f);
}

static void usage_lines(FILE *f, const struct verb *v)
{
	const char *lead = "Usage:";

	for (const char *p = v->synopsis; p; lead = "      ") {
		const char *end = strchr(p, '\n');
		int n = end ? (int)(end - p) : (int)strlen(p);

		fprintf(f, "%s cellos %s%s%.*s\n", lead, v->name, n ? " " : "",
			n, p);
		p = end ? end + 1 : NULL;
	}
}

void help_verb(FILE *f, const struct verb *v)
{
	usage_lines(f, v);
	fprintf(f, "\n%c%s.\n\nOptions:\n", toupper(v->summary[0]),
		v->summary + 1);
	for (size_t i = 0; i < v->n_opts; i++) {
		const struct verb_opt *o = &v->opts[i];
		int at = fprintf(f, "  ");

		if (o->letter)
			at += fprintf(f, "-%c%s", o->letter,
				      o->name ? ", " : "");
		else
			at += fprintf(f, "    ");
		if (o->name)
			at += fprintf(f, "--%s", o->name);
		if (o->arg)
			at += fprintf(f, " %s", o->arg);
		wrapped(f, at, o->doc);
	}
	wrapped(f, fprintf(f, "  -h, --help"), "print this and exit");
}

int output_flush(struct err *e)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	return err_set(e, ERR_PLAIN, errno, "write standard output");
}

int verb_usage(const char *verb, const char *fmt, ...)
{
	const struct verb *v = verb_find(verb);
	char text[sizeof(((struct err *)0)->text)];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fprintf(stderr, "cellos %s: ", verb);
	utf8_print(stderr, text);
	fprintf(stderr, "\nTry \"cellos %s --help\".\n", verb);
	return v && v->usage_exit ? v->usage_exit : EXIT_USAGE;
}

int verb_fail(const struct err *e, int status)
{
	err_print(stderr, e);
	return status;
}

int verb_no_options(void *ctx, const struct verb_opt *opt, const char *value,
		    struct err *e)
{
	(void)ctx;
	(void)opt;
	return err_set(e, ERR_PLAIN, 0, "unexpected argument \"%s\"",
		       value ? value : "");
}

/* One walk over a verb's words. */
struct walk {
	const struct verb *v;
	int argc, at;
	char **argv;
	int (*on)(void *ctx, const struct verb_opt *opt, const char *value,
		  struct err *e);
	void *ctx;
};

static const struct verb_opt *opt_long(const struct verb *v, const char *s,
				       size_t n)
{
	for (size_t i = 0; i < v->n_opts; i++) {
		const char *name = v->opts[i].name;

		if (name && strlen(name) == n && memcmp(name, s, n) == 0)
			return &v->opts[i];
	}
	return NULL;
}

static const struct verb_opt *opt_letter(const struct verb *v, char c)
{
	for (size_t i = 0; i < v->n_opts; i++)
		if (v->opts[i].letter == c)
			return &v->opts[i];
	return NULL;
}

static int unknown_long(const struct verb *v, const char *word, size_t n,
			struct err *e)
{
	char typed[WORD_MAX + 1];
	const char *best = NULL;

	if (n > WORD_MAX)
		n = WORD_MAX;
	memcpy(typed, word, n);
	typed[n] = '\0';
	for (size_t i = 0; i < v->n_opts; i++)
		if (v->opts[i].name)
			best = help_nearer(typed, best, v->opts[i].name);
	best = help_nearer(typed, best, "help");
	if (best)
		return err_set(e, ERR_PLAIN, 0,
			       "unknown option --%s; did you mean --%s?", typed,
			       best);
	return err_set(e, ERR_PLAIN, 0, "unknown option --%s", typed);
}

/* No option means anything by an empty value; an unset variable of a shell
 * gives one, and as a path it would be the current directory. */
static int take_option(const struct walk *w, const struct verb_opt *o,
		       const char *value, struct err *e)
{
	const char letter[2] = { o->letter };

	if (value && !*value)
		return err_set(e, ERR_PLAIN, 0,
			       "%s%s \"\" is empty: it needs a value: %s",
			       o->name ? "--" : "-", o->name ? o->name : letter,
			       o->arg);
	return w->on(w->ctx, o, value, e);
}

static int take_long(struct walk *w, struct err *e)
{
	const char *word = w->argv[w->at] + 2, *eq = strchr(word, '=');
	size_t n = eq ? (size_t)(eq - word) : strlen(word);
	const struct verb_opt *o = opt_long(w->v, word, n);
	const char *value = eq ? eq + 1 : NULL;

	/* without one it was seen before everything else */
	if (!o && n == 4 && !memcmp(word, "help", n))
		return err_set(e, ERR_PLAIN, 0, "--help takes no value");
	if (!o)
		return unknown_long(w->v, word, n, e);
	if (!o->arg && value)
		return err_set(e, ERR_PLAIN, 0, "--%s takes no value", o->name);
	if (o->arg && !value) {
		if (w->at + 1 >= w->argc)
			return err_set(e, ERR_PLAIN, 0,
				       "--%s needs a value: %s", o->name,
				       o->arg);
		value = w->argv[++w->at];
	}
	w->at++;
	return take_option(w, o, value, e);
}

static int take_letters(struct walk *w, struct err *e)
{
	for (const char *p = w->argv[w->at++] + 1; *p; p++) {
		const struct verb_opt *o = opt_letter(w->v, *p);
		const char *value = NULL;

		if (!o)
			return err_set(e, ERR_PLAIN, 0, "unknown option -%c",
				       *p);
		if (o->arg) {
			value = p[1] ? p + 1 : NULL;
			if (!value && w->at < w->argc)
				value = w->argv[w->at++];
			if (!value)
				return err_set(e, ERR_PLAIN, 0,
					       "-%c needs a value: %s", *p,
					       o->arg);
		}
		if (take_option(w, o, value, e))
			return -1;
		if (value)
			break;
	}
	return 0;
}

static int take_word(struct walk *w, struct err *e)
{
	const char *word = w->argv[w->at];

	if (strncmp(word, "--", 2) == 0)
		return take_long(w, e);
	if (word[0] == '-' && word[1]) /* "-" alone is standard input */
		return take_letters(w, e);
	w->at++;
	return w->on(w->ctx, NULL, word, e);
}

static bool wants_help(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "--help") == 0 ||
		    strcmp(argv[i], "-h") == 0)
			return true;
	return false;
}

enum verb_parsed verb_parse(const char *verb, int argc, char **argv,
			    int (*on)(void *ctx, const struct verb_opt *opt,
				      const char *value, struct err *e),
			    void *ctx, int *ret_rest)
{
	const struct verb *v = verb_find(verb);
	struct walk w = { .v = v,
			  .argc = argc,
			  .at = 1,
			  .argv = argv,
			  .on = on,
			  .ctx = ctx };
	bool only_operands = false;
	struct err e = { 0 };

	if (wants_help(argc, argv)) {
		help_verb(stdout, v);
		return VERB_HELP;
	}
	while (w.at < argc) {
		int r;

		if (!only_operands && strcmp(argv[w.at], "--") == 0) {
			w.at++;
			if (ret_rest)
				break;
			only_operands = true;
			continue;
		}
		r = only_operands ? on(ctx, NULL, argv[w.at++], &e)
				  : take_word(&w, &e);
		if (r) {
			(void)verb_usage(verb, "%s", e.text);
			return VERB_USAGE;
		}
	}
	if (ret_rest)
		*ret_rest = w.at;
	return VERB_GO;
}
