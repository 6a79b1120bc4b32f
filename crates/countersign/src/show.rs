//! What people read: lists, dossiers, what is about to be signed.

mod approved;
mod compared;
mod incidents;
mod reading;
mod standing;

use std::collections::BTreeSet;

use dossier::{Current, Dossier, Recorded, World};
use policy::gate::Decision;
use serde_json::{Value, json};
use signer::Reviewed;
use statement::kind::{Finding, Score, TrustRoot};
use statement::{Body, ChangeId, Digest, KeyId, SlotId};

use crate::cli::ShowArgs;
use crate::command::Setting;
use crate::failure::{Done, Failure};
use crate::realm::{Attached, Record};
use crate::text::{date, line, word};

pub(crate) use self::approved::approved;
pub(crate) use self::compared::compared;
pub(crate) use self::incidents::incidents;

/// `countersign list`.
pub(crate) fn list(setting: &Setting) -> Done {
    let realm = setting.read()?;
    let world = realm.ledger().world();
    let changes: Vec<Value> = realm
        .ledger()
        .dossiers()
        .map(|dossier| {
            let mut value = summary(dossier);
            if let Some(members) = value.as_object_mut() {
                members.insert("on_revoked_keys".to_owned(), standing::told(&realm, dossier));
            }
            value
        })
        .collect();
    let slots: Vec<Value> = world
        .slots()
        .map(|slot| {
            json!({ "slot": slot.definition.body.slot, "state": slot.state,
                    "change": slot.order.as_ref().map(|(change, _)| change) })
        })
        .collect();
    let persons: Vec<Value> = world
        .actors()
        .map(|actor| {
            json!({ "person": actor.person, "key": actor.key, "roles": actor.roles, "clearance": actor.clearance })
        })
        .collect();
    let grants: Vec<Value> = world
        .grants()
        .map(|record| {
            json!({ "grant": record.grant.id, "to": record.grant.body.grantee,
                    "purpose": record.grant.body.purpose, "expires_ms": record.grant.body.expires_ms,
                    "used": record.used_by.len(), "changes_max": record.grant.body.changes_max,
                    "revoked": record.revoked_at.is_some() })
        })
        .collect();
    let holds: Vec<Value> =
        world.holds().map(|(digest, matters)| json!({ "content": digest, "matters": matters })).collect();
    let mut text = format!(
        "realm {}: {} leaves, {} without effect\n",
        realm.settings.realm,
        world.size(),
        realm.ledger().noops().len()
    );
    if let Some(warning) = world.root().and_then(|root| ending(root.body.expires_ms, realm.now_ms())) {
        line(&mut text, &warning);
    }
    for (target, by) in world.freezes() {
        line(&mut text, &format!("FROZEN: {} since leaf {}", word(target), by.index));
    }
    text.push_str("\nslots\n");
    for slot in world.slots() {
        let by = slot.order.as_ref().map_or("its first state".to_owned(), |(change, _)| change.to_string());
        line(
            &mut text,
            &format!("  {:<20} state {}  by {by}", slot.definition.body.slot.as_str(), slot.state.short()),
        );
    }
    text.push_str("\nchanges\n");
    for dossier in realm.ledger().dossiers() {
        let proposal = &dossier.proposal.body;
        line(
            &mut text,
            &format!(
                "  {}  {:<12} {:<16} by {:<10} {}",
                dossier.change.short(),
                word(&proposal.modification),
                proposal.slot.as_str(),
                proposal.proposer.person().as_str(),
                dossier.state.name()
            ),
        );
        if let Some(warning) = standing::line_of(&realm, dossier) {
            line(&mut text, &format!("      {warning}"));
        }
    }
    if world.grants().next().is_some() {
        text.push_str("\ngrants\n");
    }
    for record in world.grants() {
        let grant = &record.grant.body;
        let ended = if record.revoked_at.is_some() {
            "REVOKED".to_owned()
        } else if grant.expires_ms <= realm.now_ms() {
            "OVER".to_owned()
        } else {
            format!("until {}", date(grant.expires_ms))
        };
        line(
            &mut text,
            &format!(
                "  {}  to {:<12} {}, up to tier {}, {} of {} used, {ended}",
                record.grant.id.short(),
                person(world, &grant.grantee),
                word(&grant.purpose),
                word(&grant.tier_max),
                record.used_by.len(),
                grant.changes_max
            ),
        );
    }
    for (digest, matters) in world.holds() {
        let matters: Vec<&str> = matters.iter().map(statement::Name::as_str).collect();
        line(&mut text, &format!("HELD: {digest} for {}", matters.join(", ")));
    }
    text.push_str("\npersons\n");
    for actor in world.actors() {
        let roles: Vec<String> = actor.roles.iter().map(word).collect();
        line(&mut text, &format!("  {:<16} {}", actor.person.as_str(), roles.join(", ")));
    }
    let value = json!({ "realm": realm.settings.realm, "leaves": world.size(), "changes": changes, "slots": slots,
                        "persons": persons, "grants": grants, "holds": holds,
                        "root_expires_ms": world.root().map(|root| root.body.expires_ms) });
    setting.print(&value, &text);
    Ok(())
}

