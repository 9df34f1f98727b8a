//! The parameters of the `CloudFormation` templates and Terraform modules of `deploy/aws`.

use super::AccessCause;
use crate::health::AccessCauseKind;
use crate::health::access::LIST_MANAGED_NODES;

/// The parameters that decide whether the call is allowed. `None` if there is none: the template always
/// allows the call, or another policy denies it.
pub(super) fn parameter(cause: &AccessCause) -> Option<&'static str> {
    let action = cause.action.as_deref().unwrap_or_default();
    Some(match cause.kind {
        AccessCauseKind::TrustPolicy | AccessCauseKind::IdentityPolicy if action == "sts:TagSession" => {
            "`ExporterSessionTags=true` of the StackSet (`member-role.yaml`), or `exporter_session_tags = true` of the Terraform \
             module; `Runtime=EKSPodIdentity` of `hub-role.yaml`, or `runtime` of its module"
        }
        AccessCauseKind::TrustPolicy => {
            "`ExporterRoleArn` and `ExternalId` of the StackSet (`member-role.yaml`), or `exporter_role_arn` and `external_id` of the \
             Terraform module; `TrustRevision` or `trust_revision` saves the trust policy again"
        }
        AccessCauseKind::WebIdentity => {
            "`OidcProviderArn`, `KubernetesNamespace` and `KubernetesServiceAccount` of `hub-role.yaml`, or `oidc_provider_arn`, \
             `kubernetes_namespace` and `kubernetes_service_account` of the Terraform module"
        }
        AccessCauseKind::IdentityPolicy
        | AccessCauseKind::AccessDenied
        | AccessCauseKind::OrganizationAccess
            if action.starts_with("organizations:") =>
        {
            "`ListOrganization=true` of `hub-role.yaml` or `member-role.yaml`, or `list_organization = true` of the Terraform \
             module, for the role in the management account or in that of a delegated administrator"
        }
        AccessCauseKind::IdentityPolicy | AccessCauseKind::AccessDenied => match action {
            "sts:AssumeRole" => {
                "`MemberRoleName` and `SameOrganization` of `hub-role.yaml`, or `member_role_name` and `same_organization` of the \
                 Terraform module"
            }
            "account:ListRegions" => {
                "`ListRegions=true` of the StackSet (`member-role.yaml`), or `list_regions = true` of the Terraform module"
            }
            LIST_MANAGED_NODES => {
                "`ListManagedNodes=true` of the StackSet (`member-role.yaml`), or `list_managed_nodes = true` of the Terraform \
                 module"
            }
            _ => return None,
        },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::cause;
    use super::*;

    #[test]
    fn the_parameters_exist_in_the_templates_and_in_the_modules() {
        let read = |path: &str| {
            std::fs::read_to_string(format!("{}/deploy/aws/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
        };
        let templates = read("hub-role.yaml") + &read("member-role.yaml");
        let modules = ["hub-role", "member-role", "member-stack-set"]
            .map(|module| read(&format!("terraform/{module}/variables.tf")))
            .concat();
        let mut parameters = 0;
        for kind in AccessCauseKind::ALL {
            for action in [
                "sts:AssumeRole",
                "sts:TagSession",
                "account:ListRegions",
                "organizations:ListAccounts",
                LIST_MANAGED_NODES,
            ] {
                let cause = cause(*kind, action);
                let Some(text) = parameter(&cause) else { continue };
                for code in text.split('`').skip(1).step_by(2) {
                    let name = code.split(['=', ' ']).next().unwrap();
                    let exists = if name.contains(".yaml") {
                        std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
                            .join("deploy/aws")
                            .join(name)
                            .exists()
                    } else if name.starts_with(|c: char| c.is_ascii_uppercase()) {
                        templates.contains(&format!("\n  {name}:\n"))
                    } else {
                        modules.contains(&format!("variable \"{name}\""))
                    };
                    assert!(exists, "{name}: {text}");
                    parameters += 1;
                }
            }
        }
        assert!(parameters > 40, "{parameters}");
    }
}
