locals {
  trust_policy = {
    Version = "2012-10-17"
    Statement = [{
      Sid       = "AllowTheExporter"
      Effect    = "Allow"
      Principal = { AWS = var.exporter_role_arn }
      Action    = concat(["sts:AssumeRole"], var.exporter_session_tags ? ["sts:TagSession"] : [])
      Condition = {
        StringEquals = {
          for key, value in {
            "sts:ExternalId"     = var.external_id
            "aws:PrincipalOrgID" = var.organization_id
          } : key => value if value != ""
        }
      }
    }]
  }

  permissions_policy = {
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid      = "ListResourceDataSyncs"
        Effect   = "Allow"
        Action   = "ssm:ListResourceDataSync"
        Resource = "*"
      }],
      var.list_regions ? [{
        Sid      = "OnlyForWildcardsInRegions"
        Effect   = "Allow"
        Action   = "account:ListRegions"
        Resource = "*"
      }] : [],
      # IAM defines no resource types for this action, so it cannot be limited to some nodes.
      var.list_managed_nodes ? [{
        Sid      = "OnlyForManagedNodes"
        Effect   = "Allow"
        Action   = "ssm:DescribeInstanceInformation"
        Resource = "*"
      }] : [],
      var.list_organization ? [{
        Sid    = "ListAccounts"
        Effect = "Allow"
        Action = [
          "organizations:ListAccounts",
          "organizations:ListAccountsForParent",
          "organizations:ListOrganizationalUnitsForParent",
        ]
        Resource = "*"
      }] : [],
    )
  }
}
