//! Renders a page of the document step by step, so that no thread is occupied for long and the
//! whole text is never in memory.

use std::hash::Hasher as _;
use std::sync::Arc;

use siphasher::sip128::{Hasher128 as _, SipHasher24};

use super::Head;
use super::expectation::ExpectationItem;
use super::target::{SyncItem, TargetHead};
use crate::health::{AssessedSync, AssessedTarget, HealthPolicy};

/// About how many bytes are rendered in one step.
const STEP_LEN: usize = 64 * 1024;

/// A page of the document. The targets have been assessed, so the page shows one point in time,
/// however slowly it is read.
#[derive(Debug)]
pub(in crate::status) struct DocumentPage {
    pub(in crate::status) head: Head,
    /// What the targets were judged by.
    pub(in crate::status) policy: Arc<HealthPolicy>,
    pub(in crate::status) targets: Vec<SelectedTarget>,
}

/// A target, and which of its syncs the document has.
#[derive(Debug)]
pub(in crate::status) struct SelectedTarget {
    pub(in crate::status) assessed: AssessedTarget,
    /// Indices.
    pub(in crate::status) syncs: Vec<usize>,
}

impl SelectedTarget {
    pub(in crate::status) fn syncs(&self) -> impl Iterator<Item = AssessedSync<'_>> {
        self.syncs.iter().filter_map(|index| self.assessed.sync(*index))
    }
}

/// What the next step renders.
#[derive(Clone, Copy, Debug)]
pub(in crate::status) enum Position {
    Head {
        /// Whether the document says when it was generated.
        is_dated: bool,
    },
    /// The target with this index, up to its expectations.
    Target(usize),
    /// How a target compares with an expectation. Both are indices, `judgement` among the judgements.
    Expectation {
        target: usize,
        judgement: usize,
    },
    /// A sync of a target. Both are indices, `sync` among the selected syncs.
    Sync {
        target: usize,
        sync: usize,
    },
    End,
}

impl Position {
    pub(in crate::status) const START: Self = Self::Head { is_dated: true };
}

impl DocumentPage {
    /// Appends the next part of the JSON text to `text` and advances `position`.
    pub(in crate::status) fn render(
        &self,
        position: &mut Position,
        text: &mut Vec<u8>,
    ) -> serde_json::Result<()> {
        let end = text.len() + STEP_LEN;
        while text.len() < end && !matches!(position, Position::End) {
            *position = self.render_one(*position, text)?;
        }
        Ok(())
    }

    /// Renders what is at `position` and returns the next position.
    fn render_one(&self, position: Position, text: &mut Vec<u8>) -> serde_json::Result<Position> {
        Ok(match position {
            Position::Head { is_dated } => {
                write_open(&self.head.dated(is_dated), text)?;
                text.extend_from_slice(b",\"targets\":[");
                Position::Target(0)
            }
            Position::Target(index) => {
                let Some(SelectedTarget { assessed, .. }) = self.targets.get(index) else {
                    text.extend_from_slice(b"]}\n");
                    return Ok(Position::End);
                };
                if index > 0 {
                    text.push(b',');
                }
                write_open(&TargetHead::new(assessed), text)?;
                text.extend_from_slice(b",\"expectations\":[");
                Position::Expectation { target: index, judgement: 0 }
            }
            Position::Expectation { target, judgement } => {
                if let Some(item) = self.expectation(target, judgement) {
                    if judgement > 0 {
                        text.push(b',');
                    }
                    serde_json::to_writer(text, &item)?;
                    return Ok(Position::Expectation { target, judgement: judgement + 1 });
                }
                text.push(b']');
                if self.targets.get(target).is_some_and(|target| target.assessed.knows_syncs()) {
                    text.extend_from_slice(b",\"syncs\":[");
                    Position::Sync { target, sync: 0 }
                } else {
                    text.push(b'}');
                    Position::Target(target + 1)
                }
            }
            Position::Sync { target, sync } => {
                let Some(item) = self.sync(target, sync) else {
                    text.extend_from_slice(b"]}");
                    return Ok(Position::Target(target + 1));
                };
                if sync > 0 {
                    text.push(b',');
                }
                serde_json::to_writer(text, &item)?;
                Position::Sync { target, sync: sync + 1 }
            }
            Position::End => Position::End,
        })
    }

    fn expectation(&self, target: usize, judgement: usize) -> Option<ExpectationItem<'_>> {
        let assessed = &self.targets.get(target)?.assessed;
        ExpectationItem::new(assessed, &self.policy.expectations, assessed.judgements().get(judgement)?)
    }

    fn sync(&self, target: usize, sync: usize) -> Option<SyncItem<'_>> {
        let SelectedTarget { assessed, syncs } = self.targets.get(target)?;
        assessed.sync(*syncs.get(sync)?).map(|sync| SyncItem::new(&sync))
    }

    /// A hash of everything in the page except the time at which it was generated.
    pub(in crate::status) fn content_hash(&self) -> serde_json::Result<u128> {
        let (mut hasher, mut text) = (SipHasher24::new(), Vec::with_capacity(2 * STEP_LEN));
        let mut position = Position::Head { is_dated: false };
        while !matches!(position, Position::End) {
            text.clear();
            self.render(&mut position, &mut text)?;
            hasher.write(&text);
        }
        Ok(hasher.finish128().as_u128())
    }
}

/// Writes an object without its closing brace, so that more members can follow. The object must
/// have members.
fn write_open(object: &impl serde::Serialize, text: &mut Vec<u8>) -> serde_json::Result<()> {
    serde_json::to_writer(&mut *text, object)?;
    text.pop();
    Ok(())
}
