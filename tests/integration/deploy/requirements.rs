//! `deploy/requirements.md` names the versions, partitions and numbers of series that follow from the
//! files and the program.

use std::collections::BTreeSet;

use fake_aws::SyncKind;
use pretty_assertions::assert_eq;
use serde_json::json;
use ssm_sync_exporter::fleet::Partition;
use strum::VariantArray as _;

use super::{text, yaml};
use crate::exporter::{ACCOUNT, Exporter, REGION, Scrape, fake_aws, one_target, put_sync};

/// The cells of the row of the page that begins with `first`.
fn row(first: &str) -> Vec<String> {
    let page = text("deploy/requirements.md");
    let line = page.lines().find(|line| line.starts_with(&format!("| {first} |")));
    let line = line.unwrap_or_else(|| panic!("no row {first}"));
    line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect()
}

/// The version of systemd that introduced each setting of the units. (NEWS of systemd 252.)
const RECENT_SETTINGS: [(&str, u32); 6] = [
    ("PrivateIPC", 248),
    ("ProtectProc", 247),
    ("ProtectClock", 245),
    ("ProtectKernelLogs", 244),
    ("ProtectHostname", 242),
    ("RestrictSUIDSGID", 242),
];

/// The settings of the units that systemd 240 has.
const OLD_SETTINGS: [&str; 52] = [
    "After",
    "CapabilityBoundingSet",
    "Description",
    "DevicePolicy",
    "Documentation",
    "Environment",
    "EnvironmentFile",
    "ExecReload",
    "ExecStart",
    "ExecStartPre",
    "KeyringMode",
    "LimitNOFILE",
    "ListenStream",
    "LockPersonality",
    "MemoryDenyWriteExecute",
    "NoDelay",
    "NoNewPrivileges",
    "OnCalendar",
    "PrivateDevices",
    "PrivateMounts",
    "PrivateTmp",
    "PrivateUsers",
    "ProtectControlGroups",
    "ProtectHome",
    "ProtectKernelModules",
    "ProtectKernelTunables",
    "ProtectSystem",
    "RandomizedDelaySec",
    "ReadWritePaths",
    "RemoveIPC",
    "Restart",
    "RestartPreventExitStatus",
    "RestartSec",
    "RestrictAddressFamilies",
    "RestrictNamespaces",
    "RestrictRealtime",
    "StandardError",
    "StandardOutput",
    "StartLimitBurst",
    "StartLimitIntervalSec",
    "SuccessExitStatus",
    "SystemCallArchitectures",
    "SystemCallErrorNumber",
    "SystemCallFilter",
    "TimeoutStartSec",
    "TimeoutStopSec",
    "Type",
    "UMask",
    "User",
    "WantedBy",
    "Wants",
    "WatchdogSec",
];

#[test]
fn the_units_need_the_version_of_systemd_that_the_page_names() {
    let service = text("deploy/systemd/ssm-sync-exporter.service");
    let once = text("deploy/ingestion/textfile/ssm-sync-exporter-once.service");
    let more = ["systemd/ssm-sync-exporter.socket", "ingestion/textfile/ssm-sync-exporter-once.timer"];
    let units = more.map(|file| text(&format!("deploy/{file}"))).concat() + &service + &once;
    let is_setting = |name: &&str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphabetic());
    let names = units.lines().filter_map(|line| Some(line.split_once('=')?.0)).filter(is_setting);
    let used: BTreeSet<&str> = names.collect();
    let recent = RECENT_SETTINGS.iter().filter(|(name, _)| used.contains(name));
    let newest = recent.map(|(_, version)| *version).max().unwrap();
    let known: BTreeSet<&str> = RECENT_SETTINGS.iter().map(|(name, _)| *name).chain(OLD_SETTINGS).collect();
    let unknown: Vec<&&str> = used.difference(&known).collect();
    assert!(unknown.is_empty(), "say which version of systemd introduced {unknown:?}");

    assert_eq!(row("systemd")[1], newest.to_string());
    for unit in [&service, &once] {
        assert!(unit.contains(&format!("for systemd {newest} or later")));
    }
    assert!(text("deploy/systemd/README.md").contains(&format!("systemd {newest} or later")));
    // The specifier is used in a comment only.
    let credentials = &row("systemd, `LoadCredential=` with `%d`")[1];
    assert!(service.contains("%d/aws") && service.contains(&format!("(systemd {credentials} or later)")));
}