fn summary(dossier: &Dossier) -> Value {
    let proposal = &dossier.proposal.body;
    json!({
        "change": dossier.change,
        "state": dossier.state.name(),
        "slot": proposal.slot,
        "modification": proposal.modification,
        "level": proposal.level,
        "proposer": proposal.proposer,
        "tier": dossier.verdict.as_ref().map(|verdict| verdict.body.score.tier),
        "approvals": dossier.approvals.len(),
        "order": dossier.order.as_ref().map(|order| order.id),
    })
}

fn person(world: &World, key: &KeyId) -> String {
    world.actor(key).map_or_else(|| key.to_string(), |actor| actor.person.to_string())
}

/// How long before its end the trust root is warned about.
const ROOT_WARNING_MS: u64 = 30 * 24 * 60 * 60 * 1000;

/// What to say of a trust root that ends soon, or has ended.
fn ending(expires_ms: u64, now_ms: u64) -> Option<String> {
    let hint = "`countersign root rotate` puts the next one in force";
    if expires_ms <= now_ms {
        Some(format!("THE TRUST ROOT HAS ENDED on {}: {hint}", date(expires_ms)))
    } else if expires_ms.saturating_sub(now_ms) < ROOT_WARNING_MS {
        Some(format!("THE TRUST ROOT ENDS on {}: {hint}", date(expires_ms)))
    } else {
        None
    }
}

/// The trust root, for people.
pub(crate) fn root(root: &Current<TrustRoot>, now_ms: u64) -> String {
    let body = &root.body;
    let mut text = String::new();
    let mut put = |label: &str, value: &str| line(&mut text, &format!("{label:<14}{value}"));
    put("trust root", &root.id.to_string());
    put("epoch", &body.epoch.to_string());
    put("ends", &ending(body.expires_ms, now_ms).unwrap_or_else(|| date(body.expires_ms)));
    for (id, key) in &body.keys {
        put("officer", &format!("{:<16} {id}", key.person.as_str()));
    }
    for (role, rule) in body.roles.iter().filter(|(_, rule)| rule.threshold > 1) {
        put("quorum", &format!("{:<16} {}", word(role), rule.threshold));
    }
    for witness in &body.witnesses.keys {
        put("witness", &format!("{:<16} {}", witness.person.as_str(), witness.key));
    }
    put("cosignatures", &format!("{} must be there", body.witnesses.threshold));
    put("log", &format!("{}  {}", body.log.origin, body.log.key));
    text
}

