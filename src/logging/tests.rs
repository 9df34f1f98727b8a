use std::io::ErrorKind;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Instant;

use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use tracing::{debug, info, warn};

use super::captured::CapturedLog;
use super::queue::{MAX_BYTES, MAX_LINES};
use super::*;
use crate::printable::is_printable;

/// Long enough for everything that does not hang.
const TIMEOUT: Duration = Duration::from_mins(1);

fn log_at_a_fixed_time() -> Log {
    Log::new(Clock::new(|| 1_790_000_000.25))
}

/// The log of `events` at a fixed time.
fn logged(format: Format, events: impl FnOnce()) -> String {
    let (log, captured) = (log_at_a_fixed_time(), CapturedLog::default());
    log.set_format(format);
    log.start(captured.clone()).unwrap();
    tracing::subscriber::with_default(log.subscriber(Verbosity::Info), events);
    log.finish(TIMEOUT);
    captured.text()
}

fn log_event_with_every_kind_of_field() {
    let absent: Option<u32> = None;
    warn!(
        target = "111122223333/eu-west-1",
        reason = "access denied",
        quoted = "a \"b\"\n",
        empty = "",
        failures = 3,
        ratio = 0.5,
        logged = true,
        error = %io::Error::other("x=y"),
        debugged = ?Some("z"),
        absent,
        "target is down"
    );
}

