//! Commands on a change.

use std::io::{BufRead as _, IsTerminal as _};
use std::path::Path;

use examine::Stage;
use examine::import::{BYTES_MAX, Format, Limit};
use policy::gate::Decision;
use sandbox::Level;
use serde_json::json;
use statement::kind::{Capacity, ComponentRole, ModificationKind, Outcome};
use statement::{ChangeId, Digest, Name, StatementId};

use super::models::examine::{bar, tell};
use super::{Output, Setting};
use crate::act::{self, ArtefactSource, word, words};
use crate::cli::{
    ApproveArgs, ChangeArg, ExamineArgs, Isolation, OrderArgs, ProposeArgs, RefuseArgs, RetireArgs,
    ReviewArgs, RollbackArgs,
};
use crate::failure::{Done, Failure, in_file};
use crate::home::read_bounded;
use crate::intact::Intact;
use crate::realm::Realm;
use crate::served::Contents;
use crate::show;
use crate::station::Station;
use crate::text::{date, line, print};
use crate::worker::Worker;

/// `countersign propose`.
pub(super) fn propose(setting: &Setting, args: &ProposeArgs) -> Done {
    let sources = [
        (&args.adapter, ComponentRole::Adapter, ModificationKind::Adapter),
        (&args.weights, ComponentRole::Weights, ModificationKind::Weights),
        (&args.prompt, ComponentRole::Prompt, ModificationKind::Prompt),
        (&args.settings, ComponentRole::Sampling, ModificationKind::Settings),
    ];
    let given = sources.iter().find_map(|(path, role, kind)| path.as_ref().map(|path| (path, *role, *kind)));
    let Some((path, role, modification)) = given else {
        return Err(Failure::usage("give one of --adapter, --weights, --prompt, --settings"));
    };
    let name = args.name.as_deref().map(str::parse::<Name>).transpose()?;
    let as_model = if args.by_model { act::AsModel::Model } else { act::AsModel::Person };
    let (proposed, next) = setting.act(|realm| {
        let request = act::ProposalRequest {
            slot: args.slot.parse()?,
            source: ArtefactSource { role, modification, path: path.clone(), name },
            by: &args.by,
            as_model,
            level: word("level", &args.level)?,
            grant: args.grant.as_deref().map(|text| act::grant_id(realm, text)).transpose()?,
            contexts: words("context", &args.contexts)?,
            summary: args.summary.as_deref(),
            isolation: args.isolation,
            rebase: args
                .rebase
                .as_deref()
                .map(|text| realm.dossier(text).map(|dossier| dossier.change.clone()))
                .transpose()?,
        };
        let proposed = act::propose(realm, request)?;
        let next = next(realm, &proposed.change);
        Ok((proposed, next))
    })?;
    let change = proposed.change;
    let mut text = format!("proposed: {change}\n");
    for warning in &proposed.warnings {
        line(
            &mut text,
            &format!("  warning: [{}] {}\n    hint: {}", warning.code, warning.text, warning.hint),
        );
    }
    line(&mut text, &format!("  next: {next}"));
    let warned: Vec<_> = proposed
        .warnings
        .iter()
        .map(|it| json!({ "code": it.code, "text": it.text, "hint": it.hint }))
        .collect();
    let value = json!({
        "change": change,
        "statement": proposed.statement,
        "target_state": proposed.target_state,
        "artefact": proposed.artefact,
        "warnings": warned,
    });
    setting.print(&value, &text);
    Ok(())
}

/// What to do with a change that was proposed. A process that serves has it examined by itself, so that there is to look
/// at what was found; a station knows of it when it has a newer record.
fn next(realm: &Realm, change: &ChangeId) -> String {
    let change = change.short();
    match realm.contents() {
        None => format!("countersign examine {change} --by KEY"),
        Some(Contents::AreThere) => format!("countersign show {change}"),
        Some(Contents::GoAlong) => format!("countersign show {change} --record NEWER-EXPORT"),
    }
}

