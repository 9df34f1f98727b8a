"""The fleet of the benchmark `prometheus`: its accounts and syncs, and how fake-aws gets them."""

import http.client
import json
import random
import time

REGIONS = ["ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1", "ap-southeast-2",
           "ca-central-1", "eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3", "sa-east-1",
           "us-east-1", "us-east-2", "us-west-1", "us-west-2"]
HUB = "999900000000"
ROLE = "SsmSyncExporter"
FIRST_ACCOUNT = 100000000000
FAMILIES = ["prod", "staging", "dev", "sandbox", "data"]
NAMES = ["org-inventory", "InspectorResourceDataSync-do-not-delete", "license-manager-default-sync",
         "AWS-QuickSetup-SSM-inventory", "patch-compliance"]
# One account in so many cannot be polled at all.
DOWN_EVERY = 500
# One target in so many has one sync less than the quota.
FEWER_EVERY = 27
# One account in so many has a sync from a source, in one region.
SOURCE_EVERY = 20
SOURCE_REGION = "eu-west-1"
MESSAGES = ["The bucket policy does not allow ssm.amazonaws.com to call s3:PutObject", "The specified bucket does not exist",
            "Access denied to the KMS key", "An unknown error occurred"]
STATES = ["OrganizationNotExists", "NoPermissions", "InvalidOrganizationalUnit", "TrustedAccessDisabled"]
HOUR = 3600
DAY = 24 * HOUR
# Limit on a request to fake-aws is 1 MiB.
MAX_REQUEST = 500_000


class Fleet:
    def __init__(self, accounts):
        # The same fleet each time, except that its times are relative to now.
        self.random, self.now = random.Random(1), time.time()
        self.accounts = [str(FIRST_ACCOUNT + number) for number in range(accounts)]
        self.names = {account: f"{FAMILIES[number % len(FAMILIES)]}-{number:04}"
                      for number, account in enumerate(self.accounts)}
        self.down = self.accounts[7::DOWN_EVERY]
        self.targets = accounts * len(REGIONS)
        self.counts = {}
        self.items = list(self.syncs_of_all())
        self.syncs = len(self.items)

    def syncs_of_all(self):
        polled = [account for account in self.accounts if account not in self.down]
        targets = [(account, region) for account in polled for region in REGIONS]
        for number, (account, region) in enumerate(targets):
            for name in NAMES[:4] if number % FEWER_EVERY == FEWER_EVERY - 1 else NAMES:
                yield {"account": account, "region": region, "sync_type": "SyncToDestination",
                       "item": self.to_destination(name, account, region)}
        for number, account in enumerate(polled[::SOURCE_EVERY]):
            state = STATES[number // 5 % len(STATES)] if number % 5 == 0 else None
            yield {"account": account, "region": SOURCE_REGION, "sync_type": "SyncFromSource",
                   "item": self.from_source(state)}

    def count(self, health):
        self.counts[health] = self.counts.get(health, 0) + 1

    def to_destination(self, name, account, region):
        dice, age = self.random.random(), self.random.uniform(0, 20 * HOUR)
        success = attempt = self.now - age
        status, message = "Successful", "The sync was successfully completed"
        if dice < 0.01:
            self.count("failed")
            status, message, success = "Failed", self.random.choice(MESSAGES), self.now - self.random.uniform(1, 40) * HOUR
            attempt = max(attempt, success)
        elif dice < 0.02:
            self.count("stale")
            success = attempt = self.now - self.random.uniform(3, 30) * DAY
        elif dice < 0.0205:
            self.count("stuck")
            status, message, attempt = "InProgress", None, self.now - self.random.uniform(3, 12) * HOUR
            success = attempt - HOUR
        elif dice < 0.03:
            self.count("in progress")
            status, message, attempt = "InProgress", None, self.now - self.random.uniform(0, 0.5) * HOUR
        created = self.now - self.random.uniform(40, 900) * DAY
        destination = {"BucketName": f"{name.lower()}-{region}", "Prefix": "inventory", "SyncFormat": "JsonSerDe",
                       "Region": region}
        if name == "org-inventory":
            destination["DestinationDataSharing"] = {"DestinationDataSharingType": "Organization"}
            destination["AWSKMSKeyARN"] = f"arn:aws:kms:{region}:{HUB}:key/00000000-0000-4000-8000-000000000000"
        item = {"SyncName": name, "S3Destination": destination, "LastStatus": status, "LastSyncStatusMessage": message,
                "LastSyncTime": round(attempt, 3), "LastSuccessfulSyncTime": round(success, 3),
                "SyncCreatedTime": round(created, 3)}
        return {key: value for key, value in item.items() if value is not None}

    def from_source(self, state):
        source = {"SourceType": "AwsOrganizations", "SourceRegions": REGIONS[:4], "IncludeFutureRegions": False,
                  "EnableAllOpsDataSources": False, "AwsOrganizationsSource": {
                      "OrganizationSourceType": "OrganizationalUnits",
                      "OrganizationalUnits": [{"OrganizationalUnitId": f"ou-fake-1111111{digit}"} for digit in range(3)]}}
        if state is not None:
            self.count("source fault")
            source["State"] = state
        attempt = round(self.now - self.random.uniform(0, 20 * HOUR), 3)
        return {"SyncName": "AWS-QuickSetup-SSM-explorer", "SyncType": "SyncFromSource", "SyncSource": source,
                "LastSyncTime": attempt, "LastSuccessfulSyncTime": attempt,
                "SyncCreatedTime": round(self.now - 300 * DAY, 3), "SyncLastModifiedTime": round(self.now - 90 * DAY, 3)}

    def install(self, port):
        """Puts the fleet into a fake-aws with these accounts."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

        def put(path, body):
            connection.request("PUT", path, body)
            response = connection.getresponse()
            text = response.read()
            assert response.status == 204, text

        batch, size = [], 0
        for text in map(json.dumps, self.items):
            batch.append(text)
            size += len(text)
            if size > MAX_REQUEST:
                put("/_fake/items", f"[{','.join(batch)}]")
                batch, size = [], 0
        put("/_fake/items", f"[{','.join(batch)}]")
        put("/_fake/faults", json.dumps(
            [{"account": account, "service": "ssm", "fault": "deny"} for account in self.down]))
        connection.close()

    def configuration(self):
        """The exporter's configuration."""
        accounts = [{"id": account, "name": self.names[account],
                     "assume_roles": [{"arn": f"arn:aws:iam::{account}:role/{ROLE}"}]} for account in self.accounts]
        # JSON is YAML.
        return f"regions: {json.dumps(REGIONS)}\naccounts: {json.dumps(accounts)}\n"

    def selected_sync(self):
        """The values of the variables of a dashboard that shows one sync: a failed one."""
        selected = next(of for of in self.items if of["item"].get("LastStatus") == "Failed")
        return {"account": selected["account"], "region": selected["region"], "type": selected["sync_type"],
                "sync": selected["item"]["SyncName"]}

    def description(self):
        counts = ", ".join(f"{count} {health}" for health, count in sorted(self.counts.items()))
        return (f"{self.targets} targets, {self.syncs} syncs ({counts}), {len(self.down) * len(REGIONS)} targets that "
                f"cannot be polled.")
