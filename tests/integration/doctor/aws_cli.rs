//! The commands that `doctor` prints, run with the real AWS CLI.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use fake_aws::{Identity, SessionCredentials, World};
use pretty_assertions::assert_eq;
use serde_json::json;

use super::fleet::{EXTERNAL_ID, Fleet, member};
use super::report::Cause;
use crate::tools;

/// Adds the statement in the environment to the trust policy in a file, as a person does in an editor.
const EDITOR: &str = "
import json, os, sys
with open(sys.argv[1]) as file:
    policy = json.load(file)
policy['Statement'].append(json.loads(os.environ['STATEMENT'].replace('EXTERNAL_ID', os.environ['EXTERNAL_ID'])))
with open(sys.argv[1], 'w') as file:
    json.dump(policy, file)
";

/// Runs the commands of a cause in an account, as its administrator.
pub(super) async fn run_command(fleet: &Fleet, account: &str, cause: &Cause) {
    let directory = tempfile::tempdir().unwrap();
    let editor = directory.path().join("editor.py");
    std::fs::write(&editor, EDITOR).unwrap();
    let python = tools::python().get_program().to_owned();
    let programs = Path::new(&python).parent().map(Path::to_owned).into_iter();
    let inherited = std::env::var_os("PATH").unwrap();
    let path = programs.chain(std::env::split_paths(&inherited));
    let mut shell = Command::new("bash");
    shell
        .args(["-euo", "pipefail", "-c", cause.command.as_ref().unwrap()])
        .current_dir(directory.path())
        .env_clear()
        .env("PATH", std::env::join_paths(path).unwrap())
        .env("HOME", directory.path())
        .env("EDITOR", format!("{} {}", Path::new(&python).display(), editor.display()))
        .env("STATEMENT", cause.statement.as_ref().unwrap())
        .env("EXTERNAL_ID", EXTERNAL_ID)
        .env("AWS_ENDPOINT_URL", fleet.aws.url())
        // Only needed for the endpoint.
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", World::access_key(account))
        .env("AWS_SECRET_ACCESS_KEY", "any");
    let output = tokio::task::spawn_blocking(move || shell.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{}\n{}", cause.command.as_ref().unwrap(), tools::written(&output));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn each_printed_command_repairs_its_cause_and_no_other() {
    let mut fleet = Fleet::with_faults().await;
    // An account that is polled with the keys of a user.
    let account = member(20);
    let keys = SessionCredentials {
        access_key_id: World::access_key(&account),
        secret_access_key: "any".to_owned(),
        session_token: String::new(),
    };
    fleet.set_profile("user", keys);
    fleet.configure_account(json!({"id": account, "profile": "user"}));
    let administration = json!({"Effect": "Allow", "Action": "iam:*", "Resource": "*"});
    let administration = super::fleet::policy(&[administration]);
    fleet.world().set_policies(&account, &Identity::User, &[("administrator", &administration)]).unwrap();

    let (_, report) = fleet.examine(&[]).await;
    let mut left = report.causes_by_accounts();
    assert_eq!(left.len(), 10, "{left:#?}");
    let is_repaired_by_command =
        |cause: &Cause| ["identity_policy", "trust_policy"].contains(&cause.kind.as_str());
    let repairable: Vec<_> =
        left.iter().filter(|(_, cause)| is_repaired_by_command(cause)).map(|(key, _)| key.clone()).collect();
    assert_eq!(repairable.len(), 4, "{left:#?}");
    for accounts in repairable {
        let cause = left.remove(&accounts).unwrap();
        for account in &accounts {
            run_command(&fleet, account, &cause).await;
        }
        let (_, report) = fleet.examine(&[]).await;
        let found = report.causes_by_accounts();
        assert!(found.keys().eq(left.keys()), "{cause:#?}\n{found:#?}");
    }
    // The other commands only show what has to be changed.
    for cause in left.values().filter_map(|cause| cause.command.as_ref()) {
        let verbs: BTreeSet<&str> =
            cause.lines().filter_map(|line| line.split_whitespace().nth(2)?.split('-').next()).collect();
        assert!(verbs.iter().all(|verb| ["get", "list", "describe"].contains(verb)), "{cause}");
    }
}
