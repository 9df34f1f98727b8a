"""The queries of a Grafana dashboard, as Grafana sends them to Prometheus."""

import re

# How many points a panel asks for, unless it says otherwise: about its width in pixels.
POINTS = 1000
# The scrape interval of Grafana's data source, which is the shortest step.
DATA_SOURCE_INTERVAL = 15
# Grafana rounds an interval below the first number to the second one, in seconds.
ROUNDED = [(12.5, 10), (17.5, 15), (25, 20), (45, 30), (90, 60), (210, 120), (450, 300), (750, 600), (1050, 900),
           (1500, 1200), (2700, 1800), (5400, 3600)]


def seconds(text):
    number, unit = re.fullmatch(r"(\d+)([smhd])", text).groups()
    return int(number) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[unit]


class Query:
    def __init__(self, name, expression, kind="instant", shortest=DATA_SOURCE_INTERVAL, points=POINTS, on_page=True):
        self.name, self.expression, self.kind = name, expression, kind
        self.shortest, self.points = max(shortest, DATA_SOURCE_INTERVAL), points
        # Whether it is sent when the page opens. The panels of a collapsed row are not.
        self.on_page = on_page
        self.depends_on_range = kind == "range" or "$__range" in expression or expression.startswith("label_values(")

    def request(self, now, time_range):
        """The path and the parameters of the request to Prometheus, for the time range before now."""
        step = next(rounded for limit, rounded in ROUNDED if time_range / self.points < limit)
        step = max(step, self.shortest)
        rate = max(step + DATA_SOURCE_INTERVAL, 4 * DATA_SOURCE_INTERVAL)
        expression = self.expression.replace("$__rate_interval", f"{rate}s").replace("$__range", f"{time_range}s")
        if values := re.fullmatch(r"label_values\((.*), *(\w+)\)", expression, re.S):
            selector, label = values.groups()
            return f"label/{label}/values", {"match[]": selector, "start": now - time_range, "end": now}
        if result := re.fullmatch(r"query_result\((.*)\)", expression, re.S):
            expression = result[1]
        if self.kind == "instant":
            return "query", {"query": expression, "time": now}
        end = now // step * step
        return "query_range", {"query": expression, "start": end - time_range, "end": end, "step": step}


class Page:
    """A dashboard. `selected` has the values of the variables that have no default."""

    def __init__(self, dashboard, selected):
        self.title, self.values = dashboard["title"], {}
        variables = dashboard["templating"]["list"]
        for variable in variables:
            if variable["type"] == "datasource":
                continue
            current = (variable.get("current") or {}).get("value")
            if variable.get("includeAll"):
                value = variable["allValue"]
            elif variable["type"] == "query":
                value = selected[variable["name"]]
            else:
                value = current[0] if isinstance(current, list) else current
            self.values[variable["name"]] = value
        self.queries = [Query(f"{self.title}: variable {variable['name']}", self.filled(variable["query"]["query"]))
                        for variable in variables if variable["type"] == "query"]
        self.queries += [Query(f"{self.title}: annotation {annotation['name']}", self.filled(annotation["expr"]), "range")
                         for annotation in dashboard["annotations"]["list"] if annotation.get("expr")]
        for panel in dashboard["panels"]:
            self.add(panel, True)
            for hidden in panel.get("panels", []):
                self.add(hidden, not panel.get("collapsed", False))

    def add(self, panel, on_page):
        for target in panel.get("targets", []):
            kind = "instant" if target.get("instant") else "range"
            self.queries.append(Query(
                f"{self.title}: {panel['title']} {target['refId']}", self.filled(target["expr"]), kind,
                seconds(target.get("interval") or panel.get("interval") or f"{DATA_SOURCE_INTERVAL}s"),
                panel.get("maxDataPoints") or POINTS, on_page))

    def filled(self, text):
        """The text with the values of the variables, except those that Grafana defines."""
        def value(match):
            name = match[1] or match[2]
            return match[0] if name.startswith("__") else self.values[name]
        return re.sub(r"\$(?:\{(\w+)(?::\w+)?\}|([A-Za-z_]\w*))", value, text)
