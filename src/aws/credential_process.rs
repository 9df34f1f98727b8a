//! Runs the `credential_process` of a profile, in place of the SDK.
//!
//! The SDK leaves the process behind if it does not end in time, and starts another one in
//! the next collection. Here, a process runs once for all callers that wait for it. When no
//! caller waits any longer, it is killed together with its children.

use std::collections::HashMap;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::attributes::AccountId;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use parking_lot::Mutex;
use serde_json::{Map, Value};
use tokio::io::AsyncReadExt as _;
use tokio::process::{ChildStdout, Command};
use tokio::sync::OnceCell;

use super::process_group::KilledGroups;

/// The maximum length of the output. The session token is the only part that is not short.
const MAX_OUTPUT: usize = 256 * 1024;

/// How long the output is read after the process has ended. A child in a session of its own
/// may keep it open.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// A profile's `credential_process`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct CredentialProcess {
    /// The profile that has the setting.
    pub(super) profile: String,
    /// The command line for the shell, which may contain secrets.
    pub(super) command: String,
    /// The `aws_account_id` of the profile, for output without an `AccountId`.
    pub(super) account_id: Option<String>,
}

impl std::fmt::Debug for CredentialProcess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CredentialProcess").field("profile", &self.profile).finish_non_exhaustive()
    }
}

/// Why a process provided no credentials. The messages contain none of its output, which
/// may contain secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the credential_process of the profile `{profile}` {problem}")]
pub(super) struct ProcessError {
    profile: String,
    problem: Problem,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum Problem {
    #[error("cannot be started with `sh`: {0}")]
    Start(String),
    #[error("cannot be waited for: {0}")]
    Wait(String),
    #[error("{}; its output is not shown, because it may contain secrets", describe(*.0))]
    Exit(ExitStatus),
    #[error("did not end within {0:?} and was killed")]
    Timeout(Duration),
    #[error("has written more than {MAX_OUTPUT} bytes")]
    TooMuchOutput,
    #[error("has not written a JSON object with the credentials")]
    NotJson,
    #[error("has written JSON without `\"Version\": 1`")]
    Version,
    #[error("has written JSON without the string `{0}`")]
    Missing(&'static str),
    #[error("has written an `Expiration` that is not a time such as `2030-01-31T23:59:59Z`")]
    Expiration,
}

impl ProcessError {
    pub(super) fn is_timeout(&self) -> bool {
        matches!(self.problem, Problem::Timeout(_))
    }
}

/// The processes that are running, shared by all sessions, including those of an earlier
/// configuration.
#[derive(Debug, Default)]
pub(crate) struct CredentialProcesses {
    running: Mutex<HashMap<CredentialProcess, Weak<Run>>>,
    killed: KilledGroups,
}

/// A run of a process, shared by all callers that wait for it.
type Run = OnceCell<Result<Credentials, ProcessError>>;

impl CredentialProcesses {
    /// Runs `process`, or waits for the run in progress. The process is killed if all callers
    /// give up.
    ///
    /// # Errors
    /// The process failed, or its output is not that of a `credential_process`.
    async fn credentials(&self, process: &CredentialProcess) -> Result<Credentials, ProcessError> {
        let run = self.join(process);
        // If the caller that runs the process gives up, its process is killed, and the next
        // caller starts another one.
        let result = run.get_or_init(|| Box::pin(run_process(process, &self.killed))).await;
        result.clone()
    }

    /// The run in progress, or a new one.
    fn join(&self, process: &CredentialProcess) -> Arc<Run> {
        let mut running = self.running.lock();
        let in_progress = running.get(process).and_then(Weak::upgrade).filter(|run| !run.initialized());
        in_progress.unwrap_or_else(|| {
            running.retain(|_, run| run.strong_count() > 0);
            let run = Arc::new(Run::new());
            running.insert(process.clone(), Arc::downgrade(&run));
            run
        })
    }
}

/// Provides the credentials of a process.
#[derive(Debug)]
pub(super) struct ProcessProvider {
    pub(super) process: CredentialProcess,
    pub(super) processes: Arc<CredentialProcesses>,
    /// Less than the timeout of those who wait for the credentials, which does not know what
    /// they wait for.
    pub(super) timeout: Duration,
}

impl ProcessProvider {
    async fn credentials(&self) -> Result<Credentials, ProcessError> {
        let credentials = self.processes.credentials(&self.process);
        tokio::time::timeout(self.timeout, credentials).await.unwrap_or_else(|_elapsed| {
            let profile = self.process.profile.clone();
            Err(ProcessError { profile, problem: Problem::Timeout(self.timeout) })
        })
    }
}

impl ProvideCredentials for ProcessProvider {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            self.credentials().await.map_err(CredentialsError::provider_error)
        })
    }
}

