//! Tests how the accounts of the organization are accessed: roles, session policies,
//! external ids, and the number of calls.

use std::collections::{BTreeMap, BTreeSet};

use fake_aws::{FakeAws, World};
use pretty_assertions::assert_eq;

use super::{ACCOUNTS, REGIONS, TARGET_COUNT, config, config_without_regions, organization, wait_until_up};
use crate::exporter::{Exporter, HUB, ROLE, Setup, up};

const LIST_SYNCS: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["ssm:ListResourceDataSync"],"Resource":"*"}]}"#;
const LIST_SYNCS_AND_REGIONS: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["ssm:ListResourceDataSync","account:ListRegions"],"Resource":"*"}]}"#;

/// The session policy of all sessions. Panics if they differ.
fn session_policy(world: &World) -> Option<String> {
    let policies: BTreeSet<Option<String>> =
        world.assumed_roles().into_iter().map(|assumed| assumed.policy).collect();
    assert_eq!(policies.len(), 1, "{policies:?}");
    policies.into_iter().next().unwrap()
}

#[tokio::test]
async fn first_collections_take_one_call_per_role_and_two_per_target() {
    let aws = organization().await;
    let exporter = Exporter::start_ready(&aws, &config().replace("interval: 1s", "interval: 1h")).await;
    wait_until_up(&exporter, TARGET_COUNT).await;
    for (account, _) in ACCOUNTS {
        for region in REGIONS {
            let calls = aws.world().calls_of(account, region, "ListResourceDataSync");
            assert_eq!(calls, 2, "one for each type: {account} {region}");
        }
    }
    let expected = ACCOUNTS.map(|(account, _)| (format!("arn:aws:iam::{account}:role/{ROLE}"), 1));
    assert_eq!(super::assumed_roles(aws.world()), BTreeMap::from(expected));
    assert_eq!(aws.world().calls("AssumeRole"), ACCOUNTS.len() as u64);
    assert_eq!(aws.world().calls("ListAccounts"), 1);
    // The account ids are part of the role ARNs.
    assert_eq!(aws.world().calls("GetCallerIdentity"), 0);
    assert_eq!(aws.world().calls("ListRegions"), 0);
}

#[tokio::test]
async fn session_policies_allow_only_what_is_needed() {
    let aws = organization().await;
    wait_until_up(&Exporter::start(&aws, &config()).await, TARGET_COUNT).await;
    assert_eq!(session_policy(aws.world()).as_deref(), Some(LIST_SYNCS));

    let aws = organization().await;
    let wildcards = format!("regions: ['eu-west-?']\n{}", config_without_regions());
    wait_until_up(&Exporter::start(&aws, &wildcards).await, 3 * ACCOUNTS.len()).await;
    assert_eq!(session_policy(aws.world()).as_deref(), Some(LIST_SYNCS_AND_REGIONS));

    let aws = organization().await;
    let environment = &[("SSM_SYNC_EXPORTER_AWS__SESSION_POLICY", "false")];
    let setup = Setup { environment, ..Setup::default() };
    wait_until_up(&Exporter::start_with(&aws, &config(), &setup).await, TARGET_COUNT).await;
    assert_eq!(session_policy(aws.world()), None);
}

#[tokio::test]
async fn the_session_policy_for_the_organization_allows_only_listing_it() {
    let aws = organization().await;
    aws.world().add_role(HUB, "Lister", Some("of-the-lister"));
    let lister = format!("arn:aws:iam::{HUB}:role/Lister");
    let config = format!("{}  assume_roles: [{{arn: '{lister}', external_id: of-the-lister}}]\n", config());
    wait_until_up(&Exporter::start(&aws, &config).await, TARGET_COUNT).await;
    let sessions = aws.world().assumed_roles();
    let of_lister: Vec<_> = sessions.iter().filter(|assumed| assumed.role == lister).collect();
    assert_eq!(of_lister.len(), 1);
    assert_eq!(of_lister[0].external_id.as_deref(), Some("of-the-lister"));
    let policy = of_lister[0].policy.as_deref().unwrap();
    assert!(policy.contains("\"organizations:ListAccounts\"") && !policy.contains("ssm:"), "{policy}");
    // The roles of the members are assumed with the credentials of the profile.
    assert!(sessions.iter().all(|assumed| assumed.caller_account == HUB));
}

#[tokio::test]
async fn session_names_are_expanded_and_external_ids_passed() {
    let world = World::new();
    world.create_organization(HUB);
    world.add_role(HUB, ROLE, Some("of-the-members"));
    world.add_role(HUB, "Jump", Some("of-the-jump"));
    world.add_member("100000000001", "production", "r-fake");
    world.add_role("100000000001", ROLE, Some("of-the-members"));
    let aws = FakeAws::start(world, "127.0.0.1:0").await.unwrap();
    let config = format!(
        "{}  external_id: of-the-members
  session_name: 'syncs@{{account_id}}.{{region}}'
  member_assume_roles:
    - {{arn: 'arn:aws:iam::{HUB}:role/Jump', external_id: of-the-jump, session_name: 'jump-{{account_id}}'}}
",
        config()
    );
    let exporter = Exporter::start_ready(&aws, &config).await;
    let scrape = wait_until_up(&exporter, 2 * REGIONS.len()).await;
    assert!(!scrape.0.contains("of-the-"));
    let mut sessions: Vec<_> = aws
        .world()
        .assumed_roles()
        .into_iter()
        .map(|assumed| (assumed.role, assumed.session_name, assumed.external_id.unwrap(), assumed.region))
        .collect();
    sessions.sort();
    let session = |account: &str, role: &str, name: &str, external_id: &str| {
        let arn = format!("arn:aws:iam::{account}:role/{role}");
        (arn, name.to_owned(), external_id.to_owned(), REGIONS[0].to_owned())
    };
    assert_eq!(
        sessions,
        [
            session("100000000001", ROLE, "syncs@100000000001.eu-west-1", "of-the-members"),
            session(HUB, "Jump", &format!("jump-{HUB}"), "of-the-jump"),
            session(HUB, ROLE, &format!("syncs@{HUB}.eu-west-1"), "of-the-members"),
        ]
    );
}

