//! `doctor` over a thousand accounts.

use std::time::{Duration, Instant};

use fake_aws::{Fault as CallFault, FaultRule, Identity};
use pretty_assertions::assert_eq;

use super::fleet::{Fleet, member};
use crate::exporter::ROLE;
use crate::once::external_tools::on_a_terminal;
use crate::once::output_of;

const MEMBERS: u32 = 1000;

/// The operations that the exporter calls.
const OPERATIONS: [&str; 4] = ["ListAccounts", "AssumeRole", "ListRegions", "ListResourceDataSync"];

/// Runs the program. Returns its output, how long it took, and how often it called each operation.
async fn measure(fleet: &Fleet, command: &str) -> (String, Duration, [u64; 4]) {
    let calls = || OPERATIONS.map(|operation| fleet.world().calls(operation));
    let before = calls();
    let started = Instant::now();
    let mut program = fleet.program(command);
    program.args(["--format", "table"]);
    let (status, out, err) = output_of(program).await;
    assert_eq!(status, Some(1), "{out}\n{err}");
    let after = calls();
    (out, started.elapsed(), std::array::from_fn(|index| after[index] - before[index]))
}

/// Two screens of a terminal have about 100 lines.
const TWO_SCREENS: usize = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_accounts_take_as_long_as_one_round_of_collections_and_two_screens() {
    let fleet = Fleet::start(MEMBERS).await;
    let world = fleet.world();
    // Three faults, each in many accounts.
    let nothing = r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ec2:*", "Resource": "*"}]}"#;
    let role = Identity::role(ROLE);
    for number in 0..MEMBERS {
        match number % 4 {
            0 => world.set_policies(&member(number), &role, &[("other", nothing)]).unwrap(),
            1 => world.set_permissions_boundary(&member(number), &role, Some(("team", nothing))).unwrap(),
            2 => world.add_denied_role(&member(number), ROLE),
            _ => {}
        }
    }
    world.set_faults(vec![FaultRule::new(CallFault::Delay(50))]);
    let (_, one_round, once_calls) = measure(&fleet, "once").await;
    let (out, elapsed, doctor_calls) = measure(&fleet, "doctor").await;
    let [accounts, assumed, regions, syncs] = doctor_calls;
    assert_eq!([accounts, regions, syncs], [once_calls[0], once_calls[2], once_calls[3]]);
    // A role that cannot be assumed is tried again for the next region, unless the first attempt is still
    // under way.
    let denied = u64::from(MEMBERS / 4);
    let roles = u64::from(MEMBERS) + 1;
    assert!((roles..=roles + denied).contains(&assumed), "{assumed}");
    // One account after the other would take a hundred times as long. Other tests may slow down either run.
    assert!(elapsed < one_round * 10, "{elapsed:?} for doctor, {one_round:?} for once");
    assert!(out.lines().count() <= TWO_SCREENS, "{out}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nine_causes_need_at_most_two_screens() {
    let fleet = Fleet::with_faults().await;
    let (out, ..) = measure(&fleet, "doctor").await;
    assert!(out.lines().count() <= TWO_SCREENS, "{} lines:\n{out}", out.lines().count());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn nine_causes_need_at_most_two_screens_of_a_terminal_of_any_width() {
    let fleet = Fleet::with_faults().await;
    for columns in [60, 80, 100, 120, 200] {
        let doctor = on_a_terminal(columns, &fleet.program("doctor"));
        let (status, out, _) = output_of(doctor).await;
        assert_eq!(status, Some(1), "{out}");
        let lines = out.lines().count();
        assert!(lines <= TWO_SCREENS, "{lines} lines of {columns} columns:\n{out}");
    }
}
