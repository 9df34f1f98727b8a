//! The two supported STS operations, `GetCallerIdentity` and `AssumeRole`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use quick_xml::escape::escape;

use crate::authorization::Call;
use crate::fault::Fault;
use crate::policy::{Context, MAX_SESSION_POLICY_LENGTH, Policy, PolicyKind};
use crate::reply::{ApiError, Reply};
use crate::service::Service;
use crate::world::{AssumedRole, Caller, Identity, World, session_token};

/// The parameters of a request by name.
pub(crate) type Parameters = HashMap<String, String>;

/// Handles a call of `operation` by `caller`. `now` is in seconds since the Unix epoch.
pub(crate) fn handle(
    world: &World,
    caller: &Caller,
    region: &str,
    operation: &str,
    parameters: &Parameters,
    faults: &[Fault],
    now: f64,
) -> Reply {
    let result = match operation {
        "GetCallerIdentity" => Ok(Reply::Xml {
            operation: "GetCallerIdentity",
            result: format!(
                "<Arn>{}</Arn><UserId>{}</UserId><Account>{}</Account>",
                escape(&caller.arn),
                caller.user_id,
                caller.account
            ),
        }),
        "AssumeRole" => assume_role(world, caller, region, parameters, faults, now),
        _ => Err(ApiError::new("InvalidAction", format!("Could not find operation {operation}"))),
    };
    result.unwrap_or_else(Reply::Error)
}

fn assume_role(
    world: &World,
    caller: &Caller,
    region: &str,
    parameters: &Parameters,
    faults: &[Fault],
    now: f64,
) -> Result<Reply, ApiError> {
    let required = |name: &str| {
        parameters.get(name).filter(|value| !value.is_empty()).ok_or_else(|| {
            ApiError::new("ValidationError", format!("1 validation error detected: Value null at '{name}' failed to satisfy constraint: Member must not be null"))
        })
    };
    let (arn, session) = (required("RoleArn")?, required("RoleSessionName")?);
    if !(2..=64).contains(&session.len()) {
        return Err(ApiError::new(
            "ValidationError",
            "1 validation error detected: Value at 'roleSessionName' failed to satisfy constraint: Member must have length between 2 and 64",
        ));
    }
    let seconds = match parameters.get("DurationSeconds") {
        None => 3600,
        Some(text) => text.parse().ok().filter(|seconds| (900..=43200).contains(seconds)).ok_or_else(|| {
            ApiError::new("ValidationError", "1 validation error detected: Value at 'durationSeconds' failed to satisfy constraint: Member must have value between 900 and 43200")
        })?,
    };
    let policy = parameters.get("Policy").map(|text| session_policy(text)).transpose()?;
    let (partition, account, role) = parse_arn(arn).ok_or_else(|| {
        let message =
            format!("User: {} is not authorized to perform: sts:AssumeRole on resource: {arn}", caller.arn);
        Service::Sts.access_denied(message)
    })?;
    let mut context = Context::default();
    context.add("sts:RoleSessionName", session);
    if let Some(external_id) = parameters.get("ExternalId") {
        context.add("sts:ExternalId", external_id);
    }
    let call = Call {
        caller,
        action: "sts:AssumeRole".to_owned(),
        resource: arn.clone(),
        resource_account: account.to_owned(),
        region,
        context,
    };
    if let Some(message) = world.denial(call) {
        return Err(Service::Sts.access_denied(message));
    }
    let name = role.rsplit('/').next().unwrap_or(role);
    let assumed = Caller {
        account: account.to_owned(),
        arn: format!("arn:{partition}:sts::{account}:assumed-role/{name}/{session}"),
        user_id: format!("AROAFAKEFAKEFAKEFAKE:{session}"),
        identity: Identity::role(role),
        policy,
    };
    world.record_assumed_role(AssumedRole {
        role: arn.clone(),
        session_name: session.clone(),
        external_id: parameters.get("ExternalId").cloned(),
        policy: parameters.get("Policy").cloned(),
        region: region.to_owned(),
        caller_account: caller.account.clone(),
    });
    let (arn, user_id) = (assumed.arn.clone(), assumed.user_id.clone());
    let (key, expires) = world.open_session(assumed, Duration::from_secs(seconds), now);
    let expires = faults
        .iter()
        .find_map(|fault| match fault {
            #[expect(clippy::cast_precision_loss, reason = "exact for any sensible time")]
            Fault::ExpiresIn(seconds) => Some(now + *seconds as f64),
            Fault::ClockAhead(seconds) => Some(expires + f64::from(*seconds)),
            _ => None,
        })
        .unwrap_or(expires);
    Ok(Reply::Xml {
        operation: "AssumeRole",
        result: format!(
            "<AssumedRoleUser><AssumedRoleId>{}</AssumedRoleId><Arn>{}</Arn></AssumedRoleUser>\
             <Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>fake-secret-{key}</SecretAccessKey>\
             <SessionToken>{}</SessionToken><Expiration>{}</Expiration></Credentials>",
            escape(&user_id),
            escape(&arn),
            session_token(&key),
            iso8601(expires),
        ),
    })
}

