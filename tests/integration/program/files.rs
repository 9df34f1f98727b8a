//! Tests of what the paths in flags and in the configuration may lead to: regular files at start and
//! at each reload, and at start pipes that a shell passes.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use pretty_assertions::assert_eq;

use crate::exporter::REGION;
use crate::process::{ExporterProcess, program, run};
use crate::web_security::{TLS, WebFiles};

/// Waits until the log has this many lines with `text`, and returns the last.
async fn log_line(running: &ExporterProcess, text: &str, count: usize) -> String {
    for _ in 0..1500 {
        let log = running.log();
        let lines: Vec<_> = log.lines().filter(|line| line.contains(text)).collect();
        if lines.len() == count {
            return lines[count - 1].to_owned();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("timed out waiting for {text}: {}", running.log());
}

fn replace_by_pipe(file: &Path) {
    std::fs::remove_file(file).unwrap();
    assert!(Command::new("mkfifo").arg(file).status().unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_replaced_by_a_pipe_fails_the_reload_and_not_the_next_one() {
    // Regression: the reload waited for a process that writes to the pipe, and so did all later
    // reloads.
    const FAILED: &str = "message=\"configuration reload failed";
    let files = WebFiles::new(TLS);
    let directory = files.directory();
    let config = directory.join("config.yaml");
    let expectations = "expectations: [{name: a, request_file: request.json}]\n";
    std::fs::write(directory.join("request.json"), r#"{"SyncName": "a"}"#).unwrap();
    std::fs::write(directory.join("aws"), "").unwrap();
    let aws = format!("aws: {{shared_config_file: '{}'}}\n", directory.join("aws").display());
    std::fs::write(&config, format!("regions: [{REGION}]\n{expectations}{aws}")).unwrap();
    let running = ExporterProcess::start(
        program().arg("--config.file").arg(&config).arg("--web.config.file").arg(directory.join("web.yaml")),
    );

    let names = ["config.yaml", "request.json", "aws", "web.yaml", "server.crt", "server.key"];
    for (index, name) in names.into_iter().enumerate() {
        let file = directory.join(name);
        let original = std::fs::read(&file).unwrap();
        replace_by_pipe(&file);
        running.send_signal("HUP");
        // The web configuration is also read when its files have changed, which logs the error, too.
        let error = log_line(&running, FAILED, index + 1).await;
        let expected = format!("{name}: it is a pipe; expected a regular file");
        assert!(error.contains(&expected), "{error}");
        std::fs::remove_file(&file).unwrap();
        std::fs::write(&file, original).unwrap();
        running.send_signal("HUP");
        log_line(&running, "\"configuration reloaded\"", index + 1).await;
    }
    let (status, _, log) = running.stop("TERM");
    assert_eq!(status.code(), Some(0), "{log}");
}

#[test]
fn a_pipe_or_a_device_in_place_of_a_file_is_an_error_at_start() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.yaml");
    std::fs::write(&file, "").unwrap();
    replace_by_pipe(&file);
    for (path, found) in [(file.to_str().unwrap(), "a pipe"), ("/dev/zero", "a device"), ("/", "a directory")]
    {
        let expected = format!(
            "ssm-sync-exporter: cannot read the configuration file {path}: it is {found}; expected a regular file\n"
        );
        for flag in ["--config.file", "--web.config.file"] {
            let (status, out, err) = run(program().args(["--config.check", flag, path]));
            assert_eq!((status, out.as_str(), &err), (Some(2), "", &expected));
        }
    }
}

#[test]
fn a_configuration_can_be_piped_to_the_program() {
    let check = |path: &str, text: &[u8]| {
        let mut command = program();
        command.args(["--config.check", "--config.file", path]);
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        process.stdin.take().unwrap().write_all(text).unwrap();
        let output = process.wait_with_output().unwrap();
        let out = String::from_utf8(output.stdout).unwrap();
        let verdict = out.split_inclusive('\n').next().unwrap_or_default();
        (output.status.code(), verdict.to_owned() + &String::from_utf8(output.stderr).unwrap())
    };
    let valid = b"regions: [eu-west-1]\n";
    assert_eq!(check("/dev/stdin", valid), (Some(0), "the configuration is valid\n".to_owned()));
    assert_eq!(check("/dev/fd/0", valid), (Some(0), "the configuration is valid\n".to_owned()));
    let (status, error) = check("/dev/stdin", b"interval: soon\n");
    assert_eq!(status, Some(2));
    assert!(error.contains("/dev/stdin:1:11: interval: `soon` is not a valid duration"), "{error}");
    // The command before `|` has failed.
    assert_eq!(
        check("/dev/stdin", b""),
        (
            Some(2),
            "ssm-sync-exporter: cannot read the configuration file /dev/stdin: the pipe is empty; check the command \
             that writes to it\n"
                .to_owned()
        )
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_does_not_read_a_pipe_again() {
    // Its end would count as a configuration without settings.
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(format!("regions: [{REGION}]\n").as_bytes()).unwrap();
    drop(writer);
    let mut command = program();
    command.stdin(Stdio::from(reader)).args(["--config.file", "/dev/stdin"]);
    let running = ExporterProcess::start(&mut command);
    running.send_signal("HUP");
    let error = log_line(&running, "message=\"configuration reload failed", 1).await;
    let expected = "cannot read the configuration file /dev/stdin: it is a pipe; expected a regular file";
    assert!(error.contains(expected), "{error}");
    let (status, _, log) = running.stop("TERM");
    assert_eq!(status.code(), Some(0), "{log}");
}

#[test]
fn a_file_without_an_end_is_an_error_and_not_read_to_its_end() {
    let directory = tempfile::tempdir().unwrap();
    let sparse = directory.path().join("sparse");
    std::fs::File::create(&sparse).unwrap().set_len(1 << 40).unwrap();
    for (flag, limit) in [("--config.file", 4), ("--web.config.file", 1)] {
        let (status, out, err) = run(program().args(["--config.check", flag]).arg(&sparse));
        let expected = format!(
            "ssm-sync-exporter: cannot read the configuration file {}: it is larger than {limit} MiB\n",
            sparse.display()
        );
        assert_eq!((status, out.as_str(), err), (Some(2), "", expected));
    }
}

/// Runs the program with an address space of 1 GiB. With more, an allocation fails and it aborts.
fn run_with_little_memory(command: &Command) -> (Option<i32>, String, String) {
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -v 1048576; exec \"$0\" \"$@\""]).arg(command.get_program());
    limited.args(command.get_args()).env_clear();
    limited.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    run(&mut limited)
}

#[test]
fn a_hostile_configuration_is_a_one_line_error_and_uses_little_memory() {
    // Regression: aliases took all memory, and nested keys of a variable overflowed the stack.
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.yaml");
    let lines =
        |count: usize, line: &dyn Fn(usize) -> String| (0..count).map(line).collect::<Vec<_>>().concat();
    let bomb = lines(9, &|level| match level {
        0 => "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned(),
        _ => format!("a{level}: &a{level} [{}]\n", vec![format!("*a{}", level - 1); 10].join(", ")),
    });
    for (text, error) in [
        (format!("a: &a {}\nb:\n{}", "x".repeat(1_000_000), "  - *a\n".repeat(20_000)), "16 MiB of text"),
        (bomb, "more than 300000 keys and values"),
        (lines(200_000, &|key| format!("k{key}: 1\n")), "more than 10000 keys"),
        (lines(200_000, &|item| format!("- k{item}: 1\n")), "more than 300000 keys and values"),
        (format!("a: [{}]", "x,".repeat(1_900_000)), "more than 300000 commas"),
        ("[".repeat(100_000), "more than 32 levels"),
        ("- ".repeat(100_000), "more than 32 levels"),
        (format!("? {}", "x".repeat(1_000_000)), "unknown key"),
        (format!("interval: {}", "x".repeat(3_000_000)), "is not a valid duration"),
        ("#".repeat(5_000_000), "larger than 4 MiB"),
    ] {
        std::fs::write(&file, text).unwrap();
        let mut command = program();
        let (status, out, err) =
            run_with_little_memory(command.args(["--config.check", "--config.file"]).arg(&file));
        assert_eq!((status, out.as_str()), (Some(2), ""), "{err}");
        assert!(err.contains(error) && err.len() < 1000 && err.lines().count() == 1, "{err}");
    }
    let variable = format!("SSM_SYNC_EXPORTER_{}", vec!["A"; 5_000].join("__"));
    let mut command = program();
    let (status, out, err) = run_with_little_memory(command.arg("--config.check").env(variable, "1"));
    assert_eq!((status, out.as_str()), (Some(2), ""), "{err}");
    assert!(
        err.ends_with("separates more than 32 levels; no key is that deep\n") && err.len() < 1000,
        "{err}"
    );
}
