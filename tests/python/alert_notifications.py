"""Sends alerts through a real Prometheus and a real Alertmanager, and records the notifications.

Usage: alert_notifications.py PROMETHEUS ALERTMANAGER DIRECTORY

Prometheus evaluates deploy/prometheus with the metrics below. Alertmanager has the configuration
and the templates of deploy/alertmanager, with every kind of receiver for every severity. This script
serves the metrics, and receives what Alertmanager sends to Slack, to PagerDuty and by e-mail. For each
case it writes to DIRECTORY: CASE.slack.json, CASE.pagerduty.json, CASE.txt and CASE.html. Times
and addresses that differ between runs are replaced by words.
"""

import email
import email.policy
import http.server
import json
import pathlib
import re
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import time

import yaml

DEPLOY = pathlib.Path(__file__).parents[2] / "deploy"
ALERTMANAGER_ADDRESS = "https://alertmanager.example.org"
# Markup of Slack and of HTML, quotes, line breaks, and characters that change the direction of text.
HOSTILE = '<!channel> *bold* _x_ `code` <https://evil.example|click> <script>alert(1)</script> "q" \'a\' \\ &amp;\n\r\t\u202e{{ .Status }}'
LONG = "n\u00e4me " * 40


def sample(name, value=1, **labels):
    def escaped(text):
        return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')

    pairs = ",".join(f'{label}="{escaped(text)}"' for label, text in labels.items())
    return f"{name}{{{pairs}}} {value}\n"


def failed(account, account_name, sync_name, cause, region="eu-west-1"):
    return sample(
        "aws_ssm_resource_data_sync_problem", problem="failed", cause=cause, aws_account_id=account,
        aws_region=region, sync_type="SyncToDestination", sync_name=sync_name, account_name=account_name,
        bucket_name="inventory-111122223333", managed_by="customer",
    )


def down(account, account_name, region, reason):
    place = {"aws_account_id": account, "aws_region": region}
    return (
        sample("ssm_sync_exporter_target_down_reason", account_name=account_name, reason=reason, **place)
        + sample("ssm_sync_exporter_target_up", 0, **place)
        + sample("ssm_sync_exporter_target_consecutive_failures", 5, **place)
    )


def account(number):
    return f"{100_000_000_000 + number}"


FORTY = "".join(
    failed(account(n), f"R&D {n:02}", "org-inventory", "bucket_policy") for n in range(40)
)
SOME = [
    failed(account(n), f"payments-{n}", f"patches-{n}", "kms_key", region)
    for n, region in [(50, "eu-west-1"), (51, "eu-central-1"), (52, "us-east-1")]
]
STAYS = (
    failed("111122223333", "production", "patch-compliance", "bucket_missing")
    + failed("222233334444", LONG, HOSTILE + LONG, "unknown")
    + failed(account(70), "&" * 200, "&" * 99, "other")
    + failed("222233334444", HOSTILE, HOSTILE, "object_lock")
    + failed("333344445555", "", LONG, "object_lock")
    # The longest text: each & becomes &amp;.
    + "".join(failed(account(60 + n), "&" * 200, "&" * 200 + str(n), "organization_sharing") for n in range(6))
    + "".join(down("555566667777", "sandbox", region, "timeout") for region in ["eu-central-1", "eu-west-1", "us-east-1"])
    + "".join(down(account(100 + n), f"workload-{n:03}", "eu-west-1", "assume_role_denied") for n in range(300))
    # With fewer, SsmSyncMostTargetsDown would fire and mute the alerts of the accounts.
    + "".join(sample("ssm_sync_exporter_target_up", aws_account_id=account(500 + n), aws_region="eu-west-1") for n in range(400))
)

