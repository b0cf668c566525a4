/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* `cellos completion`: scripts for three shells, from the verb tables. */
#include <stdio.h>
#include <string.h>

#include "cell/plan.h"
#include "cli/verb.h"

/* Words after which everything belongs to the command itself. */
static const char signal_words[] = "TERM KILL";
static const char shell_words[] = "bash zsh fish";
static const char *const wall_words = &CELL_WALL_WORDS[1];

static void verb_words(void)
{
	for (size_t i = 0; i < verb_count; i++)
		printf("%s%s", i ? " " : "", verbs[i].name);
}

static void opt_words(const struct verb *v)
{
	printf("-h --help");
	for (size_t i = 0; i < v->n_opts; i++) {
		if (v->opts[i].letter)
			printf(" -%c", v->opts[i].letter);
		if (v->opts[i].name)
			printf(" --%s", v->opts[i].name);
	}
}

/* What stands in a bash `COMPREPLY=( $(...) )` for one kind of value. */
static void bash_kind(enum verb_complete k)
{
	switch (k) {
	case COMPLETE_NONE:
		fputs(":", stdout);
		return;
	case COMPLETE_FILE:
		fputs("mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")",
		      stdout);
		return;
	case COMPLETE_DIR:
		fputs("mapfile -t COMPREPLY < <(compgen -d -- \"$cur\")",
		      stdout);
		return;
	case COMPLETE_VERB:
	case COMPLETE_SHELL:
	case COMPLETE_SIGNAL:
	case COMPLETE_WALL:
		break;
	}
	fputs("mapfile -t COMPREPLY < <(compgen -W \"", stdout);
	if (k == COMPLETE_VERB)
		verb_words();
	else
		fputs(k == COMPLETE_SHELL  ? shell_words
		      : k == COMPLETE_WALL ? wall_words
					   : signal_words,
		      stdout);
	fputs("\" -- \"$cur\")", stdout);
}

static void bash_verb(const struct verb *v)
{
	printf("\t%s)\n\t\tcase $prev in\n", v->name);
	for (size_t i = 0; i < v->n_opts; i++) {
		const struct verb_opt *o = &v->opts[i];

		if (!o->arg || !o->name)
			continue;
		printf("\t\t--%s) ", o->name);
		bash_kind(o->complete);
		fputs("; return ;;\n", stdout);
	}
	fputs("\t\tesac\n\t\tif [[ $cur == -* ]]; then\n"
	      "\t\t\tmapfile -t COMPREPLY < <(compgen -W \"",
	      stdout);
	opt_words(v);
	fputs("\" -- \"$cur\")\n\t\telse\n\t\t\t", stdout);
	bash_kind(v->operand);
	fputs("\n\t\tfi ;;\n", stdout);
}

static void bash(void)
{
	fputs("# bash completion for cellos\n"
	      "_cellos() {\n"
	      "\tlocal cur=${COMP_WORDS[COMP_CWORD]}"
	      " prev=${COMP_WORDS[COMP_CWORD-1]} i\n"
	      "\tCOMPREPLY=()\n"
	      "\tfor ((i = 2; i < COMP_CWORD; i++)); do\n"
	      "\t\t[[ ${COMP_WORDS[i]} == -- ]] || continue\n"
	      "\t\tmapfile -t COMPREPLY < <(compgen -cf -- \"$cur\")\n"
	      "\t\treturn\n"
	      "\tdone\n"
	      "\tif ((COMP_CWORD == 1)); then\n"
	      "\t\tmapfile -t COMPREPLY < <(compgen -W \"",
	      stdout);
	verb_words();
	fputs("\" -- \"$cur\")\n\t\treturn\n\tfi\n"
	      "\tcase ${COMP_WORDS[1]} in\n",
	      stdout);
	for (size_t i = 0; i < verb_count; i++)
		bash_verb(&verbs[i]);
	fputs("\tesac\n}\ncomplete -o filenames -F _cellos cellos\n", stdout);
}

/* @s inside single quotes and brackets of zsh's _arguments. */
static void zsh_text(const char *s)
{
	for (; *s; s++) {
		if (*s == '\'')
			fputs("'\\''", stdout);
		else if (*s == '[' || *s == ']' || *s == ':' || *s == '\\')
			printf("\\%c", *s);
		else
			putchar(*s);
	}
}

static void zsh_kind(const char *label, enum verb_complete k)
{
	printf(":");
	zsh_text(label);
	printf(":");
	switch (k) {
	case COMPLETE_NONE:
		printf(" ");
		break;
	case COMPLETE_FILE:
		printf("_files");
		break;
	case COMPLETE_DIR:
		printf("_files -/");
		break;
	case COMPLETE_VERB:
		printf("(");
		verb_words();
		printf(")");
		break;
	case COMPLETE_SHELL:
		printf("(%s)", shell_words);
		break;
	case COMPLETE_WALL:
		printf("(%s)", wall_words);
		break;
	case COMPLETE_SIGNAL:
		printf("(%s)", signal_words);
		break;
	}
}

