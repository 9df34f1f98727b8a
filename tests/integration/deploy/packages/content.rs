//! What is in the packages: files, modes, metadata and scripts.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use pretty_assertions::assert_eq;

use super::super::{installation, place, succeed, systemd};
use super::{ARCHITECTURE, BINARY, EPOCH, NEXT, build, packages, without_comments};
use crate::tools;

/// The files of both packages: mode, owner and path.
const FILES: &str = "\
-rw-r--r-- root/root /usr/lib/systemd/system/ssm-sync-exporter.service
-rw-r--r-- root/root /usr/lib/systemd/system/ssm-sync-exporter.socket
-rw-r--r-- root/root /usr/lib/sysusers.d/ssm-sync-exporter.conf
-rw-r--r-- root/root /usr/share/bash-completion/completions/ssm-sync-exporter
-rw-r--r-- root/root /usr/share/doc/ssm-sync-exporter/UPGRADING.md
-rw-r--r-- root/root /usr/share/doc/ssm-sync-exporter/examples/full.yaml
-rw-r--r-- root/root /usr/share/doc/ssm-sync-exporter/examples/govcloud.yaml
-rw-r--r-- root/root /usr/share/doc/ssm-sync-exporter/examples/minimal.yaml
-rw-r--r-- root/root /usr/share/doc/ssm-sync-exporter/examples/organization.yaml
-rw-r--r-- root/root /usr/share/doc/ssm-sync-exporter/examples/ssm-sync-exporter.schema.json
-rw-r--r-- root/root /usr/share/fish/vendor_completions.d/ssm-sync-exporter.fish
-rw-r--r-- root/root /usr/share/man/man1/ssm-sync-exporter.1.gz
-rwxr-xr-x root/root /usr/bin/ssm-sync-exporter
";

/// The files of the deb package alone. The group of the configuration does not exist before its
/// installation.
const DEB_FILES: &str = "\
-rw-r----- root/root /etc/ssm-sync-exporter/config.yaml
-rw-r--r-- root/root /usr/share/doc/ssm-sync-exporter/changelog.Debian.gz
-rw-r--r-- root/root /usr/share/doc/ssm-sync-exporter/changelog.gz
-rw-r--r-- root/root /usr/share/doc/ssm-sync-exporter/copyright
-rw-r--r-- root/root /usr/share/lintian/overrides/ssm-sync-exporter
-rw-r--r-- root/root /usr/share/zsh/vendor-completions/_ssm-sync-exporter
drwxr-x--- root/root /etc/ssm-sync-exporter/
";

/// The files of the rpm package alone.
const RPM_FILES: &str = "\
-rw-r----- root/ssm-sync-exporter /etc/ssm-sync-exporter/config.yaml
-rw-r--r-- root/root /usr/share/doc/ssm-sync-exporter/CHANGELOG.md
-rw-r--r-- root/root /usr/share/licenses/ssm-sync-exporter/LICENSE
-rw-r--r-- root/root /usr/share/zsh/site-functions/_ssm-sync-exporter
drwxr-x--- root/ssm-sync-exporter /etc/ssm-sync-exporter
drwxr-xr-x root/root /usr/share/doc/ssm-sync-exporter
drwxr-xr-x root/root /usr/share/doc/ssm-sync-exporter/examples
drwxr-xr-x root/root /usr/share/licenses/ssm-sync-exporter
";

fn sorted(lines: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut lines: Vec<String> = lines.into_iter().collect();
    lines.sort();
    lines
}

fn expected(own: &str) -> Vec<String> {
    sorted(FILES.lines().chain(own.lines()).map(str::to_owned))
}

fn output(command: &mut Command) -> String {
    String::from_utf8(succeed(command).stdout).unwrap()
}

/// What `rpm` prints about a package for a format.
fn query(package: &Path, format: &str) -> String {
    output(tools::rpm().args(["--query", "--package", "--queryformat", format]).arg(package))
}

