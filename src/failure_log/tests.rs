//! Tests the log with tokio's time paused, so that all times are exact.

use std::sync::Arc;
use std::time::Duration;

use pretty_assertions::assert_eq;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tracing::subscriber::DefaultGuard;

use super::*;
use crate::logging::captured::Lines;
use crate::model::Reason;

const REGION: &str = "eu-west-1";

/// A failure log whose task is running.
struct Running {
    log: Arc<FailureLog>,
    lines: Lines,
    shutdown: CancellationToken,
    tasks: JoinSet<()>,
    _guard: DefaultGuard,
}

impl Running {
    fn start() -> Self {
        let (lines, guard) = Lines::of("failure_log");
        let (log, shutdown) = (Arc::new(FailureLog::default()), CancellationToken::new());
        let mut tasks = JoinSet::new();
        let (task_log, token) = (Arc::clone(&log), shutdown.clone());
        tasks.spawn(async move { task_log.run(token).await });
        Self { log, lines, shutdown, tasks, _guard: guard }
    }

    fn take(&self) -> Vec<String> {
        self.lines.take()
    }

    fn fail(&self, account: usize, reason: Reason, message: &str) {
        self.log.failed(target(account), Problem::TargetFailing, &Failure::new(reason, message));
    }

    /// Connections of the targets fail.
    fn disconnect(&self, accounts: impl Iterator<Item = usize>) {
        for account in accounts {
            self.fail(account, Reason::Connection, &format!("no route to {account}.example"));
        }
    }

    fn recover(&self, accounts: impl Iterator<Item = usize>) {
        for account in accounts {
            self.log.recovered(target(account), Some(2));
        }
    }
}

fn target(account: usize) -> Subject {
    Subject::target(format!("{account}/{REGION}"), account.to_string(), REGION)
}

const MINUTE: Duration = Duration::from_mins(1);

/// Waits until the lines of this minute have been logged.
async fn next_minute() {
    sleep(MINUTE + Duration::from_millis(10)).await;
}

