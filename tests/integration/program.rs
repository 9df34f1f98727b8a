//! Tests of the program from outside: flags, exit statuses, credentials, log lines and signals.

mod command_line;
mod credential_process;
mod credentials;
mod logs;
mod outage;
mod service_manager;
mod signals;
mod startup;
mod stderr;
mod unusable_credentials;
