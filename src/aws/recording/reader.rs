//! Reads a recording. It may be from a stranger, so whatever it has is checked here.

use std::io::Read;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use aws_smithy_runtime_api::http::StatusCode;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderName, HeaderValue};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;

use super::answers::{AnswerOutcome, Answers, CallKey, RecordedAnswer, RecordedCredentials};
use super::format::{Call, CallError, CredentialsLine, FORMAT_VERSION, Header};
use super::lines::{CUT_OFF, LineError, Lines, TextLine};
use super::replay::Recording;
use crate::build_info;
use crate::file;
use crate::fleet::Shard;
use crate::model::{Denial, Failure, UnixSeconds};
use crate::printable::{escape_control_characters, excerpt, path_excerpt, shorten_middle};

/// The first key of the first line.
const VERSION_KEY: &str = "ssm_sync_exporter_recording";

/// The end of the year 9999. Later times cannot be shown.
const MAX_TIME: UnixSeconds = 253_402_300_799.0;

/// The maximum length of the first line. Most of it is the configuration, of which a file has at most 4 MiB.
const MAX_HEADER: usize = 8 * 1024 * 1024;

/// The maximum length of a message about what is wrong with a line, which may repeat a part of it.
const MAX_PROBLEM_CHARS: usize = 300;

/// A recording that cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The file cannot be read.
    #[error("cannot read the recording {}", path_excerpt(path))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// The file is not a recording, or not one that this version reads.
    #[error("{}:{line}: {message}", path_excerpt(path))]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The number of the line, from 1.
        line: usize,
        /// What is wrong and what would be right, without control characters.
        message: String,
    },
}

impl Recording {
    /// Reads the file at `path` completely.
    ///
    /// # Errors
    /// The first line that is wrong.
    pub fn read(path: &Path) -> Result<Self, ReplayError> {
        let unreadable = |source| ReplayError::Unreadable { path: path.to_owned(), source };
        let file = file::open(path, file::MAX_RECORDING).map_err(unreadable)?;
        parse(path, file).map_err(|error| match error {
            LineError::Io(source) => unreadable(source),
            LineError::Invalid(line, message) => {
                let message = shorten_middle(&escape_control_characters(&message), MAX_PROBLEM_CHARS);
                ReplayError::Invalid { path: path.to_owned(), line, message }
            }
        })
    }
}

fn parse(path: &Path, reader: impl Read) -> Result<Recording, LineError> {
    let mut lines = Lines::new(reader);
    let Some(line) = lines.next()? else {
        let message = "the file is empty; expected a recording that `once --record` wrote";
        return Err(LineError::Invalid(1, message.to_owned()));
    };
    let number = line.number;
    let (header, shard) = header(&line).map_err(|message| LineError::Invalid(number, message))?;
    let mut answers = Answers::default();
    while let Some(line) = lines.next()? {
        add(&line, &header, &mut answers).map_err(|message| LineError::Invalid(line.number, message))?;
    }
    Ok(Recording::new(path.to_owned(), header, shard, answers))
}

/// Reads the first line. It has a [`Value`], which takes many times the memory of its text, so it may not
/// be as long as others.
fn header(line: &TextLine<'_>) -> Result<(Header, Shard), String> {
    const EXPECTED: &str = "expected a recording that `once --record` wrote";
    if line.text.len() > MAX_HEADER {
        return Err(format!("the first line is longer than {} MiB; {EXPECTED}", MAX_HEADER / 1024 / 1024));
    }
    let value: Value = json(line).map_err(|problem| match problem.as_str() {
        CUT_OFF if line.text.contains(VERSION_KEY) => problem,
        CUT_OFF => format!("the file is not a recording; {EXPECTED}"),
        _ => format!("the file is not a recording: {problem}; {EXPECTED}"),
    })?;
    let format = value.get(VERSION_KEY).ok_or_else(|| {
        format!("the file is not a recording: its first line has no `{VERSION_KEY}`; {EXPECTED}")
    })?;
    if format.as_u64() != Some(FORMAT_VERSION.into()) {
        let writer = match value.get("version") {
            Some(Value::String(version)) => format!("version {} of the exporter", excerpt(version)),
            _ => "another version of the exporter".to_owned(),
        };
        return Err(format!(
            "the recording has the format {}, and version {} of the exporter reads the format {FORMAT_VERSION}; replay it \
             with {writer}, which wrote it",
            excerpt(&format.to_string()),
            build_info::VERSION
        ));
    }
    let mut header: Header =
        serde_path_to_error::deserialize(value).map_err(|error| problem_in_field(&error, None))?;
    header.version = excerpt(&header.version);
    if !(0.0..=MAX_TIME).contains(&header.unix_seconds) {
        return Err("unix_seconds: expected seconds since 1970, before the year 10000".to_owned());
    }
    if !header.configuration.is_object() {
        return Err("configuration: expected an object with the keys of a configuration file".to_owned());
    }
    let total = NonZeroU32::new(header.options.shard_total)
        .ok_or("options.shard_total: expected a whole number of at least 1")?;
    let shard = Shard::new(header.options.shard_index, total).map_err(|error| format!("options: {error}"))?;
    Ok((header, shard))
}

