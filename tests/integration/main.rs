//! Integration tests: the exporter, in process or as a program, against fake-aws over loopback
//! sockets.
//!
//! `cargo test` runs the tests that need only Rust. `tests/run` installs the tools that the others
//! need, such as Python packages, Prometheus, Helm and Chromium, and runs all tests. A test fails
//! if its tool is missing.

#![expect(clippy::unwrap_used, reason = "a failed test should panic")]
#![expect(clippy::float_cmp, reason = "the values are sent and received exactly")]
#![expect(clippy::cast_precision_loss, reason = "Unix times in whole seconds are exact in f64")]

mod access_advice;
mod api;
mod aws_response_limits;
mod boto3;
mod browser;
mod config_schema;
mod consistency;
mod credential_providers;
mod credential_rejections;
mod demo;
mod deploy;
mod doctor;
mod doctor_command;
mod documentation;
mod expectation_metrics;
mod expectation_pages;
mod expectations;
mod exporter;
mod exposition;
mod faults;
mod fleet;
mod formats;
mod health;
mod hostile_bodies;
mod hostile_node_lists;
mod http;
mod layering;
mod lists_of_syncs;
mod local_server;
mod managed_nodes;
mod moto_nodes;
mod once;
mod organization;
mod outbound;
mod process;
mod program;
mod prometheus;
mod recording;
mod reload;
mod replay;
mod secrets;
mod soak;
mod status;
mod sync_page;
mod tools;
mod untrusted_responses;
mod web;
mod web_security;
