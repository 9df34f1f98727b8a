# Creates the role of ../../member-role.yaml in the account of the provider. Use
# ../member-stack-set for many accounts.

# If the exporter's role was deleted and recreated, the next apply detects that the trust policy
# trusts the deleted role, and saves it again.
resource "aws_iam_role" "this" {
  name               = var.role_name
  description        = "Lets ssm-sync-exporter list resource data syncs."
  assume_role_policy = jsonencode(local.trust_policy)
}

resource "aws_iam_role_policy" "this" {
  name   = "ListResourceDataSyncs"
  role   = aws_iam_role.this.id
  policy = jsonencode(local.permissions_policy)
}
