//! Logs panics as one line each.
//!
//! A panic message may contain anything, such as a header with a password that could not be
//! parsed. Only messages that are literals in the source are logged. Of all other panics, the
//! log has only the location.
//!
//! A stack overflow is not a panic, and no hook is called: Rust writes its own message to stderr
//! and aborts the process.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::PanicHookInfo;
use std::thread;

use serde_json::Value;
use tracing::Level;

use super::format::Entry;

/// How many bytes of a message are logged.
const MAX_MESSAGE_BYTES: usize = 500;

/// The log entry about a panic. This runs in the panic hook, so it must not panic.
pub(super) fn entry(info: &PanicHookInfo<'_>) -> Entry {
    let mut fields: Vec<(&'static str, Value)> = Vec::new();
    if let Some(location) = info.location() {
        fields.push(("location", format!("{}:{}", location.file(), location.line()).into()));
    }
    match tokio::task::try_id() {
        // The name of the thread says nothing about a task. The code that awaits the task may
        // log its number.
        Some(id) => fields.push(("task", id.to_string().into())),
        None => fields.push(("thread", thread::current().name().unwrap_or("unnamed").into())),
    }
    fields.push(("panic", message(info).into()));
    // Captured only if RUST_BACKTRACE is set. A backtrace has names and locations in the source,
    // but no values.
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        fields.push(("backtrace", backtrace.to_string().into()));
    }
    Entry::new(Level::ERROR, "panicked, which is a bug", fields)
}

