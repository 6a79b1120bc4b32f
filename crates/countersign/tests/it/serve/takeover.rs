//! Each part taken over in turn: a hostile process with its key and its folder, and what it can do.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use bundle::{Direction, SectionKind, SignedHeader};
use signer::FileKey;
use statement::kind::{Freeze, FreezeAction, FreezeTarget, GateDecision, RollbackOrder, Stage, StageReport};
use statement::{Body, Digest, Envelope};

use super::{Parts, Running, id, now_ms, opened_log, sealed};
use crate::house::files;

/// What was tried, and what came of it.
#[derive(Default)]
struct Table(Vec<[String; 3]>);

impl Table {
    #[track_caller]
    fn refused(&mut self, part: &str, tries: &str, code: Option<String>) {
        let code = code.unwrap_or_else(|| panic!("{part}: {tries}: it was taken"));
        assert!(code.starts_with("CS-"), "{code}");
        self.0.push([part.to_owned(), tries.to_owned(), format!("refused: `{code}`")]);
    }

    fn can(&mut self, part: &str, tries: &str, then: &str) {
        self.0.push([part.to_owned(), tries.to_owned(), then.to_owned()]);
    }

    fn text(&self) -> String {
        let mut text = String::from("| taken over | tries to | what comes of it |\n| --- | --- | --- |\n");
        for [part, tries, then] in &self.0 {
            text.extend(["| ", part, " | ", tries, " | ", then, " |\n"]);
        }
        text
    }
}

const BEGIN: &str = "<!-- the table of the takeover test -->\n";
const END: &str = "<!-- end of the table -->\n";

#[test]
fn parts_run_apart_and_none_releases_a_change_alone() {
    let parts = Parts::new();
    let mut table = Table::default();
    let to_intake = parts.submission(&parts.trainer, id(&parts.intake), &parts.statements, &parts.content);
    {
        let _authority = parts.authority();
        let mut examiner = parts.apart("exam", "examiner", "exam.sock");
        let intake = parts.apart("intake", "intake", "intake.sock");
        as_it_should_be(&parts, &mut examiner, &to_intake);
        // The intake's process is gone; who has its key and folder speaks in its place.
        drop(intake);
        hostile_intake(&parts, &to_intake, &mut table);
        drop(examiner);
        let _intake = parts.apart("intake", "intake", "intake.sock");
        hostile_examiner(&parts, &mut table);
        hostile_gateway(&parts, &mut table);
        hostile_monitor(&parts, &mut table);
    }
    parts.is_not_released();
    hostile_authority(&parts, &mut table);
    parts.is_not_released();

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/separation.md");
    let document = fs::read_to_string(&path).unwrap();
    let (before, rest) = document.split_once(BEGIN).unwrap();
    let (written, after) = rest.split_once(END).unwrap();
    println!("{}", table.text());
    if std::env::var_os("COUNTERSIGN_WRITE_DOCS").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{}{END}{after}", table.text())).unwrap();
    } else {
        assert_eq!(written, table.text(), "docs/separation.md is not what was found");
    }
}

/// A proposal goes in at the intake, is examined by another process, and stands in the log with its finding.
fn as_it_should_be(parts: &Parts, examiner: &mut Running, to_intake: &[u8]) {
    assert_eq!(parts.bring(to_intake, "intake.sock", &parts.intake), None);
    assert_eq!(examiner.line(), format!("examined {}", parts.about.change));
}

fn hostile_intake(parts: &Parts, to_intake: &[u8], table: &mut Table) {
    let part = "intake";
    let authority = |file: &[u8]| parts.bring(file, "authority.sock", &parts.automation);
    let to = id(&parts.automation);
    let own = |envelope: Envelope| authority(&parts.submission(&parts.intake, to, &[envelope], &[]));
    table.refused(part, "propose in its own name", own(parts.say(&parts.intake, parts.proposal())));
    table.refused(part, "sign a finding", own(parts.say(&parts.intake, parts.finding(BTreeSet::new()))));
    table.refused(part, "decide", own(parts.say(&parts.intake, parts.verdict())));
    table.refused(part, "approve", own(parts.say(&parts.intake, parts.approval())));
    table.refused(part, "order the release", own(parts.say(&parts.intake, parts.order())));
    let forged = parts.say(&parts.intake, parts.approval());
    let mut stolen = forged.clone();
    stolen.signatures[0].keyid = id(&parts.trainer);
    table.refused(
        part,
        "put the proposer's name under its own words",
        authority(&parts.submission(&parts.intake, to, &[stolen], &[])),
    );
    table.refused(
        part,
        "put another artefact in the place of the proposer's",
        authority(&parts.forwarded(to_intake, &parts.statements, b"Obey me.\n")),
    );
    table.refused(
        part,
        "bring an old submission again",
        authority(&parts.forwarded(to_intake, &parts.statements, &parts.content)),
    );
    let findings =
        findings_of(parts, &parts.intake, &parts.say(&parts.intake, parts.finding(BTreeSet::new())));
    table.refused(part, "bring findings", authority(&findings));
    let exam = parts.bring(to_intake, "exam.sock", &parts.examiner);
    table.refused(part, "speak to the examiner", exam);
    table.can(
        part,
        "withhold what clients bring, or bring it late",
        "it can; the client gets no receipt of the authority's that it could show",
    );
}

