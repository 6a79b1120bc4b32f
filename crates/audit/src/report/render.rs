//! The page for people, and the page about one change.

use statement::ChangeId;

use super::change::{Audited, Carried, ChangeReport, Counted};
use super::text::{Fit, span, table, utc, word, wrap};
use super::{Compared, ExaminationReport, NotCarriedReport, Outcome, Report};

/// Rows of a table on the page, at most; the JSON form has all.
const ROWS_MAX: usize = 200;

/// The narrowest page.
const WIDTH_MIN: usize = 60;

const PROVES: [&str; 6] = [
    "The record is whole: the root that the log signed was computed again from every leaf, so no leaf was left out, \
     added, changed or moved.",
    "Every statement that had effect was signed with a key that the record had enrolled for it at that point.",
    "Every verdict, approval and release order was decided again from the record, by the policy in force at its leaf, \
     with the same result; what did not follow had no effect and is listed.",
    "Nobody counts twice on one change: separation of duties was checked by person.",
    "The log signed this history, and the named witnesses say that they saw it; whoever was shown another history of \
     this size can prove it with two checkpoints.",
    "Each release order has an inclusion proof that anybody can check alone.",
];

const PROVES_NOT: [&str; 7] = [
    "That an approver read what was approved, or decided without pressure.",
    "That a pseudonym is the person it should be: enrolment is outside the record.",
    "That an examiner's code finds every fault, or ran where it says it ran: findings are signed claims.",
    "That the witnesses are independent of the log and of each other.",
    "That what was served is what was ordered: gateways check that, each for itself.",
    "That nothing happened outside the record: what was never submitted is not in it.",
    "The time of a statement beyond the log's stamps, which witnesses bound from above only.",
];

impl Report {
    /// The page, in lines of at most `width` columns (60 at least): what was checked, what that proves and does not
    /// prove, the population of each control, every change.
    pub fn render(&self, width: usize) -> String {
        let mut page = Page { out: String::new(), width: width.max(WIDTH_MIN) };
        self.render_outcome(&mut page);
        page.section("What this proves");
        for text in PROVES {
            page.item(text);
        }
        page.section("What this does not prove");
        for text in PROVES_NOT {
            page.item(text);
        }
        self.render_identity(&mut page);
        self.render_population(&mut page);
        self.render_changes(&mut page);
        self.render_realm(&mut page);
        page.out
    }

    /// The page about one change; none where the record has no such change.
    pub fn render_change(&self, change: &ChangeId, width: usize) -> Option<String> {
        let report = self.changes.iter().find(|report| report.change == *change)?;
        let mut page = Page { out: String::new(), width: width.max(WIDTH_MIN) };
        self.render_one(&mut page, report);
        Some(page.out)
    }

    fn render_outcome(&self, page: &mut Page) {
        let outcome = match self.outcome {
            Outcome::Clean => "CLEAN: nothing is against this record.",
            Outcome::NotClean => "NOT CLEAN: see the reasons.",
        };
        page.line(&format!("COUNTERSIGN AUDIT of realm `{}`", self.realm));
        page.line("");
        page.line(outcome);
        for reason in &self.reasons {
            page.item(&format!("{} {}: {}.", reason.code.as_str(), reason.code.text(), reason.text));
            page.hint(reason.code.hint());
        }
        if !self.warnings.is_empty() {
            page.line("");
            page.line("To be known:");
        }
        for warning in &self.warnings {
            page.item(&format!("{} {}: {}.", warning.code.as_str(), warning.code.text(), warning.text));
            page.hint(warning.code.hint());
        }
    }

