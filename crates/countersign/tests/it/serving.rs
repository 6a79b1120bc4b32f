//! A realm that is served: under load, among strangers, and with persons who go on working beside it.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;

use bundle::{About, Direction, Header, Section, SectionKind, Unsigned};
use serde_json::Value;
use signer::{FileKey, FileScheme, KeyFile, Protection, sign_bundle, sign_statement};
use statement::kind::{Artefact, ComponentRole, Freeze, FreezeAction, FreezeTarget, Proposal};
use statement::{Body, ChangeId, Digest, Envelope, Statement, Tracking};

use crate::house::House;
use crate::serve::{Parts, Running, entries, id, now_ms, sealed};

/// A proposal as a client would bring it.
struct Brought {
    about: About,
    statements: Vec<Envelope>,
    content: Vec<u8>,
}

impl Brought {
    fn file(&self, parts: &Parts, to: statement::KeyId) -> Vec<u8> {
        let header = parts.header(&parts.trainer, to, Direction::Submission);
        let mut sections: Vec<(SectionKind, Vec<u8>)> = self
            .statements
            .iter()
            .map(|envelope| (SectionKind::Statement, envelope.to_bytes().unwrap()))
            .collect();
        sections.push((SectionKind::Content, self.content.clone()));
        sealed(&parts.trainer, Header { about: Some(self.about.clone()), ..header }, sections)
    }
}

/// Proposals of prompts that leave their scope: one finding decides about each.
fn proposals(parts: &Parts, count: usize) -> Vec<Brought> {
    parts
        .house
        .ok("level trainer --slot support --level tuning --reason first-week --by root-ada --by root-ben");
    let (state, proposal) = parts.bodies();
    let brought = |number: usize| {
        let content = format!("Obey customer {number}.\n").into_bytes();
        let digest = Digest::of(&content);
        let change = ChangeId::from_random([u8::try_from(number).unwrap() + 1; 16]);
        let mut state = state.clone();
        for component in &mut state.manifest.components {
            if component.role == ComponentRole::Prompt {
                component.digest = digest;
            }
        }
        state.made_by = Some(change.clone());
        let name = proposal.artefacts.first().unwrap().name.clone();
        let proposal = Proposal {
            artefacts: BTreeSet::from([Artefact { bytes: content.len() as u64, digest, name }]),
            grant: None,
            target_state: state.manifest.id().unwrap(),
            ..proposal.clone()
        };
        let sign = |body: Body| {
            let tracking = Tracking::Change(change.clone());
            let by = [id(&parts.trainer)];
            let statement = Statement::new("acme".parse().unwrap(), tracking, now_ms(), body).signed_by(&by);
            sign_statement(&parts.trainer, &statement).unwrap()
        };
        let statements = vec![sign(state.into()), sign(proposal.into())];
        let about = About { change: change.clone(), proposal: statements[1].id() };
        Brought { about, statements, content }
    };
    (0..count).map(brought).collect()
}

/// Brings bundles at once; each must be taken.
fn bring_all(parts: &Parts, brought: &[Brought], socket: &str, receiver: &FileKey) {
    let lines: Vec<String> = (0..)
        .zip(brought)
        .map(|(number, brought): (usize, _)| {
            parts.house.write(&format!("many-{number}.bundle"), &brought.file(parts, id(receiver)));
            format!("submit many-{number}.bundle --socket {socket} --receiver-key {}", id(receiver))
        })
        .collect();
    let begun: Vec<_> = lines.iter().map(|line| parts.house.command(line).spawn().unwrap()).collect();
    for mut child in begun {
        assert!(child.wait().unwrap().success());
    }
}

fn state(house: &House, change: &statement::ChangeId) -> Value {
    house.json(&format!("show {change}"))
}

#[test]
fn many_submissions_at_once_are_all_examined_and_decided() {
    let parts = Parts::new();
    let brought = proposals(&parts, 28);
    {
        let _authority = parts.authority();
        let mut examiner = parts.apart("exam", "examiner", "exam.sock");
        let _intake = parts.apart("intake", "intake", "intake.sock");
        bring_all(&parts, &brought, "intake.sock", &parts.intake);
        for _ in &brought {
            assert!(examiner.line().starts_with("examined "));
        }
    }
    for brought in &brought {
        let shown = state(&parts.house, &brought.about.change);
        assert_eq!(shown["findings"][0]["body"]["outcome"], "fail", "{shown}");
        assert_eq!(shown["verdict"]["body"]["outcome"], "fail", "{shown}");
    }
    parts.house.audited();
}

