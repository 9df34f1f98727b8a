//! The page about one sync over HTTP: every field that AWS reports, what to do, and the answers to
//! addresses that name no sync.

use std::collections::BTreeSet;
use std::process::Command;

use fake_aws::{FakeAws, Fault, FaultRule, SyncKind};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::exporter::{ACCOUNT, Exporter, NOW, REGION, fake_aws, one_target, put_sync};
use crate::{expectation_pages, http, tools};

/// A name that would run a script, end a command or read a file if it were not escaped.
pub(crate) const HOSTILE_NAME: &str = "'; touch pwned; <img src=x onerror=window.pwned=1> $(touch pwned)";

/// A sync to a bucket with every field of the API.
fn to_destination(name: &str, status: &str, message: &str) -> Value {
    json!({
        "SyncName": name, "SyncType": "SyncToDestination", "LastStatus": status, "LastSyncStatusMessage": message,
        "LastSyncTime": NOW - 3_600, "LastSuccessfulSyncTime": NOW - 90_000, "SyncCreatedTime": NOW - 8_640_000,
        "SyncLastModifiedTime": NOW - 864_000,
        "S3Destination": {
            "BucketName": "org-inventory", "Prefix": "ssm/data", "Region": "eu-central-1", "SyncFormat": "JsonSerDe",
            "AWSKMSKeyARN": "arn:aws:kms:eu-central-1:444455556666:key/abc",
            "DestinationDataSharing": {"DestinationDataSharingType": "Organization"},
        },
    })
}

/// A sync from a source with every field of the API.
fn from_source(name: &str, state: Option<&str>) -> Value {
    let mut item = json!({
        "SyncName": name, "SyncType": "SyncFromSource", "SyncCreatedTime": NOW - 8_640_000,
        "SyncLastModifiedTime": NOW - 864_000,
        "SyncSource": {
            "SourceType": "AwsOrganizations",
            "AwsOrganizationsSource": {
                "OrganizationSourceType": "OrganizationalUnits",
                "OrganizationalUnits": [
                    {"OrganizationalUnitId": "ou-abcd-11111111"}, {"OrganizationalUnitId": "ou-abcd-22222222"},
                ],
            },
            "SourceRegions": ["eu-west-1", "ap-south-1"], "IncludeFutureRegions": true, "EnableAllOpsDataSources": true,
        },
    });
    if let Some(state) = state {
        item["SyncSource"]["State"] = state.into();
    }
    item
}

/// Starts an exporter of one target that has syncs with all kinds of problems.
pub(crate) async fn start() -> (FakeAws, Exporter, Vec<String>) {
    let aws = fake_aws().await;
    let mut stale = to_destination("old", "Successful", "");
    stale["LastSuccessfulSyncTime"] = (NOW - 400_000).into();
    let mut to_buckets = vec![
        to_destination("denied", "Failed", "S3 write failed for bucket org-inventory: Access Denied"),
        to_destination(HOSTILE_NAME, "Failed", "NoSuchBucket <script>window.pwned=2</script>"),
        to_destination("file:///etc/passwd", "Failed", "Object Lock"),
        to_destination("key", "Failed", "KMS"),
        to_destination("-unclear", "Failed", ""),
        to_destination("untagged", "Failed", "s3:PutObjectTagging"),
        to_destination("license-manager-1", "Failed", "Access Denied"),
        to_destination("InspectorResourceDataSync-do-not-delete", "Failed", "Access Denied"),
        to_destination("running", "InProgress", ""),
        stale,
        json!({"SyncName": "bare"}),
    ];
    // An S3 sync of which AWS does not say whether it is shared.
    to_buckets[3]["S3Destination"]["DestinationDataSharing"].take();
    let mut from_sources: Vec<Value> = [
        "OrganizationNotExists",
        "NoPermissions",
        "InvalidOrganizationalUnit",
        "TrustedAccessDisabled",
        "Paused",
    ]
    .iter()
    .map(|state| from_source(state, Some(state)))
    .collect();
    from_sources.push(from_source("explorer", None));
    let mut paths = Vec::new();
    for (kind, sync_type, items) in [
        (SyncKind::ToDestination, "SyncToDestination", to_buckets),
        (SyncKind::FromSource, "SyncFromSource", from_sources),
    ] {
        for item in items {
            paths.push(path(sync_type, item["SyncName"].as_str().unwrap()));
            put_sync(&aws, kind, item);
        }
    }
    let exporter = Exporter::start_ready(&aws, &one_target().replace("1s", "1h")).await;
    (aws, exporter, paths)
}

