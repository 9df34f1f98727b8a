//! Tests of signals that stop the program.

use std::time::Duration;

use pretty_assertions::assert_eq;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::exporter::{REGION, fake_aws};
use crate::process::{ExporterProcess, program, with_ambient_credentials};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_stops_the_program_immediately() {
    let aws = fake_aws().await;
    let mut command = program();
    let running =
        ExporterProcess::start(with_ambient_credentials(&mut command, &aws).env("AWS_REGION", REGION));
    let mut stalled = TcpStream::connect(running.address).await.unwrap();
    stalled.write_all(b"GET /metr").await.unwrap();
    running.metrics().await;
    running.send_signal("TERM");
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (status, took, log) = running.stop("TERM");
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.ends_with("ssm-sync-exporter: aborted by a second signal\n"), "{log}");
    assert!(
        took < Duration::from_secs(4),
        "without the second signal it would wait five seconds for the client"
    );
}