/// Adds what a line after the first one has.
fn add(line: &TextLine<'_>, header: &Header, answers: &mut Answers) -> Result<(), String> {
    match json::<Kind>(line)?.kind.as_deref() {
        Some("call") => {
            if let Some((key, answer)) = answer(json(line)?)? {
                answers.add_call(key, answer);
            }
        }
        Some("credentials") => {
            let line: CredentialsLine = json(line)?;
            answers.add_credentials(line.profile.clone(), credentials(line)?);
        }
        Some(other) => {
            return Err(format!(
                "kind: `{}` is not known to this version ({}); replay the recording with version {}, which wrote it",
                excerpt(other),
                build_info::VERSION,
                header.version
            ));
        }
        None => return Err("the key `kind` is missing; expected `call` or `credentials`".to_owned()),
    }
    Ok(())
}

/// The field that says what else a line has.
#[derive(Deserialize)]
struct Kind {
    kind: Option<String>,
}

/// Reads a line. Fields that this version does not know are skipped, so that they take no memory.
fn json<T: DeserializeOwned>(line: &TextLine<'_>) -> Result<T, String> {
    if !line.text.starts_with('{') {
        // Not a struct in the form of an array either.
        let _value: IgnoredAny =
            serde_json::from_str(line.text).map_err(|error| problem_of_json(&error, line.is_unfinished))?;
        return Err("expected a JSON object".to_owned());
    }
    let mut json = serde_json::Deserializer::from_str(line.text);
    let value =
        serde_path_to_error::deserialize(&mut json).map_err(|error| problem_in_field(&error, Some(line)))?;
    json.end().map_err(|error| problem_of_json(&error, line.is_unfinished))?;
    Ok(value)
}

/// What is wrong with the JSON of a line.
fn problem_of_json(error: &serde_json::Error, is_unfinished: bool) -> String {
    if error.is_eof() && is_unfinished {
        return CUT_OFF.to_owned();
    }
    let problem = without_place(error);
    format!("column {}: not JSON: {problem}; expected one JSON object on each line", error.column())
}

/// What is wrong with a field, or with the JSON of `line`.
fn problem_in_field(
    error: &serde_path_to_error::Error<serde_json::Error>,
    line: Option<&TextLine<'_>>,
) -> String {
    if let Some(line) = line.filter(|_| !error.inner().is_data()) {
        return problem_of_json(error.inner(), line.is_unfinished);
    }
    let (path, problem) = (error.path().to_string(), without_place(error.inner()));
    if path == "." { problem } else { format!("{}: {problem}", excerpt(&path)) }
}

/// An error without its line and column. The line is always 1.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&place).unwrap_or(&text).to_owned()
}

/// The answer of a call. `None` if the call was part of obtaining the first credentials, which
/// a line of their own has.
fn answer(call: Call) -> Result<Option<(CallKey, RecordedAnswer)>, String> {
    let (Some(service), Some(operation), Some(access_key_id)) =
        (call.service, call.operation, call.access_key_id)
    else {
        return Ok(None);
    };
    let outcome = match (call.status, call.error) {
        (Some(status), None) => {
            let body = match (call.body, call.body_base64) {
                (Some(text), None) => text.into_bytes(),
                (None, Some(base64)) => BASE64_STANDARD
                    .decode(base64)
                    .map_err(|error| format!("body_base64: {error}; expected base64"))?,
                (None, None) => Vec::new(),
                (Some(_), Some(_)) => {
                    return Err("expected either `body` or `body_base64`, found both".to_owned());
                }
            };
            check_head(status, &call.headers)?;
            AnswerOutcome::Response { status, headers: call.headers, body }
        }
        (None, Some(CallError { kind: Some(kind), message })) => AnswerOutcome::Failure { kind, message },
        (None, Some(CallError { kind: None, .. })) => AnswerOutcome::Abandoned,
        (Some(_), Some(_)) => return Err("expected either `status` or `error`, found both".to_owned()),
        (None, None) => return Err("expected either `status` or `error`, found neither".to_owned()),
    };
    let key = CallKey::new(service, operation, call.region, access_key_id, call.request);
    let proxy = call.proxy.map(|proxy| excerpt(&proxy));
    Ok(Some((key, RecordedAnswer { endpoint: excerpt(&call.endpoint), proxy, outcome })))
}

