//! What to do about denied calls, done with real parts: the AWS CLI runs the commands against moto, which
//! validates policies as IAM does.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use pretty_assertions::assert_eq;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::organization::Moto;
use crate::tools;

/// An entry of `tests/golden/access_advice.json`, which a unit test compares with the program.
#[derive(Deserialize)]
struct Advice {
    cause: String,
    statement: Option<String>,
    command: Option<String>,
}

/// An editor that adds the statement in the variable `STATEMENT` to a policy, with an external id.
const EDITOR: &str = r#"
import json, os, sys
with open(sys.argv[1]) as file:
    policy = json.load(file)
policy["Statement"].append(json.loads(os.environ["STATEMENT"].replace("EXTERNAL_ID", "example")))
with open(sys.argv[1], "w") as file:
    json.dump(policy, file)
"#;

/// Runs commands of the AWS CLI in a shell, in `directory`.
struct Shell<'a> {
    directory: &'a Path,
    url: &'a str,
}

impl Shell<'_> {
    fn run(&self, commands: &str, statement: &str) -> Output {
        let editor = self.directory.join("editor");
        let mut bash = Command::new("bash");
        bash.args(["-e", "-c", &format!("aws() {{ \"$AWS_PROGRAM\" \"$@\"; }}\n{commands}")])
            .current_dir(self.directory)
            .env("AWS_PROGRAM", tools::python_program("aws").get_program())
            .env("EDITOR", editor)
            .env("STATEMENT", statement)
            .env("AWS_ENDPOINT_URL", self.url)
            .env("AWS_ACCESS_KEY_ID", "any")
            .env("AWS_SECRET_ACCESS_KEY", "any")
            .env("AWS_DEFAULT_REGION", "us-east-1")
            .env("AWS_PAGER", "");
        bash.output().unwrap()
    }

    fn json(&self, command: &str) -> Value {
        let output = self.run(command, "");
        assert!(output.status.success(), "{command}: {}", tools::written(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

fn statements(policy: &Value) -> &Vec<Value> {
    policy["Statement"].as_array().unwrap()
}

#[tokio::test]
#[ignore = "needs tools that `tests/run` installs"]
async fn the_aws_cli_runs_the_commands_and_iam_accepts_the_statements() {
    let moto = Moto::start().await;
    let directory = tempfile::tempdir().unwrap();
    let editor = directory.path().join("editor");
    let python = tools::python().get_program().to_owned();
    let script = directory.path().join("editor.py");
    std::fs::write(&script, EDITOR).unwrap();
    std::fs::write(&editor, format!("#!/bin/sh\nexec {} {} \"$1\"\n", python.display(), script.display()))
        .unwrap();
    std::fs::set_permissions(&editor, std::fs::Permissions::from_mode(0o755)).unwrap();
    let shell = Shell { directory: directory.path(), url: &moto.organization.url };
    let trust = json!({
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    });
    for role in ["SsmSyncExporter", "ssm-sync-exporter"] {
        shell
            .json(&format!("aws iam create-role --role-name {role} --assume-role-policy-document '{trust}'"));
    }
    shell.json("aws iam create-user --user-name mary --path /ops/");
    let deny = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "ssm:*", "Resource": "*"}]});
    shell.json(&format!("aws iam create-policy --policy-name DenyAll --policy-document '{deny}'"));

    let golden =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/access_advice.json"));
    let all: Vec<Advice> = serde_json::from_str(&golden.unwrap()).unwrap();
    let mut changed = 0;
    for Advice { cause, statement, command } in &all {
        let statement = statement.as_deref().unwrap_or_default();
        let Some(command) = command else { continue };
        let output = shell.run(command, statement);
        assert!(output.status.success(), "{cause}: {command}: {}", tools::written(&output));
        let words = |option: &str| {
            let (_, rest) = command.split_once(option)?;
            rest.split_whitespace().next()
        };
        if command.contains("update-assume-role-policy") {
            let show = "aws iam get-role --role-name SsmSyncExporter --query Role.AssumeRolePolicyDocument";
            let policy = shell.json(show);
            let added: Value = serde_json::from_str(&statement.replace("EXTERNAL_ID", "example")).unwrap();
            assert_eq!(statements(&policy).last(), Some(&added), "{cause}");
            assert_eq!(statements(&policy)[0], trust["Statement"][0], "the statements before stay");
            changed += 1;
        } else if let Some(name) = words("--policy-name ") {
            let (kind, owner) = words("--role-name ")
                .map(|role| ("role", role))
                .or_else(|| Some(("user", words("--user-name ")?)))
                .unwrap();
            let policy =
                shell.json(&format!("aws iam get-{kind}-policy --{kind}-name {owner} --policy-name {name}"));
            let added: Value = serde_json::from_str(statement).unwrap();
            assert_eq!(statements(&policy["PolicyDocument"]), &[added], "{cause}");
            changed += 1;
        }
    }
    assert!(changed >= 11, "{changed}");
    // The CLI and moto notice mistakes.
    for wrong in [
        "aws iam put-role-policy --role-name SsmSyncExporter --policy-name a --policy-document '{\"Version\":\"2012-10-17\"}'",
        "aws iam put-role-policy --role SsmSyncExporter --policy-name a",
    ] {
        assert!(!shell.run(wrong, "").status.success(), "{wrong}");
    }
}
