//! Policies and templates for AWS.
