"""The benchmark of the script `scrape`. Usage: scrape.py RELEASE_DIRECTORY"""

import contextlib
import gzip
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

RELEASE = pathlib.Path(sys.argv[1])
HERE = pathlib.Path(__file__).parent
SYNCS = 5
ROUNDS = 5
# Approximate duration of a batch in seconds, long compared with the 10 ms resolution of CPU times.
BATCH_SECONDS = 0.5
MAX_BATCH = 400
# Of collections and of scrapes, in seconds.
INTERVAL = 60
SCRAPE_INTERVAL = 5
REGIONS = ["ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1", "ap-southeast-2",
           "ca-central-1", "eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3", "sa-east-1",
           "us-east-1", "us-east-2", "us-west-1", "us-west-2"]
# Number of accounts, and regions.
SMALL = (400, REGIONS[:10])
LARGE = (1000, REGIONS)
FIRST_ACCOUNT = 100000000000
HUB = "999900000000"
FAMILIES = ["info", "last_status", "destination_data_sharing", "last_sync_timestamp_seconds",
            "last_successful_sync_timestamp_seconds", "created_timestamp_seconds", "last_modified_timestamp_seconds",
            "last_sync_age_seconds", "last_successful_sync_age_seconds"]
ENVIRONMENT = {"PATH": os.environ["PATH"], "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/dev/null",
               "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}
NGINX = """
daemon off;
worker_processes 1;
pid nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    log_not_found off;
    sendfile on;
    client_body_temp_path temp;
    proxy_temp_path temp;
    fastcgi_temp_path temp;
    uwsgi_temp_path temp;
    scgi_temp_path temp;
    server {{
        listen 127.0.0.1:{port};
        location = /metrics {{ root .; gzip_static on; }}
    }}
}}
"""
BUFFER = bytearray(1024 * 1024)


def path_of(families):
    return "/metrics?" + "&".join(f"collect%5B%5D=aws_ssm_resource_data_sync_{family}" for family in families)


@contextlib.contextmanager
def running(command, **options):
    process = subprocess.Popen(command, **options)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(10)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def get(port, path, headers={}):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def wait_until_ready(process, port):
    deadline = time.monotonic() + 300
    while True:
        try:
            # Other servers answer with 404, which is enough.
            if get(port, "/-/ready")[0] != 503:
                return
        except OSError:
            pass
        assert process.poll() is None, f"{process.args[0]} has exited"
        assert time.monotonic() < deadline, f"{process.args[0]} takes too long"
        time.sleep(0.1)


def cpu(pid):
    """CPU time of a process in seconds."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return [int(re.search(rf"{key}:\s+(\d+)", status)[1]) / 1024 for key in ["VmRSS", "VmHWM"]]


class Server:
    """A running server that can be scraped."""

    def __init__(self, name, port, pid, config=None, base=None):
        self.name, self.port, self.pid, self.config, self.base = name, port, pid, config, base

    def configure(self, settings):
        """Writes the configuration of an exporter, with further keys."""
        pathlib.Path(self.config).write_text(self.base + settings)


@contextlib.contextmanager
def fake(accounts, syncs, *options):
    command = [RELEASE / "fake-aws", "--members", str(accounts), "--syncs", str(syncs), *options, "127.0.0.1:0"]
    with running(command, stdout=subprocess.PIPE, text=True) as process:
        yield process.stdout.readline().strip().removeprefix("AWS_ENDPOINT_URL=")


@contextlib.contextmanager
def exporter(name, url, regions, interval, settings=""):
    """Runs the exporter, ready after its first round. `settings` are further keys of the configuration."""
    port = free_port()
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as config:
        server = Server(name, port, None, config.name, f"""
interval: {interval}
stale_after: {interval}
regions: [{", ".join(regions)}]
organization:
  member_role: "arn:{{partition}}:iam::{{account_id}}:role/SsmSyncExporter"
  exclude_accounts: ["{HUB}"]
""")
        server.configure(settings)
        command = [RELEASE / "ssm-sync-exporter", "--config.file", config.name, "--log.level", "error",
                   "--web.enable-lifecycle", "--web.listen-address", f"127.0.0.1:{port}"]
        environment = ENVIRONMENT | {"AWS_ENDPOINT_URL": url, "AWS_REGION": "eu-west-1",
                                     "AWS_ACCESS_KEY_ID": f"AKIA{HUB}FAKE", "AWS_SECRET_ACCESS_KEY": "any"}
        with running(command, env=environment) as process:
            wait_until_ready(process, port)
            server.pid = process.pid
            yield server


@contextlib.contextmanager
def client_golang(directory, accounts, regions):
    program, port = directory / "scrape_peer", free_port()
    subprocess.run(["go", "build", "-o", program, HERE / "scrape_peer.go"], check=True,
                   env=os.environ | {"GO111MODULE": "off", "GOPATH": "/usr/share/gocode"})
    with running([program, f"127.0.0.1:{port}", str(accounts), str(SYNCS), *regions]) as process:
        wait_until_ready(process, port)
        yield Server("client_golang", port, process.pid)


@contextlib.contextmanager
def nginx(directory, body):
    """Runs nginx with this body in a file, and its `gzip -6` output in another."""
    directory.chmod(0o755)  # The worker may be another user.
    (directory / "metrics").write_bytes(body)
    subprocess.run(["gzip", "-6", "--keep", directory / "metrics"], check=True)
    port = free_port()
    (directory / "nginx.conf").write_text(NGINX.format(port=port))
    with running(["/usr/sbin/nginx", "-p", directory, "-e", "stderr", "-c", "nginx.conf"]) as process:
        wait_until_ready(process, port)
        [worker] = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        yield Server("nginx", port, worker)


class Scrape:
    """A scrape of a server with given headers, and its measured cost."""

    def __init__(self, server, name, coding, path="/metrics", accept="text/plain"):
        self.server, self.name, self.path = server, name, path
        self.headers = {"Host": "127.0.0.1", "Connection": "close", "Accept": accept, "Accept-Encoding": coding}
        lines = [f"GET {path} HTTP/1.1", *(": ".join(header) for header in self.headers.items()), "\r\n"]
        self.request = "\r\n".join(lines).encode()
        self.first = self.batch(1)
        self.size = len(self.body())
        self.scrapes = max(2, min(MAX_BATCH, round(BATCH_SECONDS / statistics.median(self.scrape() for _ in range(3)))))
        self.rounds = []

    def body(self):
        status, body = get(self.server.port, self.path, self.headers)
        assert status == 200, status
        return body

    def scrape(self):
        """Scrapes once on a new connection. Returns the time until the whole response is read, in seconds."""
        began, total = time.perf_counter(), 0
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=60) as connection:
            connection.sendall(self.request)
            while length := connection.recv_into(BUFFER):
                assert total > 0 or BUFFER.startswith(b"HTTP/1.1 200 "), bytes(BUFFER[:length])
                total += length
        took = time.perf_counter() - began
        # The size varies, because ages grow.
        assert total > 0.9 * getattr(self, "size", 0), f"{total} bytes"
        return took

    def batch(self, scrapes):
        """Scrapes several times. Returns the median latency and the CPU time per scrape, in seconds."""
        before = cpu(self.server.pid)
        latency = statistics.median(self.scrape() for _ in range(scrapes))
        time.sleep(0.3)  # Garbage collection may still be running.
        return latency, (cpu(self.server.pid) - before) / scrapes

    def latency(self):
        return statistics.median(latency for latency, _ in self.rounds)

    def cpu(self):
        return statistics.median(cpu for _, cpu in self.rounds)

    def show(self):
        shown = [f"{self.server.name:15} {self.name:16} {self.size / 1e6:7.2f} MB"]
        for costs in zip(*self.rounds):
            low, middle, high = (1000 * cost for cost in [min(costs), statistics.median(costs), max(costs)])
            shown.append(f"{middle:8.2f} ms {f'({low:.2f} to {high:.2f})':22}")
        shown.append(f"{1000 * self.first[0]:7.0f} ms {1000 * self.first[1]:6.0f} ms")
        print(" ".join(shown))


def measure(scrapes):
    """Measures in interleaved rounds, because the speed of a shared machine varies."""
    for _ in range(ROUNDS):
        for scrape in scrapes:
            scrape.rounds.append(scrape.batch(scrape.scrapes))


def series(body):
    """The series of an exposition in the text format, with sorted labels."""
    found = set()
    for line in body.decode().splitlines():
        if not line.startswith("#"):
            labels = re.findall(r'[{,](\w+)="([^"]*)"', line)
            found.add((line.partition("{")[0], *sorted(labels)))
    return found


def count_series(body):
    return sum(not line.startswith(b"#") for line in body.splitlines())


def show_memory(what, server):
    now, peak = memory(server.pid)
    print(f"{server.name:15} {what:31} {now:6.0f} MB resident, peak {peak:6.0f} MB")
    return now, peak


def goal(what, value, limit, at_least=False):
    met, bound = (value >= limit, "at least") if at_least else (value <= limit, "at most")
    print(f"{what:48} {value:7.2f}   goal: {bound} {limit:.2f}   {'met' if met else 'MISSED'}")


def compare(stack, directory):
    """Compares scrapes of the same series by all servers, and of more series by the exporter."""
    def started(name, accounts, regions):
        return stack.enter_context(exporter(name, stack.enter_context(fake(accounts, SYNCS)), regions, "1h"))

    nine = path_of(FAMILIES)
    ours, large = started("exporter", *SMALL), started("exporter 85,000", *LARGE)
    peer = stack.enter_context(client_golang(directory, *SMALL))
    for server in [ours, large, peer]:
        show_memory("before the first scrape", server)
    ours_gzip, ours_plain = Scrape(ours, "gzip", "gzip", nine), Scrape(ours, "plain", "identity", nine)
    large_gzip, large_plain = Scrape(large, "gzip", "gzip", nine), Scrape(large, "plain", "identity", nine)
    peer_gzip, peer_plain = Scrape(peer, "gzip", "gzip"), Scrape(peer, "plain", "identity")

    body = ours_plain.body()
    of_ours, of_large = count_series(body), count_series(large_plain.body())
    assert gzip.decompress(ours_gzip.body()).count(b"\n") == body.count(b"\n"), "gzip and plain must have the same content"
    assert series(body) == series(peer_plain.body()), "the series must be the same"
    assert 0.95 < ours_plain.size / peer_plain.size < 1.05, "the bodies must have about the same length"
    still = stack.enter_context(nginx(directory, body))
    still_gzip, still_plain = Scrape(still, "gzip", "gzip"), Scrape(still, "plain", "identity")

    scrapes = [ours_gzip, peer_gzip, still_gzip, ours_plain, peer_plain, still_plain, large_gzip, large_plain]
    measure(scrapes)
    sizes = [show_memory("after scrapes in gzip and plain", server) for server in [ours, large, peer]]
    more = [Scrape(ours, "zstd", "zstd", nine),
            Scrape(ours, "OpenMetrics gzip", "gzip", nine, "application/openmetrics-text; version=1.0.0"),
            Scrape(ours, "protobuf", "identity", nine,
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"),
            Scrape(ours, "protobuf gzip", "gzip", nine,
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"),
            Scrape(ours, "all gzip", "gzip"), Scrape(ours, "all plain", "identity")]
    measure(more)
    show_memory("after scrapes in all formats", ours)

    print(f"\n{of_ours} series, and {of_large} of 85,000; median of {ROUNDS} rounds (lowest to highest)")
    print(f"{'':32} {'body':>10} {'latency':>11} {'':22} {'CPU':>11} {'':22} {'first':>10} {'its CPU':>9}")
    for scrape in scrapes + more:
        scrape.show()
    print()
    goal("gzip: client_golang / exporter, latency", peer_gzip.latency() / ours_gzip.latency(), 50, at_least=True)
    goal("gzip: client_golang / exporter, CPU", peer_gzip.cpu() / ours_gzip.cpu(), 50, at_least=True)
    goal("plain: exporter / nginx, latency", ours_plain.latency() / still_plain.latency(), 2)
    goal("plain: exporter / nginx, CPU", ours_plain.cpu() / still_plain.cpu(), 2)
    (ours_now, ours_peak), (large_now, large_peak), (peer_now, peer_peak) = sizes
    goal("resident memory: exporter / client_golang", ours_now / peer_now, 0.25)
    goal("peak resident memory: exporter / client_golang", ours_peak / peer_peak, 0.25)
    growth = of_large / of_ours
    goal("85,000 / 20,000, gzip, CPU", large_gzip.cpu() / ours_gzip.cpu(), growth)
    goal("85,000 / 20,000, plain, CPU", large_plain.cpu() / ours_plain.cpu(), growth)
    goal("85,000 / 20,000, resident memory", large_now / ours_now, growth)
    goal("85,000 / 20,000, peak resident memory", large_peak / ours_peak, growth)
    print(f"a series of 20,000 and of 85,000 syncs: {1e9 * ours_gzip.cpu() / of_ours:.0f} and "
          f"{1e9 * large_gzip.cpu() / of_large:.0f} ns of CPU in gzip, {1e9 * ours_plain.cpu() / of_ours:.0f} and "
          f"{1e9 * large_plain.cpu() / of_large:.0f} ns plain\n")


def create_syncs(url, accounts, regions):
    """Creates syncs that run once a minute. The default syncs of fake-aws never change."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"))
    for account in range(FIRST_ACCOUNT, FIRST_ACCOUNT + accounts):
        for region in regions:
            for number in range(SYNCS):
                body = json.dumps({"SyncName": f"inventory-{number}", "S3Destination": {
                    "BucketName": f"organization-inventory-{number}", "Prefix": "inventory",
                    "SyncFormat": "JsonSerDe", "Region": "eu-west-1"}})
                scope = f"AKIA{account}FAKE/20260101/{region}/ssm/aws4_request"
                connection.request("POST", "/", body, {
                    "X-Amz-Target": "AmazonSSM.CreateResourceDataSync",
                    "X-Amz-Date": time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()),
                    "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"})
                response = connection.getresponse()
                response.read()
                assert response.status == 200, response.status
    connection.close()


