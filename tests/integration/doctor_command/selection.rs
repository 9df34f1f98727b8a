//! `--account` and `--region`.

use pretty_assertions::assert_eq;
use serde_json::Value;

use super::{doctor, organization};
use crate::exporter::{ACCOUNT, ROLE, fake_organization};
use crate::once::{Setup, output_of};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_is_configured_by_its_id_is_found_without_listing_the_organization() {
    let account = format!(
        "accounts: [{{profile: hub, assume_roles: [{{arn: 'arn:aws:iam::{ACCOUNT}:role/{ROLE}'}}]}}]\n"
    );
    let setup = organization("[eu-west-1]", &account).await;
    let (status, out, _) = output_of(doctor(&setup, &["--account", ACCOUNT])).await;
    let document: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((status, document["summary"]["accounts"].as_u64()), (Some(0), Some(1)));
    assert_eq!(setup.aws().world().calls("ListAccounts"), 0);
    assert_eq!(setup.aws().world().calls("AssumeRole"), 1);
    // Only the organization has its name.
    let (status, out, _) = output_of(doctor(&setup, &["--account", "production"])).await;
    let document: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((status, document["summary"]["accounts"].as_u64()), (Some(0), Some(1)));
    assert_eq!(setup.aws().world().calls("ListAccounts"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_region_that_the_configuration_names_is_not_looked_up() {
    let setup = organization("[us-east-1, 'eu-west-?']", "").await;
    let (status, out, _) = output_of(doctor(&setup, &["--region", "us-east-1"])).await;
    assert_eq!(status, Some(0), "{out}");
    assert_eq!(setup.aws().world().calls("ListRegions"), 0);
    assert_eq!(setup.aws().world().calls("ListResourceDataSync"), 4);
    let (status, out, _) = output_of(doctor(&setup, &["--region", "eu-west-2", "--account", ACCOUNT])).await;
    assert_eq!(status, Some(0), "{out}");
    assert_eq!(setup.aws().world().calls("ListRegions"), 1);
    assert_eq!(setup.aws().world().calls("ListResourceDataSync"), 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_polled_is_a_usage_error_and_no_account_is_called() {
    let accounts = format!(
        "accounts:\n  - {{profile: hub, name: hub, regions: [sa-east-1]}}\n  - {{id: '{ACCOUNT}', name: prod, profile: hub}}\n"
    );
    let without_organization = format!("regions: [eu-west-1]\n{accounts}");
    let without_organization = Setup::with_config(fake_organization().await, &without_organization);
    let organization = organization("[us-east-1, 'eu-west-?']", "").await;
    for (setup, arguments, expected) in [
        (
            &organization,
            &["--account", "prodction"][..],
            "the account `prodction` is not polled; did you mean `production`?",
        ),
        (
            &organization,
            &["--account", "111122223334", "--account", ACCOUNT],
            "the account `111122223334` is not polled; did you mean `111122223333`?",
        ),
        (
            &organization,
            &["--account", "Production"],
            "the account `Production` is not polled; did you mean `production`?",
        ),
        (&organization, &["--account", ""], "the account `` is not polled"),
        (
            &organization,
            &["--region", "eu-central-1"],
            "the region `eu-central-1` is not polled; did you mean `eu-west-1`?",
        ),
        (
            &organization,
            &["--region", "eu-west-9"],
            "the region `eu-west-9` is not polled: no account has enabled it",
        ),
        (
            &without_organization,
            &["--account", "pord"],
            "the account `pord` is not polled; did you mean `prod`?; an account of the configuration without `id` can be \
             given only by its `name`",
        ),
        (
            &without_organization,
            &["--account", "hub", "--region", "eu-west-1"],
            "the account `hub` is not polled in eu-west-1",
        ),
    ] {
        for format in ["json", "table"] {
            let mut doctor = setup.command("doctor");
            doctor.args(["--format", format]).args(arguments);
            let (status, out, err) = output_of(doctor).await;
            assert_eq!(
                (status, out.as_str(), err),
                (Some(2), "", format!("ssm-sync-exporter: {expected}\n"))
            );
        }
    }
    assert_eq!(organization.aws().world().calls("ListResourceDataSync"), 0);
    assert_eq!(without_organization.aws().world().calls("ListResourceDataSync"), 0);
    assert_eq!(without_organization.aws().world().calls("AssumeRole"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shard_without_the_account_has_nothing_to_check() {
    let setup = organization("[eu-west-1]", "").await;
    let mut accounts = 0;
    for shard in ["--shard.index=0", "--shard.index=1"] {
        let (status, out, err) =
            output_of(doctor(&setup, &["--account", ACCOUNT, shard, "--shard.total=2"])).await;
        assert_eq!((status, err.as_str()), (Some(0), ""));
        let document: Value = serde_json::from_str(&out).unwrap();
        accounts += document["summary"]["accounts"].as_u64().unwrap();
    }
    assert_eq!(accounts, 1);
}
