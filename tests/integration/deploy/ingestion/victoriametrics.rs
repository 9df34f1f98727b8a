//! `victoria-metrics`, `vmagent` and `vmalert`, run with the commands of the page.

use std::process::Command;

use pretty_assertions::assert_eq;

use super::{
    alerts_fire_and_end_with_the_exporter, arguments, evaluated_rules, free_address, page, replaced, start,
    wait_for, write_rules,
};
use crate::deploy::rules::{RULES, rules};
use crate::deploy::{place, succeed, text};
use crate::process::ExporterProcess;
use crate::tools;

const SCRAPE: &str = "deploy/ingestion/victoriametrics/scrape.yml";

/// Checks rules without running them.
fn dry_run(files: &[&std::path::Path]) -> std::process::Output {
    let mut vmalert = tools::victoria_metrics("vmalert");
    vmalert.arg("-dryRun").args(files.iter().map(|file| format!("-rule={}", file.display())));
    vmalert.output().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn vmalert_fires_the_same_alerts_as_prometheus() {
    let demo = ExporterProcess::demo();
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    let [storage, agent, alert] = [(); 3].map(|()| free_address());
    let [storage_address, agent_address, alert_address] =
        [storage, agent, alert].map(|address| address.to_string());

    let exporter = demo.address.to_string();
    let scrape = replaced(&text(SCRAPE), &[("localhost:10144", &exporter), (": 1m", ": 1s")]);
    std::fs::write(path("scrape.yml"), scrape).unwrap();
    write_rules(directory.path());
    // An old version needs the command of the page.
    let [recording, alerts] = RULES.map(|name| directory.path().join(name));
    let checked = dry_run(&[&recording, &alerts]);
    if !checked.status.success() {
        let written = tools::written(&checked);
        assert!(written.contains("unknown fields in rule: keep_firing_for"), "{written}");
        let command = "sed '/keep_firing_for:/d' deploy/prometheus/alerts.yml > alerts.yml";
        assert!(text(&page("victoriametrics")).contains(command));
        succeed(Command::new("sed").args(["-i", "/keep_firing_for:/d"]).arg(&alerts));
        let checked = dry_run(&[&recording, &alerts]);
        assert!(checked.status.success(), "{}", tools::written(&checked));
    }

    let run = |program: &str, replacements: &[(&str, &str)], more: &[&str]| {
        let arguments = replaced(&arguments(&page("victoriametrics"), program).join("\n"), replacements);
        let mut command = tools::victoria_metrics(program);
        start(command.args(arguments.lines()).args(more), &directory.path().join(format!("{program}.log")))
    };
    let at_storage = ("127.0.0.1:8428", storage_address.as_str());
    let _storage = run(
        "victoria-metrics",
        &[("/var/lib/victoria-metrics", &path("data")), at_storage],
        &["-search.latencyOffset=1s"],
    );
    let _agent = run(
        "vmagent",
        &[(SCRAPE, &path("scrape.yml")), at_storage, ("127.0.0.1:8429", &agent_address)],
        &[&format!("-remoteWrite.tmpDataPath={}", path("agent"))],
    );
    // vmalert needs it from the start.
    wait_for(storage).await;
    let _alert = run(
        "vmalert",
        &[
            ("deploy/prometheus/recording-rules.yml", recording.to_str().unwrap()),
            ("deploy/prometheus/alerts.yml", alerts.to_str().unwrap()),
            at_storage,
            // Nothing listens there. The test asks vmalert for the alerts.
            ("127.0.0.1:9093", "127.0.0.1:1"),
            ("127.0.0.1:8880", &alert_address),
            ("=1m", "=1s"),
        ],
        &[],
    );
    alerts_fire_and_end_with_the_exporter(alert, demo, &directory.path().join("vmalert.log")).await;
    let evaluated = evaluated_rules(alert).await;
    assert_eq!(evaluated.len(), RULES.iter().map(|file| rules(file).len()).sum::<usize>());
    for rule in evaluated {
        assert_eq!(rule["health"], "ok", "{rule}");
    }
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn vmagent_accepts_the_scrape_configuration() {
    let check = |file: &str| {
        let mut vmagent = tools::victoria_metrics("vmagent");
        let config = format!("-promscrape.config={}", place(file).display());
        vmagent.args(["-dryRun", "-remoteWrite.url=http://127.0.0.1:1/api/v1/write", &config]);
        vmagent
    };
    succeed(&mut check(SCRAPE));
    let rejected = tools::written(&check("deploy/prometheus/scrape.yml").output().unwrap());
    assert!(rejected.contains("field rule_files not found"), "{rejected}");
}
