//! Tests of the hints for mistyped flags, commands and environment variables.

use pretty_assertions::assert_eq;

use crate::process::{program, run};

/// Runs the program with arguments that are wrong. Returns the error without the name of the program.
fn error(arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let mut command = program();
    let (status, out, err) =
        run(command.env("AWS_REGION", "eu-west-1").envs(environment.iter().copied()).args(arguments));
    assert_eq!((status, out.as_str()), (Some(2), ""), "{arguments:?} {environment:?}: {err}");
    let line = err.strip_prefix("ssm-sync-exporter: ").and_then(|err| err.strip_suffix('\n'));
    let line = line.unwrap_or_else(|| panic!("{err:?}"));
    assert!(!line.contains('\n'), "{line}");
    line.to_owned()
}

/// Programs in Go accept flags with one dash, and word processors turn two hyphens into a dash.
#[test]
fn a_flag_with_a_wrong_dash_is_answered_with_the_right_spelling() {
    for (argument, flag) in [
        ("-config.file", "--config.file"),
        ("-config.file=x", "--config.file"),
        ("-web.listen-address=:1", "--web.listen-address"),
        ("-record", "--record"),
        // Regression: it was taken for `-h` and printed the help.
        ("-help", "--help"),
        ("-version", "--version"),
        ("–config.file", "--config.file"),
        ("—help", "--help"),
    ] {
        for arguments in [&[argument][..], &["once", argument, "x"], &["--log.level", "info", argument]] {
            let given = argument.split('=').next().unwrap();
            assert_eq!(
                error(arguments, &[]),
                format!("unexpected argument '{given}' found; flags begin with two dashes: '{flag}'")
            );
        }
    }
    assert_eq!(
        error(&["-config-file"], &[]),
        "unexpected argument '-config-file' found; did you mean '--config.file'?"
    );
}

#[test]
fn an_unknown_flag_is_answered_with_the_flag_that_was_meant() {
    for (argument, flag) in [
        ("--config-file", "--config.file"),
        ("--config_file", "--config.file"),
        ("--configFile", "--config.file"),
        ("--Config.File", "--config.file"),
        ("--config", "--config.file"),
        ("--config.path", "--config.file"),
        ("-c", "--config.file"),
        ("--listen-address", "--web.listen-address"),
        ("--web.listen.address", "--web.listen-address"),
        ("--web_listen_address", "--web.listen-address"),
        ("--port", "--web.listen-address"),
        ("--web.port", "--web.listen-address"),
        ("--telemetry.address", "--web.listen-address"),
        ("--telemetry.path", "--web.telemetry-path"),
        ("--web.metrics-path", "--web.telemetry-path"),
        ("--web.config", "--web.config.file"),
        ("--log-level", "--log.level"),
        ("--logLevel", "--log.level"),
        ("--verbose", "--log.level"),
        ("--log-format", "--log.format"),
        ("--fail.on", "--fail-on"),
        ("--record-raw", "--record.raw"),
        ("--check", "--config.check"),
        ("-o", "--output"),
        ("-v", "--version"),
    ] {
        let given = argument.split('=').next().unwrap();
        let expected = format!("unexpected argument '{given}' found; did you mean '{flag}'?");
        assert_eq!(error(&[argument, "x"], &[]), expected);
        if argument.starts_with("--") {
            assert_eq!(error(&[&format!("{argument}=x")], &[]), expected);
        }
    }
    for (arguments, expected) in [
        ("--once", "unexpected argument '--once' found; did you mean the command `once`?"),
        (
            "--config-schema",
            "unexpected argument '--config-schema' found; did you mean the command `config schema`?",
        ),
        (
            "--no-web.systemd-socket",
            "unexpected argument '--no-web.systemd-socket' found; leave out '--web.systemd-socket' instead",
        ),
        (
            "--aws.use-fips",
            "unexpected argument '--aws.use-fips' found; set the key in the configuration file, or by the environment \
             variable SSM_SYNC_EXPORTER_AWS__USE_FIPS",
        ),
        ("--qqqq", "unexpected argument '--qqqq' found; see --help"),
    ] {
        assert_eq!(error(&[arguments], &[]), expected);
    }
}

