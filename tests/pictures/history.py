"""A week of history for the series of the demo, in OpenMetrics.

The last samples are those of the demo, so panels of current values show what the demo says. What panels show
over time changes before as the constants below say, and counters grow as they did between two scrapes of
the demo. Times are given as ages: seconds before the second scrape.
"""

import math
import random
import re

MINUTE, HOUR, DAY = 60, 3600, 86400
# From one sample to the next; `timeInterval` of Grafana's data source.
STEP = MINUTE
SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

# The sync that the picture of the second dashboard shows: the one in the demo that fails. The demo says when it
# last succeeded; it runs this often, and one run before that failed, too.
FAILING = {"aws_account_id": "222233334444", "aws_region": "eu-west-1", "sync_name": "patch-compliance"}
RUN_EVERY, RUN_TIME = 6.5 * HOUR, 40 * MINUTE
FAILED_BEFORE = 10
# Targets that were down, from when until when, and why. Their syncs are lost after a while.
OUTAGES = [
    ({"aws_region": "us-east-1"}, 7 * HOUR, 6.2 * HOUR, "timeout"),
    ({"aws_account_id": "222233334444"}, 5 * DAY, 4.8 * DAY, "assume_role_denied"),
]
STALE_AFTER = 30 * MINUTE
# When a problem of the demo began, if not before the week.
BEGAN = {"source_fault": 14 * HOUR, "stuck": HOUR}
# Syncs that were stale, from when until when.
WERE_STALE = {"aws_account_id": "444455556666", "aws_region": "us-east-1", "sync_name": "org-inventory"}, 17 * HOUR, 11 * HOUR
# When the violations of the demo began.
VIOLATED = {"drifted": 10 * HOUR, "missing": 4 * HOUR}
STARTED, RELOADED = 8 * DAY, 9 * HOUR
# The largest share of the requests of a minute that take longer than in the demo.
SLOW = 0.02

# The labels that Prometheus adds to what it scrapes.
SCRAPED = {"job": "ssm-sync-exporter", "instance": "localhost:10144"}
# Series with these labels have a history of a week, others of a day.
SHOWN_FOR_A_WEEK = {name: FAILING[name] for name in ("aws_account_id", "aws_region")}

TARGET_LABELS = ("aws_account_id", "aws_region")
SYNC_LABELS = (*TARGET_LABELS, "sync_type", "sync_name")
HEALTHS = ("healthy", "in_progress", "stuck", "stale", "source_fault", "failed")
PREFIXES = {"sync": "aws_ssm_resource_data_sync_", "exporter": "ssm_sync_exporter_"}


def parse(exposition):
    """The families of a scrape: name, lines of metadata, and samples (name, labels, value)."""
    families = []
    for line in exposition.splitlines():
        if line.startswith("# HELP "):
            families.append((line.split(" ")[2], [line], []))
        elif line.startswith("# TYPE "):
            families[-1][1].append(line)
        elif sample := SAMPLE.match(line):
            labels = dict(LABEL.findall(sample[2] or ""))
            families[-1][2].append((sample[1], labels, float(sample[3])))
    return families


def has(labels, wanted):
    """Whether the labels are the wanted ones, as far as there are any."""
    return all(labels.get(name, value) == value for name, value in wanted.items())


def key(labels, names=SYNC_LABELS):
    return tuple(labels.get(name) for name in names)


def identity(name, labels):
    return name, tuple(sorted(labels.items()))


def outage(labels, age):
    """The outage that a target is in: its beginning and its reason, or None."""
    for wanted, start, end, reason in OUTAGES:
        if end <= age < start and has(labels, wanted):
            return start, reason
    return None


