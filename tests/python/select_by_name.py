"""Compares what `name[]` selects with what prometheus_client selects for the same query.

Usage: select_by_name.py QUERY FILE [QUERY FILE]..., where FILE is the exporter's response to QUERY in
the text format. The first QUERY is empty, so its FILE has all samples.
"""

import sys

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.parser import text_string_to_metric_families


def families(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(text_string_to_metric_families(file.read()))


def series(parsed):
    return {(sample.name, *sorted(sample.labels.items())) for family in parsed for sample in family.samples}


class Exporter:
    """Collects all families of the exporter."""

    def __init__(self, path):
        self.families = families(path)

    def collect(self):
        return self.families


queries = list(zip(sys.argv[1::2], sys.argv[2::2]))
# The registry asks the collector for its names.
registry = CollectorRegistry(auto_describe=True)
registry.register(Exporter(queries[0][1]))
app = make_wsgi_app(registry)
for query, path in queries:
    status = []
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/metrics", "QUERY_STRING": query}
    body = b"".join(app(environ, lambda line, _headers: status.append(line)))
    assert status == ["200 OK"], (query, status)
    expected = series(text_string_to_metric_families(body.decode()))
    actual = series(families(path))
    assert actual == expected, (query, actual ^ expected)
print(f"{len(queries)} queries select the same")
