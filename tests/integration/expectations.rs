//! Expectations with real parts: syncs that the AWS CLI creates from the file of `request_file`, and the
//! output of `once --format expectations` as a configuration.

use std::path::Path;
use std::process::Command;

use fake_aws::{FakeAws, Fault, FaultRule, SyncKind, World};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::exporter::{self, ACCOUNT, Exporter, REGION, Scrape, fake_aws, one_target, put_sync};
use crate::http;
use crate::once::{Setup, output_of};
use crate::process::{ExporterProcess, program, run};
use crate::tools;

/// The request that creates the sync, with every parameter of a destination.
fn request(bucket: &str) -> Value {
    json!({
        "SyncName": "org-inventory",
        "SyncType": "SyncToDestination",
        "S3Destination": {
            "BucketName": bucket,
            "Prefix": "inventory",
            "SyncFormat": "JsonSerDe",
            "Region": "us-east-1",
            "AWSKMSKeyARN": "arn:aws:kms:us-east-1:111122223333:key/11111111-2222-3333-4444-555555555555",
            "DestinationDataSharing": {"DestinationDataSharingType": "Organization"},
        },
    })
}

/// An expectation with this file of a request, besides the settings in `config`.
fn with_request_file(config: &str, file: &Path) -> String {
    format!("{config}expectations:\n  - name: org-inventory\n    request_file: '{}'\n", file.display())
}

/// How many targets are in a state, as a line of the metrics.
fn targets(state: &str, number: usize) -> String {
    format!(
        "ssm_sync_exporter_expectation_targets{{expectation=\"org-inventory\",state=\"{state}\"}} {number}"
    )
}

fn violations(scrape: &Scrape) -> String {
    scrape.samples("ssm_sync_exporter_expectation_violation{")
}

