"""Writes values.yaml of the Helm chart, and the table of values in its README.md.

Usage: chart_values.py [--check]

Both come from values.schema.json, which has the description, the default and examples of every value. With
--check, nothing is written, and files that are not what this program would write are errors.
"""

import json
import pathlib
import sys
import textwrap

import yaml

CHART = pathlib.Path(__file__).parents[2] / "deploy/kubernetes/ssm-sync-exporter"
WIDTH = 100
MARKERS = ("<!-- The table is written by tests/python/chart_values.py. -->\n", "<!-- End of the table. -->\n")


def resolved(schema, node):
    """The node that a `$ref` refers to, or the node itself."""
    while "$ref" in node:
        path, node = node["$ref"].removeprefix("#/").split("/"), schema
        for key in path:
            node = node[key]
    return node


def values(schema, node, path=()):
    """The sections and values below a node in the schema, as pairs of a path and a node.

    Keys that have neither a default nor keys below are set by Helm, and left out.
    """
    for key, below in node["properties"].items():
        below = resolved(schema, below)
        here = (*path, key)
        if "default" not in below and "properties" not in below:
            continue
        if "description" not in below:
            raise SystemExit(f"{'.'.join(here)} has no description in values.schema.json")
        yield here, below
        if "default" not in below:
            yield from values(schema, below, here)


def scalar(value):
    """A scalar as YAML, in double quotes if it needs quotes."""
    text = yaml.safe_dump(value, width=1000).removesuffix("\n").removesuffix("\n...")
    return json.dumps(value) if text.startswith("'") else text


def flow(value):
    """A value as YAML on one line."""
    if isinstance(value, dict) and value:
        return "{ " + ", ".join(f"{scalar(key)}: {flow(below)}" for key, below in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow, value)) + "]"
    return scalar(value)


def block(value, width):
    """The lines of a value as YAML. Maps and lists that are not too long are on one line."""
    lines = []
    for key, below in value.items() if isinstance(value, dict) else ((None, below) for below in value):
        prefix = "-" if key is None else f"{scalar(key)}:"
        line = f"{prefix} {flow(below)}"
        if not isinstance(below, (dict, list)) or len(line) <= min(width, 70):
            lines.append(line)
            continue
        inner = block(below, width - 2)
        if key is None:
            lines += [f"- {inner[0]}", *(f"  {line}" for line in inner[1:])]
        else:
            lines += [prefix, *(f"  {line}" for line in inner)]
    return lines


def values_yaml(schema):
    """The text of values.yaml."""
    lines = [
        "# Every value with its default. Unknown keys are rejected.",
        "#",
        "# tests/python/chart_values.py writes this file from values.schema.json.",
    ]
    for path, node in values(schema, schema):
        indent = "  " * (len(path) - 1)
        if len(path) == 1:
            lines.append("")
        wrapped = textwrap.wrap(
            node["description"], WIDTH - len(indent) - 2, break_long_words=False, break_on_hyphens=False
        )
        lines += [f"{indent}# {line}" for line in wrapped]
        if "default" not in node:
            lines.append(f"{indent}{path[-1]}:")
            continue
        default = node["default"]
        width = WIDTH - len(indent)
        lines += [indent + line for line in block({path[-1]: default}, width)]
        if default in ({}, []):
            lines += [f"{indent}#  {line}" for line in block(node["examples"][0], width - 3)]
    return "\n".join(lines) + "\n"


def table(schema):
    """The table of values in README.md."""
    rows = ["| value | default | meaning |", "| --- | --- | --- |"]
    for path, node in values(schema, schema):
        default = f"`{json.dumps(node['default'])}`" if "default" in node else ""
        cells = [f"`{'.'.join(path)}`", default, node["description"]]
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def main():
    schema = json.loads((CHART / "values.schema.json").read_text())
    readme = CHART / "README.md"
    before, rest = readme.read_text().split(MARKERS[0])
    _, after = rest.split(MARKERS[1])
    files = {
        CHART / "values.yaml": values_yaml(schema),
        readme: f"{before}{MARKERS[0]}\n{table(schema)}\n{MARKERS[1]}{after}",
    }
    for file, text in files.items():
        if sys.argv[1:] != ["--check"]:
            file.write_text(text)
        elif file.read_text() != text:
            raise SystemExit(f"{file.name} does not agree with values.schema.json; run {sys.argv[0]}")


main()
