"""AWS's own Python client against fake-aws.

Usage: fake_aws_test.py URL, with the accounts 111122223333 and 222233334444 in
the fake, a role SsmSyncExporter in the second that wants the external id
`right-id`, and syncs that take 2 s and run every 6 s.

Every answer is checked against the model of the API that botocore ships.
"""

import json
import sys
import time
import unittest
import urllib.request

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.validate import ParamValidator

URL = sys.argv.pop(1)
ACCOUNT, OTHER = "111122223333", "222233334444"

S3 = {"BucketName": "inventory", "SyncFormat": "JsonSerDe", "Region": "us-east-1"}
SOURCE = {"SourceType": "SingleAccountMultiRegions", "SourceRegions": ["eu-west-1"]}


def client(service="ssm", region="eu-west-1", account=ACCOUNT, **keys):
    keys = keys or {"aws_access_key_id": f"AKIA{account}FAKE", "aws_secret_access_key": "any"}
    # What botocore would refuse by itself is to be refused by the server.
    config = Config(retries={"total_max_attempts": 1}, parameter_validation=False)
    made = boto3.client(service, region_name=region, endpoint_url=URL, config=config, **keys)
    made.meta.events.register("after-call", check_against_model)
    return made


def check_against_model(model, http_response, parsed, **_):
    if http_response.status_code >= 300:
        return
    answer = {key: value for key, value in parsed.items() if key != "ResponseMetadata"}
    report = ParamValidator().validate(answer, model.output_shape)
    assert not report.has_errors(), f"{model.name}: {report.generate_report()}"
    unknown = set(answer) - set(model.output_shape.members)
    assert not unknown, f"{model.name}: not in the model: {unknown}"


def faults(*rules):
    request = urllib.request.Request(URL + "/_fake/faults", json.dumps(rules).encode(), method="PUT")
    urllib.request.urlopen(request).close()