class History:
    """The history of the demo. `first` and `second` are scrapes a minute apart, the second at `now`."""

    def __init__(self, first, second, now):
        self.now = now
        self.families = parse(second)
        before = [sample for *_, samples in parse(first) for sample in samples]
        self.before = {identity(name, labels): value for name, labels, value in before}
        self.success = self.ages("last_successful_sync_timestamp_seconds")
        self.created = self.ages("created_timestamp_seconds")
        self.problem = {key(labels): labels["problem"] for labels, _ in self.of("sync", "problem")}
        self.syncs = [labels for labels, _ in self.of("sync", "info")]
        self.targets = [labels for labels, _ in self.of("exporter", "target_info")]
        self.up = {key(labels, TARGET_LABELS): value == 1 for labels, value in self.of("exporter", "target_up")}
        generator = random.Random(1)
        self.random = [generator.random() for _ in range(STARTED // STEP)]

    def of(self, prefix, name):
        """The labels and values of a family."""
        samples = [sample for *_, samples in self.families for sample in samples]
        return [(labels, value) for found, labels, value in samples if found == PREFIXES[prefix] + name]

    def ages(self, name):
        """The ages of each sync's time in a family."""
        return {key(labels): self.now - time for labels, time in self.of("sync", name)}

    def noise(self, age, shift=0):
        return self.random[(age // STEP + shift) % len(self.random)]

    def busy(self, age):
        """How busy the exporter is: about 1, and more by day."""
        time = (self.now - age) % DAY / DAY
        return 1 + 0.12 * math.sin(2 * math.pi * (time - 0.3)) + 0.1 * (self.noise(age) - 0.5)

    def run(self, sync, age):
        """The latest run of the failing sync: its age, its status, and the age of the latest success."""
        # Counted from the last success; the failed runs since then have negative numbers.
        last_success = self.success[sync]
        run = math.ceil((age - last_success) / RUN_EVERY)
        success = max(run, 0) + (run == FAILED_BEFORE)
        begun, succeeded = last_success + run * RUN_EVERY, last_success + success * RUN_EVERY
        status = "Successful" if run == success else "Failed"
        return begun, "InProgress" if age > RUN_TIME and begun - age < RUN_TIME else status, succeeded

    def exists(self, sync, labels, age):
        """Whether a sync existed, and its target was not lost."""
        down = outage(labels, age)
        return age <= self.created.get(sync, math.inf) and not (down and age < down[0] - STALE_AFTER)

    def health(self, labels, age):
        """The health of a sync, or None if it is not known."""
        sync = key(labels)
        if not self.exists(sync, labels, age):
            return None
        if has(labels, FAILING):
            begun, status, _ = self.run(sync, age)
            if status == "InProgress":
                # While it runs, a sync stays what the run before has made of it.
                status = {"Successful": "InProgress"}.get(self.run(sync, begun + 1)[1], "Failed")
            return {"Successful": "healthy", "InProgress": "in_progress", "Failed": "failed"}[status]
        wanted, start, end = WERE_STALE
        if end <= age < start and has(labels, wanted):
            return "stale"
        problem = self.problem.get(sync, "healthy")
        if age < BEGAN.get(problem, math.inf):
            return problem
        return "in_progress" if problem == "stuck" else "healthy"

    # The values of families of gauges before the end, None where there is no sample.

    def past_sync_problem(self, labels, _, age):
        return 1 if self.health(labels, age) == labels["problem"] else None

    def past_sync_last_status(self, labels, now, age):
        return self.run(key(labels), age)[1] == labels["status"] if has(labels, FAILING) else now

    def past_sync_last_sync_timestamp_seconds(self, labels, now, age):
        return self.now - self.run(key(labels), age)[0] if has(labels, FAILING) else min(now, self.now - age)

    def past_sync_last_successful_sync_timestamp_seconds(self, labels, now, age):
        return self.now - self.run(key(labels), age)[2] if has(labels, FAILING) else min(now, self.now - age)

    def past_syncs_by_health(self, labels, _, age):
        wanted = {name: value for name, value in labels.items() if name != "health"}
        syncs = [sync for sync in self.syncs if has(sync, wanted)]
        return sum(self.health(sync, age) == labels["health"] for sync in syncs) or None

    def past_exporter_target_up(self, labels, now, age):
        return 0 if outage(labels, age) else now

    def past_exporter_target_down_reason(self, labels, now, age):
        down = outage(labels, age)
        return 1 if down and down[1] == labels["reason"] else now

    def past_exporter_target_consecutive_failures(self, labels, now, age):
        down = outage(labels, age)
        return (down[0] - age) // (5 * MINUTE) + 1 if down else now

    def past_exporter_target_collection_duration_seconds(self, _, now, age):
        return now * self.busy(age) * (1 + self.noise(age, 7))

    def past_exporter_snapshot_oldest_age_seconds(self, _, now, age):
        down = [start - age for _, start, end, _ in OUTAGES if end <= age < start]
        return max(down, default=now + 3 * self.noise(age))

    def past_exporter_snapshot_median_age_seconds(self, _, now, age):
        return now + 3 * self.noise(age, 11)

    def past_exporter_collections_in_flight(self, _, __, age):
        return int(1.2 * self.noise(age))

    def past_exporter_expectation_targets(self, labels, now, age):
        if labels["expectation"] != "org-inventory":
            return now
        change = {state: -(age >= began) for state, began in VIOLATED.items()}
        change["unknown"] = sum(up and outage(dict(zip(TARGET_LABELS, target)), age) is not None
                                for target, up in self.up.items())
        change["met"] = -sum(change.values())
        return now + change.get(labels["state"], 0)

    def past_exporter_expectation_violation(self, labels, now, age):
        return now if age < VIOLATED["missing" if labels["field"] == "presence" else "drifted"] else None

    def gauge(self, name, labels, now, age):
        if name == "process_start_time_seconds":
            return self.now - STARTED
        if name == "ssm_sync_exporter_config_last_reload_success_timestamp_seconds":
            return self.now - RELOADED
        if age == 0:
            return now
        if name.startswith(PREFIXES["sync"]) and not self.exists(key(labels), labels, age):
            return None
        method = name.replace("aws_ssm_resource_data_", "past_").replace("ssm_sync_exporter_", "past_exporter_")
        return getattr(self, method, lambda _, now, __: now)(labels, now, age)

    # Counters.

    def counter(self, name, labels, now, ages):
        """The values of a counter, which grew as fast as between the scrapes."""
        rate = (now - self.before.get(identity(name, labels), 0)) / MINUTE
        is_fast = float(labels.get("le", "inf")) <= 0.01
        value, values = now + rate * STARTED, []
        for age in ages:
            values.append(value)
            value -= rate * STEP * self.busy(age) * (1 - is_fast * SLOW * self.noise(age))
        return values

    def failures(self, labels, ages):
        """The values of a counter of failures, which grew in outages."""
        reason = labels.get("reason", labels.get("code"))
        grew = [(start, end) for wanted, start, end, why in OUTAGES if why == reason and has(labels, wanted)]
        return [sum((start - min(max(age, end), start)) // (5 * MINUTE) for start, end in grew) for age in ages]

    def of_the_past(self, family):
        """The labels of the series of a family that the demo does not have now."""
        if family == "aws_ssm_resource_data_syncs_by_health":
            for sync in self.syncs:
                labels = {name: sync[name] for name in (*TARGET_LABELS, "sync_type", "managed_by")}
                yield from (labels | {"health": health} for health in HEALTHS)
        if family == "ssm_sync_exporter_api_request_failures_total":
            yield {"service": "SSM", "operation": "ListResourceDataSync", "code": "timeout"}
        for target in self.targets:
            for wanted, _, _, reason in OUTAGES:
                labels = {name: target[name] for name in TARGET_LABELS} | {"reason": reason}
                if self.up[key(target, TARGET_LABELS)] and has(target, wanted):
                    if family == "ssm_sync_exporter_target_collection_failures_total":
                        yield labels
                    if family == "ssm_sync_exporter_target_down_reason":
                        yield labels | {name: target[name] for name in ("account_name",) if name in target}

    def write(self, out):
        for family, metadata, samples in self.families:
            kind = metadata[-1].split(" ")[3]
            exposed = family.removesuffix("_total") if kind == "counter" else family
            for line in metadata:
                out.write(line.replace(f" {family} ", f" {exposed} ") + "\n")
            there = {identity(name, labels) for name, labels, _ in samples}
            for labels in self.of_the_past(family):
                if identity(family, labels) not in there:
                    there.add(identity(family, labels))
                    samples.append((family, labels, None))
            for name, labels, now in samples:
                week = name.count("_bucket") == 0 and SHOWN_FOR_A_WEEK.items() <= labels.items()
                ages = range(0, 7 * DAY if week else DAY + 2 * HOUR, STEP)
                if kind == "gauge":
                    values = [self.gauge(name, labels, now, age) for age in ages]
                else:
                    is_new = now is None
                    values = self.failures(labels, ages) if is_new else self.counter(name, labels, now, ages)
                text = ",".join(f'{label}="{value}"' for label, value in (SCRAPED | labels).items())
                for age, value in reversed(list(zip(ages, values))):
                    if value is not None:
                        out.write(f"{name}{{{text}}} {value:.10g} {self.now - age}\n")
        out.write("# EOF\n")
