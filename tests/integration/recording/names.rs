//! Everything that goes into a recording and must not come out of it.

use std::process::Command;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use fake_aws::{FakeAws, Fault, FaultRule, SyncKind, World};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::{Recording, record, setup};
use crate::exporter::HUB;
use crate::once::{Setup, output_of};

const PAYMENTS: &str = "210987654321";
const WAREHOUSE: &str = "054321098765";
const DENIED: &str = "543210987654";
const UNIT: &str = "ou-fake-7h2kq9x4vb";
const KEY: &str = "9d1f0c3e-77aa-4b6b-8c5e-0a1b2c3d4e5f";

/// The role in the members of the organization.
const ROLE: &str = "Nordwind/Telemetry.Reader";

/// Names, ids and other texts that say something about the organization. Their [`parts`] are searched for
/// as well.
const NAMES: [&str; 20] = [
    HUB,
    PAYMENTS,
    WAREHOUSE,
    DENIED,
    "o-fakefakefa",
    "r-fake",
    UNIT,
    KEY,
    "Nordwind Payments (Göteborg)",
    "Zürich-Lagerhaus_7781",
    "quarantine",
    ROLE,
    "nordwind-telemetry-central/emea/hourly",
    "Kennzahlen",
    "explorer-nordwind",
    "wichtigste",
    "hub-operators",
    "@example.com",
    "Bitte Herrn Quandt anrufen",
    "acct7781",
];

const SECRETS: [&str; 5] =
    ["hub-secret", "fake-secret-", "fake-token-", "xid+of/nordwind:members=42", "xid-of-payments"];

/// A fake AWS with an organization in which everything has a name of its own.
async fn fake_aws() -> FakeAws {
    let world = World::new();
    world.create_organization(HUB);
    world.add_unit(UNIT, "r-fake");
    for (id, name) in [
        (PAYMENTS, "Nordwind Payments (Göteborg)"),
        (WAREHOUSE, "Zürich-Lagerhaus_7781"),
        (DENIED, "quarantine"),
    ] {
        world.add_member(id, name, UNIT);
        let role = "Telemetry.Reader";
        world.add_role(id, &format!("Nordwind/{role}"), Some("xid+of/nordwind:members=42"));
        world.add_role(id, role, Some("xid+of/nordwind:members=42"));
    }
    world.add_denied_role(DENIED, ROLE);
    world.add_role(HUB, ROLE, Some("xid+of/nordwind:members=42"));
    let bucket = json!({
        "BucketName": "nordwind-telemetry-central", "Prefix": "emea/hourly", "SyncFormat": "JsonSerDe",
        "Region": "eu-north-1", "AWSKMSKeyARN": format!("arn:aws:kms:eu-north-1:{HUB}:key/{KEY}"),
        "DestinationDataSharing": {"DestinationDataSharingType": "Organization"},
    });
    let items = vec![
        json!({
            "SyncName": "Kennzahlen", "S3Destination": bucket, "LastStatus": "Failed",
            "LastSyncStatusMessage": format!(
                "S3 write failed for bucket nordwind-telemetry-central (arn:aws:s3:::nordwind-telemetry-central/emea/hourly): \
                 the policy denies kms:GenerateDataKey to {PAYMENTS}. Bitte Herrn Quandt anrufen!"
            ),
            "LastSyncTime": 1_763_800_000.5, "SyncCreatedTime": 1_663_800_000,
        }),
        json!({"SyncName": "InspectorResourceDataSync-do-not-delete", "S3Destination": {"BucketName": "acct7781"}}),
        json!({"SyncName": "license-manager-wichtigste-ssm", "LastStatus": "SomethingNew"}),
    ];
    world.set_default_syncs(SyncKind::ToDestination, items);
    let source = json!({
        "SyncName": "explorer-nordwind", "SyncSource": {
            "SourceType": "AwsOrganizations", "SourceRegions": ["eu-north-1", "us-east-1"],
            "AwsOrganizationsSource": {
                "OrganizationSourceType": "OrganizationalUnits",
                "OrganizationalUnits": [{"OrganizationalUnitId": UNIT}],
            },
            "IncludeFutureRegions": true, "EnableAllOpsDataSources": false, "State": "NoPermissions",
        },
    });
    world.set_default_syncs(SyncKind::FromSource, vec![source]);
    let response = |code: &str, message: &str| Fault::Response {
        status: 400,
        body: json!({"__type": code, "message": message}).to_string(),
    };
    let session = format!("arn:aws:sts::{WAREHOUSE}:assumed-role/Telemetry.Reader/hub-operators@{WAREHOUSE}");
    let denial = format!(
        "User: {session} is not authorized to perform: ssm:ListResourceDataSync on resource: \
         arn:aws:ssm:eu-central-1:{WAREHOUSE}:* with an explicit deny in a service control policy: \
         arn:aws:organizations::{HUB}:policy/o-fakefakefa/service_control_policy/p-wichtigste"
    );
    let echo = format!(
        "The Canonical String should have been\n{}\n{}",
        percent("Nordwind Payments"),
        BASE64_STANDARD_NO_PAD.encode("a Nordwind Payments"),
    );
    world.set_faults(vec![
        FaultRule::new(Fault::PageSize(1)).operation("ListResourceDataSync").region("eu-north-1"),
        FaultRule::new(Fault::PageSize(2)).operation("ListAccounts"),
        FaultRule::new(response("AccessDeniedException", &denial)).region("eu-central-1").account(WAREHOUSE),
        FaultRule::new(response("InvalidSignatureException", &echo)).region("eu-west-3"),
    ]);
    FakeAws::start(world, "127.0.0.1:0").await.unwrap()
}

