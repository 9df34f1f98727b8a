//! Writes a recording while AWS is called.

use std::fmt;
use std::io::{self, BufWriter, Write as _};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use aws_credential_types::Credentials;
use serde::Serialize;
use tokio::sync::oneshot;

use super::super::exchange::{Exchange, ExchangeObserver, ObserveExchanges};
use super::file::{RecordingError, RecordingFile};
use super::format::Header;
use super::pseudonyms::Pseudonyms;
use super::queue::{End, Queue};
use super::transcript::{Event, Transcript};
use crate::model::Failure;

/// How long the end of a recording may take to reach the disk.
const FINISH_TIMEOUT: Duration = Duration::from_secs(30);

/// How long an aborted recording may take to remove its file.
const ABORT_TIMEOUT: Duration = Duration::from_secs(1);

/// Records the requests to AWS in a file. The file appears when the recording is
/// [finished](Self::finish). If this is dropped before, nothing is left of it.
#[derive(Debug)]
pub struct Recorder {
    queue: Arc<Queue<Event>>,
    /// Starts the recording.
    header: Option<mpsc::Sender<Header>>,
    outcome: Option<oneshot::Receiver<Result<(), RecordingError>>>,
    /// Closed when the thread has ended.
    ended: mpsc::Receiver<()>,
    /// Whether names are recorded as they are.
    keeps_names: bool,
    unfinished: String,
}

/// Passes what happens on to the thread that writes.
struct RecordingObserver(Arc<Queue<Event>>);

impl Recorder {
    /// Starts a thread that writes to `file`. With `keeps_names`, names are recorded as they are.
    ///
    /// # Errors
    /// The system has no random numbers or no more threads.
    pub fn start(file: RecordingFile, keeps_names: bool) -> Result<Self, RecordingError> {
        let pseudonyms = Pseudonyms::new(keeps_names)
            .map_err(|_| file.error(io::Error::other("the system provides no random numbers")))?;
        let queue = Arc::new(Queue::new());
        let (header, first_line) = mpsc::channel();
        let (finished, outcome) = oneshot::channel();
        let (end_guard, ended) = mpsc::channel::<()>();
        let (path, spawned_queue) = (file.path().to_owned(), Arc::clone(&queue));
        let write = move || {
            let _end_guard = end_guard;
            let _abort = AbortOnDrop(Arc::clone(&spawned_queue));
            let written = match first_line.recv() {
                Ok(header) => write(&spawned_queue, file, header, Transcript::new(pseudonyms)),
                Err(mpsc::RecvError) => return,
            };
            // The outcome of an aborted recording is not read.
            _ = finished.send(written);
        };
        thread::Builder::new()
            .name("recorder".to_owned())
            .spawn(write)
            .map_err(|source| RecordingError::new(&path, source))?;
        let unfinished = path.display().to_string();
        Ok(Self { queue, header: Some(header), outcome: Some(outcome), ended, keeps_names, unfinished })
    }

    pub(crate) fn keeps_names(&self) -> bool {
        self.keeps_names
    }

    pub(crate) fn observer(&self) -> ExchangeObserver {
        ExchangeObserver(Some(Arc::new(RecordingObserver(Arc::clone(&self.queue)))))
    }

    /// Writes the first line. Until then, everything else waits.
    pub(crate) fn begin(&mut self, header: Header) {
        if let Some(sender) = self.header.take() {
            // If the thread has ended, `finish` returns why.
            _ = sender.send(header);
        }
    }

    /// Waits until everything is written.
    ///
    /// # Errors
    /// The file could not be written, or not in time.
    pub(crate) async fn finish(mut self) -> Result<(), RecordingError> {
        self.queue.end(End::Complete);
        let Some(outcome) = self.outcome.take() else { return Ok(()) };
        let error = |message: &str| {
            RecordingError::new(self.unfinished.as_ref(), io::Error::other(message.to_owned()))
        };
        match tokio::time::timeout(FINISH_TIMEOUT, outcome).await {
            Ok(Ok(written)) => written,
            Ok(Err(_)) => Err(error("the thread that writes it has panicked")),
            Err(_elapsed) => Err(error("the disk is too slow")),
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.queue.end(End::Aborted);
        self.header = None;
        // The thread removes the file. The channel is closed when the thread has ended.
        _ = self.ended.recv_timeout(ABORT_TIMEOUT);
    }
}

/// Ends the queue when the thread ends, so that nothing waits for a thread that has panicked.
struct AbortOnDrop(Arc<Queue<Event>>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.end(End::Aborted);
    }
}

fn write(
    queue: &Queue<Event>,
    mut file: RecordingFile,
    header: Header,
    mut transcript: Transcript,
) -> Result<(), RecordingError> {
    match write_lines(queue, &mut file, header, &mut transcript) {
        Ok(End::Complete) => file.complete(),
        Ok(End::Aborted) => Err(file.error(io::Error::other("it was aborted"))),
        Ok(End::Overloaded) => Err(file.error(io::Error::other("the disk is too slow"))),
        Err(error) => Err(file.error(error)),
    }
}

/// Writes everything that is added to the queue until it ends.
fn write_lines(
    queue: &Queue<Event>,
    file: impl io::Write,
    header: Header,
    transcript: &mut Transcript,
) -> io::Result<End> {
    let mut writer = BufWriter::new(file);
    write_line(&mut writer, &transcript.header(header))?;
    loop {
        match queue.pop() {
            Ok(event) => write_line(&mut writer, &transcript.line(event))?,
            Err(end) => {
                writer.flush()?;
                return Ok(end);
            }
        }
    }
}

fn write_line(writer: &mut impl io::Write, line: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *writer, line)?;
    writer.write_all(b"\n")
}

impl ObserveExchanges for RecordingObserver {
    fn exchange_ended(&self, exchange: &Exchange<'_>) {
        let event = Event::of_exchange(exchange);
        let bytes = event.bytes();
        self.0.push(event, bytes);
    }

    fn credentials_obtained(&self, profile: Option<&str>, outcome: Result<&Credentials, &Failure>) {
        let event = Event::of_credentials(profile, outcome);
        let bytes = event.bytes();
        self.0.push(event, bytes);
    }
}

impl fmt::Debug for RecordingObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecordingObserver")
    }
}