#[test]
fn what_could_not_be_asked_is_asked_later_and_after_a_restart_of_either_side() {
    let parts = Parts::new();
    let brought = proposals(&parts, 2);
    let [first, second] = brought.as_slice() else { panic!() };
    let bring = |brought: &Brought| {
        let file = brought.file(&parts, id(&parts.intake));
        assert_eq!(parts.bring(&file, "intake.sock", &parts.intake), None);
    };
    let examined = |brought: &Brought| format!("examined {}", brought.about.change);
    let authority = parts.authority();
    let intake = parts.apart("intake", "intake", "intake.sock");
    // Nobody examines yet; the authority asks again.
    bring(first);
    let mut examiner = parts.apart("exam", "examiner", "exam.sock");
    assert_eq!(examiner.line(), examined(first));
    drop(examiner);
    // Now the authority ends, too, before anybody was asked.
    bring(second);
    drop((authority, intake));
    let mut examiner = parts.apart("exam", "examiner", "exam.sock");
    let _authority = parts.authority();
    assert_eq!(examiner.line(), examined(second));
    for brought in &brought {
        let shown = state(&parts.house, &brought.about.change);
        assert_eq!(shown["verdict"]["body"]["outcome"], "fail", "{shown}");
    }
}

#[test]
fn an_examiner_that_is_ended_brings_what_it_had_taken() {
    let parts = Parts::new();
    let brought = proposals(&parts, 1);
    let intake = parts.apart("intake", "intake", "intake.sock");
    let authority = parts.authority();
    let examiner = parts.apart("exam", "examiner", "exam.sock");
    bring_all(&parts, &brought, "intake.sock", &parts.intake);
    // Taken means remembered: the request is in its folder. Then both are ended, wherever they are.
    while crate::house::files(&parts.house.path("exam/taken")).is_empty() {
        std::thread::yield_now();
    }
    drop((examiner, authority, intake));
    let mut examiner = parts.apart("exam", "examiner", "exam.sock");
    let _authority = parts.authority();
    let was_examined = || state(&parts.house, &brought[0].about.change)["findings"][0].is_object();
    if !was_examined() {
        assert!(examiner.line().starts_with("examined "));
    }
    assert!(was_examined());
}

fn connect(house: &House, socket: &str) -> UnixStream {
    UnixStream::connect(house.path(socket)).unwrap()
}

/// Waits until the other side has ended the connection.
fn is_ended(stream: &mut UnixStream) {
    // Cut off or closed: it ends.
    drop(stream.read_to_end(&mut Vec::new()));
}

#[test]
fn strangers_that_say_nothing_keep_nobody_out() {
    let parts = Parts::new();
    let brought = proposals(&parts, 1);
    let _authority = parts.authority();
    let intake = parts.apart("intake", "intake", "intake.sock");
    let mut silent: Vec<_> = (0..64).map(|_| connect(&parts.house, "intake.sock")).collect();
    // Some begin and go no further.
    for stream in &mut silent[32..] {
        stream.write_all(b"countersign-").unwrap();
    }
    bring_all(&parts, &brought, "intake.sock", &parts.intake);
    // One with a good header, and a body that does not end.
    let whole = brought[0].file(&parts, id(&parts.intake));
    let mut endless = connect(&parts.house, "intake.sock");
    endless.write_all(&whole[..whole.len() - 1]).unwrap();
    silent.push(endless);
    // They are all sent away by the intake itself.
    for mut stream in silent {
        is_ended(&mut stream);
    }
    drop(intake);
}

/// The opening of a bundle whose one content is said to be so long.
fn announced(parts: &Parts, bytes: u64) -> Vec<u8> {
    let statement = parts.say(&parts.trainer, parts.proposal()).to_bytes().unwrap();
    let mut header = parts.header(&parts.trainer, id(&parts.intake), Direction::Submission);
    header.sections = vec![
        Section {
            bytes: statement.len() as u64,
            kind: SectionKind::Statement,
            sha256: Digest::of(&statement),
        },
        Section { bytes, kind: SectionKind::Content, sha256: Digest::of(b"nothing so long") },
    ];
    sign_bundle(&parts.trainer, Unsigned::new(header).unwrap()).unwrap().opening()
}

#[test]
fn bodies_that_no_disk_has_room_for_are_refused_before_they_are_read() {
    let parts = Parts::new();
    let intake = parts.apart("intake", "intake", "intake.sock");
    let refused = |bytes: u64| -> Option<String> {
        let mut stream = connect(&parts.house, "intake.sock");
        stream.write_all(&announced(&parts, bytes)).unwrap();
        let mut receipt = Vec::new();
        stream.read_to_end(&mut receipt).unwrap();
        let mut reader = bundle::Reader::new();
        reader.feed(&receipt).unwrap();
        let whole = reader.finish().unwrap();
        whole.signed().header().refused.as_ref().map(ToString::to_string)
    };
    assert_eq!(refused(65 << 30).as_deref(), Some("CS-SRV-005"));
    // One of them may be lawful, where the disk is large; two of one user are not.
    let first = connect(&parts.house, "intake.sock");
    (&first).write_all(&announced(&parts, 60 << 30)).unwrap();
    assert_eq!(refused(60 << 30).as_deref(), Some("CS-SRV-009"));
    drop((first, intake));
}

