/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The env broker, and the sorted environment block of the command. */
#include "cli/secrets.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/env.h"

static size_t name_len(const char *pair)
{
	return strcspn(pair, "=");
}

static int pair_cmp(const void *a, const void *b)
{
	const char *x = *(char *const *)a, *y = *(char *const *)b;

	return slice_cmp((struct slice){ x, name_len(x) },
			 (struct slice){ y, name_len(y) });
}

/* A later variable of the same name wins */
static int put(struct secrets *s, struct slice name, const char *value)
{
	size_t n = name.n + strlen(value) + 2, i;
	char *pair = malloc(n);

	if (!pair)
		return -1;
	(void)snprintf(pair, n, "%.*s=%s", (int)name.n, name.p, value);
	for (i = 0; i < s->n; i++)
		if (slice_eq(name, (struct slice){ s->envp[i],
						   name_len(s->envp[i]) }))
			break;
	if (i < s->n) {
		explicit_bzero(s->envp[i], strlen(s->envp[i]));
		free(s->envp[i]);
	} else {
		s->n++;
	}
	s->envp[i] = pair;
	return 0;
}

/* KEY upper-cased, '-' to '_', other characters kept */
static void variable_of(struct slice key, char *buf, size_t size)
{
	size_t n = (size_t)snprintf(buf, size, "CELLOS_SECRET_");

	for (size_t i = 0; i < key.n && n + 1 < size; i++)
		buf[n++] = key.p[i] == '-'
				   ? '_'
				   : (char)toupper((unsigned char)key.p[i]);
	buf[n] = '\0';
}

static int resolve(struct slice key, const char **ret, struct err *e)
{
	char variable[160];
	const char *v;

	variable_of(key, variable, sizeof(variable));
	v = getenv(variable);
	if (!v)
		return err_set(e, ERR_PLAIN, 0,
			       "secret %s unresolvable via env broker: %senv "
			       "var %s not set (required for secret key "
			       "\"%s\")",
			       key.p, err_class_prefix(ERR_BROKER), variable,
			       key.p);
	if (!*v)
		return err_set(e, ERR_PLAIN, 0,
			       "secret %s unresolvable via env broker", key.p);
	*ret = v;
	return 0;
}

int secrets_resolve(const struct spec *s, char *const *base,
		    struct secrets *ret, struct err *e)
{
	const struct spec_strings *refs = &s->authority.secret_refs;
	size_t n_base = 0;
	int r = 0;

	while (base[n_base])
		n_base++;
	*ret = (struct secrets){ .envp = calloc(n_base + refs->n + 1,
						sizeof(char *)) };
	if (!ret->envp)
		return err_set(e, ERR_PLAIN, 0,
			       "no memory for the "
			       "environment");
	for (size_t i = 0; i < n_base && !r; i++)
		r = put(ret, (struct slice){ base[i], name_len(base[i]) },
			base[i] + name_len(base[i]) +
				(strchr(base[i], '=') != NULL));
	if (r)
		return err_set(e, ERR_PLAIN, 0,
			       "no memory for the "
			       "environment");
	for (size_t i = 0; i < refs->n && !r; i++) {
		const char *value = NULL;

		if (resolve(refs->p[i], &value, e) < 0)
			r = -1;
		else if (put(ret, refs->p[i], value) < 0)
			r = err_set(e, ERR_PLAIN, 0, "no memory for secrets");
	}
	qsort(ret->envp, ret->n, sizeof(char *), pair_cmp);
	return r;
}

void secrets_wipe(const struct spec *spec, struct secrets *s)
{
	char variable[160];

	for (size_t i = 0; i < spec->authority.secret_refs.n; i++) {
		variable_of(spec->authority.secret_refs.p[i], variable,
			    sizeof(variable));
		env_wipe(variable);
	}
	for (size_t i = 0; i < s->n; i++)
		explicit_bzero(s->envp[i], strlen(s->envp[i]));
}

void secrets_drop(struct secrets *s)
{
	/* the block may be borrowed elsewhere until here, never after */
	for (size_t i = 0; i < s->n; i++) {
		explicit_bzero(s->envp[i], strlen(s->envp[i]));
		free(s->envp[i]);
	}
	free(s->envp);
	*s = (struct secrets){ 0 };
}
