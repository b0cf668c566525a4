#!/usr/bin/python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Every event type has a schema, and what is written fits it (TAP).

A schema must also say no: without any member it requires, with one more, with
a value of another type.
"""
import copy
import json
import pathlib
import subprocess
import sys
import tempfile

from jsonschema import Draft202012Validator


class Tap:
    def __init__(self):
        self.n = self.failed = 0

    def ok(self, good, name, *notes):
        self.n += 1
        self.failed += not good
        print(f"{'ok' if good else 'not ok'} {self.n} - {name}")
        for note in notes if not good else ():
            print(f"# {note}")


def written(emit, document):
    """All events of a run, wrappers and what is inside; the known types."""
    with tempfile.TemporaryDirectory() as d:
        journal = pathlib.Path(d, "j")
        out = subprocess.run([emit, journal, document], check=True,
                             stdout=subprocess.PIPE, encoding="utf-8")
        lines = journal.read_text(encoding="utf-8").splitlines()
    wrappers = [json.loads(line) for line in lines]
    return wrappers + [w["data"]["event"] for w in wrappers], \
        out.stdout.split()


def mutants(event, schema):
    """(what, event) that must not pass."""
    required = schema["properties"]["data"]["required"]
    for name in required:
        m = copy.deepcopy(event)
        del m["data"][name]
        yield f"without data.{name}", m
        m = copy.deepcopy(event)
        m["data"][name] = [7] if not isinstance(m["data"][name], list) else 7
        yield f"data.{name} of another type", m
    for name in schema["required"]:
        m = copy.deepcopy(event)
        del m[name]
        yield f"without {name}", m
    m = copy.deepcopy(event)
    m["data"]["surprise"] = 1
    yield "with one member more", m


def main():
    emit, contracts, *documents = sys.argv[1:]
    tap = Tap()
    schemas = {}
    for path in sorted(pathlib.Path(contracts).glob("*.schema.json")):
        schema = json.loads(path.read_text(encoding="utf-8"))
        Draft202012Validator.check_schema(schema)
        schemas[schema["title"]] = schema
        tap.ok("dev.cellos.events." + path.name[:-len(".schema.json")] ==
               schema["title"], f"{path.name} is named after its type")
    seen = set()
    for document in documents:
        events, types = written(emit, document)
        tap.ok(sorted(types) == sorted(schemas), "a schema for every type",
               set(types) ^ set(schemas))
        for event in events:
            validator = Draft202012Validator(schemas[event["type"]])
            faults = [f"{e.json_path}: {e.message[:200]}"
                      for e in validator.iter_errors(event)]
            tap.ok(not faults, f"{event['type']} fits", *faults)
            if event["type"] in seen:
                continue
            seen.add(event["type"])
            passed = [what for what, m in mutants(event, validator.schema)
                      if validator.is_valid(m)]
            tap.ok(not passed, f"{event['type']} fits nothing else", *passed)
    # a document without rules has no event of one
    tap.ok(seen == set(schemas), "every type was written",
           set(schemas) - seen)
    print(f"1..{tap.n}")
    return 1 if tap.failed else 0


if __name__ == "__main__":
    sys.exit(main())
