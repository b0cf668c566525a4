# SPDX-License-Identifier: MIT OR Apache-2.0
"""The verbs of cellos, from outside: exit status, output, messages."""
import base64
import json
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import subprocess
import time

import pytest

from conftest import BUILD, IS_ROOT, NO_GROUPS, SLACK, SOURCE

VERBS = ["run", "validate", "plan", "verify", "keygen", "image", "ps", "kill",
         "gc",
         "doctor", "completion", "version", "help"]
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"


def until(what, seconds=20):
    """The first true answer of what(), within a bound that is no claim."""
    end = time.monotonic() + seconds * SLACK
    while time.monotonic() < end:
        found = what()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("nothing came")


def finish(p):
    """Ends a process that ignores SIGTERM, too; what it said on stderr."""
    p.kill()
    return p.communicate(timeout=30)[1]


# -- words --

@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_is_everywhere_and_does_nothing(cells, verb, flag):
    r = cells.verb(verb, "--no-such-option", flag)
    assert (r.rc, r.err) == (0, "")
    assert r.out.startswith("Usage: cellos %s" % verb)
    assert not cells.state_dir.exists() and not cells.run_dir.exists()


def test_help_lists_every_verb(cells):
    for argv in ([], ["--help"], ["-h"], ["help"]):
        r = cells.verb(*argv)
        text = r.out if argv else r.err
        assert r.rc == (0 if argv else 2)
        assert re.findall(r"^  (\w+) ", text, re.M) == VERBS


def test_help_of_a_command_is_the_commands(cells):
    r = cells.verb("run", "--", "echo", "--help", "-h")
    assert (r.rc, r.out, r.err) == (0, "--help -h\n", "")


@pytest.mark.parametrize("argv,rc,text", [
    (["rnu"], 2, 'cellos: unknown verb "rnu"; did you mean "run"?'),
    (["frobnicate"], 2, 'cellos: unknown verb "frobnicate"\n'),
    (["help", "verfy"], 2, 'did you mean "verify"?'),
    (["run", "--memry", "1G", "--", "true"], 125, "did you mean --memory?"),
    (["run"], 125, "no document, and no command after --"),
    (["run", "--timeout"], 125, "--timeout needs a value: TIME"),
    (["plan", "--events", "x", "--", "true"], 2, "unknown option --events"),
    (["verify", "--jsn", "x"], 2, "did you mean --json?"),
    (["verify"], 2, "cellos verify: no file"),
    (["kill"], 2, "cellos kill: no run"),
    (["kill", ""], 2, 'cellos kill: "" is empty: it needs the start of a run '
     'UUID; "cellos ps" lists them\n'),
    (["ps", "--help=1"], 2, "cellos ps: --help takes no value\n"),
    (["run", "--helpp"], 125, "did you mean --help?"),
    (["kill", "--signal", "HUP", "x"], 2, "want TERM or KILL"),
    (["ps", "extra"], 2, 'unexpected argument "extra"'),
    (["completion", "csh"], 2, "want bash, zsh or fish"),
])
def test_wrong_words(cells, argv, rc, text):
    r = cells.verb(*argv)
    assert (r.rc, r.out) == (rc, "")
    assert text in r.err


def test_no_value_of_an_option_is_empty(cells, tmp_path):
    """As a shell's unset variable is: it would be the current directory."""
    seen = set()
    for verb in VERBS:
        usage = cells.verb(verb, "--help").out
        for opt, arg in re.findall(r"^ {4,}--([a-z-]+) ([A-Z]\S*)", usage,
                                   re.M):
            want = f'cellos {verb}: --{opt} "" is empty: it needs a value: ' \
                f'{arg}\nTry "cellos {verb} --help".\n'
            for words in ([f"--{opt}", ""], [f"--{opt}="]):
                r = cells.call([cells.cellos, verb, *words], cwd=tmp_path)
                assert (r.rc, r.out, r.err) == (
                    125 if verb == "run" else 2, "", want)
            seen.add((verb, opt))
    assert len(seen) == 31 and ("keygen", "out") in seen, seen
    assert list(tmp_path.glob("*.key")) == []


def test_version(cells):
    for argv in (["version"], ["--version"], ["-V"]):
        r = cells.verb(*argv)
        assert r.rc == 0 and re.fullmatch(r"cellos \d+\.\d+\.\d+\n", r.out)


def lost(cells, program, *argv, **env):
    """Exit status and stderr of a program whose stdout is full."""
    with open("/dev/full", "w", encoding="ascii") as full:
        p = subprocess.run([program, *argv], stdout=full,
                           stderr=subprocess.PIPE, check=False,
                           env={**cells.environ(), **env})
    return p.returncode, p.stderr.decode()


LOST = ("Error: write standard output: No space left on device "
        "(os error 28)\n")


@pytest.mark.parametrize("argv,rc", [
    (["help"], 1), (["version"], 1), (["completion", "bash"], 1),
    (["verify", "--help"], 2), (["run", "--print-spec", "--", "true"], 125),
])
def test_output_that_is_lost_is_a_failure(cells, argv, rc):
    assert lost(cells, cells.cellos, *argv) == (rc, LOST)


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_a_verdict_that_is_lost_is_no_verdict(cells, flags):
    """1 would say that the file was falsified."""
    r = cells.run("true")
    good = ["verify", *flags, r.events_path]
    assert lost(cells, cells.cellos, *good) == (2, LOST)
    read, write = os.pipe()
    os.close(read)      # as behind `| true`
    p = subprocess.run([cells.cellos, *good], stdout=write, check=False,
                       stderr=subprocess.PIPE, env=cells.environ())
    os.close(write)
    assert (p.returncode, p.stderr) == (
        2, b"Error: write standard output: Broken pipe (os error 32)\n")
    text = pathlib.Path(r.events_path).read_text(encoding="utf-8")
    bad = pathlib.Path(r.events_path + ".bad")
    assert '"argc":1,' in text
    bad.write_text(text.replace('"argc":1,', '"argc":2,'), encoding="utf-8")
    assert lost(cells, cells.cellos, "verify", *flags, bad) == (1, LOST)


