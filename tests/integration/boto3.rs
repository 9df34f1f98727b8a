//! Tests the fake AWS of the other tests with boto3, the AWS SDK for Python, which is
//! independent of the SDK that the exporter uses.

use std::time::Duration;

use fake_aws::{FakeAws, RunSchedule, World};

use crate::process::{program, run};
use crate::tools;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn boto3_works_with_the_fake_aws() {
    let world = World::new();
    world.add_account("111122223333");
    world.add_account("222233334444");
    world.add_role("222233334444", "SsmSyncExporter", Some("right-id"));
    world.add_role("222233334444", "Audit", None);
    organization(&world);
    world.set_region("111122223333", "ap-east-1", "ENABLED");
    world
        .set_run_schedule(RunSchedule { duration: Duration::from_secs(2), interval: Duration::from_secs(6) });
    let aws = FakeAws::start(world, "127.0.0.1:0").await.unwrap();

    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/fake_aws_test.py");
    let mut python = tools::python();
    python.arg(script).arg(aws.url()).env("PYTHONDONTWRITEBYTECODE", "1");
    let output = tokio::task::spawn_blocking(move || python.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{}", tools::written(&output));
    let summary = String::from_utf8_lossy(&output.stderr);
    assert!(summary.contains("Ran 20 tests"), "{summary}");
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

/// The exporter reads profiles that the AWS CLI, and therefore boto3, reads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn the_exporter_reads_profiles_as_boto3_does() {
    let directory = tempfile::tempdir().unwrap();
    let (file, empty) = (directory.path().join("config"), directory.path().join("empty"));
    std::fs::write(&empty, "").unwrap();
    for (text, profile) in [
        ("[profile x]\n  region = eu-west-1\n  output = json\n", "x"),
        ("  [profile x]\n  region = eu-west-1\n", "x"),
        ("[profile \"my team\"]\nregion = eu-west-1\n", "my team"),
        ("[profile 'x']\nregion = eu-west-1\n", "x"),
        ("[profile tëam]\nregion = eu-west-1\n", "tëam"),
        ("[profile x] # comment\nregion: eu-west-1\n", "x"),
        ("[profile x]\r  region = eu-west-1\r", "x"),
        ("[profile x]\n  # comment\n\tregion\u{a0}=\u{a0}eu-west-1\n", "x"),
        ("[profile x]\n  s3 =\n    region = nope\n  region = eu-west-1\n", "x"),
        ("[profile x]\n s3 =\n  region = nope\n region = eu-west-1\n", "x"),
        ("[profile my team]\nregion = eu-west-1\n", "my team"),
        ("[x]\nregion = eu-west-1\n", "x"),
        ("[profile x]\noutput = json\n  region = eu-west-1\n", "x"),
        ("[profile x]\ns3 =\n  region = eu-west-1\n", "x"),
    ] {
        std::fs::write(&file, text).unwrap();
        let environment = [
            ("AWS_CONFIG_FILE", file.as_os_str()),
            ("AWS_SHARED_CREDENTIALS_FILE", empty.as_os_str()),
            ("AWS_PROFILE", profile.as_ref()),
        ];
        let mut python = tools::python();
        python.env_remove("AWS_REGION").env_remove("AWS_DEFAULT_REGION").envs(environment);
        python.args(["-c", "import boto3, sys; sys.exit(boto3.Session().region_name != 'eu-west-1')"]);
        let output = tokio::task::spawn_blocking(move || python.output().unwrap()).await.unwrap();
        let (status, _, stderr) = run(program().arg("--config.check").envs(environment));
        assert_eq!(
            status == Some(0),
            output.status.success(),
            "{text:?}: {stderr}{}",
            tools::written(&output)
        );
    }
}