#[test]
fn the_page_names_the_versions_that_the_files_name() {
    let python = text("tests/python/requirements.txt");
    let pinned = |package: &str| {
        let line = python.lines().find_map(|line| line.strip_prefix(package)?.strip_prefix("=="));
        line.unwrap_or_else(|| panic!("no {package}")).rsplit('!').next().unwrap()
    };
    let kubernetes = row("Kubernetes");
    let chart = yaml("deploy/kubernetes/ssm-sync-exporter/Chart.yaml");
    assert_eq!(chart["kubeVersion"], format!(">={}.0-0", kubernetes[1]));
    let newest = pinned("kubernetes-validate").strip_suffix(".0").unwrap();
    assert_eq!(kubernetes[3], format!("schemas of {} and {newest}, no cluster", kubernetes[1]));

    let grafana = row("Grafana");
    let libraries: serde_json::Value = serde_json::from_str(&text("tests/pictures/package.json")).unwrap();
    let libraries = libraries["dependencies"]["@grafana/ui"].as_str().unwrap();
    let models = pinned("grafana-foundation-sdk");
    assert!(grafana[3].contains(&format!("models {models} and its libraries {libraries},")), "{grafana:?}");
    for dashboard in ["fleet", "sync"] {
        let json: serde_json::Value =
            serde_json::from_str(&text(&format!("deploy/grafana/{dashboard}.json"))).unwrap();
        assert!(grafana[2].starts_with(&format!("schema {} ", json["schemaVersion"])), "{grafana:?}");
    }

    let operator = &row("Prometheus operator")[3];
    assert!(pinned("cloudcoil-models-prometheus-operator").starts_with(operator.rsplit(' ').next().unwrap()));
    assert!(row("Linux")[1].starts_with("glibc "));
    let glibc = row("Linux")[1].split(' ').nth(1).unwrap().to_owned();
    assert!(text(".ci/release").contains(&format!("\nglibc={glibc}\n")), "{glibc}");
    let rust = &row("Rust, to build")[1];
    assert!(text("rust-toolchain.toml").contains(&format!("channel = \"{rust}\"")), "{rust}");
}

/// Prometheus 2.42 introduced `keep_firing_for`. (Its changelog.) Later versions added other fields of
/// rules, and functions.
#[test]
fn the_rules_need_the_version_of_prometheus_that_the_page_names() {
    const LATER: [&str; 6] = [
        "query_offset:",
        "limitk(",
        "limit_ratio(",
        "sort_by_label(",
        "info(",
        "double_exponential_smoothing(",
    ];
    assert_eq!(row("Prometheus, rules")[1], "2.42");
    let files = [
        "prometheus/alerts.yml",
        "prometheus/recording-rules.yml",
        "grafana/fleet.json",
        "grafana/sync.json",
    ];
    let texts: String = files.iter().map(|file| text(&format!("deploy/{file}"))).collect();
    assert!(texts.contains("keep_firing_for:"));
    for name in LATER {
        assert!(!texts.contains(name), "{name} needs a newer Prometheus than 2.42");
    }
}

#[test]
fn the_page_names_every_partition() {
    let page = text("deploy/requirements.md");
    for partition in Partition::VARIANTS {
        assert!(page.contains(&format!("`{partition}`")), "{partition}");
    }
}

#[tokio::test]
async fn a_target_and_a_sync_have_as_many_series_as_the_page_says() {
    let said = |what: &str| -> usize { row(what)[1].split([' ', ',', ';']).next().unwrap().parse().unwrap() };
    let (exporter, target, sync) =
        (said("exporter"), said("target that is up"), said("sync with an S3 destination"));
    for count in [0, 1, 5] {
        let aws = fake_aws().await;
        for number in 0..count {
            let destination = json!({"BucketName": "bucket", "SyncFormat": "JsonSerDe", "Region": REGION});
            let item = json!({
                "SyncName": format!("sync-{number}"), "S3Destination": destination, "LastStatus": "Successful",
                "LastSyncTime": 1_763_799_000, "LastSuccessfulSyncTime": 1_763_799_000,
                "SyncCreatedTime": 1_763_000_000,
            });
            put_sync(&aws, SyncKind::ToDestination, item);
        }
        let scrape = Exporter::start_ready(&aws, &one_target()).await.scrape().await;
        let series = scrape.series();
        let of_syncs = series.iter().filter(|series| series.contains("sync_name=")).count();
        let of_targets = series.iter().filter(|series| series.contains("aws_region=")).count() - of_syncs;
        assert_eq!(of_syncs, sync * count);
        assert_eq!(of_targets, if count == 0 { target - 1 } else { target });
        assert_eq!(series.len() - of_syncs - of_targets, exporter);
    }
}

#[tokio::test]
async fn managed_node_lookups_add_as_many_series_as_the_page_says() {
    let said = |what: &str, text: &str| -> usize {
        let cell = &row(what)[1];
        let (before, _) = cell.split_once(text).unwrap_or_else(|| panic!("{cell}"));
        before.rsplit(' ').next().unwrap().parse().unwrap()
    };
    let (of_target, of_call) = (
        said("target that is up", " more with `managed_nodes`"),
        said("exporter", " more for each further call"),
    );
    let aws = fake_aws().await;
    let without = Exporter::start_ready(&aws, &one_target()).await.scrape().await;
    let config = format!("managed_nodes: {{ enabled: true }}\n{}", one_target());
    let exporter = Exporter::start_ready(&aws, &config).await;
    let present =
        format!("aws_ssm_managed_nodes_present{{aws_account_id=\"{ACCOUNT}\",aws_region=\"{REGION}\"}} 0");
    let with = exporter.scrape_until(&present).await;
    let of_targets =
        |scrape: &Scrape| scrape.series().iter().filter(|series| series.contains("aws_region=")).count();
    assert_eq!(of_targets(&with), of_targets(&without) + of_target);
    assert_eq!(with.series().len(), without.series().len() + of_target + of_call);
    // A lookup is one call, whose rate the page derives from the interval.
    assert_eq!(aws.world().calls("DescribeInstanceInformation"), 1);
}
