"""Managed nodes in moto, which implements EC2 but not the calls of SSM that the exporter makes.

`serve` adds them to moto: `DescribeInstanceInformation` lists the EC2 instances that SSM would manage, and
`ListResourceDataSync` is answered by fake-aws. moto itself identifies the account and the region of a call,
keeps the instances, makes the pages and encodes the response by the API model in botocore.

Usage: moto_nodes.py URL ACCOUNT/REGION=NUMBER...

Starts or terminates EC2 instances until each account has this number of managed nodes in the region.
"""

import functools
import sys
import urllib.error
import urllib.request

import boto3
from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.ec2.models import ec2_backends
from moto.ssm.responses import SimpleSystemManagerResponse
from moto.utilities.paginator import paginate

# SSM manages an instance only if it may call SSM, so only with an instance profile.
PROFILE = "managed"
# An image with Amazon Linux, which every account of moto has.
IMAGE = "ami-760aaa0f"

PAGES = {
    "managed_instances": {
        "input_token": "next_token",
        "limit_key": "max_results",
        "limit_default": 10,
        "unique_attribute": "id",
    }
}


@paginate(pagination_model=PAGES)
def managed_instances(account, region):
    running = ec2_backends[account][region].all_running_instances()
    return [instance for instance in running if instance.iam_instance_profile]


def describe_instance_information(response):
    instances, token = managed_instances(
        account=response.current_account,
        region=response.region,
        max_results=response._get_param("MaxResults"),
        next_token=response._get_param("NextToken"),
    )
    nodes = [
        {
            "InstanceId": instance.id,
            "PingStatus": "Online",
            "LastPingDateTime": utcnow(),
            "AgentVersion": "3.3.2746.0",
            "IsLatestVersion": True,
            "PlatformType": "Windows" if instance.platform == "windows" else "Linux",
            "ResourceType": "EC2Instance",
            "IPAddress": instance.private_ip,
            "ComputerName": instance.private_dns_name,
            "SourceId": instance.id,
            "SourceType": "AWS::EC2::Instance",
        }
        for instance in instances
    ]
    return ActionResult({"InstanceInformationList": nodes} | ({"NextToken": token} if token else {}))


def serve(fake_aws):
    """Adds the calls to moto. `fake_aws` is the URL of a fake-aws that trusts the keys of moto."""

    def list_resource_data_sync(response):
        names = ["Authorization", "X-Amz-Date", "X-Amz-Security-Token", "X-Amz-Target", "Content-Type"]
        headers = {name: response.headers[name] for name in names if name in response.headers}
        body = response.body if isinstance(response.body, bytes) else response.body.encode()
        try:
            with urllib.request.urlopen(urllib.request.Request(fake_aws, body, headers)) as answer:
                return answer.read().decode(), {"status": answer.status}
        except urllib.error.HTTPError as error:
            return error.read().decode(), {"status": error.code}

    SimpleSystemManagerResponse.describe_instance_information = describe_instance_information
    SimpleSystemManagerResponse.list_resource_data_sync = list_resource_data_sync


def keys_of(url, account):
    """The credentials of a role in an account of moto, as arguments of a client."""
    any_keys = {"aws_access_key_id": "any", "aws_secret_access_key": "any"}
    sts = boto3.client("sts", region_name="us-east-1", endpoint_url=url, **any_keys)
    role = f"arn:aws:iam::{account}:role/SsmSyncExporter"
    keys = sts.assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
    return {
        "aws_access_key_id": keys["AccessKeyId"],
        "aws_secret_access_key": keys["SecretAccessKey"],
        "aws_session_token": keys["SessionToken"],
    }


@functools.cache
def clients(url, account, region):
    """Clients of EC2 and IAM, which take most of a second to create."""
    session = boto3.Session(region_name=region, **keys_of(url, account))
    return session.client("ec2", endpoint_url=url), session.client("iam", endpoint_url=url)


def set_managed_nodes(url, account, region, number):
    """Starts or terminates instances. Returns the ids of those that run and are managed."""
    ec2, iam = clients(url, account, region)
    filters = [{"Name": "instance-state-name", "Values": ["running"]}]
    pages = ec2.get_paginator("describe_instances").paginate(Filters=filters)
    instances = [one for page in pages for group in page["Reservations"] for one in group["Instances"]]
    ids = [instance["InstanceId"] for instance in instances if "IamInstanceProfile" in instance]
    if ids[number:]:
        ec2.terminate_instances(InstanceIds=ids[number:])
    if len(ids) < number:
        profiles = iam.list_instance_profiles()["InstanceProfiles"]
        if PROFILE not in [profile["InstanceProfileName"] for profile in profiles]:
            iam.create_instance_profile(InstanceProfileName=PROFILE)
    # Of the instances that a call starts, moto gives the profile to the first only.
    while len(ids) < number:
        started = ec2.run_instances(ImageId=IMAGE, MinCount=1, MaxCount=1, IamInstanceProfile={"Name": PROFILE})
        ids += [instance["InstanceId"] for instance in started["Instances"]]
    return ids[:number]


if __name__ == "__main__":
    url, *settings = sys.argv[1:]
    for setting in settings:
        place, number = setting.split("=")
        set_managed_nodes(url, *place.split("/"), int(number))
