//! The file of a recording, and the flags.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::time::Duration;

use fake_aws::{Fault, FaultRule};
use pretty_assertions::assert_eq;

use super::{record, recording_path};
use crate::exporter::{ACCOUNT, REGION, fake_aws, one_target, up};
use crate::once::{Setup, entries, output_of};
use crate::process::{program, run, send_signal};
use crate::tools;

async fn setup() -> Setup {
    Setup::with_config(fake_aws().await, &one_target())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_owner_can_read_a_recording_even_if_it_replaces_another_file() {
    let setup = setup().await;
    let directory = setup.output_directory();
    std::fs::write(recording_path(&directory), "old").unwrap();
    std::fs::set_permissions(recording_path(&directory), std::fs::Permissions::from_mode(0o666)).unwrap();
    let (status, out, err, recording) = record(setup.once(), &directory).await;
    assert_eq!((status, err.as_str()), (Some(0), ""));
    assert!(out.contains(&up(ACCOUNT, REGION, 1)), "{out}");
    let mode = recording_path(&directory).metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    assert_eq!(entries(&directory), ["recording.ndjson"]);
    assert!(recording.text.starts_with("{\"ssm_sync_exporter_recording\":1,"), "{}", recording.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_path_that_cannot_be_written_is_rejected_before_collecting() {
    let setup = setup().await;
    let directory = setup.output_directory();
    symlink("nowhere", directory.join("link")).unwrap();
    let results = directory.join("results");
    let config = setup.directory().join("config.yaml");
    let link = "it is a symbolic link; name the file that it points to";
    for (path, error) in [
        ("-".into(), "a recording is not written to stdout; name a file"),
        (directory.join("link"), link),
        (directory.clone(), "is a directory"),
        (directory.join("missing/x"), "No such file or directory (os error 2)"),
        ("/dev/null".into(), "not a regular file"),
        (results.clone(), "it is also the file of --output; name another one"),
        (config.clone(), "it is also the file of --config.file; name another one"),
    ] {
        let mut once = setup.once();
        once.arg("--output").arg(&results).arg("--record").arg(&path);
        let (status, out, err) = output_of(once).await;
        let error = format!("ssm-sync-exporter: cannot write the recording {}: {error}\n", path.display());
        assert_eq!((status, out.as_str(), err), (Some(1), "", error));
    }
    assert_eq!(entries(&directory), ["link"]);
    assert!(std::fs::read_to_string(config).unwrap().contains("interval"));
    assert_eq!(setup.aws().world().calls("ListResourceDataSync"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_left_of_a_recording_that_is_not_completed() {
    let setup = setup().await;
    let directory = setup.output_directory();
    let path = recording_path(&directory);
    // An invalid configuration is found after the file was created.
    let mut once = setup.once();
    once.env("SSM_SYNC_EXPORTER_REGIONS", "[cn-north-1]").arg("--record").arg(&path);
    let (status, _, err) = output_of(once).await;
    assert_eq!(status, Some(2), "{err}");
    assert!(entries(&directory).is_empty());
    // A signal interrupts the run.
    setup.aws().world().set_faults(vec![FaultRule::new(Fault::Stall).operation("ListResourceDataSync")]);
    let mut once = setup.once();
    let process = tools::KillOnDrop(once.arg("--record").arg(&path).spawn().unwrap());
    setup.wait_for_calls(1).await;
    assert_eq!(entries(&directory).len(), 1);
    send_signal("TERM", &process);
    let mut process = process;
    let status = tokio::task::spawn_blocking(move || process.0.wait().unwrap()).await.unwrap();
    assert_eq!(status.code(), Some(1));
    tokio::time::sleep(Duration::ZERO).await;
    assert!(entries(&directory).is_empty());
}

#[test]
fn only_once_records() {
    for (arguments, error) in [
        (&["--record", "x"][..], "--record requires the command `once`"),
        (&["serve", "--record", "x"], "--record requires the command `once`"),
        (
            &["once", "--record.raw"],
            "the following required arguments were not provided: --record <FILE>; see --help",
        ),
        (
            &["once", "--record"],
            "a value is required for '--record <FILE>' but none was supplied; see --help",
        ),
    ] {
        let (status, out, err) = run(program().args(arguments));
        assert_eq!((status, out.as_str()), (Some(2), ""));
        assert_eq!(err, format!("ssm-sync-exporter: {error}\n"), "{arguments:?}");
    }
}