/// `countersign show`.
pub(crate) fn show(setting: &Setting, args: &ShowArgs) -> Done {
    let realm = setting.read()?;
    let what = args.what.as_str();
    if args.diff || args.report.is_some() {
        let dossier = realm.dossier(what)?;
        return match &args.report {
            Some(wanted) => reading::reports(setting, &realm, dossier, wanted),
            None => reading::diff(setting, &realm, dossier),
        };
    }
    if let Ok(dossier) = realm.dossier(what) {
        let value = full(&realm, dossier);
        setting.print(&value, &change(&realm, dossier));
        return Ok(());
    }
    if let Ok(slot) = what.parse::<SlotId>()
        && let Some(record) = realm.ledger().world().slot(&slot)
    {
        let value = json!({ "slot": record.definition.body, "state": record.state, "history": record.history,
                            "automatic_drift_ppm": record.automatic_drift_ppm });
        let text = serde_json::to_string_pretty(&value)
            .map_err(|error| Failure::outside(error, "report a defect"))?;
        setting.print(&value, &format!("{text}\n{}", lineage(&realm, &slot)));
        return Ok(());
    }
    let mut found = realm
        .entries()
        .iter()
        .filter_map(|entry| entry.leaf().ok())
        .filter(|leaf| what.len() >= 8 && leaf.id.to_string().starts_with(what));
    match (found.next(), found.next()) {
        (Some(leaf), None) => {
            let payload: Value = serde_json::from_slice(leaf.envelope.payload.as_slice())
                .map_err(|error| Failure::outside(error, "run `countersign log fsck`"))?;
            let value = json!({ "index": leaf.index, "stamp_ms": leaf.stamp_ms, "statement": leaf.id,
                                "effect": realm.ledger().noops().get(&leaf.index).map(ToString::to_string),
                                "payload": payload });
            let text = serde_json::to_string_pretty(&value)
                .map_err(|error| Failure::outside(error, "report a defect"))?;
            setting.print(&value, &format!("{text}\n"));
            Ok(())
        }
        (Some(_), Some(_)) => Err(Failure::usage(format!("`{what}` begins more than one statement's id"))),
        (None, _) => Err(Failure::missing("change, slot or statement", what)),
    }
}

/// Where the slot's state comes from, back to the first.
fn lineage(realm: &Record<impl Sized>, slot: &SlotId) -> String {
    let world = realm.ledger().world();
    let mut text = String::from("lineage\n");
    let mut next = world.slot(slot).map(|record| record.state);
    let mut seen = BTreeSet::new();
    while let Some(state) = next.filter(|state| seen.insert(*state)) {
        let Some(record) = world.state(&state) else { break };
        let by = record.body.made_by.as_ref().map_or("the first state".to_owned(), ToString::to_string);
        line(&mut text, &format!("  {}  {by}", state.short()));
        next = record.body.parents.first().copied();
    }
    text
}

fn full(realm: &Record<impl Sized>, dossier: &Dossier) -> Value {
    let signers = |signers: &[dossier::Actor]| -> Vec<String> {
        signers.iter().map(|signer| signer.person.to_string()).collect()
    };
    let mut value = summary(dossier);
    if let Some(members) = value.as_object_mut() {
        let proposal = &dossier.proposal.body;
        members.insert("on_revoked_keys".to_owned(), standing::told(realm, dossier));
        members.insert("proposal".to_owned(), json!({ "id": dossier.proposal.id, "body": proposal }));
        let findings: Vec<_> = dossier
            .findings
            .values()
            .map(|finding| json!({ "id": finding.id, "by": signers(&finding.signers), "body": finding.body }))
            .collect();
        members.insert("findings".to_owned(), json!(findings));
        let verdict =
            dossier.verdict.as_ref().map(|verdict| json!({ "id": verdict.id, "body": verdict.body }));
        members.insert("verdict".to_owned(), json!(verdict));
        let approvals: Vec<_> = dossier
            .approvals
            .values()
            .map(|approval| json!({ "id": approval.id, "by": signers(&approval.signers), "body": approval.body }))
            .collect();
        members.insert("approval_statements".to_owned(), json!(approvals));
        let (summary, kept) = match proposal.summary.map(|digest| realm.attached(&digest)) {
            None => (None, "none".to_owned()),
            Some(Attached::Text(text)) => (Some(text), "present".to_owned()),
            Some(Attached::Purged) => (None, "purged".to_owned()),
            Some(Attached::Unreadable(failure)) => (None, failure.code),
        };
        members.insert("summary".to_owned(), json!(summary));
        members.insert("summary_kept".to_owned(), json!(kept));
        let world = realm.ledger().world();
        let rests_on = dossier
            .findings
            .values()
            .flat_map(|finding| finding.body.inputs.iter().chain(&finding.body.attachments));
        let all = proposal
            .artefacts
            .iter()
            .map(|artefact| &artefact.digest)
            .chain(rests_on)
            .chain(&proposal.summary);
        let purged: BTreeSet<&Digest> = all.filter(|digest| world.purged_at(digest).is_some()).collect();
        members.insert("purged".to_owned(), json!(purged));
        members.insert("leaves".to_owned(), json!(dossier.leaves));
    }
    value
}