async fn organization() -> Setup {
    let config = format!(
        "timeout: 16s\nregions: [eu-north-1, eu-central-1, eu-west-3]\norganization:\n  profile: hub\n  member_role: \
         'arn:{{partition}}:iam::{{account_id}}:role/{ROLE}'\n  external_id: 'xid+of/nordwind:members=42'\n  session_name: \
         'hub-operators@{{account_id}}'\n  organizational_units: [{UNIT}]\nhealth:\n  rules:\n    - accounts: \
         ['Nord*', '!Zür*']\n      sync_names: ['Kenn*']\n      max_success_age: 2h\nexpectations:\n  - name: wichtigste\n    \
         accounts: ['*Payments*']\n    request_file: wichtigste.json\n"
    );
    let setup = setup(fake_aws().await, &config);
    let request = json!({
        "SyncName": "Kennzahlen", "SyncType": "SyncToDestination",
        "S3Destination": {"BucketName": "nordwind-telemetry-central", "Region": "eu-north-1", "SyncFormat": "JsonSerDe"},
    });
    std::fs::write(setup.directory().join("wichtigste.json"), request.to_string()).unwrap();
    setup
}

fn percent(text: &str) -> String {
    let encoded = text.bytes().map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    });
    encoded.collect()
}

/// Base64 that a longer text has if it contains `text`, at each of the three positions in a group.
fn base64(text: &str) -> Vec<String> {
    let at = |offset: usize| {
        let encoded = BASE64_STANDARD_NO_PAD.encode("\0".repeat(offset) + text);
        let start = (offset * 8).div_ceil(6);
        let end = (offset + text.len()) * 8 / 6;
        encoded[start..end].to_owned()
    };
    (0..3).map(at).collect()
}

/// Checks that neither the text nor an encoding of it is in the recording, in whatever letter case.
pub(super) fn assert_absent(text: &str, recording: &str) {
    let lower_case = recording.to_lowercase();
    let json = serde_json::to_string(text).unwrap();
    for encoded in [text.to_owned(), percent(text), json.trim_matches('"').to_owned()] {
        let position = lower_case.find(&encoded.to_lowercase());
        let around =
            position.map(|at| lower_case[at.saturating_sub(60)..].chars().take(160).collect::<String>());
        assert_eq!(around, None, "{encoded} is in the recording");
    }
    for encoded in base64(text).into_iter().filter(|encoded| encoded.len() >= 6) {
        assert!(!recording.contains(&encoded), "{text} is in the recording in base64");
    }
}

/// The parts of a name that are searched for on their own. Short ones are in many other words, and short
/// ones of hexadecimal digits can be in a pseudonym by chance.
pub(super) fn parts(name: &str) -> impl Iterator<Item = &str> {
    let public = ["example", "explorer", "central"];
    let parts = name.split(|character: char| !character.is_alphanumeric());
    let min_chars = |part: &str| if part.bytes().all(|byte| byte.is_ascii_hexdigit()) { 8 } else { 4 };
    parts.filter(move |part| part.chars().count() >= min_chars(part) && !public.contains(part))
}

