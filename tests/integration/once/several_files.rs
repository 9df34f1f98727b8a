//! The metrics of several runs in one place, as `node_exporter` merges them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use fake_aws::{Fault, FaultRule, SyncKind};
use pretty_assertions::assert_eq;

use super::external_tools::shown_by_node_exporter;
use super::{Setup, organization, output_of};
use crate::exporter::{ACCOUNT, REGION, ROLE, Scrape, put_sync};
use crate::exposition::s3_sync;
use crate::process::program;

/// Two configurations that share AWS: one of an organization that cannot be listed and an account,
/// the other of another region of the account. Both have the same expectation.
struct Teams {
    setup: Setup,
}

const EXPECTATION: &str = "expectations:\n  - name: org-inventory\n    request: {SyncName: org-inventory, SyncType: SyncToDestination}\n";

impl Teams {
    async fn new() -> Self {
        let account = format!(
            "accounts: [{{profile: hub, assume_roles: [{{arn: 'arn:aws:iam::{ACCOUNT}:role/{ROLE}'}}]}}]\n"
        );
        let setup = organization(&(account.clone() + EXPECTATION)).await;
        put_sync(&setup.aws, SyncKind::ToDestination, s3_sync());
        setup.aws.world().set_faults(vec![FaultRule::new(Fault::Deny).operation("ListAccounts")]);
        let first = std::fs::read_to_string(setup.directory.path().join("config.yaml")).unwrap();
        let (_, aws) = first.split_once("\naws:").unwrap();
        let second = format!(
            "regions: [us-east-1]\nquota: {{SyncToDestination: 9}}\n{account}{EXPECTATION}\naws:{aws}"
        );
        std::fs::write(setup.directory.path().join("other.yaml"), second).unwrap();
        Self { setup }
    }

    fn once(&self, config: &str) -> Command {
        let mut once = program();
        once.args(["once", "--log.level", "error", "--config.file"]);
        once.arg(self.setup.directory.path().join(config));
        once
    }

    /// The command with the second configuration as environment variables.
    fn once_without_file(&self) -> Command {
        let mut once = program();
        once.args(["once", "--log.level", "error"])
            .env("SSM_SYNC_EXPORTER_REGIONS", "[us-east-1]")
            .env("AWS_PROFILE", "hub")
            .env("AWS_SHARED_CREDENTIALS_FILE", self.setup.directory.path().join("credentials"))
            .env("AWS_ENDPOINT_URL", self.setup.aws.url());
        once
    }
}

/// The samples of an exposition: their values by name and labels, whatever the order of the labels.
fn samples(text: &str) -> BTreeMap<(String, BTreeSet<String>), String> {
    let mut samples = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        // No label of these tests has a comma in its value.
        let labels = labels.strip_suffix('}').unwrap().split(',').filter(|label| !label.is_empty());
        let key = (name.to_owned(), labels.map(ToOwned::to_owned).collect());
        assert_eq!(samples.insert(key, value.parse::<f64>().unwrap().to_string()), None, "{line}");
    }
    samples
}

/// Regression: all families without labels for a target had the same series in every file.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn node_exporter_serves_every_value_of_several_files() {
    let teams = Teams::new().await;
    let directory = teams.setup.output_directory();
    let mut written = BTreeMap::new();
    for (mut once, name, status) in [
        (teams.once("config.yaml"), "a.prom", 1),
        (teams.once("other.yaml"), "b.prom", 0),
        (teams.once_without_file(), "c.prom", 0),
    ] {
        let file = directory.join(name);
        once.arg("--output").arg(&file);
        let output = output_of(once).await;
        assert_eq!(output.0, Some(status), "{output:?}");
        for (series, value) in samples(&std::fs::read_to_string(&file).unwrap()) {
            assert_eq!(written.insert(series.clone(), value), None, "{series:?} is in two files");
        }
    }
    let shown = shown_by_node_exporter(&directory).await;
    assert!(shown.has("node_textfile_scrape_error 0"), "{}", shown.0);
    let mut shown_samples = samples(&shown.0);
    // node_exporter shows the sum of a histogram with fewer digits than it has been written with.
    shown_samples.retain(|(name, _), _| name.starts_with("aws_") || name.starts_with("ssm_"));
    assert_eq!(shown_samples, written);

    // The label is that of node_exporter's own metrics about the file.
    let file_label = format!("file=\"{}\"", directory.join("a.prom").display());
    assert_eq!(shown.samples("node_textfile_mtime_seconds").matches(&file_label).count(), 1);
    let failing =
        format!("ssm_sync_exporter_discovery_failing_lookups{{{file_label},kind=\"organization\"}} 1");
    assert!(shown.has(&failing), "{}", shown.0);
    let quota = shown.values("aws_ssm_resource_data_sync_quota");
    assert_eq!(quota.iter().filter(|quota| **quota == 9.0).count(), 1, "{quota:?}");
}

