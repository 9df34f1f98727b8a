//! Tests of the program from outside: flags, exit statuses, credentials, log lines and signals.

mod aws_environment;
mod aws_files;
mod command_hints;
mod command_line;
mod completions;
mod config_check;
mod credential_process;
mod credentials;
mod files;
mod help;
mod logs;
mod manual;
mod outage;
mod service_manager;
mod signals;
mod startup;
mod stderr;
mod unusable_credentials;