#[tokio::test(start_paused = true)]
async fn a_single_target_is_logged_immediately_when_it_fails_and_when_it_recovers() {
    let running = Running::start();
    running.disconnect(7..8);
    assert_eq!(
        running.take(),
        ["WARN target is failing account=7 region=eu-west-1 reason=connection error=no route to 7.example"]
    );
    sleep(MINUTE * 3).await;
    assert_eq!(running.take(), Vec::<String>::new());
    running.recover(7..8);
    assert_eq!(running.take(), ["INFO target recovered account=7 region=eu-west-1 failures=2"]);
    sleep(MINUTE * 3).await;
    assert_eq!(running.take(), Vec::<String>::new());
    running.disconnect(7..8);
    assert_eq!(running.take().len(), 1, "immediately again");
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_many_targets_is_a_line_per_minute_and_one_at_its_end() {
    // Regression: 1,500 accounts made 3,196 lines within 75 seconds.
    let running = Running::start();
    running.disconnect(0..2000);
    assert_eq!(running.take().len(), 1, "the first target");
    next_minute().await;
    assert_eq!(
        running.take(),
        [
            "WARN targets are failing reason=connection targets=2000 failing=2000 examples=0/eu-west-1, 1/eu-west-1, \
             2/eu-west-1 error=no route to 0.example"
        ]
    );
    running.disconnect(2000..3000);
    next_minute().await;
    assert_eq!(
        running.take(),
        ["WARN targets are failing reason=connection targets=1000 failing=3000 examples=2000/eu-west-1, \
             2001/eu-west-1, 2002/eu-west-1 error=no route to 0.example"]
    );
    sleep(MINUTE * 10).await;
    assert_eq!(running.take(), Vec::<String>::new(), "nothing has changed");

    running.recover(0..1000);
    assert_eq!(running.take(), ["INFO target recovered account=0 region=eu-west-1 failures=2"]);
    next_minute().await;
    assert_eq!(
        running.take(),
        [
            "INFO targets recovered reason=connection targets=1000 failing=2000 examples=0/eu-west-1, 1/eu-west-1, \
             2/eu-west-1"
        ]
    );
    running.recover(1000..3000);
    next_minute().await;
    assert_eq!(
        running.take(),
        ["INFO all targets recovered reason=connection targets=3000 seconds=840 error=no route to 0.example"]
    );
    sleep(MINUTE * 3).await;
    assert_eq!(running.take(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn the_end_of_an_outage_is_logged_if_the_last_target_recovers_alone() {
    let running = Running::start();
    running.disconnect(0..3);
    sleep(MINUTE * 2).await;
    running.recover(0..2);
    sleep(MINUTE * 10).await;
    running.take();
    running.recover(2..3);
    sleep(MINUTE * 2).await;
    assert_eq!(
        running.take(),
        [
            "INFO target recovered account=2 region=eu-west-1 failures=2",
            "INFO all targets recovered reason=connection targets=3 seconds=780 error=no route to 0.example"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn pending_lines_are_logged_at_shutdown() {
    let mut running = Running::start();
    running.disconnect(0..300);
    running.take();
    running.shutdown.cancel();
    running.tasks.join_next().await.unwrap().unwrap();
    let lines = running.take();
    assert!(
        lines.len() == 1 && lines[0].starts_with("WARN targets are failing reason=connection targets=300 "),
        "{lines:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn several_causes_are_logged_separately() {
    let running = Running::start();
    running.disconnect(0..100);
    for account in 100..200 {
        running.fail(account, Reason::AccessDenied, "AccessDenied: not authorized");
    }
    next_minute().await;
    let lines = running.take();
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert!(lines[2].contains("reason=connection targets=100 "), "{lines:?}");
    assert!(lines[3].contains("reason=access_denied targets=100 "), "{lines:?}");

    // A target that fails for another reason has not recovered.
    for account in 0..100 {
        running.fail(account, Reason::Timeout, "no answer");
    }
    next_minute().await;
    assert_eq!(
        running.take(),
        [
            "WARN target is failing for another reason account=0 region=eu-west-1 reason=timeout error=no answer",
            "WARN targets are failing reason=timeout targets=100 failing=100 examples=0/eu-west-1, 1/eu-west-1, \
             2/eu-west-1 error=no answer"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn made_up_messages_make_a_limited_number_of_lines() {
    let running = Running::start();
    let mut total = 0;
    for minute in 0..20 {
        for account in 0..2000_usize {
            let letters = |number: usize| -> String {
                number.to_string().bytes().map(|digit| char::from(digit - b'0' + b'a')).collect()
            };
            let reason = if minute % 2 == 0 { Reason::Other } else { Reason::ServerError };
            running.fail(account, reason, &format!("code {} {}", letters(account), letters(minute)));
        }
        next_minute().await;
        let lines = running.take();
        total += lines.len();
        assert!(lines.len() <= 25, "{} lines in minute {minute}", lines.len());
        assert!(
            lines.iter().any(|line| line.starts_with("WARN further failures for other causes number=1990 ")),
            "{lines:?}"
        );
    }
    running.recover(0..2000);
    next_minute().await;
    let lines = running.take();
    assert!(lines.len() <= 25, "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with("INFO further recoveries number=")), "{lines:?}");
    assert!(total > 20);
    sleep(MINUTE * 3).await;
    let state = running.log.state.lock();
    assert_eq!(format!("{state:?}"), format!("{:?}", State::default()), "nothing is kept");
}

#[tokio::test(start_paused = true)]
async fn a_flapping_target_is_two_lines_a_minute() {
    let running = Running::start();
    for _ in 0..150 {
        running.disconnect(5..6);
        sleep(Duration::from_secs(1)).await;
        running.recover(5..6);
        sleep(Duration::from_secs(1)).await;
    }
    let lines = running.take();
    assert!((6..=14).contains(&lines.len()), "{lines:#?}");
    for line in lines {
        assert!(line.contains("account=5 region=eu-west-1"), "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn forgotten_targets_do_not_recover_and_leave_nothing_behind() {
    let running = Running::start();
    running.disconnect(0..10);
    sleep(MINUTE * 2).await;
    running.take();
    running.log.retain_targets(|name| name == "3/eu-west-1" || name == "4/eu-west-1", |_| false);
    running.recover(0..3);
    assert_eq!(running.take(), Vec::<String>::new());
    running.log.forget(&target(3));
    running.recover(3..5);
    sleep(MINUTE * 2).await;
    let lines = running.take();
    assert_eq!(lines[0], "INFO target recovered account=4 region=eu-west-1 failures=2");
    let state = running.log.state.lock();
    assert_eq!(format!("{state:?}"), format!("{:?}", State::default()), "nothing is kept");
}

#[tokio::test(start_paused = true)]
async fn failures_of_credentials_and_lookups_are_grouped_like_those_of_targets() {
    let running = Running::start();
    let failure = Failure::new(Reason::Connection, "no route");
    for number in 0..500_u64 {
        let source = format!("profile p{number}");
        running.log.failed(
            Subject::credentials(number, source.clone()),
            Problem::NoCredentials,
            &Failure::new(Reason::Credentials, format!("the profile `p{number}` was not defined")),
        );
        running.log.failed(Subject::roles(number, source), Problem::NoRoles, &failure);
        let lookup = Subject::enabled_regions(number.to_string());
        running.log.failed(lookup, Problem::RegionsNotListed, &failure);
        running.log.failed(
            Subject::target(number.to_string(), number.to_string(), REGION),
            Problem::RegionUnavailable,
            &Failure::new(Reason::ScpDenied, "denied"),
        );
    }
    next_minute().await;
    assert_eq!(
        running.take(),
        [
            "WARN cannot obtain credentials source=profile p0 reason=credentials error=the profile `p0` was not defined",
            "WARN cannot assume roles source=profile p0 reason=connection error=no route",
            "WARN cannot list the enabled regions of an account account=0 reason=connection error=no route",
            "WARN region unavailable, polling it rarely account=0 region=eu-west-1 reason=scp_denied error=denied",
            "WARN cannot obtain credentials from several sources reason=credentials sources=500 failing=500 \
             examples=profile p0, profile p1, profile p2 error=the profile `p0` was not defined",
            "WARN cannot assume roles with several sources reason=connection sources=500 failing=500 \
             examples=profile p0, profile p1, profile p2 error=no route",
            "WARN cannot list the enabled regions of accounts reason=connection accounts=500 failing=500 \
             examples=0, 1, 2 error=no route",
            "WARN regions unavailable, polling them rarely reason=scp_denied targets=500 failing=500 \
             examples=0/eu-west-1, 1/eu-west-1, 2/eu-west-1 error=denied",
        ]
    );
    for number in 0..500_u64 {
        running.log.recovered(Subject::credentials(number, format!("profile p{number}")), None);
    }
    next_minute().await;
    assert_eq!(
        running.take(),
        [
            "INFO can obtain credentials again source=profile p0",
            "INFO can obtain credentials from all sources again reason=credentials sources=500 seconds=120 error=the \
             profile `p0` was not defined",
        ]
    );
}
