//! The operations of IAM that read and change the policies of roles and users.

use quick_xml::escape::escape;

use crate::policy::{Policy, PolicyKind};
use crate::reply::{ApiError, Reply};
use crate::sts::Parameters;
use crate::world::{Identity, World};

/// The name of the only user of each account.
pub(crate) const USER: &str = "fake";

/// Handles a call of `operation`.
pub(crate) fn handle(world: &World, account: &str, operation: &str, parameters: &Parameters) -> Reply {
    let call = Call { world, account, parameters };
    let result = match operation {
        "GetRole" => call.get_role(),
        "UpdateAssumeRolePolicy" => call.update_trust_policy(),
        "PutRolePolicy" => call.put_policy("PutRolePolicy", call.role()),
        "PutUserPolicy" => call.put_policy("PutUserPolicy", call.user()),
        "GetRolePolicy" => call.get_policy("GetRolePolicy", call.role()),
        "GetUserPolicy" => call.get_policy("GetUserPolicy", call.user()),
        "ListRolePolicies" => call.list_policies("ListRolePolicies", call.role()),
        "ListUserPolicies" => call.list_policies("ListUserPolicies", call.user()),
        "DeleteRolePolicy" => call.delete_policy("DeleteRolePolicy", call.role()),
        "DeleteUserPolicy" => call.delete_policy("DeleteUserPolicy", call.user()),
        _ => Err(ApiError::new("InvalidAction", format!("Could not find operation {operation}"))),
    };
    result.map_or_else(Reply::Error, |(operation, result)| Reply::Xml { operation, result })
}

/// The ARN of the resource of a call.
pub(crate) fn resource(world: &World, account: &str, parameters: &Parameters) -> String {
    if let Some(name) = parameters.get("RoleName") {
        let role = world.describe_role(account, name);
        let name = role.map_or_else(|| name.clone(), |role| role.name);
        return format!("arn:aws:iam::{account}:role/{name}");
    }
    match parameters.get("UserName") {
        Some(name) => format!("arn:aws:iam::{account}:user/{name}"),
        None => "*".to_owned(),
    }
}

struct Call<'a> {
    world: &'a World,
    account: &'a str,
    parameters: &'a Parameters,
}

