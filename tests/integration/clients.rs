//! AWS's own client against fake-aws: what the exporter is tested with must
//! itself be what AWS is.

use std::time::Duration;

use fake_aws::{FakeAws, Rhythm, World};

use crate::tools;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn boto3_finds_aws_in_fake_aws() {
    let world = World::new();
    world.add_account("111122223333");
    world.add_account("222233334444");
    world.add_role("222233334444", "SsmSyncExporter", Some("right-id"));
    world.set_rhythm(Rhythm { takes: Duration::from_secs(2), every: Duration::from_secs(6) });
    let aws = FakeAws::start(world, "127.0.0.1:0").await.unwrap();

    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/fake_aws_test.py");
    let mut python = tools::python();
    python.arg(script).arg(aws.url());
    let output = tokio::task::spawn_blocking(move || python.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{}", tools::written(&output));
    let ran = String::from_utf8_lossy(&output.stderr);
    assert!(ran.contains("Ran 11 tests"), "{ran}");
}
