//! Tests of the program from outside: flags, exit statuses, credentials, log lines and signals.

mod command_line;
mod credentials;
mod logs;
mod signals;
mod startup;
mod stderr;