/// `countersign examine`.
pub(super) fn examine(setting: &Setting, args: &ExamineArgs) -> Done {
    let by = args.by.as_deref().ok_or_else(|| Failure::usage("give --by for a proposed change"))?;
    if let Some(file) = &args.import {
        return import(setting, args, by, file);
    }
    if args.level.is_none() && (args.calibration.is_some() || !args.suites.is_empty()) {
        return Err(Failure::usage("`--suite` and `--calibration` go with `--level` or `--base`"));
    }
    let worker = Worker::find(setting.worker.as_deref())?;
    let level = level(args.isolation)?;
    let sources = asked_to_attest(args).then(|| super::attest::sources(&args.key)).transpose()?;
    if Station::is_in(&setting.home) {
        return super::bundle::examine(setting, &worker, args, level, sources.as_ref());
    }
    // Measured beside whoever writes: that may take long, and a freeze must not wait for it.
    let published = setting.read()?;
    let change = published.dossier(&args.change)?.change.clone();
    let key = published.keys.open(by)?;
    let finding = match how(args, level)? {
        None => act::measured(&published, &worker, &change, level, sources.as_ref())?,
        Some(how) => {
            let bar = bar();
            let mut heard = |stage: Stage, done: f64| tell(&bar, Some(stage), done);
            let found = act::examined(&published, &worker, &change, how, sources.as_ref(), &mut heard);
            bar.finish_and_clear();
            found?
        }
    };
    drop(published);
    let decision = setting.act(|realm| {
        act::found_out(realm, &key, &change, finding)?;
        conclude(realm, &change)
    })?;
    report(setting, &change, &decision);
    Ok(())
}

/// How far a change is to be examined; none where its bytes alone are measured.
fn how(args: &ExamineArgs, isolation: Level) -> Done<Option<act::How<'_>>> {
    let Some(name) = &args.level else { return Ok(None) };
    let levels: Vec<&str> = calibration::Level::ALL.into_iter().map(calibration::Level::name).collect();
    let unknown = || Failure::usage(format!("`{name}` is not one of {}", levels.join(", ")));
    let level = calibration::Level::named(name).ok_or_else(unknown)?;
    let calibration = args.calibration.as_deref();
    Ok(Some(act::How { level, suites: &args.suites, calibration, isolation }))
}

/// The box that was asked for. What is signed was measured in one: a finding from outside would not count.
fn level(isolation: Isolation) -> Done<Level> {
    isolation.level().ok_or_else(|| {
        Failure::usage("a proposed change is examined in a box: `--isolation` standard, deep or gvisor")
    })
}

/// `countersign examine ID --import FILE`.
fn import(setting: &Setting, args: &ExamineArgs, by: &str, file: &Path) -> Done {
    let format = args.format.as_deref().and_then(Format::named);
    let format = format.ok_or_else(|| Failure::usage("`--format` is lm-eval, garak or inspect"))?;
    let bytes = read_bounded(file, BYTES_MAX)?;
    let imported = super::models::import::read(args.isolation, format, file, &bytes)?;
    if let Some(name) = &args.ran_on {
        imported.ran_on(name).map_err(in_file(file))?;
    }
    let limits = args.least.iter().map(|text| Ok(text.parse::<Limit>()?)).collect::<Done<Vec<_>>>()?;
    let (change, decision) = setting.act(|realm| {
        let change = realm.dossier(&args.change)?.change.clone();
        let (imported, limits) = (&imported, limits.as_slice());
        let request = act::ImportRequest { change: &change, by, file: Digest::of(&bytes), imported, limits };
        act::import(realm, &request)?;
        let decision = conclude(realm, &change)?;
        Ok((change, decision))
    })?;
    report(setting, &change, &decision);
    Ok(())
}

/// Naming a TPM asks for it.
const fn asked_to_attest(args: &ExamineArgs) -> bool {
    args.attest || args.key.tpm.is_some() || args.key.tpm_key.is_some()
}

/// `countersign review`.
pub(super) fn review(setting: &Setting, args: &ReviewArgs) -> Done {
    let report_text = String::from_utf8(read_bounded(&args.report, 1 << 20)?)
        .map_err(|_| Failure::usage(format!("`{}` is not UTF-8", args.report.display())))?;
    let (change, decision) = setting.act(|realm| {
        let change = realm.dossier(&args.change)?.change.clone();
        let request = act::ReviewRequest {
            change: &change,
            evidence: word("kind of evidence", &args.evidence)?,
            outcome: word("outcome", &args.outcome)?,
            report: &report_text,
            overturns: overturned(realm, &args.overturns)?,
            by: &args.by,
        };
        act::sign_review(realm, &request)?;
        Ok((change.clone(), conclude(realm, &change)?))
    })?;
    report(setting, &change, &decision);
    Ok(())
}