    fn render_identity(&self, page: &mut Page) {
        page.section("Whose record this is");
        let compared = |compared| match compared {
            Compared::Same => "the one you named",
            Compared::NotCompared => "NOT COMPARED with anything you know",
        };
        let first = self.trust.roots.first().map(ToString::to_string).unwrap_or_default();
        page.pair("first trust root", &format!("{first} ({})", compared(self.trust.first_root)));
        if let [_, .., last] = self.trust.roots.as_slice() {
            page.pair("in force", &format!("{last}, after {} rotations", self.trust.roots.len() - 1));
        }
        page.pair("ends", &utc(self.trust.expires_ms));
        page.pair("log", &self.checkpoint.origin);
        page.pair("log key", &format!("{} ({})", self.trust.log_key, compared(self.trust.log_key_compared)));
        page.pair("leaves", &self.checkpoint.size.to_string());
        page.pair("root of the tree", &self.checkpoint.root.to_string());
        page.pair("last stamp", &utc(self.checkpoint.last_stamp_ms));
        let newest = self.checkpoint.newest_witnessed_s.map(|time| utc(time.saturating_mul(1000)));
        let age = match (newest, self.checkpoint.age_ms) {
            (None, _) => "no witness says when the log stood here".to_owned(),
            (Some(newest), None) => format!("last witnessed {newest}; what happened since is not in it"),
            (Some(newest), Some(age_ms)) => {
                format!(
                    "{} by your clock, last witnessed {newest}; what happened since is not in it",
                    span(age_ms)
                )
            }
        };
        page.pair("age", &age);
        let seen = self.checkpoint.witnesses.len();
        page.pair("witnesses", &format!("{seen} of {} that are asked for", self.checkpoint.witnesses_needed));
        for witness in &self.checkpoint.witnesses {
            let times: Vec<String> =
                witness.times_s.iter().map(|time| utc(time.saturating_mul(1000))).collect();
            let by = witness.person.as_ref().map_or("nobody", |person| person.as_str());
            page.pair("", &format!("{}, run by {by}, saw it {}", witness.name, times.join(", ")));
        }
    }

    fn render_population(&self, page: &mut Page) {
        let population = &self.population;
        page.section("Population");
        page.text(&format!(
            "Leaves {} to {} of the log, all of them: {} statements, {} with effect and {} without; {} changes. It is \
             whole because the root of the tree was computed from every leaf. Draw samples from these counts:",
            population.from,
            population.to.saturating_sub(1),
            population.statements,
            population.effective,
            population.no_ops,
            population.changes,
        ));
        if population.from > 0 {
            page.text(&format!(
                "The leaves before {} are in this file, were checked and decided again, and are counted in none of these \
                 numbers: they belong to the population of an earlier audit.",
                population.from
            ));
        }
        let row = |name: String, count: super::Count| {
            let without = count.statements - count.effective;
            vec![name, count.statements.to_string(), count.effective.to_string(), without.to_string()]
        };
        let heading = |first| {
            [
                (first, Fit::Cut),
                ("statements", Fit::Whole),
                ("with effect", Fit::Whole),
                ("without", Fit::Whole),
            ]
        };
        let rows: Vec<_> =
            population.controls.iter().map(|(control, count)| row(word(control), *count)).collect();
        page.table(&heading("control"), &rows);
        page.line("");
        let rows: Vec<_> = population.kinds.iter().map(|(kind, count)| row(kind.clone(), *count)).collect();
        page.table(&heading("kind"), &rows);
    }

    fn render_changes(&self, page: &mut Page) {
        page.section("Changes");
        if self.changes.is_empty() {
            page.text("There is none.");
            return;
        }
        let heading = [
            ("leaf", Fit::Whole),
            ("change", Fit::Whole),
            ("slot", Fit::Cut),
            ("kind", Fit::Cut),
            ("proposer", Fit::Cut),
            ("tier", Fit::Whole),
            ("evidence", Fit::Whole),
            ("approvals", Fit::Whole),
            ("state", Fit::Cut),
        ];
        let rows: Vec<_> = self.changes.iter().take(ROWS_MAX).map(change_row).collect();
        page.table(&heading, &rows);
        page.left_out(self.changes.len());
        page.text(
            "`evidence` is passed / all findings; `approvals` is counted by the order / all. `countersign-audit FILE \
             --change ID` shows one change whole; the beginning of its id suffices.",
        );
    }

