//! Tests of the program from outside: flags, exit statuses, credentials, log lines and signals.

mod command_line;
mod credential_process;
mod credentials;
mod files;
mod logs;
mod outage;
mod signals;
mod startup;
mod stderr;
mod unusable_credentials;
