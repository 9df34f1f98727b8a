output "exporter_role_arn" {
  description = "For exporter_role_arn of member-role and member-stack-set."
  value       = aws_iam_role.this.arn
}

output "exporter_session_tags" {
  description = "For exporter_session_tags of member-role and member-stack-set."
  value       = var.runtime == "EKSPodIdentity"
}

output "instance_profile_arn" {
  description = "The instance profile for the exporter's instance, on EC2."
  value       = one(aws_iam_instance_profile.this[*].arn)
}
