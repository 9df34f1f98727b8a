//! Tests of the Dockerfile, the compose file and the ECS task definition.
//!
//! The tests build, pull and run no image, because that needs a registry.

use std::path::{Path, PathBuf};

use pretty_assertions::assert_eq;
use serde_json::Value;
use tempfile::TempDir;

use super::{place, succeed, text, yaml};
use crate::process::{ExporterProcess, program, run, run_check};
use crate::prometheus::Prometheus;
use crate::tools;

const DOCKERFILE: &str = "deploy/container/Dockerfile";
const COMPOSE: &str = "deploy/container/compose.yaml";
const ECS: &str = "deploy/container/ecs-task-definition.json";

const INSTALLED: &str = "/usr/bin/ssm-sync-exporter";

/// The strings of a list.
fn strings(list: &Value) -> Vec<&str> {
    list.as_array().unwrap_or_else(|| panic!("{list}")).iter().map(|item| item.as_str().unwrap()).collect()
}

/// The services of the compose file, by name.
fn services() -> serde_json::Map<String, Value> {
    yaml(COMPOSE)["services"].as_object().unwrap().clone()
}

/// The arguments of every use of an instruction in the Dockerfile.
fn instructions<'a>(dockerfile: &'a str, name: &str) -> Vec<&'a str> {
    dockerfile.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).collect()
}