/// Regression: targets whose account cannot be determined are all called `unknown`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn targets_of_unknown_accounts_differ_by_file_too() {
    let teams = Teams::new().await;
    let directory = teams.setup.output_directory();
    let mut written = BTreeSet::new();
    for name in ["a.prom", "b.prom"] {
        let mut once = teams.once_without_file();
        once.env("AWS_PROFILE", "missing").arg("--output").arg(directory.join(name));
        assert_eq!(output_of(once).await.0, Some(1));
        let text = std::fs::read_to_string(directory.join(name)).unwrap();
        let up = format!(
            "up{{aws_account_id=\"unknown\",aws_region=\"us-east-1\",file=\"{}\"}} 0",
            directory.join(name).display()
        );
        assert!(text.contains(&up), "{text}");
        for series in samples(&text).into_keys() {
            assert!(written.insert(series.clone()), "{series:?} is in both files");
        }
    }
}

/// The series of a run's output that are not about a target, with the labels that tell them apart.
async fn series_of(mut once: Command, format: &str) -> BTreeSet<(String, BTreeSet<String>)> {
    once.args(["--format", format]);
    let (_, out, err) = output_of(once).await;
    assert!(out.starts_with("# "), "{err}");
    samples(&out).into_keys().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outputs_to_stdout_differ_by_configuration_file_and_shard() {
    let teams = Teams::new().await;
    for format in ["prometheus", "openmetrics"] {
        let first = series_of(teams.once("config.yaml"), format).await;
        let second = series_of(teams.once("other.yaml"), format).await;
        let mut shards = Vec::new();
        for index in ["0", "1"] {
            let mut once = teams.once("other.yaml");
            once.args(["--shard.total", "2", "--shard.index", index]);
            shards.push(series_of(once, format).await);
        }
        assert_eq!(first.intersection(&second).collect::<Vec<_>>(), Vec::<&_>::new(), "{format}");
        assert_eq!(shards[0].intersection(&shards[1]).collect::<Vec<_>>(), Vec::<&_>::new(), "{format}");
        // The other series are those of the daemon.
        let has_label =
            |label: &str| second.iter().any(|(_, labels)| labels.iter().any(|it| it.starts_with(label)));
        assert!(has_label("config_file=\"/") && !has_label("shard=") && !has_label("file="), "{format}");
        let labelled = |(_, labels): &&(String, BTreeSet<String>)| {
            labels.iter().any(|label| label.starts_with("config_file="))
        };
        let of_targets = second.iter().filter(|series| !labelled(series));
        assert!(
            of_targets.clone().all(|(_, labels)| labels.iter().any(|it| it.starts_with("aws_account_id=")))
        );
        assert!(of_targets.count() > 5);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_label_is_the_absolute_path_as_given() {
    let setup = Setup::in_regions(&[REGION]).await;
    let directory = setup.output_directory();
    let labels_of = |file: &Path| {
        let scrape = Scrape(std::fs::read_to_string(file).unwrap());
        let targets = scrape.samples("ssm_sync_exporter_targets");
        targets.trim_end().to_owned()
    };
    let mut once = setup.once();
    once.args(["--output", "./syncs.prom"]).current_dir(&directory);
    assert_eq!(output_of(once).await.0, Some(0));
    let expected =
        |name: &str| format!("ssm_sync_exporter_targets{{file=\"{}\"}} 1", directory.join(name).display());
    assert_eq!(labels_of(&directory.join("syncs.prom")), expected("syncs.prom"));

    let link = directory.join("link.prom");
    std::os::unix::fs::symlink(setup.directory.path().join("real.prom"), &link).unwrap();
    std::fs::write(setup.directory.path().join("real.prom"), "").unwrap();
    let mut once = setup.once();
    once.arg("--output").arg(&link);
    assert_eq!(output_of(once).await.0, Some(0));
    assert_eq!(labels_of(&link), expected("link.prom"), "node_exporter knows the link only");
}
