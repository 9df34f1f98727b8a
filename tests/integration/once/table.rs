//! The output for people. The unit tests of `once::table` have the details of the layout.

use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use fake_aws::{Fault, FaultRule, SyncKind};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::external_tools::on_a_terminal;
use super::{Setup, output_of};
use crate::exporter::{ACCOUNT, REGION, Scrape, put_sync};
use crate::process::{ExporterProcess, program};

fn table(setup: &Setup) -> Command {
    let mut once = setup.once();
    once.args(["--format", "table"]);
    once
}

/// The Unix time `seconds` ago.
#[expect(clippy::disallowed_methods, reason = "the program has the same clock")]
fn ago(seconds: f64) -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64().floor() - seconds
}

/// A target with syncs, and one that is down.
async fn setup() -> Setup {
    let setup = Setup::in_regions(&[REGION, "us-east-1"]).await;
    let put = |kind, item| put_sync(&setup.aws, kind, item);
    put(
        SyncKind::ToDestination,
        json!({
            "SyncName": "inventory", "LastStatus": "Successful", "LastSyncTime": ago(7230.0),
            "LastSuccessfulSyncTime": ago(7230.0),
        }),
    );
    put(
        SyncKind::ToDestination,
        json!({
            "SyncName": "patches", "LastStatus": "Failed", "LastSyncTime": ago(7230.0),
            "LastSuccessfulSyncTime": ago(94_000.0), "LastSyncStatusMessage": "Access denied to the bucket",
        }),
    );
    put(SyncKind::FromSource, json!({"SyncName": "explorer", "SyncSource": {"State": "NoPermissions"}}));
    setup.inject(Fault::Deny, "us-east-1");
    setup
}

/// The output for [`setup`] after the paragraph about the target that is down: the message there
/// has the id of the request.
const EXPECTED: &str = "                                               LAST     LAST
    STATUS          SYNC                    ATTEMPT  SUCCESS
111122223333 (production)
  ▼ down          us-east-1
  eu-west-1
    ✗ failed        patches                      2h    1d 2h
      bucket_policy: Access denied to the bucket
    ▲ source fault  explorer (from source)        -        -
      NoPermissions
    ✓ healthy       inventory                    2h       2h

looked in 1 account x 2 regions: eu-west-1, us-east-1
2 targets: 1 up, 1 down
3 syncs: 1 failed, 1 source fault, 1 healthy
";

