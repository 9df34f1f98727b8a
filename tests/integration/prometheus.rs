//! Tests that a real Prometheus can scrape and query the exporter. Other tests use the helpers
//! to run one.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::process::Stdio;
use std::time::Duration;

use fake_aws::{Fault, FaultRule, SyncKind};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use crate::exporter::{ACCOUNT, Exporter, NOW, REGION, fake_aws, one_target, put_sync};
use crate::{http, tools};

/// A name that breaks an exposition unless it is escaped. Values from AWS may contain any text.
pub(crate) const NASTY: &str =
    "org \"inventory\" \\ back\\nslash,\r\t\nx{y=\"z\"} 1 # {a=\"b\"} 2 ünï\u{1d6d1}";

/// [`NASTY`] without control characters, as names in the configuration must not have any.
pub(crate) fn nasty_line() -> String {
    NASTY.replace(char::is_control, "")
}

/// A Prometheus process, killed on drop.
pub(crate) struct Prometheus {
    pub(crate) address: SocketAddr,
    _process: tools::KillOnDrop,
    _directory: TempDir,
}

impl Prometheus {
    /// Starts a Prometheus that scrapes these addresses every second.
    pub(crate) async fn scraping(targets: &[SocketAddr]) -> Self {
        let targets: Vec<String> = targets.iter().map(|target| format!("'{target}'")).collect();
        let config = format!(
            "global: {{scrape_interval: 1s}}\nscrape_configs:\n  - job_name: ssm\n    static_configs: [{{targets: [{}]}}]\n",
            targets.join(", ")
        );
        Self::with_config(tempfile::tempdir().unwrap(), &config).await
    }

    /// Starts a Prometheus with this configuration. Its configuration, log and data are stored
    /// in `directory`.
    pub(crate) async fn with_config(directory: TempDir, config: &str) -> Self {
        Self::with_flags(directory, config, &[]).await
    }