    fn render_realm(&self, page: &mut Page) {
        if !self.noops.is_empty() {
            page.section("Leaves without effect");
            for noop in self.noops.iter().take(ROWS_MAX) {
                let about =
                    noop.change.as_ref().map(|change| format!(" on {}", change.short())).unwrap_or_default();
                page.item(&format!("leaf {}, {}{about}: {}", noop.index, noop.kind, notes(&noop.reasons)));
            }
            page.left_out(self.noops.len());
        }
        if !self.attempts.is_empty() {
            page.section("Attempts that were refused");
            for attempt in self.attempts.iter().take(ROWS_MAX) {
                let codes: Vec<&str> = attempt.reasons.iter().map(statement::Name::as_str).collect();
                page.item(&format!("leaf {}, {}: {}", attempt.index, attempt.action, codes.join(", ")));
            }
            page.left_out(self.attempts.len());
        }
        if !self.grants.is_empty() {
            page.section("Grants");
            let heading = [
                ("leaf", Fit::Whole),
                ("by", Fit::Cut),
                ("for", Fit::Whole),
                ("tier up to", Fit::Whole),
                ("used", Fit::Whole),
                ("ends", Fit::Cut),
                ("revoked at", Fit::Whole),
            ];
            let rows = self.grants.iter().take(ROWS_MAX).map(|grant| {
                vec![
                    grant.index.to_string(),
                    join(&grant.persons),
                    word(&grant.purpose),
                    word(&grant.tier_max),
                    format!("{}/{}", grant.used, grant.changes_max),
                    utc(grant.expires_ms),
                    grant.revoked_at.map_or_else(|| "-".to_owned(), |index| format!("leaf {index}")),
                ]
            });
            page.table(&heading, &rows.collect::<Vec<_>>());
            page.left_out(self.grants.len());
        }
        if !self.freezes.is_empty() {
            page.section("Freezes");
            for freeze in self.freezes.iter().take(ROWS_MAX) {
                let (action, target) = (word(&freeze.action), word(&freeze.target));
                page.item(&format!("leaf {}: {action} {target}: {}", freeze.index, freeze.reason));
            }
            page.left_out(self.freezes.len());
        }
        if !self.purged.is_empty() {
            page.section("Destroyed content");
            for purged in self.purged.iter().take(ROWS_MAX) {
                page.item(&format!("{}, purged at leaf {}", purged.digest, purged.index));
            }
            page.left_out(self.purged.len());
        }
        if !self.not_carried.is_empty() {
            page.section("Content that is not carried");
            for absent in self.not_carried.iter().take(ROWS_MAX) {
                let NotCarriedReport { digest, what, named_by, of } = absent;
                page.item(&format!("{digest}, {} of {of}, named by leaf {named_by}", word(what)));
            }
            page.left_out(self.not_carried.len());
        }
    }

    fn render_one(&self, page: &mut Page, change: &ChangeReport) {
        page.line(&format!("CHANGE {}", change.change));
        page.line("");
        page.pair("state", &change.state);
        page.pair("slot", change.slot.as_str());
        page.pair("kind", &format!("{}, level {}", word(&change.modification), word(&change.level)));
        let model = change.proposing_model.map(|state| format!(", for the model in state {state}"));
        page.pair("proposer", &format!("{}{}", change.proposer, model.unwrap_or_default()));
        page.pair("proposal", &format!("leaf {}, {}", change.index, change.proposal));
        for artefact in &change.artefacts {
            page.pair("brings", &format!("{}, {} bytes, {}", artefact.name, artefact.bytes, artefact.digest));
        }
        if let Some(verdict) = &change.verdict {
            let (outcome, tier) = (word(&verdict.outcome), word(&verdict.score.tier));
            page.pair(
                "verdict",
                &format!("leaf {}: {outcome}, tier {tier}, {}", verdict.index, verdict.score.vector),
            );
        }
        for finding in &change.findings {
            let (evidence, outcome) = (word(&finding.evidence), word(&finding.outcome));
            let by = join(&finding.persons);
            let trace = finding.trace.map(|trace| match trace.carried {
                Carried::Checked => format!(", {} steps checked", trace.leaves),
                Carried::Absent => format!(", {} steps signed and not carried", trace.leaves),
            });
            page.pair(
                "finding",
                &format!(
                    "leaf {}: {evidence}: {outcome}, {} by {by}{}",
                    finding.index,
                    finding.examiner,
                    trace.unwrap_or_default()
                ),
            );
            if let Some(found) = &finding.examination {
                page.pair("judged again", &judged(found));
            }
            for attestation in &finding.attestations {
                page.pair("attested", &attested(attestation));
            }
        }
        for approval in &change.approvals {
            let (by, capacity, counted) =
                (join(&approval.persons), word(&approval.capacity), word(&approval.counted));
            page.pair("approval", &format!("leaf {}: {by}, {capacity}, counted: {counted}", approval.index));
        }
        if let Some(rejection) = &change.rejection {
            let by = join(&rejection.persons);
            page.pair("rejection", &format!("leaf {}: {by}: {}", rejection.index, rejection.reason));
        }
        if let Some(order) = &change.order {
            let revoked =
                order.revoked_at.map(|index| format!(", REVOKED at leaf {index}")).unwrap_or_default();
            let (by, until) = (join(&order.persons), utc(order.serve_until_ms));
            page.pair("order", &format!("leaf {}: {by}, {}, until {until}{revoked}", order.index, order.id));
        }
        for binding in &change.bindings {
            let by = join(&binding.persons);
            page.pair("engine", &format!("leaf {}: {by}: {}", binding.index, word(&binding.level)));
        }
        for stage in &change.stages {
            page.pair(
                "stage",
                &format!("leaf {}: {}: {}", stage.index, word(&stage.stage), word(&stage.decision)),
            );
        }
        if change.incidents > 0 {
            page.pair("incidents", &change.incidents.to_string());
        }
        if let Some(rollback) = &change.rollback {
            let by = join(&rollback.persons);
            page.pair("rollback", &format!("leaf {}: {by}: {}", rollback.index, rollback.reason));
        }
        let noops = self.noops.iter().filter(|noop| noop.change.as_ref() == Some(&change.change));
        for noop in noops {
            page.pair("no effect", &format!("leaf {}, {}: {}", noop.index, noop.kind, notes(&noop.reasons)));
        }
    }
}

