"""Reads dashboards with Grafana's own models and compares what they write.

Usage: grafana_models.py FILE... What the models add are their defaults; what they
lose they do not know. Prints how many dashboards it has read.
"""

import json
import sys

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

# What the Prometheus data source adds to an annotation, which the models leave to it.
OF_PROMETHEUS = {"expr", "step", "titleFormat", "textFormat", "useValueForTime"}


def compare(path, ours, theirs):
    """Fails where something of ours is lost or changed."""
    if isinstance(ours, dict):
        for key, value in ours.items():
            if path == "annotations.list" and key in OF_PROMETHEUS:
                continue
            inner = f"{path}.{key}".removeprefix(".")
            assert key in theirs, f"unknown: {inner}"
            compare(inner, value, theirs[key])
    elif isinstance(ours, list):
        assert len(ours) == len(theirs), f"lost: {path}"
        for one, other in zip(ours, theirs):
            compare(path, one, other)
    else:
        assert ours is not None, f"says nothing: {path}"
        assert ours == theirs, f"changed: {path}: {ours!r}, {theirs!r}"


register_default_plugins()
for file in sys.argv[1:]:
    with open(file, encoding="utf-8") as opened:
        text = opened.read()
    ours = json.loads(text)
    tidy = json.dumps(ours, indent=2, ensure_ascii=False) + "\n"
    assert text == tidy, f"{file} is not laid out as by json.dumps(indent=2)"
    theirs = json.loads(JSONEncoder().encode(Dashboard.from_json(ours)))
    try:
        compare("", ours, theirs)
    except AssertionError as error:
        sys.exit(f"{file}: {error}")
print(len(sys.argv) - 1, "dashboards")
