//! `once` for `node_exporter`'s textfile collector: the units, and the alerts on a file that is old.

use std::time::SystemTime;

use fake_aws::{Fault, FaultRule};
use pretty_assertions::assert_eq;

use super::{page, replaced, wait_until_firing, write_rules};
use crate::deploy::rules::{RULES, accelerated};
use crate::deploy::{place, succeed, text};
use crate::exporter::{ACCOUNT, REGION, ROLE, fake_aws};
use crate::once::external_tools::NodeExporter;
use crate::once::{Setup, output_of};
use crate::process::{program, run};
use crate::prometheus::Prometheus;
use crate::tools;

const DIRECTORY: &str = "deploy/ingestion/textfile";
const FILE: &str = "/var/lib/prometheus/node-exporter/ssm_sync.prom";

fn unit(extension: &str) -> String {
    text(&format!("{DIRECTORY}/ssm-sync-exporter-once.{extension}"))
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn the_alerts_pass_their_unit_tests() {
    succeed(tools::promtool().args(["test", "rules"]).arg(place(&format!("{DIRECTORY}/alerts.test.yml"))));
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn the_units_pass_systemd_analyze() {
    let directory = tempfile::tempdir().unwrap();
    let mut verify = tools::systemd_analyze();
    verify.arg("verify");
    for extension in ["service", "timer"] {
        // systemd-analyze checks that the program exists.
        let unit =
            unit(extension).replace("/usr/bin/ssm-sync-exporter", env!("CARGO_BIN_EXE_ssm-sync-exporter"));
        let copy = directory.path().join(format!("ssm-sync-exporter-once.{extension}"));
        std::fs::write(&copy, unit).unwrap();
        verify.arg(copy);
    }
    let output = succeed(&mut verify);
    // It only prints a warning for an unknown setting.
    assert_eq!(tools::written(&output).trim(), output.status.to_string());
    let service = place(&format!("{DIRECTORY}/ssm-sync-exporter-once.service"));
    let mut security = tools::systemd_analyze();
    succeed(security.args(["security", "--offline=true", "--no-pager", "--threshold=25"]).arg(service));
}

/// The unit and the line for cron run the same command, which the program accepts.
#[test]
fn the_program_accepts_the_commands_of_the_unit_and_of_cron() {
    let service = unit("service");
    let command =
        service.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/bin/ssm-sync-exporter ")).unwrap();
    let page = text(&page("textfile"));
    let cron = page.lines().find(|line| line.starts_with("*/15 ")).unwrap();
    let (_, cron) = cron.split_once("; ssm-sync-exporter ").unwrap();
    assert_eq!(cron.replace("=error", "=warn"), command);
    let config = place("config/organization.yaml");
    let arguments = replaced(command, &[("/etc/ssm-sync-exporter/config.yaml", config.to_str().unwrap())]);
    assert!(
        arguments.contains(&format!("--output={FILE}"))
            && service.contains("ReadWritePaths=/var/lib/prometheus/node-exporter\n")
    );
    let checked = run(program().args(arguments.split_whitespace()).arg("--config.check"));
    assert_eq!((checked.0, checked.2.as_str()), (Some(0), ""), "{}", checked.1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn alerts_fire_for_an_old_file_and_for_a_target_that_was_down_in_one_run() {
    let config = format!(
        "regions: [{REGION}, us-east-1]\naccounts:\n  - name: production\n    profile: hub\n    assume_roles: [{{arn: 'arn:aws:iam::{ACCOUNT}:role/{ROLE}'}}]\n"
    );
    let setup = Setup::with_config(fake_aws().await, &config);
    let denied = FaultRule::new(Fault::Deny).region("us-east-1").operation("ListResourceDataSync");
    setup.aws().world().set_faults(vec![denied]);
    let file = setup.output_directory().join("ssm_sync.prom");
    let mut once = setup.once();
    once.arg("--output").arg(&file);
    // The status that the unit counts as a success.
    assert_eq!(output_of(once).await.0, Some(1));
    assert!(unit("service").contains("\nSuccessExitStatus=1\n"));

    let node_exporter = NodeExporter::start(&setup.output_directory()).await;
    let directory = tempfile::tempdir().unwrap();
    write_rules(directory.path());
    let alerts = accelerated(&text(&format!("{DIRECTORY}/alerts.yml")));
    std::fs::write(directory.path().join("textfile.yml"), alerts).unwrap();
    let config = format!(
        "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: [{}, textfile.yml]\n\
         scrape_configs:\n  - job_name: node\n    static_configs: [{{targets: ['{}']}}]\n",
        RULES.join(", "),
        node_exporter.address
    );
    let log = directory.path().join("log");
    let prometheus = Prometheus::with_config(directory, &config).await;
    let down = format!("production, {ACCOUNT} cannot be polled in 1 region: access_denied");
    wait_until_firing(prometheus.address, &[&down], &log).await;

    let written = std::fs::File::options().write(true).open(&file).unwrap();
    written.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    let old = format!("{} is no longer updated on {}", file.display(), node_exporter.address);
    wait_until_firing(prometheus.address, &[&down, &old], &log).await;
}