fn once(setup: &Setup) -> Command {
    let mut once = setup.once();
    once.args(["--format", "json"]);
    once
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_has_no_name_and_no_secret_of_the_run() {
    let setup = organization().await;
    let (status, out, err, recording) = record(once(&setup), setup.directory()).await;
    assert_eq!(status, Some(1), "{err}");
    // They went in.
    assert!(out.contains("Nordwind Payments (Göteborg)") && out.contains("Quandt"), "{out}");
    for name in NAMES {
        assert_absent(name, &recording.text);
        parts(name).for_each(|part| assert_absent(part, &recording.text));
    }
    for secret in SECRETS.into_iter().chain([&*World::access_key(HUB), "ASIA000000000000000"]) {
        assert_absent(secret, &recording.text);
    }
    let directory = setup.directory().display().to_string();
    assert_absent(&directory, &recording.text);
    check_what_stays(&recording);
    check_consistency(&recording);
}

/// What has to be in the recording so that it is of use.
fn check_what_stays(recording: &Recording) {
    for public in [
        "InspectorResourceDataSync-do-not-delete",
        "license-manager-",
        "SomethingNew",
        "NoPermissions",
        "with an explicit deny in a service control policy: arn:aws:organizations::",
        "ssm:ListResourceDataSync",
        "kms:GenerateDataKey",
        "S3 write failed for bucket",
        "1763800000.5",
        "ExternalId=redacted",
        "<SecretAccessKey>redacted</SecretAccessKey><SessionToken>redacted</SessionToken>",
        "eu-north-1",
    ] {
        assert!(recording.text.contains(public), "{public}");
    }
    let header = &recording.header;
    assert_eq!(header["ssm_sync_exporter_recording"], 1);
    assert_eq!(header["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(
        (&header["raw"], &header["options"]),
        (&json!(false), &json!({"shard_index": 0, "shard_total": 1}))
    );
    let configuration = &header["configuration"];
    assert_eq!(configuration["timeout"], "16s");
    assert_eq!(configuration["regions"], json!(["eu-north-1", "eu-central-1", "eu-west-3"]));
    assert_eq!(configuration["organization"]["external_id"], "redacted");
    assert_eq!(configuration["expectations"][0]["request"]["SyncType"], "SyncToDestination");
    for (operation, calls) in [("ListAccounts", 0), ("AssumeRole", 3), ("ListResourceDataSync", 12)] {
        assert!(recording.calls(operation).len() >= calls, "{operation}");
    }
    let call = recording.calls("ListResourceDataSync")[0];
    for key in ["service", "account", "region", "access_key_id", "endpoint", "request", "body"] {
        assert!(call[key].is_string(), "{key}: {call}");
    }
}

/// What is equal before has to be equal afterwards.
fn check_consistency(recording: &Recording) {
    // The next request has the token of the previous answer.
    let token = |call: &Value, key: &str| {
        let body: Value = serde_json::from_str(call[key].as_str().unwrap()).unwrap();
        body["NextToken"].as_str().map(ToOwned::to_owned)
    };
    let pages: Vec<&Value> = recording
        .calls("ListResourceDataSync")
        .into_iter()
        .filter(|call| call["region"] == "eu-north-1" && call["account"].is_string())
        .collect();
    let answered: Vec<String> = pages.iter().filter_map(|call| token(call, "body")).collect();
    let asked: Vec<String> = pages.iter().filter_map(|call| token(call, "request")).collect();
    assert!(
        !asked.is_empty() && asked.iter().all(|token| answered.contains(token)),
        "{asked:?} {answered:?}"
    );
    // The unit of the configuration is the one that its accounts are in.
    let unit = recording.header["configuration"]["organization"]["organizational_units"][0].as_str().unwrap();
    assert!(unit.starts_with("ou-"), "{unit}");
    let requests: Vec<&str> = recording
        .lines
        .iter()
        .filter_map(|line| line["request"].as_str())
        .filter(|text| text.contains("ou-"))
        .collect();
    assert!(
        !requests.is_empty() && requests.iter().all(|request| request.contains(unit)),
        "{requests:?} {unit}"
    );
    // The keys of credentials are those of the calls.
    let key = &recording.credentials()[0]["access_key_id"];
    assert!(recording.calls("AssumeRole").iter().all(|call| call["access_key_id"] == *key), "{key}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_raw_recording_has_the_names_and_still_no_secret() {
    let setup = organization().await;
    let mut once = once(&setup);
    once.arg("--record.raw");
    let (_, _, err, recording) = record(once, setup.directory()).await;
    let warnings: Vec<&str> = err.lines().filter(|line| line.contains("--record.raw")).collect();
    assert_eq!(
        warnings,
        [
            "ssm-sync-exporter: warning: --record.raw leaves names as they are: the recording has account ids, the names of \
          accounts, roles, buckets and syncs, e-mail addresses and messages, but no access keys, tokens or external ids"
        ]
    );
    assert_eq!(recording.header["raw"], true);
    for name in ["Nordwind Payments (Göteborg)", PAYMENTS, UNIT, KEY, "Bitte Herrn Quandt anrufen"] {
        assert!(recording.text.contains(name), "{name}");
    }
    for secret in SECRETS.into_iter().chain([&*World::access_key(HUB), "ASIA000000000000000"]) {
        assert_absent(secret, &recording.text);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_two_recordings_have_the_same_pseudonyms() {
    let setup = organization().await;
    let unit = async || {
        let (.., recording) = record(once(&setup), setup.directory()).await;
        recording.header["configuration"]["organization"]["organizational_units"][0].clone()
    };
    assert_ne!(unit().await, unit().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recording_does_not_change_the_results() {
    let setup = organization().await;
    let without_times = |out: &str| {
        // The ids of requests count up.
        let mut parts = out.split("00000000-0000-4000-8000-");
        let first = parts.next().unwrap_or_default().to_owned();
        let out = parts.fold(first, |text, part| text + &part[12..]);
        let mut document: Value = serde_json::from_str(&out).unwrap();
        document["generated_at"].take();
        for target in document["targets"].as_array_mut().unwrap() {
            for key in ["collected_at", "duration_seconds", "last_success_at"] {
                target.as_object_mut().unwrap().remove(key);
            }
        }
        document
    };
    let (status, plain, _) = output_of(once(&setup)).await;
    let (recorded_status, recorded, ..) = record(once(&setup), setup.directory()).await;
    assert_eq!(status, recorded_status);
    assert_eq!(without_times(&recorded), without_times(&plain));
}
