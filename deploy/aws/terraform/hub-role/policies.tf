locals {
  issuer = replace(var.oidc_provider_arn, "/^.*:oidc-provider\\//", "")

  trust = {
    # EC2 offers no condition on the account, and none is needed: an instance can only be
    # given a role of its own account.
    EC2 = {
      Sid       = "AllowInstances"
      Effect    = "Allow"
      Principal = { Service = "ec2.${local.dns_suffix}" }
      Action    = "sts:AssumeRole"
    }

    ECS = {
      Sid       = "AllowTasks"
      Effect    = "Allow"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = {
        StringEquals = { "aws:SourceAccount" = local.account }
        ArnLike      = { "aws:SourceArn" = "arn:${local.partition}:ecs:*:${local.account}:*" }
      }
    }

    # EKS identifies the pod by request tags. Its value of aws:SourceArn is undocumented
    # and varies.
    EKSPodIdentity = {
      Sid       = "AllowPods"
      Effect    = "Allow"
      Principal = { Service = "pods.eks.amazonaws.com" }
      Action    = ["sts:AssumeRole", "sts:TagSession"]
      Condition = {
        StringEquals = {
          "aws:SourceAccount"                         = local.account
          "aws:RequestTag/eks-cluster-arn"            = var.eks_cluster_arn
          "aws:RequestTag/kubernetes-namespace"       = var.kubernetes_namespace
          "aws:RequestTag/kubernetes-service-account" = var.kubernetes_service_account
        }
      }
    }

    IRSA = {
      Sid       = "AllowServiceAccount"
      Effect    = "Allow"
      Principal = { Federated = var.oidc_provider_arn }
      Action    = "sts:AssumeRoleWithWebIdentity"
      Condition = {
        StringEquals = {
          "${local.issuer}:aud" = "sts.amazonaws.com"
          "${local.issuer}:sub" = "system:serviceaccount:${var.kubernetes_namespace}:${var.kubernetes_service_account}"
        }
      }
    }
  }

  trust_policy = {
    Version   = "2012-10-17"
    Statement = [local.trust[var.runtime]]
  }

  permissions_policy = {
    Version = "2012-10-17"
    Statement = concat(
      [merge(
        {
          Sid    = "AssumeMemberRole"
          Effect = "Allow"
          # The session tags of EKS Pod Identity are passed on to the next role.
          Action   = concat(["sts:AssumeRole"], var.runtime == "EKSPodIdentity" ? ["sts:TagSession"] : [])
          Resource = "arn:${local.partition}:iam::*:role/${var.member_role_name}"
        },
        var.same_organization ? {
          Condition = { StringEquals = { "aws:ResourceOrgID" = "$${aws:PrincipalOrgID}" } }
        } : null,
      )],
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