/// The findings that a review overturns, by ids or their beginnings: fails that the record holds.
fn overturned(realm: &Realm, ids: &[String]) -> Done<std::collections::BTreeSet<StatementId>> {
    let findings = || realm.ledger().dossiers().flat_map(|dossier| dossier.findings.values());
    let one = |text: &String| {
        let mut found = findings().filter(|finding| {
            finding.body.outcome == Outcome::Fail
                && text.len() >= 8
                && finding.id.to_string().starts_with(text.as_str())
        });
        match (found.next(), found.next()) {
            (Some(finding), None) => Ok(finding.id),
            (Some(_), Some(_)) => Err(Failure::usage(format!("`{text}` begins more than one finding's id"))),
            // Of a proposal that another took the place of: its findings are in the log, no more in the dossier.
            (None, _) => text.parse().map_err(|_| Failure::missing("finding against a change", text)),
        }
    };
    ids.iter().map(one).collect()
}

/// `countersign decide`.
pub(super) fn decide(setting: &Setting, args: &ChangeArg) -> Done {
    let (change, decision) = setting.act(|realm| {
        let change = realm.dossier(&args.change)?.change.clone();
        Ok((change.clone(), act::decide(realm, &change)?.1))
    })?;
    report(setting, &change, &decision);
    Ok(())
}

/// Records a verdict as soon as the findings allow one; while something is missing, says what.
pub(crate) fn conclude(realm: &mut Realm, change: &ChangeId) -> Done<Decision> {
    let dossier = realm.ledger().dossier(change).ok_or_else(|| Failure::missing("change", change))?;
    let now_ms = realm.log_time_ms();
    let decision = realm
        .with_rules(|rules| Ok(policy::gate::decide(realm.ledger().world(), dossier, rules, now_ms)?))?;
    match decision.outcome {
        Outcome::Inconclusive => Ok(decision),
        // Whoever has the log decides, as soon as it has what was found.
        _ if realm.is_served() => Ok(decision),
        Outcome::Pass | Outcome::Fail => Ok(act::decide(realm, change)?.1),
    }
}

pub(super) fn report(setting: &Setting, change: &ChangeId, decision: &Decision) {
    let reasons: Vec<_> = decision
        .reasons
        .iter()
        .map(|reason| {
            json!({ "code": reason.code.as_str(), "text": reason.code.text(), "about": reason.about,
                    "hint": reason.code.hint() })
        })
        .collect();
    let value =
        json!({ "change": change, "outcome": decision.outcome, "score": decision.score, "reasons": reasons });
    setting.print(&value, &show::decision(decision));
}

/// `countersign approve`.
pub(super) fn approve(setting: &Setting, args: &ApproveArgs) -> Done {
    let capacity: Capacity = word("capacity", &args.capacity)?;
    let (approved, signed) = setting.act(|realm| {
        let change = realm.dossier(&args.change)?.change.clone();
        let request = act::ApprovalRequest {
            change: &change,
            by: &args.by,
            capacity,
            grant: args.grant.as_deref().map(|text| act::grant_id(realm, text)).transpose()?,
            note: args.note.as_deref(),
            days: args.days,
        };
        let (envelope, reviewed) = act::prepare_approval(realm, &request)?;
        if setting.output == Output::Text {
            print(&show::approval(realm, &change, &reviewed)?);
        }
        if !args.yes {
            confirm(setting.output)?;
        }
        let signed: serde_json::Value = serde_json::from_slice(envelope.payload.as_slice())
            .map_err(|error| Failure::outside(error, "report this as a defect"))?;
        Ok((act::approve(realm, &change, envelope, reviewed, &args.by)?, signed))
    })?;
    let value = json!({
        "statement": approved.statement,
        "signed": signed,
        "signatures": approved.counted.as_ref().map(|(before, now)| {
            json!({ "before": before.signatures, "now": now.signatures, "needed": now.needed })
        }),
        "missing": approved.counted.as_ref().map(|(_, now)| &now.missing),
        "earlier": approved.earlier,
    });
    setting.print(&value, &show::approved(&approved));
    Ok(())
}