@pytest.mark.parametrize("flag", ["--version", "--help"])
def test_the_other_face_says_that_its_output_is_lost(cells, flag):
    got = lost(cells, BUILD / "cellos-supervisor", flag,
               CELLOS_DEPLOYMENT_PROFILE="portable")
    assert (got[0], got[1].splitlines()[-1]) == (1, LOST.rstrip())


# -- run --

@pytest.mark.parametrize("script,rc", [
    ("exit 0", 0), ("exit 7", 7), ("exit 255", 255), ("kill -9 $$", 137),
    ("kill -15 $$", 143),
])
def test_exit_status_is_the_commands(cells, script, rc):
    r = cells.run("sh", "-c", script)
    assert (r.rc, r.out, r.err) == (rc, "", "")


@pytest.mark.parametrize("argv,rc,text", [
    (["no-such-command"], 127, "No such file or directory"),
    (["/no/such/command"], 127, "No such file or directory"),
    (["/etc/passwd"], 126, "Permission denied"),
])
def test_a_command_that_cannot_be_executed(cells, argv, rc, text):
    r = cells.run(*argv)
    assert (r.rc, r.out) == (rc, "")
    assert text in r.err
    assert r.one("lifecycle.v1.destroyed")["outcome"] == "failed"


def test_timeout(cells):
    r = cells.run("sleep", "600", flags=["--timeout", "300ms"])
    assert r.rc == 124
    assert "command timed out after 300 ms" in r.err
    assert r.one("command.v1.completed")["exitCode"] == -1


def test_directories(cells, tmp_path):
    rw, ro, other = tmp_path / "rw", tmp_path / "ro", tmp_path / "other"
    for d in (rw, ro, other):
        d.mkdir()
        (d / "f").write_text(d.name)
        os.chmod(d, 0o755)
    r = cells.run("sh", "-c", "pwd; cat %s/f; echo new > g; "
                  "echo x > %s/g; ls %s" % (ro, ro, other), rw=[rw], ro=[ro])
    assert r.out == "%s\nro" % rw
    assert (rw / "g").read_text() == "new\n"
    assert not (ro / "g").exists()
    assert "Read-only file system" in r.err
    assert "No such file or directory" in r.err
    assert r.rc == 2


def test_environment(cells):
    r = cells.run("env", flags=["--env", "A=1", "--env", "FROM_US"],
                  env={"FROM_US": "2", "NOT_NAMED": "3"})
    assert (r.rc, r.err) == (0, "")
    assert sorted(r.out.split("\n")[:-1]) == [
        "A=1", "FROM_US=2", "HOME=/tmp", "PATH=/usr/bin:/bin:/usr/local/bin"]


@pytest.mark.parametrize("path,name,rc,out,why", [
    (None, "{d}/first", 0, "first a b\n", ""),
    ("{d}/no:{d}/plain:{d}", "first", 0, "first a b\n", ""),
    ("{d}/no:{d}", "plain", 126, "", "Permission denied (os error 13)"),
    ("{d}:{d}/second", "plain", 0, "second a b\n", ""),
    ("{d}/second", "first", 127, "", "No such file or directory (os error 2)"),
    ("{d}", "foreign", 127, "", "{d}/foreign: 1: "),
])
def test_search_of_the_command(cells, tmp_path, path, name, rc, out, why):
    """As execvp(3) of the GNU C library: a script needs no "#!", and what may
    not be run is passed over."""
    d = tmp_path / "bin"
    for f, text, mode in (("first", 'echo first "$@"\n', 0o755),
                          ("plain", 'echo plain "$@"\n', 0o644),
                          ("second/plain", 'echo second "$@"\n', 0o755),
                          ("foreign", "\x7fELF\x01\n", 0o755)):
        (d / f).parent.mkdir(parents=True, exist_ok=True)
        (d / f).write_text(text)
        (d / f).chmod(mode)
    for x in (d, d / "second"):
        x.chmod(0o755)
    flags = ["--env", "PATH=" + path.format(d=d)] if path else []
    r = cells.run(name.format(d=d), "a", "b", ro=[d], flags=flags)
    assert (r.rc, r.out) == (rc, out), r
    assert why.format(d=d) in r.err


def test_standard_input(cells):
    for flags, out in (([], ""), (["-i"], "in\n")):
        p = subprocess.run(
            cells.argv(["cat"], flags=flags, events=cells.events_path()),
            input=b"in\n", stdout=subprocess.PIPE, env=cells.environ(),
            check=False, timeout=60 * SLACK)
        assert (p.returncode, p.stdout.decode()) == (0, out)


def test_terminal(cells):
    """With -t the command has a terminal that is not the caller's."""
    master, slave = pty.openpty()
    ours = os.ttyname(slave)
    with subprocess.Popen(
            cells.argv(["sh", "-c", "tty; read x; echo got $x; exit 3"],
                       flags=["-it"], events=cells.events_path()),
            stdin=slave, stdout=slave, stderr=slave,
            env=cells.environ({"TERM": "dumb"}), start_new_session=True) as p:
        os.close(slave)
        seen = b""

        def read_some(mark):
            nonlocal seen
            if select.select([master], [], [], 0.1)[0]:
                try:
                    seen += os.read(master, 4096)
                except OSError:
                    pass
            return mark in seen
        until(lambda: read_some(b"/dev/pts/0"))
        assert ours == "/dev/pts/0" or ours.encode() not in seen
        os.write(master, b"word\n")
        until(lambda: read_some(b"got word"))
        assert p.wait(30 * SLACK) == 3
    os.close(master)