fn message<'a>(info: &'a PanicHookInfo<'_>) -> &'a str {
    match info.payload().downcast_ref::<&'static str>() {
        Some(literal) => &literal[..literal.floor_char_boundary(MAX_MESSAGE_BYTES)],
        None => "message withheld, because it may contain a secret",
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::process::{Command, ExitStatus};
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;
    use std::{env, fmt, panic};

    use pretty_assertions::assert_eq;
    use serde_json::json;
    use tracing::info;

    use super::*;
    use crate::clock::Clock;
    use crate::logging::{Format, Log, Verbosity};

    const CASE: &str = "TEST_PANIC_CASE";
    const TIMEOUT: Duration = Duration::from_mins(1);

    /// The hook is global, so each case runs in a process of its own: this test binary with only
    /// the test `run_the_case_of_the_environment`. Returns its exit status and the lines that it
    /// wrote to stderr, each without its time, and with the location of this file as `HERE`.
    fn run(case: &str, environment: &[(&str, &str)]) -> (ExitStatus, Vec<String>) {
        let test = concat!(module_path!(), "::run_the_case_of_the_environment");
        let (_crate, test) = test.split_once("::").unwrap();
        let output = Command::new(env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture", "--test-threads=1"])
            .env_remove("RUST_BACKTRACE")
            .env(CASE, case)
            .envs(environment.iter().copied())
            .output()
            .unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        let line = |line: &str| {
            let line = line.strip_prefix("ts=2026-09-21T14:13:20.250Z ").unwrap_or(line);
            line.split_inclusive(' ').map(without_line_number).collect()
        };
        (output.status, stderr.lines().map(line).collect())
    }

    fn without_line_number(word: &str) -> &str {
        if word.starts_with(concat!("location=", file!(), ":")) { "location=HERE " } else { word }
    }

    const HERE: &str = "level=error message=\"panicked, which is a bug\" location=HERE";

    #[test]
    fn run_the_case_of_the_environment() {
        let Ok(case) = env::var(CASE) else { return };
        let log = Log::new(Clock::new(|| 1_790_000_000.25));
        log.install_panic_hook();
        let in_thread = |work: fn()| {
            let thread = thread::Builder::new().name("worker".to_owned());
            let _panicked = thread.spawn(work).unwrap().join();
        };
        let start = || {
            log.start(io::stderr()).unwrap();
            log.subscribe(Verbosity::Info).unwrap();
        };
        match &*case {
            "literal" => {
                start();
                in_thread(|| panic!("a literal\nof two lines"));
            }
            "json" => {
                log.set_format(Format::Json);
                start();
                in_thread(|| panic!("a literal"));
            }
            "formatted" => {
                start();
                in_thread(|| {
                    let secret = env::var(CASE).unwrap();
                    panic!("cannot parse {secret}");
                });
                in_thread(|| panic::panic_any(vec!["secret"]));
            }
            "before the start" => {
                in_thread(|| panic!("early"));
                start();
            }
            "never started" => in_thread(|| panic!("early")),
            "tasks" => {
                start();
                let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
                runtime.block_on(async {
                    let mut tasks = tokio::task::JoinSet::new();
                    tasks.spawn(async { panic!("in a task") });
                    let error = tasks.join_next().await.unwrap().unwrap_err();
                    log.print(&format!("task={}", error.id()));
                    tasks.spawn_blocking(|| panic!("in a blocking task"));
                    let error = tasks.join_next().await.unwrap().unwrap_err();
                    log.print(&format!("task={}", error.id()));
                });
            }
            "while formatting" => {
                start();
                in_thread(|| {
                    let _panicked = panic::catch_unwind(|| info!(field = %Unprintable, "never complete"));
                    info!("next");
                });
            }
            "while writing" => {
                log.start(Unwritable(AtomicBool::new(false))).unwrap();
                log.print("line");
            }
            "abort" => {
                start();
                let _aborts = PanicsOnDrop;
                panic!("first");
            }
            "many threads" => {
                start();
                let panics = |_| thread::spawn(|| panic!("one of many"));
                let threads: Vec<_> = (0..16).map(panics).collect();
                for thread in threads {
                    let _panicked = thread.join();
                }
            }
            _ => unreachable!(),
        }
        log.finish(TIMEOUT);
        writeln!(io::stderr(), "panics={}", log.counters().panics()).unwrap();
    }

    struct Unprintable;

    impl fmt::Display for Unprintable {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("unprintable")
        }
    }

    /// Panics once.
    struct Unwritable(AtomicBool);

    impl Write for Unwritable {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            assert!(self.0.swap(true, Ordering::SeqCst), "unwritable");
            unreachable!("replaced by stderr")
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct PanicsOnDrop;

    impl Drop for PanicsOnDrop {
        fn drop(&mut self) {
            panic!("second");
        }
    }

    /// Regression test: panics printed several lines that were not in the log format.
    #[test]
    fn a_panic_is_one_line_in_the_log_format() {
        let (_, lines) = run("literal", &[]);
        let panic = r#"thread=worker panic="a literal\nof two lines""#;
        assert_eq!(lines, [format!("{HERE} {panic}"), "panics=1".to_owned()]);

        let (_, lines) = run("json", &[]);
        let line: Value = serde_json::from_str(&lines[0]).unwrap();
        let location = line["location"].as_str().unwrap();
        assert!(location.starts_with("src/logging/panics.rs:"), "{location}");
        let expected = json!({
            "ts": "2026-09-21T14:13:20.250Z",
            "level": "error",
            "message": "panicked, which is a bug",
            "location": location,
            "thread": "worker",
            "panic": "a literal",
        });
        assert_eq!(line, expected);
        assert_eq!(lines[1..], ["panics=1"]);
    }

    #[test]
    fn a_message_that_is_not_a_literal_is_withheld() {
        let (_, lines) = run("formatted", &[]);
        let panic =
            format!(r#"{HERE} thread=worker panic="message withheld, because it may contain a secret""#);
        assert_eq!(lines, [panic.clone(), panic, "panics=2".to_owned()]);
    }

    #[test]
    fn a_panic_before_the_log_is_started_is_logged() {
        for case in ["before the start", "never started"] {
            let (_, lines) = run(case, &[]);
            assert_eq!(lines, [format!("{HERE} thread=worker panic=early"), "panics=1".to_owned()], "{case}");
        }
    }

    #[test]
    fn a_panic_in_a_task_is_logged_with_its_number() {
        let (_, lines) = run("tasks", &[]);
        let [first, first_task, second, second_task, count] = &*lines else { panic!("{lines:?}") };
        assert_eq!(*first, format!(r#"{HERE} {first_task} panic="in a task""#));
        assert_eq!(*second, format!(r#"{HERE} {second_task} panic="in a blocking task""#));
        assert_eq!(count, "panics=2");
    }

    /// Regression test: the next line of the thread began with the fragment of this one.
    #[test]
    fn a_panic_while_a_line_is_formatted_is_logged_and_the_next_line_is_whole() {
        let (_, lines) = run("while formatting", &[]);
        let panic = format!("{HERE} thread=worker panic=unprintable");
        assert_eq!(lines, [panic, "level=info message=next".to_owned(), "panics=1".to_owned()]);
    }

    #[test]
    fn a_panic_of_the_writer_is_logged_and_no_line_is_lost() {
        let (_, lines) = run("while writing", &[]);
        let panic = format!("{HERE} thread=log panic=unwritable");
        assert_eq!(lines, ["line".to_owned(), panic, "panics=1".to_owned()]);
    }

    #[test]
    fn panics_that_abort_the_process_are_logged() {
        let (status, lines) = run("abort", &[]);
        assert!(!status.success());
        let panics: Vec<bool> = lines.iter().map(|line| line.starts_with(HERE)).collect();
        assert_eq!(panics[..2], [true, true], "{lines:?}");
        assert!(lines[0].ends_with(" panic=first") && lines[1].ends_with(" panic=second"), "{lines:?}");
    }

    #[test]
    fn panics_on_many_threads_are_all_logged() {
        let (_, lines) = run("many threads", &[]);
        let panic = format!(r#"{HERE} thread=unnamed panic="one of many""#);
        assert_eq!(lines, [vec![panic; 16], vec!["panics=16".to_owned()]].concat());
    }

    #[test]
    fn the_backtrace_is_logged_in_the_same_line_if_it_is_requested() {
        let (_, lines) = run("literal", &[("RUST_BACKTRACE", "1")]);
        let [line, count] = &*lines else { panic!("{lines:?}") };
        assert!(line.contains(" backtrace=\"   0: ") && line.contains("run_the_case"), "{line}");
        assert_eq!(count, "panics=1");
    }
}
