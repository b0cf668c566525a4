# SPDX-License-Identifier: MIT OR Apache-2.0
"""Runs `cellos-supervisor` in a clean environment and reads its journal."""
import json
import os
import pathlib
import subprocess

BUILD = pathlib.Path(os.environ["CELLOS_BUILD"])
EXE = BUILD / "cellos-supervisor"
PREFIX = "dev.cellos.events."

# Vector 1 of the canonical form: its two hashes are known.
VECTOR_1 = (b'{"apiVersion":"cellos.io/v1","kind":"ExecutionCell","spec":'
            b'{"id":"demo-1","authority":{"secretRefs":[]},"lifetime":'
            b'{"ttlSeconds":60},"run":{"secretDelivery":"env","argv":'
            b'["/bin/true"]}}}')
VECTOR_1_RAW = \
    "947b2886fe9e9dbae88ef5979164075c13a6254bafe7558aa13a587afe9c5bc0"
VECTOR_1_CANON = "sha256:" \
    "4e4acb1f20b143dd34723f8fb3125ceab895a17e6f9413c49a690e79b00eccbf"


def document(argv=("/bin/true",), *, run=True, ttl=60, authority=None,
             spec=None, **run_members):
    """A document; keyword arguments go into spec.run."""
    s = {"id": "t-1", "authority": authority or {"secretRefs": []},
         "lifetime": {"ttlSeconds": ttl}}
    if run:
        s["run"] = {"argv": list(argv), "secretDelivery": "env",
                    **run_members}
    s.update(spec or {})
    return json.dumps({"apiVersion": "cellos.io/v1",
                       "kind": "ExecutionCell", "spec": s}).encode()


class Done:
    """What came of one invocation."""

    def __init__(self, code, out, err, journal):
        self.code, self.out, self.err = code, out, err
        self.raw = []
        if journal.exists():
            self.raw = journal.read_bytes().splitlines()
        self.events = [json.loads(l) for l in self.raw]

    @property
    def reason(self):
        """The text after the last "Error: "."""
        return self.err.rsplit("Error: ", 1)[1].split("\n")[0]

    def types(self):
        """Types in order, ours left out."""
        return [e["type"].split(".")[-1] for e in self.inner()
                if ".evidence.v1." not in e["type"]]

    def inner(self):
        return [e["data"]["event"] if e["type"].endswith("signed_envelope.v1")
                else e for e in self.events]

    def data(self, last):
        got = [e["data"] for e in self.inner()
               if e["type"].split(".")[-1] == last]
        assert len(got) == 1, (last, self.types(), self.err)
        return got[0]

    def all(self, last):
        return [e["data"] for e in self.inner()
                if e["type"].split(".")[-1] == last]


class Supervisor:
    """One temporary directory with its own run and state directories."""

    def __init__(self, tmp):
        self.tmp = pathlib.Path(tmp)
        self.journal = self.tmp / "events.jsonl"

    def env(self, profile="portable", noop=True, journal=True, **extra):
        e = {"PATH": "/usr/bin:/bin", "CELLOS_RUN_DIR": str(self.tmp / "run"),
             "CELLOS_STATE_DIR": str(self.tmp / "state")}
        if profile is not None:
            e["CELLOS_DEPLOYMENT_PROFILE"] = profile
        if noop:
            e["CELL_OS_USE_NOOP_SINK"] = "1"
        if journal:
            e["CELL_OS_JSONL_EVENTS"] = str(self.journal)
        for k, v in extra.items():
            if v is None:
                e.pop(k, None)
            else:
                e[k] = v
        return e

    def spec(self, text):
        p = self.tmp / "spec.json"
        p.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(p)

    def exec(self, *args, stdin=None, timeout=60, **env):
        if self.journal.exists():
            self.journal.unlink()
        p = subprocess.run([str(EXE), *args], env=self.env(**env),
                           input=stdin, capture_output=True, timeout=timeout,
                           cwd=self.tmp, check=False)
        return Done(p.returncode, p.stdout.decode(), p.stderr.decode(),
                    self.journal)

    def run(self, text, **env):
        return self.exec(self.spec(text), **env)

    def validate(self, text, **env):
        return self.exec("--validate", self.spec(text), **env)

    def popen(self, text, **env):
        return subprocess.Popen([str(EXE), self.spec(text)],
                                env=self.env(**env), stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, cwd=self.tmp)

    def finish(self, p, timeout=60):
        out, err = p.communicate(timeout=timeout)
        return Done(p.returncode, out.decode(), err.decode(), self.journal)