/// A findings bundle that answers the request the examiner has taken.
fn findings_of(parts: &Parts, from: &FileKey, envelope: &Envelope) -> Vec<u8> {
    let taken = files(&parts.house.path("exam/taken"));
    let taken = taken.iter().find(|path| path.extension().is_some_and(|ending| ending == "header")).unwrap();
    let request = fs::read(taken).unwrap();
    let mut header = parts.header(from, id(&parts.automation), Direction::Findings);
    header.answers = Some(*SignedHeader::parse(&request).unwrap().id());
    let sections =
        vec![(SectionKind::Request, request), (SectionKind::Finding, envelope.to_bytes().unwrap())];
    sealed(from, header, sections)
}

fn hostile_examiner(parts: &Parts, table: &mut Table) {
    let part = "examiner";
    let authority = |file: &[u8]| parts.bring(file, "authority.sock", &parts.automation);
    let direct = parts.submission(
        &parts.examiner,
        id(&parts.automation),
        &[parts.say(&parts.examiner, parts.order())],
        &[],
    );
    table.refused(part, "bring statements to the authority itself", authority(&direct));
    let through = |envelope: Envelope| {
        let file = parts.submission(&parts.examiner, id(&parts.intake), &[envelope], &[]);
        parts.bring(&file, "intake.sock", &parts.intake)
    };
    table.refused(part, "propose", through(parts.say(&parts.examiner, parts.proposal())));
    table.refused(part, "decide", through(parts.say(&parts.examiner, parts.verdict())));
    table.refused(part, "approve", through(parts.say(&parts.examiner, parts.approval())));
    table.refused(part, "order the release", through(parts.say(&parts.examiner, parts.order())));
    let bring = |envelope: Envelope| authority(&findings_of(parts, &parts.examiner, &envelope));
    table.refused(part, "pass an order off as a finding", bring(parts.say(&parts.examiner, parts.order())));
    table.refused(
        part,
        "bring a finding in another's name",
        bring(parts.say(&parts.trainer, parts.finding(BTreeSet::new()))),
    );
    let beside = BTreeSet::from([Digest::of(b"something else")]);
    table.refused(
        part,
        "rest a finding on what it was not sent",
        bring(parts.say(&parts.examiner, parts.finding(beside))),
    );
    let lie = parts.say(&parts.examiner, parts.finding(BTreeSet::from([Digest::of(&parts.content)])));
    assert_eq!(bring(lie), None);
    table.can(part, "say that a bad change is good", "it can, under its own name; alone that releases nothing: the tier asks for other evidence and for persons");
}

/// Brings one statement through the intake, as a client.
fn through(parts: &Parts, key: &FileKey, envelope: Envelope) -> Option<String> {
    let file = parts.submission(key, id(&parts.intake), &[envelope], &[]);
    parts.bring(&file, "intake.sock", &parts.intake)
}

/// What no part may say that has no right to, whichever it is.
fn oversteps(parts: &Parts, part: &str, key: &FileKey, table: &mut Table) {
    let own = |body: Body| through(parts, key, parts.say(key, body));
    table.refused(part, "propose", own(parts.proposal().into()));
    table.refused(part, "sign a finding", own(parts.finding(BTreeSet::new()).into()));
    table.refused(part, "decide", own(parts.verdict().into()));
    table.refused(part, "approve", own(parts.approval().into()));
    table.refused(part, "order the release", own(parts.order().into()));
    let mut stolen = parts.say(key, parts.approval());
    stolen.signatures[0].keyid = id(&parts.trainer);
    table.refused(part, "put the proposer's name under its own words", through(parts, key, stolen));
    let direct = parts.submission(key, id(&parts.automation), &[parts.say(key, parts.order())], &[]);
    let authority = parts.bring(&direct, "authority.sock", &parts.automation);
    table.refused(part, "speak to the authority itself", authority);
}

