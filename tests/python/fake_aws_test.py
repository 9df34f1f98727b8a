"""Tests fake-aws with boto3, the AWS SDK for Python.

Usage: fake_aws_test.py URL

The test expects this state in fake-aws:

- The accounts 111122223333, which has enabled ap-east-1, and 222233334444, with a role SsmSyncExporter
  that requires the external id `right-id`, and a role Audit.
- Syncs run for 2 s, every 6 s.
- An organization with the management account 999900000000. Its root has the accounts 100000000000 to
  100000000023, named member-0 and so on. The second of them is a delegated administrator.
- The unit ou-fake-00000001 with the account 200000000001, which is suspended. Below it the units
  ou-fake-00000002 with 200000000002, which has no state, and ou-fake-00000003 with 200000000003, which
  is closed and has no status.
- The account 200000000004, which has left the organization.
"""

import json
import time
import unittest
import urllib.error

from botocore.exceptions import HTTPClientError, IncompleteReadError

from fake_aws import ACCOUNT, OTHER, FakeAwsTest, client, faults, keys_of, nodes, policy, put

MANAGEMENT, DELEGATED, MEMBER, LEFT = "999900000000", "100000000001", "100000000002", "200000000004"
ROLE = f"arn:aws:iam::{OTHER}:role/SsmSyncExporter"

S3 = {"BucketName": "inventory", "SyncFormat": "JsonSerDe", "Region": "us-east-1"}
SOURCE = {"SourceType": "SingleAccountMultiRegions", "SourceRegions": ["eu-west-1"]}