/// Unpacks a deb package.
fn unpacked(package: &Path) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    succeed(Command::new("dpkg-deb").arg("--raw-extract").args([package, directory.path()]));
    directory
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn the_deb_package_has_the_expected_files() {
    let listed = output(Command::new("dpkg-deb").env("TZ", "UTC").arg("--contents").arg(packages().deb()));
    let mut files = Vec::new();
    for line in listed.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [mode, owner, _, date, _, path] = fields[..] else { panic!("{line}") };
        assert_eq!(date, "2026-09-21", "{line}");
        let path = path.trim_start_matches('.');
        // Directories that every system has or that other packages share.
        let shared = mode == "drwxr-xr-x" && owner == "root/root";
        if !shared {
            files.push(format!("{mode} {owner} {path}"));
        }
    }
    assert_eq!(sorted(files), expected(DEB_FILES));
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn the_rpm_package_has_the_expected_files() {
    let format = "[%{FILEMODES:perms} %{FILEUSERNAME}/%{FILEGROUPNAME} %{FILENAMES}\\n]";
    let files = query(&packages().rpm(), format);
    assert_eq!(sorted(files.lines().map(str::to_owned)), expected(RPM_FILES));
    let times = query(&packages().rpm(), "[%{FILEMTIMES}\\n]%{BUILDTIME}\\n");
    assert!(times.lines().all(|time| time == EPOCH), "{times}");
    // Flags: c is a configuration file, n is "noreplace".
    let flags = query(&packages().rpm(), "[%{FILEFLAGS:fflags} %{FILENAMES}\\n]");
    let flags: Vec<&str> = flags.lines().filter(|line| line.contains("/etc/")).collect();
    assert_eq!(flags, [" /etc/ssm-sync-exporter", "cn /etc/ssm-sync-exporter/config.yaml"]);
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn both_packages_describe_themselves_alike() {
    let packages = packages();
    let version = &packages.version;
    let deb = output(Command::new("dpkg-deb").arg("--field").arg(packages.deb()));
    let deb: BTreeMap<&str, &str> = deb.lines().filter_map(|line| line.split_once(": ")).collect();
    assert_eq!(deb["Package"], "ssm-sync-exporter");
    assert_eq!(deb["Version"], format!("{version}-1"));
    assert_eq!(deb["Architecture"], ARCHITECTURE);
    // As in the archive, `.ci/release` checks that the binary of a release needs no newer one.
    assert!(deb["Depends"].starts_with("libc6 (>= 2."), "{}", deb["Depends"]);
    assert!(deb["Depends"].ends_with("systemd | systemd-standalone-sysusers | systemd-sysusers"));

    let rpm = query(&packages.rpm(), "%{NAME} %{VERSION}-%{RELEASE} %{LICENSE}\\n%{URL}\\n%{SUMMARY}\\n");
    let rpm: Vec<&str> = rpm.lines().collect();
    assert_eq!(
        rpm,
        [&format!("ssm-sync-exporter {version}-1 Apache-2.0"), deb["Homepage"], deb["Description"]]
    );
    let requirements = output(tools::rpm().args(["--query", "--package", "--requires"]).arg(packages.rpm()));
    for requirement in ["/usr/bin/systemd-sysusers", "libc.so.6(GLIBC_2.34)(64bit)"] {
        assert!(requirements.lines().any(|line| line == requirement), "{requirements}");
    }
    // Without certificates of authorities no call of AWS succeeds.
    assert_eq!(deb["Recommends"], "ca-certificates");
    assert_eq!(query(&packages.rpm(), "[%{RECOMMENDNAME}\\n]").trim(), "ca-certificates");
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn the_deb_package_passes_lintian() {
    let mut lintian = tools::lintian();
    let output = succeed(
        lintian
            .args(["--no-cfg", "--allow-root", "--fail-on=error,warning", "--display-info"])
            .arg(packages().deb()),
    );
    let tags = String::from_utf8(output.stdout).unwrap();
    assert!(!tags.contains("unused-override"), "{tags}");
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn the_rpm_package_passes_rpmlint() {
    let exceptions = "deploy/packages/rpmlintrc";
    let output =
        self::output(tools::rpmlint().arg("--rpmlintrc").args([place(exceptions), packages().rpm()]));
    assert!(output.contains("1 packages and 0 specfiles checked; 0 errors, 0 warnings"), "{output}");
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn the_units_of_the_packages_pass_systemd_analyze() {
    let unpacked = unpacked(&packages().deb());
    let unit = |name: &str| {
        let path = unpacked.path().join("usr/lib/systemd/system").join(name);
        (name.to_owned(), fs::read_to_string(path).unwrap())
    };
    let service = unit("ssm-sync-exporter.service");
    for line in service.1.lines().filter(|line| line.contains("ssm-sync-exporter serve")) {
        assert!(line.contains("=/usr/bin/ssm-sync-exporter "), "{line}");
    }
    systemd::verify(&[service, unit("ssm-sync-exporter.socket")]);
    systemd::check_exposure(&unpacked.path().join("usr/lib/systemd/system/ssm-sync-exporter.service"));
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn a_package_installs_what_the_steps_for_systemd_install() {
    let unpacked = unpacked(&packages().deb());
    let mut compared = 0;
    for (path, contents) in installation::files_of_the_steps_for_systemd() {
        let packaged = path
            .replace("/etc/systemd/system/", "/usr/lib/systemd/system/")
            .replace("/etc/sysusers.d/", "/usr/lib/sysusers.d/");
        let packaged = unpacked.path().join(packaged.trim_start_matches('/'));
        let packaged = fs::read_to_string(&packaged).unwrap();
        if path == "/etc/ssm-sync-exporter/config.yaml" {
            // Comments name other paths.
            assert_eq!(without_comments(&packaged), without_comments(&contents), "{path}");
        } else {
            assert_eq!(packaged, contents, "{path}");
        }
        compared += 1;
    }
    assert_eq!(compared, 4);
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn pre_releases_sort_before_their_release() {
    let candidate = build(&place(""), "1.0.0-rc-2.1", Path::new("/bin/true"));
    let deb = output(Command::new("dpkg-deb").arg("--field").arg(candidate.deb()).arg("Version"));
    assert_eq!(deb.trim(), "1.0.0~rc.2.1-1");
    for other in ["1.0.0-1", "1.0.0~rc.10-1"] {
        succeed(Command::new("dpkg").args(["--compare-versions", deb.trim(), "lt", other]));
    }
    assert_eq!(query(&candidate.rpm(), "%{VERSION}"), "1.0.0~rc.2.1");
    let compared = output(tools::rpm().args(["--eval", "%{lua:print(rpm.vercmp('1.0.0~rc.2.1', '1.0.0'))}"]));
    assert_eq!(compared.trim(), "-1");
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn packages_are_reproducible() {
    // A small program, to save time.
    let input = tempfile::tempdir().unwrap();
    for name in
        ["ssm-sync-exporter.1", "ssm-sync-exporter.bash", "_ssm-sync-exporter", "ssm-sync-exporter.fish"]
    {
        fs::write(input.path().join(name), name).unwrap();
    }
    let build = |environment: &str| {
        let directory = tempfile::tempdir().unwrap();
        let script = format!("{environment}; exec \"$@\"");
        succeed(
            Command::new("bash")
                .args(["-c", &script, "bash"])
                .arg(place("deploy/packages/build"))
                .args([NEXT, "/bin/true"])
                .args([input.path(), directory.path()])
                .env("SOURCE_DATE_EPOCH", EPOCH)
                .current_dir("/"),
        );
        ["deb", "rpm"].map(|extension| {
            let name = format!("ssm-sync-exporter-{NEXT}.linux-{ARCHITECTURE}.{extension}");
            fs::read(directory.path().join(name)).unwrap()
        })
    };
    let one = build("umask 022; export TZ=UTC HOME=/");
    let other = build("umask 077; export TZ=Asia/Kolkata LANG=C.UTF-8 USER=somebody HOSTNAME=other");
    assert!(one[0] == other[0], "the deb packages differ");
    assert!(one[1] == other[1], "the rpm packages differ");
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn the_build_rejects_wrong_input() {
    let error = |arguments: &[&str], epoch: Option<&str>| {
        let mut build = Command::new(place("deploy/packages/build"));
        build.args(arguments).current_dir("/").env_remove("SOURCE_DATE_EPOCH");
        let output = build.envs(epoch.map(|epoch| ("SOURCE_DATE_EPOCH", epoch))).output().unwrap();
        assert!(!output.status.success(), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap().lines().last().unwrap().to_owned()
    };
    let all = ["1.2.3", BINARY, "/tmp", "/tmp"];
    assert_eq!(error(&all, None), "deploy/packages/build: SOURCE_DATE_EPOCH is not set");
    let usage = "deploy/packages/build: wrong number of arguments; see the usage at the top of this script";
    assert_eq!(error(&all[..3], Some(EPOCH)), usage);
    for version in ["", "v1.2.3", "1.2", "1.2.3-", "1.2.3 "] {
        let message = format!("deploy/packages/build: '{version}' is not a version");
        assert_eq!(error(&[version, BINARY, "/tmp", "/tmp"], Some(EPOCH)), message);
    }
    assert_eq!(
        error(&["1.2.3", "/no/such/program", "/tmp", "/tmp"], Some(EPOCH)),
        "deploy/packages/build: the binary /no/such/program does not exist"
    );
}
