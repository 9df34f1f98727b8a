//! What keeps the exporter from the syncs of an account.
//!
//! The explanations of denied calls follow the IAM user guide.

use super::CauseGuide;
use crate::health::{AccessCauseKind, Alert};

const ACCESS_DENIED: &str =
    "https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html";
const TRUST_POLICY: &str = "https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_roles.html";
const WEB_IDENTITY: &str =
    "https://docs.aws.amazon.com/eks/latest/userguide/iam-roles-for-service-accounts.html";
const ROOT_USER: &str = "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_root-user.html";
const BOUNDARY: &str = "https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html";
const SESSION_POLICY: &str =
    "https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies.html#policies_session";
const VPC_ENDPOINT: &str = "https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-endpoints-access.html";
const SCP: &str = "https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps.html";
const RCP: &str = "https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_rcps.html";
const ORGANIZATION: &str =
    "https://docs.aws.amazon.com/organizations/latest/APIReference/API_ListAccounts.html";
const REGIONS: &str = "https://docs.aws.amazon.com/accounts/latest/reference/manage-acct-regions.html";
const STS_REGIONS: &str =
    "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp_enable-regions.html";
const CREDENTIALS: &str = "https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html";
const SIGNATURE: &str =
    "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html";
const CALLER_IDENTITY: &str =
    "https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html";
const COMMON_ERRORS: &str =
    "https://docs.aws.amazon.com/systems-manager/latest/APIReference/CommonErrors.html";
const ENDPOINTS: &str = "https://docs.aws.amazon.com/general/latest/gr/ssm.html";
const LIST_OPERATION: &str =
    "https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_ListResourceDataSync.html";
const HEALTH_DASHBOARD: &str =
    "https://docs.aws.amazon.com/health/latest/ug/aws-health-dashboard-status.html";

impl CauseGuide {
    /// The guide to a cause that keeps the exporter from the syncs of an account.
    pub(crate) fn of_access(kind: AccessCauseKind) -> Self {
        let (title, explanation, remedy, source) = texts(kind);
        let alert = match kind {
            AccessCauseKind::ServiceControlPolicy | AccessCauseKind::RegionDisabled => {
                Alert::SsmSyncTargetRefused
            }
            AccessCauseKind::OrganizationAccess => Alert::SsmSyncDiscoveryFailing,
            _ => Alert::SsmSyncTargetDown,
        };
        Self { name: kind.as_str(), alert, title, explanation, remedy, source }
    }
}

