use std::sync::atomic::{AtomicU32, Ordering};

use fake_aws::{FakeAws, World};
use pretty_assertions::assert_eq;
use tempfile::TempDir;

use super::*;
use crate::aws::{ApiObserver, ApiRequest, AwsSettings};
use crate::fleet::{Access, Account, Role, SessionPolicy};
use crate::model::{DataSync, FailureScope};

const HUB: &str = "999900000000";
const ACCOUNT: &str = "111122223333";

/// Panics at the end of the next requests for an operation. The SDK calls it from within a
/// call, so this is as if the SDK panicked.
#[derive(Debug, Default)]
struct PanickingObserver {
    operation: &'static str,
    times: AtomicU32,
}

impl ApiObserver for PanickingObserver {
    fn request_ended(&self, request: &ApiRequest<'_>) {
        let left = |times: u32| (request.operation == self.operation).then(|| times.checked_sub(1)).flatten();
        let panics = self.times.fetch_update(Ordering::SeqCst, Ordering::SeqCst, left).is_ok();
        assert!(!panics, "a panic in a call of {}", request.operation);
    }

    fn identity_lookup_ended(&self, _succeeded: bool) {}
}

/// A collector of [`ACCOUNT`] with the credentials of a role.
struct Setup {
    aws: FakeAws,
    collector: Collector,
    account: Arc<Account>,
    _directory: TempDir,
}

impl Setup {
    /// The first `times` requests for `operation` panic.
    async fn new(operation: &'static str, times: u32) -> Self {
        let world = World::new();
        world.add_account(HUB);
        world.add_role(ACCOUNT, "SsmSyncExporter", None);
        let aws = FakeAws::start(world, "127.0.0.1:0").await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        let credentials = directory.path().join("credentials");
        let key = World::access_key(HUB);
        let profile = format!("[hub]\naws_access_key_id = {key}\naws_secret_access_key = secret\n");
        std::fs::write(&credentials, profile).unwrap();
        let config = directory.path().join("config");
        std::fs::write(&config, "").unwrap();
        let settings = AwsSettings {
            endpoint_url: Some(aws.url()),
            shared_config_file: Some(config),
            shared_credentials_file: Some(credentials),
            ..AwsSettings::default()
        };
        let observer = Arc::new(PanickingObserver { operation, times: times.into() });
        let timeout = Duration::from_mins(1);
        let sessions = Arc::new(Sessions::new(settings, timeout, observer, Arc::default(), Arc::default()));
        let role = Role {
            arn: format!("arn:aws:iam::{ACCOUNT}:role/SsmSyncExporter").parse().unwrap(),
            external_id: None,
            session_name: "test".parse().unwrap(),
            policy: SessionPolicy::default(),
        };
        let account = Account {
            id: Some(ACCOUNT.parse().unwrap()),
            name: None,
            access: Access { profile: Some("hub".to_owned()), roles: vec![role] },
            default_region: Some("eu-west-1".parse().unwrap()),
            managed_nodes_interval: None,
            organizational_units: None,
            unlisted_units: Vec::new(),
        };
        let collector = Collector::new(sessions, timeout, Clock::system());
        Self { aws, collector, account: Arc::new(account), _directory: directory }
    }

    async fn collect(&self, region: &str) -> Result<Vec<DataSync>, Failure> {
        let target = Target { account: Arc::clone(&self.account), region: region.parse().unwrap() };
        self.collector.collect(&target).await.outcome
    }
}

/// The client stayed in the state that made it panic.
#[tokio::test]
async fn a_panic_fails_one_target_and_the_next_collection_has_a_new_client() {
    let setup = Setup::new("ListResourceDataSync", 1).await;
    let failure = setup.collect("eu-west-1").await.unwrap_err();
    assert_eq!(failure, Failure::new(Reason::Other, "the collection panicked, which is a bug"));
    assert_eq!(setup.collect("us-east-1").await, Ok(Vec::new()));
    assert_eq!(setup.collect("eu-west-1").await, Ok(Vec::new()));
    assert_eq!(setup.aws.world().calls("AssumeRole"), 1, "the credentials are kept");
}

#[tokio::test]
async fn a_dropped_client_is_replaced() {
    let setup = Setup::new("none", 0).await;
    let session = setup.collector.sessions.get(&setup.account).await;
    let credentials = session.credentials.get().await.unwrap();
    let first = session.ssm_client(&credentials);
    let is_first = || std::ptr::eq(session.ssm_client(&credentials).config(), first.config());
    assert!(is_first());
    session.drop_ssm_client(&credentials, &"eu-west-1".parse().unwrap());
    assert!(!is_first());
}

/// All callers that waited for the credentials panicked in turn, each after a request.
#[tokio::test]
async fn a_panic_while_assuming_a_role_is_a_failure_that_all_targets_share() {
    let setup = Setup::new("AssumeRole", 1).await;
    let (first, second) = tokio::join!(setup.collect("eu-west-1"), setup.collect("us-east-1"));
    let expected = Failure {
        scope: FailureScope::Credentials,
        ..Failure::new(Reason::Other, "the request for credentials panicked, which is a bug")
    };
    assert_eq!((first, second), (Err(expected.clone()), Err(expected.clone())));
    assert_eq!(setup.aws.world().calls("AssumeRole"), 1);
    assert_eq!(setup.collect("eu-west-1").await, Err(expected), "until the end of the back-off");
}
