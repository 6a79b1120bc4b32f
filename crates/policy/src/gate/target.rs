//! Whether the state that a change leads to is the one it starts from, with the change's artefacts and nothing else.

use dossier::Dossier;
use statement::Digest;
use statement::kind::{Artefact, Component, ComponentRole, ModificationKind, Proposal, ServedState};

/// An artefact that the base state has already: it changes nothing.
pub(super) fn served_already<'a>(base: &ServedState, proposal: &'a Proposal) -> Option<&'a Artefact> {
    let is_there = |artefact: &&Artefact| {
        base.manifest.components.iter().any(|component| component.digest == artefact.digest)
    };
    proposal.artefacts.iter().find(is_there)
}

/// What keeps the target state from being the base state with the proposal's artefacts, in words that name it.
pub(super) fn mismatch(base: &ServedState, target: &ServedState, dossier: &Dossier) -> Option<String> {
    let proposal = &dossier.proposal.body;
    if proposal.artefacts.is_empty() {
        return Some("no artefact is declared".to_owned());
    }
    let old = &base.manifest.components;
    let new = &target.manifest.components;
    if let Some(absent) = proposal.artefacts.iter().find(|artefact| !holds(new, &artefact.digest)) {
        return Some(format!("artefact {} is not in the target state", absent.name));
    }
    let is_artefact = |component: &&Component| {
        proposal.artefacts.iter().any(|artefact| artefact.digest == component.digest)
    };
    if let Some(misplaced) = new.iter().filter(is_artefact).find(|component| !is_placed(component, proposal))
    {
        let kind = proposal.modification;
        return Some(format!("{} {}, as a change of kind {kind}", misplaced.role, misplaced.name));
    }
    if let Some(undeclared) = new.iter().find(|component| !is_artefact(component) && !old.contains(component))
    {
        return Some(format!("{} {} is another", undeclared.role, undeclared.name));
    }
    let is_lost = |component: &&Component| !new.iter().any(|other| same_place(other, component));
    if let Some(lost) = old.iter().find(is_lost) {
        return Some(format!("{} {} is not there any more", lost.role, lost.name));
    }
    if !keeps_order(old, new, &is_artefact) {
        return Some("the components stand in another order".to_owned());
    }
    let state = proposal.target_state;
    (!descends(target, dossier)).then(|| format!("state {state} does not come from the base state"))
}

fn holds(components: &[Component], digest: &Digest) -> bool {
    components.iter().any(|component| component.digest == *digest)
}

fn same_place(one: &Component, other: &Component) -> bool {
    one.role == other.role && one.name == other.name
}

/// Whether an artefact takes a place in the state that the declared kind of modification is about, under the name that
/// was declared: the kind decides which examiners look, so a prompt change cannot bring an adapter.
fn is_placed(component: &Component, proposal: &Proposal) -> bool {
    let mut declared = proposal.artefacts.iter().filter(|artefact| artefact.digest == component.digest);
    fits(proposal.modification, component.role) && declared.all(|artefact| artefact.name == component.name)
}

/// Components are applied in order, so what takes another's place stands where that stood.
fn keeps_order(old: &[Component], new: &[Component], is_artefact: &impl Fn(&&Component) -> bool) -> bool {
    // The base with every artefact in the place it takes; against it the target without what is added.
    let expected = old.iter().map(|component| {
        new.iter().find(|other| is_artefact(other) && same_place(other, component)).unwrap_or(component)
    });
    let actual = new
        .iter()
        .filter(|component| !is_artefact(component) || old.iter().any(|other| same_place(other, component)));
    expected.eq(actual)
}

/// Whether a target state that says it was made by this change also says that it comes from the base state. The same
/// state may have been made by another change before; then its descent is that change's, and only what differs counts.
fn descends(target: &ServedState, dossier: &Dossier) -> bool {
    target.made_by.as_ref() != Some(&dossier.change)
        || target.parents.contains(&dossier.proposal.body.base_state)
}

/// Whether a kind of modification may bring a component of the role.
const fn fits(modification: ModificationKind, role: ComponentRole) -> bool {
    match modification {
        ModificationKind::Adapter => matches!(role, ComponentRole::Adapter),
        ModificationKind::Weights | ModificationKind::ContinuousLearning | ModificationKind::Distillation => {
            matches!(role, ComponentRole::Weights)
        }
        ModificationKind::Merge => matches!(role, ComponentRole::Weights | ComponentRole::Adapter),
        ModificationKind::Quantisation => {
            matches!(role, ComponentRole::Weights | ComponentRole::Quantisation)
        }
        ModificationKind::Prompt => matches!(role, ComponentRole::Prompt),
        ModificationKind::Retrieval => matches!(role, ComponentRole::Index),
        ModificationKind::Settings => matches!(role, ComponentRole::Sampling),
        ModificationKind::Architecture => {
            matches!(role, ComponentRole::Weights | ComponentRole::Tokenizer | ComponentRole::Template)
        }
        // Engines, and whatever else decides how a state is made and served.
        ModificationKind::Mechanism => true,
    }
}
