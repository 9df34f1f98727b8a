//! Lists an organization of the fake AWS.

use std::sync::Arc;
use std::time::Duration;

use fake_aws::{FakeAws, Fault, FaultRule, World};
use pretty_assertions::assert_eq;
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::aws::{ApiObserver, ApiRequest, AwsSettings};
use crate::discovery::{AwsLookups, Lookups as _};
use crate::fleet::{Access, Account, RegionSelection};

const HUB: &str = "999900000000";

/// Units of the fake organization: `MIDDLE` is in `OUTER`, `INNER` is in `MIDDLE`, and `BESIDE` is
/// in the root.
const OUTER: &str = "ou-fake-00000001";
const MIDDLE: &str = "ou-fake-00000002";
const INNER: &str = "ou-fake-00000003";
const BESIDE: &str = "ou-fake-00000004";
const MISSING: &str = "ou-fake-00000009";

/// The accounts with the unit that each is directly in.
const ACCOUNTS: [(&str, &str); 5] = [
    ("100000000000", "r-fake"),
    ("100000000001", OUTER),
    ("100000000002", MIDDLE),
    ("100000000003", INNER),
    ("100000000004", BESIDE),
];

#[derive(Debug)]
struct IgnoreRequests;

impl ApiObserver for IgnoreRequests {
    fn request_ended(&self, _request: &ApiRequest<'_>) {}

    fn identity_lookup_ended(&self, _succeeded: bool) {}
}

struct Setup {
    aws: FakeAws,
    lookups: AwsLookups,
    organization: Organization,
    _directory: TempDir,
}

impl Setup {
    /// An organization with [`ACCOUNTS`], of which the configuration selects those in `filter` and
    /// tracks the units `tracked`.
    async fn new(filter: &[&str], tracked: &[&str]) -> Self {
        let world = World::new();
        world.create_organization(HUB);
        for (unit, parent) in [(OUTER, "r-fake"), (MIDDLE, OUTER), (INNER, MIDDLE), (BESIDE, "r-fake")] {
            world.add_unit(unit, parent);
        }
        for (account, unit) in ACCOUNTS {
            world.add_member(account, "name", unit);
        }
        let aws = FakeAws::start(world, "127.0.0.1:0").await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        let credentials = directory.path().join("credentials");
        let key = World::access_key(HUB);
        let profile = format!("[hub]\naws_access_key_id = {key}\naws_secret_access_key = secret\n");
        std::fs::write(&credentials, profile).unwrap();
        let config = directory.path().join("config");
        std::fs::write(&config, "").unwrap();
        let settings = AwsSettings {
            endpoint_url: Some(aws.url()),
            shared_config_file: Some(config),
            shared_credentials_file: Some(credentials),
            ..AwsSettings::default()
        };
        let timeout = Duration::from_mins(1);
        let sessions =
            Sessions::new(settings, timeout, Arc::new(IgnoreRequests), Arc::default(), Arc::default());
        let administrator = Account {
            id: Some(HUB.parse().unwrap()),
            access: Access { profile: Some("hub".to_owned()), roles: Vec::new() },
            default_region: Some("eu-west-1".parse().unwrap()),
            ..Account::default()
        };
        let parse = |units: &[&str]| units.iter().map(|unit| unit.parse().unwrap()).collect();
        let organization = Organization {
            administrator: Arc::new(administrator),
            units: parse(filter),
            tracked_units: parse(tracked),
            ..crate::discovery::tests::organization(RegionSelection::default())
        };
        Self { aws, lookups: AwsLookups::new(Arc::new(sessions)), organization, _directory: directory }
    }

    async fn list(&self) -> OrganizationListing {
        self.lookups.members(&self.organization).await.unwrap()
    }