class Test(FakeAwsTest):
    def names(self, **request):
        return [item["SyncName"] for item in self.ssm.list_resource_data_sync(**request)["ResourceDataSyncItems"]]

    def test_create_a_sync_to_a_destination(self):
        destination = S3 | {
            "Prefix": "all", "AWSKMSKeyARN": "arn:aws:kms:us-east-1:111122223333:key/1",
            "DestinationDataSharing": {"DestinationDataSharingType": "Organization"},
        }
        self.ssm.create_resource_data_sync(SyncName="shared", S3Destination=destination)
        [item] = self.ssm.list_resource_data_sync()["ResourceDataSyncItems"]
        self.assertEqual(item["SyncName"], "shared")
        self.assertEqual(item["S3Destination"], destination)
        self.assertNotIn("SyncType", item, "AWS omits it in its examples")
        self.assertEqual(self.names(SyncType="SyncFromSource"), [])

    def test_create_and_update_a_sync_from_a_source(self):
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

    def test_paging(self):
        for number in range(5):
            self.ssm.create_resource_data_sync(SyncName=f"sync-{number}", S3Destination=S3)
        pages = list(self.ssm.get_paginator("list_resource_data_sync").paginate(PaginationConfig={"PageSize": 2}))
        self.assertEqual([len(page["ResourceDataSyncItems"]) for page in pages], [2, 2, 1])
        names = [item["SyncName"] for page in pages for item in page["ResourceDataSyncItems"]]
        self.assertEqual(names, [f"sync-{number}" for number in range(5)])
        self.assert_error("InvalidNextToken", self.ssm.list_resource_data_sync, NextToken="invalid-token")
        self.assert_error("InvalidNextToken", self.ssm.list_resource_data_sync,
                     NextToken=pages[0]["NextToken"], SyncType="SyncFromSource")

    def test_quota_of_five_syncs_per_type(self):
        create = self.ssm.create_resource_data_sync
        for number in range(5):
            create(SyncName=f"sync-{number}", S3Destination=S3)
        self.assert_error("ResourceDataSyncCountExceededException", create, SyncName="sixth", S3Destination=S3)
        create(SyncName="sixth", SyncType="SyncFromSource", SyncSource=SOURCE)
        client(region="us-east-1").create_resource_data_sync(SyncName="elsewhere", S3Destination=S3)
        self.ssm.delete_resource_data_sync(SyncName="sync-0")
        create(SyncName="sixth", S3Destination=S3)

    def test_documented_errors_of_ssm(self):
        create, update = self.ssm.create_resource_data_sync, self.ssm.update_resource_data_sync
        create(SyncName="twice", S3Destination=S3)
        answer = self.assert_error("ResourceDataSyncAlreadyExistsException", create, SyncName="twice", S3Destination=S3)
        self.assertEqual(answer["SyncName"], "twice")
        invalid_configuration = "ResourceDataSyncInvalidConfigurationException"
        sharing = {"DestinationDataSharing": {"DestinationDataSharingType": "Public"}}
        self.assert_error(invalid_configuration, create, "Public", SyncName="a", S3Destination=S3 | sharing)
        self.assert_error(invalid_configuration, create, SyncName="a")
        self.assert_error(invalid_configuration, create, SyncName="a", SyncType="SyncFromSource")
        self.assert_error(invalid_configuration, create, SyncName="a", SyncType="SyncToMoon", S3Destination=S3)
        self.assert_error(invalid_configuration, create, SyncName="a", S3Destination=S3, SyncSource=SOURCE)
        organization = {"OrganizationSourceType": "EntireOrganization"}
        for source in [
            SOURCE | {"SourceType": "Moon"},
            SOURCE | {"SourceRegions": []},
            SOURCE | {"AwsOrganizationsSource": organization},
            SOURCE | {"SourceType": "AwsOrganizations"},
            SOURCE | {"SourceType": "AwsOrganizations",
                      "AwsOrganizationsSource": {"OrganizationSourceType": "OrganizationalUnits"}},
        ]:
            self.assert_error(invalid_configuration, create, SyncName="a", SyncType="SyncFromSource", SyncSource=source)
        self.assert_error(invalid_configuration, update, SyncName="twice", SyncType="SyncToDestination", SyncSource=SOURCE)
        missing = self.assert_error("ResourceDataSyncNotFoundException", update,
                               SyncName="missing", SyncType="SyncFromSource", SyncSource=SOURCE)
        self.assertEqual((missing["SyncName"], missing["SyncType"]), ("missing", "SyncFromSource"))
        self.assert_error("ResourceDataSyncNotFoundException", self.ssm.delete_resource_data_sync, SyncName="missing")
        self.assert_error("ResourceDataSyncNotFoundException", self.ssm.delete_resource_data_sync,
                     SyncName="twice", SyncType="SyncFromSource")

    def test_requests_that_violate_the_model(self):
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
            self.assert_error("ValidationException", create, path, **request)
        for size in [0, 51]:
            self.assert_error("ValidationException", self.ssm.list_resource_data_sync, "maxResults", MaxResults=size)
        self.assertEqual(self.names(), [])

    def test_syncs_run_on_schedule(self):
        create = self.ssm.create_resource_data_sync
        create(SyncName="good", S3Destination=S3)
        create(SyncName="bad", S3Destination=S3 | {"BucketName": "denied-bucket"})

        def syncs():
            return {item["SyncName"]: item for item in self.ssm.list_resource_data_sync()["ResourceDataSyncItems"]}

        created = syncs()
        for item in created.values():
            self.assertEqual(item["LastStatus"], "InProgress")
            self.assertNotIn("LastSuccessfulSyncTime", item)
        time.sleep(2.5)
        finished = syncs()
        self.assertEqual(finished["good"]["LastStatus"], "Successful")
        self.assertEqual(finished["good"]["LastSuccessfulSyncTime"], finished["good"]["LastSyncTime"])
        self.assertEqual(finished["bad"]["LastStatus"], "Failed")
        self.assertIn("s3:PutObject", finished["bad"]["LastSyncStatusMessage"])
        self.assertNotIn("LastSuccessfulSyncTime", finished["bad"])
        time.sleep(6)
        self.assertGreater(syncs()["good"]["LastSyncTime"], finished["good"]["LastSyncTime"])
        self.assertEqual(syncs()["good"]["SyncCreatedTime"], created["good"]["SyncCreatedTime"])

    def test_accounts_and_regions_are_separate(self):
        self.ssm.create_resource_data_sync(SyncName="here", S3Destination=S3)
        self.assertEqual(self.names(), ["here"])
        for other in [client(region="us-west-2"), client(region=self.region, account=OTHER)]:
            self.assertEqual(other.list_resource_data_sync()["ResourceDataSyncItems"], [])

    def test_assume_role(self):
        sts = client("sts")
        identity = sts.get_caller_identity()
        self.assertEqual(identity["Account"], ACCOUNT)
        arn = ROLE
        for request in [{}, {"ExternalId": "wrong-id"}]:
            self.assert_error("AccessDenied", sts.assume_role, "sts:AssumeRole",
                         RoleArn=arn, RoleSessionName="test", **request)
        self.assert_error("AccessDenied", sts.assume_role,
                     RoleArn=f"arn:aws:iam::{OTHER}:role/Missing", RoleSessionName="test")
        self.assert_error("ValidationError", sts.assume_role, "roleSessionName",
                     RoleArn=arn, RoleSessionName="x", ExternalId="right-id")
        self.assert_error("ValidationError", sts.assume_role, "durationSeconds",
                     RoleArn=arn, RoleSessionName="test", ExternalId="right-id", DurationSeconds=60)
        answer = sts.assume_role(RoleArn=arn, RoleSessionName="test", ExternalId="right-id", DurationSeconds=900)
        self.assertEqual(answer["AssumedRoleUser"]["Arn"],
                         f"arn:aws:sts::{OTHER}:assumed-role/SsmSyncExporter/test")
        self.assertAlmostEqual(answer["Credentials"]["Expiration"].timestamp(), time.time() + 900, delta=5)
        keys = keys_of(answer)
        self.assertEqual(client("sts", **keys).get_caller_identity()["Account"], OTHER)
        client(region=self.region, **keys).create_resource_data_sync(SyncName="theirs", S3Destination=S3)
        self.assertEqual(self.names(), [])

    def test_session_policies(self):
        def assume(policy):
            return client("sts").assume_role(RoleArn=ROLE, RoleSessionName="test", ExternalId="right-id", Policy=policy)

        statement = {"Effect": "Allow", "Action": "ssm:ListResourceDataSync", "Resource": "*"}
        keys = keys_of(assume(json.dumps({"Version": "2012-10-17", "Statement": [statement]})))
        ssm = client(region=self.region, **keys)
        self.assertEqual(ssm.list_resource_data_sync()["ResourceDataSyncItems"], [])
        for service, call, request in [
            ("ssm:CreateResourceDataSync", ssm.create_resource_data_sync, {"SyncName": "a", "S3Destination": S3}),
            ("account:ListRegions", client("account", **keys).list_regions, {}),
            ("organizations:ListAccounts", client("organizations", **keys).list_accounts, {}),
        ]:
            self.assert_error("AccessDeniedException", call, f"because no session policy allows the {service} action",
                         f"arn:aws:sts::{OTHER}:assumed-role/SsmSyncExporter/test", **request)
        sts = client("sts", **keys)
        self.assert_error("AccessDenied", sts.assume_role, "because no session policy allows the sts:AssumeRole action",
                     RoleArn=ROLE, RoleSessionName="test", ExternalId="right-id")
        self.assertEqual(sts.get_caller_identity()["Account"], OTHER)

        for policy in ["{", "{}", json.dumps({"Version": "2012-10-17"})]:
            self.assert_error("MalformedPolicyDocument", assume, policy=policy)
        self.assert_error("ValidationError", assume, "policy", policy=" " * 2049)

    def test_policies_that_are_set_over_http(self):
        role = {"account": OTHER, "role": "Audit"}
        arn = f"arn:aws:iam::{OTHER}:role/Audit"
        anywhere = policy("ssm:*", "Deny") | {"Id": "x"}
        self.addCleanup(put, "policies", [
            {"identity": role | {"policies": {"all": policy("*")}}},
            {"trust": role | {"policy": policy("sts:AssumeRole", Principal="*")}},
            {"boundary": role | {"name": "limit"}},
            {"organization": {"target": "r-fake", "type": "service_control", "id": "p-deny"}},
            {"organization": {"target": "r-fake", "type": "resource_control", "id": "p-roles"}},
            {"vpc_endpoint": {"service": "ssm", "region": self.region}},
            {"organization_resource": {}},
        ])

        def lists(account=OTHER):
            keys = keys_of(client("sts").assume_role(RoleArn=arn, RoleSessionName="test")) if account == OTHER else {}
            return client(region=self.region, account=account, **keys).list_resource_data_sync

        put("policies", [{"identity": role | {"policies": {}}}])
        self.assert_error(
            "AccessDeniedException", lists(), f"on resource: arn:aws:ssm:{self.region}:{OTHER}:* because no "
            "identity-based policy allows the ssm:ListResourceDataSync action")
        put("policies", [{"identity": role | {"policies": {"all": policy("*")}}},
                         {"boundary": role | {"name": "limit", "policy": anywhere}}])
        self.assert_error("AccessDeniedException", lists(),
                          f"with an explicit deny in a permissions boundary: arn:aws:iam::{OTHER}:policy/limit")
        put("policies", [{"boundary": role | {"name": "limit"}}])
        endpoint = policy("*", Principal="*", Resource="*", Condition={
            "StringNotEquals": {"aws:PrincipalAccount": OTHER}})
        put("policies", [{"vpc_endpoint": {"service": "ssm", "region": self.region, "policy": endpoint}}])
        self.assert_error("AccessDeniedException", lists(), "because no VPC endpoint policy allows the ssm:")
        lists(MEMBER)()
        for named, more in [(True, f": arn:aws:organizations::{MANAGEMENT}:policy/o-fakefakefa/service_control_policy/p-deny"),
                            (False, "")]:
            put("policies", [{"organization": {
                "target": "r-fake", "type": "service_control", "id": "p-deny", "policy": anywhere, "named": named}}])
            answer = self.assert_error("AccessDeniedException", lists(MEMBER))
            self.assertTrue(answer["Error"]["Message"].endswith(
                f"with an explicit deny in a service control policy{more}"), answer)
        lists(MANAGEMENT)()
        put("policies", [{"trust": role | {"policy": policy("sts:AssumeRole", Principal={"AWS": MEMBER})}}])
        answer = self.assert_error("AccessDenied", lists)
        self.assertEqual(answer["Error"]["Message"], f"User: arn:aws:iam::{ACCOUNT}:user/fake is not authorized "
                         f"to perform: sts:AssumeRole on resource: {arn}")

        member = client("organizations", account=MEMBER)
        put("policies", [{"organization_resource": {
            "policy": policy("organizations:List*", Principal={"AWS": DELEGATED}, Resource="*")}}])
        self.assert_error("AccessDeniedException", member.list_accounts, "because no resource-based policy allows")
        put("policies", [{"organization_resource": {
            "policy": policy("organizations:List*", Principal={"AWS": MEMBER}, Resource="*")}}])
        self.assertEqual(len(member.list_accounts()["Accounts"]), 20)

        for invalid in [{"identity": role}, {"user": role}, {"trust": role | {"policy": policy("sts:AssumeRole")}},
                        {"trust": role | {"role": "Missing", "policy": policy("sts:*", Principal="*")}}]:
            with self.assertRaisesRegex(urllib.error.HTTPError, "400"):
                put("policies", [invalid])

    def test_policies_that_are_set_with_iam(self):
        iam = client("iam", region="us-east-1", account=OTHER)
        role = {"account": OTHER, "role": "Audit"}
        self.addCleanup(put, "policies", [
            {"identity": role | {"policies": {"all": policy("*")}}},
            {"identity": {"account": OTHER, "policies": {"all": policy("*")}}},
            {"trust": role | {"policy": policy("sts:AssumeRole", Principal="*")}},
        ])
        trust = policy("sts:AssumeRole", Principal={"AWS": [f"arn:aws:iam::{ACCOUNT}:user/fake"]},
                       Condition={"StringEquals": {"sts:ExternalId": "new-id"}})
        iam.update_assume_role_policy(RoleName="Audit", PolicyDocument=json.dumps(trust))
        described = iam.get_role(RoleName="Audit")["Role"]
        self.assertEqual(described["Arn"], f"arn:aws:iam::{OTHER}:role/Audit")
        self.assertEqual(described["AssumeRolePolicyDocument"], trust)
        assume = client("sts").assume_role
        self.assert_error("AccessDenied", assume, RoleArn=described["Arn"], RoleSessionName="test")
        keys = keys_of(assume(RoleArn=described["Arn"], RoleSessionName="test", ExternalId="new-id"))

        lists = client(region=self.region, **keys).list_resource_data_sync
        put("policies", [{"identity": role | {"policies": {}}}])
        self.assert_error("AccessDeniedException", lists)
        allow = policy(["ssm:ListResourceDataSync"], Condition={"StringEquals": {"ssm:SyncType": "SyncFromSource"}})
        iam.put_role_policy(RoleName="Audit", PolicyName="syncs", PolicyDocument=json.dumps(allow))
        self.assert_error("AccessDeniedException", lists)
        self.assertEqual(lists(SyncType="SyncFromSource")["ResourceDataSyncItems"], [])
        self.assertEqual(iam.list_role_policies(RoleName="Audit")["PolicyNames"], ["syncs"])
        self.assertEqual(iam.get_role_policy(RoleName="Audit", PolicyName="syncs")["PolicyDocument"], allow)
        iam.delete_role_policy(RoleName="Audit", PolicyName="syncs")
        self.assert_error("AccessDeniedException", lists, SyncType="SyncFromSource")

        iam.put_user_policy(UserName="fake", PolicyName="none", PolicyDocument=json.dumps(policy("account:*", "Deny")))
        self.assert_error("AccessDeniedException", client("account", account=OTHER).list_regions, "explicit deny")
        self.assertEqual(iam.list_user_policies(UserName="fake")["PolicyNames"], ["none"])
        iam.delete_user_policy(UserName="fake", PolicyName="none")
        client("account", account=OTHER).list_regions()

        self.assert_error("NoSuchEntity", iam.get_role, RoleName="Missing")
        self.assert_error("NoSuchEntity", iam.get_role_policy, RoleName="Audit", PolicyName="missing")
        self.assert_error("ValidationError", iam.put_role_policy, "policyName", RoleName="Audit", PolicyDocument="{}")
        for document in ["{", "{}", json.dumps(policy("ssm:*", Principal="*"))]:
            self.assert_error("MalformedPolicyDocument", iam.put_role_policy,
                              RoleName="Audit", PolicyName="x", PolicyDocument=document)
        for principal in [f"arn:aws:iam::{ACCOUNT}:role/Missing", "444455556666", "hub"]:
            document = json.dumps(policy("sts:AssumeRole", Principal={"AWS": principal}))
            self.assert_error("MalformedPolicyDocument", iam.update_assume_role_policy, "Invalid principal",
                              RoleName="Audit", PolicyDocument=document)
        reader = client("iam", region="us-east-1", **keys)
        self.assert_error("AccessDenied", reader.get_role, f"iam:GetRole on resource: {described['Arn']} because no "
                          "identity-based policy allows", RoleName="Audit")
        self.assert_error("InvalidClientTokenId", client(
            "iam", region="us-east-1", aws_access_key_id="AKIAWRONG", aws_secret_access_key="x").get_role, RoleName="x")

    def test_unknown_access_keys(self):
        keys = {"aws_access_key_id": "AKIAWRONG", "aws_secret_access_key": "x"}
        self.assert_error("UnrecognizedClientException", client(**keys).list_resource_data_sync)
        self.assert_error("InvalidClientTokenId", client("sts", **keys).get_caller_identity)

    def test_faults_of_ssm(self):
        self.addCleanup(faults)
        nodes(self.region, 7)
        for operation, call, key in [
            ("ListResourceDataSync", "list_resource_data_sync", "ResourceDataSyncItems"),
            ("DescribeInstanceInformation", "describe_instance_information", "InstanceInformationList"),
        ]:
            lists, elsewhere = (getattr(ssm, call) for ssm in [self.ssm, client(region="us-west-2")])
            for fault, code in {
                "throttle": "ThrottlingException", "deny": "AccessDeniedException",
                "deny_by_scp": "AccessDeniedException", "expired_token": "ExpiredTokenException",
                "region_disabled": "UnrecognizedClientException", "server_error": "InternalServerError",
            }.items():
                faults({"region": self.region, "operation": operation, "times": 1, "fault": fault})
                elsewhere()
                self.assert_error(code, lists)
                lists()
            for fault in ["truncated_body", "reset"]:
                faults({"region": self.region, "operation": operation, "times": 1, "fault": fault})
                self.assertRaises((HTTPClientError, IncompleteReadError), lists)
                lists()
            faults({"region": self.region, "operation": operation, "times": 1, "fault": {"many_items": 1000}})
            self.assertEqual(len(lists()[key]), 1000)
            faults({"region": self.region, "operation": operation, "times": 1, "fault": "endless_pages"})
            self.assertIn("NextToken", lists())
        faults({"operation": "DescribeInstanceInformation", "times": 1, "fault": {"page_size": 2}})
        self.assertEqual(len(self.ssm.describe_instance_information()["InstanceInformationList"]), 2)
        faults({"operation": "DescribeInstanceInformation", "times": 1,
                "fault": {"text": {"field": "PlatformName", "value": "x", "repeat": 100_000}}})
        [first, *_] = self.ssm.describe_instance_information()["InstanceInformationList"]
        self.assertEqual(len(first["PlatformName"]), 100_000)

    def test_describe_and_list_an_organization(self):
        organizations = client("organizations", account=MANAGEMENT)
        described = organizations.describe_organization()["Organization"]
        self.assertEqual((described["Id"], described["MasterAccountId"]), ("o-fakefakefa", MANAGEMENT))
        # Every member may describe the organization.
        self.assertEqual(
            client("organizations", account=MEMBER).describe_organization()["Organization"], described)
        [root] = organizations.list_roots()["Roots"]
        self.assertEqual(root["Id"], "r-fake")

        all_accounts = [MANAGEMENT, *(f"1000000000{number:02}" for number in range(24)),
                     "200000000001", "200000000002", "200000000003"]
        for account in [MANAGEMENT, DELEGATED]:
            pages = client("organizations", account=account).get_paginator("list_accounts").paginate()
            accounts = [account for page in pages for account in page["Accounts"]]
            self.assertEqual([account["Id"] for account in accounts], all_accounts)
        first, second, *_, suspended, stateless, closed = accounts
        self.assertEqual(first["JoinedMethod"], "INVITED")
        self.assertAlmostEqual(second.pop("JoinedTimestamp").timestamp(), time.time(), delta=600)
        self.assertEqual(second, {
            "Id": "100000000000", "Arn": f"arn:aws:organizations::{MANAGEMENT}:account/o-fakefakefa/100000000000",
            "Email": "100000000000@example.com", "Name": "member-0", "Status": "ACTIVE", "State": "ACTIVE",
            "JoinedMethod": "CREATED", "Paths": ["o-fakefakefa/r-fake/100000000000/"],
        })
        self.assertEqual(
            stateless["Paths"], ["o-fakefakefa/r-fake/ou-fake-00000001/ou-fake-00000002/200000000002/"])
        states = [(account.get("State"), account.get("Status")) for account in [suspended, stateless, closed]]
        self.assertEqual(states, [("SUSPENDED", "SUSPENDED"), (None, "ACTIVE"), ("CLOSED", None)])

    def test_list_organizational_units(self):
        organizations = client("organizations", account=MANAGEMENT)

        def children(operation, key, parent, **paging):
            pages = list(organizations.get_paginator(operation).paginate(ParentId=parent, PaginationConfig=paging))
            return [[child["Id"] for child in page[key]] for page in pages]

        def units(parent, **paging):
            return children("list_organizational_units_for_parent", "OrganizationalUnits", parent, **paging)

        def accounts(parent, **paging):
            return children("list_accounts_for_parent", "Accounts", parent, **paging)

        self.assertEqual(units("r-fake"), [["ou-fake-00000001"]])
        self.assertEqual(units("ou-fake-00000001", PageSize=1), [["ou-fake-00000002"], ["ou-fake-00000003"]])
        self.assertEqual(units("ou-fake-00000003"), [[]])
        self.assertEqual([len(page) for page in accounts("r-fake")], [20, 5])
        self.assertEqual([len(page) for page in accounts("r-fake", PageSize=10)], [10, 10, 5])
        self.assertEqual(accounts("ou-fake-00000001"), [["200000000001"]])
        self.assertEqual(accounts("ou-fake-00000002"), [["200000000002"]])

    def test_errors_of_organizations(self):
        for account in [ACCOUNT, LEFT]:
            outside = client("organizations", account=account)
            for call in [outside.list_accounts, outside.list_roots, outside.describe_organization]:
                self.assert_error("AWSOrganizationsNotInUseException", call)
        member = client("organizations", account=MEMBER)
        self.assert_error("AccessDeniedException", member.list_accounts)
        self.assert_error("AccessDeniedException", member.list_accounts_for_parent, ParentId="r-fake")
        organizations = client("organizations", account=MANAGEMENT)
        by_parent = [organizations.list_accounts_for_parent, organizations.list_organizational_units_for_parent]
        for call in by_parent:
            self.assert_error("ParentNotFoundException", call, ParentId="ou-fake-99999999")
            self.assert_error("InvalidInputException", call, "pattern", ParentId="here")
            self.assert_error("InvalidInputException", call)
        for request, reason in [({"MaxResults": 0}, "MIN_VALUE_EXCEEDED"), ({"MaxResults": 21}, "MAX_VALUE_EXCEEDED"),
                                ({"NextToken": "invalid-token"}, "INVALID_NEXT_TOKEN")]:
            answer = self.assert_error("InvalidInputException", organizations.list_accounts, **request)
            self.assertEqual(answer["Reason"], reason)
        token = organizations.list_accounts_for_parent(ParentId="r-fake", MaxResults=1)["NextToken"]
        self.assert_error("InvalidInputException", organizations.list_accounts, NextToken=token)
        self.assert_error("UnrecognizedClientException", client(
            "organizations", aws_access_key_id="AKIAWRONG", aws_secret_access_key="x").list_accounts)

    def test_list_regions(self):
        account = client("account")

        def regions(account, **request):
            pages = account.get_paginator("list_regions").paginate(**request)
            return {region["RegionName"]: region["RegionOptStatus"] for page in pages for region in page["Regions"]}

        every = regions(account)
        self.assertEqual(len(every), 30)
        self.assertEqual(every["eu-west-1"], "ENABLED_BY_DEFAULT")
        self.assertEqual((every["ap-east-1"], every["af-south-1"]), ("ENABLED", "DISABLED"))
        self.assertEqual(regions(client("account", account=OTHER))["ap-east-1"], "DISABLED")
        self.assertEqual(regions(account, RegionOptStatusContains=["ENABLED"]), {"ap-east-1": "ENABLED"})
        enabled = regions(account, RegionOptStatusContains=["ENABLED", "ENABLED_BY_DEFAULT"],
                          PaginationConfig={"PageSize": 5})
        self.assertEqual(len(enabled), 18)
        self.assertEqual(regions(account, AccountId=ACCOUNT), every)

    def test_errors_of_account_management(self):
        lists = client("account").list_regions
        for size in [0, 51]:
            self.assert_error("ValidationException", lists, "maxResults", MaxResults=size)
        self.assert_error("ValidationException", lists, "regionOptStatusContains", RegionOptStatusContains=["OPEN"])
        self.assert_error("ValidationException", lists, NextToken="invalid-token")
        answer = self.assert_error("AccessDeniedException", lists, "account:ListRegions", AccountId=OTHER)
        self.assertEqual(answer["ResponseMetadata"]["HTTPStatusCode"], 403)
        self.assert_error("UnrecognizedClientException", client(
            "account", aws_access_key_id="AKIAWRONG", aws_secret_access_key="x").list_regions)

    def test_faults_of_other_services(self):
        self.addCleanup(faults)
        for operation, call, codes in [
            ("ListAccounts", client("organizations", account=MANAGEMENT).list_accounts, {
                "throttle": ("TooManyRequestsException", 400), "deny": ("AccessDeniedException", 400),
                "deny_by_scp": ("AccessDeniedException", 400), "expired_token": ("ExpiredTokenException", 400),
                "region_disabled": ("UnrecognizedClientException", 400), "server_error": ("ServiceException", 500),
            }),
            ("ListRegions", client("account").list_regions, {
                "throttle": ("TooManyRequestsException", 429), "deny": ("AccessDeniedException", 403),
                "deny_by_scp": ("AccessDeniedException", 403), "expired_token": ("ExpiredTokenException", 403),
                "region_disabled": ("UnrecognizedClientException", 403),
                "server_error": ("InternalServerException", 500),
            }),
        ]:
            for fault, (code, status) in codes.items():
                faults({"operation": operation, "times": 1, "fault": fault})
                answer = self.assert_error(code, call)
                self.assertEqual(answer["ResponseMetadata"]["HTTPStatusCode"], status)
                self.assertNotEqual(answer["Error"]["Message"], "", f"{operation}: {fault}")
                call()
            faults({"operation": operation, "times": 1, "fault": {"page_size": 3}})
            [things] = [value for value in call().values() if isinstance(value, list)]
            self.assertEqual(len(things), 3)


if __name__ == "__main__":
    unittest.main(verbosity=2)