def test_print_spec_is_a_document_that_runs(cells, tmp_path):
    argv = ["run", "--print-spec", "--rw", tmp_path, "--timeout", "5s",
            "--memory", "64M", "--cpus", "0.5", "--", "echo", "one two"]
    r = cells.verb(*argv)
    assert (r.rc, r.err) == (0, "")
    doc = json.loads(r.out)
    ident = doc["spec"].pop("id")
    assert re.fullmatch(r"run-[0-9a-f]{8}", ident)
    assert doc == {
        "apiVersion": "cellos.io/v1", "kind": "ExecutionCell",
        "spec": {
            "run": {
                "argv": ["echo", "one two"],
                "workingDirectory": str(tmp_path), "timeoutMs": 5000,
                "limits": {"memoryMaxBytes": 67108864,
                           "cpuMax": {"quotaMicros": 50000,
                                      "periodMicros": 100000}},
                "secretDelivery": "env"},
            "authority": {"filesystem": {"mounts": [
                {"path": str(tmp_path), "mode": "rw"}]}},
            "lifetime": {"ttlSeconds": 86400}}}
    assert list(doc["spec"]) == ["run", "authority", "lifetime"]
    assert not cells.state_dir.exists()

    r = cells.verb("run", "--print-spec", "--", "echo", "one two")
    path = tmp_path / "doc.json"
    path.write_text(r.out)
    assert cells.verb("validate", path).rc == 0
    r = cells.run_document(str(path))
    assert (r.rc, r.out, r.err) == (0, "one two\n", "")


def test_options_that_contradict_a_document(cells):
    doc = cells.document(["true"])
    r = cells.verb("run", "--memory", "1G", doc)
    assert (r.rc, r.out) == (125, "")
    assert "set spec.run.limits.memoryMaxBytes in it" in r.err
    assert not cells.state_dir.exists()


def test_what_is_wrong_in_a_document_is_named(cells, tmp_path):
    path = tmp_path / "doc.json"
    path.write_text(json.dumps({
        "apiVersion": "cellos.io/v1", "kind": "ExecutionCell",
        "spec": {"id": "a", "authority": {}, "lifetime": {"ttlSeconds": 1},
                 "run": {"argv": ["true"], "timeoutMS": 5}}}))
    for verb in ("run", "validate"):
        r = cells.verb(verb, path)
        assert (r.rc, r.out) == (125 if verb == "run" else 1, "")
        for word in (str(path), "/spec/run/timeoutMS", "timeoutMs"):
            assert word in r.err, r.err
    path.write_text('{"apiVersion": "cellos.io/v1",\n  "kind" }')
    r = cells.verb("validate", path)
    assert r.rc == 1 and str(path) in r.err and "line 2" in r.err
    r = cells.verb("run", tmp_path / "absent.json")
    assert r.rc == 125 and "absent.json" in r.err


EVIL, SHOWN = "\x1b[31m\u009b\nError: é", r"\u{1b}[31m\u{9b}\nError: é"


def evil(**more):
    spec = {"id": "a", "authority": {}, "lifetime": {"ttlSeconds": 9},
            "run": {"argv": ["true"]}}
    for at, value in more.items():
        if at in ("argv", "workingDirectory"):
            spec["run"][at] = value
        else:
            spec["authority"][at] = value
    return {"apiVersion": "cellos.io/v1", "kind": "ExecutionCell",
            "spec": spec}


def mount_of(path):
    return {"filesystem": {"mounts": [{"path": path, "mode": "ro"}]}}


@pytest.mark.parametrize("verb,doc,shown", [
    ("run", evil(argv=[EVIL]), "exec: " + SHOWN),
    ("validate", evil(**{EVIL: 1}), "/spec/authority/%s is not" % SHOWN),
    ("run", evil(**mount_of("/" + EVIL)), "source: mount /" + SHOWN),
    ("plan", evil(**mount_of("/" + EVIL)), "source: mount /" + SHOWN),
    ("run", evil(workingDirectory="/" + EVIL),
     "source: workingDirectory /" + SHOWN),
    ("run", evil(workingDirectory=EVIL),
     'workingDirectory "%s" is not' % SHOWN),
])
def test_text_of_a_document_is_no_line_of_a_message(cells, tmp_path, verb, doc,
                                                    shown):
    path = tmp_path / "doc.json"
    path.write_text(json.dumps(doc))
    r = cells.verb(verb, path)
    assert r.rc not in (0, 2) and r.out == ""
    assert shown in r.err, r.err
    check_lines(r.err)


def check_lines(text):
    """No line that a text from outside made, nothing a terminal obeys."""
    assert text.count("\nError: ") == 0
    assert re.search(r"[^\n\x20-\x7eé]", text) is None, text


@pytest.mark.parametrize("argv", [
    [EVIL], ["help", EVIL], ["ps", EVIL], ["run", "--" + EVIL],
    ["validate", EVIL], ["verify", EVIL], ["kill", EVIL],
    ["kill", "--signal", EVIL, "x"], ["image", EVIL],
    ["run", "--timeout", EVIL, "--", "true"], ["run", "--", EVIL],
    ["run", "--events", "/nowhere/" + EVIL, "--", "true"],
    ["run", "--rw", "/" + EVIL, "--", "true"],
])
def test_an_argument_is_no_line_of_a_message(cells, argv):
    r = cells.verb(*argv)
    assert r.rc != 0
    assert SHOWN in r.out + r.err
    check_lines(r.out + r.err)


def test_a_path_is_no_step_of_a_plan(cells, tmp_path):
    made = tmp_path / (EVIL + "\n  9  exec")
    made.mkdir()
    r = cells.verb("plan", "--ro", made, "--", EVIL)
    assert (r.rc, r.err) == (0, "")
    check_lines(r.out)
    steps = r.out.splitlines()
    shown = "%s/%s" % (tmp_path, SHOWN + r"\n  9  exec")
    assert any(re.fullmatch(r" *\d+  bind +%s ro  # declared, read-only"
                            % re.escape(shown), s) for s in steps), r.out
    assert re.fullmatch(r" *\d+  exec +" + re.escape(SHOWN), steps[-1])


def way_out(hosts, allowlist=(), **more):
    rules = [{"host": h, "port": 443} for h in hosts]
    dns = {"hostnameAllowlist": list(allowlist), **more}
    return json.dumps({
        "apiVersion": "cellos.io/v1", "kind": "ExecutionCell",
        "spec": {"id": "a", "lifetime": {"ttlSeconds": 1},
                 "authority": {"egressRules": rules, "dnsAuthority": dns},
                 "run": {"argv": ["true"], "secretDelivery": "env"}}})