#[test]
fn strangers_keys_do_not_grow_the_log_without_end() {
    let parts = Parts::new();
    let before = entries(&parts.house, "realm").len();
    {
        let _all = Running::start(&parts.house, "serve all --listen all.sock");
        for _ in 0..12 {
            let (_, stranger) = KeyFile::generate(FileScheme::Ed25519, Protection::Unsealed).unwrap();
            let own = parts.say(&stranger, parts.proposal());
            let file = parts.submission(&stranger, id(&parts.automation), &[own], &[]);
            let code = parts.bring(&file, "all.sock", &parts.automation);
            assert_eq!(code.as_deref(), Some("CS-FLD-005"));
        }
    }
    assert_eq!(entries(&parts.house, "realm").len() - before, 8);
    // What enrolled persons try is in the record all the same.
    let own = parts.say(&parts.trainer, parts.order());
    let file = parts.submission(&parts.trainer, id(&parts.automation), &[own], &[]);
    let _all = Running::start(&parts.house, "serve all --listen all.sock");
    assert!(parts.bring(&file, "all.sock", &parts.automation).is_some());
    assert_eq!(entries(&parts.house, "realm").len() - before, 9);
}

#[test]
fn persons_bring_a_change_from_proposal_to_order_while_the_realm_is_served() {
    let house = House::staffed();
    {
        let mut all = Running::start(&house, "serve all --listen all.sock --examine-by erik");
        let change = house.proposed("--adapter within");
        assert_eq!(all.line(), format!("examined {change}"));
        for (evidence, by) in
            [("formal-verification", "erik"), ("security-review", "sven"), ("compliance-review", "clara")]
        {
            house.ok(&format!("review {change} --evidence {evidence} --report report.md --by {by}"));
        }
        let said = house.ok(&format!("approve {change} --capacity technical --by tina --note seen --yes"));
        assert!(said.contains("brought and taken: leaf "), "{said}");
        // Its own proposer may not; the code is what it is without a server, and the attempt is in the log.
        let leaves = || entries(&house, "realm").len();
        let before = leaves();
        house.refused(&format!("approve {change} --capacity technical --by trainer --yes"), "CS-FLD-006");
        assert_eq!(leaves(), before + 1);
        for (by, capacity) in [("emil", "ethics"), ("sora", "security")] {
            house.ok(&format!("approve {change} --capacity {capacity} --by {by} --yes"));
        }
        house.ok(&format!("order {change} --by olga"));
        house.ok(&format!("admit {change}"));
        // What else persons sign.
        house.ok("freeze begin --slot support --reason drill --by olga");
        house.ok("freeze end --slot support --reason drill --by root-ada --by root-ben");
        house.ok(&format!("rollback {change} --reason drift --by olga"));
        let refused = house.proposed("--prompt new.md");
        assert_eq!(all.line(), format!("examined {refused}"));
        house.ok(&format!("refuse {refused} --reason tone --note no --by tina"));
        house.ok("grant --to trainer --slot support --modification prompt --tier low --by tina");
        house
            .ok("level trainer --slot support --level tuning --reason probation --by root-ada --by root-ben");
        house.ok("key new nina --service");
        house.ok("key enrol nina --person nina --role proposer --by root-ada --by root-ben");
        house.ok("key revoke nina --reason left --by root-ada --by root-ben");
        let shown = house.json(&format!("show {change}"));
        assert_eq!(shown["state"], "rolled back", "{shown}");
    }
    house.audited();
}

/// A person's own folder, with a key that is enrolled.
pub(crate) fn person(house: &House, name: &str, rest: &str) -> String {
    let root = house.json("root show")["first"].as_str().unwrap().to_owned();
    house.ok(&format!("--home {name}-home bundle station --realm acme --root {root} --key {name}"));
    house.ok(&format!(
        "key enrol {name} --public {name}-home/{name}.public.json --assurance sealed --person {name} {rest} --clearance high \
         --by root-ada --by root-ben"
    ));
    format!("--home {name}-home --record record.export")
}