/// An operation and the XML of its result.
type Outcome = Result<(&'static str, String), ApiError>;

impl Call<'_> {
    fn get_role(&self) -> Outcome {
        let name = self.required("RoleName")?;
        let role = self.world.describe_role(self.account, name).ok_or_else(|| no_entity("role", name))?;
        let (path, name) = role
            .name
            .rsplit_once('/')
            .map_or((String::new(), role.name.as_str()), |(path, name)| (format!("{path}/"), name));
        let boundary = role.boundary.map(|arn| {
            format!(
                "<PermissionsBoundary><PermissionsBoundaryType>Policy</PermissionsBoundaryType>\
                 <PermissionsBoundaryArn>{}</PermissionsBoundaryArn></PermissionsBoundary>",
                escape(&arn)
            )
        });
        let result = format!(
            "<Role><Path>/{}</Path><RoleName>{}</RoleName><RoleId>AROAFAKEFAKEFAKEFAKE</RoleId><Arn>{}</Arn>\
             <CreateDate>2026-01-01T00:00:00Z</CreateDate>\
             <AssumeRolePolicyDocument>{}</AssumeRolePolicyDocument>\
             <MaxSessionDuration>3600</MaxSessionDuration>{}</Role>",
            escape(&path),
            escape(name),
            escape(format!("arn:aws:iam::{}:role/{path}{name}", self.account)),
            encoded(&role.trust),
            boundary.unwrap_or_default(),
        );
        Ok(("GetRole", result))
    }

    fn update_trust_policy(&self) -> Outcome {
        let document = self.required("PolicyDocument")?;
        let policy = Policy::parse(document, PolicyKind::Trust).map_err(malformed)?;
        if let Some(missing) = policy.principals().find(|principal| !self.world.has_principal(principal)) {
            return Err(malformed(format!("Invalid principal in policy: \"AWS\":\"{missing}\"")));
        }
        let Identity::Role(role) = self.role()? else { return Err(no_entity("role", "")) };
        self.world.set_trust_policy(self.account, &role, document).map_err(malformed)?;
        Ok(("UpdateAssumeRolePolicy", String::new()))
    }

    fn put_policy(&self, operation: &'static str, identity: Result<Identity, ApiError>) -> Outcome {
        let (identity, name, document) =
            (identity?, self.required("PolicyName")?, self.required("PolicyDocument")?);
        self.world.put_policy(self.account, &identity, name, document).map_err(malformed)?;
        Ok((operation, String::new()))
    }

    fn get_policy(&self, operation: &'static str, identity: Result<Identity, ApiError>) -> Outcome {
        let (identity, wanted) = (identity?, self.required("PolicyName")?);
        let policies = self.world.policies(self.account, &identity).unwrap_or_default();
        let found = policies.into_iter().find(|(name, _)| name == wanted);
        let (name, document) = found.ok_or_else(|| no_policy(wanted))?;
        let (kind, owner) = match &identity {
            Identity::User => ("User", USER),
            Identity::Role(_) => ("Role", self.required("RoleName")?),
        };
        let result = format!(
            "<{kind}Name>{}</{kind}Name><PolicyName>{}</PolicyName><PolicyDocument>{}</PolicyDocument>",
            escape(owner),
            escape(&name),
            encoded(&document)
        );
        Ok((operation, result))
    }

    fn list_policies(&self, operation: &'static str, identity: Result<Identity, ApiError>) -> Outcome {
        let policies = self.world.policies(self.account, &identity?).unwrap_or_default();
        let names: Vec<_> =
            policies.iter().map(|(name, _)| format!("<member>{}</member>", escape(name))).collect();
        Ok((
            operation,
            format!("<PolicyNames>{}</PolicyNames><IsTruncated>false</IsTruncated>", names.concat()),
        ))
    }

    fn delete_policy(&self, operation: &'static str, identity: Result<Identity, ApiError>) -> Outcome {
        let (identity, name) = (identity?, self.required("PolicyName")?);
        if self.world.remove_policy(self.account, &identity, name) {
            Ok((operation, String::new()))
        } else {
            Err(no_policy(name))
        }
    }

    /// The role in the request.
    fn role(&self) -> Result<Identity, ApiError> {
        let name = self.required("RoleName")?;
        let role = self.world.describe_role(self.account, name).ok_or_else(|| no_entity("role", name))?;
        Ok(Identity::Role(role.name))
    }

    /// The user in the request.
    fn user(&self) -> Result<Identity, ApiError> {
        let name = self.required("UserName")?;
        if name == USER { Ok(Identity::User) } else { Err(no_entity("user", name)) }
    }

    fn required(&self, name: &str) -> Result<&str, ApiError> {
        self.parameters.get(name).map(String::as_str).filter(|value| !value.is_empty()).ok_or_else(|| {
            let member = name[..1].to_lowercase() + &name[1..];
            let message = format!("1 validation error detected: Value null at '{member}' failed to satisfy constraint: Member must not be null");
            ApiError::new("ValidationError", message)
        })
    }
}

/// A policy document in a response: encoded as in a URL (RFC 3986).
fn encoded(document: &str) -> String {
    form_urlencoded::byte_serialize(document.as_bytes()).collect::<String>().replace('+', "%20")
}

fn malformed(message: String) -> ApiError {
    ApiError::new("MalformedPolicyDocument", message)
}

fn no_entity(kind: &str, name: &str) -> ApiError {
    ApiError::new("NoSuchEntity", format!("The {kind} with name {name} cannot be found.")).status(404)
}

fn no_policy(name: &str) -> ApiError {
    ApiError::new("NoSuchEntity", format!("The role policy with name {name} cannot be found.")).status(404)
}
