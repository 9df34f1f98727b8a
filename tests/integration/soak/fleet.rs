//! The accounts that the soak test polls, and the configurations that it reloads.

use std::path::Path;

use fake_aws::{FakeAws, SyncKind, World};
use serde_json::json;

use super::Random;
pub(super) use crate::exporter::HUB;
use crate::exporter::{ACCOUNT, ROLE};

/// The regions of [`ACCOUNT`], each of which may have faults.
pub(super) const REGIONS: [&str; 6] =
    ["eu-west-1", "eu-west-2", "eu-central-1", "us-east-1", "us-west-2", "sa-east-1"];

/// An account without faults, except in [`FAULTY_REGION`].
pub(super) const NEIGHBOUR: &str = "222233334444";
/// The account whose credentials assume the role in [`NEIGHBOUR`].
pub(super) const NEIGHBOUR_HUB: &str = "888800000000";
/// The regions of [`NEIGHBOUR`] that have no faults. [`ACCOUNT`] has faults in the first.
pub(super) const NEIGHBOUR_REGIONS: [&str; 2] = ["eu-west-1", "eu-north-1"];
pub(super) const FAULTY_REGION: &str = "ap-south-1";
/// An account that is polled without a role, so that `GetCallerIdentity` confirms its id.
pub(super) const DIRECT: &str = "333344445555";
/// A member of the organization of [`HUB`].
const MEMBER: &str = "100000000001";

/// The number of targets, if [`ACCOUNT`] is polled in all of its regions.
pub(super) const TARGETS: usize = REGIONS.len() + NEIGHBOUR_REGIONS.len() + 1 + 1 + 1;

/// A fake AWS with these accounts.
pub(super) async fn aws() -> FakeAws {
    let world = World::new();
    for account in [HUB, NEIGHBOUR_HUB, DIRECT] {
        world.add_account(account);
    }
    world.create_organization(HUB);
    world.add_member(MEMBER, "member", "r-fake");
    for account in [ACCOUNT, NEIGHBOUR, MEMBER] {
        world.add_role(account, ROLE, None);
    }
    let syncs = (0..5).map(|number| {
        json!({"SyncName": format!("sync-{number}"), "LastStatus": "Successful", "LastSyncTime": 1_763_800_000})
    });
    world.set_default_syncs(SyncKind::ToDestination, syncs.collect());
    FakeAws::start(world, "127.0.0.1:0").await.unwrap()
}

/// The sections `aws` and `organization` of every configuration.
pub(super) fn common_config(aws: &FakeAws, directory: &Path) -> String {
    let (credentials, empty) = (directory.join("credentials"), directory.join("config"));
    let profiles =
        [("hub", HUB), ("neighbour", NEIGHBOUR_HUB), ("direct", DIRECT)].map(|(profile, account)| {
            let key = World::access_key(account);
            format!("[{profile}]\naws_access_key_id = {key}\naws_secret_access_key = secret\n")
        });
    std::fs::write(&credentials, profiles.concat()).unwrap();
    std::fs::write(&empty, "").unwrap();
    format!(
        "organization:\n  profile: hub\n  member_role: 'arn:{{partition}}:iam::{{account_id}}:role/{ROLE}'\n  \
         exclude_accounts: ['{HUB}']\n  regions: [eu-west-1]\n  refresh_interval: 2s\naws:\n  endpoint_url: '{}'\n  \
         shared_config_file: '{}'\n  shared_credentials_file: '{}'\n",
        aws.url(),
        empty.display(),
        credentials.display(),
    )
}

/// A configuration, to which [`common_config`] is appended.
#[derive(Clone, PartialEq)]
pub(super) struct Config {
    interval: usize,
    /// In seconds. A new timeout gives every account a new session.
    pub(super) timeout: usize,
    name: &'static str,
    regions: Vec<&'static str>,
    more: &'static str,
}

impl Config {
    pub(super) fn new(timeout: usize) -> Self {
        Self { interval: 1, timeout, name: "production", regions: REGIONS.to_vec(), more: "" }
    }

    pub(super) fn random(random: &mut Random) -> Self {
        let regions: Vec<&str> = REGIONS.into_iter().filter(|_| random.below(3) > 0).collect();
        let more = [
            "quota: {SyncToDestination: 7}\n",
            "concurrency: 2\n",
            "stale_after: 3s\n",
            "metrics: {disable: [aws_ssm_resource_data_sync_info]}\n",
            "",
        ];
        Self {
            interval: 1 + random.below(3),
            timeout: random.pick(&[2, 3, 16]),
            name: random.pick(&["production", "prod"]),
            regions: if regions.is_empty() { vec!["eu-west-1"] } else { regions },
            more: random.pick(&more),
        }
    }

    pub(super) fn text(&self) -> String {
        let Self { interval, timeout, name, regions, more } = self;
        let role = |account| format!("assume_roles: [{{arn: 'arn:aws:iam::{account}:role/{ROLE}'}}]");
        format!(
            "interval: {interval}s\ntimeout: {timeout}s\nregions: [{}]\n{more}accounts:\n  \
             - {{id: '{ACCOUNT}', name: {name}, profile: hub, {}}}\n  \
             - {{id: '{NEIGHBOUR}', profile: neighbour, regions: [{}, {FAULTY_REGION}], {}}}\n  \
             - {{id: '{DIRECT}', profile: direct, regions: [eu-west-1]}}\n",
            regions.join(", "),
            role(ACCOUNT),
            NEIGHBOUR_REGIONS.join(", "),
            role(NEIGHBOUR),
        )
    }
}
