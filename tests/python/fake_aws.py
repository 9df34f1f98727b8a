"""What tests of fake-aws in Python share. The URL of fake-aws is the first argument of their scripts.

Every response is validated by the API model in botocore.
"""

import json
import re
import sys
import unittest
import urllib.request

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.validate import ParamValidator

URL = sys.argv.pop(1)
ACCOUNT, OTHER = "111122223333", "222233334444"


def client(service="ssm", region="eu-west-1", account=ACCOUNT, url=URL, **keys):
    keys = keys or {"aws_access_key_id": f"AKIA{account}FAKE", "aws_secret_access_key": "any"}
    # Validation is off in botocore, so that invalid requests reach the server.
    config = Config(retries={"total_max_attempts": 1}, parameter_validation=False)
    new = boto3.client(service, region_name=region, endpoint_url=url, config=config, **keys)
    # First, because botocore decodes the policies in responses of IAM.
    new.meta.events.register_first(f"after-call.{service}", check_against_model)
    return new


def check_against_model(model, http_response, parsed, **_):
    if http_response.status_code >= 300 or model.output_shape is None:
        return
    answer = {key: value for key, value in parsed.items() if key != "ResponseMetadata"}
    report = ParamValidator().validate(answer, model.output_shape)
    assert not report.has_errors(), f"{model.name}: {report.generate_report()}"
    # What botocore parses has no unknown members.
    if "json" in model.service_model.metadata["protocol"]:
        answer = json.loads(http_response.text)
    wrong = list(differences(answer, model.output_shape, model.name))
    assert not wrong, wrong


def differences(value, shape, path):
    """What botocore's validation leaves out: unknown members, the lengths and patterns of texts, and enums."""
    if shape.type_name == "structure":
        for name in value:
            if name not in shape.members:
                yield f"{path}.{name} is not in the model"
            else:
                yield from differences(value[name], shape.members[name], f"{path}.{name}")
    elif shape.type_name == "list":
        for index, item in enumerate(value):
            yield from differences(item, shape.member, f"{path}[{index}]")
    elif shape.type_name == "string" and isinstance(value, str):
        limits = shape.metadata
        if not limits.get("min", 0) <= len(value) <= limits.get("max", len(value)):
            yield f"{path}: {value!r} has the wrong length"
        if not re.search(limits.get("pattern", ""), value):
            yield f"{path}: {value!r} does not match {limits['pattern']}"
        if value not in limits.get("enum", [value]):
            yield f"{path}: {value!r} is none of {limits['enum']}"


def keys_of(answer):
    """The credentials of an AssumeRole response, as arguments of a client."""
    given = answer["Credentials"]
    return {
        "aws_access_key_id": given["AccessKeyId"], "aws_secret_access_key": given["SecretAccessKey"],
        "aws_session_token": given["SessionToken"],
    }


def put(path, value):
    request = urllib.request.Request(f"{URL}/_fake/{path}", json.dumps(value).encode(), method="PUT")
    urllib.request.urlopen(request).close()


def faults(*rules):
    put("faults", rules)


def nodes(region, number, account=ACCOUNT):
    """Sets how many managed nodes an account has in a region."""
    put("nodes", [{"account": account, "region": region, "number": number}])


def policy(action, effect="Allow", **more):
    statement = {"Effect": effect, "Action": action} | more
    return {"Version": "2012-10-17", "Statement": [statement | ({} if "Principal" in more else {"Resource": "*"})]}


class FakeAwsTest(unittest.TestCase):
    region_number = 0

    def setUp(self):
        # Each test uses its own region.
        FakeAwsTest.region_number += 1
        self.region = f"eu-west-{FakeAwsTest.region_number}"
        self.ssm = client(region=self.region)

    def assert_error(self, code, call, *fragments, **request):
        with self.assertRaises(ClientError) as caught:
            call(**request)
        self.assertEqual(caught.exception.response["Error"]["Code"], code, caught.exception)
        for fragment in fragments:
            self.assertIn(fragment, str(caught.exception))
        return caught.exception.response
