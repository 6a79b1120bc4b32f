//! What another policy would allow or refuse, before officers put it in force: the examiner of changes to the mechanism.
//!
//! | part | what it tells |
//! |---|---|
//! | [`tables`] | members of the tables that differ, and which way each moves what is allowed |
//! | [`permissions`] | policies whose words differ, and questions about who may do what, asked of both texts: those that are answered otherwise |
//! | [`decisions`] | every verdict, approval and order of the record, asked again by the other policy |
//!
//! What is not known to be tighter is looser or unclear, and neither is told as nothing: another policy is taken for no
//! looser where every member of the tables that differs is known to ask for as much, and where the duties differ by
//! forbids more and permits less alone.
//!
//! What this module does not do: prove. The questions are many and written down, and others could be asked; of words that
//! changed they tell what they find, and people read the rest.

mod circumstances;
mod permissions;
mod tables;
mod texts;

use dossier::{Checked, Reason, Stop, replay};
use statement::kind::Policy;

use crate::duties::Duties;
use crate::error::PolicyError;
use crate::gate::{Retrial, Retried};

pub use permissions::{Permission, Permissions, permissions};
pub use tables::{Difference, tables};
pub use texts::{Text, Wording};

/// Which way an answer moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shift {
    /// What was refused is allowed, or a lower tier or score is given.
    Looser,
    /// It cannot be told.
    Unclear,
    /// What was allowed is refused.
    Tighter,
    /// Allowed or refused as before, for other reasons, at a higher tier or in other words.
    Otherwise,
    /// The same answer.
    Same,
}

impl Shift {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Looser => "looser",
            Self::Unclear => "unclear",
            Self::Tighter => "tighter",
            Self::Otherwise => "otherwise",
            Self::Same => "same",
        }
    }

    /// From what was allowed and what is.
    const fn of(then: bool, now: bool, is_same: bool) -> Self {
        match (then, now) {
            (false, true) => Self::Looser,
            (true, false) => Self::Tighter,
            (true, true) | (false, false) if is_same => Self::Same,
            (true, true) | (false, false) => Self::Otherwise,
        }
    }
}

impl Retried {
    /// Which way the decision moved. What a refusal says it is about may be worded by the tier; its codes decide. A lower
    /// tier or score is looser even where the answer is the same: the next change of the kind is asked for less.
    pub fn shift(&self) -> Shift {
        let codes = |reasons: &[Reason]| -> Vec<_> { reasons.iter().map(|reason| reason.code).collect() };
        let (then, now) = (&self.then, &self.now);
        let is_lower = matches!((then.tier, now.tier), (Some(then), Some(now)) if now < then)
            || matches!((then.risk, now.risk), (Some(then), Some(now)) if now < then);
        if is_lower {
            return Shift::Looser;
        }
        let is_same = then.outcome == now.outcome
            && (then.tier, then.risk) == (now.tier, now.risk)
            && codes(&then.reasons) == codes(&now.reasons);
        Shift::of(then.allows, now.allows, is_same)
    }
}

/// Why policies cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// One of them could not be put in force.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The record cannot be read to its end.
    #[error(transparent)]
    Stop(#[from] Stop),
}

impl CompareError {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Policy(error) => error.code(),
            Self::Stop(stop) => stop.code(),
        }
    }

    /// What to do about it.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Policy(error) => error.hint(),
            Self::Stop(stop) => stop.hint(),
        }
    }
}

/// What differs between two policies.
#[derive(Debug)]
pub struct Comparison {
    /// Of the tables.
    pub tables: Vec<Difference>,
    /// Of who may do what.
    pub permissions: Permissions,
    /// Every decision of the record, asked again.
    pub decisions: Vec<Retried>,
}

impl Comparison {
    /// Compares the policy that is in force with another one, by themselves and on the leaves of a record.
    ///
    /// # Errors
    /// A policy that could not be put in force, and a record that cannot be read.
    pub fn between(in_force: &Policy, other: &Policy, entries: &[Checked]) -> Result<Self, CompareError> {
        Ok(Self {
            tables: tables(in_force, other),
            permissions: permissions(in_force, other)?,
            decisions: decisions(other, entries)?,
        })
    }

    /// Which way the other policy moves what is allowed, of what was asked: the first of looser, unclear, tighter and
    /// otherwise that any of it is; the same where nothing differs.
    pub fn shift(&self) -> Shift {
        let tables = self.tables.iter().map(|found| found.shift);
        let texts = self.permissions.texts.iter().map(|text| text.shift);
        let permissions = self.permissions.differing.iter().map(Permission::shift);
        let decisions = self.decisions.iter().map(Retried::shift);
        tables.chain(texts).chain(permissions).chain(decisions).min().unwrap_or(Shift::Same)
    }

    /// Whether the other policy allows something that the one in force refuses, of what was asked.
    pub fn is_looser(&self) -> bool {
        self.shift() == Shift::Looser
    }
}

/// Asks every verdict, approval and order of a record again, by another policy.
///
/// # Errors
/// As [`Comparison::between`].
pub fn decisions(other: &Policy, entries: &[Checked]) -> Result<Vec<Retried>, CompareError> {
    let retrial = Retrial::by(other)?;
    replay(entries, &retrial)?;
    Ok(retrial.into_retried())
}

/// The duties of a policy.
fn duties(policy: &Policy) -> Result<Duties, PolicyError> {
    Duties::load(&policy.cedar, &policy.schema)
}