/// Asks a person who sees what is signed at a terminal; without one, `--yes` must have been given.
fn confirm(output: Output) -> Done {
    let stdin = std::io::stdin();
    if output == Output::Json || !stdin.is_terminal() {
        let hint = "read what is shown above, then run it again with --yes";
        return Err(Failure::new("CS-CLI-011", "nobody is at the terminal to say yes", hint));
    }
    print("Sign exactly this? [y/N] ");
    let failed = |error: std::io::Error| Failure::outside(error, "run it in a terminal");
    let mut line = String::new();
    stdin.lock().read_line(&mut line).map_err(failed)?;
    if matches!(line.trim(), "y" | "Y" | "yes") {
        Ok(())
    } else {
        Err(Failure::new("CS-CLI-012", "not signed: the answer was not yes", "nothing was changed"))
    }
}

/// `countersign refuse`.
pub(super) fn refuse(setting: &Setting, args: &RefuseArgs) -> Done {
    let reason: Name = args.reason.parse()?;
    let id = setting.act(|realm| {
        let change = realm.dossier(&args.change)?.change.clone();
        act::reject(realm, &change, reason, args.note.as_deref(), &args.by)
    })?;
    setting.said("refused", id);
    Ok(())
}

/// `countersign order`.
pub(super) fn order(setting: &Setting, args: &OrderArgs) -> Done {
    let admit_ms = args.admit_hours.saturating_mul(60 * 60 * 1000);
    let window = act::Window { admit_ms, serve_days: args.serve_days };
    // Read beside whoever writes: that may take long, and a freeze must not wait for it.
    let intact = intact(setting, &args.change)?;
    let id = setting.act(|realm| {
        let change = realm.dossier(&args.change)?.change.clone();
        act::order(realm, &change, &args.by, &window, intact)
    })?;
    setting.said("ordered", id);
    Ok(())
}

/// What reading the artefacts of a change gave. At a station they are not: whoever has the log reads them.
fn intact(setting: &Setting, change: &str) -> Done<Done<Intact>> {
    let published = setting.read()?;
    let dossier = published.dossier(change)?;
    Ok(if Station::is_in(&setting.home) {
        Ok(Intact::elsewhere(dossier))
    } else {
        Intact::of(&published, dossier)
    })
}

/// `countersign rollback`.
pub(super) fn rollback(setting: &Setting, args: &RollbackArgs) -> Done {
    let reason: Name = args.reason.parse()?;
    // A gateway that does not answer must keep neither the others nor the log from going back.
    let mut unreached = None;
    let id = setting.act(|realm| {
        let change = realm.dossier(&args.change)?.change.clone();
        let envelope = act::rollback(realm, &change, reason, &args.by)?;
        for gateway in &args.gateway {
            if let Err(failure) = super::live::hand_over(gateway, &envelope) {
                unreached = Some(failure);
            }
        }
        realm.submit(&envelope)
    })?;
    setting.said("rolled back", id);
    if let Some(failure) = unreached {
        return Err(failure);
    }
    Ok(())
}

/// `countersign retire`.
pub(super) fn retire(setting: &Setting, args: &RetireArgs) -> Done {
    let reason: Name = args.reason.parse()?;
    let id = setting.act(|realm| {
        let change = realm.dossier(&args.change)?.change.clone();
        act::retire(realm, &change, reason, &args.by)
    })?;
    setting.said("retired", id);
    Ok(())
}

/// `countersign admit`.
pub(super) fn admit(setting: &Setting, args: &ChangeArg) -> Done {
    let realm = setting.read()?;
    let change = realm.dossier(&args.change)?.change.clone();
    let admitted = act::admit(&realm, &change)?;
    if !Station::is_in(&setting.home) {
        Intact::of(&realm, realm.dossier(&args.change)?)?;
    }
    let order = realm.dossier(&args.change)?.order.as_ref();
    let begin_before_ms = order.map_or(0, |order| order.body.admit_before_ms);
    let value = json!({
        "change": change,
        "order": admitted.order(),
        "slot": admitted.slot(),
        "state": admitted.state(),
        "begin_before_ms": begin_before_ms,
        "serve_until_ms": admitted.serve_until_ms(),
        "tree_size": admitted.tree_size(),
    });
    let text = format!(
        "admitted: {} may serve state {}\n  to be begun before {}\n  until {}\n  by order {}\n  judged by the first {} leaves of the log\n",
        admitted.slot(),
        admitted.state(),
        date(begin_before_ms),
        date(admitted.serve_until_ms()),
        admitted.order(),
        admitted.tree_size(),
    );
    setting.print(&value, &text);
    Ok(())
}
