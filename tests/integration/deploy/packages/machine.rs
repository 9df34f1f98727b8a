//! A clean Debian below a directory.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use super::succeed;
use crate::tools;

/// Records what it is called with.
const SYSTEMCTL: &str = "#!/bin/sh\necho \"$*\" >>/systemctl\n";

/// The systemd that a [`Machine`] runs.
#[derive(Clone, Copy)]
pub(super) enum Systemd {
    /// A `systemctl` that records its calls, below the directory by which scripts recognize systemd.
    Running,
    /// As in a chroot or in the build of an image.
    NotRunning,
}

pub(super) struct Machine {
    root: TempDir,
}

impl Machine {
    pub(super) fn new(systemd: Systemd) -> Self {
        let machine = Self { root: tempfile::tempdir().unwrap() };
        succeed(
            as_root("tar")
                // The configuration of dpkg that saves space would also apply to the package.
                .args(["--extract", "--exclude=./dev/*", "--exclude=./etc/dpkg/dpkg.cfg.d/*", "--file"])
                .arg(tools::debian_root())
                .arg("--directory")
                .arg(machine.root.path()),
        );
        // The test may not be allowed to create devices. Nothing here reads from this one.
        fs::write(machine.path("/dev/null"), "").unwrap();
        fs::write(machine.path("/usr/bin/systemctl"), SYSTEMCTL).unwrap();
        fs::set_permissions(machine.path("/usr/bin/systemctl"), fs::Permissions::from_mode(0o755)).unwrap();
        if let Systemd::Running = systemd {
            fs::create_dir_all(machine.path("/run/systemd/system")).unwrap();
        }
        machine
    }

    pub(super) fn root(&self) -> &Path {
        self.root.path()
    }

    /// The path below the root of the machine.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.root().join(path.trim_start_matches('/'))
    }

    pub(super) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    pub(super) fn exists(&self, path: &str) -> bool {
        self.path(path).symlink_metadata().is_ok()
    }

    /// The mode, the user and the group of a file, for example `640 root:ssm-sync-exporter`.
    pub(super) fn access(&self, path: &str) -> String {
        let metadata = self.path(path).metadata().unwrap_or_else(|error| panic!("{path}: {error}"));
        let name = |database: &str, id: u32| {
            let id = id.to_string();
            let entries = self.read(database);
            let mut entries = entries.lines().map(|line| line.split(':').collect::<Vec<_>>());
            entries.find(|entry| entry[2] == id).map_or(id.clone(), |entry| entry[0].to_owned())
        };
        let (user, group) = (name("/etc/passwd", metadata.uid()), name("/etc/group", metadata.gid()));
        format!("{:o} {user}:{group}", metadata.mode() & 0o7777)
    }

    /// A command on the machine.
    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = as_root("chroot");
        command.arg(self.root()).arg(program);
        command.env_clear().env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command.env("DEBIAN_FRONTEND", "noninteractive").stdin(std::process::Stdio::null());
        command
    }

    /// A command on the machine as another user.
    pub(super) fn command_as(&self, user: &str, program: &str) -> Command {
        let mut command = self.command("setpriv");
        command.args([format!("--reuid={user}").as_str(), "--regid", user, "--init-groups", program]);
        command
    }

    /// Copies a file to the machine. Returns its path there.
    pub(super) fn copy(&self, file: &Path) -> String {
        let path = format!("/srv/{}", file.file_name().unwrap().to_str().unwrap());
        fs::copy(file, self.path(&path)).unwrap();
        path
    }

    /// The calls of `systemctl` since the last time.
    pub(super) fn systemctl_calls(&self) -> Vec<String> {
        let calls = fs::read_to_string(self.path("/systemctl")).unwrap_or_default();
        fs::write(self.path("/systemctl"), "").unwrap();
        calls.lines().map(str::to_owned).collect()
    }

    /// Runs a program on the machine. Panics if it fails.
    pub(super) fn run(&self, program: &str, arguments: &[&str]) -> Output {
        succeed(self.command(program).args(arguments))
    }
}

/// A program with the rights of root, at least below directories of the test.
pub(super) fn as_root(program: &str) -> Command {
    if rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--map-auto", "--", program]);
    command
}