#[tokio::test]
async fn accounts_of_several_partitions_are_polled() {
    let world = World::new();
    world.add_account(HUB);
    let partitions = [
        ("aws", "100000000001", ["eu-west-1", "us-east-1"]),
        ("aws-us-gov", "100000000002", ["us-gov-west-1", "us-gov-east-1"]),
        ("aws-cn", "100000000003", ["cn-north-1", "cn-northwest-1"]),
    ];
    let mut config = "interval: 1s\naccounts:\n".to_owned();
    for (partition, account, regions) in partitions {
        world.add_role(account, ROLE, None);
        let entry = format!(
            "  - profile: hub\n    assume_roles: [{{arn: 'arn:{partition}:iam::{account}:role/{ROLE}'}}]\n    regions: [{}]\n",
            regions.join(", ")
        );
        config += &entry;
    }
    let aws = FakeAws::start(world, "127.0.0.1:0").await.unwrap();
    let exporter = Exporter::start_ready(&aws, &config).await;
    let scrape = wait_until_up(&exporter, 6).await;
    for (partition, account, regions) in partitions {
        for region in regions {
            assert!(scrape.has(&up(account, region, 1)));
            assert!(scrape.has(&format!(
                "ssm_sync_exporter_target_info{{aws_account_id=\"{account}\",aws_region=\"{region}\",partition=\"{partition}\"}} 1"
            )), "{}", scrape.samples("ssm_sync_exporter_target_info"));
        }
        let sessions = aws.world().assumed_roles();
        let of_account: Vec<_> = sessions.iter().filter(|assumed| assumed.role.contains(account)).collect();
        assert_eq!(of_account.len(), 1);
        assert!(regions.contains(&of_account[0].region.as_str()), "{of_account:?}");
    }
}

#[tokio::test]
async fn a_role_path_may_have_every_character_that_iam_allows() {
    // Regression: only the characters of role names were accepted in paths.
    let path: String = ('!'..='\u{7f}').collect();
    let role = format!("{path}/Reader");
    let denied = format!("{path}/Denied");
    let world = World::new();
    world.create_organization(HUB);
    world.add_role(HUB, ROLE, None);
    let (listed, member) = ("111122223333", "222233334444");
    world.add_role(listed, &role, None);
    world.add_member(member, "production", "r-fake");
    world.add_role(member, &role, None);
    world.add_member("333344445555", "denied", "r-fake");
    world.add_denied_role("333344445555", &denied);
    let aws = FakeAws::start(world, "127.0.0.1:0").await.unwrap();
    // JSON is YAML, but serde_json writes the last of the characters as it is.
    let quoted = |text: String| serde_json::to_string(&text).unwrap().replace('\u{7f}', "\\u007f");
    let config = format!(
        "interval: 1s\nregions: [eu-west-1]\naccounts:\n  - profile: hub\n    assume_roles: [{{arn: {}}}]\n  - profile: hub\n    \
         assume_roles: [{{arn: {}}}]\norganization:\n  profile: hub\n  member_role: {}\n  exclude_accounts: ['{HUB}']\n",
        quoted(format!("arn:aws:iam::{listed}:role/{role}")),
        quoted(format!("arn:aws:iam::333344445555:role/{denied}")),
        quoted(format!(
            "arn:{{partition}}:iam::{{account_id}}:role/{}",
            role.replace('{', "{{").replace('}', "}}")
        )),
    );
    let exporter = Exporter::start_ready(&aws, &config).await;
    for account in [listed, member] {
        exporter.scrape_until(&up(account, "eu-west-1", 1)).await;
    }
    exporter.scrape_until(&up("333344445555", "eu-west-1", 0)).await;
    let roles = super::assumed_roles(aws.world());
    let expected = [listed, member].map(|account| format!("arn:aws:iam::{account}:role/{role}"));
    assert_eq!(roles.into_keys().collect::<Vec<_>>(), expected);

    // AWS repeats the ARN in its error.
    let page = exporter.get("/").await.body;
    let arn = format!("arn:aws:iam::333344445555:role/{denied}");
    let escaped = arn.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    assert!(page.contains(&escaped), "{page}");
    let document: serde_json::Value =
        serde_json::from_str(&exporter.get("/api/v1/status").await.body).unwrap();
    assert!(
        document.to_string().contains(&serde_json::to_string(&arn).unwrap().trim_matches('"').to_owned()),
        "{document}"
    );
}
