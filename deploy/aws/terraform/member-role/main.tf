# The role of ../../member-role.yaml, in the account of the provider. For many accounts
# there is ../member-stack-set.

# When the exporter's role was deleted and created again, the next apply sees that the
# trust policy means the one that is gone, and mends it.
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
