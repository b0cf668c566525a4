# SPDX-License-Identifier: MIT OR Apache-2.0
"""The manual names everything the program's tables name, and nothing else."""
import os
import re
import shlex
import shutil
import subprocess

import pytest

import breakout_table

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
TOKEN = re.compile(
    r'"(?P<str>(?:[^"\\]|\\.)*)"|(?P<word>[A-Za-z0-9_]+)'
    r"|(?P<chr>'(?:[^'\\]|\\.)')|(?P<punct>[^\s])", re.S)


def read(path):
    with open(os.path.join(TOP, path), encoding="utf-8") as f:
        return f.read()


def without_comments(text):
    return re.sub(r"/\*.*?\*/", " ", text, flags=re.S)


def tokens(text):
    """Words, strings (quoted, joined when adjacent) and punctuation."""
    out = []
    for m in TOKEN.finditer(text):
        if m.lastgroup == "str":
            value = m["str"].replace('\\"', '"').replace("\\\\", "\\")
            if out and out[-1][0] == "str":
                out[-1] = ("str", out[-1][1] + value)
            else:
                out.append(("str", value))
        else:
            out.append((m.lastgroup, m[0]))
    return out


def rows_of(toks, opening, closing):
    """Lists of arguments between balanced brackets, split at commas."""
    rows, args, cur, depth = [], [], [], 0
    for kind, text in toks:
        if kind == "punct" and text == opening:
            depth += 1
            if depth == 1:
                args, cur = [], []
                continue
        if kind == "punct" and text == closing:
            depth -= 1
            if depth == 0:
                if cur:
                    args.append(" ".join(cur))
                rows.append(args)
                continue
        if depth == 1 and kind == "punct" and text == ",":
            args.append(" ".join(cur))
            cur = []
        elif depth:
            cur.append(text)
    return rows


def macro_body(path, name):
    text = read(path)
    m = re.search(r"^#define %s\b(?:\(X\))?((?:.*\\\n)*.*\n)" % name, text,
                  re.M)
    assert m, "%s has no table %s" % (path, name)
    return without_comments(m[1].replace("\\\n", "\n"))


def x_table(path, name):
    rows = rows_of(tokens(macro_body(path, name)), "(", ")")
    assert len(rows) > 1
    return rows


def env_rows():
    """(name, class, default, status, text)"""
    return x_table("src/cli/env.h", "ENV_TABLE")


def limit_rows():
    """(suffix, variable, default, minimum, maximum, text)"""
    return x_table("src/base/limits.h", "LIMITS")


def event_rows():
    """(suffix, type without prefix, ours, when)"""
    return x_table("src/evidence/event.h", "EVENT_TYPES")


def verify_rows():
    """(suffix, word, class, text)"""
    return x_table("src/evidence/verify.h", "VERIFY_FINDINGS")


def option_tables():
    """{table: [(letter or None, name or None, argument or None, text)]}"""
    text = without_comments(read("src/cli/verbs.c"))
    shape = macro_body("src/cli/verbs.c", "SHAPE_OPTIONS")
    tables = {}
    for m in re.finditer(r"verb_opt (\w+)\[\] = \{(.*?)\n?\};", text, re.S):
        body = m[2].replace("SHAPE_OPTIONS", shape)
        rows = []
        for r in rows_of(tokens(body), "{", "}"):
            none = {"NULL": None, "0": None}
            letter, name, arg = (none.get(v, v) for v in r[1:4])
            rows.append((letter and letter.strip("'"), name, arg, r[5]))
        assert rows, m[1]
        tables[m[1]] = rows
    return tables


def verb_options():
    """{verb: options}"""
    text = without_comments(read("src/cli/verbs.c"))
    tables = option_tables()
    table = text[text.index("const struct verb verbs[]"):]
    verbs = {}
    for m in re.finditer(r'\.name = "(\w+)",(.*?)(?=\{ \.name|\n\};)', table,
                         re.S):
        used = re.search(r"OPTS\((\w+)\)", m[2])
        verbs[m[1]] = tables[used[1]] if used else []
    assert len(verbs) >= 12
    return verbs


def section(page, title):
    """Body of one .Sh or .Ss of a page, without the smaller ones' headings."""
    m = re.search(r'^\.S[hs] "?%s"?$(.*?)(?=^\.S[hs] |\Z)' % re.escape(title),
                  read(page), re.M | re.S)
    assert m, "%s has no section %s" % (page, title)
    return m[1]


def test_every_verb_and_option_is_in_the_manual():
    for verb, options in verb_options().items():
        body = section("man/cellos.1", "cellos " + verb)
        shown = set(re.findall(r"^\.It Fl (\S+)", body, re.M))
        want = set()
        for letter, name, arg, _ in options:
            assert letter or name
            want.add("-" + name if name else letter)
            head = ".It Fl " + ("-" + name if name else letter)
            if arg:
                head += " Ar " + arg
            assert re.search("^" + re.escape(head) + "$", body, re.M), head
        assert shown == want, verb


def test_every_variable_is_in_the_manual():
    body = section("man/cellos.1", "ENVIRONMENT")
    shown = re.findall(r"^\.It Ev (\S+)", body, re.M)
    want = [r[0] for r in env_rows()] + [r[1] for r in limit_rows()]
    assert sorted(shown) == sorted(want)
    assert len(set(shown)) == len(shown)
    for row in env_rows():
        entry = re.search(
            r"^\.It Ev %s\n(.*?)(?=^\.It|^\.El)" % re.escape(row[0]), body,
            re.M | re.S)[1]
        for status, word in (("REFUSED", "Refused."), ("IGNORED", "Ignored.")):
            assert (word in entry) == (row[3] == status), row[0]