def test_validate_warns_of_names_that_lead_anywhere(cells, tmp_path):
    path = tmp_path / "doc.json"
    wide, doh = "holds names that anybody can have", "past the list of names"
    cases = [
        ("dns.google", doh), ("DNS.Google", doh), ("*.google", wide),
        ("*.cloudflare-dns.com", doh), ("*.quad9.net", doh),
        ("chrome.cloudflare-dns.com", doh), ("*.one.one.one", doh),
        ("*.com", wide), ("*.co.uk", wide), ("*.GitHub.io", wide),
        ("*.amazonaws.com", wide), ("*.workers.dev", wide),
        ("github.io", None), ("*.me.github.io", None), ("quad9.net", None),
        ("example.com", None), ("*.example.com", None), ("192.0.2.1", None),
        ("evil-dns.google", None), ("*.dns.google", None)]
    path.write_text(way_out([h for h, _ in cases]))
    r = cells.verb("validate", path)
    assert (r.rc, r.out) == (0, f"{path}: valid\n"), r
    want = [(f'{path}: warning: "{h}"', why,
             f"(at /spec/authority/egressRules/{i}/host)")
            for i, (h, why) in enumerate(cases) if why]
    lines = r.err.splitlines()
    assert len(lines) == len(want), r
    for line, (head, why, at) in zip(lines, want):
        assert line.startswith(head) and why in line and line.endswith(at), r
    path.write_text(way_out([], ["www.example.com", "*.pages.dev"]))
    r = cells.verb("validate", path)
    line, = r.err.splitlines()
    assert r.rc == 0 and wide in line and line.endswith(
        "(at /spec/authority/dnsAuthority/hostnameAllowlist/1)")
    path.write_text(way_out(["example.com"]))
    assert cells.verb("validate", path).err == ""


VALIDATE = ["--validate"]


@pytest.mark.parametrize("how", ["fifo", "/dev/fd/", "/proc/self/fd/"])
@pytest.mark.parametrize("words", [
    ["run"], ["plan"], ["validate"], [], VALIDATE],
    ids=["run", "plan", "validate", "supervisor", "supervisor-validate"])
def test_a_document_from_a_pipe(cells, how, words):
    doc = cells.document(["echo", "piped"])
    program = [cells.supervisor, *words] if words in ([], VALIDATE) \
        else [cells.cellos, *words]
    env = {"CELL_OS_USE_NOOP_SINK": "1"}
    if how == "fifo":
        path = cells.tmp / "fifo"
        os.mkfifo(path)
        with subprocess.Popen(["cp", doc, path]) as p:
            r = cells.call([*program, path], env=env)
            p.kill()
    else:
        here, there = os.pipe()
        os.write(there, pathlib.Path(doc).read_bytes())
        os.close(there)
        r = cells.call([*program, f"{how}{here}"], env=env, pass_fds=[here])
        os.close(here)
    assert r.rc == 0, r
    if words in (["run"], []):
        assert r.out == "piped\n", r


def test_a_document_without_an_end_is_too_long(cells):
    for program in ([cells.cellos, "validate"], [cells.supervisor]):
        r = cells.call([*program, "/dev/zero"])
        assert r.rc == 1 and r.err.endswith(
            "Error: read cell spec /dev/zero\n\nCaused by:\n"
            "    File too large (os error 27)\n"), r


def test_validate_judges_egress_rules(cells, tmp_path):
    path = tmp_path / "doc.json"
    resolver = {"resolverId": "r", "endpoint": "192.0.2.1:53",
                "protocol": "do53-udp"}
    for text, at in (
            (way_out(["exa_mple.com"]), "egressRules/0/host"),
            (way_out(["192.0.2.1", "127.0.0.1"]), "egressRules/1/host"),
            (way_out(["b.example"], ["a.example"]), "egressRules/0/host"),
            (way_out(["a.example"], resolvers=[
                {**resolver, "protocol": "dot", "endpoint": "192.0.2.1:853"},
                {**resolver, "resolverId": "s", "endpoint": "here"}]),
             "resolvers/1/endpoint")):
        path.write_text(text)
        r = cells.verb("validate", path)
        assert (r.rc, r.out) == (1, ""), r
        assert str(path) in r.err and at in r.err, r
    # what is not built is no fault of the document
    for protocol, endpoint in (("dot", "192.0.2.1:853"),
                               ("doq", "192.0.2.1:853"),
                               ("doh", "https://dns.example/dns-query")):
        path.write_text(way_out(["a.example"], resolvers=[
            {**resolver, "protocol": protocol, "endpoint": endpoint}]))
        r = cells.verb("validate", path)
        assert (r.rc, r.out, r.err) == (0, f"{path}: valid\n", ""), r


def test_what_is_not_built_is_refused_by_name(cells, tmp_path):
    path = tmp_path / "doc.json"
    path.write_text(json.dumps({
        "apiVersion": "cellos.io/v1", "kind": "ExecutionCell",
        "spec": {"id": "a", "lifetime": {"ttlSeconds": 1},
                 "authority": {"cdnAuthority": {}},
                 "run": {"argv": ["true"], "secretDelivery": "env"}}}))
    r = cells.verb("run", path)
    assert r.rc == 125 and "/spec/authority/cdnAuthority" in r.err
    assert "is not supported by this build" in r.err
    assert cells.verb("validate", path).rc == 0
    assert not cells.state_dir.exists()


def test_evidence_is_out_of_reach(cells):
    """Keys, locks and journal may not be shown to the command."""
    cells.state_dir.mkdir()
    cells.run_dir.mkdir()
    (cells.state_dir / "runs").mkdir()
    for flag, shown in (("--rw", cells.own), ("--ro", cells.own),
                        ("--ro", cells.state_dir), ("--rw", cells.run_dir),
                        ("--rw", cells.state_dir / "runs")):
        r = cells.verb("run", flag, shown, "--", "true")
        assert r.rc == 125 and "holds keys and locks" in r.err, (flag, shown)
    inside = cells.tmp / "inside"
    inside.mkdir()
    (cells.tmp / "link").symlink_to(inside)
    for journal in (inside / "e.jsonl", cells.tmp / "link" / "e.jsonl"):
        r = cells.verb("run", "--rw", inside, "--events", journal, "--",
                       "true")
        assert r.rc == 125 and "could lock or rewrite" in r.err
        assert not (inside / "e.jsonl").exists()
    # even read-only: a lock on it would stop the run
    r = cells.verb("run", "--ro", inside, "--events", inside / "e.jsonl", "--",
                   "true")
    assert r.rc == 125 and "could lock or rewrite" in r.err