/// Parses the session policy of a request.
fn session_policy(text: &str) -> Result<Arc<Policy>, ApiError> {
    if !(1..=MAX_SESSION_POLICY_LENGTH).contains(&text.chars().count()) {
        return Err(ApiError::new(
            "ValidationError",
            format!(
                "1 validation error detected: Value at 'policy' failed to satisfy constraint: Member must have length between 1 and {MAX_SESSION_POLICY_LENGTH}"
            ),
        ));
    }
    Policy::parse(text, PolicyKind::Identity)
        .map(Arc::new)
        .map_err(|error| ApiError::new("MalformedPolicyDocument", error))
}

/// Splits the ARN of a role into partition, account and role name with path.
fn parse_arn(arn: &str) -> Option<(&str, &str, &str)> {
    let mut parts = arn.splitn(6, ':');
    let (Some("arn"), Some(partition), Some("iam"), Some("")) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    Some((partition, parts.next()?, parts.next()?.strip_prefix("role/")?))
}

fn iso8601(time: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "truncates to whole seconds, and the time is in range"
    )]
    let seconds = time as i64;
    jiff::Timestamp::from_second(seconds).map(|time| time.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn successful_assume_role_calls_are_recorded() {
        let world = World::new();
        world.add_account("111122223333");
        world.add_role("222233334444", "audit", Some("right-id"));
        let caller = world.caller("AKIA111122223333FAKE", None, 0.0).unwrap();
        let role = "arn:aws-us-gov:iam::222233334444:role/audit";
        let policy =
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}"#;
        let assume = |external_id: &str, policy: &str| {
            let parameters = [
                ("RoleArn", role),
                ("RoleSessionName", "look"),
                ("ExternalId", external_id),
                ("Policy", policy),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
            handle(&world, &caller, "us-gov-west-1", "AssumeRole", &parameters.into(), &[], 0.0)
        };
        let code = |reply| match reply {
            Reply::Error(error) => error.code,
            other => panic!("{other:?}"),
        };
        assert_eq!(code(assume("wrong-id", policy)), "AccessDenied");
        assert_eq!(code(assume("right-id", "{}")), "MalformedPolicyDocument");
        assert_eq!(code(assume("right-id", &" ".repeat(2049))), "ValidationError");
        assert_eq!(world.assumed_roles(), []);

        let Reply::Xml { result, .. } = assume("right-id", policy) else { panic!("AssumeRole failed") };
        assert!(result.contains("arn:aws-us-gov:sts::222233334444:assumed-role/audit/look"), "{result}");
        assert_eq!(
            world.assumed_roles(),
            [AssumedRole {
                role: role.to_owned(),
                session_name: "look".to_owned(),
                external_id: Some("right-id".to_owned()),
                policy: Some(policy.to_owned()),
                region: "us-gov-west-1".to_owned(),
                caller_account: "111122223333".to_owned(),
            }]
        );
    }
}
