output "stack_set_id" {
  description = "The id of the StackSet."
  value       = aws_cloudformation_stack_set.this.stack_set_id
}
