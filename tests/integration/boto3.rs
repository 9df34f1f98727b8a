//! Tests the fake AWS of the other tests with boto3, the AWS SDK for Python, which is
//! independent of the SDK that the exporter uses.

use std::time::Duration;

use fake_aws::{FakeAws, RunSchedule, World};

use crate::tools;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn boto3_works_with_the_fake_aws() {
    let world = World::new();
    world.add_account("111122223333");
    world.add_account("222233334444");
    world.add_role("222233334444", "SsmSyncExporter", Some("right-id"));
    organization(&world);
    world.set_region("111122223333", "ap-east-1", "ENABLED");
    world
        .set_run_schedule(RunSchedule { duration: Duration::from_secs(2), interval: Duration::from_secs(6) });
    let aws = FakeAws::start(world, "127.0.0.1:0").await.unwrap();

    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/fake_aws_test.py");
    let mut python = tools::python();
    python.arg(script).arg(aws.url());
    let output = tokio::task::spawn_blocking(move || python.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{}", tools::written(&output));
    let summary = String::from_utf8_lossy(&output.stderr);
    assert!(summary.contains("Ran 18 tests"), "{summary}");
}

/// Creates the organization that the script's docstring describes.
fn organization(world: &World) {
    world.create_organization("999900000000");
    for (unit, parent) in [
        ("ou-fake-00000001", "r-fake"),
        ("ou-fake-00000002", "ou-fake-00000001"),
        ("ou-fake-00000003", "ou-fake-00000001"),
    ] {
        world.add_unit(unit, parent);
    }
    for number in 0..24 {
        world.add_member(&format!("1000000000{number:02}"), &format!("member-{number}"), "r-fake");
    }
    world.add_member("200000000001", "suspended", "ou-fake-00000001");
    world.set_account_state("200000000001", Some("SUSPENDED"), Some("SUSPENDED"));
    world.add_member("200000000002", "without a state", "ou-fake-00000002");
    world.set_account_state("200000000002", None, Some("ACTIVE"));
    world.add_member("200000000003", "without a status", "ou-fake-00000003");
    world.set_account_state("200000000003", Some("CLOSED"), None);
    world.add_member("200000000004", "left", "r-fake");
    world.remove_member("200000000004");
    world.add_delegated_administrator("100000000001");
}
