"""Prints the components of a configuration of Grafana Alloy as JSON: {"COMPONENT.LABEL": arguments}.

    python alloy_config.py FILE

Reads it as HCL, whose block types cannot have dots.
"""

import json
import re
import sys

import hcl2

DOT = "_DOT_"


def plain(value):
    """A value without the quotes and the additional keys of the parser."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items() if not re.fullmatch("__.*(comments|block)__", key)}
    return value.strip('"') if isinstance(value, str) else value


with open(sys.argv[1], encoding="utf-8") as file:
    text = re.sub(r'(?m)^[a-z_.]+(?= ("[a-z_]+" )?\{$)', lambda name: name[0].replace(".", DOT), file.read())
components = plain(hcl2.loads(text))
json.dump(
    {
        f"{kind.replace(DOT, '.')}.{label}": body
        for kind, blocks in components.items()
        for block in blocks
        for label, body in block.items()
    },
    sys.stdout,
)