/// A change, for people.
pub(crate) fn change(realm: &Record<impl Sized>, dossier: &Dossier) -> String {
    let proposal = &dossier.proposal.body;
    let world = realm.ledger().world();
    let mut text = String::new();
    let mut put = |label: &str, value: &str| line(&mut text, &format!("{label:<14}{value}"));
    put("change", dossier.change.as_str());
    put("state", dossier.state.name());
    put("slot", proposal.slot.as_str());
    put("kind", &format!("{}, level {}", word(&proposal.modification), word(&proposal.level)));
    put("proposed by", proposal.proposer.person().as_str());
    match proposal.summary.map(|digest| realm.attached(&digest)) {
        None => {}
        Some(Attached::Text(text)) => put("summary", &printable(&text)),
        Some(Attached::Purged) => put("summary", "purged"),
        Some(Attached::Unreadable(failure)) => {
            put("summary", &format!("[{}] {}", failure.code, failure.message));
        }
    }
    put("from state", &proposal.base_state.to_string());
    put("to state", &proposal.target_state.to_string());
    for artefact in &proposal.artefacts {
        let gone = world
            .purged_at(&artefact.digest)
            .map_or(String::new(), |index| format!(", purged at leaf {index}"));
        put("artefact", &format!("{} {} ({} bytes{gone})", artefact.name, artefact.digest, artefact.bytes));
    }
    for finding in dossier.findings.values() {
        put("finding", &finding_line(world, finding));
    }
    if let Some(warning) = standing::line_of(realm, dossier) {
        put("", &warning);
    }
    if let Some(verdict) = &dossier.verdict {
        put("verdict", &format!("{}, {}", word(&verdict.body.outcome), verdict.body.score.vector));
    }
    for approval in dossier.approvals.values() {
        let by: Vec<&str> = approval.signers.iter().map(|signer| signer.person.as_str()).collect();
        put("approved by", &format!("{} ({})", by.join(", "), word(&approval.body.capacity)));
    }
    if let Some(rejection) = &dossier.rejection {
        let by: Vec<&str> = rejection.signers.iter().map(|signer| signer.person.as_str()).collect();
        put("rejected by", &format!("{} ({})", by.join(", "), rejection.body.reason));
    }
    if let Some(order) = &dossier.order {
        put("order", &order.id.to_string());
        let slot = world.slot(&order.body.slot).and_then(|slot| slot.order.as_ref());
        if slot.is_some_and(|(_, present)| *present == order.id) {
            let (begin, end) = (date(order.body.admit_before_ms), date(order.body.serve_until_ms));
            put("may serve", &format!("until {end}, if begun before {begin}"));
        } else {
            put("may serve", "no more");
        }
    }
    for binding in &dossier.bindings {
        put(
            "engine",
            &format!(
                "{}, bound by {} at leaf {}",
                word(&binding.body.level),
                binding.id.short(),
                binding.index
            ),
        );
    }
    if let Some(rollback) = &dossier.rollback {
        put("rolled back", &format!("{} ({})", rollback.body.to_state.short(), rollback.body.reason));
    }
    text
}

