"""Judges documents by schemas: each fits that of its kind and that of any kind, none fits that of another kind, and none
fits with an unknown field at any depth. Standard input: {"schemas": {kind: schema}, "documents": [{name, kind, value}]}."""

import copy
import json
import sys

import jsonschema_rs


def objects(value, path=()):
    """The path of every object within a value."""
    if isinstance(value, dict):
        yield path
        for key, inner in value.items():
            yield from objects(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from objects(inner, (*path, index))


def with_unknown_field(value, path):
    """A copy with a field that no object of any kind has, nor any map a key."""
    changed = copy.deepcopy(value)
    place = changed
    for step in path:
        place = place[step]
    place["No-Such-Field"] = 1
    return changed


def main():
    given = json.load(sys.stdin)
    judges = {kind: jsonschema_rs.validator_for(schema) for kind, schema in given["schemas"].items()}
    findings, fitting, refused = [], 0, 0
    for document in given["documents"]:
        name, kind, value = document["name"], document["kind"], document["value"]
        for judge in (kind, "any"):
            for error in judges[judge].iter_errors(value):
                findings.append(f"{name} ({judge}): {error.message} at {error.instance_path}")
        fitting += 1
        for other in judges.keys() - {kind, "any"}:
            if judges[other].is_valid(value):
                findings.append(f"{name} fits the schema of {other} too")
        for path in objects(value):
            refused += 1
            if judges[kind].is_valid(with_unknown_field(value, path)):
                findings.append(f"{name} may have any field at {path}")
    if findings or refused < 500:
        sys.exit("\n".join(findings) or f"only {refused} unknown fields were tried")
    print(f"{fitting} documents fit their schema; {refused} unknown fields were refused")


main()