#[test]
fn both_formats_have_the_same_fields() {
    assert_eq!(
        logged(Format::Logfmt, log_event_with_every_kind_of_field),
        "ts=2026-09-21T14:13:20.250Z level=warn message=\"target is down\" target=111122223333/eu-west-1 \
         reason=\"access denied\" quoted=\"a \\\"b\\\"\\n\" empty=\"\" failures=3 ratio=0.5 logged=true \
         error=\"x=y\" debugged=\"Some(\\\"z\\\")\"\n"
    );
    let line = logged(Format::Json, log_event_with_every_kind_of_field);
    assert_eq!(
        serde_json::from_str::<Value>(&line).unwrap(),
        json!({
            "ts": "2026-09-21T14:13:20.250Z",
            "level": "warn",
            "message": "target is down",
            "target": "111122223333/eu-west-1",
            "reason": "access denied",
            "quoted": "a \"b\"\n",
            "empty": "",
            "failures": 3,
            "ratio": 0.5,
            "logged": true,
            "error": "x=y",
            "debugged": "Some(\"z\")",
        })
    );
    assert!(
        line.starts_with(r#"{"ts":"2026-09-21T14:13:20.250Z","level":"warn","message":"target is down","#)
    );
}

#[test]
fn a_value_cannot_add_a_line_or_control_the_terminal() {
    for format in [Format::Logfmt, Format::Json] {
        let log = logged(format, || {
            info!(name = "x\nts=2026 level=error \u{1b}[31m\u{9b}31m", "first\nsecond");
            info!(name = "x\u{202e}y\u{2028}z\u{e0001}", "café 日本");
        });
        assert_eq!(log.lines().count(), 2, "{log}");
        let is_hidden = |character| character != '\n' && !is_printable(character);
        assert!(!log.contains(is_hidden), "{log}");
        let last = log.lines().next_back().unwrap();
        assert!(last.contains(r#""x\u202ey\u2028z\udb40\udc01""#) && last.contains("café 日本"), "{last}");
    }
}

/// A pipe whose reader pauses: the first write blocks until `resume` is dropped.
struct PausedReader {
    captured: CapturedLog,
    is_blocked: Sender<()>,
    resume: Receiver<()>,
}

impl PausedReader {
    /// A log that writes to a paused reader, the text that the reader has read, and the sender
    /// to drop for the reader to resume. The writer thread is blocked by the line `first`.
    fn log() -> (Log, CapturedLog, Sender<()>) {
        let (log, captured) = (log_at_a_fixed_time(), CapturedLog::default());
        let (sender, is_blocked) = mpsc::channel();
        let (resume, resumed) = mpsc::channel();
        log.start(Self { captured: captured.clone(), is_blocked: sender, resume: resumed }).unwrap();
        log.print("first");
        is_blocked.recv_timeout(TIMEOUT).unwrap();
        (log, captured, resume)
    }
}

impl Write for PausedReader {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _sent = self.is_blocked.send(());
        let _resumed = self.resume.recv();
        self.captured.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn push(log: &Log, line: &str) -> bool {
    log.push(format!("{line}\n"), Importance::Ordinary).is_ok()
}

const REPORT_OF_10: &str = "ts=2026-09-21T14:13:20.250Z level=warn message=\"log lines dropped\" lines=10\n";

/// Regression test: a reader that paused blocked every thread that logged.
#[test]
fn lines_that_do_not_fit_are_dropped_counted_and_reported() {
    let (log, captured, resume) = PausedReader::log();
    for number in 0..MAX_LINES {
        assert!(push(&log, &format!("kept {number}")));
    }
    for _ in 0..10 {
        assert!(!push(&log, "lost"));
    }
    assert_eq!(log.counters().dropped_lines(), 10);
    log.print("last");
    drop(resume);
    log.finish(TIMEOUT);
    let kept = (0..MAX_LINES).map(|number| format!("kept {number}"));
    let expected = ["first".to_owned()].into_iter().chain(kept).collect::<Vec<_>>().join("\n");
    assert_eq!(captured.text(), format!("{expected}\n{REPORT_OF_10}last\n"));
    assert_eq!(log.counters().dropped_lines(), 10);
}

#[test]
fn lines_are_accepted_again_when_the_queue_is_half_empty() {
    let (log, captured, resume) = PausedReader::log();
    while push(&log, "kept") {}
    for _ in 0..9 {
        assert!(!push(&log, "lost"));
    }
    drop(resume);
    let deadline = Instant::now() + TIMEOUT;
    let mut lost = 10;
    while !push(&log, "resumed") {
        lost += 1;
        assert!(Instant::now() < deadline);
        thread::yield_now();
    }
    log.finish(TIMEOUT);
    let text = captured.text();
    let tail: Vec<&str> = text.lines().rev().take(3).collect();
    let report = REPORT_OF_10.replace("=10", &format!("={lost}"));
    assert_eq!(tail, ["resumed", report.trim_end(), "kept"]);
    assert_eq!(text.matches("dropped").count(), 1, "one report for one gap");
    assert_eq!(log.counters().dropped_lines(), lost);
}

#[test]
fn lines_dropped_last_are_reported_without_another_line() {
    let (log, captured, resume) = PausedReader::log();
    for _ in 0..10 {
        assert!(!push(&log, &"x".repeat(MAX_BYTES)));
    }
    drop(resume);
    log.finish(TIMEOUT);
    assert_eq!(captured.text(), format!("first\n{REPORT_OF_10}"));
}

#[test]
fn the_queue_is_bounded_in_bytes() {
    let (log, _captured, _resume) = PausedReader::log();
    let line = "x".repeat(MAX_BYTES / 10 - 1);
    let kept = (0..100).filter(|_| push(&log, &line)).count();
    assert_eq!(kept, 10);
    assert_eq!(log.counters().dropped_lines(), 90);
}

#[test]
fn a_full_queue_has_room_for_essential_lines_but_not_without_bound() {
    let (log, captured, resume) = PausedReader::log();
    while push(&log, "ordinary") {}
    for _ in 0..1000 {
        log.print("essential");
    }
    drop(resume);
    log.finish(TIMEOUT);
    assert_eq!(captured.text().matches("essential").count(), 64);
    assert_eq!(log.counters().dropped_lines(), 1 + 1000 - 64);
}

#[test]
fn finishing_does_not_wait_for_a_paused_reader() {
    let (log, captured, _resume) = PausedReader::log();
    push(&log, "lost");
    let (sender, finished) = mpsc::channel();
    thread::spawn(move || {
        log.finish(Duration::from_millis(10));
        sender.send(()).unwrap();
    });
    finished.recv_timeout(TIMEOUT).unwrap();
    assert_eq!(captured.text(), "");
}

#[test]
fn lines_from_before_the_start_are_written() {
    let (log, captured) = (log_at_a_fixed_time(), CapturedLog::default());
    log.print("early");
    log.start(captured.clone()).unwrap();
    log.print("late");
    log.finish(TIMEOUT);
    assert_eq!(captured.text(), "early\nlate\n");
}

/// Accepts one byte at a time, and is interrupted or not ready in between, as a terminal in
/// non-blocking mode can be.
struct SlowReader {
    captured: CapturedLog,
    attempts: usize,
}

impl Write for SlowReader {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.attempts += 1;
        match self.attempts % 3 {
            0 => Err(ErrorKind::WouldBlock.into()),
            1 => Err(ErrorKind::Interrupted.into()),
            _ => self.captured.write(&bytes[..1]),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Regression test: a line was cut off if stderr was in non-blocking mode and full.
#[test]
fn a_slow_reader_in_non_blocking_mode_gets_every_byte() {
    let (log, captured) = (log_at_a_fixed_time(), CapturedLog::default());
    log.start(SlowReader { captured: captured.clone(), attempts: 0 }).unwrap();
    log.print("abc");
    log.print("defg");
    log.finish(TIMEOUT);
    assert_eq!(captured.text(), "abc\ndefg\n");
    assert_eq!(log.counters().dropped_lines(), 0);
}

/// A disk that is full after some bytes, until `has_space`.
struct Disk {
    captured: CapturedLog,
    space: usize,
    has_space: Arc<AtomicBool>,
}

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = if self.has_space.load(Ordering::SeqCst) { bytes.len() } else { self.space };
        if length == 0 {
            return Err(ErrorKind::StorageFull.into());
        }
        let written = self.captured.write(&bytes[..length.min(bytes.len())])?;
        self.space = self.space.saturating_sub(written);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn lines_that_cannot_be_written_are_counted_and_reported() {
    let (log, captured, has_space) = (log_at_a_fixed_time(), CapturedLog::default(), Arc::default());
    log.start(Disk { captured: captured.clone(), space: 8, has_space: Arc::clone(&has_space) }).unwrap();
    for line in ["whole", "partial", "lost", "lost"] {
        log.print(line);
    }
    let deadline = Instant::now() + TIMEOUT;
    while log.counters().dropped_lines() < 3 {
        assert!(Instant::now() < deadline);
        thread::yield_now();
    }
    has_space.store(true, Ordering::SeqCst);
    log.print("later");
    log.finish(TIMEOUT);
    let report = REPORT_OF_10.replace("=10", "=3");
    assert_eq!(captured.text(), format!("whole\npa\n{report}later\n"));
    assert_eq!(log.counters().dropped_lines(), 3);
}

#[test]
fn lines_of_several_threads_are_whole_and_in_order() {
    const THREADS: usize = 4;
    const LINES: usize = 1000;
    let (mut reader, writer) = io::pipe().unwrap();
    let log = log_at_a_fixed_time();
    log.start(writer).unwrap();
    let subscriber = Arc::new(log.subscriber(Verbosity::Debug));
    for thread in 0..THREADS {
        let subscriber = Arc::clone(&subscriber);
        thread::spawn(move || {
            tracing::subscriber::with_default(subscriber, || {
                for line in 0..LINES {
                    debug!(thread, line, "x");
                }
            });
        });
    }
    let mut text = String::new();
    let finished = thread::spawn(move || {
        let deadline = Instant::now() + TIMEOUT;
        while log.0.queue.added() < (THREADS * LINES) as u64 && Instant::now() < deadline {
            thread::yield_now();
        }
        log.finish(TIMEOUT);
        log.counters().dropped_lines()
    });
    io::Read::read_to_string(&mut reader, &mut text).unwrap();
    assert_eq!(finished.join().unwrap(), 0);
    let mut next = [0; THREADS];
    for line in text.lines() {
        let rest = line.strip_prefix("ts=2026-09-21T14:13:20.250Z level=debug message=x thread=").unwrap();
        let (thread, line) = rest.split_once(" line=").unwrap();
        let (thread, line): (usize, usize) = (thread.parse().unwrap(), line.parse().unwrap());
        assert_eq!(line, next[thread]);
        next[thread] += 1;
    }
    assert_eq!(next, [LINES; THREADS]);
}
