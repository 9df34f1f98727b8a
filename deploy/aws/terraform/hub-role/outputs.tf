output "exporter_role_arn" {
  description = "Value for exporter_role_arn of member-role and member-stack-set."
  value       = aws_iam_role.this.arn
}

output "exporter_session_tags" {
  description = "Value for exporter_session_tags of member-role and member-stack-set."
  value       = var.runtime == "EKSPodIdentity"
}

output "instance_profile_arn" {
  description = "ARN of the instance profile for the exporter's EC2 instance, null for other runtimes."
  value       = one(aws_iam_instance_profile.this[*].arn)
}