/// What judging an examination again came to.
fn judged(found: &ExaminationReport) -> String {
    let p_value = found.p_value.map(|[at_least, of]| format!("p {at_least}/{of}"));
    let alpha = found.alpha_ppm.map(|alpha| format!("level {alpha} ppm"));
    let calibration = found.calibration.map(|digest| format!("calibration {}", digest.short()));
    let unseen = &found.not_looked_for;
    let unseen = (!unseen.is_empty()).then(|| format!("not looked for: {}", unseen.join(", ")));
    let parts = [Some(word(&found.again)), p_value, alpha, calibration, unseen, found.text.clone()];
    join(parts.into_iter().flatten())
}

fn change_row(change: &ChangeReport) -> Vec<String> {
    let passed = change.findings.iter().filter(|finding| finding.outcome == Audited::Pass).count();
    let purged = change.findings.iter().any(|finding| finding.outcome == Audited::Purged);
    let counted = change.approvals.iter().filter(|approval| approval.counted == Counted::Yes).count();
    vec![
        change.index.to_string(),
        change.change.short().to_owned(),
        change.slot.to_string(),
        word(&change.modification),
        change.proposer.to_string(),
        change.verdict.as_ref().map_or_else(|| "-".to_owned(), |verdict| word(&verdict.score.tier)),
        format!("{passed}/{}{}", change.findings.len(), if purged { " purged" } else { "" }),
        format!("{counted}/{}", change.approvals.len()),
        change.state.clone(),
    ]
}

fn attested(attestation: &super::AttestationReport) -> String {
    if let Some((code, text)) = attestation.code.as_ref().zip(attestation.text.as_ref()) {
        return format!("{}: {code} {text}", word(&attestation.outcome));
    }
    if attestation.hosts.is_empty() {
        return "no host says where it ran".to_owned();
    }
    join(attestation.hosts.iter().map(|host| {
        let label = if host.simulated { " SIMULATED" } else { "" };
        format!("{} {}{label}", host.kind, host.status)
    }))
}

fn join<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}

fn notes(reasons: &[super::ReasonNote]) -> String {
    join(reasons.iter().map(|reason| format!("{} {} (`{}`)", reason.code, reason.text, reason.about)))
}

struct Page {
    out: String,
    width: usize,
}

impl Page {
    fn line(&mut self, text: &str) {
        wrap(&mut self.out, text, self.width, 0);
    }

    fn section(&mut self, title: &str) {
        self.out.push('\n');
        self.line(title);
        self.out.extend(std::iter::repeat_n('-', title.len()));
        self.out.push('\n');
    }

    fn text(&mut self, text: &str) {
        self.out.push_str("  ");
        wrap(&mut self.out, text, self.width, 2);
    }

    fn item(&mut self, text: &str) {
        self.out.push_str("  - ");
        wrap(&mut self.out, text, self.width, 4);
    }

    fn hint(&mut self, text: &str) {
        self.out.push_str("    -> ");
        wrap(&mut self.out, text, self.width, 7);
    }

    fn pair(&mut self, name: &str, value: &str) {
        self.out.push_str("  ");
        self.out.push_str(name);
        self.out.extend(std::iter::repeat_n(' ', 18_usize.saturating_sub(name.len())));
        wrap(&mut self.out, value, self.width, 20);
    }

    fn table(&mut self, heading: &[(&str, Fit)], rows: &[Vec<String>]) {
        table(&mut self.out, heading, rows, self.width);
    }

    fn left_out(&mut self, total: usize) {
        if let Some(more) = total.checked_sub(ROWS_MAX).filter(|more| *more > 0) {
            self.text(&format!("and {more} more: `--json` lists all."));
        }
    }
}
