//! The command `doctor`, against a fake AWS that evaluates policies: what it finds, and whether the
//! remedies that it prints work.

mod aws_cli;
mod causes;
mod fleet;
mod large_fleet;
mod managed_nodes;
mod narrowing;
mod report;
mod siblings;