/// Asserts that the text is that of [`EXPECTED`], after a paragraph about the failure.
fn assert_expected(text: &str) {
    let (failure, rest) = text.split_once("\n\n").unwrap();
    assert!(failure.starts_with("▼ down  1 target in 1 account: access_denied (identity_policy):"), "{text}");
    assert!(
        failure.ends_with("\n    accounts: 111122223333 (production)\n    regions:  us-east-1"),
        "{text}"
    );
    assert_eq!(rest, EXPECTED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_pipe_the_table_has_80_columns_and_no_colours() {
    let setup = setup().await;
    let (status, text, error) = output_of(table(&setup)).await;
    assert_expected(&text);
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert_eq!(status, Some(1));
    assert_eq!(
        error,
        format!(
            "ssm-sync-exporter: 1 of 2 targets failed, for example {ACCOUNT}/us-east-1 (access_denied)\n"
        )
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_has_no_colours_even_if_they_are_forced() {
    let setup = setup().await;
    let mut forced = table(&setup);
    forced.env("CLICOLOR_FORCE", "1");
    assert!(output_of(forced).await.1.contains("\u{1b}[32m✓ healthy\u{1b}[0m"));
    let file = setup.output_directory().join("table.txt");
    let mut to_file = table(&setup);
    to_file.env("CLICOLOR_FORCE", "1").arg("--output").arg(&file);
    output_of(to_file).await;
    assert_expected(&std::fs::read_to_string(file).unwrap());
}

/// The table as shown on a terminal, without the progress bar and the error.
async fn shown(columns: u16, once: &Command) -> String {
    let (_, terminal, _) = output_of(on_a_terminal(columns, once)).await;
    let drawn = terminal.rsplit("\u{1b}[2K").next().unwrap();
    let lines: Vec<&str> = drawn.lines().filter(|line| !line.starts_with("ssm-sync-exporter: ")).collect();
    lines.join("\n") + "\n"
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn colours_are_used_only_on_terminals_that_have_them() {
    let setup = setup().await;
    let text = shown(120, &table(&setup)).await;
    assert!(text.contains("    \u{1b}[1m\u{1b}[31m✗ failed\u{1b}[0m        patches  "), "{text:?}");
    assert!(text.contains("    \u{1b}[32m✓ healthy\u{1b}[0m       inventory  "), "{text:?}");
    assert_expected(&anstream::adapter::strip_str(&text).to_string());
    for (name, value) in [("NO_COLOR", "1"), ("TERM", "dumb"), ("CLICOLOR", "0")] {
        let mut once = table(&setup);
        once.env(name, value);
        assert_expected(&shown(120, &once).await);
    }
    // As no-color.org demands, an empty value means nothing.
    let mut once = table(&setup);
    once.env("NO_COLOR", "");
    assert!(shown(120, &once).await.contains("\u{1b}[32m"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn the_table_fits_the_width_of_the_terminal() {
    let setup = setup().await;
    for columns in [40, 60, 100, 140] {
        let mut once = table(&setup);
        once.env("NO_COLOR", "1");
        let text = shown(columns, &once).await;
        let longest = text.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(text.contains("access_denied") && longest <= columns.into(), "{columns}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_was_not_collected_does_not_count_as_down() {
    let setup = Setup::in_regions(&[REGION]).await;
    setup.inject(Fault::Stall, REGION);
    let mut once = table(&setup);
    once.env("SSM_SYNC_EXPORTER_READY_AFTER", "1s");
    assert_eq!(
        output_of(once).await.1,
        "\
? not collected  1 target in 1 account: no result in time
    accounts: 111122223333 (production)
    regions:  eu-west-1

looked in 1 account x 1 region: eu-west-1
1 target: 1 not collected
no target was collected, so no syncs are known
"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_from_aws_cannot_control_the_terminal() {
    let setup = Setup::in_regions(&[REGION]).await;
    let hostile = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\r\n\u{202e}x";
    put_sync(
        &setup.aws,
        SyncKind::ToDestination,
        json!({
            "SyncName": hostile, "LastStatus": hostile, "LastSyncStatusMessage": hostile, "SyncType": hostile,
        }),
    );
    let (_, text, _) = output_of(table(&setup)).await;
    let control = |character: &char| character.is_control() && *character != '\n';
    assert_eq!(text.chars().find(control), None, "{text:?}");
    assert!(!text.contains('\u{202e}'), "{text:?}");
    let shown = "\\u{1b}[2J\\u{1b}]0;owned\\u{7}\\u{9b}31m\\r\\n\\u{202e}x";
    assert!(text.contains(&format!("status reported by AWS: {shown}")), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_table_the_document_the_log_and_the_metrics_count_alike() {
    let setup = Setup::in_regions(&[REGION, "eu-central-1", "us-east-1"]).await;
    let day = 86400.0;
    let to_bucket = |status: &str, attempt: f64, success: Option<f64>| {
        let mut item = json!({"LastStatus": status, "LastSyncTime": ago(attempt)});
        if let Some(success) = success {
            item["LastSuccessfulSyncTime"] = json!(ago(success));
        }
        (SyncKind::ToDestination, item)
    };
    let numbers = [
        ("failed", 1, to_bucket("Failed", 60.0, Some(3.0 * day))),
        ("source_fault", 2, (SyncKind::FromSource, json!({"SyncSource": {"State": "NoPermissions"}}))),
        ("stale", 3, to_bucket("Successful", 60.0, Some(3.0 * day))),
        ("stuck", 4, to_bucket("InProgress", 10_800.0, None)),
        ("in_progress", 5, to_bucket("InProgress", 60.0, Some(day))),
        ("healthy", 6, to_bucket("Successful", 60.0, Some(60.0))),
    ];
    for (health, number, (kind, item)) in &numbers {
        for index in 0..*number {
            let mut item = item.clone();
            item["SyncName"] = json!(format!("{health}-{index}"));
            put_sync(&setup.aws, *kind, item);
        }
    }
    // In each of the two regions that are up, another expectation is violated.
    let expectations = "expectations:\n  - {name: one, request: {SyncName: healthy-0}}\n  - {name: none, presence: forbidden, \
                        regions: [eu-west-1], request: {SyncName: failed-0}}\n";
    let file = setup.directory.path().join("config.yaml");
    let config = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{config}{expectations}")).unwrap();
    let denied = FaultRule::new(Fault::Deny).region("us-east-1").operation("ListResourceDataSync");
    setup.aws.world().set_faults(vec![denied]);

    let (_, text, _) = output_of(table(&setup)).await;
    let totals: Vec<&str> = text.lines().rev().take(4).collect();
    assert_eq!(
        totals,
        [
            "expectation none: 1 forbidden",
            "expectation one: 1 met, 1 missing, 1 unknown",
            "21 syncs: 1 failed, 2 source fault, 3 stale, 4 stuck, 5 in progress, 6 healthy",
            "3 targets: 2 up, 1 down",
        ]
    );

    let mut once = setup.once();
    once.args(["--format", "json"]);
    let document: Value = serde_json::from_str(&output_of(once).await.1).unwrap();
    let summary = &document["summary"];
    let numbers_in_summary =
        ["targets", "targets_up", "targets_failed", "syncs", "syncs_failed"].map(|key| summary[key].clone());
    assert_eq!(json!(numbers_in_summary), json!([3, 2, 1, 21, 1 + 2]));
    let counts = |index: usize| summary["expectations"][index]["targets_by_state"].clone();
    assert_eq!(
        [counts(0), counts(1)],
        [
            json!({"met": 1, "missing": 1, "drifted": 0, "forbidden": 0, "unknown": 1}),
            json!({"met": 0, "missing": 0, "drifted": 0, "forbidden": 1, "unknown": 0}),
        ]
    );
    assert_eq!(summary["targets_not_as_expected"], 2);

    let mut serve = program();
    serve.args(["--log.format", "json", "--config.file"]).arg(setup.directory.path().join("config.yaml"));
    let running = ExporterProcess::start(&mut serve);
    let deadline = Instant::now() + Duration::from_secs(30);
    while !running.log().contains("collection summary") {
        assert!(Instant::now() < deadline, "timed out waiting for the summary: {}", running.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let log = running.log();
    let line = log.lines().find(|line| line.contains("collection summary")).unwrap();
    let logged: Value = serde_json::from_str(line).unwrap();
    let fields = ["targets", "up", "down", "syncs", "failed_syncs", "stale_syncs", "stuck_syncs"];
    let numbers_in_log = fields.map(|field| logged[field].clone());
    assert_eq!(json!(numbers_in_log), json!([3, 2, 1, 21, 1 + 2, 3, 4]));
    assert_eq!(logged["targets_not_as_expected"], 2);

    let metrics = Scrape(running.metrics().await);
    for (health, number, _) in numbers {
        let samples = metrics.samples("aws_ssm_resource_data_syncs_by_health{");
        let of_health = samples.lines().filter(|line| line.contains(&format!("health=\"{health}\"")));
        let values = of_health.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap());
        assert_eq!(values.sum::<f64>(), f64::from(number), "{health}");
    }
    let by_state = |state: &str| {
        let samples = metrics.samples("ssm_sync_exporter_expectation_targets{");
        let of_state = samples.lines().filter(|line| line.contains(&format!("state=\"{state}\"")));
        of_state.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum::<f64>()
    };
    assert_eq!(
        ["met", "missing", "drifted", "forbidden", "unknown"].map(by_state),
        [1.0, 1.0, 0.0, 1.0, 1.0]
    );
    assert_eq!(metrics.sum("aws_ssm_resource_data_syncs"), 21.0);
    assert_eq!(
        (metrics.sum("ssm_sync_exporter_targets"), metrics.sum("ssm_sync_exporter_target_up")),
        (3.0, 2.0)
    );
}
