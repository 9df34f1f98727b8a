//! Checks pods against the Restricted profile of the Pod Security Standards.

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::chart::{Rendered, string, value_sets};

/// The volume types that the profile allows.
const VOLUMES: [&str; 8] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

/// The sysctls that the profile allows.
const SYSCTLS: [&str; 10] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
];

/// The controls of the Restricted profile that a pod violates, including those of Baseline.
fn violations(pod: &Value) -> Vec<&'static str> {
    let mut found = Vec::new();
    let mut check = |control, passes: bool| {
        if !passes && !found.contains(&control) {
            found.push(control);
        }
    };
    let empty = Vec::new();
    let entries = |value: &'_ Value| value.as_array().unwrap_or(&empty).clone();
    let context = &pod["securityContext"];
    let containers: Vec<Value> = ["containers", "initContainers", "ephemeralContainers"]
        .iter()
        .flat_map(|key| entries(&pod[key]))
        .collect();
    let contexts: Vec<&Value> = std::iter::once(context)
        .chain(containers.iter().map(|container| &container["securityContext"]))
        .collect();

    // Baseline.
    check("HostProcess", contexts.iter().all(|context| context["windowsOptions"]["hostProcess"] != true));
    check("Host Namespaces", ["hostNetwork", "hostPID", "hostIPC"].iter().all(|key| pod[key] != true));
    check("Privileged Containers", contexts.iter().all(|context| context["privileged"] != true));
    check("HostPath Volumes", entries(&pod["volumes"]).iter().all(|volume| volume["hostPath"].is_null()));
    for container in &containers {
        let ports = entries(&container["ports"]);
        check("Host Ports", ports.iter().all(|port| port["hostPort"].is_null() || port["hostPort"] == 0));
        let actions = [
            &container["startupProbe"],
            &container["livenessProbe"],
            &container["readinessProbe"],
            &container["lifecycle"]["postStart"],
            &container["lifecycle"]["preStop"],
        ];
        let no_host =
            |action: &&Value| action["httpGet"]["host"].is_null() && action["tcpSocket"]["host"].is_null();
        check("Host Probes / Lifecycle Hooks", actions.iter().all(no_host));
    }
    let app_armor = |context: &&Value| {
        let kind = &context["appArmorProfile"]["type"];
        kind.is_null() || *kind == "RuntimeDefault" || *kind == "Localhost"
    };
    check("AppArmor", contexts.iter().all(app_armor));
    let selinux = |context: &&Value| {
        let options = &context["seLinuxOptions"];
        let kinds = ["", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"];
        options["type"].as_str().is_none_or(|kind| kinds.contains(&kind))
            && options["user"].as_str().unwrap_or_default().is_empty()
            && options["role"].as_str().unwrap_or_default().is_empty()
    };
    check("SELinux", contexts.iter().all(selinux));
    let proc_mount = |context: &&Value| context["procMount"].is_null() || context["procMount"] == "Default";
    check("/proc Mount Type", contexts.iter().all(proc_mount));
    check(
        "Sysctls",
        entries(&context["sysctls"]).iter().all(|sysctl| SYSCTLS.contains(&string(&sysctl["name"]))),
    );

    // Restricted.
    let kind = |volume: &Value| {
        let kinds: Vec<String> =
            volume.as_object().unwrap().keys().filter(|key| *key != "name").cloned().collect();
        kinds.iter().all(|kind| VOLUMES.contains(&kind.as_str()))
    };
    check("Volume Types", entries(&pod["volumes"]).iter().all(kind));
    for container in &containers {
        let own = &container["securityContext"];
        check("Privilege Escalation", own["allowPrivilegeEscalation"] == false);
        let either = |key: &str| if own[key].is_null() { &context[key] } else { &own[key] };
        check("Running as Non-root", *either("runAsNonRoot") == true);
        let profile = &either("seccompProfile")["type"];
        check("Seccomp", *profile == "RuntimeDefault" || *profile == "Localhost");
        let capabilities = &own["capabilities"];
        let drops_all = entries(&capabilities["drop"]).iter().any(|capability| capability == "ALL");
        let adds_none =
            entries(&capabilities["add"]).iter().all(|capability| capability == "NET_BIND_SERVICE");
        check("Capabilities", drops_all && adds_none);
    }
    check("Running as Non-root user", contexts.iter().all(|context| context["runAsUser"] != 0));
    found
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn pods_meet_the_restricted_profile() {
    for name in value_sets() {
        let rendered = Rendered::of(&name);
        let pod = rendered.pod();
        let expected: &[&str] = if name == "host-network" { &["Host Namespaces"] } else { &[] };
        assert_eq!(violations(pod), expected, "{name}");
        // Stricter than the profile.
        assert_eq!(rendered.container()["securityContext"]["readOnlyRootFilesystem"], true, "{name}");
        assert_eq!(pod["automountServiceAccountToken"], false, "{name}");
        assert_eq!(pod["enableServiceLinks"], false, "{name}");
        assert!(pod["securityContext"]["runAsUser"].is_u64(), "{name}: the kubelet cannot check user names");
        for account in rendered.all("ServiceAccount") {
            assert_eq!(account["automountServiceAccountToken"], false, "{name}");
        }
        assert_eq!(rendered.container()["resources"]["limits"]["cpu"], Value::Null, "{name}");
    }
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn violations_of_the_restricted_profile_are_detected() {
    let good = Rendered::of("minimal").pod().clone();
    let container = "/containers/0/securityContext";
    for (place, key, value, control) in [
        ("", "hostNetwork", json!(true), "Host Namespaces"),
        ("", "volumes", json!([{"name": "x", "hostPath": {"path": "/"}}]), "HostPath Volumes"),
        ("", "volumes", json!([{"name": "x", "nfs": {}}]), "Volume Types"),
        ("", "initContainers", json!([{"name": "x"}]), "Capabilities"),
        ("/securityContext", "runAsNonRoot", json!(false), "Running as Non-root"),
        ("/securityContext", "runAsUser", json!(0), "Running as Non-root user"),
        ("/securityContext", "seccompProfile", json!({"type": "Unconfined"}), "Seccomp"),
        ("/securityContext", "sysctls", json!([{"name": "kernel.msgmax"}]), "Sysctls"),
        (container, "privileged", json!(true), "Privileged Containers"),
        (container, "procMount", json!("Unmasked"), "/proc Mount Type"),
        (container, "allowPrivilegeEscalation", json!(null), "Privilege Escalation"),
        (container, "runAsNonRoot", json!(false), "Running as Non-root"),
        (container, "capabilities", json!({"drop": ["ALL"], "add": ["NET_RAW"]}), "Capabilities"),
        (container, "seLinuxOptions", json!({"user": "root"}), "SELinux"),
        (container, "appArmorProfile", json!({"type": "Unconfined"}), "AppArmor"),
        (container, "windowsOptions", json!({"hostProcess": true}), "HostProcess"),
        ("/containers/0", "ports", json!([{"containerPort": 1, "hostPort": 1}]), "Host Ports"),
        (
            "/containers/0",
            "livenessProbe",
            json!({"tcpSocket": {"host": "x"}}),
            "Host Probes / Lifecycle Hooks",
        ),
    ] {
        let mut bad = good.clone();
        bad.pointer_mut(place).unwrap()[key] = value;
        assert!(violations(&bad).contains(&control), "{control}: {:?}", violations(&bad));
    }
}

/// `OpenShift` assigns user and group ids per namespace.
#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn user_and_group_ids_can_be_unset() {
    let ids = ["runAsUser", "runAsGroup", "fsGroup"];
    let set = ids.map(|id| format!("podSecurityContext.{id}=null")).join(",");
    let rendered = Rendered::with("minimal", &["--set", &set]);
    let context = &rendered.pod()["securityContext"];
    assert_eq!(*context, json!({"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}}));
    assert_eq!(violations(rendered.pod()), Vec::<&str>::new());
}
