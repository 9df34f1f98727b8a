"""Tests the managed nodes of fake-aws with boto3 and the AWS CLI, and compares them with the EC2 instances of moto.

Usage: managed_nodes_test.py FAKE_AWS MOTO

FAKE_AWS has the accounts 111122223333 and 222233334444, the latter with a role SsmSyncExporter. MOTO is the URL
that moto_organization.py prints, which serves managed nodes by moto_nodes.py.
"""

import json
import os
import pathlib
import subprocess
import sys
import time
import unittest

from fake_aws import ACCOUNT, OTHER, URL, FakeAwsTest, client, keys_of, nodes, policy, put

import moto_nodes

MOTO = sys.argv.pop(1)

# Fields that depend on what runs on a node, which moto does not know.
ONLY_IN_FAKE_AWS = {
    "PlatformName", "PlatformVersion", "AssociationStatus", "AssociationOverview", "LastAssociationExecutionDate",
    "LastSuccessfulAssociationExecutionDate",
}


def listed(ssm, **request):
    """The managed nodes on all pages."""
    pages = ssm.get_paginator("describe_instance_information").paginate(**request)
    return [node for page in pages for node in page["InstanceInformationList"]]


class FakeAws(FakeAwsTest):
    def listed(self, **request):
        return listed(self.ssm, **request)

    def test_managed_nodes_come_and_go(self):
        describe = self.ssm.describe_instance_information
        self.assertEqual(describe(MaxResults=5)["InstanceInformationList"], [])
        nodes(self.region, 1)
        answer = describe(MaxResults=5)
        [node] = answer["InstanceInformationList"]
        self.assertNotIn("NextToken", answer)
        self.assertAlmostEqual(node.pop("LastPingDateTime").timestamp(), time.time(), delta=120)
        self.assertEqual(
            {key: node[key] for key in ["PingStatus", "PlatformType", "PlatformName", "ResourceType", "IPAddress",
                                        "AssociationStatus", "SourceType"]},
            {"PingStatus": "Online", "PlatformType": "Linux", "PlatformName": "Amazon Linux",
             "ResourceType": "EC2Instance", "IPAddress": "10.0.0.1", "AssociationStatus": "Success",
             "SourceType": "AWS::EC2::Instance"})
        for other in [client(region="us-west-2"), client(region=self.region, account=OTHER)]:
            self.assertEqual(other.describe_instance_information()["InstanceInformationList"], [])
        nodes(self.region, 0)
        self.assertEqual(describe()["InstanceInformationList"], [])
        put("nodes", [{"account": ACCOUNT, "region": self.region, "items": [{"InstanceId": node["InstanceId"]}]}])
        self.assertEqual(describe()["InstanceInformationList"], [{"InstanceId": node["InstanceId"]}])

    def test_answers_that_the_model_does_not_allow_are_found(self):
        for item, found in [({"InstanceId": "here"}, "does not match"), ({"PingStatus": "Away"}, "is none of"),
                            ({"Color": "blue"}, "is not in the model"), ({"IamRole": "x" * 65}, "wrong length")]:
            put("nodes", [{"account": ACCOUNT, "region": self.region, "items": [item]}])
            with self.assertRaisesRegex(AssertionError, found):
                self.ssm.describe_instance_information()

    def test_pages_of_managed_nodes(self):
        nodes(self.region, 120)
        paginator = self.ssm.get_paginator("describe_instance_information")
        for size, pages in [({}, 12), ({"PageSize": 5}, 24), ({"PageSize": 50}, 3)]:
            lists = [page["InstanceInformationList"] for page in paginator.paginate(PaginationConfig=size)]
            self.assertEqual(len(lists), pages)
            ids = [node["InstanceId"] for page in lists for node in page]
            self.assertEqual(len(set(ids)), 120)
        nodes(self.region, 3)
        self.assertEqual([node["InstanceId"] for node in self.listed()], ids[:3])
        describe = self.ssm.describe_instance_information
        for size, bound in [(4, "greater than or equal to 5"), (51, "less than or equal to 50")]:
            self.assert_error(
                "ValidationException", describe, f"1 validation error detected: Value '{size}' at 'maxResults' failed "
                f"to satisfy constraint: Member must have value {bound}", MaxResults=size)
        self.assert_error("InvalidNextToken", describe, NextToken="invalid-token")

    def test_filters_of_managed_nodes(self):
        nodes(self.region, 30)
        every = self.listed()
        for key, field, value in [
            ("InstanceIds", "InstanceId", every[4]["InstanceId"]), ("PingStatus", "PingStatus", "ConnectionLost"),
            ("PlatformTypes", "PlatformType", "Windows"), ("ResourceType", "ResourceType", "ManagedInstance"),
            ("AgentVersion", "AgentVersion", every[0]["AgentVersion"]),
            ("SourceTypes", "SourceType", "AWS::EC2::Instance"),
        ]:
            expected = [node for node in every if node[field] == value]
            self.assertTrue(expected, key)
            ids = [node["InstanceId"] for node in self.listed(Filters=[{"Key": key, "Values": [value]}])]
            self.assertEqual(ids, [node["InstanceId"] for node in expected], key)
        older = [{"key": "InstanceIds", "valueSet": [every[7]["InstanceId"]]}]
        self.assertEqual([node["InstanceId"] for node in self.listed(InstanceInformationFilterList=older)],
                         [every[7]["InstanceId"]])

        describe = self.ssm.describe_instance_information
        for code, key, values in [
            ("InvalidFilterKey", "Color", ["blue"]), ("InvalidInstanceId", "InstanceIds", ["here"]),
            ("InvalidInstanceInformationFilterValue", "PingStatus", ["Away"]),
            ("InvalidInstanceInformationFilterValue", "ResourceType", ["EC2Instance", "ManagedInstance"]),
            ("ValidationException", "PingStatus", []),
        ]:
            self.assert_error(code, describe, Filters=[{"Key": key, "Values": values}])
        self.assert_error("ValidationException", describe, "cannot be used together",
                          InstanceInformationFilterList=older, Filters=[{"Key": "PingStatus", "Values": ["Online"]}])
        self.assert_error("ValidationException", describe, "instanceInformationFilterList.0.key",
                          InstanceInformationFilterList=[{"key": "Color", "valueSet": ["blue"]}])

    def test_managed_nodes_need_their_own_permission(self):
        role = {"account": OTHER, "role": "SsmSyncExporter"}
        self.addCleanup(put, "policies", [{"identity": role | {"policies": {"all": policy("*")}}}])
        arn = f"arn:aws:iam::{OTHER}:role/SsmSyncExporter"
        keys = keys_of(client("sts").assume_role(RoleArn=arn, RoleSessionName="test"))
        ssm = client(region=self.region, **keys)
        put("policies", [{"identity": role | {"policies": {"syncs": policy("ssm:ListResourceDataSync")}}}])
        ssm.list_resource_data_sync()
        self.assert_error(
            "AccessDeniedException", ssm.describe_instance_information,
            f"on resource: arn:aws:ssm:{self.region}:{OTHER}:* because no identity-based policy allows the "
            "ssm:DescribeInstanceInformation action")
        put("policies", [{"identity": role | {"policies": {"nodes": policy("ssm:DescribeInstanceInformation")}}}])
        ssm.describe_instance_information()
        self.assert_error("AccessDeniedException", ssm.list_resource_data_sync)

    def test_the_aws_cli_lists_managed_nodes(self):
        nodes(self.region, 12)

        def cli(*arguments):
            environment = {
                "PATH": os.environ["PATH"], "HOME": "/nonexistent",
                "AWS_ENDPOINT_URL": URL, "AWS_DEFAULT_REGION": self.region,
                "AWS_ACCESS_KEY_ID": f"AKIA{ACCOUNT}FAKE", "AWS_SECRET_ACCESS_KEY": "any", "AWS_MAX_ATTEMPTS": "1",
            }
            program = pathlib.Path(sys.executable).with_name("aws")
            command = [program, "ssm", "describe-instance-information", "--output", "json", *arguments]
            return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

        answer = cli("--filters", "Key=PingStatus,Values=Online", "--query", "InstanceInformationList[].InstanceId")
        self.assertEqual(answer.returncode, 0, answer.stderr)
        online = [node["InstanceId"] for node in self.listed() if node["PingStatus"] == "Online"]
        self.assertEqual(json.loads(answer.stdout), online)
        # The CLI follows pages unless it is told not to.
        for arguments, number in [([], 12), (["--no-paginate"], 10), (["--page-size", "5", "--max-items", "7"], 7)]:
            answer = cli(*arguments)
            self.assertEqual(len(json.loads(answer.stdout)["InstanceInformationList"]), number, answer.stderr)
        answer = cli("--filters", "Key=Color,Values=blue")
        self.assertNotEqual(answer.returncode, 0)
        self.assertIn("An error occurred (InvalidFilterKey) when calling the DescribeInstanceInformation operation",
                      answer.stderr)


