output "stack_set_id" {
  description = "Id of the StackSet."
  value       = aws_cloudformation_stack_set.this.stack_set_id
}
