#!/usr/bin/python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""The JSON Schema gives the verdict of every case it can express (TAP)."""
import json
import sys

from jsonschema import Draft202012Validator


def document(case):
    """The case's document, or None where its text is not JSON at all."""
    if "doc" in case:
        return case["doc"], True
    try:
        return json.loads(case["text"]), True
    except ValueError:
        return None, False


def main():
    schema_path, cases_path = sys.argv[1:]
    with open(schema_path, encoding="utf-8") as f:
        schema = json.load(f)
    with open(cases_path, encoding="utf-8") as f:
        cases = [c for c in json.load(f)["cases"] if c.get("schema", True)]
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    print(f"1..{len(cases)}")
    failed = 0
    for number, case in enumerate(cases, 1):
        doc, is_json = document(case)
        accepted = is_json and validator.is_valid(doc)
        good = accepted == (case["want"] == "ok")
        failed += not good
        name = case["name"].replace("#", "\\#").replace("\n", " ")
        print(f"{'ok' if good else 'not ok'} {number} - {name}")
        if not good and is_json:
            for error in validator.iter_errors(doc):
                print(f"# {error.json_path}: {error.message[:200]}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
