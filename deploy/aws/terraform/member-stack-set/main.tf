# Deploys ../../member-role.yaml to all accounts below the given organizational units, including
# accounts that join later, but not to the management account. Apply it in the management account,
# or in the account of a delegated administrator for StackSets with call_as = "DELEGATED_ADMIN".

data "aws_region" "current" {}

locals {
  # One region only: IAM roles are global, and a second region would try to create them again.
  region = var.region == null ? data.aws_region.current.region : var.region
}

resource "aws_cloudformation_stack_set" "this" {
  name             = var.stack_set_name
  description      = "Lets ssm-sync-exporter list resource data syncs."
  permission_model = "SERVICE_MANAGED"
  call_as          = var.call_as
  capabilities     = ["CAPABILITY_NAMED_IAM"]
  template_body    = file("${path.module}/../../member-role.yaml")

  # Set all parameters: the provider reports one that is left to its default as changed.
  parameters = {
    ExporterRoleArn     = var.exporter_role_arn
    ExternalId          = var.external_id
    OrganizationId      = var.organization_id
    ExporterSessionTags = tostring(var.exporter_session_tags)
    TrustRevision       = var.trust_revision
    RoleName            = var.role_name
    ListRegions         = tostring(var.list_regions)
    ListManagedNodes    = tostring(var.list_managed_nodes)
    ListOrganization    = "false"
  }

  auto_deployment {
    enabled                          = true
    retain_stacks_on_account_removal = false
  }

  operation_preferences {
    failure_tolerance_percentage = 20
    max_concurrent_percentage    = 100
  }

  lifecycle {
    # AWS sets it, but it has no effect in this permission model.
    ignore_changes = [administration_role_arn]
  }
}

resource "aws_cloudformation_stack_set_instance" "this" {
  stack_set_name            = aws_cloudformation_stack_set.this.name
  stack_set_instance_region = local.region
  call_as                   = var.call_as

  deployment_targets {
    organizational_unit_ids = var.organizational_unit_ids
  }

  operation_preferences {
    failure_tolerance_percentage = 20
    max_concurrent_percentage    = 100
  }
}