/// The title, the explanation, the remedy, and the document that they come from.
#[expect(clippy::too_many_lines, reason = "a table of texts")]
fn texts(kind: AccessCauseKind) -> (&'static str, &'static str, &'static str, &'static str) {
    match kind {
        AccessCauseKind::TrustPolicy => (
            "Cannot assume a role",
            "AWS denies access by the same words if the role does not exist, if its trust policy does not allow the caller, and if \
             it requires another external id.",
            "Check, in this order: the role exists in the account; its trust policy allows the caller; the external id in the \
             trust policy is `external_id` of the configuration; a policy of the caller allows `sts:AssumeRole` on the role. If \
             the caller is a role that was deleted and created again, save the trust policy again.",
            TRUST_POLICY,
        ),
        AccessCauseKind::TrustPolicyDeny => (
            "The trust policy denies assuming the role",
            "A `Deny` statement in the trust policy of the role applies to the caller, and overrides every statement that allows it.",
            "Change the `Deny` statement in the trust policy so that it does not apply to the caller.",
            TRUST_POLICY,
        ),
        AccessCauseKind::WebIdentity => (
            "The role does not trust the web identity",
            "The exporter gets its first credentials with a token, in Kubernetes with that of its service account. The trust \
             policy of the role has to allow `sts:AssumeRoleWithWebIdentity` to the issuer, the audience and the subject of the token.",
            "Compare the trust policy of the role in `AWS_ROLE_ARN` with the issuer of the cluster, the audience \
             `sts.amazonaws.com`, and the namespace and the name of the service account.",
            WEB_IDENTITY,
        ),
        AccessCauseKind::RootUser => (
            "The root user cannot assume roles",
            "The exporter uses an access key of the root user of an account. AWS does not let the root user assume a role.",
            "Give the exporter a role or an IAM user of its own, and delete the access key of the root user.",
            ROOT_USER,
        ),
        AccessCauseKind::IdentityPolicy => (
            "No policy of the caller allows the call",
            "A call needs a statement that allows it, in a policy of the role or user that makes it.",
            "Allow the action in a policy of the role or user. The message names both.",
            ACCESS_DENIED,
        ),
        AccessCauseKind::IdentityPolicyDeny => (
            "A policy of the caller denies the call",
            "A `Deny` statement in a policy of the role or user overrides every statement that allows the call.",
            "Find the `Deny` statement that applies, and change it so that it does not apply to the exporter's calls. If AWS names \
             no policy, look at all policies of the role or user, inline and managed.",
            ACCESS_DENIED,
        ),
        AccessCauseKind::PermissionsBoundary => (
            "The permissions boundary does not allow the call",
            "A permissions boundary limits what the policies of a role or user can allow, and often belongs to another team than \
             the role.",
            "Ask the owner of the permissions boundary to allow the call, or use a role without it.",
            BOUNDARY,
        ),
        AccessCauseKind::SessionPolicy => (
            "The session policy does not allow the call",
            "A session may make only the calls that both the role and the session policy allow. The exporter passes a session \
             policy when it assumes a role, unless `aws.session_policy` is `false`; other sources of credentials may pass one as well.",
            "If the exporter assumed the role, set `aws.session_policy: false`, and report a bug, because its session policy \
             should allow its calls. Otherwise allow the call in the session policy of the source of the credentials.",
            SESSION_POLICY,
        ),
        AccessCauseKind::ResourcePolicy => (
            "The policy of the resource does not allow the call",
            "The resource that AWS names has a policy of its own, which does not allow the call to the caller, or denies it.",
            "Allow the call to the caller in the policy of the resource.",
            ACCESS_DENIED,
        ),
        AccessCauseKind::VpcEndpointPolicy => (
            "The policy of a VPC endpoint does not allow the call",
            "The exporter's requests go through a VPC endpoint, and its policy limits them.",
            "Allow the call in the policy of the VPC endpoint of this service, in the network of the exporter.",
            VPC_ENDPOINT,
        ),
        AccessCauseKind::ResourceControlPolicy => (
            "Denied by a resource control policy",
            "Resource control policies of an organization limit who may use the resources of its accounts, whatever the policies of \
             the accounts allow.",
            "Ask the owner of the policy to exempt the exporter's role.",
            RCP,
        ),
        AccessCauseKind::OrganizationAccess => (
            "The account may not list the organization",
            "Only the management account and the accounts of delegated administrators may list the accounts and units of an \
             organization. AWS often does not tell this from a missing permission.",
            "Under `organization`, use a role in the management account or in the account of a delegated administrator, and allow it \
             `organizations:ListAccounts`; with `organizational_units` also `organizations:ListAccountsForParent` and \
             `organizations:ListOrganizationalUnitsForParent`.",
            ORGANIZATION,
        ),
        AccessCauseKind::AccessDenied => (
            "Access denied",
            "AWS does not say which policy denies the call.",
            "Check, in this order: a policy of the role or user allows the call; its permissions boundary and the session policy \
             allow it; no policy denies it, of the caller, of the VPC endpoint or of the organization.",
            ACCESS_DENIED,
        ),
        AccessCauseKind::ServiceControlPolicy => (
            "Denied by a service control policy",
            "Service control policies of an organization limit what its accounts may do, whatever the policies of the accounts allow.",
            "If the organization denies this region on purpose, remove the region from `regions`. Otherwise ask the owner of the \
             policy to exempt the exporter's role.",
            SCP,
        ),
        AccessCauseKind::RegionDisabled => (
            "Region not enabled",
            "The account has not enabled the region.",
            "Enable the region in the account, or remove it from `regions`. With a wildcard in `regions`, the exporter polls only \
             the regions that are enabled in each account.",
            REGIONS,
        ),
        AccessCauseKind::StsRegionDisabled => (
            "The region of STS is not enabled in the account of the role",
            "A role can be assumed only in a region that its account has enabled.",
            "Set `aws.sts_region` to a region that all accounts have enabled, or enable the region in the account of the role.",
            STS_REGIONS,
        ),
        AccessCauseKind::Credentials => (
            "No valid credentials",
            "The profile or the environment of the exporter provides no credentials, or credentials that AWS does not accept.",
            "Check the profile or the environment that the exporter gets its credentials from: are credentials present, not \
             expired, and of this account? Check that the host's clock is correct.",
            CREDENTIALS,
        ),
        AccessCauseKind::RejectedCredentials => (
            "AWS does not accept the credentials",
            "The credentials have expired, were deleted or deactivated, or belong to another partition, such as AWS China.",
            "Renew the credentials where the exporter gets them from. If they are a file or a Secret, check that it has no line end \
             or space after a value.",
            CREDENTIALS,
        ),
        AccessCauseKind::InvalidSignature => (
            "AWS does not accept the signature",
            "AWS rejects a signature if the host's clock is wrong by more than the exporter corrects, which is a week, if the \
             secret key does not belong to the access key, or if a proxy changes the request.",
            "Check, in this order: the host's clock, the secret key, and the proxy.",
            SIGNATURE,
        ),
        AccessCauseKind::WrongAccount => (
            "The credentials belong to another account",
            "The exporter compares the account of the credentials with the configuration and with earlier collections, so that it \
             does not show the syncs of another account.",
            "Correct `id`, `profile` or `assume_roles` of the account in the configuration.",
            CALLER_IDENTITY,
        ),
        AccessCauseKind::Throttled => (
            "Throttled by AWS",
            "AWS limits how often an account may call it.",
            "If this is temporary, there is nothing to do: the exporter retries with a back-off. If it persists, increase \
             `interval`, and look for other clients that call Systems Manager or STS in this account.",
            COMMON_ERRORS,
        ),
        AccessCauseKind::Timeout => (
            "Timed out",
            "There was no answer in time.",
            "Check the network path to the host that the message names: proxy, firewall, VPC endpoint. If the message names a \
             `credential_process`, run that command as the user of the exporter. If AWS is only slow, increase `timeout`.",
            ENDPOINTS,
        ),
        AccessCauseKind::Connection => (
            "Connection failed",
            "The connection could not be established, or was lost.",
            "Check DNS and the network path to the host that the message names: proxy, firewall, VPC endpoint, trusted CA \
             certificates, and `aws.endpoint_url` if it is set.",
            ENDPOINTS,
        ),
        AccessCauseKind::ServerError => (
            "AWS server error",
            "The fault is on the side of AWS, or of a server that answers in its place.",
            "If this is temporary, there is nothing to do: the exporter retries with a back-off. If it persists, check the AWS \
             Health Dashboard.",
            HEALTH_DASHBOARD,
        ),
        AccessCauseKind::HtmlPage => (
            "A web page instead of an answer",
            "AWS never answers with a web page, so a proxy, a firewall or a load balancer answered.",
            "Allow the host that the message names in the proxy or firewall, or add it to `NO_PROXY`.",
            LIST_OPERATION,
        ),
        AccessCauseKind::InvalidResponse => (
            "Invalid response",
            "The response does not match the API.",
            "Check whether a proxy or `aws.endpoint_url` answers in place of AWS.",
            LIST_OPERATION,
        ),
        AccessCauseKind::Pagination => (
            "Pagination failed",
            "The pages of a list do not end, or AWS rejects its own page token.",
            "Check whether a proxy or `aws.endpoint_url` answers in place of AWS. If AWS itself answers, report a bug and include the \
             message.",
            LIST_OPERATION,
        ),
        AccessCauseKind::Other => (
            "Unclassified error",
            "The exporter does not know this error.",
            "Read the message, and the exporter's log around the time of the first failure.",
            COMMON_ERRORS,
        ),
    }
}