    /// Like [`with_config`](Self::with_config), with more flags.
    pub(crate) async fn with_flags(directory: TempDir, config: &str, flags: &[&str]) -> Self {
        let config_file = directory.path().join("prometheus.yml");
        std::fs::write(&config_file, config).unwrap();
        // Prometheus does not support port 0, so choose a free port first.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let log = std::fs::File::create(directory.path().join("log")).unwrap();
        let process = tools::prometheus()
            .arg(format!("--config.file={}", config_file.display()))
            .arg(format!("--storage.tsdb.path={}", directory.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .args(flags)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let prometheus = Self { address, _process: tools::KillOnDrop(process), _directory: directory };
        let deadline = Instant::now() + Duration::from_mins(1);
        while TcpStream::connect(address).await.is_err()
            || http::request(address, "GET", "/-/ready").await.status != 200
        {
            assert!(Instant::now() < deadline, "Prometheus does not start");
            sleep(Duration::from_millis(100)).await;
        }
        prometheus
    }

    pub(crate) async fn api(&self, path: &str) -> Value {
        let body = http::request(self.address, "GET", path).await.body;
        serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"))
    }

    /// The labels and the value of each series that the query `expression` returns. Waits until
    /// there is at least one.
    pub(crate) async fn query(&self, expression: &str) -> Vec<(Value, String)> {
        let encoded: Vec<String> = expression.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let encoded = encoded.concat();
        let deadline = Instant::now() + Duration::from_mins(1);
        loop {
            let response = self.api(&format!("/api/v1/query?query={encoded}")).await;
            assert_eq!(response["status"], "success", "{response}");
            let series = response["data"]["result"].as_array().unwrap();
            if !series.is_empty() {
                let value = |series: &Value| series["value"][1].as_str().unwrap().to_owned();
                return series.iter().map(|series| (series["metric"].clone(), value(series))).collect();
            }
            assert!(Instant::now() < deadline, "no result for {expression}");
            sleep(Duration::from_millis(200)).await;
        }
    }
}

/// Expectations of which one is violated, and one cannot be verified.
const EXPECTATIONS: &str = "\
expectations:
  - {name: missing, request: {SyncName: \"{account_id}\", SyncType: SyncToDestination}}
  - name: encrypted
    presence: allowed
    request: {SyncType: SyncToDestination, S3Destination: {AWSKMSKeyARN: \"arn:aws:kms:*\"}}
";

/// Starts an exporter that serves every metric at least once. All free texts from AWS are
/// [`NASTY`].
pub(crate) async fn exporter_with_everything(interval: &str) -> (fake_aws::FakeAws, Exporter) {
    let aws = fake_aws().await;
    put_sync(
        &aws,
        SyncKind::ToDestination,
        json!({
            "SyncName": NASTY, "LastStatus": "Failed",
            "LastSyncStatusMessage": "no access", "LastSyncTime": NOW - 60,
            "LastSuccessfulSyncTime": NOW - 90_000, "SyncCreatedTime": NOW - 900_000, "SyncLastModifiedTime": NOW,
            "S3Destination": {
                "BucketName": NASTY, "Prefix": NASTY, "SyncFormat": NASTY, "Region": NASTY,
                "AWSKMSKeyARN": NASTY, "DestinationDataSharing": {"DestinationDataSharingType": NASTY},
            },
        }),
    );
    put_sync(
        &aws,
        SyncKind::ToDestination,
        json!({"SyncName": "second", "SyncType": NASTY, "LastStatus": NASTY, "LastSyncTime": NOW as f64 - 0.125}),
    );
    put_sync(
        &aws,
        SyncKind::FromSource,
        json!({
            "SyncName": "explorer", "SyncSource": {
                "SourceType": NASTY, "SourceRegions": ["eu-west-1", NASTY],
                "AwsOrganizationsSource": {
                    "OrganizationSourceType": NASTY, "OrganizationalUnits": [{"OrganizationalUnitId": NASTY}],
                },
                "IncludeFutureRegions": false, "EnableAllOpsDataSources": true, "State": NASTY,
            },
        }),
    );
    put_sync(
        &aws,
        SyncKind::FromSource,
        json!({
            "SyncName": "all-regions",
            "SyncSource": {"SourceType": "AwsOrganizations", "SourceRegions": [REGION], "IncludeFutureRegions": true},
        }),
    );
    put_sync(&aws, SyncKind::ToDestination, json!({"LastStatus": "without a name"}));
    aws.world().set_managed_nodes(ACCOUNT, REGION, 1);
    aws.world().set_faults(vec![
        FaultRule::new(Fault::Deny).region("us-east-1").operation("ListResourceDataSync"),
        FaultRule::new(Fault::Deny).region("eu-central-1").operation("DescribeInstanceInformation"),
    ]);
    let config = one_target()
        .replace("interval: 1s", &format!("interval: {interval}"))
        // A JSON string is a valid YAML string.
        .replace("name: production", &format!("name: {}", json!(nasty_line())))
        .replace(&format!("[{REGION}]"), &format!("[{REGION}, us-east-1]"))
        + "  - profile: hub\n    regions: [us-east-1, eu-central-1]\nmanaged_nodes: {enabled: true}\n"
        + EXPECTATIONS;
    let exporter = Exporter::start_ready(&aws, &config).await;
    let looked_up = ["aws_ssm_managed_nodes_present{", "ssm_sync_exporter_managed_nodes_down_reason{"];
    let has_lookups = async || {
        let scrape = exporter.scrape().await;
        looked_up.iter().all(|series| !scrape.samples(series).is_empty()).then_some(())
    };
    exporter.wait_for("managed-node lookups", has_lookups).await;
    (aws, exporter)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn prometheus_scrapes_without_errors_and_finds_a_failed_sync() {
    let (_aws, exporter) = exporter_with_everything("1s").await;
    let prometheus = Prometheus::scraping(&[exporter.address]).await;

    let failed = prometheus
        .query("aws_ssm_resource_data_sync_last_status{status=\"Failed\"} == 1 and on(aws_account_id, aws_region) ssm_sync_exporter_target_up == 1")
        .await;
    assert_eq!(failed.len(), 1);
    let labels = &failed[0].0;
    assert_eq!(labels["aws_account_id"], ACCOUNT);
    assert_eq!(labels["aws_region"], REGION);
    assert_eq!(labels["sync_type"], "SyncToDestination");
    assert_eq!(labels["sync_name"], NASTY);
    assert_eq!(labels["exported_job"], Value::Null, "no label collides with Prometheus's own");

    let age = prometheus
        .query(&format!("aws_ssm_resource_data_sync_last_successful_sync_age_seconds > 86400 and on(aws_account_id, aws_region) ssm_sync_exporter_target_info{{account_name={}}}", json!(nasty_line())))
        .await;
    assert_eq!(age[0].1, "90000");
    let down = prometheus.query("ssm_sync_exporter_target_up == 0").await;
    assert_eq!(down.len(), 2);

    assert_eq!(prometheus.query("min_over_time(up[1m])").await[0].1, "1", "no scrape failed");
    let prometheus_metrics = http::request(prometheus.address, "GET", "/metrics").await.body;
    for problem in ["sample_duplicate_timestamp", "sample_out_of_order", "sample_out_of_bounds"] {
        assert!(
            prometheus_metrics.contains(&format!("\nprometheus_target_scrapes_{problem}_total 0\n")),
            "{problem}"
        );
    }
    let targets = prometheus.api("/api/v1/targets").await;
    assert_eq!(targets["data"]["activeTargets"][0]["lastError"], "");
    assert_eq!(targets["data"]["activeTargets"][0]["health"], "up");
    let metadata = prometheus.api("/api/v1/metadata?metric=aws_ssm_resource_data_sync_last_status").await;
    assert_eq!(metadata["data"]["aws_ssm_resource_data_sync_last_status"][0]["type"], "gauge");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn metrics_pass_promtool_check_metrics() {
    let (_aws, exporter) = exporter_with_everything("1s").await;
    let scrape = exporter.scrape().await;
    for family in [
        "aws_ssm_resource_data_sync_source_organizational_units",
        "ssm_sync_exporter_api_request_failures_total",
        "ssm_sync_exporter_discovery_last_success_timestamp_seconds",
        "ssm_sync_exporter_target_collection_failures_total",
    ] {
        assert!(scrape.0.contains(&format!("# TYPE {family} ")), "the scrape has no {family}");
    }
    let mut child = tools::promtool()
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(scrape.0.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", tools::written(&output));
    assert_eq!(
        (output.stdout.as_slice(), output.stderr.as_slice()),
        (&b""[..], &b""[..]),
        "{}",
        tools::written(&output)
    );
}