static void zsh_verb(const struct verb *v)
{
	printf("\t(%s)\n\t\t_arguments \\\n", v->name);
	for (size_t i = 0; i < v->n_opts; i++) {
		const struct verb_opt *o = &v->opts[i];

		if (o->name)
			printf("\t\t\t'*--%s[", o->name);
		else
			printf("\t\t\t'-%c[", o->letter);
		zsh_text(o->doc);
		printf("]");
		if (o->arg)
			zsh_kind(o->arg, o->complete);
		printf("' \\\n");
	}
	printf("\t\t\t'(- *)'{-h,--help}'[print help]'");
	if (v->operand != COMPLETE_NONE) {
		printf(" \\\n\t\t\t'*");
		zsh_kind("argument", v->operand);
		printf("'");
	}
	printf(" ;;\n");
}

static void zsh(void)
{
	fputs("#compdef cellos\n"
	      "_cellos() {\n"
	      "\tlocal -a list\n"
	      "\tlist=(\n",
	      stdout);
	for (size_t i = 0; i < verb_count; i++) {
		printf("\t\t'%s:", verbs[i].name);
		zsh_text(verbs[i].summary);
		puts("'");
	}
	fputs("\t)\n"
	      "\tif ((CURRENT == 2)); then\n"
	      "\t\t_describe verb list\n"
	      "\t\treturn\n"
	      "\tfi\n"
	      "\tlocal verb=$words[2]\n"
	      "\tshift words\n"
	      "\t((CURRENT--))\n"
	      "\tif ((${words[(I)--]} > 0)); then\n"
	      "\t\t_normal\n"
	      "\t\treturn\n"
	      "\tfi\n"
	      "\tcase $verb in\n",
	      stdout);
	for (size_t i = 0; i < verb_count; i++)
		zsh_verb(&verbs[i]);
	fputs("\tesac\n}\n"
	      "if [ \"$funcstack[1]\" = \"_cellos\" ]; then\n"
	      "\t_cellos \"$@\"\n"
	      "else\n"
	      "\tcompdef _cellos cellos\n"
	      "fi\n",
	      stdout);
}

static void fish_text(const char *s)
{
	putchar('\'');
	for (; *s; s++) {
		if (*s == '\'' || *s == '\\')
			putchar('\\');
		putchar(*s);
	}
	putchar('\'');
}

static void fish_kind(enum verb_complete k)
{
	switch (k) {
	case COMPLETE_NONE:
		fputs(" -x", stdout);
		break;
	case COMPLETE_FILE:
		fputs(" -r -F", stdout);
		break;
	case COMPLETE_DIR:
		fputs(" -x -a '(__fish_complete_directories)'", stdout);
		break;
	case COMPLETE_VERB:
		fputs(" -x -a '", stdout);
		verb_words();
		fputs("'", stdout);
		break;
	case COMPLETE_SHELL:
		printf(" -x -a '%s'", shell_words);
		break;
	case COMPLETE_WALL:
		printf(" -x -a '%s'", wall_words);
		break;
	case COMPLETE_SIGNAL:
		printf(" -x -a '%s'", signal_words);
		break;
	}
}

static void fish_verb(const struct verb *v)
{
	static const char head[] =
		"complete -c cellos -n '__fish_seen_subcommand_from";

	if (v->operand == COMPLETE_FILE)
		printf("%s %s' -F\n", head, v->name);
	else if (v->operand != COMPLETE_NONE) {
		printf("%s %s'", head, v->name);
		fish_kind(v->operand);
		putchar('\n');
	}
	for (size_t i = 0; i < v->n_opts; i++) {
		const struct verb_opt *o = &v->opts[i];

		printf("%s %s'", head, v->name);
		if (o->letter)
			printf(" -s %c", o->letter);
		if (o->name)
			printf(" -l %s", o->name);
		if (o->arg)
			fish_kind(o->complete);
		fputs(" -d ", stdout);
		fish_text(o->doc);
		putchar('\n');
	}
}

static void fish(void)
{
	fputs("# fish completion for cellos\n"
	      "complete -c cellos -f\n"
	      "complete -c cellos -s h -l help -d 'print help'\n",
	      stdout);
	for (size_t i = 0; i < verb_count; i++) {
		printf("complete -c cellos -n __fish_use_subcommand -a %s -d ",
		       verbs[i].name);
		fish_text(verbs[i].summary);
		putchar('\n');
	}
	for (size_t i = 0; i < verb_count; i++)
		fish_verb(&verbs[i]);
}

static int take(void *ctx, const struct verb_opt *opt, const char *value,
		struct err *e)
{
	const char **shell = ctx;

	if (*shell)
		return verb_no_options(ctx, opt, value, e);
	*shell = value;
	return 0;
}

int verb_completion(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*print)(void);
	} shells[] = { { "bash", bash }, { "zsh", zsh }, { "fish", fish } };
	const char *shell = NULL;
	enum verb_parsed p =
		verb_parse("completion", argc, argv, take, &shell, NULL);

	if (p != VERB_GO)
		return p == VERB_HELP ? EXIT_FINE : EXIT_USAGE;
	for (size_t i = 0; shell && i < ARRAY_SIZE(shells); i++) {
		if (strcmp(shells[i].name, shell) != 0)
			continue;
		shells[i].print();
		return EXIT_FINE;
	}
	return verb_usage("completion", "want bash, zsh or fish");
}
