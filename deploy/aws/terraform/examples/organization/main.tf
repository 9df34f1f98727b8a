# Sets up the roles for an exporter that polls all accounts of an organization and runs on EKS with
# Pod Identity in one of them.

variable "external_id" {
  type = string
}

variable "eks_cluster_arn" {
  type = string
}

# Set it to true for managed_nodes in the exporter's configuration.
variable "list_managed_nodes" {
  type    = bool
  default = false
}

# Account where the exporter runs.
provider "aws" {
  alias   = "monitoring"
  region  = "eu-west-1"
  profile = "monitoring"
}

provider "aws" {
  alias   = "management"
  region  = "eu-west-1"
  profile = "management"
}

data "aws_organizations_organization" "this" {
  provider = aws.management
}

module "hub_role" {
  source    = "../../hub-role"
  providers = { aws = aws.monitoring }

  runtime              = "EKSPodIdentity"
  kubernetes_namespace = "monitoring"
  eks_cluster_arn      = var.eks_cluster_arn
}

module "member_stack_set" {
  source    = "../../member-stack-set"
  providers = { aws = aws.management }

  exporter_role_arn       = module.hub_role.exporter_role_arn
  exporter_session_tags   = module.hub_role.exporter_session_tags
  external_id             = var.external_id
  organization_id         = data.aws_organizations_organization.this.id
  organizational_unit_ids = [data.aws_organizations_organization.this.roots[0].id]
  list_managed_nodes      = var.list_managed_nodes
}

# StackSets skip the management account, so its role is created here. It may also list the accounts.
module "management_role" {
  source    = "../../member-role"
  providers = { aws = aws.management }

  exporter_role_arn     = module.hub_role.exporter_role_arn
  exporter_session_tags = module.hub_role.exporter_session_tags
  external_id           = var.external_id
  organization_id       = data.aws_organizations_organization.this.id
  list_organization     = true
  list_managed_nodes    = var.list_managed_nodes
}

output "management_role_arn" {
  description = "Value for organization.assume_roles in the exporter's configuration."
  value       = module.management_role.role_arn
}