/// Checks the status and the headers, so that a response can be made of them.
fn check_head(status: u16, headers: &[(String, String)]) -> Result<(), String> {
    StatusCode::try_from(status)
        .map_err(|_invalid| format!("status: {status} is not an HTTP status; expected 100 to 999"))?;
    for (name, value) in headers {
        let is_valid =
            HeaderName::from_bytes(name.as_bytes()).is_ok() && HeaderValue::from_str(value).is_ok();
        if !is_valid {
            return Err(format!("headers: `{}: {}` is not a header of HTTP", excerpt(name), excerpt(value)));
        }
    }
    Ok(())
}

fn credentials(line: CredentialsLine) -> Result<RecordedCredentials, String> {
    match (line.access_key_id, line.failure) {
        (Some(access_key_id), None) => Ok(Ok(access_key_id)),
        (None, Some(failure)) => {
            let reason = failure.reason.parse().map_err(|_unknown| {
                format!("failure.reason: `{}` is not a reason for a failure", excerpt(&failure.reason))
            })?;
            let denial = Denial::parse(&failure.message).map(Box::new);
            Ok(Err(Failure { denial, ..Failure::new(reason, failure.message) }))
        }
        (Some(_), Some(_)) => Err("expected either `access_key_id` or `failure`, found both".to_owned()),
        (None, None) => Err("expected either `access_key_id` or `failure`, found neither".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RECORDING: &str = include_str!("../../../tests/fixtures/recordings/odd_answers.ndjson");

    /// Whether the recording can be read.
    fn is_read(bytes: &[u8]) -> bool {
        match parse("x".as_ref(), bytes) {
            Ok(_) => true,
            Err(LineError::Invalid(line, _)) => {
                assert!(line >= 1);
                false
            }
            Err(LineError::Io(error)) => panic!("{error}"),
        }
    }

    #[test]
    fn a_recording_can_be_read_without_the_end_of_its_last_line() {
        assert!(is_read(RECORDING.as_bytes()));
        assert!(is_read(RECORDING.trim_end().as_bytes()));
    }

    fn problem(lines: &str) -> String {
        match parse("x".as_ref(), lines.as_bytes()) {
            Err(LineError::Invalid(line, message)) => format!("{line}: {message}"),
            _ => panic!("the recording can be read"),
        }
    }

    /// Such a line took 80 times the memory of its text, because it was converted to a [`Value`] first.
    #[test]
    fn fields_that_are_not_known_are_skipped_and_need_not_be_small() {
        let (header, rest) = RECORDING.split_once('\n').unwrap();
        let call = rest.lines().find(|line| line.contains("\"kind\":\"call\"")).unwrap();
        let unknown = format!(",\"unknown\":[{}{{}}]}}", r#"{"":[0]},"#.repeat(100_000));
        let line = call.strip_suffix('}').unwrap().to_owned() + &unknown;
        assert!(is_read(format!("{header}\n{line}\n").as_bytes()));
        let long = header.replacen('{', &format!("{{\"unknown\":\"{}\",", "x".repeat(MAX_HEADER)), 1);
        assert_eq!(
            problem(&long),
            "1: the first line is longer than 8 MiB; expected a recording that `once --record` wrote"
        );
    }

    #[test]
    fn a_line_that_is_wrong_is_described_without_a_place_of_its_own() {
        let (header, _) = RECORDING.split_once('\n').unwrap();
        for (line, expected) in [
            (r#"{"kind":"call"}"#, "missing field `endpoint`"),
            (r#"{"kind":"call","status":"x"}"#, "status: invalid type: string \"x\", expected u16"),
            (
                r#"{"kind":"call"} x"#,
                "column 17: not JSON: trailing characters; expected one JSON object on each line",
            ),
            (r#"["call"]"#, "expected a JSON object"),
            (header, "the key `kind` is missing; expected `call` or `credentials`"),
        ] {
            assert_eq!(problem(&format!("{header}\n{line}\n")), format!("2: {expected}"));
        }
    }

    proptest! {
        #[test]
        fn no_change_to_a_recording_makes_the_reader_panic(
            at in 0..RECORDING.len(),
            length in 0_usize..40,
            inserted in proptest::collection::vec(any::<u8>(), 0..10),
        ) {
            let end = (at + length).min(RECORDING.len());
            let bytes = RECORDING.as_bytes();
            is_read(&[&bytes[..at], &inserted, &bytes[end..]].concat());
        }

        #[test]
        fn no_file_makes_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(!is_read(&bytes));
        }
    }
}