def test_every_run_is_signed_and_kept(cells):
    for _ in range(2):
        assert cells.verb("run", "--", "true").rc == 0
    runs = sorted((cells.state_dir / "runs").iterdir())
    assert len(runs) == 2
    for path in runs:
        assert re.fullmatch(UUID + r"\.jsonl", path.name)
        r = cells.verify(path)
        assert (r.rc, r.err) == (0, "")
        assert r.out.endswith("complete and intact\n")
    key = cells.state_dir / "signing.key"
    assert os.stat(key).st_mode & 0o777 == 0o600
    assert os.stat(cells.state_dir).st_mode & 0o777 == 0o700


@pytest.mark.parametrize("path,why", [
    ("/dev/full", "sink full: /dev/full (No space left on device (os error "
     "28))"),
    ("{tmp}", "open {tmp}: Is a directory (os error 21)"),
    ("/sys", "open /sys: Is a directory (os error 21)")])
def test_events_that_cannot_be_written(cells, path, why):
    """Nobody is sent to the file, or to doctor: it is not this host."""
    path = path.format(tmp=cells.tmp)
    r = cells.verb("run", "--events", path, "--", "echo", "ran")
    assert (r.rc, r.out, r.err) == (
        125, "", "Error: jsonl sink emit: event sink: "
        f"{why.format(tmp=cells.tmp)}\n")


@pytest.mark.parametrize("names,why", [
    ([f"n{i}" for i in range(65)], "has more than 64 entries at its top: name "
     "one with fewer"),
    (["a" * 64], "has an entry at its top whose name is longer than 63 bytes: "
     + "a" * 63 + "...")], ids=["many", "long"])
def test_a_root_that_cannot_be_shown(cells, names, why):
    root = cells.tmp / "root"
    root.mkdir()
    for name in names:
        (root / name).touch()
    r = cells.run("true", flags=["--root", root])
    assert r.rc == 125
    assert r.err.startswith("Error: cell create: host backend: source: root "
                            f"directory {root} {why}\n"), r


# -- verify --

def test_verify_finds_what_was_done_to_a_file(cells):
    r = cells.run("true")
    with open(r.events_path, "rb") as f:
        lines = f.read().splitlines(keepends=True)
    path = cells.tmp / "forged.jsonl"

    def verdict(new, *flags):
        path.write_bytes(b"".join(new))
        r = cells.verb("verify", "--json", *flags, path)
        report = json.loads(r.out)
        assert report["exit"] == r.rc
        return r.rc, {f["what"] for f in report["findings"]}

    assert verdict(lines) == (0, set())
    assert verdict(lines, "--expect", "1") == (0, set())
    assert verdict(lines, "--expect", "2") == (1, {"too-few-runs"})
    assert verdict(lines[:-1]) == (3, {"unfinished"})
    assert verdict([]) == (3, {"empty"})
    changed = lines[3].replace(b"cellId", b"cellIe", 1)
    assert verdict(lines[:3] + [changed] + lines[4:])[0] == 1
    assert verdict(lines[:3] + lines[4:])[0] == 1
    assert verdict(lines[:4] + [lines[3]] + lines[4:])[0] == 1
    swapped = [lines[0], lines[2], lines[1]] + lines[3:]
    assert verdict(swapped)[0] == 1


def test_verify_needs_the_right_key(cells):
    r = cells.run("true")
    other = cells.tmp / "other"
    other.mkdir()
    assert cells.verb("keygen", "--out", other).rc == 0
    bad = cells.verify(r.events_path, "--keys", other / "signing.pub.json")
    assert bad.rc == 2 and "unknown-kid" in bad.out
    own = cells.state_dir / "signing.pub.json"
    assert cells.verify(r.events_path, "--keys", own).rc == 0
    # each finding tells where
    assert re.search(r"^%s:1: unknown-kid: " % re.escape(r.events_path),
                     bad.out, re.M)


def test_verify_that_cannot_read(cells):
    r = cells.verify(cells.tmp / "absent")
    assert r.rc == 2 and "absent" in r.err
    path = cells.tmp / "keys"
    path.write_text("[]")
    r = cells.verify(path, "--keys", path)
    assert r.rc == 2 and "must be a JSON object" in r.err


def test_verify_reads_a_pipe(cells):
    r = cells.run("true")
    keys = cells.state_dir / "signing.pub.json"
    script = f'"$0" verify --keys <(cat {keys}) <(cat {r.events_path})'
    v = cells.call(["bash", "-c", script, cells.cellos])
    assert v.rc == 0 and v.out.endswith(": complete and intact\n"), v


# -- keygen --

def test_keygen_never_replaces(cells):
    out = cells.tmp / "k"
    out.mkdir()
    r = cells.verb("keygen", "--out", out)
    assert (r.rc, r.err) == (0, "")
    kid = re.match(r"kid     (cellos-[0-9a-f]{16})\n", r.out)[1]
    assert list(json.loads((out / "signing.pub.json").read_text())) == [kid]
    assert os.stat(out / "signing.key").st_mode & 0o777 == 0o600
    before = (out / "signing.key").read_bytes()
    assert len(before) == 44 and before.decode() not in r.out
    r = cells.verb("keygen", "--out", out)
    assert r.rc == 1 and "File exists" in r.err
    assert (out / "signing.key").read_bytes() == before


# -- the state directory --

def of_others(path):
    return (f"state directory {path}: must belong to uid {os.geteuid()} or "
            "root and be writable by nobody else; chown it, chmod it to 0700, "
            "or name another in CELLOS_STATE_DIR\n")


QEMU = ["run", "--backend", "qemu", "--", "true"]     # root's only


@pytest.mark.parametrize("bad", ["720", "702", *["owner"] * IS_ROOT])
@pytest.mark.parametrize("below,words", [
    ("", ["run", "--", "true"]), ("", ["keygen"]), ("", ["gc"]),
    ("", ["image", "build"]), ("runs", ["run", "--", "true"]),
    ("images", ["image", "build"]),
    *[("images", QEMU), ("digests", QEMU)] * IS_ROOT])
