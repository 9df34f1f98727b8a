"""Parses dashboards with Grafana's own models and compares the models' output with the input.

Usage: grafana_models.py FILE...

Additional keys in the output are defaults. A key that is lost is unknown to Grafana and an
error. Prints the number of dashboards.
"""

import json
import sys

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

# Keys of annotations that the Prometheus data source defines. The models do not know them.
PROMETHEUS_KEYS = {"expr", "step", "titleFormat", "textFormat", "useValueForTime"}


def compare(path, source, encoded):
    """Fails if a key or a value of the source is lost or changed."""
    if isinstance(source, dict):
        for key, value in source.items():
            if path == "annotations.list" and key in PROMETHEUS_KEYS:
                continue
            inner = f"{path}.{key}".removeprefix(".")
            assert key in encoded, f"unknown key: {inner}"
            compare(inner, value, encoded[key])
    elif isinstance(source, list):
        assert len(source) == len(encoded), f"lost entries: {path}"
        for one, other in zip(source, encoded):
            compare(path, one, other)
    else:
        assert source is not None, f"null: {path}"
        assert source == encoded, f"changed: {path}: {source!r}, {encoded!r}"


register_default_plugins()
for file in sys.argv[1:]:
    with open(file, encoding="utf-8") as opened:
        text = opened.read()
    source = json.loads(text)
    formatted = json.dumps(source, indent=2, ensure_ascii=False) + "\n"
    assert text == formatted, f"{file} is not formatted by json.dumps(indent=2)"
    encoded = json.loads(JSONEncoder().encode(Dashboard.from_json(source)))
    try:
        compare("", source, encoded)
    except AssertionError as error:
        sys.exit(f"{file}: {error}")
print(len(sys.argv) - 1, "dashboards")
