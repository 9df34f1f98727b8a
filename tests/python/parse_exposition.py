"""Parses expositions with prometheus_client.

Usage: parse_exposition.py FORMAT FILE [FORMAT FILE]..., where FORMAT is `text` or `openmetrics`.

Prints a JSON list with a list of families for each file. Values are strings, to keep all digits.
"""

import json
import sys

from prometheus_client import parser as text
from prometheus_client.openmetrics import parser as openmetrics

PARSERS = {
    "text": text.text_string_to_metric_families,
    "openmetrics": openmetrics.text_string_to_metric_families,
}


def families(form, path):
    with open(path, encoding="utf-8", newline="") as file:
        parsed = list(PARSERS[form](file.read()))
    return [
        {
            "name": family.name,
            "help": family.documentation,
            "type": family.type,
            "unit": family.unit,
            "samples": [[sample.name, sample.labels, repr(float(sample.value))] for sample in family.samples],
        }
        for family in parsed
    ]


print(json.dumps([families(*pair) for pair in zip(sys.argv[1::2], sys.argv[2::2])]))