def test_a_state_directory_of_others_is_refused(cells, below, words, bad):
    path = cells.state_dir / below if below else cells.state_dir
    path.mkdir(mode=0o700, parents=True)
    cells.state_dir.chmod(0o700)
    if bad == "owner":
        os.chown(path, 65534, -1)
    else:
        path.chmod(int(bad, 8))
    r = cells.verb(*words)
    assert (r.rc, r.out) == (125 if words[0] == "run" else 1, "")
    why = of_others(path)
    if words is QEMU:
        assert "Error: cell create: " + why in r.err, r
    else:
        assert r.err == "Error: " + why
    assert list(path.iterdir()) == []


def test_verify_believes_no_key_that_others_may_write(cells):
    r = cells.run("true")
    assert cells.verify(r.events_path).rc == 0
    cells.state_dir.chmod(0o770)
    bad = cells.verify(r.events_path)
    assert (bad.rc, bad.out) == (2, "")
    assert bad.err == "Error: " + of_others(cells.state_dir)
    own = cells.state_dir / "signing.pub.json"
    assert cells.verify(r.events_path, "--keys", own).rc == 0


@pytest.mark.parametrize("home,what", [
    (None, "not set"), ("", "not set"), ("h", "relative")])
@pytest.mark.parametrize("verb,rc", [("ps", 1), ("keygen", 1), ("run", 125)])
def test_without_a_home_there_is_no_state_directory(cells, home, what, verb,
                                                    rc):
    """Of a user: nobody, in a user namespace where root is not."""
    env = {k: v for k, v in cells.environ().items()
           if k not in ("HOME", "CELLOS_STATE_DIR")}
    if home is not None:
        env["HOME"] = home
    words = ["--", "true"] if verb == "run" else []
    r = subprocess.run(["unshare", "-U", cells.cellos, verb, *words], env=env,
                       capture_output=True, text=True, check=False)
    assert (r.returncode, r.stdout, r.stderr) == (
        rc, "", f"Error: HOME is {what}, and the state directory is below it: "
        "set it to an absolute path, or set CELLOS_STATE_DIR\n")


def test_verify_with_its_keys_needs_no_home(cells):
    keys, journal = cells.tmp / "keys", cells.tmp / "journal"
    keys.write_text(json.dumps({"k1": base64.urlsafe_b64encode(
        bytes(40)).decode().rstrip("=")}))
    journal.touch()
    call = ["env", "-u", "HOME", "-u", "CELLOS_STATE_DIR", "unshare", "-U",
            cells.cellos, "verify", journal]
    assert cells.call([*call, "--hmac-keys", keys]).rc == 3
    r = cells.call(call)
    assert r.rc == 2 and r.err.startswith("Error: HOME is not set, "), r


def test_a_state_directory_that_cannot_be_made(cells):
    path = cells.tmp / "file"
    path.touch()
    for words in (["run", "--", "true"], ["keygen"], ["gc"]):
        r = cells.verb(*words, env={"CELLOS_STATE_DIR": str(path / "x")})
        assert (r.rc, r.out) == (125 if words[0] == "run" else 1, "")
        assert r.err == (
            f"Error: state directory {path}/x: cannot be opened or made; name "
            "another in CELLOS_STATE_DIR: Not a directory (os error 20)\n")


# -- ps, kill, gc --

def running(cells):
    return [i for i in json.loads(cells.verb("ps", "--json").out)
            if i["state"] == "running" and i["initPid"]]


def test_ps_and_kill(cells):
    assert json.loads(cells.verb("ps", "--json").out) == []
    assert cells.verb("ps").out == ""
    p = cells.start("sleep", "600")
    try:
        info = until(lambda: running(cells))[0]
        assert info["runnerPid"] == p.pid
        assert re.fullmatch(UUID, info["runUuid"])
        assert info["cellId"] == "run-" + info["runUuid"][:8]
        table = cells.verb("ps").out.split("\n")
        assert table[0].split() == ["RUN", "STATE", "STARTED", "PID", "CELL"]
        assert table[1].split()[0] == info["runUuid"]

        r = cells.verb("kill", "zzz")
        assert r.rc == 1 and '0 running cells start with "zzz"' in r.err
        r = cells.verb("kill", info["runUuid"][:8])
        assert (r.rc, r.out) == (0, info["runUuid"] + "\n")
        assert p.wait(30 * SLACK) == 128 + signal.SIGTERM
    finally:
        finish(p)
    assert json.loads(cells.verb("ps", "--json").out) == []
    assert cells.verify(p.events_path).rc == 0


def test_gc_after_a_killed_runner(cells):
    p = cells.start("sleep", "600")
    try:
        info = until(lambda: running(cells))[0]
        assert cells.verb("kill", "--signal", "KILL", info["runUuid"]).rc == 0
        assert p.wait(30 * SLACK) == -signal.SIGKILL
    finally:
        finish(p)
    dead = json.loads(cells.verb("ps", "--json").out)
    assert [(d["runUuid"], d["state"]) for d in dead] == [
        (info["runUuid"], "dead")]
    r = cells.gc()
    assert (r.rc, r.err) == (0, "")
    assert [g["runUuid"] for g in json.loads(r.out)] == [info["runUuid"]]
    assert json.loads(cells.gc().out) == []
    assert json.loads(cells.verb("ps", "--json").out) == []

    journal = cells.state_dir / "gc.jsonl"
    assert cells.verify(journal, "--expect", "1").rc == 0
    events = [json.loads(line)["data"]["event"]
              for line in journal.read_text().splitlines()]
    residue = [e["data"] for e in events if e["type"].endswith(".residue")]
    assert [(d["by"], d["runUuid"]) for d in residue] == [
        ("gc", info["runUuid"])]
    # the dead run's own journal stays as it is
    assert cells.verify(p.events_path).rc == 3


if IS_ROOT:  # who else may mount
    def test_gc_where_control_groups_cannot_be_seen(cells):
        """As in ip netns exec, whose /sys is another: nothing is said to be
        gone, and the next one clears it."""
        p = cells.start("sleep", "600")
        until(lambda: running(cells))
        p.kill()
        p.wait()
        finish(p)
        r = cells.call([*NO_GROUPS, cells.cellos, "gc", "--json"])
        found, = json.loads(r.out)
        left = [x for x in found["found"] if x.startswith("cgroup ")]
        assert left and all(x.endswith(": ENOENT") for x in left), found
        found, = json.loads(cells.gc().out)
        assert [x for x in found["found"] if x.startswith("removed: cgroup ")]
        assert json.loads(cells.gc().out) == []


