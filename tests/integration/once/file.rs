//! The file of `--output`: its permissions and its atomic replacement.

use std::collections::BTreeSet;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pretty_assertions::assert_eq;

use super::{Setup, entries, output_of};
use crate::exporter::{ACCOUNT, REGION, up};

/// Wraps the command in a shell that sets the umask.
fn with_umask(umask: &str, command: &Command) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.env_clear().args(["-c", &format!("umask {umask}; exec \"$0\" \"$@\"")]);
    shell.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        shell.env(name, value.unwrap());
    }
    shell
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_file_has_the_permissions_of_any_new_file() {
    let setup = Setup::in_regions(&[REGION]).await;
    let file = setup.output_directory().join("syncs.prom");
    for (umask, mode) in [("022", 0o644), ("027", 0o640)] {
        let mut once = setup.once();
        let once = with_umask(umask, once.arg("--output").arg(&file));
        let (status, out, err) = output_of(once).await;
        assert_eq!((status, out.as_str(), err.as_str()), (Some(0), "", ""));
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o7777, mode);
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.lines().any(|line| line == up(ACCOUNT, REGION, 1)), "{text}");
        assert_eq!(entries(&setup.output_directory()), ["syncs.prom"], "no temporary file is left");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_output_path_that_cannot_be_written_is_rejected_before_collecting() {
    let setup = Setup::in_regions(&[REGION]).await;
    let directory = setup.output_directory();
    symlink("nowhere", directory.join("dangling")).unwrap();
    let before = entries(&directory);
    for (name, error) in [
        ("missing/syncs.prom", "No such file or directory (os error 2)"),
        ("", "is a directory"),
        ("new/", "is a directory"),
        ("dangling", "No such file or directory (os error 2)"),
        ("/dev/null", "not a regular file"),
        ("/proc/syncs.prom", "No such file or directory (os error 2)"),
    ] {
        let file = directory.join(name);
        let mut once = setup.once();
        once.arg("--output").arg(&file);
        let (status, out, err) = output_of(once).await;
        assert_eq!((status, out.as_str()), (Some(1), ""));
        assert_eq!(err, format!("ssm-sync-exporter: cannot write {}: {error}\n", file.display()));
    }
    assert_eq!(entries(&directory), before);
    assert_eq!(setup.aws.world().calls("ListResourceDataSync"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_symbolic_link_stays_and_its_target_is_replaced() {
    let setup = Setup::in_regions(&[REGION]).await;
    let (link, file) = (setup.output_directory().join("syncs.prom"), setup.directory.path().join("real"));
    std::fs::write(&file, "old\n").unwrap();
    symlink(&file, &link).unwrap();
    let mut once = setup.once();
    once.arg("--output").arg(&link);
    assert_eq!(output_of(once).await.0, Some(0));
    assert!(link.is_symlink());
    assert!(std::fs::read_to_string(&file).unwrap().contains(&up(ACCOUNT, REGION, 1)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dash_means_stdout_and_other_paths_are_files() {
    let setup = Setup::in_regions(&[REGION]).await;
    let mut once = setup.once();
    once.args(["--output", "-"]).current_dir(setup.output_directory());
    let (status, out, _) = output_of(once).await;
    assert_eq!(status, Some(0));
    assert!(out.contains(&up(ACCOUNT, REGION, 1)), "{out}");
    assert!(entries(&setup.output_directory()).is_empty());
    let mut once = setup.once();
    once.args(["--output", "./-"]).current_dir(setup.output_directory());
    assert_eq!(output_of(once).await, (Some(0), String::new(), String::new()));
    assert_eq!(entries(&setup.output_directory()), ["-"]);
    let mut once = setup.once();
    once.args(["--output", "syncs.prom"]).current_dir(setup.output_directory());
    assert_eq!(output_of(once).await.0, Some(0));
    assert_eq!(entries(&setup.output_directory()).len(), 2, "a path without a directory");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_sees_the_whole_old_file_or_the_whole_new_one() {
    let setup = Setup::in_regions(&[REGION]).await;
    setup.add_many_syncs();
    let file = setup.output_directory().join("syncs.om");
    std::fs::write(&file, "old\n").unwrap();

    let done = Arc::new(AtomicBool::new(false));
    let reader = std::thread::spawn({
        let (done, file) = (Arc::clone(&done), file.clone());
        move || {
            let mut seen = BTreeSet::new();
            while !done.load(Ordering::Relaxed) {
                let text = std::fs::read_to_string(&file).unwrap();
                assert!(text == "old\n" || (text.starts_with("# ") && text.ends_with("\n# EOF\n")));
                seen.insert(text.len());
            }
            seen
        }
    });
    let mut written = BTreeSet::new();
    for _ in 0..4 {
        let mut once = setup.once();
        once.args(["--format", "openmetrics", "--output"]).arg(&file);
        assert_eq!(output_of(once).await.0, Some(0));
        written.insert(file.metadata().unwrap().len());
    }
    done.store(true, Ordering::Relaxed);
    let seen = reader.join().unwrap();
    assert!(seen.contains(&4) && seen.len() > 1, "{seen:?}");
    assert!(*written.first().unwrap() > 100_000, "{written:?}");
}