/// Runs the process to its end. If the future is dropped before, the process is killed.
async fn run_process(
    process: &CredentialProcess,
    killed: &KilledGroups,
) -> Result<Credentials, ProcessError> {
    let result = async {
        let output = output(&process.command, killed).await?;
        parse(&output, process.account_id.as_deref())
    };
    result.await.map_err(|problem| ProcessError { profile: process.profile.clone(), problem })
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        // Codes of the shell, which the process itself may use as well.
        (Some(126), _) => {
            "exited with code 126, which usually means that the command cannot be executed".to_owned()
        }
        (Some(127), _) => {
            "exited with code 127, which usually means that there is no such command".to_owned()
        }
        (Some(code), _) => format!("exited with code {code}"),
        (None, Some(signal)) => format!("was ended by the signal {signal}"),
        (None, None) => "failed".to_owned(),
    }
}

/// What the process writes to its standard output.
async fn output(command: &str, killed: &KilledGroups) -> Result<Vec<u8>, Problem> {
    killed.reap();
    let mut child = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| Problem::Start(error.to_string()))?;
    let group = killed.group_of(&child);
    let mut stdout = child.stdout.take();
    let mut output = Vec::new();
    let status = {
        let reading = read(stdout.as_mut(), &mut output);
        tokio::pin!(reading);
        tokio::select! {
            biased;
            ended = child.wait() => ended,
            read = &mut reading => {
                read?;
                child.wait().await
            }
        }
    };
    let status = status.map_err(|error| Problem::Wait(error.to_string()))?;
    // Children in the background may keep running and keep the output open.
    drop(group);
    // An error is a timeout. The credentials may be complete nevertheless.
    if let Ok(read) = tokio::time::timeout(DRAIN_TIMEOUT, read(stdout.as_mut(), &mut output)).await {
        read?;
    }
    if status.success() { Ok(output) } else { Err(Problem::Exit(status)) }
}

/// Appends everything that can be read to `output`. Nothing is lost if the future is
/// dropped.
async fn read(stdout: Option<&mut ChildStdout>, output: &mut Vec<u8>) -> Result<(), Problem> {
    let Some(stdout) = stdout else { return Ok(()) };
    while stdout.read_buf(output).await.map_err(|error| Problem::Wait(error.to_string()))? > 0 {
        if output.len() > MAX_OUTPUT {
            return Err(Problem::TooMuchOutput);
        }
    }
    Ok(())
}

/// Parses the output, as "Sourcing credentials with an external process" in the user guide
/// of the AWS CLI describes it.
fn parse(output: &[u8], default_account_id: Option<&str>) -> Result<Credentials, Problem> {
    let Ok(Value::Object(output)) = serde_json::from_slice(output) else { return Err(Problem::NotJson) };
    if field(&output, "Version").and_then(Value::as_u64) != Some(1) {
        return Err(Problem::Version);
    }
    let text = |name| field(&output, name).and_then(Value::as_str);
    let required = |name| text(name).ok_or(Problem::Missing(name));
    let expiry = text("Expiration").map(|time| parse_time(time).ok_or(Problem::Expiration)).transpose()?;
    let mut credentials = Credentials::builder()
        .access_key_id(required("AccessKeyId")?)
        .secret_access_key(required("SecretAccessKey")?)
        .provider_name("CredentialProcess");
    // As for the AWS CLI, an empty token is none: the credentials are those of a user.
    credentials
        .set_session_token(text("SessionToken").filter(|token| !token.is_empty()).map(ToOwned::to_owned));
    credentials.set_expiry(expiry);
    credentials.set_account_id(text("AccountId").or(default_account_id).map(AccountId::from));
    Ok(credentials.build())
}