# -- plan, doctor --

def test_plan_does_nothing(cells, tmp_path):
    r = cells.verb("plan", "--rw", tmp_path, "--", "true")
    assert (r.rc, r.err) == (0, "")
    rows = [line.split() for line in r.out.splitlines()]
    assert [int(row[0]) for row in rows] == list(range(1, len(rows) + 1))
    steps = [row[1] for row in rows]
    places = [steps.index(s) for s in (
        "clone", "pivot-root", "capabilities", "no-new-privs", "landlock",
        "seccomp", "self-test", "exec")]
    assert places == sorted(places)
    binds = [row[2:4] for row in rows if row[1] == "bind"]
    assert [str(tmp_path), "rw"] in binds
    assert [b for b in binds if b[1] == "rw"] == [[str(tmp_path), "rw"]]
    assert not cells.state_dir.exists() and not cells.run_dir.exists()


def test_plan_shows_the_door(cells):
    """After lo is up, before the first mount; named once, and only if there
    is a rule."""
    r = cells.verb("plan", "--allow", "198.51.100.1:8080", "--", "true")
    assert (r.rc, r.err) == (0, "")
    steps = [line.split()[1] for line in r.out.splitlines()]
    assert steps.count("door") == 1
    assert steps.index("loopback") < steps.index("door") < steps.index("root")
    line = r.out.splitlines()[steps.index("door")]
    assert re.fullmatch(r" *\d+  door +gate  # named ports to the gate, the "
                        "rest refused", line)
    assert " door " not in cells.verb("plan", "--", "true").out
    # nothing was started, also no gate
    assert not cells.state_dir.exists() and not cells.run_dir.exists()


def test_as_installed(cells):
    """bin and libexec, as `./dev install` lays them out; the supervisor is a
    link to the same program."""
    top = cells.own / "usr"
    for d in ("bin", "libexec"):
        (top / d).mkdir(parents=True)
    shutil.copy(BUILD / "cellos", top / "bin")
    shutil.copy(BUILD / "cellos-gate", top / "libexec")
    (top / "bin/cellos-supervisor").symlink_to("cellos")
    cells.cellos = str(top / "bin/cellos")
    r = cells.run("echo", "ran", flags=["--allow", "198.51.100.1:8080"])
    assert (r.rc, r.out) == (0, "ran\n"), r
    assert r.item("gate")["enforced"] and r.item("nftables")["enforced"]
    needs = {n["name"]: n for n in json.loads(
        cells.verb("doctor", "--json").out)["needs"]}
    assert needs["gate"]["detail"] == str(top / "bin/../libexec/cellos-gate")
    cells.supervisor = str(top / "bin/cellos-supervisor")
    cells.has_door = True
    r = cells.supervise(cells.document(["echo", "ran"]))
    assert (r.rc, r.out) == (0, "ran\n"), r
    assert r.one("network_enforcement")["nftRulesApplied"] is True


def test_install_lays_out_both():
    """What meson would install, from its own list."""
    listed = BUILD / "meson-info/intro-installed.json"
    to = {os.path.basename(k): v
          for k, v in json.loads(listed.read_text()).items()}
    prefix = os.path.dirname(os.path.dirname(to["cellos"]))
    assert to["cellos"] == f"{prefix}/bin/cellos"
    for program in ("cellos-gate", "cellos-init"):
        assert to[program] == f"{prefix}/libexec/{program}"


def test_doctor_says_that_a_cell_works(cells):
    r = cells.verb("doctor", "--json")
    report = json.loads(r.out)
    assert (r.rc, report["works"], report["cell"]["error"]) == (0, True, "")
    for need in report["needs"]:
        assert need["present"] or not need["required"]
        assert bool(need["remedy"]) != need["present"]
    r = cells.verb("doctor")
    assert r.rc == 0 and r.out.endswith("A full cell works here.\n")


DOOR = ["door-network", "door-sockets", "door-log", "door-filter"]


def test_doctor_tries_a_door(cells):
    needs = {n["name"]: n for n in json.loads(
        cells.verb("doctor", "--json").out)["needs"]}
    assert [n for n in needs if n.startswith("door-")] == DOOR
    assert all(needs[n]["required"] for n in [*DOOR, "gate"])
    assert needs["gate"]["detail"] == str(BUILD / "cellos-gate")
    assert not needs["ipv6-outside"]["required"]


REMEDIES = {"door-network": "CONFIG_INET", "door-sockets": "Linux 5.7",
            "door-log": "modprobe nfnetlink_log",
            "door-filter": "modprobe -a nf_tables nft_tproxy"}


def door_missing(cells, strace, call, k, error):
    """Of a doctor whose k-th call fails: the part of the door it misses."""
    r = cells.call([*strace.prefix([f"{call}:error={error}:when={k}"]),
                    cells.cellos, "doctor", "--json"], env=strace.env)
    report = json.loads(r.out)
    needs = [n for n in report["needs"] if n["name"].startswith("door-")]
    missing = [n for n in needs if not n["present"]]
    if not missing:     # the call was of something else: the real cell, say
        return None
    n, = missing
    assert [m["name"] for m in needs] == DOOR[:DOOR.index(n["name"]) + 1]
    assert (r.rc, report["works"], report["cell"]["tried"]) == (
        1, False, False)
    return n


def test_doctor_names_what_a_door_lacks(cells, strace):
    """Calls of the trial made to fail: the part they belong to, and no later
    one, is told as missing; then a full cell does not work here."""
    seen = {}
    for call in ("setsockopt", "sendto"):
        for k in range(1, 5):
            n = door_missing(cells, strace, call, k, "ENOENT")
            assert strace.hit
            if n:
                seen.setdefault(n["name"], (call, k))
                assert n["detail"].endswith(
                    ": No such file or directory (os error 2)")
                assert REMEDIES[n["name"]] in n["remedy"]
    assert set(seen) == set(DOOR)
    for name, (call, k) in seen.items():
        n = door_missing(cells, strace, call, k, "EPERM")
        assert n["name"] == name
        assert n["detail"].endswith(": Operation not permitted (os error 1)")
        assert n["remedy"].startswith("let an LSM or the profile")