def test_every_limit_is_in_the_manual_with_its_numbers():
    body = section("man/cellos.1", "ENVIRONMENT")
    for row in limit_rows():
        entry = re.search(r"^\.It Ev %s\n(.*?)(?=^\.It|^\.El)" % row[1], body,
                          re.M | re.S)[1]
        for number in row[2:5]:
            assert re.search(r"\b%s\b" % number, entry), (row[1], number)


def test_every_event_type_is_in_the_manual():
    page = read("man/cellos-events.7")
    shown = re.findall(r"^\.It Li (\S+)$", page, re.M)
    want = [r[1] for r in event_rows()]
    for t in want:
        assert t in shown, t
    for t in shown:
        if re.match(r"(cell|signed_envelope)\b", t):
            assert t in want, t


def test_every_finding_of_verify_is_in_the_manual():
    body = section("man/cellos.1", "cellos verify")
    shown = dict(re.findall(r"^\.It Li (\S+) Pq (\d)$", body, re.M))
    assert shown == {r[1]: r[2] for r in verify_rows()}


def test_every_member_of_a_document_is_in_the_manual():
    page = read("man/cellos-spec.5")
    known = set(re.findall(r'"([a-z][A-Za-z0-9]+)"',
                           without_comments(read("src/spec/schema.c"))))
    assert "timeoutMs" in known and "ttlSeconds" in known
    missing = sorted(w for w in known
                     if not re.search(r"\b%s\b" % re.escape(w), page))
    assert missing == []


def test_no_link_in_the_documents_is_dead():
    for page in ["README.md", "SECURITY.md"] + [
            os.path.join("docs", n) for n in os.listdir(
                os.path.join(TOP, "docs")) if n.endswith(".md")]:
        here = os.path.join(TOP, os.path.dirname(page))
        for target in re.findall(r"\]\(([^)#\s]+)", read(page)):
            if not target.startswith(("http:", "https:", "mailto:")):
                assert os.path.exists(os.path.join(here, target)), (
                    page, target)


def test_the_published_answers_are_those_expected():
    """Of each hostile program on each wall, as the tests' tables have them."""
    for have, want in zip(read("docs/breakout.md").splitlines(),
                          breakout_table.page().splitlines()):
        assert have == want
    assert read("docs/breakout.md") == breakout_table.page()


needs_mandoc = pytest.mark.skipif(not shutil.which("mandoc"),
                                  reason="mandoc is not there")


def rendered(page):
    r = subprocess.run(["mandoc", "-Tutf8", "-Owidth=200", page],
                       cwd=os.path.join(TOP, "man"), capture_output=True,
                       text=True, check=True)
    return re.sub(".\b", "", r.stdout)


def example_words(line):
    """The words of one call of cellos, without what is the shell's."""
    words = shlex.split(line.partition(" > ")[0])
    return words[words.index("cellos") + 1:]


def walk_example(verb, words):
    """The program's own walk (src/cli/help.c) over the table of its verb."""
    options = verb_options()[verb]
    while words and words[0] != "--":
        word = words.pop(0)
        if not word.startswith("-") or word == "-":
            continue
        takes = []
        if word.startswith("--"):
            name, _, value = word[2:].partition("=")
            takes = [arg for _, n, arg, _ in options if n == name]
            assert len(takes) == 1, word
            takes = takes if not value else []
        for letter in word[1:] if not word.startswith("--") else "":
            found = [arg for a, _, arg, _ in options if a == letter]
            assert len(found) == 1, word
            takes += found
        if any(takes):
            assert words and words.pop(0) != "--", word


@needs_mandoc
def test_the_examples_are_words_the_program_takes():
    """As a reader sees and copies them: mdoc has its own idea of a dot."""
    seen = []
    for page in sorted(os.listdir(os.path.join(TOP, "man"))):
        for line in re.findall(r"^ +\$ (.+)$", rendered(page), re.M):
            verb, *words = example_words(line)
            walk_example(verb, words)
            seen.append(line)
    assert len(seen) == 9
    assert seen[0] == "cellos run --rw . --timeout 10m --memory 512M -- make"
    source = "".join(read("man/" + p)
                     for p in os.listdir(os.path.join(TOP, "man")))
    assert len(re.findall(r"^\.Dl \$ ", source, re.M)) == len(seen)


@needs_mandoc
def test_the_quotes_of_the_pages_close():
    for page in os.listdir(os.path.join(TOP, "man")):
        text = rendered(page)
        for opening, closing in ("‘’", "“”"):
            between = re.findall("%s([^%s]*)" % (opening, closing), text)
            assert [s for s in between if opening in s] == [], page


@needs_mandoc
def test_the_pages_are_clean():
    pages = sorted(os.listdir(os.path.join(TOP, "man")))
    assert len(pages) >= 3
    r = subprocess.run(["mandoc", "-Tlint", "-Wstyle"] + pages,
                       cwd=os.path.join(TOP, "man"), capture_output=True,
                       text=True, check=False)
    # other manuals may not be installed where the tests run
    lines = [line for line in r.stdout.splitlines()
             if "referenced manual not found" not in line]
    assert lines == []