pub(crate) fn path(sync_type: &str, name: &str) -> String {
    let name: String = form_urlencoded::byte_serialize(name.as_bytes()).collect();
    format!("/sync?account={ACCOUNT}&region=eu-west-1&type={sync_type}&name={name}")
}

/// The text of a page without tags, in one line.
fn text(html: &str) -> String {
    let parts = html.split('<').map(|part| part.split_once('>').map_or(part, |(_, text)| text));
    let text: Vec<&str> = parts.flat_map(str::split_whitespace).collect();
    text.join(" ").replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
}

#[tokio::test]
async fn the_page_shows_every_field_and_why_the_sync_is_unhealthy() {
    let (_aws, exporter, _) = start().await;
    let page = exporter.get(&path("SyncToDestination", "denied")).await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert_eq!(page.header("cache-control"), Some("no-store"));
    assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
    assert!(
        page.header("content-security-policy").unwrap().starts_with("default-src 'none'; style-src 'self'")
    );
    let shown = text(&page.body);
    for part in [
        "Failed AWS reports that the last attempt, 1h ago, failed. The last success was 1d 1h ago.",
        "Last successful collection: 0s ago",
        "Name denied Type SyncToDestination Owner customer (told from the name)",
        "Created 100d ago 2025-08-14 08:26 UTC Last changed 10d ago",
        "Status Failed Message S3 write failed for bucket org-inventory: Access Denied",
        "Last attempt 1h ago 2025-11-22 07:26 UTC Last success 1d 1h ago 2025-11-21 07:26 UTC",
        "Bucket org-inventory Prefix ssm/data Region of the bucket eu-central-1",
        "KMS key arn:aws:kms:eu-central-1:444455556666:key/abc Format JsonSerDe Sharing Organization",
        "What to do: The bucket policy does not allow Systems Manager to write",
        "aws s3api get-bucket-policy --bucket org-inventory --region eu-central-1",
        "arn:aws:s3:::org-inventory/ssm/data/*/accountid=*/*",
        "Quota used up: 11 of 5 syncs of the type SyncToDestination exist",
        "AWS console for eu-west-1 (sign in to account 111122223333 )",
    ] {
        assert!(shown.contains(part), "{part}:\n{shown}");
    }
    for link in [
        "runbook.md#cause-bucket_policy\"",
        "href=\"./?account=111122223333\"",
        "href=\"./?account=111122223333&amp;region=eu-west-1\"",
        "href=\"https://eu-west-1.console.aws.amazon.com/systems-manager/managed-instances/resource-data-sync?region=eu-west-1\"",
    ] {
        assert!(page.body.contains(link), "{link}:\n{}", page.body);
    }

    let shown = text(&exporter.get(&path("SyncFromSource", "explorer")).await.body);
    for part in [
        "Healthy AWS reports no fault of the source.",
        "Status not reported Message not reported",
        "Source state not reported Source type AwsOrganizations Organization source type OrganizationalUnits",
        "Organizational units ou-abcd-11111111 ou-abcd-22222222 Source regions eu-west-1 ap-south-1",
        "Include future regions yes Enable all OpsData sources yes",
        "Costs: All OpsData sources are enabled in the accounts of the organization",
        "\"EnableAllOpsDataSources\": false",
    ] {
        assert!(shown.contains(part), "{part}:\n{shown}");
    }
    let bare = text(&exporter.get(&path("SyncToDestination", "bare")).await.body);
    assert!(bare.contains("Bucket not reported Prefix not reported"), "{bare}");
    assert!(bare.contains("Sharing not reported"), "{bare}");
    let stale = text(&exporter.get(&path("SyncToDestination", "old")).await.body);
    let why = "No success for 4d 15h; the limit for this sync is 2d ( health.max_success_age ).";
    assert!(stale.contains(why), "{stale}");
}

