//! What the record says about the holder of a channel key: which state it serves, and how strongly it is tied to it.
//!
//! A binding counts as every statement of its kind does: the fold has taken it in, so a key with the role `engine` has
//! signed it, under an order in force, about that order's state. Here it is asked besides whether it is about the state and
//! the start of the machine that are meant, and whether its signer still has the role.

use dossier::{Dossier, Ledger, Recorded};
use statement::kind::{BindingLevel, EngineBinding, Role};
use statement::{Digest, PublicKey, StateId, StatementId};

use crate::Error;
use crate::keep::Kept;

/// A binding that is believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bound {
    /// The statement.
    pub(crate) binding: StatementId,
    /// How strongly the engine is tied.
    pub(crate) level: BindingLevel,
}

/// Believes that the holder of a key, which was proven at `at`, serves `state`, or says why not. `boot` is the start of
/// this machine, where the engine is on it.
pub(crate) fn judge(
    ledger: &Ledger,
    state: StateId,
    at: &str,
    key: &PublicKey,
    boot: Option<Digest>,
) -> Result<Bound, Error> {
    let world = ledger.world();
    let of_key =
        |dossier: &Dossier| dossier.bindings.iter().rev().find(|found| found.body.channel == *key).cloned();
    let made_by = world.state(&state).and_then(|state| state.body.made_by.as_ref());
    let own = made_by.and_then(|change| ledger.dossier(change)).and_then(of_key);
    let found: Recorded<EngineBinding> = own
        .or_else(|| ledger.dossiers().find_map(of_key))
        .ok_or_else(|| Error::UnknownChannel { at: at.to_owned(), key: key.id() })?;
    let binding = found.id;
    if found.body.state != state {
        return Err(Error::BoundElsewhere { binding, state, found: found.body.state });
    }
    if boot.is_some_and(|boot| boot != found.body.boot) {
        return Err(Error::OtherBoot { binding });
    }
    let may_still = |signer: &dossier::Actor| {
        // A launcher runs on: whoever lost the key's custody may have lost the machine's.
        !ledger.compromised().contains_key(&signer.key)
            && world.actor(&signer.key).is_some_and(|actor| actor.has_any(&[Role::Engine]))
    };
    if !found.signers.iter().any(may_still) {
        return Err(Error::SignerGone { binding });
    }
    // A binding carries no evidence of hardware, so its word that there is some is the launcher's alone.
    Ok(Bound { binding, level: found.body.level.min(BindingLevel::Launched) })
}

/// The least level that a state's engines need: the one that was in force when its order was admitted here, else the one
/// that the policy in force names for the order's tier; none for a state that no order has brought.
pub(crate) fn needed(ledger: &Ledger, kept: &Kept, state: StateId) -> BindingLevel {
    let admitted = kept.admitted.values().filter(|admission| admission.state == state);
    if let Some(admission) = admitted.max_by_key(|admission| admission.at_ms) {
        return admission.binding;
    }
    let world = ledger.world();
    let made_by = world.state(&state).and_then(|state| state.body.made_by.as_ref());
    let order = made_by.and_then(|change| ledger.dossier(change)?.order.as_ref());
    let tier = order.filter(|order| order.body.to_state == state).map(|order| order.body.tier);
    let rule = tier.and_then(|tier| world.policy()?.body.rules.tiers.get(&tier));
    rule.map_or(BindingLevel::Declared, |rule| rule.binding)
}

/// A level's name, as policies write it.
pub(crate) const fn level_name(level: BindingLevel) -> &'static str {
    match level {
        BindingLevel::Declared => "declared",
        BindingLevel::FileChecked => "file-checked",
        BindingLevel::Launched => "launched",
        BindingLevel::Attested => "attested",
    }
}

/// A level's name, or that there is none.
pub(crate) fn shown(level: Option<BindingLevel>) -> &'static str {
    level.map_or("none", level_name)
}
