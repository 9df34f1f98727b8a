//! Amazon Managed Service for Prometheus. A local Prometheus, the AWS CLI and moto stand in for it.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use pretty_assertions::assert_eq;
use serde_json::Value;
use tokio::sync::mpsc;

use super::{
    alerts_fire_and_end_with_the_exporter, arguments, blocks, evaluated_rules, free_address, page,
    remote_write, replaced, start,
};
use crate::deploy::rules::{RULES, accelerated, rules, unit_tests};
use crate::deploy::{list, place, succeed, text, yaml};
use crate::local_server::LocalServer;
use crate::organization::Moto;
use crate::process::ExporterProcess;
use crate::tools;

const DIRECTORY: &str = "deploy/ingestion/amazon-managed-prometheus";
const GROUP: &str = "deploy/ingestion/amazon-managed-prometheus/rules.yml";
const CONFIG: &str = "deploy/ingestion/amazon-managed-prometheus/prometheus.yml";

/// The workspace in the files, to be replaced by the reader's.
const WORKSPACE: &str = "ws-00000000-0000-0000-0000-000000000000";

const CREDENTIALS: [(&str, &str); 2] =
    [("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "secret")];

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn the_group_is_what_the_script_generates_now() {
    let output = succeed(tools::python().arg(place(&format!("{DIRECTORY}/one_group.py"))));
    let generated = String::from_utf8(output.stdout).unwrap();
    assert_eq!(generated, text(GROUP), "run {DIRECTORY}/one_group.py > {GROUP}");
}

#[test]
fn the_group_has_every_rule_with_the_recording_rules_first() {
    let group = yaml(GROUP);
    let [group] = list(&group["groups"]) else { panic!("{group}") };
    let all: Vec<Value> = RULES.into_iter().flat_map(rules).collect();
    assert_eq!(list(&group["rules"]), all);
    assert_eq!(group["interval"], "1m");
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn the_group_passes_the_unit_tests_of_the_alerts() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::copy(place(GROUP), directory.path().join("rules.yml")).unwrap();
    std::thread::scope(|scope| {
        for (index, file) in unit_tests().into_iter().enumerate() {
            let tests = text(&file);
            let old = "rule_files: [../recording-rules.yml, ../alerts.yml]\n";
            assert!(tests.contains(old), "{file}");
            let tests = tests.replace(old, "rule_files: [rules.yml]\n");
            let tests: Vec<&str> =
                tests.lines().filter(|line| !line.starts_with("group_eval_order:")).collect();
            let copy = directory.path().join(format!("{index}.test.yml"));
            std::fs::write(&copy, tests.join("\n")).unwrap();
            scope.spawn(move || succeed(tools::promtool().args(["test", "rules"]).arg(copy)));
        }
    });
}

/// The signature is not checked, because Debian's build of Prometheus 2.42 ignores `sigv4`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn alerts_of_the_group_fire_on_what_the_agent_writes() {
    let demo = ExporterProcess::demo();
    let rules_directory = tempfile::tempdir().unwrap();
    std::fs::write(rules_directory.path().join("rules.yml"), accelerated(&text(GROUP))).unwrap();
    let receiver = remote_write::receiver(rules_directory, &["rules.yml"]).await;

    let config = yaml(CONFIG);
    let url = config["remote_write"][0]["url"].as_str().unwrap();
    let config = remote_write::accelerated_config(CONFIG, url, demo.address, receiver.address);
    let directory = tempfile::tempdir().unwrap();
    let _agent =
        remote_write::agent(&page("amazon-managed-prometheus"), &config, directory.path(), &CREDENTIALS);
    let log = directory.path().join("log");
    alerts_fire_and_end_with_the_exporter(receiver.address, demo, &log).await;

    let evaluated = evaluated_rules(receiver.address).await;
    assert_eq!(evaluated.len(), RULES.iter().map(|file| rules(file).len()).sum::<usize>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn vmagent_signs_what_it_writes() {
    let (sender, mut heads) = mpsc::channel(16);
    let service = LocalServer::start(move |request| {
        // The test reads the first request only.
        let _sent = sender.try_send(request.to_owned());
        ("204 No Content", String::new())
    })
    .await;
    let demo = ExporterProcess::demo();
    let directory = tempfile::tempdir().unwrap();
    let scrape = directory.path().join("scrape.yml");
    let exporter = demo.address.to_string();
    let config = text("deploy/ingestion/victoriametrics/scrape.yml");
    std::fs::write(&scrape, replaced(&config, &[("localhost:10144", &exporter), (": 1m", ": 1s")])).unwrap();

    let arguments = arguments(&page("amazon-managed-prometheus"), "vmagent").join("\n");
    let arguments = replaced(
        &arguments,
        &[
            ("deploy/ingestion/victoriametrics/scrape.yml", scrape.to_str().unwrap()),
            ("https://aps-workspaces.eu-west-1.amazonaws.com", &service.url()),
        ],
    );
    let mut vmagent = tools::victoria_metrics("vmagent");
    vmagent.args(arguments.lines()).envs(CREDENTIALS).arg(format!("-httpListenAddr={}", free_address()));
    vmagent.arg(format!("-remoteWrite.tmpDataPath={}", directory.path().join("queue").display()));
    let _vmagent = start(&mut vmagent, &directory.path().join("log"));

    let head = tokio::time::timeout(Duration::from_secs(30), heads.recv()).await.unwrap().unwrap();
    assert!(head.starts_with(&format!("POST /workspaces/{WORKSPACE}/api/v1/remote_write ")), "{head}");
    let authorization = "Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/";
    let line = head.lines().find(|line| line.starts_with(authorization)).unwrap_or_else(|| panic!("{head}"));
    assert!(line.contains("/eu-west-1/aps/aws4_request,"), "{line}");
}

/// The commands of a page that begin with `aws`.
fn commands(page: &str) -> Vec<String> {
    let commands = blocks(page, "sh").concat().replace("\\\n", " ");
    commands.lines().filter(|line| line.starts_with("aws ")).map(ToOwned::to_owned).collect()
}

/// Runs a command in the directory of the files.
fn aws(command: &str, url: &str) -> Command {
    let program = tools::python_program("aws");
    let mut bash = Command::new("bash");
    bash.args(["-c", &format!("\"$0\" {}", &command["aws ".len()..])]).arg(program.get_program());
    bash.current_dir(place(DIRECTORY)).envs(CREDENTIALS);
    bash.env("AWS_DEFAULT_REGION", "eu-west-1").env("AWS_ENDPOINT_URL", url);
    bash
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn the_aws_cli_uploads_the_group_and_knows_the_other_commands() {
    let moto = Moto::start().await;
    let url = &moto.organization.url;
    let commands = commands(&page("amazon-managed-prometheus"));
    let [upload, alerts] = &commands[..] else { panic!("{commands:?}") };

    let created = succeed(&mut aws("aws amp create-workspace --query workspaceId --output text", url));
    let workspace = String::from_utf8(created.stdout).unwrap().trim().to_owned();
    succeed(&mut aws(&upload.replace(WORKSPACE, &workspace), url));
    let show = format!(
        "aws amp describe-rule-groups-namespace --workspace-id {workspace} --name ssm-sync-exporter \
         --query ruleGroupsNamespace.data --output text | base64 --decode"
    );
    let uploaded = succeed(&mut aws(&show, url));
    assert_eq!(String::from_utf8(uploaded.stdout).unwrap(), text(GROUP));

    // moto has no alert managers, so the CLI only checks the arguments.
    for command in [alerts.as_str(), &upload.replace("create-", "put-"), &alerts.replace("create-", "put-")] {
        succeed(&mut aws(&format!("{command} --generate-cli-skeleton output"), url));
    }
    let wrong = format!("{alerts} --no-such-option --generate-cli-skeleton output");
    assert!(!aws(&wrong, url).output().unwrap().status.success());
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn promtool_accepts_the_configuration_with_a_signature() {
    succeed(tools::promtool().args(["check", "config", "--agent"]).arg(place(CONFIG)));
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn the_alert_manager_definition_has_the_inhibitions_and_only_sns() {
    let definition = yaml(&format!("{DIRECTORY}/alertmanager.yml"));
    let keys: Vec<&String> = definition.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["alertmanager_config"]);
    let config = definition["alertmanager_config"].as_str().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("alertmanager.yml");
    std::fs::write(&file, config).unwrap();
    succeed(tools::amtool().arg("check-config").arg(file));

    let config: Value = serde_saphyr::from_str(config).unwrap();
    let example = yaml("deploy/alertmanager/alertmanager.yml");
    assert_eq!(config["inhibit_rules"], example["inhibit_rules"]);
    assert_eq!(config["route"]["group_by"], example["route"]["routes"][0]["group_by"]);
    let receiver = config["receivers"][0].as_object().unwrap();
    assert_eq!(receiver.keys().collect::<Vec<_>>(), ["name", "sns_configs"]);
    let topic = &receiver["sns_configs"][0]["topic_arn"];
    assert_eq!(statement("sns-topic-policy.json")["Resource"], *topic);
}

/// The only statement of a policy.
fn statement(file: &str) -> Value {
    let policy: Value = serde_json::from_str(&text(&format!("{DIRECTORY}/{file}"))).unwrap();
    let [statement] = list(&policy["Statement"]) else { panic!("{policy}") };
    statement.clone()
}

#[test]
fn configuration_policies_and_commands_name_the_same_workspace() {
    let config = yaml(CONFIG);
    let remote = &config["remote_write"][0];
    let region = remote["sigv4"]["region"].as_str().unwrap();
    let url =
        format!("https://aps-workspaces.{region}.amazonaws.com/workspaces/{WORKSPACE}/api/v1/remote_write");
    assert_eq!(remote["url"], url);
    let write = statement("remote-write-policy.json");
    assert_eq!(write["Action"], "aps:RemoteWrite");
    let arn = format!("arn:aws:aps:{region}:111122223333:workspace/{WORKSPACE}");
    assert_eq!(write["Resource"], arn);
    let publish = statement("sns-topic-policy.json");
    assert_eq!(publish["Condition"]["ArnEquals"]["aws:SourceArn"], arn);
    for command in commands(&page("amazon-managed-prometheus")) {
        let words: BTreeSet<&str> = command.split_whitespace().collect();
        assert!(words.contains(WORKSPACE), "{command}");
    }
}