class Test(unittest.TestCase):
    region_number = 0

    def setUp(self):
        # A region of its own for every test.
        Test.region_number += 1
        self.region = f"eu-west-{Test.region_number}"
        self.ssm = client(region=self.region)

    def refused(self, code, call, *fragments, **request):
        with self.assertRaises(ClientError) as caught:
            call(**request)
        self.assertEqual(caught.exception.response["Error"]["Code"], code, caught.exception)
        for fragment in fragments:
            self.assertIn(fragment, str(caught.exception))
        return caught.exception.response

    def names(self, **request):
        return [item["SyncName"] for item in self.ssm.list_resource_data_sync(**request)["ResourceDataSyncItems"]]

    def test_a_sync_shared_with_the_organization(self):
        destination = S3 | {
            "Prefix": "all", "AWSKMSKeyARN": "arn:aws:kms:us-east-1:111122223333:key/1",
            "DestinationDataSharing": {"DestinationDataSharingType": "Organization"},
        }
        self.ssm.create_resource_data_sync(SyncName="shared", S3Destination=destination)
        [item] = self.ssm.list_resource_data_sync()["ResourceDataSyncItems"]
        self.assertEqual(item["SyncName"], "shared")
        self.assertEqual(item["S3Destination"], destination)
        self.assertNotIn("SyncType", item, "AWS leaves it out of its own examples")
        self.assertEqual(self.names(SyncType="SyncFromSource"), [])

    def test_a_sync_from_a_source(self):
        source = {
            "SourceType": "AwsOrganizations",
            "AwsOrganizationsSource": {
                "OrganizationSourceType": "OrganizationalUnits",
                "OrganizationalUnits": [{"OrganizationalUnitId": "ou-abcd-12345678"}],
            },
            "SourceRegions": ["eu-west-1", "us-east-1"], "IncludeFutureRegions": True, "EnableAllOpsDataSources": False,
        }
        self.ssm.create_resource_data_sync(SyncName="explorer", SyncType="SyncFromSource", SyncSource=source)
        [item] = self.ssm.list_resource_data_sync(SyncType="SyncFromSource")["ResourceDataSyncItems"]
        self.assertEqual((item["SyncType"], item["SyncSource"]), ("SyncFromSource", source))
        self.assertNotIn("LastStatus", item)
        self.assertEqual(item["SyncCreatedTime"], item["SyncLastModifiedTime"])

        changed = SOURCE | {"SourceRegions": ["eu-west-3"]}
        time.sleep(0.01)
        self.ssm.update_resource_data_sync(SyncName="explorer", SyncType="SyncFromSource", SyncSource=changed)
        [item] = self.ssm.list_resource_data_sync(SyncType="SyncFromSource")["ResourceDataSyncItems"]
        self.assertEqual(item["SyncSource"], changed)
        self.assertGreater(item["SyncLastModifiedTime"], item["SyncCreatedTime"])

    def test_pages(self):
        for number in range(5):
            self.ssm.create_resource_data_sync(SyncName=f"sync-{number}", S3Destination=S3)
        pages = list(self.ssm.get_paginator("list_resource_data_sync").paginate(PaginationConfig={"PageSize": 2}))
        self.assertEqual([len(page["ResourceDataSyncItems"]) for page in pages], [2, 2, 1])
        names = [item["SyncName"] for page in pages for item in page["ResourceDataSyncItems"]]
        self.assertEqual(names, [f"sync-{number}" for number in range(5)])
        self.refused("InvalidNextToken", self.ssm.list_resource_data_sync, NextToken="rubbish")
        self.refused("InvalidNextToken", self.ssm.list_resource_data_sync,
                     NextToken=pages[0]["NextToken"], SyncType="SyncFromSource")

    def test_five_of_a_type_and_no_more(self):
        create = self.ssm.create_resource_data_sync
        for number in range(5):
            create(SyncName=f"sync-{number}", S3Destination=S3)
        self.refused("ResourceDataSyncCountExceededException", create, SyncName="sixth", S3Destination=S3)
        create(SyncName="sixth", SyncType="SyncFromSource", SyncSource=SOURCE)
        client(region="us-east-1").create_resource_data_sync(SyncName="elsewhere", S3Destination=S3)
        self.ssm.delete_resource_data_sync(SyncName="sync-0")
        create(SyncName="sixth", S3Destination=S3)

    def test_the_documented_errors(self):
        create, update = self.ssm.create_resource_data_sync, self.ssm.update_resource_data_sync
        create(SyncName="twice", S3Destination=S3)
        answer = self.refused("ResourceDataSyncAlreadyExistsException", create, SyncName="twice", S3Destination=S3)
        self.assertEqual(answer["SyncName"], "twice")
        misconfigured = "ResourceDataSyncInvalidConfigurationException"
        sharing = {"DestinationDataSharing": {"DestinationDataSharingType": "Public"}}
        self.refused(misconfigured, create, "Public", SyncName="a", S3Destination=S3 | sharing)
        self.refused(misconfigured, create, SyncName="a")
        self.refused(misconfigured, create, SyncName="a", SyncType="SyncFromSource")
        self.refused(misconfigured, create, SyncName="a", SyncType="SyncToMoon", S3Destination=S3)
        self.refused(misconfigured, create, SyncName="a", S3Destination=S3, SyncSource=SOURCE)
        organization = {"OrganizationSourceType": "EntireOrganization"}
        for source in [
            SOURCE | {"SourceType": "Moon"},
            SOURCE | {"SourceRegions": []},
            SOURCE | {"AwsOrganizationsSource": organization},
            SOURCE | {"SourceType": "AwsOrganizations"},
            SOURCE | {"SourceType": "AwsOrganizations",
                      "AwsOrganizationsSource": {"OrganizationSourceType": "OrganizationalUnits"}},
        ]:
            self.refused(misconfigured, create, SyncName="a", SyncType="SyncFromSource", SyncSource=source)
        self.refused(misconfigured, update, SyncName="twice", SyncType="SyncToDestination", SyncSource=SOURCE)
        missing = self.refused("ResourceDataSyncNotFoundException", update,
                               SyncName="missing", SyncType="SyncFromSource", SyncSource=SOURCE)
        self.assertEqual((missing["SyncName"], missing["SyncType"]), ("missing", "SyncFromSource"))
        self.refused("ResourceDataSyncNotFoundException", self.ssm.delete_resource_data_sync, SyncName="missing")
        self.refused("ResourceDataSyncNotFoundException", self.ssm.delete_resource_data_sync,
                     SyncName="twice", SyncType="SyncFromSource")

    def test_what_the_model_does_not_allow(self):
        create = self.ssm.create_resource_data_sync
        for path, request in {
            "syncName": {"S3Destination": S3},
            "'syncName' failed": {"SyncName": "x" * 65, "S3Destination": S3},
            "s3Destination.bucketName": {"SyncName": "a", "S3Destination": {"SyncFormat": "JsonSerDe", "Region": "r"}},
            "s3Destination.region": {"SyncName": "a", "S3Destination": S3 | {"Region": "r" * 65}},
            "s3Destination.prefix": {"SyncName": "a", "S3Destination": S3 | {"Prefix": ""}},
            "s3Destination.syncFormat": {"SyncName": "a", "S3Destination": S3 | {"SyncFormat": "Parquet"}},
            "s3Destination.aWSKMSKeyARN": {"SyncName": "a", "S3Destination": S3 | {"AWSKMSKeyARN": "key"}},
            "syncSource.sourceRegions": {"SyncName": "a", "SyncType": "SyncFromSource",
                                         "SyncSource": {"SourceType": "SingleAccountMultiRegions"}},
            "organizationalUnitId": {"SyncName": "a", "SyncType": "SyncFromSource", "SyncSource": SOURCE | {
                "SourceType": "AwsOrganizations", "AwsOrganizationsSource": {
                    "OrganizationSourceType": "OrganizationalUnits",
                    "OrganizationalUnits": [{"OrganizationalUnitId": "ou-1"}]}}},
        }.items():
            self.refused("ValidationException", create, path, **request)
        for size in [0, 51]:
            self.refused("ValidationException", self.ssm.list_resource_data_sync, "maxResults", MaxResults=size)
        self.assertEqual(self.names(), [])

    def test_a_sync_lives_on(self):
        create = self.ssm.create_resource_data_sync
        create(SyncName="good", S3Destination=S3)
        create(SyncName="bad", S3Destination=S3 | {"BucketName": "denied-bucket"})

        def look():
            return {item["SyncName"]: item for item in self.ssm.list_resource_data_sync()["ResourceDataSyncItems"]}

        born = look()
        for item in born.values():
            self.assertEqual(item["LastStatus"], "InProgress")
            self.assertNotIn("LastSuccessfulSyncTime", item)
        time.sleep(2.5)
        grown = look()
        self.assertEqual(grown["good"]["LastStatus"], "Successful")
        self.assertEqual(grown["good"]["LastSuccessfulSyncTime"], grown["good"]["LastSyncTime"])
        self.assertEqual(grown["bad"]["LastStatus"], "Failed")
        self.assertIn("s3:PutObject", grown["bad"]["LastSyncStatusMessage"])
        self.assertNotIn("LastSuccessfulSyncTime", grown["bad"])
        time.sleep(6)
        self.assertGreater(look()["good"]["LastSyncTime"], grown["good"]["LastSyncTime"])
        self.assertEqual(look()["good"]["SyncCreatedTime"], born["good"]["SyncCreatedTime"])

    def test_accounts_and_regions_are_apart(self):
        self.ssm.create_resource_data_sync(SyncName="here", S3Destination=S3)
        self.assertEqual(self.names(), ["here"])
        for other in [client(region="us-west-2"), client(region=self.region, account=OTHER)]:
            self.assertEqual(other.list_resource_data_sync()["ResourceDataSyncItems"], [])

    def test_roles(self):
        sts = client("sts")
        identity = sts.get_caller_identity()
        self.assertEqual(identity["Account"], ACCOUNT)
        arn = f"arn:aws:iam::{OTHER}:role/SsmSyncExporter"
        for request in [{}, {"ExternalId": "wrong-id"}]:
            self.refused("AccessDenied", sts.assume_role, "sts:AssumeRole",
                         RoleArn=arn, RoleSessionName="test", **request)
        self.refused("AccessDenied", sts.assume_role,
                     RoleArn=f"arn:aws:iam::{OTHER}:role/Missing", RoleSessionName="test")
        self.refused("ValidationError", sts.assume_role, "roleSessionName",
                     RoleArn=arn, RoleSessionName="x", ExternalId="right-id")
        self.refused("ValidationError", sts.assume_role, "durationSeconds",
                     RoleArn=arn, RoleSessionName="test", ExternalId="right-id", DurationSeconds=60)
        answer = sts.assume_role(RoleArn=arn, RoleSessionName="test", ExternalId="right-id", DurationSeconds=900)
        self.assertEqual(answer["AssumedRoleUser"]["Arn"],
                         f"arn:aws:sts::{OTHER}:assumed-role/SsmSyncExporter/test")
        given = answer["Credentials"]
        self.assertAlmostEqual(given["Expiration"].timestamp(), time.time() + 900, delta=5)
        keys = {
            "aws_access_key_id": given["AccessKeyId"], "aws_secret_access_key": given["SecretAccessKey"],
            "aws_session_token": given["SessionToken"],
        }
        self.assertEqual(client("sts", **keys).get_caller_identity()["Account"], OTHER)
        client(region=self.region, **keys).create_resource_data_sync(SyncName="theirs", S3Destination=S3)
        self.assertEqual(self.names(), [])

    def test_keys_that_are_not_known(self):
        keys = {"aws_access_key_id": "AKIAWRONG", "aws_secret_access_key": "x"}
        self.refused("UnrecognizedClientException", client(**keys).list_resource_data_sync)
        self.refused("InvalidClientTokenId", client("sts", **keys).get_caller_identity)

    def test_faults(self):
        self.addCleanup(faults)
        lists = self.ssm.list_resource_data_sync
        for fault, code in {
            "throttle": "ThrottlingException", "deny": "AccessDeniedException",
            "deny_by_scp": "AccessDeniedException", "expired_token": "ExpiredTokenException",
            "server_error": "InternalServerError",
        }.items():
            faults({"region": self.region, "operation": "ListResourceDataSync", "times": 1, "fault": fault})
            client(region="us-west-2").list_resource_data_sync()
            self.refused(code, lists)
            lists()


if __name__ == "__main__":
    unittest.main(verbosity=2)
