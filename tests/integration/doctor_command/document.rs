//! The JSON schema of the document, compared with documents and with the reference in
//! `config/README.md`.

use std::collections::BTreeSet;

use fake_aws::{Fault, FaultRule};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::{doctor, organization};
use crate::api::schema::{assert_documented, properties_of_document, properties_of_schema};
use crate::deploy::text;
use crate::exporter::{ACCOUNT, ROLE};
use crate::once::output_of;

const SCHEMA: &str = "tests/schemas/doctor.schema.json";

/// Keys that no test here causes: requests are not sent to fake-aws through a proxy.
const NOT_OCCURRING: [&str; 1] = [".checks[].proxy"];

/// A denial that names the policy.
fn denied_by_named_policy() -> FaultRule {
    let message = format!(
        "User: arn:aws:sts::{ACCOUNT}:assumed-role/{ROLE}/x is not authorized to perform: ssm:ListResourceDataSync on \
         resource: * with an explicit deny in an identity-based policy: arn:aws:iam::{ACCOUNT}:policy/deny"
    );
    let body = json!({"__type": "AccessDeniedException", "Message": message}).to_string();
    FaultRule::new(Fault::Response { status: 400, body })
}

async fn documents() -> Vec<Value> {
    let mut documents = Vec::new();
    let roles = format!(
        "accounts: [{{name: production, profile: hub, assume_roles: [{{arn: 'arn:aws:iam::{ACCOUNT}:role/{ROLE}'}}]}}]\n"
    );
    for faults in [
        vec![],
        vec![
            FaultRule::new(Fault::Deny)
                .account(ACCOUNT)
                .operation("ListResourceDataSync")
                .region("eu-west-1"),
            FaultRule::new(Fault::DenyByScp).account(ACCOUNT).operation("ListResourceDataSync"),
        ],
        vec![FaultRule::new(Fault::Deny).operation("AssumeRole")],
        vec![FaultRule::new(Fault::Deny).operation("ListAccounts")],
        vec![denied_by_named_policy().operation("ListResourceDataSync")],
        vec![FaultRule::new(Fault::Deny).account(ACCOUNT).operation("DescribeInstanceInformation")],
    ] {
        let more = format!("{roles}managed_nodes: {{enabled: true}}\n");
        let setup = organization("[us-east-1, eu-west-1]", &more).await;
        setup.aws().world().set_faults(faults);
        let (_, out, err) = output_of(doctor(&setup, &[])).await;
        documents.push(serde_json::from_str(&out).unwrap_or_else(|_| panic!("{err}")));
    }
    documents
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_document_matches_the_schema_and_together_they_have_every_key() {
    let schema: Value = serde_json::from_str(&text(SCHEMA)).unwrap();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let mut occurring = BTreeSet::new();
    for document in documents().await {
        let errors: Vec<String> = validator.iter_errors(&document).map(|error| format!("{error}")).collect();
        assert_eq!(errors, [""; 0], "{document:#}");
        properties_of_document("", &document, &mut occurring);
    }
    let mut known = BTreeSet::new();
    properties_of_schema(&schema, "", &schema, &mut known);
    let not_occurring: Vec<&str> = known.difference(&occurring).map(String::as_str).collect();
    assert!(not_occurring.iter().all(|key| NOT_OCCURRING.contains(key)), "{not_occurring:?}");
}

#[test]
fn the_reference_describes_every_key() {
    let (schema, reference): (Value, String) =
        (serde_json::from_str(&text(SCHEMA)).unwrap(), text("config/README.md"));
    let section = reference.split("\n## ").find(|section| section.starts_with("doctor\n")).unwrap();
    assert_documented(
        &schema,
        section,
        &[
            ("The document of `doctor`", ""),
            ("Its `summary`", "/$defs/summary"),
            ("Each of `checks`", "/$defs/check"),
            ("`credentials`", "/$defs/credentials"),
            ("Each of `causes`", "/$defs/cause"),
            ("Each of the `examples` of a cause", "/$defs/example"),
            ("`denial`", "/$defs/denial"),
        ],
    );
}
