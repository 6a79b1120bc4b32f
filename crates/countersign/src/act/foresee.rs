//! What will stand against a change, looked at before it is proposed: the same gates and the same check of the scope that
//! decide later. What could never be released is refused; everything else is told, for much can still be put right.
//!
//! What this module does not do: examine. What counts is what the worker measures in its box.

use policy::gate::{self, Rules};
use signer::FileKey;
use statement::kind::{Manifest, ModificationKind, Proposal, ServedState};
use statement::{Digest, Tracking};
use tensor::scope::{Rule, ScopeReport, Verdict};

use super::propose::ArtefactSource;
use crate::cli::Isolation;
use crate::command::models::foresee::{Foreseen, foresee};
use crate::failure::{Done, Failure};
use crate::realm::Realm;
use crate::stored;

/// The largest scope, prompt, file of settings or configuration that is looked at.
const TEXT_BYTES_MAX: usize = 4 << 20;
/// The largest adapter that is looked at; what is larger is left to the worker.
const ADAPTER_BYTES_MAX: u64 = 256 << 20;

/// Something that will stand against a change, if nothing is done.
#[derive(Debug)]
pub(crate) struct Warning {
    pub(crate) code: &'static str,
    pub(crate) text: String,
    pub(crate) hint: &'static str,
}

/// What the change does beside its scope. An artefact of a kind that the scope does not cover at all is refused.
pub(crate) fn of_scope(
    realm: &Realm,
    source: &ArtefactSource,
    scope: &Digest,
    base: &Manifest,
    isolation: Isolation,
) -> Done<Vec<Warning>> {
    let limit = u64::try_from(TEXT_BYTES_MAX).unwrap_or(u64::MAX);
    // What was purged or lies elsewhere cannot be compared with; the worker will say so.
    let Ok(scope) = realm.vault.read(&realm.tenant, scope, limit) else { return Ok(Vec::new()) };
    let Some(report) = check(realm, source, &scope, base, isolation)? else { return Ok(Vec::new()) };
    if let Some(kind) = report.violations.iter().find(|it| it.rule == Rule::KindNotInScope) {
        let message = format!("the slot's scope allows no change of this kind (`{}`)", kind.place);
        return Err(Failure::new(kind.rule.code(), message, kind.rule.hint()));
    }
    if report.within != Verdict::Outside {
        return Ok(Vec::new());
    }
    let outside = report.violations.iter().filter(|violation| violation.rule.verdict() == Verdict::Outside);
    let warning = |it: &tensor::scope::Violation| Warning {
        code: it.rule.code(),
        text: format!("outside the scope at `{}`: {}", it.place, it.rule.meaning()),
        hint: it.rule.hint(),
    };
    Ok(outside.map(warning).collect())
}

/// The check of the scope, in the box, as far as it takes no weights; none where there is nothing to compare with.
fn check(
    realm: &Realm,
    source: &ArtefactSource,
    scope: &[u8],
    base: &Manifest,
    isolation: Isolation,
) -> Done<Option<ScopeReport>> {
    let replaced = base.components.iter().find(|component| {
        component.role == source.role && source.name.as_ref().is_none_or(|name| *name == component.name)
    });
    let limit = u64::try_from(TEXT_BYTES_MAX).unwrap_or(u64::MAX);
    let old = || replaced.and_then(|old| realm.vault.read(&realm.tenant, &old.digest, limit).ok());
    let new = || stored::read("text", &source.path, TEXT_BYTES_MAX);
    match source.modification {
        ModificationKind::Prompt => {
            let Some(old) = old() else { return Ok(None) };
            foresee(isolation, scope, Foreseen::Prompt { old: &old, new: &new()? })
        }
        ModificationKind::Settings => {
            let Some(old) = old() else { return Ok(None) };
            foresee(isolation, scope, Foreseen::Settings { old: &old, new: &new()? })
        }
        ModificationKind::Adapter => {
            let config = source.path.join("adapter_config.json");
            let config = stored::read("file of an adapter", &config, TEXT_BYTES_MAX)?;
            let tensors = source.path.join("adapter_model.safetensors");
            if std::fs::metadata(&tensors).is_ok_and(|file| file.len() > ADAPTER_BYTES_MAX) {
                return Ok(None);
            }
            foresee(isolation, scope, Foreseen::Adapter { config: &config, tensors: &tensors })
        }
        _ => Ok(None),
    }
}

/// What the gates will say, beside that evidence is missing yet. What no evidence and no grant can put right is refused.
pub(crate) fn of_gates(
    realm: &Realm,
    key: &FileKey,
    about: &Tracking,
    served: Option<&ServedState>,
    proposal: &Proposal,
) -> Done<Vec<Warning>> {
    use dossier::Code::{
        ArtefactServed, ContextNotOpen, EvidenceMissing, ExaminersTooFew, KindNotOpen, ManifestMismatch,
        OtherScope,
    };
    let mut statements = Vec::new();
    statements.extend(served.map(|served| realm.statement_of(key, about, served.clone())));
    statements.push(realm.statement_of(key, about, proposal.clone()));
    // What has no effect is refused where it is submitted, with its reasons, and the attempt is recorded there.
    let Some(ledger) = realm.trial(key, &statements)? else { return Ok(Vec::new()) };
    let change = about.change().and_then(|change| ledger.dossier(change));
    let Some(dossier) = change else { return Ok(Vec::new()) };
    let duties = realm.duties(ledger.world())?;
    let rules = Rules::new(ledger.world(), &duties)?;
    let decision = gate::decide(ledger.world(), dossier, &rules, ledger.world().stamp_ms())?;
    let never = [ArtefactServed, KindNotOpen, ContextNotOpen, OtherScope, ManifestMismatch];
    let impossible = decision.reasons.iter().filter(|reason| never.contains(&reason.code)).cloned();
    dossier::Refusal::from_reasons(impossible)?;
    let missing = [EvidenceMissing, ExaminersTooFew];
    let told = decision.reasons.iter().filter(|reason| !missing.contains(&reason.code));
    let warning = |reason: &dossier::Reason| Warning {
        code: reason.code.as_str(),
        text: format!("{} (`{}`)", reason.code.text(), reason.about),
        hint: reason.code.hint(),
    };
    Ok(told.map(warning).collect())
}