/// A flag of another command is an error, wherever it stands.
#[test]
fn a_flag_of_another_command_is_answered_with_its_commands() {
    for (arguments, expected) in [
        ("--output x", "--output requires the command `once` or `doctor`"),
        ("--fail-on targets serve", "--fail-on requires the command `once`"),
        ("once --account x", "--account requires the command `doctor`"),
        ("config check --format json", "--format requires the command `once` or `doctor`"),
        ("man --config.check", "--config.check requires the command `serve`, `once` or `doctor`"),
        ("--web.max-requests 1 config schema", "--web.max-requests requires the command `serve`"),
        (
            "completions bash --log.level info",
            "--log.level requires the command `serve`, `once`, `doctor` or `config check`",
        ),
    ] {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        assert_eq!(error(&arguments, &[]), expected);
    }
}

/// The names of all commands.
const ALL: &str = "serve, once, doctor, config, completions, man, help";

#[test]
fn an_unknown_command_is_answered_with_the_command_that_was_meant() {
    for (words, unknown, meant) in [
        ("check", "check", "config check"),
        ("config-check", "config-check", "config check"),
        ("config.check", "config.check", "config check"),
        ("config chekc", "config chekc", "config check"),
        ("chekc", "chekc", "config check"),
        ("config test", "config test", "config check"),
        ("validate", "validate", "config check"),
        ("schema", "schema", "config schema"),
        ("config default", "config default", "config defaults"),
        ("completion bash", "completion", "completions"),
        ("Doctor", "Doctor", "doctor"),
        ("docter", "docter", "doctor"),
        ("run", "run", "serve"),
        ("version", "version", "--version"),
        ("help version", "version", "--version"),
        ("help onec", "onec", "once"),
        ("onec --help", "onec", "once"),
        ("config.yaml", "config.yaml", "--config.file=config.yaml"),
        ("/etc/exporter.yml", "/etc/exporter.yml", "--config.file=/etc/exporter.yml"),
        ("web.listen-address=:1", "web.listen-address=:1", "--web.listen-address"),
    ] {
        let arguments: Vec<&str> = words.split(' ').collect();
        assert_eq!(error(&arguments, &[]), format!("unknown command `{unknown}`; did you mean `{meant}`?"));
    }
    for (words, expected) in [
        ("xyz", format!("unknown command `xyz`; expected one of {ALL}; see --help")),
        ("-", format!("unknown command `-`; expected one of {ALL}; see --help")),
        (
            "config xyz",
            "unknown command `config xyz`; expected one of check, schema, defaults; see --help".into(),
        ),
        ("config", "`config` requires one of `check`, `schema` and `defaults`; see `config --help`".into()),
        ("completions", "`completions` requires a shell: bash, elvish, fish, powershell, zsh".into()),
        ("completions powershell7", "unknown shell `powershell7`; did you mean `powershell`?".into()),
        ("completions Bash", "unknown shell `Bash`; did you mean `bash`?".into()),
        (
            "completions nushell",
            "unknown shell `nushell`; expected one of bash, elvish, fish, powershell, zsh".into(),
        ),
        (
            "once twice",
            "unexpected argument 'twice' found after the command `once`; see `once --help`".into(),
        ),
        (
            "config check x",
            "unexpected argument 'x' found after the command `config check`; see `config check --help`"
                .into(),
        ),
    ] {
        let arguments: Vec<&str> = words.split(' ').collect();
        assert_eq!(error(&arguments, &[]), expected);
    }
}