# Cases in two steps: the titles of their messages. Metrics without ssm_sync_exporter_build_info are
# those of no exporter.
FIRST = {
    "one_failed_sync": "Sync patch-compliance failed in production, 111122223333, eu-west-1",
    "forty_failed_syncs": "40 syncs failed (bucket_policy) in eu-west-1",
    "target_down": "sandbox, 555566667777 cannot be polled in 3 regions: timeout",
    "three_hundred_accounts_down": "300 accounts cannot be polled (assume_role_denied)",
    "exporter_down": "ssm-sync-exporter is down",
    "several_regions": "3 syncs failed (kms_key)",
    "hostile_name": "Sync <!channel> *bold* _x_ `code` ",
    "longest_name": f"Sync {'&' * 99} failed in ",
    "hostile_names": "2 syncs failed (object_lock) in eu-west-1",
    "longest_names": "6 syncs failed (organization_sharing) in eu-west-1",
}
SECOND = {
    "resolved_group": "Resolved: 40 syncs failed (bucket_policy) in eu-west-1",
    "partly_resolved": "Sync patches-51 failed in payments-51, 100000000051, eu-central-1",
}


class Received:
    """What the receivers got, as (kind, title, message)."""

    def __init__(self):
        self.messages = []
        self.metrics = STAYS + FORTY + "".join(SOME)

    def add(self, kind, title, message):
        self.messages.append((kind, title, message))

    def of(self, kind, title):
        found = [message for k, t, message in self.messages if k == kind and t.startswith(title)]
        return found[-1] if found else None


RECEIVED = Received()


class Handler(http.server.BaseHTTPRequestHandler):
    """The metrics, Slack's webhook and PagerDuty's API of events."""

    def do_GET(self):
        self.answer(200, RECEIVED.metrics.encode())

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/slack":
            title = body["attachments"][0]["title"]
            for entity, char in [("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")]:
                title = title.replace(entity, char)
            RECEIVED.add("slack", title, body)
            self.answer(200, b"ok")
        else:
            assert self.path == "/pagerduty", self.path
            RECEIVED.add("pagerduty", body["payload"]["summary"], body)
            self.answer(202, b"{}")

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Mailbox(socketserver.StreamRequestHandler):
    """A server for SMTP."""

    def handle(self):
        self.say("220 mail.example.org")
        while line := self.rfile.readline():
            command = line.decode().split()[0].upper()
            if command == "DATA":
                self.say("354 end with a dot")
                lines = []
                while (line := self.rfile.readline()) not in (b".\r\n", b""):
                    lines.append(line[1:] if line.startswith(b"..") else line)
                message = email.message_from_bytes(b"".join(lines), policy=email.policy.default)
                subject = message["Subject"]
                parts = {part.get_content_type(): part.get_content() for part in message.walk() if not part.is_multipart()}
                text = f"Subject: {subject}\n\n{parts['text/plain']}"
                RECEIVED.add("mail", subject.split("] ", 1)[-1], {"txt": text, "html": parts["text/html"]})
            self.say("221 bye" if command == "QUIT" else "250 ok")
            if command == "QUIT":
                return

    def say(self, text):
        self.wfile.write(text.encode() + b"\r\n")


def serve(server):
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return "{}:{}".format(*server.server_address)


def free_address():
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        return "{}:{}".format(*chosen.getsockname())


def alertmanager_config(http_address, mail_address):
    """deploy/alertmanager/alertmanager.yml with the addresses of this script, and all receivers for all severities."""
    config = yaml.safe_load((DEPLOY / "alertmanager/alertmanager.yml").read_text())
    config["global"] = {"smtp_smarthost": mail_address, "smtp_from": "alertmanager@example.org", "smtp_require_tls": False}
    config["templates"] = [str(DEPLOY / "alertmanager" / file) for file in config["templates"]]
    every = {key: value for receiver in config["receivers"] for key, value in receiver.items() if key != "name"}
    assert set(every) == {"slack_configs", "pagerduty_configs", "email_configs"}, every
    for slack in every["slack_configs"]:
        del slack["api_url_file"]
        slack["api_url"] = f"http://{http_address}/slack"
    for pagerduty in every["pagerduty_configs"]:
        del pagerduty["routing_key_file"]
        pagerduty.update(routing_key="key", url=f"http://{http_address}/pagerduty")
    for receiver in config["receivers"]:
        receiver.update(every)
    # The times are those of people.
    for route in [config["route"], *config["route"]["routes"], *config["route"]["routes"][0]["routes"]]:
        route.update(group_wait="1s", group_interval="1s")
    return config