#[test]
fn persons_on_other_accounts_bring_theirs_with_an_export_and_their_own_key() {
    let parts = Parts::new();
    let house = &parts.house;
    let pia = person(house, "pia", "--role proposer");
    let tom = person(house, "tom", "--role approver --capacity technical");
    let card: Value =
        serde_json::from_slice(&fs::read(house.path("pia-home/pia.public.json")).unwrap()).unwrap();
    house.ok(&format!(
        "grant --to {} --slot support --modification adapter --modification prompt --tier high --by tina",
        card["key"].as_str().unwrap()
    ));
    let _authority = parts.authority();
    let mut examiner = parts.apart("exam", "examiner", "exam.sock");
    let _intake = parts.apart("intake", "intake", "intake.sock");
    let to = format!("--socket intake.sock --receiver-key {}", id(&parts.intake));
    house.ok("export --out record.export");
    let grants = house.json("list")["grants"].clone();
    let mut grants = grants.as_array().unwrap().iter();
    let grant = grants.find(|grant| grant["to"] == card["key"] || grant["grantee"] == card["key"]).unwrap();
    let grant = grant["grant"].as_str().unwrap();
    // An adapter is a folder: its files go along, and the words about it.
    let line =
        format!("{pia} {to} propose support --adapter within --by pia --grant {grant} --summary better");
    let change = house.json(&line)["change"].as_str().unwrap().to_owned();
    assert_eq!(examiner.line(), format!("examined {change}"));
    // The realm's folder is told of the intake only where the authority is: these persons say where.
    for (evidence, by) in
        [("formal-verification", "erik"), ("security-review", "sven"), ("compliance-review", "clara")]
    {
        house.ok(&format!("{to} review {change} --evidence {evidence} --report report.md --by {by}"));
    }
    let approve = format!("approve {change} --capacity technical --by tom --note seen --yes");
    // By the old record there is nothing to approve yet.
    house.refused(&format!("{tom} {to} {approve}"), "CS-CLI-002");
    house.ok("export --out record.export");
    let said = house.ok(&format!("{tom} {to} {approve}"));
    assert!(said.contains("brought and taken: leaf "), "{said}");
    house.refused(&format!("{tom} {approve}"), "CS-CLI-001");
    house.refused(&format!("--home tom-home {to} {approve}"), "CS-SRV-013");
    for (by, capacity) in [("emil", "ethics"), ("sora", "security")] {
        house.ok(&format!("{to} approve {change} --capacity {capacity} --by {by} --yes"));
    }
    house.ok(&format!("{to} order {change} --by olga"));
    house.ok(&format!("admit {change}"));
    let shown = house.json(&format!("show {change}"));
    assert_eq!(shown["approvals"], 3, "{shown}");
    house.audited();
}

#[test]
fn a_gateway_brings_what_monitors_have_signed_and_keeps_what_was_not_taken() {
    let parts = Parts::new();
    let house = &parts.house;
    let freeze = |target: FreezeTarget| Freeze {
        action: FreezeAction::Begin,
        reason: "harm".parse().unwrap(),
        target,
    };
    let slot = FreezeTarget::Slot("support".parse().unwrap());
    // Two that the monitor has signed, and between them one that has no effect: it has no right to end a halt.
    let first = parts.say(&parts.monitor, freeze(slot.clone()));
    let none = parts.say(&parts.monitor, Freeze { action: FreezeAction::End, ..freeze(slot) });
    let last = parts.say(&parts.monitor, freeze(FreezeTarget::Realm));
    for (name, envelope) in [("1", &first), ("2", &none), ("3", &last)] {
        house.write(&format!("gate/outbox/{name}.json"), &envelope.to_bytes().unwrap());
    }
    let waiting = || {
        let mut names: Vec<String> = std::fs::read_dir(house.path("gate/outbox"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    let all = ["1.json", "2.json", "3.json"];
    let nowhere = format!("--socket nowhere.sock --receiver-key {} --by rollout", id(&parts.automation));
    assert_ne!(house.run(&format!("rollout submit --gateway gate {nowhere}")).code, 0);
    assert_eq!(waiting(), all);
    {
        let _authority = parts.authority();
        let _intake = parts.apart("intake", "intake", "intake.sock");
        let to_intake = format!("--socket intake.sock --receiver-key {}", id(&parts.intake));
        // Nobody's key here has signed them; one that is no gateway's brings nothing of others.
        for (by, code, told) in
            [("", "CS-SRV-012", "CS-SRV-012"), ("--by trainer", "CS-SRV-002", "CS-BUN-027")]
        {
            let message = house.refused(&format!("rollout submit --gateway gate {to_intake} {by}"), code);
            assert!(message.contains(told), "{message}");
            assert_eq!(waiting(), all);
        }
        let told = house.json(&format!("rollout submit --gateway gate {to_intake} --by rollout"));
        assert_eq!(told["submitted"], serde_json::json!([first.id(), last.id()]));
        assert_eq!(waiting(), ["2.refused"]);
    }
    let logged = entries(house, "realm");
    assert!([&first, &last].iter().all(|one| logged.iter().any(|envelope| envelope.id() == one.id())));
}
