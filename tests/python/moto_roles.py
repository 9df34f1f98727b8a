"""Lists the IAM roles of accounts in moto.

Usage: moto_roles.py URL ACCOUNT...

Prints one line of JSON, {account: {role: {"trust": ..., "permissions": [...]}}}, with the statements of
the trust policy and of all inline policies.
"""

import ast
import json
import sys

import boto3


def parse_inline_policy(document):
    """Parses an inline policy that a template created. moto stores it as a Python literal, and keeps the
    empty statements that AWS::NoValue removes."""
    document = ast.literal_eval(document)
    document["Statement"] = [statement for statement in document["Statement"] if statement]
    return document


def roles(url, account):
    def client(service, **keys):
        keys = keys or {"aws_access_key_id": "any", "aws_secret_access_key": "any"}
        return boto3.client(service, region_name="us-east-1", endpoint_url=url, **keys)

    arn = f"arn:aws:iam::{account}:role/any"
    keys = client("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
    iam = client(
        "iam",
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )
    for role in iam.list_roles()["Roles"]:
        name = role["RoleName"]
        policies = iam.list_role_policies(RoleName=name)["PolicyNames"]
        documents = [iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"] for policy in policies]
        permissions = [statement for document in documents for statement in parse_inline_policy(document)["Statement"]]
        yield name, {"trust": role["AssumeRolePolicyDocument"]["Statement"], "permissions": permissions}


if __name__ == "__main__":
    url, *accounts = sys.argv[1:]
    print(json.dumps({account: dict(roles(url, account)) for account in accounts}))