/// The value of a field. The SDK ignores the case of names, too.
fn field<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// Parses a time in the format of RFC 3339.
fn parse_time(text: &str) -> Option<SystemTime> {
    DateTime::from_str(text, Format::DateTimeWithOffset).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Instant;

    use rustix::process::{Pid, test_kill_process};
    use tokio::time::{sleep, timeout};

    use super::*;

    const GOOD: &str = r#"{"Version": 1, "AccessKeyId": "AKIA", "SecretAccessKey": "hidden"}"#;

    fn process(command: &str) -> CredentialProcess {
        CredentialProcess {
            profile: "vault".to_owned(),
            command: command.to_owned(),
            account_id: Some("111122223333".to_owned()),
        }
    }

    async fn run(command: &str) -> Result<Credentials, String> {
        let result = CredentialProcesses::default().credentials(&process(command)).await;
        result.map_err(|error| {
            let message = error.to_string();
            assert!(!message.contains("hidden") && message.lines().count() == 1, "{message}");
            message.strip_prefix("the credential_process of the profile `vault` ").unwrap().to_owned()
        })
    }

    /// The process ids in a file, once it has `number` of them.
    async fn pids(file: &Path, number: usize) -> Vec<Pid> {
        loop {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            let pids: Vec<Pid> =
                text.split_whitespace().map(|pid| Pid::from_raw(pid.parse().unwrap()).unwrap()).collect();
            if pids.len() >= number {
                return pids;
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    async fn wait_until_gone(pids: &[Pid]) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while pids.iter().any(|pid| test_kill_process(*pid).is_ok()) {
            assert!(Instant::now() < deadline, "some of {pids:?} are left");
            sleep(Duration::from_millis(10)).await;
        }
    }

    #[tokio::test]
    async fn the_documented_output_is_understood() {
        // As the AWS CLI does it.
        let json =
            r#"{"Version": 1, "AccessKeyId": "AKIA", "SecretAccessKey": "hidden", "SessionToken": ""}"#;
        assert_eq!(parse(json.as_bytes(), None).unwrap().session_token(), None);
        let json = r#"{"Version": 1, "AccessKeyId": "AKIA", "SecretAccessKey": "hidden", "SessionToken": "token",
            "Expiration": "2022-05-02T18:36:00+00:00", "AccountId": "222233334444", "Other": [1]}"#;
        let credentials = run(&format!("echo '{json}'")).await.unwrap();
        assert_eq!(credentials.access_key_id(), "AKIA");
        assert_eq!(credentials.secret_access_key(), "hidden");
        assert_eq!(credentials.session_token(), Some("token"));
        assert_eq!(credentials.expiry(), Some(SystemTime::UNIX_EPOCH + Duration::from_mins(27_525_276)));
        assert_eq!(credentials.account_id().unwrap().as_str(), "222233334444");

        let json = GOOD.to_ascii_lowercase();
        let credentials = run(&format!("echo ignored >&2; echo '{json}'")).await.unwrap();
        assert_eq!((credentials.session_token(), credentials.expiry()), (None, None));
        assert_eq!(credentials.account_id().unwrap().as_str(), "111122223333");
        for time in ["1969-12-31T23:59:59Z", "9999-12-31T23:59:59Z", "2030-01-01T00:00:00.123456789+14:00"] {
            assert!(parse_time(time).is_some(), "{time}");
        }
    }

    #[tokio::test]
    async fn invalid_output_is_an_error_that_does_not_show_it() {
        for (command, error) in [
            (
                "echo hidden; exit 3",
                "exited with code 3; its output is not shown, because it may contain secrets",
            ),
            (
                "echo hidden >&2; kill -9 $$",
                "was ended by the signal 9; its output is not shown, because it may contain secrets",
            ),
            (
                "hidden-command 2>/dev/null",
                "exited with code 127, which usually means that there is no such command; its output is not shown, because it may contain secrets",
            ),
            ("true", "has not written a JSON object with the credentials"),
            ("echo hidden", "has not written a JSON object with the credentials"),
            ("printf '\\377\\000'", "has not written a JSON object with the credentials"),
            ("echo '[{\"hidden\": 1}]'", "has not written a JSON object with the credentials"),
            ("head -c 200000 /dev/zero | tr '\\0' '['", "has not written a JSON object with the credentials"),
            ("echo '{\"AccessKeyId\": \"hidden\"}'", "has written JSON without `\"Version\": 1`"),
            ("echo '{\"Version\": 2}'", "has written JSON without `\"Version\": 1`"),
            ("echo '{\"Version\": 1e400}'", "has not written a JSON object with the credentials"),
            ("echo '{\"Version\": 1}'", "has written JSON without the string `AccessKeyId`"),
            (
                "echo '{\"Version\": 1, \"AccessKeyId\": \"hidden\", \"SecretAccessKey\": 7}'",
                "has written JSON without the string `SecretAccessKey`",
            ),
            (
                "echo '{\"Version\": 1, \"Expiration\": \"hidden\"}'",
                "has written an `Expiration` that is not a time such as `2030-01-31T23:59:59Z`",
            ),
            ("head -c 100000000 /dev/zero", "has written more than 262144 bytes"),
            ("yes hidden", "has written more than 262144 bytes"),
        ] {
            assert_eq!(run(command).await.unwrap_err(), error, "{command}");
        }
    }

    #[tokio::test]
    async fn a_hanging_process_is_killed_with_its_children() {
        // Each attempt left a process behind.
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("pids");
        for command in [
            "echo $$ >> FILE; sleep 1000 & echo $! >> FILE; wait",
            "trap '' TERM INT HUP; echo $$ >> FILE; sleep 1000 & echo $! >> FILE; while true; do sleep 1; done",
            "echo $$ >> FILE; sleep 1000 & echo $! >> FILE; while echo; do sleep 0.1; done",
            "exec >&-; echo $$ >> FILE; sleep 1000 & echo $! >> FILE; wait",
        ] {
            std::fs::write(&file, "").unwrap();
            let processes = CredentialProcesses::default();
            let process = process(&command.replace("FILE", file.to_str().unwrap()));
            let started = tokio::select! {
                result = processes.credentials(&process) => panic!("{result:?}"),
                pids = pids(&file, 2) => pids,
            };
            wait_until_gone(&started).await;
        }
    }

    #[tokio::test]
    async fn a_child_in_the_background_neither_delays_the_credentials_nor_survives() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("pids");
        let command = format!("sleep 1000 & echo $! > '{}'; echo '{GOOD}'", file.display());
        let credentials = timeout(Duration::from_secs(20), run(&command)).await.unwrap().unwrap();
        assert_eq!(credentials.access_key_id(), "AKIA");
        wait_until_gone(&pids(&file, 1).await).await;
    }

    #[tokio::test]
    async fn a_daemon_that_keeps_the_output_open_does_not_hide_the_credentials() {
        // The daemon is in a session of its own, so it is not killed.
        let command = format!("setsid sleep 30 & echo '{GOOD}'");
        let credentials = timeout(Duration::from_secs(20), run(&command)).await.unwrap().unwrap();
        assert_eq!(credentials.access_key_id(), "AKIA");
    }

    #[tokio::test]
    async fn concurrent_callers_share_a_run() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("runs");
        let processes = CredentialProcesses::default();
        let process = process(&format!("echo run >> '{}'; sleep 0.5; echo '{GOOD}'", file.display()));
        let run = || processes.credentials(&process);
        let results = tokio::join!(run(), run(), run());
        assert!(results.0.is_ok() && results.1.is_ok() && results.2.is_ok());
        assert_eq!(std::fs::read_to_string(&file).unwrap().lines().count(), 1);
        // A later caller gets new credentials.
        run().await.unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap().lines().count(), 2);
        assert_eq!(processes.running.lock().len(), 1);
    }

    #[tokio::test]
    async fn the_next_caller_starts_the_process_again_after_the_first_has_given_up() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("pids");
        let processes = CredentialProcesses::default();
        let process = process(&format!("echo $$ >> '{}'; sleep 1000", file.display()));
        let first = async {
            tokio::select! {
                result = processes.credentials(&process) => panic!("{result:?}"),
                started = pids(&file, 1) => started,
            }
        };
        let second = async {
            tokio::select! {
                result = processes.credentials(&process) => panic!("{result:?}"),
                started = pids(&file, 2) => {
                    // The first was killed before the second began, but may need a moment to end.
                    wait_until_gone(&started[..1]).await;
                    started
                }
            }
        };
        let (_, started) = tokio::join!(first, second);
        assert_eq!(started.len(), 2);
        wait_until_gone(&started).await;
    }
}
