# Creates the role of ../../hub-role.yaml, in the account where the exporter runs.

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  account    = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
  dns_suffix = data.aws_partition.current.dns_suffix
}

resource "aws_iam_role" "this" {
  name               = var.role_name
  description        = "The identity of ssm-sync-exporter."
  assume_role_policy = jsonencode(local.trust_policy)
}

resource "aws_iam_role_policy" "this" {
  name   = "AssumeMemberRole"
  role   = aws_iam_role.this.id
  policy = jsonencode(local.permissions_policy)
}

resource "aws_iam_instance_profile" "this" {
  count = var.runtime == "EC2" ? 1 : 0

  name = var.role_name
  role = aws_iam_role.this.name
}
