//! Managed nodes in an independent implementation of EC2: moto lists its instances as managed nodes, as
//! `tests/python/moto_nodes.py` describes.

use fake_aws::{FakeAws, World};

use crate::organization::Moto;
use crate::tools;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn boto3_and_the_aws_cli_list_managed_nodes_of_the_fake_aws_as_those_of_moto() {
    let world = World::new();
    world.add_account("111122223333");
    world.add_account("222233334444");
    world.add_role("222233334444", "SsmSyncExporter", None);
    let fake = FakeAws::start(world, "127.0.0.1:0").await.unwrap();
    let moto = Moto::with_ssm(&fake).await;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/managed_nodes_test.py");
    let mut python = tools::python();
    python.arg(script).arg(fake.url()).arg(&moto.organization.url).env("PYTHONDONTWRITEBYTECODE", "1");
    let output = tokio::task::spawn_blocking(move || python.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{}", tools::written(&output));
    let summary = String::from_utf8_lossy(&output.stderr);
    assert!(summary.contains("Ran 11 tests"), "{summary}");
}
