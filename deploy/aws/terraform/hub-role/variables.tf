variable "runtime" {
  description = "Where the exporter gets its credentials: an EC2 instance (EC2), an ECS task (ECS), EKS Pod Identity (EKSPodIdentity), or IAM roles for service accounts (IRSA)."
  type        = string
  nullable    = false

  validation {
    condition     = contains(["EC2", "ECS", "EKSPodIdentity", "IRSA"], var.runtime)
    error_message = "runtime must be EC2, ECS, EKSPodIdentity or IRSA."
  }
}

variable "kubernetes_namespace" {
  description = "Namespace of the exporter. Required for EKSPodIdentity and IRSA."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)?$", var.kubernetes_namespace))
    error_message = "kubernetes_namespace must be the name of a namespace."
  }

  validation {
    condition     = var.kubernetes_namespace != "" || !contains(["EKSPodIdentity", "IRSA"], var.runtime)
    error_message = "EKSPodIdentity and IRSA need kubernetes_namespace."
  }
}

variable "kubernetes_service_account" {
  description = "Service account of the exporter. Used with EKSPodIdentity and IRSA."
  type        = string
  default     = "ssm-sync-exporter"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$", var.kubernetes_service_account))
    error_message = "kubernetes_service_account must be the name of a service account."
  }
}

variable "eks_cluster_arn" {
  description = "ARN of the EKS cluster. Required for EKSPodIdentity."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(arn:aws(-us-gov|-cn)?:eks:[a-z0-9-]+:[0-9]{12}:cluster/[A-Za-z0-9_-]+)?$", var.eks_cluster_arn))
    error_message = "eks_cluster_arn must be the ARN of an EKS cluster."
  }

  validation {
    condition     = var.eks_cluster_arn != "" || var.runtime != "EKSPodIdentity"
    error_message = "EKSPodIdentity needs eks_cluster_arn."
  }
}

variable "oidc_provider_arn" {
  description = "ARN of the cluster's OIDC provider in IAM. Required for IRSA."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(arn:aws(-us-gov|-cn)?:iam::[0-9]{12}:oidc-provider/[A-Za-z0-9._/-]+)?$", var.oidc_provider_arn))
    error_message = "oidc_provider_arn must be the ARN of an OIDC provider."
  }

  validation {
    condition     = var.oidc_provider_arn != "" || var.runtime != "IRSA"
    error_message = "IRSA needs oidc_provider_arn."
  }
}

variable "role_name" {
  description = "Name of the role."
  type        = string
  default     = "ssm-sync-exporter"
  nullable    = false

  validation {
    condition     = can(regex("^[\\w+=,.@-]+$", var.role_name)) && length(var.role_name) <= 64
    error_message = "role_name must have up to 64 letters, digits and _+=,.@-."
  }
}

variable "member_role_name" {
  description = "Name of the role in every account. No other role may be assumed."
  type        = string
  default     = "SsmSyncExporter"
  nullable    = false

  validation {
    condition     = can(regex("^[\\w+=,.@-]+$", var.member_role_name)) && length(var.member_role_name) <= 64
    error_message = "member_role_name must have up to 64 letters, digits and _+=,.@-."
  }
}

variable "same_organization" {
  description = "Whether only roles in this account's organization may be assumed."
  type        = bool
  default     = true
  nullable    = false
}

variable "list_organization" {
  description = "Whether the role may list the accounts of the organization. Only works in the management account or the account of a delegated administrator. Otherwise set it for a role of member-role in one of these."
  type        = bool
  default     = false
  nullable    = false
}