/// Whether the image has a tag other than `latest` and is pinned by digest.
fn is_pinned(image: &str) -> bool {
    let Some((name, digest)) = image.split_once("@sha256:") else { return false };
    let tag = name.rsplit('/').next().and_then(|name| name.split_once(':')).map(|(_, tag)| tag);
    tag.is_some_and(|tag| tag != "latest")
        && digest.len() == 64
        && digest.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The default port of the program.
fn port() -> String {
    let (_, help, _) = run(program().arg("--help"));
    let port = help.split_once("[default: :").unwrap().1;
    port.split_once(']').unwrap().0.to_owned()
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn the_dockerfile_passes_hadolint() {
    succeed(tools::python_program("hadolint").arg("--failure-threshold=style").arg(place(DOCKERFILE)));
}

#[test]
fn base_images_are_pinned_and_copied_files_are_in_the_build_context() {
    let dockerfile = text(DOCKERFILE);
    let mut stages = Vec::new();
    for from in instructions(&dockerfile, "FROM") {
        let (image, stage) = from.split_once(" AS ").unwrap_or_else(|| panic!("{from} has no name"));
        assert!(stages.contains(&image) || is_pinned(image), "{image}");
        stages.push(stage);
    }
    assert_eq!(stages.last(), Some(&"exporter"), "the last stage is built by default");
    let channel = text("rust-toolchain.toml");
    let channel = channel.split('"').nth(1).unwrap();
    assert!(dockerfile.contains(&format!("\nFROM rust:{channel}-")), "{channel}");

    let context = text("deploy/container/Dockerfile.dockerignore");
    let context: Vec<&str> = context.lines().filter_map(|line| line.strip_prefix('!')).collect();
    for copy in instructions(&dockerfile, "COPY").into_iter().filter(|copy| !copy.starts_with("--from=")) {
        let (sources, _) = copy.rsplit_once(' ').unwrap();
        for source in sources.split(' ') {
            assert!(place(source).exists(), "{source}");
            assert!(context.iter().any(|path| Path::new(source).starts_with(path)), "{source} is ignored");
        }
    }
    for path in context {
        assert!(place(path).exists(), "{path}");
    }
}

#[test]
fn the_image_runs_the_program_as_a_numeric_non_root_user() {
    let dockerfile = text(DOCKERFILE);
    assert_eq!(instructions(&dockerfile, "USER"), ["65532:65532"]);
    assert_eq!(instructions(&dockerfile, "EXPOSE"), [port()]);
    let entrypoint = *instructions(&dockerfile, "ENTRYPOINT").last().unwrap();
    assert_eq!(entrypoint, format!("[\"{INSTALLED}\"]"));
    assert!(instructions(&dockerfile, "COPY").last().unwrap().ends_with(&format!(" {INSTALLED}")));
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn the_compose_file_matches_its_schema() {
    succeed(
        tools::python_program("check-jsonschema")
            .args(["--builtin-schema", "vendor.compose-spec"])
            .arg(place(COMPOSE)),
    );
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn compose_services_are_sandboxed_and_bound_to_localhost() {
    for (name, service) in services() {
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(strings(&service["cap_drop"]), ["ALL"], "{name}");
        assert_eq!(strings(&service["security_opt"]), ["no-new-privileges:true"], "{name}");
        for port in strings(&service["ports"]) {
            assert!(port.starts_with("127.0.0.1:"), "{name}: {port}");
        }
        match service["build"].as_object() {
            Some(build) => {
                let context = place("deploy/container").join(build["context"].as_str().unwrap());
                assert_eq!(context.canonicalize().unwrap(), place("").canonicalize().unwrap(), "{name}");
                assert_eq!(build["dockerfile"], DOCKERFILE, "{name}");
                let stage = format!(" AS {}\n", build["target"].as_str().unwrap());
                assert!(text(DOCKERFILE).contains(&stage), "{name}");
            }
            None => assert!(is_pinned(service["image"].as_str().unwrap()), "{name}"),
        }
    }
}

/// The bind mounts of a service: each path in the repository with its path in the container.
fn mounts(service: &Value) -> Vec<(PathBuf, PathBuf)> {
    let mounts = strings(&service["volumes"]);
    let mounts = mounts.into_iter().map(|volume| {
        let parts: Vec<&str> = volume.split(':').collect();
        let [source, target, "ro"] = parts[..] else { panic!("{volume}") };
        let source = place("deploy/container").join(source);
        assert!(source.exists(), "{}", source.display());
        (source, PathBuf::from(target))
    });
    mounts.collect()
}

/// The path in the repository of a file in the container of a service.
fn source_of(service: &Value, file: &str) -> PathBuf {
    let find = |(source, target): (PathBuf, PathBuf)| {
        let below = Path::new(file).strip_prefix(target).ok()?;
        Some(if below.as_os_str().is_empty() { source } else { source.join(below) })
    };
    mounts(service).into_iter().find_map(find).unwrap_or_else(|| panic!("{file} is not mounted"))
}

/// The configuration of Prometheus in the compose file, and a directory with its rules, laid out as
/// in the container.
fn prometheus() -> (TempDir, String) {
    let service = &services()["prometheus"];
    let flags = strings(&service["command"]);
    let config = flags.iter().find_map(|flag| flag.strip_prefix("--config.file=")).unwrap();
    let directory = tempfile::tempdir().unwrap();
    for (source, target) in mounts(service) {
        let below = target.strip_prefix(Path::new(config).parent().unwrap()).unwrap();
        if source.is_dir() {
            std::os::unix::fs::symlink(source, directory.path().join(below)).unwrap();
        }
    }
    let text = std::fs::read_to_string(source_of(service, config)).unwrap();
    (directory, text)
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn the_prometheus_configuration_of_compose_passes_promtool() {
    let (directory, text) = prometheus();
    let config = directory.path().join("prometheus.yml");
    std::fs::write(&config, text).unwrap();
    succeed(tools::promtool().args(["check", "config", "--lint-fatal"]).arg(&config));

    let files = ["deploy/container/prometheus.yml", "deploy/prometheus/scrape.yml"];
    let [job, example] = files.map(yaml).map(|config| config["scrape_configs"][0].clone());
    assert_eq!(job["job_name"], example["job_name"], "the rules select by this job name");
    let targets = &job["static_configs"][0]["targets"];
    let dockerfile = self::text(DOCKERFILE);
    let listens = instructions(&dockerfile, "CMD")[0].split('"').nth(1).unwrap();
    assert_eq!(strings(targets), [listens.replace("0.0.0.0", "demo")]);
    assert!(services().contains_key("demo"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn the_prometheus_of_compose_scrapes_the_demo_and_evaluates_the_rules() {
    let demo = ExporterProcess::demo();
    let (directory, text) = prometheus();
    let text = text.replace("demo:10144", &demo.address.to_string());
    let prometheus = Prometheus::with_config(directory, &text).await;
    let up = prometheus.query("up{job=\"ssm-sync-exporter\"} == 1").await;
    assert_eq!(up.len(), 1);
    let failed = prometheus.query("aws_ssm_resource_data_sync_last_status{status=\"Failed\"} == 1").await;
    assert_eq!(failed[0].0["job"], "ssm-sync-exporter");
    // The demo has problems, so the rules raise alerts.
    prometheus.query("ALERTS").await;
    let rules = prometheus.api("/api/v1/rules").await;
    let groups = rules["data"]["groups"].as_array().unwrap();
    let rules: Vec<&Value> = groups.iter().flat_map(|group| group["rules"].as_array().unwrap()).collect();
    assert!(rules.iter().any(|rule| rule["type"] == "alerting"), "{rules:?}");
    for rule in rules {
        assert_ne!(rule["health"], "err", "{rule}");
    }
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn the_grafana_of_compose_finds_its_dashboards_and_its_prometheus() {
    let services = services();
    let grafana = &services["grafana"];
    let environment = &grafana["environment"];
    assert_eq!(
        environment["GF_PLUGINS_PREINSTALL_DISABLED"], "true",
        "otherwise Grafana removes its data source"
    );
    let home = environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"].as_str().unwrap();
    assert!(source_of(grafana, home).is_file(), "{home}");

    let dashboards = home.rsplit_once('/').unwrap().0;
    let provisioned = |kind: &str| {
        let directory = source_of(grafana, "/etc/grafana/provisioning").join(kind);
        let files = directory.read_dir().unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
        files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect::<String>()
    };
    assert!(provisioned("dashboards").contains(dashboards), "{dashboards}");
    let url = environment["PROMETHEUS_URL"].as_str().unwrap();
    assert!(provisioned("datasources").contains("PROMETHEUS_URL"));
    let (host, port) = url.strip_prefix("http://").unwrap().split_once(':').unwrap();
    assert!(services[host]["ports"][0].as_str().unwrap().ends_with(&format!(":{port}")), "{url}");
}

fn task() -> Value {
    serde_json::from_str(&text(ECS)).unwrap()
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn ecs_accepts_the_task_definition() {
    let output = succeed(tools::python().arg(place("tests/python/register_ecs_task.py")).arg(place(ECS)));
    let registered: Value = serde_json::from_slice(&output.stdout).unwrap();
    let task = task();
    for (key, value) in task.as_object().unwrap() {
        // AWS adds defaults to containers, which are compared below.
        let same = if key == "containerDefinitions" { continue } else { &registered[key] };
        assert_eq!(same, value, "{key}");
    }
    for (key, value) in task["containerDefinitions"][0].as_object().unwrap() {
        assert_eq!(&registered["containerDefinitions"][0][key], value, "{key}");
    }
}

#[test]
fn the_program_accepts_the_command_and_environment_of_the_task() {
    let task = task();
    let container = &task["containerDefinitions"][0];
    let pairs = |list: &str| container[list].as_array().unwrap().clone();
    let mut command = program();
    command.args(strings(&container["command"])).arg("--config.check");
    for variable in pairs("environment") {
        command.env(variable["name"].as_str().unwrap(), variable["value"].as_str().unwrap());
    }
    // What the parameters hold is shown in the README.
    let readme = self::text("deploy/container/README.md");
    let roles = readme.lines().find(|line| line.starts_with("[{\"arn\": ")).unwrap();
    for secret in pairs("secrets") {
        let is_list = secret["valueFrom"].as_str().unwrap().ends_with("/assume-roles");
        command.env(secret["name"].as_str().unwrap(), if is_list { roles } else { "example" });
    }
    let good = (Some(0), "the configuration is valid\n".to_owned(), String::new());
    assert_eq!(run_check(&mut command), good);

    assert_eq!(container["portMappings"][0]["containerPort"].to_string(), port());
    assert_eq!(instructions(&text(DOCKERFILE), "USER"), [container["user"].as_str().unwrap()]);
    let role = task["taskRoleArn"].as_str().unwrap();
    assert!(text("deploy/aws/trust-policy.json").contains(role), "the member roles do not trust {role}");
}