def lists(url):
    calls = json.loads(get(int(url.rpartition(":")[2]), "/_fake/calls")[1])
    return sum(call["calls"] for call in calls if call["operation"] == "ListResourceDataSync")


def measure_updates(stack):
    """Measures the cost of a collection for three exporters with the same targets: one that is never scraped and
    so keeps no exposition up to date, one that was scraped once, and one that is scraped regularly."""
    accounts, regions = SMALL
    url = stack.enter_context(fake(accounts, 0))
    create_syncs(url, accounts, regions)
    unscraped, kept, scraped = servers = [
        stack.enter_context(exporter(name, url, regions, f"{INTERVAL}s")) for name in ["unscraped", "kept", "scraped"]]
    first, regular = Scrape(kept, "gzip", "gzip"), Scrape(scraped, "gzip", "gzip")
    times = Scrape(scraped, "times", "gzip", path_of(["last_sync_timestamp_seconds"]))
    # The second collection of a target comes at least half an interval after its first, and then one per interval.
    time.sleep(1.5 * INTERVAL)

    targets, before = accounts * len(regions), set(gzip.decompress(times.body()).splitlines())
    began, listed, used = time.monotonic(), lists(url), [cpu(server.pid) for server in servers]
    latencies, of_scrapes = [], 0
    while time.monotonic() - began < INTERVAL:
        start = cpu(scraped.pid)
        latencies.append(regular.scrape())
        of_scrapes += cpu(scraped.pid) - start
        time.sleep(SCRAPE_INTERVAL - (time.monotonic() - began) % SCRAPE_INTERVAL)
    of_unscraped, of_kept, of_scraped = (cpu(server.pid) - start for server, start in zip(servers, used))
    collections = (lists(url) - listed) / 2 / len(servers)
    assert 0.95 < collections / targets < 1.05, f"{collections} collections"

    after = gzip.decompress(times.body()).splitlines()
    new = sum(line not in before for line in after) / len(after)
    assert new > 0.95, f"{new:.0%} of the syncs have new times"
    keeping, whole = (of_kept - of_unscraped) / collections, first.first[1]
    print(f"{targets} targets of {SYNCS} syncs, collected once every {INTERVAL} s, {new:.0%} of the syncs with new times; "
          f"all families, gzip:")
    print(f"CPU per collection: {1e6 * of_unscraped / collections:.0f} us if never scraped, "
          f"{1e6 * of_kept / collections:.0f} us if scraped once, "
          f"{1e6 * (of_scraped - of_scrapes) / collections:.0f} us if scraped regularly, without the scrapes")
    print(f"to update the exposition after a collection: {1e6 * keeping:.0f} us")
    print(f"to render everything at the first scrape: {1000 * whole:.0f} ms, {1e6 * whole / targets:.0f} us per "
          f"target; {whole / keeping:.0f} times the cost of one collection")
    print(f"a scrape every {SCRAPE_INTERVAL} s meanwhile: {1000 * statistics.median(latencies):.1f} ms "
          f"({1000 * min(latencies):.1f} to {1000 * max(latencies):.1f}), "
          f"{1000 * of_scrapes / len(latencies):.1f} ms of CPU, including concurrent collections")
    for server in servers:
        show_memory("at the end", server)


# Exit on SIGTERM, so that the servers are stopped.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
if __name__ == "__main__":
    with contextlib.ExitStack() as servers:
        compare(servers, pathlib.Path(servers.enter_context(tempfile.TemporaryDirectory())))
    with contextlib.ExitStack() as servers:
        measure_updates(servers)