fn finding_line(world: &World, finding: &Recorded<Finding>) -> String {
    let by: Vec<&str> = finding.signers.iter().map(|signer| signer.person.as_str()).collect();
    let body = &finding.body;
    let mut rests_on = body.inputs.iter().chain(&body.attachments);
    let outcome = if rests_on.any(|digest| world.purged_at(digest).is_some()) {
        format!("purged (it said {})", word(&body.outcome))
    } else {
        word(&body.outcome)
    };
    let mut text =
        format!("{}: {outcome} by {} ({})", word(&body.evidence), by.join(", "), word(&body.isolation));
    for violation in &body.violations {
        let measured = violation.measured.zip(violation.limit);
        let figures =
            measured.map_or(String::new(), |(measured, limit)| format!(": {measured} over {limit}"));
        let told =
            format!("\n                {} at `{}`{figures}", violation.code, printable(&violation.place));
        text.push_str(&told);
    }
    if body.worker.is_none() && !body.attachments.is_empty() {
        text.extend(["\n                its report: --report ", &word(&body.evidence)]);
    }
    text
}

/// A decision, for people.
pub(crate) fn decision(decision: &Decision) -> String {
    let mut text = format!("decision: {}\n", word(&decision.outcome));
    text.push_str(&score(&decision.score));
    for reason in &decision.reasons {
        line(&mut text, &format!("  {reason}\n    hint: {}", reason.code.hint()));
    }
    text
}

/// The score as a waterfall.
pub(crate) fn score(score: &Score) -> String {
    let mut text =
        format!("  impact score {} -> tier {}  ({})\n", score.risk, word(&score.tier), score.vector);
    for term in &score.terms {
        line(
            &mut text,
            &format!("    {:<18} input {:>5}  {:>+7}", term.factor.as_str(), term.input, term.points),
        );
    }
    let reasons: Vec<&str> = score.tier_reasons.iter().map(statement::Name::as_str).collect();
    line(&mut text, &format!("    the tier is set by: {}", reasons.join(", ")));
    text
}

/// Exactly what an approver signs.
pub(crate) fn approval(realm: &Record<impl Sized>, id: &ChangeId, reviewed: &Reviewed) -> Done<String> {
    let Body::Approval(approval) = &reviewed.statement().body else {
        return Err(Failure::usage("this is no approval"));
    };
    let dossier = realm.ledger().dossier(id).ok_or_else(|| Failure::missing("change", id))?;
    let mut text = change(realm, dossier);
    text.push_str("\nyou are about to sign\n");
    let mut put = |label: &str, value: &str| line(&mut text, &format!("  {label:<14}{value}"));
    put("statement", &reviewed.id().to_string());
    if let Some(signer) = reviewed.statement().header.signer {
        put("signer", &signer.to_string());
    }
    for digest in &approval.artefacts {
        put("artefact", &digest.to_string());
    }
    put("target state", &approval.target_state.to_string());
    for finding in &approval.findings {
        put("evidence", &finding.to_string());
    }
    put("verdict", &approval.verdict.to_string());
    put("policy", &approval.policy.to_string());
    put("tier", &word(&approval.tier));
    put("risk", &approval.risk.to_string());
    put("capacity", &word(&approval.capacity));
    put("expires", &date(approval.expires_ms));
    let short = id.short();
    put("read first", &format!("countersign show {short} --diff"));
    let kinds: BTreeSet<String> =
        dossier.findings.values().map(|finding| word(&finding.body.evidence)).collect();
    for kind in kinds {
        put("", &format!("countersign show {short} --report {kind}"));
    }
    if let Some(verdict) = &dossier.verdict {
        text.push_str(&score(&verdict.body.score));
    }
    Ok(text)
}

/// Words of strangers on one line: what would move a cursor, end a line, or turn the reading direction is spelt out.
fn printable(text: &str) -> String {
    text.chars()
        .flat_map(|letter| {
            let hidden = letter.is_control() || is_format(letter);
            let spelt = hidden.then(|| letter.escape_unicode());
            spelt.into_iter().flatten().chain((!hidden).then_some(letter))
        })
        .collect()
}

/// Characters that are not seen and change how others are (Unicode's category Cf, as far as it is assigned in text).
const fn is_format(letter: char) -> bool {
    matches!(letter, '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{180e}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}