#[tokio::test]
async fn the_page_names_the_rule_that_a_limit_comes_from() {
    let aws = fake_aws().await;
    put_sync(&aws, SyncKind::ToDestination, to_destination("denied", "Successful", ""));
    let rules = "health:\n  rules:\n    - {sync_names: [x], max_success_age: 1h}\n    - {accounts: ['111122223333'], \
                 max_success_age: 24h}\n";
    let exporter = Exporter::start_ready(&aws, &(one_target().replace("1s", "1h") + rules)).await;
    let shown = text(&exporter.get(&path("SyncToDestination", "denied")).await.body);
    let why =
        "No success for 1d 1h; the limit for this sync is 1d ( max_success_age of rule 2 in health.rules ).";
    assert!(shown.contains(why), "{shown}");
}

#[tokio::test]
async fn the_page_names_the_expectation_that_a_limit_comes_from() {
    let aws = fake_aws().await;
    let name = format!("org-{REGION}");
    put_sync(&aws, SyncKind::ToDestination, to_destination(&name, "Successful", ""));
    let limits = "health:\n  rules:\n    - {sync_names: ['org-*'], max_success_age: 1h}\nexpectations:\n  - {name: org, \
                  request: {SyncName: 'org-{region}'}, max_success_age: 24h}\n";
    let exporter = Exporter::start_ready(&aws, &(one_target().replace("1s", "1h") + limits)).await;
    let shown = text(&exporter.get(&path("SyncToDestination", &name)).await.body);
    let why =
        "No success for 1d 1h; the limit for this sync is 1d ( max_success_age of the expectation org ).";
    assert!(shown.contains(why), "{shown}");
}

#[tokio::test]
async fn an_unknown_sync_is_answered_with_what_there_is() {
    let (_aws, exporter, _) = start().await;
    let missing = exporter.get(&path("SyncToDestination", "denyed")).await;
    assert_eq!((missing.status, missing.header("content-type")), (404, Some("text/html; charset=utf-8")));
    assert!(missing.header("content-security-policy").is_some());
    let shown = text(&missing.body);
    for part in
        ["No such sync", "The account has 17 syncs in this region", "Name denyed", "Similar syncs denied"]
    {
        assert!(shown.contains(part), "{part}:\n{shown}");
    }
    for (query, part) in [
        (
            format!("account={ACCOUNT}&region=us-east-1&type=a&name=b"),
            "but not in this region. It polls it in eu-west-1.",
        ),
        (
            "account=1&region=eu-west-1&type=a&name=%3Cscript%3E%0a".to_owned(),
            "does not poll the account. Looked for",
        ),
    ] {
        let missing = exporter.get(&format!("/sync?{query}")).await;
        assert_eq!(missing.status, 404, "{query}");
        assert!(!missing.body.contains("<script>"), "{}", missing.body);
        assert!(text(&missing.body).contains(part), "{part}:\n{}", text(&missing.body));
    }
    for (query, part) in [
        ("", "The parameter account is missing. The parameter region is missing."),
        ("?account=1&region=r&type=t", "The parameter name is missing."),
        ("?account=1&region=r&type=t&name=a&name=a", "The parameter name occurs more than once."),
    ] {
        let invalid = exporter.get(&format!("/sync{query}")).await;
        assert_eq!((invalid.status, invalid.header("content-type")), (400, Some("text/html; charset=utf-8")));
        assert!(text(&invalid.body).contains(part), "{part}:\n{}", invalid.body);
    }
}

#[tokio::test]
async fn head_works_and_other_methods_are_refused() {
    let (_aws, exporter, paths) = start().await;
    for path in [paths[0].as_str(), "/sync", "/sync?account=1&region=r&type=t&name=n"] {
        let get = exporter.get(path).await;
        let head = http::request(exporter.address, "HEAD", path).await;
        assert_eq!((head.status, head.body.as_str()), (get.status, ""), "{path}");
        assert_eq!(head.header("content-length"), get.header("content-length"), "{path}");
        let post = http::request(exporter.address, "POST", path).await;
        assert_eq!((post.status, post.header("allow")), (405, Some("GET, HEAD")), "{path}");
    }
}

