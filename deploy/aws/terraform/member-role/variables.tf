variable "exporter_role_arn" {
  description = "ARN of the exporter's own role, which must exist already."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^arn:aws(-us-gov|-cn)?:iam::[0-9]{12}:role/([!-)+->@-~]+/)?[\\w+=,.@-]+$", var.exporter_role_arn))
    error_message = "exporter_role_arn must be the ARN of a role."
  }
}

variable "external_id" {
  description = "External id that the exporter must send, external_id in its configuration."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[\\w+=,.@:/-]+$", var.external_id)) && length(var.external_id) >= 2 && length(var.external_id) <= 1224
    error_message = "external_id must have 2 to 1224 letters, digits and _+=,.@:/-."
  }
}

variable "organization_id" {
  description = "If set, the exporter's role must be in this organization."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(o-[a-z0-9]{10,32})?$", var.organization_id))
    error_message = "organization_id must be the id of an organization, such as o-a1b2c3d4e5."
  }
}

variable "exporter_session_tags" {
  description = "Whether the exporter's sessions have transitive tags, as those of EKS Pod Identity do."
  type        = bool
  default     = false
  nullable    = false
}

variable "role_name" {
  description = "Name of the role, the same in all accounts."
  type        = string
  default     = "SsmSyncExporter"
  nullable    = false

  validation {
    condition     = can(regex("^[\\w+=,.@-]+$", var.role_name)) && length(var.role_name) <= 64
    error_message = "role_name must have up to 64 letters, digits and _+=,.@-."
  }
}

variable "list_regions" {
  description = "Whether the exporter may list the enabled regions, which it needs for wildcards in its regions."
  type        = bool
  default     = true
  nullable    = false
}

variable "list_managed_nodes" {
  description = "Whether the exporter may look up managed nodes (EC2 instances and others with the SSM Agent), which it needs for managed_nodes in its configuration."
  type        = bool
  default     = false
  nullable    = false
}

variable "list_organization" {
  description = "Whether the role may list the accounts of the organization. Only works in the management account or the account of a delegated administrator."
  type        = bool
  default     = false
  nullable    = false
}
