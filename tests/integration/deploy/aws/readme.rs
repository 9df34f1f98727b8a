//! The commands and the configuration in `deploy/aws/README.md`.

use super::super::text;
use crate::organization::MANAGEMENT;

pub(super) const README: &str = "deploy/aws/README.md";

/// The code blocks in `language` of the README, in order.
fn blocks(language: &str) -> Vec<String> {
    let readme = text(README);
    let parts = readme.split("```").skip(1).step_by(2);
    parts.filter_map(|part| part.strip_prefix(&format!("{language}\n")).map(ToOwned::to_owned)).collect()
}

/// The commands of the README, in order.
pub(super) fn commands() -> Vec<String> {
    blocks("sh").iter().flat_map(|block| block.split("\n\n")).map(ToOwned::to_owned).collect()
}

/// Whether the command of the README lets the roles look up managed nodes.
pub(super) fn allows_lookups(command: &str) -> bool {
    command.contains("ListManagedNodes,ParameterValue=true") || command.contains("ListManagedNodes=true")
}

/// When the roles of the README are allowed to look up managed nodes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Lookups {
    Never,
    FromTheStart,
    Later,
}

/// moto does not update the policies of a role with its stack. Therefore the stack of the management account
/// is created again, with the parameters that it has.
const CREATE_STACK_AGAIN: &str = r#"
in_stack() {
  aws cloudformation "$@" --profile management --region "$REGION" --stack-name ssm-sync-exporter-member
}
PARAMETERS=$(in_stack describe-stacks --query 'Stacks[0].Parameters' --output json)
in_stack delete-stack
in_stack create-stack --template-body file://deploy/aws/member-role.yaml \
  --capabilities CAPABILITY_NAMED_IAM --parameters "$PARAMETERS"
"#;

/// The commands of the README that create the roles, in the order in which moto has to run them.
pub(super) fn rollout(lookups: Lookups) -> Vec<String> {
    let mut commands = commands();
    commands.retain(|command| !command.starts_with("ssm-sync-exporter "));
    let all = commands.len();
    if lookups == Lookups::Later {
        let position =
            |commands: &[String], text| commands.iter().position(|command| command.contains(text)).unwrap();
        // moto does not update the stacks of a StackSet, so the StackSet is updated before it has any.
        let update = commands.iter().position(|command| allows_lookups(command)).unwrap();
        let update = commands.remove(update);
        assert!(update.contains(" update-stack-set "), "{update}");
        commands.insert(position(&commands, " create-stack-instances "), update);
        assert!(commands.iter().any(|command| allows_lookups(command) && command.contains(" deploy ")));
        commands.push(CREATE_STACK_AGAIN.to_owned());
    } else {
        commands.retain(|command| !allows_lookups(command));
        assert_eq!(commands.len(), all - 2);
    }
    if lookups == Lookups::FromTheStart {
        assert!(commands[0].contains("MANAGED_NODES=false "), "{commands:?}");
        commands[0] = commands[0].replace("MANAGED_NODES=false ", "MANAGED_NODES=true ");
    }
    commands
}

/// The configuration of the README for the accounts of moto.
pub(super) fn readme_config(hub: &str) -> String {
    let [config] = <[String; 1]>::try_from(blocks("yaml")).unwrap();
    assert!(config.contains("555500000000") && config.ends_with("  external_id: example\n"), "{config}");
    // In this organization, the exporter's account has no member role.
    format!("{}  exclude_accounts: [\"{hub}\"]\n", config.replace("555500000000", MANAGEMENT))
}