/// An order that stands nowhere: the proposal's own statement in its place.
fn rollback(parts: &Parts) -> RollbackOrder {
    RollbackOrder {
        from_state: parts.target(),
        incident: None,
        order: parts.about.proposal,
        reason: "harm".parse().unwrap(),
        slot: "support".parse().unwrap(),
        to_state: parts.base(),
    }
}

fn report(parts: &Parts) -> StageReport {
    StageReport {
        data: Digest::of(b"figures"),
        decision: GateDecision::Promote,
        from_ms: now_ms() - 60_000,
        gates: BTreeSet::new(),
        order: parts.about.proposal,
        share_ppm: 1_000_000,
        stage: Stage::Full,
        to_ms: now_ms(),
    }
}

fn hostile_gateway(parts: &Parts, table: &mut Table) {
    let part = "gateway";
    oversteps(parts, part, &parts.gateway, table);
    let own = |body: Body| through(parts, &parts.gateway, parts.say(&parts.gateway, body));
    table.refused(
        part,
        "report that a change without an order is served to everybody",
        own(report(parts).into()),
    );
    table.refused(part, "take a change back", own(rollback(parts).into()));
    let freeze = Freeze {
        action: FreezeAction::Begin,
        reason: "harm".parse().unwrap(),
        target: FreezeTarget::Change(parts.about.change.clone()),
    };
    table.refused(part, "halt a change", own(freeze.into()));
    table.can(
        part,
        "answer those who come through it with something else than what was released, or not at all",
        "it can; nothing is released by it, and other gateways serve what the log says. What monitors see of its traffic it tells them itself",
    );
}

fn hostile_monitor(parts: &Parts, table: &mut Table) {
    let part = "monitor";
    oversteps(parts, part, &parts.monitor, table);
    let own = |body: Body| through(parts, &parts.monitor, parts.say(&parts.monitor, body));
    table.refused(part, "report on a rollout", own(report(parts).into()));
    table.refused(part, "take a change back that is not served", own(rollback(parts).into()));
    let freeze = |action| Freeze {
        action,
        reason: "harm".parse().unwrap(),
        target: FreezeTarget::Change(parts.about.change.clone()),
    };
    table.refused(part, "end a halt", own(freeze(FreezeAction::End).into()));
    assert_eq!(own(freeze(FreezeAction::Begin).into()), None);
    table.can(
        part,
        "halt a change, or say that it does harm",
        "it can, under its own name: a halt stops releases and ends by a quorum of policy officers; taking back what is served takes a quorum of monitors",
    );
}

/// With the authority's keys and its folder: writes into the log itself, past every check of the program.
fn hostile_authority(parts: &Parts, table: &mut Table) {
    let part = "authority";
    let log = opened_log(&parts.house);
    let mut stolen = parts.say(&parts.automation, parts.approval());
    stolen.signatures[0].keyid = id(&parts.trainer);
    let tries = [
        ("decide otherwise than the policy", parts.say(&parts.automation, parts.verdict())),
        ("approve without a person's grant", parts.say(&parts.automation, parts.approval())),
        ("order the release", parts.say(&parts.automation, parts.order())),
        ("sign a finding", parts.say(&parts.automation, parts.finding(BTreeSet::new()))),
        ("put a person's name under its own words", stolen),
    ];
    let mut written = Vec::new();
    for (what, envelope) in tries {
        let appended = log.submit(envelope.to_bytes().unwrap()).unwrap().wait().unwrap();
        written.push((what, appended.index));
    }
    drop(log);
    // Everybody who folds the log comes to the same answer: an outsider, too.
    parts.house.ok("export --out hostile.export");
    let file = fs::read(parts.house.path("hostile.export")).unwrap();
    let expected = audit::Expectations { root: Some(parts.root), ..audit::Expectations::none() };
    let context = audit::context(&file, &expected).unwrap();
    for (what, index) in written {
        let refusal = context.ledger().noops().get(&index);
        let code = refusal
            .and_then(|refusal| refusal.reasons().next())
            .map(|reason| reason.code.as_str().to_owned());
        table.refused(part, what, code);
    }
    // Another history under the same keys: the client's copy went on by itself.
    let change = &parts.about.change;
    parts
        .house
        .ok(&format!("--home client bundle out {change} --to {} --out forked.bundle", id(&parts.examiner)));
    let run = parts.house.run("--home exam bundle in forked.bundle");
    assert_ne!(run.code, 0, "{}", run.out);
    let code = run.err.split('[').nth(1).and_then(|rest| rest.split(']').next()).map(str::to_owned);
    table.refused(part, "show the examiner another history", code);
    table.can(part, "withhold, delay, or stop", "it can; nothing is released by it");
}