def prometheus_config(http_address, alertmanager_address, directory):
    """deploy/prometheus/scrape.yml with these addresses and short times, and the rules beside it in the directory."""
    for file in ["recording-rules.yml", "alerts.yml"]:
        rules = (DEPLOY / "prometheus" / file).read_text()
        (directory / file).write_text(re.sub(r"(?m)^(\s+(?:for|keep_firing_for|interval)): .*", r"\1: 1s", rules))
    config = yaml.safe_load((DEPLOY / "prometheus/scrape.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["scrape_configs"][0]["static_configs"][0]["targets"] = [http_address]
    config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [alertmanager_address]
    for relabeling in config["alerting"]["alert_relabel_configs"]:
        # Alerts on the exporter have no links, so that there are messages without.
        relabeling["regex"] = relabeling["regex"].replace("SsmSync.*", "SsmSync[^E].*")
    return config


def stable(text):
    """The text without what differs between runs."""
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", "TIME", text)


def expect(cases, directory):
    """Waits until all messages of the cases have arrived, and writes them."""
    deadline = time.monotonic() + 60
    wanted = {(case, kind): title for case, title in cases.items() for kind in ["slack", "pagerduty", "mail"]}
    while missing := {key for key, title in wanted.items() if RECEIVED.of(key[1], title) is None}:
        if time.monotonic() > deadline:
            titles = sorted({(kind, title) for kind, title, _ in RECEIVED.messages})
            sys.exit(f"missing: {sorted(missing)}; received: {json.dumps(titles, indent=1)}")
        time.sleep(0.1)
    for (case, kind), title in wanted.items():
        message = RECEIVED.of(kind, title)
        if kind == "mail":
            for suffix, text in message.items():
                (directory / f"{case}.{suffix}").write_text(stable(text).rstrip() + "\n")
        else:
            message.pop("dedup_key", None)
            text = json.dumps(message, indent=2, ensure_ascii=False)
            (directory / f"{case}.{kind}.json").write_text(stable(text) + "\n")


def main(prometheus, alertmanager, directory):
    directory = pathlib.Path(directory)
    http_address = serve(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler))
    mail_address = serve(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Mailbox))
    with tempfile.TemporaryDirectory() as place:
        place = pathlib.Path(place)
        address = free_address()
        (place / "alertmanager.yml").write_text(json.dumps(alertmanager_config(http_address, mail_address)))
        (place / "prometheus.yml").write_text(json.dumps(prometheus_config(http_address, address, place)))
        log = (place / "log").open("w")
        commands = [
            [alertmanager, f"--config.file={place}/alertmanager.yml", f"--storage.path={place}/alertmanager",
             f"--web.listen-address={address}", f"--web.external-url={ALERTMANAGER_ADDRESS}", "--cluster.listen-address="],
            [prometheus, f"--config.file={place}/prometheus.yml", f"--storage.tsdb.path={place}/prometheus",
             f"--web.listen-address={free_address()}",
             # An alert that fires before Alertmanager listens is sent once more.
             "--rules.alert.resend-delay=1s"],
        ]
        running = [subprocess.Popen(command, stdout=log, stderr=log) for command in commands]
        try:
            expect(FIRST, directory)
            # One of the three syncs stays.
            RECEIVED.metrics = STAYS + SOME[1]
            expect(SECOND, directory)
        except SystemExit:
            sys.stderr.write((place / "log").read_text()[-5000:])
            raise
        finally:
            for process in running:
                process.kill()
                process.wait()
    print(len(FIRST) + len(SECOND), "cases")


main(*sys.argv[1:])