#[test]
fn an_unknown_variable_is_answered_with_the_variable_or_the_flag_that_was_meant() {
    let unknown = |variable: &str| error(&["config", "check"], &[(variable, "1")]);
    for (variable, meant) in [
        ("AWS_USE_FIPS", "AWS__USE_FIPS"),
        ("AWS__USE__FIPS", "AWS__USE_FIPS"),
        ("AWS_USE__FIPS", "AWS__USE_FIPS"),
        ("aws_use_fips", "AWS__USE_FIPS"),
        ("_INTERVAL", "INTERVAL"),
        ("INTERVAL_", "INTERVAL"),
        ("STALE__AFTER", "STALE_AFTER"),
        ("QUOTA_SYNCTODESTINATION", "QUOTA__SYNCTODESTINATION"),
        ("QUOTA__SyncToDestination", "QUOTA__SYNCTODESTINATION"),
        ("QUOTA__SYNC_TO_DESTINATION", "QUOTA__SYNCTODESTINATION"),
        ("HEALTH_MAX_SUCCESS_AGE", "HEALTH__MAX_SUCCESS_AGE"),
        ("ORGANIZATION_MEMBER_ROLE", "ORGANIZATION__MEMBER_ROLE"),
        ("METRICS_SPARSE_STATES", "METRICS__SPARSE_STATES"),
        ("REGION", "REGIONS"),
    ] {
        let variable = format!("SSM_SYNC_EXPORTER_{variable}");
        assert_eq!(
            unknown(&variable),
            format!(
                "environment variable {variable}: unknown key; did you mean `SSM_SYNC_EXPORTER_{meant}`?"
            )
        );
    }
    for (variable, flag) in [
        ("CONFIG_FILE", "--config.file"),
        ("CONFIG__FILE", "--config.file"),
        ("CONFIG", "--config.file"),
        ("LOG_LEVEL", "--log.level"),
        ("LOG_FORMAT", "--log.format"),
        ("WEB_LISTEN_ADDRESS", "--web.listen-address"),
        ("LISTEN_ADDRESS", "--web.listen-address"),
        ("WEB__CONFIG__FILE", "--web.config.file"),
        ("SHARD_INDEX", "--shard.index"),
        // Kubernetes sets it to a URL, which is ignored.
        ("PORT", "--web.listen-address"),
    ] {
        let variable = format!("SSM_SYNC_EXPORTER_{variable}");
        assert_eq!(
            unknown(&variable),
            format!(
                "environment variable {variable}: this is a flag and no key of the configuration; use {flag}"
            )
        );
    }
    // The key is in the value.
    assert_eq!(
        error(&["once"], &[("SSM_SYNC_EXPORTER_ACCOUNTS", "[{idd: 1}]")]),
        "environment variable SSM_SYNC_EXPORTER_ACCOUNTS: accounts[0].idd: unknown key; did you mean `id`?"
    );
}

/// Regression test: the error about such a variable was `found a mapping, expected a list`.
#[test]
fn a_variable_that_is_too_deep_or_ends_too_early_is_answered_with_the_right_one() {
    for (variable, expected) in [
        ("ACCOUNTS__0__ID", "`accounts` has no keys of its own; set all of it by SSM_SYNC_EXPORTER_ACCOUNTS"),
        ("REGIONS__0", "`regions` has no keys of its own; set all of it by SSM_SYNC_EXPORTER_REGIONS"),
        (
            "HEALTH__RULES__0__NAME",
            "`health.rules` has no keys of its own; set all of it by SSM_SYNC_EXPORTER_HEALTH__RULES",
        ),
        ("INTERVAL__X", "`interval` has no keys of its own; set all of it by SSM_SYNC_EXPORTER_INTERVAL"),
        ("", "the name ends before the key; add one, such as SSM_SYNC_EXPORTER_INTERVAL"),
    ] {
        let variable = format!("SSM_SYNC_EXPORTER_{variable}");
        let error = error(&["config", "check"], &[(&variable, "1")]);
        assert_eq!(error, format!("environment variable {variable}: {expected}"));
    }
}

/// Regression test: the variable was ignored silently.
#[test]
fn a_variable_in_lower_case_is_a_warning() {
    let (status, out, err) = run(program()
        .env("AWS_REGION", "eu-west-1")
        .env("ssm_sync_exporter_interval", "1m")
        .env("ssm_sync_exporter_other", "1m")
        .args(["config", "check"]));
    assert_eq!((status, err.as_str()), (Some(0), ""));
    let warning = "the environment variable ssm_sync_exporter_interval is ignored; did you mean `SSM_SYNC_EXPORTER_INTERVAL`?";
    assert!(out.contains(&format!("warning: {warning}\n")), "{out}");
    assert!(!out.contains("other"), "{out}");
}