    /// The number of calls of `ListAccounts`, and of the two operations that list a unit.
    fn calls(&self) -> [u64; 3] {
        ["ListAccounts", "ListAccountsForParent", "ListOrganizationalUnitsForParent"]
            .map(|operation| self.aws.world().calls(operation))
    }
}

/// The last digit of each member's id, without the management account.
fn members(listing: &OrganizationListing) -> String {
    let ids = listing.members.accounts.iter().map(|member| member.id.as_str()).filter(|id| *id != HUB);
    ids.map(|id| &id[11..]).collect()
}

/// The last digits of the ids of accounts and of the units that contain them, such as `3:123`.
fn units(listing: &OrganizationListing) -> String {
    assert_eq!(listing.units_failure, None);
    let last = |id: &str| id.chars().last().unwrap();
    let accounts = listing.members.units.iter().flatten().filter(|(account, _)| account.as_str() != HUB);
    let accounts = accounts.map(|(account, units)| {
        let units: String = units.iter().map(|unit| last(unit.as_str())).collect();
        format!("{}:{units}", last(account.as_str()))
    });
    accounts.collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn paths_tell_the_units_without_further_calls() {
    let setup = Setup::new(&[], &[INNER, OUTER, BESIDE]).await;
    let listing = setup.list().await;
    assert_eq!((members(&listing).as_str(), units(&listing).as_str()), ("01234", "0: 1:1 2:1 3:13 4:4"));
    assert_eq!(setup.calls(), [1, 0, 0]);
}

#[tokio::test]
async fn units_are_walked_once_each_if_accounts_have_no_paths() {
    let setup = Setup::new(&[], &[INNER, OUTER, BESIDE]).await;
    setup.aws.world().set_reports_paths(false);
    let listing = setup.list().await;
    assert_eq!((members(&listing).as_str(), units(&listing).as_str()), ("01234", "0: 1:1 2:1 3:13 4:4"));
    assert_eq!(setup.calls(), [1, 4, 4], "the root is not listed");
}

#[tokio::test]
async fn an_account_that_moves_to_another_unit_has_other_units_in_the_next_listing() {
    for reports_paths in [true, false] {
        let setup = Setup::new(&[], &[MIDDLE, BESIDE]).await;
        let world = setup.aws.world();
        world.set_reports_paths(reports_paths);
        assert_eq!(units(&setup.list().await), "0: 1: 2:2 3:2 4:4");
        world.add_member("100000000003", "name", BESIDE);
        assert_eq!(units(&setup.list().await), "0: 1: 2:2 3:4 4:4", "{reports_paths}");
    }
}

#[tokio::test]
async fn the_root_contains_all_accounts() {
    for reports_paths in [true, false] {
        let setup = Setup::new(&[], &["r-fake", MIDDLE]).await;
        setup.aws.world().set_reports_paths(reports_paths);
        let listing = setup.list().await;
        assert_eq!(units(&listing), "0:e 1:e 2:2e 3:2e 4:e", "{reports_paths}");
        assert!(listing.members.units.unwrap().contains_key(&HUB.parse().unwrap()));
    }
}

#[tokio::test]
async fn without_named_units_nothing_is_walked() {
    let setup = Setup::new(&[], &[]).await;
    setup.aws.world().set_reports_paths(false);
    let listing = setup.list().await;
    assert_eq!((members(&listing).as_str(), units(&listing).as_str()), ("01234", "0: 1: 2: 3: 4:"));
    assert_eq!(setup.calls(), [1, 0, 0]);
}

#[tokio::test]
async fn tracked_units_do_not_add_accounts_to_those_that_units_select() {
    for (filter, tracked, expected_members, expected_units, walked) in [
        (vec![MIDDLE], vec![], "23", "2:2 3:2", 2),
        (vec![OUTER, MIDDLE], vec![], "123", "1:1 2:12 3:12", 3),
        // Within the filter, so that no further unit is walked.
        (vec![OUTER], vec![INNER], "123", "1:1 2:1 3:13", 3),
        // Around the filter, beside it, and both.
        (vec![MIDDLE], vec![OUTER], "23", "1:1 2:12 3:12", 3),
        (vec![MIDDLE], vec![BESIDE], "23", "2:2 3:2 4:4", 3),
        (vec![INNER], vec![BESIDE, "r-fake"], "3", "0:e 1:e 2:e 3:3e 4:4e", 5),
    ] {
        let setup = Setup::new(&filter, &tracked).await;
        let listing = setup.list().await;
        let found = (members(&listing), units(&listing));
        assert_eq!(found, (expected_members.to_owned(), expected_units.to_owned()), "{filter:?} {tracked:?}");
        assert_eq!(setup.calls(), [0, walked, walked], "{filter:?} {tracked:?}");
    }
}

#[tokio::test]
async fn a_tracked_unit_that_cannot_be_listed_leaves_only_the_units_unknown() {
    for filter in [vec![], vec!["r-fake"]] {
        let setup = Setup::new(&filter, &[MISSING]).await;
        setup.aws.world().set_reports_paths(false);
        let listing = setup.list().await;
        assert_eq!((members(&listing).as_str(), &listing.members.units), ("01234", &None));
        let message = listing.units_failure.unwrap().message;
        assert!(message.starts_with("ou-fake-00000009: ParentNotFoundException: "), "{message}");
    }
    // A unit that selects accounts has to exist.
    let setup = Setup::new(&[MISSING], &[OUTER]).await;
    assert!(setup.lookups.members(&setup.organization).await.is_err());
}

#[tokio::test]
async fn a_denied_walk_of_tracked_units_leaves_only_the_units_unknown() {
    let setup = Setup::new(&[], &[OUTER]).await;
    setup.aws.world().set_reports_paths(false);
    setup
        .aws
        .world()
        .set_faults(vec![FaultRule::new(Fault::Deny).operation("ListOrganizationalUnitsForParent")]);
    let listing = setup.list().await;
    assert_eq!(members(&listing), "01234");
    assert_eq!(listing.units_failure.unwrap().reason, Reason::AccessDenied);
}

#[tokio::test]
async fn units_are_walked_if_a_path_has_another_form() {
    let setup = Setup::new(&[], &[OUTER]).await;
    let world = setup.aws.world();
    let accounts: Vec<_> = ACCOUNTS
        .iter()
        .map(|(id, unit)| json!({"Id": id, "State": "ACTIVE", "Paths": [format!("o-fakefakefa/r-fake/{unit}/")]}))
        .chain([json!({"Id": HUB, "State": "ACTIVE", "Paths": ["x".repeat(3000)]})])
        .collect();
    let body = json!({"Accounts": accounts}).to_string();
    world.set_faults(vec![FaultRule::new(Fault::Response { status: 200, body }).operation("ListAccounts")]);
    assert_eq!(units(&setup.list().await), "0: 1:1 2:1 3:1 4:");
    assert_eq!(setup.calls(), [1, 3, 3]);
}

#[tokio::test]
async fn made_up_cycles_of_units_end() {
    let setup = Setup::new(&[OUTER], &[BESIDE]).await;
    let units = [OUTER, MIDDLE, BESIDE].map(|id| json!({"Id": id}));
    let body = json!({"OrganizationalUnits": units}).to_string();
    let rule = FaultRule::new(Fault::Response { status: 200, body });
    setup.aws.world().set_faults(vec![rule.operation("ListOrganizationalUnitsForParent")]);
    let listing = setup.list().await;
    assert_eq!(members(&listing), "124");
    assert_eq!(setup.calls(), [0, 3, 3]);
}