class BesideMoto(FakeAwsTest):
    """Makes the same calls to both."""

    def setUp(self):
        super().setUp()
        # The regions of moto are those of AWS.
        self.region = "eu-central-1"
        self.keys = moto_nodes.keys_of(MOTO, ACCOUNT)
        self.moto = client(region=self.region, url=MOTO, **self.keys)
        self.both = {"fake-aws": client(region=self.region), "moto": self.moto}
        self.set_managed_nodes(0)

    def set_managed_nodes(self, number):
        nodes(self.region, number)
        return moto_nodes.set_managed_nodes(MOTO, ACCOUNT, self.region, number)

    def test_nodes_come_and_go(self):
        for number in [0, 3, 1, 0]:
            self.set_managed_nodes(number)
            for name, ssm in self.both.items():
                answer = ssm.describe_instance_information(MaxResults=5)
                found = (len(answer["InstanceInformationList"]), "NextToken" in answer)
                self.assertEqual(found, (number, False), name)

    def test_other_accounts_and_regions_have_none(self):
        self.set_managed_nodes(1)
        elsewhere = [
            client(region="eu-west-3"), client(region="eu-west-3", url=MOTO, **self.keys),
            client(region=self.region, account=OTHER),
            client(region=self.region, url=MOTO, **moto_nodes.keys_of(MOTO, OTHER)),
        ]
        for ssm in elsewhere:
            self.assertEqual(ssm.describe_instance_information()["InstanceInformationList"], [])

    def test_pages(self):
        self.set_managed_nodes(12)
        for name, ssm in self.both.items():
            paginator = ssm.get_paginator("describe_instance_information")
            for size, expected in [({}, [10, 2]), ({"PageSize": 5}, [5, 5, 2]), ({"PageSize": 50}, [12])]:
                pages = [page["InstanceInformationList"] for page in paginator.paginate(PaginationConfig=size)]
                self.assertEqual([len(page) for page in pages], expected, name)
                self.assertEqual(len({node["InstanceId"] for page in pages for node in page}), 12, name)

    def test_a_node_has_the_same_fields_with_values_of_the_same_types(self):
        ids = self.set_managed_nodes(1)
        fake, moto = (ssm.describe_instance_information() for ssm in self.both.values())
        types = [answer["ResponseMetadata"]["HTTPHeaders"]["content-type"] for answer in [fake, moto]]
        self.assertEqual(types, ["application/x-amz-json-1.1"] * 2)
        [fake], [moto] = fake["InstanceInformationList"], moto["InstanceInformationList"]
        self.assertEqual(moto["InstanceId"], ids[0])
        self.assertEqual(set(fake) - set(moto), ONLY_IN_FAKE_AWS)
        self.assertEqual({key: type(fake[key]) for key in moto}, {key: type(value) for key, value in moto.items()})
        for field in ["PingStatus", "PlatformType", "ResourceType", "SourceType"]:
            self.assertEqual(fake[field], moto[field])

    def test_instances_of_moto_that_are_stopped_or_not_managed_are_left_out(self):
        ids = self.set_managed_nodes(3)
        ec2, _ = moto_nodes.clients(MOTO, ACCOUNT, self.region)
        ec2.run_instances(ImageId=moto_nodes.IMAGE, MinCount=1, MaxCount=1)
        ec2.stop_instances(InstanceIds=ids[:1])
        self.assertEqual([node["InstanceId"] for node in listed(self.moto)], ids[1:])


if __name__ == "__main__":
    unittest.main(verbosity=2)