/// Runs the AWS CLI with a command of `ssm` in [`ACCOUNT`] and [`REGION`].
async fn aws_cli(aws: &FakeAws, arguments: &[&str]) {
    let mut command = Command::new(tools::python_program("aws").get_program());
    command
        .env("AWS_ENDPOINT_URL", aws.url())
        .env("AWS_ACCESS_KEY_ID", World::access_key(ACCOUNT))
        .env("AWS_SECRET_ACCESS_KEY", "any")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .args(["--region", REGION, "ssm"])
        .args(arguments);
    let (status, _, err) = tokio::task::spawn_blocking(move || run(&mut command)).await.unwrap();
    assert_eq!((status, err.as_str()), (Some(0), ""), "{arguments:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn the_file_that_the_aws_cli_creates_a_sync_from_is_met_until_the_sync_changes() {
    let aws = fake_aws().await;
    let directory = tempfile::tempdir().unwrap();
    let [file, other_file] = ["org-inventory.json", "other.json"].map(|name| directory.path().join(name));
    std::fs::write(&file, request("org-inventory").to_string()).unwrap();
    std::fs::write(&other_file, request("other-bucket").to_string()).unwrap();
    let create = async |file: &Path| {
        let input = format!("file://{}", file.display());
        aws_cli(&aws, &["create-resource-data-sync", "--cli-input-json", &input]).await;
    };
    let delete = async || aws_cli(&aws, &["delete-resource-data-sync", "--sync-name", "org-inventory"]).await;

    create(&file).await;
    let exporter = Exporter::start_ready(&aws, &with_request_file(&one_target(), &file)).await;
    let met = exporter.scrape_until(&targets("met", 1)).await;
    assert_eq!(violations(&met), "");
    assert_eq!(met.sum("ssm_sync_exporter_expectation_unverified"), 0.0);

    delete().await;
    create(&other_file).await;
    let drifted = exporter.scrape_after_next_collection().await;
    assert_eq!(
        violations(&drifted),
        format!(
            "ssm_sync_exporter_expectation_violation{{aws_account_id=\"{ACCOUNT}\",aws_region=\"{REGION}\",sync_type=\"SyncToDestination\",sync_name=\"org-inventory\",expectation=\"org-inventory\",field=\"bucket_name\"}} 1\n"
        )
    );
    assert!(drifted.has(&targets("drifted", 1)), "{}", drifted.0);

    delete().await;
    let missing = exporter.scrape_after_next_collection().await;
    assert!(missing.has(&targets("missing", 1)), "{}", missing.0);

    create(&file).await;
    let repaired = exporter.scrape_after_next_collection().await;
    assert_eq!(violations(&repaired), "");
    assert!(repaired.has(&targets("met", 1)), "{}", repaired.0);
}

#[tokio::test]
async fn a_reload_reads_the_file_of_a_request_again_without_a_call_to_aws() {
    let aws = fake_aws().await;
    put_sync(&aws, SyncKind::ToDestination, request("org-inventory"));
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("org-inventory.json");
    std::fs::write(&file, request("org-inventory").to_string()).unwrap();
    let config = with_request_file(&one_target().replace("interval: 1s", "interval: 1h"), &file);
    let setup = exporter::Setup { lifecycle: true, ..exporter::Setup::default() };
    let exporter = Exporter::start_with(&aws, &config, &setup).await;
    exporter.wait_until_ready().await;
    exporter.scrape_until(&targets("met", 1)).await;
    let calls = || {
        ["ListResourceDataSync", "AssumeRole", "GetCallerIdentity"]
            .map(|operation| aws.world().calls(operation))
    };
    let before = calls();

    std::fs::write(&file, request("other-bucket").to_string()).unwrap();
    assert_eq!(exporter.reload(&config).await.body, "reloaded\n");
    let drifted = exporter.scrape_until(&targets("drifted", 1)).await;
    assert_eq!(violations(&drifted).lines().count(), 1, "{}", violations(&drifted));
    assert!(violations(&drifted).contains("field=\"bucket_name\""));

    std::fs::write(&file, "{\"SyncName\": \"org-inventory\", \"Bucket\": \"a\"}").unwrap();
    let rejected = exporter.reload(&config).await;
    assert_eq!(rejected.status, 500);
    assert!(rejected.body.contains("org-inventory.json:1:"), "{}", rejected.body);
    assert!(exporter.scrape().await.has(&targets("drifted", 1)));

    std::fs::write(&file, request("org-inventory").to_string()).unwrap();
    assert_eq!(exporter.reload(&config).await.status, 200);
    exporter.scrape_until(&targets("met", 1)).await;
    assert_eq!(calls(), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn once_writes_what_it_found_as_expectations_and_names_what_it_could_not_collect() {
    let config = one_target().replace(REGION, "eu-west-1, us-east-1");
    let setup = Setup::with_config(fake_aws().await, &config);
    put_sync(setup.aws(), SyncKind::ToDestination, request("org-inventory"));
    let rule = FaultRule::new(Fault::Deny).region("us-east-1").operation("ListResourceDataSync");
    setup.aws().world().set_faults(vec![rule]);
    let mut once = setup.once();
    once.args(["--format", "expectations"]);
    let (status, out, err) = output_of(once).await;
    assert_eq!(status, Some(1));
    assert!(
        err.contains("1 of 2 targets failed, for example 111122223333/us-east-1 (access_denied)"),
        "{err}"
    );
    assert!(out.contains(&format!("\n# - {ACCOUNT} (production): us-east-1\n")), "{out}");
    let (_, expectations) = out.split_once("\nexpectations:\n").unwrap();
    assert_eq!(
        expectations,
        "  # Met by 1 target.
  - name: org-inventory
    request:
      SyncName: org-inventory
      SyncType: SyncToDestination
      S3Destination:
        BucketName: org-inventory
        Prefix: inventory
        Region: us-east-1
        SyncFormat: JsonSerDe
        AWSKMSKeyARN: \"arn:aws:kms:us-east-1:111122223333:key/11111111-2222-3333-4444-555555555555\"
        DestinationDataSharing:
          DestinationDataSharingType: Organization
"
    );
}

/// The configuration of the demo without its expectations, as far as `once` needs it.
async fn demo_config(demo: &ExporterProcess) -> String {
    let page = http::request(demo.address, "GET", "/").await.body;
    let setting = |key: &str| {
        let (_, rest) = page.split_once(&format!("\n  {key}: ")).unwrap_or_else(|| panic!("{key}: {page}"));
        rest.lines().next().unwrap().to_owned()
    };
    let aws = ["endpoint_url", "shared_config_file", "shared_credentials_file"]
        .map(|key| format!("  {key}: {}\n", setting(key)));
    format!(
        "regions: [eu-west-1, eu-central-1, us-east-1]\naws:\n{}organization:\n  profile: demo\n  member_role: \
         'arn:{{partition}}:iam::{{account_id}}:role/SsmSyncExporter'\n  exclude_accounts: ['999900000000']\naccounts:\n  \
         - profile: demo\n    regions: [eu-west-1]\n    assume_roles: [{{arn: 'arn:aws:iam::666677778888:role/SsmSyncExporter'}}]\n",
        aws.concat()
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the demo, which `tests/run` builds"]
async fn the_demo_meets_the_expectations_that_once_writes_of_it() {
    let demo = ExporterProcess::demo();
    let config = demo_config(&demo).await;
    let directory = tempfile::tempdir().unwrap();
    let once = |config: &str, format: &str| {
        let file = directory.path().join("config.yaml");
        std::fs::write(&file, config).unwrap();
        let mut once = program();
        once.args(["once", "--log.level", "error", "--format", format, "--config.file"]).arg(file);
        output_of(once)
    };
    let (status, written, err) = once(&config, "expectations").await;
    assert_eq!(status, Some(1));
    assert!(err.contains("3 of 16 targets failed, for example 555566667777/"), "{err}");
    assert!(
        written.contains("# - 555566667777 (sandbox): eu-central-1, eu-west-1, us-east-1\n"),
        "{written}"
    );
    assert!(written.contains("\n  - name: org-inventory\n"), "{written}");

    // The entries about syncs of AWS services are commented out. They are met as well.
    let start = written.find("\n  # - name: ").unwrap() + 1;
    let (customer, managed) = written.split_at(start);
    let managed: Vec<&str> = managed.lines().filter_map(|line| line.strip_prefix("  #")).collect();
    let all = format!("{customer} {}\n", managed.join("\n "));
    let mut numbers = Vec::new();
    for expectations in [&written, &all] {
        let (_, metrics, err) = once(&format!("{config}{expectations}"), "prometheus").await;
        let metrics = Scrape(metrics);
        let targets = metrics.samples("ssm_sync_exporter_expectation_targets{");
        for line in targets.lines() {
            assert_eq!(line.contains("state=\"met\""), !line.ends_with(" 0"), "{line}\n{expectations}");
        }
        assert_eq!(violations(&metrics), "");
        assert!(!targets.is_empty(), "{err}");
        numbers.push(targets.lines().count());
    }
    assert!(numbers[0] < numbers[1], "{numbers:?}");
}
