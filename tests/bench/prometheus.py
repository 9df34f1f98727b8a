"""The benchmark of the script `prometheus`. Usage: prometheus.py RELEASE_DIRECTORY [OPTION...]"""

import argparse
import concurrent.futures
import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse

from prometheus_fleet import Fleet, HUB
from prometheus_panels import Page

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent.parent
SCRAPE_INTERVAL = 30
# As in deploy/prometheus/scrape.yml.
EVALUATION_INTERVAL = 60
# Evaluations in this time are not counted: Prometheus restores alerts and fills its caches.
WARM_UP = 120
# How long to wait after that for groups whose evaluation takes minutes.
PATIENCE = 900
# How many seconds the history ends before Prometheus starts. Queries for the current values look back 5 minutes,
# and must not read them from the history: a long-running Prometheus has them in memory.
GAP = 300
# The length of the blocks of the history: those that Prometheus would have before it merges three of them,
# and one for its head.
BLOCK_HOURS = [6, 6, 6, 6, 1]
# How many queries a browser sends at a time to one server.
CONNECTIONS = 6
RANGES = {"6 h": 6 * 3600, "24 h": 24 * 3600}
# A query that is faster than this is repeated, and the median counts.
REPEATED_BELOW = 2
REPETITIONS = 3
# Limit on the duration of a query: Prometheus's default, and somewhat more for the client.
QUERY_TIMEOUT = 120
CLIENT_TIMEOUT = 150
ENVIRONMENT = {"PATH": os.environ["PATH"], "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/dev/null",
               "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}


def say(text):
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


@contextlib.contextmanager
def running(command, **options):
    process = subprocess.Popen(command, **options)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(120)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def get(port, path, timeout=60):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def wait_until_ready(process, port, seconds):
    deadline = time.monotonic() + seconds
    while True:
        try:
            if get(port, "/-/ready")[0] == 200:
                return
        except OSError:
            pass
        assert process.poll() is None, f"{process.args[0]} has exited"
        assert time.monotonic() < deadline, f"{process.args[0]} is not ready after {seconds} s"
        time.sleep(0.2)


def memory(pid):
    """Resident memory now and at most, and what of it is no file, in bytes."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return [int(re.search(rf"{key}:\s+(\d+)", status)[1]) * 1024 for key in ["VmRSS", "VmHWM", "RssAnon"]]


class Load:
    """CPU time since a moment, of Prometheus and of processes that do not belong to the benchmark."""

    def __init__(self, prometheus, *others):
        self.prometheus, self.ours = prometheus, [prometheus, os.getpid(), *others]
        self.began, self.before = time.monotonic(), self.used()

    def used(self):
        """CPU time of Prometheus and of the others, in seconds."""
        def cpu(pid):
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

        # user, nice, system, then idle and iowait, then irq and softirq.
        fields = pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
        busy = sum(int(fields[position]) for position in [0, 1, 2, 5, 6]) / os.sysconf("SC_CLK_TCK")
        return cpu(self.prometheus), busy - sum(map(cpu, self.ours))

    def shares(self):
        """The mean number of cores that Prometheus and the others used."""
        return [(now - before) / (time.monotonic() - self.began) for now, before in zip(self.used(), self.before)]


def tool(name):
    """The path of a program of Prometheus: from the environment, from PATH or from tests/run."""
    unpacked = ROOT / "target/test-tools/prometheus/usr/bin" / name
    path = os.environ.get(f"TEST_{name.upper()}") or shutil.which(name) or (unpacked if unpacked.exists() else None)
    assert path, f"{name} is missing: install Debian's prometheus, or set TEST_{name.upper()}"
    return path


@contextlib.contextmanager
def fake_aws(release, fleet):
    command = [release / "fake-aws", "127.0.0.1:0", HUB, *fleet.accounts]
    with running(command, stdout=subprocess.PIPE, text=True) as process:
        url = process.stdout.readline().strip().removeprefix("AWS_ENDPOINT_URL=")
        for _ in range(len(fleet.accounts) + 1):
            process.stdout.readline()
        fleet.install(int(url.rpartition(":")[2]))
        yield url


@contextlib.contextmanager
def exporter(column, url, fleet, directory):
    """Runs the exporter, ready after its first round."""
    port, config = free_port(), directory / "exporter.yaml"
    config.write_text(fleet.configuration() + column.configuration)
    command = [column.exporter, "--config.file", config, "--log.level", "error",
               "--web.listen-address", f"127.0.0.1:{port}"]
    environment = ENVIRONMENT | {"AWS_ENDPOINT_URL": url, "AWS_REGION": "eu-west-1",
                                 "AWS_ACCESS_KEY_ID": f"AKIA{HUB}FAKE", "AWS_SECRET_ACCESS_KEY": "any"}
    with running(command, env=environment) as process:
        wait_until_ready(process, port, 300)
        yield process, port


class Prometheus:
    """A running Prometheus that scrapes the exporter and evaluates the rules of a checkout."""

    def __init__(self, process, port):
        self.process, self.port = process, port

    @classmethod
    @contextlib.contextmanager
    def start(cls, data, rules, scraped, evaluation):
        port, config = free_port(), data.parent / "prometheus.yml"
        # JSON is YAML.
        config.write_text(json.dumps({
            "global": {"scrape_interval": f"{SCRAPE_INTERVAL}s", "evaluation_interval": f"{evaluation}s"},
            "rule_files": [str(path) for path in rules],
            "scrape_configs": [{"job_name": "ssm-sync-exporter",
                                "static_configs": [{"targets": [f"127.0.0.1:{scraped}"]}]}]}))
        command = [tool("prometheus"), f"--config.file={config}", f"--storage.tsdb.path={data}",
                   f"--web.listen-address=127.0.0.1:{port}", f"--query.timeout={QUERY_TIMEOUT}s",
                   # Otherwise blocks would be merged while figures are taken.
                   "--storage.tsdb.min-block-duration=2h", "--storage.tsdb.max-block-duration=2h"]
        with open(data.parent / "prometheus.log", "w") as log, running(command, stderr=log) as process:
            wait_until_ready(process, port, 120)
            yield cls(process, port)

    def metrics(self, name):
        """The series of a metric of Prometheus itself, by labels."""
        body = get(self.port, "/metrics")[1].decode()
        return {labels: float(value) for labels, value in re.findall(rf"^{name}(?:\{{(.*)\}})? (\S+)$", body, re.M)}

    def api(self, path, parameters, timeout=CLIENT_TIMEOUT):
        status, body = get(self.port, f"/api/v1/{path}?{urllib.parse.urlencode(parameters, doseq=True)}", timeout)
        answer = json.loads(body)
        assert answer["status"] == "success", f"{parameters}: {status} {answer.get('error')}"
        return answer["data"]

    def value(self, expression):
        [result] = self.api("query", {"query": expression})["result"]
        return float(result["value"][1])

    def wait_for_evaluations(self, number):
        """Waits until the groups of rules have been evaluated so often since the first scrape, and those with a
        longer interval of their own at least once."""
        deadline, before = time.monotonic() + 900, None
        while True:
            done = self.metrics("prometheus_rule_group_iterations_total")
            if before is None:
                scraped = self.api("query", {"query": "scrape_samples_scraped > 1"})["result"]
                before = done if scraped and done else None
            else:
                runs = [done[group] - before[group] for group in done]
                if min(runs) >= 1 and max(runs) >= number:
                    return
            assert time.monotonic() < deadline, "Prometheus does not evaluate the rules"
            time.sleep(1)

    def export(self, path):
        """Writes all series with their values to a file, in the text format."""
        with open(path, "wb") as file:
            for name in self.api("label/__name__/values", {}):
                query = urllib.parse.urlencode({"match[]": f'{{__name__="{name}"}}'})
                status, body = get(self.port, f"/federate?{query}", 300)
                assert status == 200, f"{name}: {status}"
                file.write(body)

    def watch_rules(self, seconds):
        """Collects the durations of evaluations for some time, and until there is one of each group. Returns them
        by group, without those at the beginning."""
        seen, began = {}, time.time()
        while True:
            started = self.metrics("prometheus_rule_group_last_evaluation_timestamp_seconds")
            took = self.metrics("prometheus_rule_group_last_duration_seconds")
            for group, timestamp in started.items():
                if timestamp > began + WARM_UP and group in took:
                    seen.setdefault(group, {})[timestamp] = took[group]
            passed = time.time() - began
            if passed > seconds and len(seen) == len(started) > 0:
                break
            missing = started.keys() - seen.keys()
            assert passed < seconds + PATIENCE, f"not evaluated within {passed / 60:.0f} minutes: {missing}"
            time.sleep(2)
        return {re.search(r';([^"]*)"', group)[1]: list(durations.values()) for group, durations in seen.items()}

    def ask(self, query, time_range):
        """Sends a query of a panel. Returns how long it took in seconds, and why it failed, if it did."""
        path, parameters = query.request(time.time(), time_range)
        began = time.perf_counter()
        try:
            _, body = get(self.port, f"/api/v1/{path}?{urllib.parse.urlencode(parameters, doseq=True)}", CLIENT_TIMEOUT)
        except OSError as error:
            return time.perf_counter() - began, str(error) or type(error).__name__
        took = time.perf_counter() - began
        if body.startswith(b'{"status":"success"'):
            return took, None
        return took, json.loads(body)["error"]


class Column:
    """A column of the table: an exporter with a configuration, and the rules and dashboards of a checkout."""

    def __init__(self, release, name, *settings):
        self.name = name
        settings = dict(setting.split("=", 1) for setting in settings)
        checkout = pathlib.Path(settings.pop("checkout", ROOT))
        config = settings.pop("config", None)
        self.configuration = pathlib.Path(config).read_text() if config else ""
        default = release if checkout == ROOT else checkout / "target/release"
        self.exporter = pathlib.Path(settings.pop("exporter", default / "ssm-sync-exporter"))
        assert not settings, f"unknown settings of the column {name}: {', '.join(settings)}"
        assert self.exporter.exists(), f"{self.exporter} is missing: build it, or give exporter=PATH"
        deploy = checkout.resolve() / "deploy"
        text = (deploy / "prometheus/scrape.yml").read_text()
        self.rules = [deploy / "prometheus" / file for file in re.findall(r"^  - (\S+\.yml)$", text, re.M)]
        self.dashboards = [json.loads((deploy / f"grafana/{name}.json").read_text()) for name in ["fleet", "sync"]]
        self.figures = {}


def mean(values):
    return statistics.mean(values) if values else float("nan")


def write_history(program, directory, series, step):
    """Writes blocks with the series of a file, at each step."""
    end = time.time() - GAP
    command = [program, directory, str(round(end * 1000)), str(step), str(EVALUATION_INTERVAL),
               *map(str, BLOCK_HOURS)]
    began = time.monotonic()
    with open(series, "rb") as lines:
        output = subprocess.run(command, stdin=lines, stdout=subprocess.PIPE, text=True, check=True, timeout=1200).stdout
    count, samples = map(int, output.split())
    size = sum(file.stat().st_size for file in directory.rglob("*") if file.is_file())
    say(f"history: {count} series, {samples / 1e6:.0f} million samples in {sum(BLOCK_HOURS)} hours, one every {step} s, "
        f"{size / 1e9:.2f} GB, written in {time.monotonic() - began:.0f} s")
    say(f"it ends {(time.time() - end) / 60:.0f} minutes before Prometheus starts")


def measure_queries(prometheus, column, selected):
    pages = [Page(dashboard, selected) for dashboard in column.dashboards]
    failed, took = [], {}
    for label, seconds in RANGES.items():
        took = {query: known for query, known in took.items() if not query.depends_on_range}
        for page in pages:
            for query in page.queries:
                if query in took:
                    continue
                first, error = prometheus.ask(query, seconds)
                times = [first]
                while error is None and first < REPEATED_BELOW and len(times) < REPETITIONS:
                    took_again, error = prometheus.ask(query, seconds)
                    times.append(took_again)
                took[query] = statistics.median(times)
                if error is not None:
                    failed.append(f"{query.name} ({label}): {error}")
        print(f"\nQueries over {label}, seconds:")
        for query, duration in sorted(took.items(), key=lambda item: -item[1])[:12]:
            print(f"{duration:8.3f} {query.name}")
        slowest = max(took, key=took.get)
        column.figures[f"slowest query over {label}"] = f"{took[slowest]:.2f} s ({slowest.name})"
        column.figures[f"queries over {label} above 1 s"] = str(sum(duration > 1 for duration in took.values()))
        fleet = [query for query in pages[0].queries if query.on_page]
        began = time.perf_counter()
        with concurrent.futures.ThreadPoolExecutor(CONNECTIONS) as pool:
            errors = sum(error is not None for _, error in pool.map(lambda query: prometheus.ask(query, seconds), fleet))
        column.figures[f"the fleet page over {label}, {CONNECTIONS} queries at a time"] = (
            f"{time.perf_counter() - began:.1f} s ({len(fleet)} queries{f', {errors} failed' if errors else ''})")
        print(flush=True)
    for failure in failed:
        say(f"failed: {failure}")
    if failed:
        column.figures["queries that failed"] = str(len(failed))


def measure(column, url, fleet, options, program):
    figures = column.figures
    with contextlib.ExitStack() as stack:
        directory = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-prometheus-")))
        say(f"{column.name}: starting the exporter")
        process, port = stack.enter_context(exporter(column, url, fleet, directory))
        say("learning the series of the exporter and of the rules")
        series, data = directory / "series", directory / "data"
        with Prometheus.start(directory / "first", column.rules, port, SCRAPE_INTERVAL) as prometheus:
            prometheus.wait_for_evaluations(3)
            syncs = prometheus.value("sum(max by (aws_account_id, aws_region, sync_type) (aws_ssm_resource_data_syncs))")
            targets = prometheus.value("count(ssm_sync_exporter_target_info)")
            prometheus.export(series)
        shutil.rmtree(directory / "first")
        say(f"{targets:.0f} targets, {syncs:.0f} syncs")
        assert (targets, syncs) == (fleet.targets, fleet.syncs), "the exporter does not serve the whole fleet"
        data.mkdir()
        write_history(program, data, series, options.step)
        series.unlink()

        with Prometheus.start(data, column.rules, port, EVALUATION_INTERVAL) as prometheus:
            remembered = prometheus.value("count(last_over_time(ssm_sync_exporter_target_info[10m] offset 12h))")
            assert remembered == targets, f"the history has {remembered:.0f} targets"
            say(f"running for {options.minutes:g} minutes")
            load = Load(prometheus.process.pid, process.pid)
            groups = prometheus.watch_rules(60 * options.minutes)
            minutes = {group: mean(durations) * 60 / EVALUATION_INTERVAL for group, durations in groups.items()}
            for group in prometheus.api("rules", {})["groups"]:
                slowest = max(group["rules"], key=lambda rule: rule["evaluationTime"])
                durations = ", ".join(f"{duration:.2f}" for duration in groups.get(group["name"], []))
                print(f"{group['name']}: {durations} s; slowest rule: {slowest['name']}, {slowest['evaluationTime']:.2f} s")
            samples = prometheus.value("scrape_samples_scraped")
            [head] = prometheus.metrics("prometheus_tsdb_head_series").values()
            resident, _, anonymous = memory(prometheus.process.pid)
            figures["series of a scrape"] = f"{samples:.0f} ({samples / syncs:.1f} a sync)"
            figures["series in the head"] = f"{head:.0f} ({head / syncs:.1f} a sync)"
            window = f"[{round(60 * options.minutes)}s]"
            figures["scrape, mean and longest"] = " and ".join(
                f"{prometheus.value(f'{of}_over_time(scrape_duration_seconds{window})'):.2f} s" for of in ["avg", "max"])
            lost = prometheus.value(f"count_over_time(up{window}) - sum_over_time(up{window})")
            if lost > 0:
                figures["scrapes that failed"] = f"{lost:.0f}"
            figures["rules, seconds a minute"] = f"{sum(minutes.values()):.2f} (" + ", ".join(
                f"{group.removeprefix('ssm-sync-')} {took:.2f}" for group, took in
                sorted(minutes.items(), key=lambda item: -item[1])) + ")"
            ours, others = load.shares()
            figures["Prometheus's CPU for scrapes and rules"] = f"{ours:.2f} cores ({others:.2f} were used by others)"
            figures["slowest group of rules"] = f"{max(minutes.values()):.2f} s"
            selected = fleet.selected_sync()
            say("asking the panels")
            load = Load(prometheus.process.pid, process.pid)
            measure_queries(prometheus, column, selected)
            say("meanwhile, Prometheus used {:.2f} cores and others {:.2f}".format(*load.shares()))
            after, peak, _ = memory(prometheus.process.pid)
            figures[f"Prometheus's resident memory after {options.minutes:g} minutes"] = \
                f"{resident / 1e9:.2f} GB ({resident / syncs / 1e3:.0f} kB a sync)"
            figures["of it not from files"] = f"{anonymous / 1e9:.2f} GB ({anonymous / syncs / 1e3:.0f} kB a sync)"
            figures["after the queries, and at most"] = f"{after / 1e9:.2f} and {peak / 1e9:.2f} GB"
            figures["the exporter's resident memory"] = f"{memory(process.pid)[0] / 1e6:.0f} MB"


def table(columns):
    rows = list(dict.fromkeys(row for column in columns for row in column.figures))
    lines = [["", *(column.name for column in columns)], ["---"] * (len(columns) + 1)]
    lines += [[row, *(column.figures.get(row, "") for column in columns)] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def arguments():
    parser = argparse.ArgumentParser(prog="tests/bench/prometheus", description=(
        "Measures what a large fleet costs Prometheus. Every --column adds a column to the table; without one, "
        "there is one for this checkout and the exporter's default configuration."))
    parser.add_argument("release", type=pathlib.Path, help=argparse.SUPPRESS)
    parser.add_argument("--accounts", type=int, default=1000, help="number of accounts, each in 17 regions (default: 1000)")
    parser.add_argument("--minutes", type=float, default=8,
                        help=f"how long rules are observed; the first {WARM_UP // 60} minutes do not count (default: 8)")
    parser.add_argument("--step", type=int, default=SCRAPE_INTERVAL,
                        help="seconds between the samples of the history (default: 30, like the scrapes)")
    parser.add_argument("--column", nargs="+", action="append", metavar=("NAME", "SETTING"), help=(
        "a column; settings are config=FILE (YAML that is appended to the exporter's configuration), "
        "checkout=DIRECTORY (whose rules and dashboards to use, and whose target/release/ssm-sync-exporter) "
        "and exporter=FILE (the program); relative paths start at this checkout"))
    return parser.parse_args()


def main():
    # Exit on SIGTERM, so that the servers are stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    options = arguments()
    release, _ = options.release.resolve(), tool("prometheus")
    columns = [Column(release, *settings) for settings in options.column or [["this checkout"]]]
    fleet = Fleet(options.accounts)
    with tempfile.TemporaryDirectory() as directory:
        program = pathlib.Path(directory, "prometheus_history")
        subprocess.run(["go", "build", "-o", program, "."], check=True, cwd=HERE / "prometheus_history",
                       env=os.environ | {"GO111MODULE": "off"})
        with fake_aws(release, fleet) as url:
            for column in columns:
                measure(column, url, fleet, options, program)
    version = subprocess.run([tool("prometheus"), "--version"], capture_output=True, text=True, check=True).stdout
    print(f"\n{fleet.description()} {version.split(' (')[0].capitalize()}, {os.cpu_count()} cores, a scrape every "
          f"{SCRAPE_INTERVAL} s, rules every {EVALUATION_INTERVAL} s, {sum(BLOCK_HOURS)} hours of history with a sample "
          f"every {options.step} s, {options.minutes:g} minutes.\n\n{table(columns)}")


main()
