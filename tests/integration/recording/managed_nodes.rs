//! Tests that no recording, raw or not, has details of managed nodes.

use fake_aws::{Fault, FaultRule};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::names::{assert_absent, parts};
use super::{record, setup};
use crate::exporter::{ACCOUNT, fake_aws, one_target};

const REGIONS: [&str; 4] = ["eu-west-1", "eu-west-2", "eu-west-3", "eu-north-1"];

/// Everything about the nodes that must not be recorded.
const NAMES: [&str; 12] = [
    "i-0feedfacecafebee1",
    "mi-0badc0ffee0ddf00d",
    "10.77.188.199",
    "fd00:7788:99aa::1234",
    "payroll-db.nordwind.example",
    "Kassensystem-Göteborg",
    "quo\"ted\\Rechner",
    "ops/NordwindHybridActivation",
    "7c9e6679-7425-40de-944b-e07fc1f90ae7",
    "nordwind-turbine-7",
    "Nordwind Enterprise Linux",
    // A word that messages keep.
    "temporarily-unavailable-gateway",
];

/// An EC2 instance, and a server with a hybrid activation.
fn nodes() -> Vec<Value> {
    let [instance, server, ipv4, ipv6, host, name, odd, role, activation, thing, platform, gateway] = NAMES;
    let instance = json!({
        "InstanceId": instance, "PingStatus": "Online", "LastPingDateTime": 1_763_800_000.5, "AgentVersion": "3.3.987.0",
        "PlatformType": "Linux", "PlatformName": platform, "ResourceType": "EC2Instance", "IPAddress": ipv4,
        "ComputerName": host, "SourceId": instance, "NextToken": gateway,
    });
    let server = json!({
        "InstanceId": server, "PingStatus": "ConnectionLost", "ActivationId": activation, "IamRole": role,
        "RegistrationDate": 1_663_800_000, "ResourceType": "ManagedInstance", "Name": name, "IPAddress": ipv6,
        "ComputerName": gateway, "SourceId": thing, "SourceType": "AWS::IoT::Thing", odd: odd,
        "Tags": {"InstanceInformationList": [host]},
    });
    vec![instance, server]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_whether_there_are_nodes_is_recorded() {
    let aws = fake_aws().await;
    let many: Vec<Value> = std::iter::repeat_with(nodes).take(4).flatten().collect();
    aws.world().set_managed_node_items(ACCOUNT, REGIONS[0], nodes());
    aws.world().set_managed_node_items(ACCOUNT, REGIONS[1], many);
    // The token makes this list invalid.
    let odd = json!({"InstanceInformationList": nodes(), "NextToken": 5});
    let odd = Fault::Response { status: 200, body: odd.to_string() };
    aws.world().set_faults(vec![
        FaultRule::new(odd.clone()).operation("DescribeInstanceInformation").region(REGIONS[2]),
    ]);
    let config = one_target().replace("[eu-west-1]", &format!("[{}]", REGIONS.join(", ")))
        + "managed_nodes: {enabled: true}\n";
    let setup = setup(aws, &config);
    for raw in [false, true] {
        let mut once = setup.once();
        if raw {
            once.arg("--record.raw");
        }
        let (_, _, err, recording) = record(once, setup.directory()).await;
        for name in NAMES {
            parts(name).chain([name]).for_each(|name| assert_absent(name, &recording.text));
        }
        let calls = recording.calls("DescribeInstanceInformation");
        let body = |region: &str| {
            let call = calls.iter().find(|call| call["region"] == region).unwrap_or_else(|| panic!("{err}"));
            assert_eq!(call["request"], "{\"MaxResults\":5}");
            call["body"].as_str().unwrap().to_owned()
        };
        assert_eq!(body(REGIONS[0]), r#"{"InstanceInformationList":[{}]}"#);
        assert_eq!(body(REGIONS[1]), r#"{"InstanceInformationList":[{}],"NextToken":"redacted"}"#);
        let odd = body(REGIONS[2]);
        assert!(
            odd.starts_with("{\"InstanceInformationList\":[{\"") && odd.ends_with("\"NextToken\":1}"),
            "{odd}"
        );
        assert_eq!(body(REGIONS[3]), r#"{"InstanceInformationList":[]}"#);
        assert_eq!(calls.len(), REGIONS.len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_that_names_a_node_has_pseudonyms() {
    let aws = fake_aws().await;
    let message = format!("The agent of {} cannot be reached", NAMES.join(", "));
    let body = json!({"__type": "InvalidInstanceId", "message": message}).to_string();
    let fault = FaultRule::new(Fault::Response { status: 400, body });
    aws.world().set_faults(vec![fault.operation("DescribeInstanceInformation")]);
    let setup = setup(aws, &(one_target() + "managed_nodes: {enabled: true}\n"));
    let (_, _, err, recording) = record(setup.once(), setup.directory()).await;
    let calls = recording.calls("DescribeInstanceInformation");
    assert!(calls[0]["body"].as_str().unwrap().contains("InvalidInstanceId"), "{err}");
    // Of the last name, only common words stay.
    for name in &NAMES[..NAMES.len() - 1] {
        parts(name).chain([*name]).for_each(|name| assert_absent(name, &recording.text));
    }
}