def test_without_a_gate_program(cells):
    """cellos alone in a directory: doctor says so, a cell with a way out is
    refused with the name of the file, and that is an event; one without has
    no need of it."""
    alone = cells.own / "alone" / "bin"
    alone.mkdir(parents=True)
    shutil.copy(cells.cellos, alone)
    cells.cellos = str(alone / "cellos")
    gate = str(alone / "cellos-gate")
    installed = str(alone / "../libexec/cellos-gate")
    r = cells.verb("doctor")
    assert r.rc == 1 and r.out.endswith("A full cell does not work here.\n")
    lines = r.out.splitlines()
    at, = [i for i, x in enumerate(lines) if x.split()[1:2] == ["gate"]]
    line, remedy = lines[at:at + 2]
    assert line == f"MISSING   {'gate':22} {installed}: No such file or " \
        "directory (os error 2)"
    assert remedy.split("-> ")[1] == \
        "install cellos-gate of the same build beside cellos, or in ../libexec"
    r = cells.run("echo", "ran", flags=["--allow", "192.0.2.1:443"])
    assert (r.rc, r.out) == (125, "")
    assert f"{installed}: No such file or directory (os error 2)" in r.err
    refused = r.enforcement("refused")
    assert (refused["stage"], refused["errno"]) == ("create", 2)
    assert installed in refused["detail"]
    told = r.one("l7_egress_decision")
    assert (told["action"], told["sniHost"]) == ("deny", "(spawn-error)")
    assert installed in told["ruleRef"]
    assert cells.verify(r.events_path).rc == 0
    r = cells.run("echo", "ran")
    assert (r.rc, r.out) == (0, "ran\n")
    # something in its place that cannot be executed
    pathlib.Path(gate).write_text("not a program\n")
    r = cells.verb("doctor", "--json")
    need, = [n for n in json.loads(r.out)["needs"] if n["name"] == "gate"]
    assert r.rc == 1 and need["detail"] == \
        f"{gate}: Permission denied (os error 13)"
    for mode, text, why in (
            (0o644, "x", "Permission denied (os error 13)"),
            (0o755, "x", "Exec format error (os error 8)"),
            # its interpreter could not open it: it is not inherited
            (0o755, "#!/bin/sh", "No such file or directory (os error 2)")):
        pathlib.Path(gate).write_text(text + "\n")
        pathlib.Path(gate).chmod(mode)
        r = cells.run("echo", "ran", flags=["--allow", "192.0.2.1:443"])
        assert (r.rc, r.out) == (125, ""), r
        assert f"gate: {gate}: {why}" in r.err, r
        refused = r.enforcement("refused")
        assert refused["stage"] == "create" and gate in refused["detail"], r


# -- completion --

def test_bash_completes_verbs_and_options(cells):
    script = cells.verb("completion", "bash").out

    def complete(*words):
        p = subprocess.run(
            ["bash", "-c", 'eval "$1"; shift; COMP_WORDS=("$@"); '
             "COMP_CWORD=$(($# - 1)); _cellos; printf '%s\\n' "
             '"${COMPREPLY[@]}"', "bash", script, *words],
            stdout=subprocess.PIPE, text=True, check=True)
        return p.stdout.split()
    assert complete("cellos", "v") == ["validate", "verify", "version"]
    assert complete("cellos", "run", "--me") == ["--memory"]
    assert complete("cellos", "run", "--al") == ["--allow"]
    assert complete("cellos", "plan", "--al") == ["--allow"]
    assert complete("cellos", "kill", "--signal", "K") == ["KILL"]
    assert complete("cellos", "completion", "z") == ["zsh"]
    assert complete("cellos", "run", "--backend", "g") == ["gvisor"]
    assert complete("cellos", "doctor", "--backend", "") == [
        "host", "gvisor", "qemu", "firecracker"]
    assert complete("cellos", "ps", "--memory") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions_name_every_verb_and_option(cells, shell):
    r = cells.verb("completion", shell)
    assert (r.rc, r.err) == (0, "")
    for verb in VERBS:
        assert re.search(r"\b%s\b" % verb, r.out)
    for option in ("print-spec", "hmac-keys", "timeout", "signal", "out",
                   "allow"):
        assert re.search(r"(--|-l )%s\b" % option, r.out)
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=r.out, text=True, check=True)


# -- README --

def test_the_readmes_example_is_what_happens(cells):
    """Its document, its exit status, its events in their order. Where links
    stand between them depends on how fast they came."""
    with open(SOURCE / "README.md", encoding="utf-8") as f:
        text = f.read()
    block = re.search(r"\n((?:    .*\n|\n)*?    \}\n)\n    \$ cellos run", text)
    doc = block[1][block[1].index("{"):].replace("/srv/demo",
                                                 str(cells.own / "demo"))
    (cells.own / "demo" / "hello").mkdir(parents=True)
    os.chmod(cells.own, 0o755)
    path = cells.tmp / "hello.json"
    path.write_text(doc)
    r = cells.run_document(str(path))
    assert r.rc == int(re.search(r"echo \$\?\n    (\d+)\n", text)[1])
    assert (cells.own / "demo" / "hello" / "greeting").read_text() == "hello\n"
    shown = re.findall(r"^    ((?:evidence|observability|lifecycle|command|"
                       r"compliance|authority)\.v1\.\w+)", text, re.M)
    types = [e["type"].replace("dev.cellos.events.cell.", "")
             for e in r.events]
    link = "evidence.v1.link"
    assert [t for t in types if t != link] == [t for t in shown if t != link]
    assert types[0] == types[-1] == shown[0] == shown[-1] == link
    destroyed = r.one("lifecycle.v1.destroyed")
    assert (destroyed["outcome"], destroyed["residueClass"]) == (
        "failed", "none")
    violation = r.enforcement("violation")["syscall"]
    assert (violation["name"], violation["answer"]) == ("mount", "EPERM")