#[tokio::test]
async fn the_page_says_that_the_target_is_down_and_how_old_the_data_is() {
    let aws = fake_aws().await;
    put_sync(&aws, SyncKind::ToDestination, to_destination("denied", "Failed", "Access Denied"));
    let exporter = Exporter::start_ready(&aws, &one_target()).await;
    aws.world().set_faults(vec![FaultRule::new(Fault::Deny)]);
    exporter.set_clock(600);
    let shown = exporter
        .wait_for("the target to be down", async || {
            let shown = text(&exporter.get(&path("SyncToDestination", "denied")).await.body);
            shown.contains("The target is down").then_some(shown)
        })
        .await;
    assert!(shown.contains("Last successful collection: 10m ago"), "{shown}");
    assert!(shown.contains("No policy of the caller allows the call ( access_denied )"), "{shown}");
    assert!(shown.contains("Consecutive failures: "), "{shown}");
}

#[tokio::test]
async fn texts_from_aws_never_become_markup_or_commands() {
    let (_aws, exporter, _) = start().await;
    let page = exporter.get(&path("SyncToDestination", HOSTILE_NAME)).await;
    assert_eq!(page.status, 200);
    assert_eq!(page.body.matches("<script").count(), 1, "{}", page.body);
    assert!(!page.body.contains("<img") && !page.body.contains(" style="), "{}", page.body);
    let quoted = "--sync-name ''\\''; touch pwned; <img src=x onerror=window.pwned=1> $(touch pwned)'";
    assert!(text(&page.body).contains(quoted), "{}", page.body);
    assert!(text(&page.body).contains("\"SyncName\": \"\\u0027; touch pwned;"), "{}", page.body);
}

/// The commands of a page.
pub(crate) fn commands(html: &str) -> Vec<String> {
    let blocks = html.split("<code dir=\"ltr\">").skip(1).filter_map(|block| block.split_once("</code>"));
    let unescape = |block: &str| {
        block.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
    };
    blocks.map(|(block, _)| unescape(block)).filter(|block| block.starts_with("aws ")).collect()
}

/// The AWS CLI validates the options and the parameters of a command before it calls AWS.
#[tokio::test]
#[ignore = "needs tools that `tests/run` installs"]
async fn the_aws_cli_accepts_every_command_of_the_page() {
    let (_aws, exporter, paths) = start().await;
    let mut all = BTreeSet::new();
    for path in &paths {
        all.extend(commands(&exporter.get(path).await.body));
    }
    all.extend(expectation_pages::all_commands().await);
    assert!(all.len() > 30, "{all:?}");
    let directory = tempfile::tempdir().unwrap();
    let program = tools::python_program("aws");
    let run = |command: &str| {
        let mut aws = Command::new("bash");
        aws.args(["-c", &format!("\"$0\" {} --generate-cli-skeleton output", &command["aws ".len()..])]);
        aws.arg(program.get_program()).current_dir(&directory);
        aws.env("AWS_EC2_METADATA_DISABLED", "true").env("AWS_DEFAULT_REGION", "eu-west-1");
        String::from_utf8(aws.output().unwrap().stderr).unwrap()
    };
    // The CLI also validates the output that it makes up, and that often fails. The operations with
    // a request in JSON have no output.
    let rejected = |command: &str, stderr: &str| {
        let wrong =
            ["nknown options", "nvalid choice", "usage:", "JSON", "rror parsing", "must be specified"];
        wrong.iter().any(|wrong| stderr.contains(wrong))
            || (command.contains("--cli-input-json") && stderr.contains("validation failed"))
    };
    // `aws s3` has no --generate-cli-skeleton.
    for command in all.iter().filter(|command| !command.starts_with("aws s3 ")) {
        let stderr = run(command);
        assert!(!rejected(command, &stderr), "{command}: {stderr}");
    }
    for wrong in [
        "aws ssm delete-resource-data-sync --no-such-option",
        "aws ssm create-resource-data-sync --cli-input-json '{\"SyncNam\": \"a\"}'",
    ] {
        assert!(rejected(wrong, &run(wrong)), "{wrong}: {}", run(wrong));
    }
    let files: Vec<_> = std::fs::read_dir(&directory).unwrap().collect();
    assert!(files.is_empty(), "a name became a command: {files:?}");
}
