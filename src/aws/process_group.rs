//! Kills the processes of a group, and waits for those that this process has inherited.
//!
//! A process whose parent has ended becomes a child of process 1. In a container, that may be the
//! exporter. A child that ends stays in the process table until its parent waits for it.

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, WaitOptions, kill_process_group, waitpgid};
use tokio::process::Child;

/// The groups that have been killed, and may have processes that this process must wait for.
#[derive(Debug, Default)]
pub(super) struct KilledGroups(Mutex<Vec<Pid>>);

impl KilledGroups {
    /// The group whose leader is `child`.
    pub(super) fn group_of(&self, child: &Child) -> ProcessGroup<'_> {
        let leader = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        ProcessGroup { leader, killed: self }
    }

    /// Waits for the processes that have ended, without blocking. Called before the next process
    /// is started, so that only those of the last group are left.
    pub(super) fn reap(&self) {
        self.0.lock().retain(|group| {
            loop {
                match waitpgid(*group, WaitOptions::NOHANG) {
                    Ok(Some(_ended)) => {}
                    // Some have not ended yet.
                    Ok(None) => return true,
                    // This process has no child in the group.
                    Err(_) => return false,
                }
            }
        });
    }
}

/// Kills the processes of a group when dropped.
#[derive(Debug)]
pub(super) struct ProcessGroup<'a> {
    leader: Option<Pid>,
    killed: &'a KilledGroups,
}

impl Drop for ProcessGroup<'_> {
    fn drop(&mut self) {
        // The group is dropped at the latest immediately after the leader has been waited
        // for, so its id cannot have been given to another group yet.
        if let Some(group) = self.leader {
            // Fails if no process of the group is left.
            let _killed = kill_process_group(group, Signal::KILL);
            self.killed.0.lock().push(group);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use rustix::process::{getpid, set_child_subreaper, test_kill_process};
    use tokio::io::AsyncReadExt as _;
    use tokio::process::Command;

    use super::*;

    /// Regression test: as process 1 of a container, the exporter kept a zombie for each child of a
    /// process that it had killed.
    #[tokio::test]
    async fn no_zombie_of_an_inherited_process_is_left() {
        // Other tests should not inherit orphans, so this one runs in a process of its own.
        const IS_SEPARATE: &str = "TEST_ORPHANS";
        if std::env::var_os(IS_SEPARATE).is_none() {
            let (_crate, module) = module_path!().split_once("::").unwrap();
            let test = format!("{module}::no_zombie_of_an_inherited_process_is_left");
            let mut command = Command::new(std::env::current_exe().unwrap());
            let output = command.args(["--exact", &test]).env(IS_SEPARATE, "1").output().await.unwrap();
            let report = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(output.status.success() && report.contains("1 passed"), "{report}");
            return;
        }
        // This process inherits orphans, as process 1 does.
        set_child_subreaper(Some(getpid())).unwrap();
        let killed = KilledGroups::default();
        let mut child = Command::new("sh")
            .args(["-c", "sleep 1000 & echo $!"])
            .stdout(std::process::Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let group = killed.group_of(&child);
        let mut pid = [0; 16];
        let length = child.stdout.take().unwrap().read(&mut pid).await.unwrap();
        let orphan = str::from_utf8(&pid[..length]).unwrap().trim().parse().unwrap();
        let orphan = Pid::from_raw(orphan).unwrap();
        child.wait().await.unwrap();
        drop(group);
        let deadline = Instant::now() + Duration::from_secs(20);
        while test_kill_process(orphan).is_ok() {
            assert!(Instant::now() < deadline, "the orphan is left");
            killed.reap();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        killed.reap();
        assert!(killed.0.lock().is_empty());
    }
}
