//! The roles as processes of their own; and what each can do once somebody has taken it over.

mod takeover;

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::Arc;

use bundle::{About, Direction, Header, Section, SectionKind, SignedHeader, Unsigned};
use serde_json::Value;
use signer::{FileKey, KeyFile, LogKey, Signer as _, sign_bundle, sign_statement};
use statement::kind::{
    Approval, Capacity, EvidenceKind, Finding, Isolation, Outcome, ReleaseOrder, Score, Tier, Verdict,
};
use statement::{
    Body, Bytes, ChangeId, Content, Digest, Envelope, KeyId, Leaf, RealmId, Statement, StatementId, Tracking,
};

use crate::house::{House, check_refusal, copy};

/// A part that runs, ended with its test.
pub(crate) struct Running {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // It is this test's own child; that it has ended already is no matter.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Running {
    pub(crate) fn start(house: &House, line: &str) -> Self {
        let mut child = house.command(line).stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let mut running = Self { child, out };
        assert!(running.line().starts_with("listening on "));
        running
    }

    /// Its exit status, once it has ended by itself.
    pub(crate) fn ends(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    /// The next line it says.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        assert_ne!(self.out.read_line(&mut line).unwrap(), 0, "it ended");
        line.trim_end().to_owned()
    }
}

/// A realm, an intake and an examiner, each in its own folder with its own key, and a proposal that nobody has brought yet.
pub(crate) struct Parts {
    pub(crate) house: House,
    realm: RealmId,
    root: StatementId,
    pub(crate) intake: FileKey,
    pub(crate) examiner: FileKey,
    /// The one that a gateway signs its reports with.
    gateway: FileKey,
    pub(crate) monitor: FileKey,
    pub(crate) automation: FileKey,
    pub(crate) trainer: FileKey,
    pub(crate) statements: Vec<Envelope>,
    pub(crate) about: About,
    pub(crate) content: Vec<u8>,
}

pub(crate) fn key(house: &House, path: &str) -> FileKey {
    KeyFile::read(&house.path(path)).unwrap().open_unsealed().unwrap()
}

pub(crate) fn id(key: &FileKey) -> KeyId {
    key.public_key().id()
}

impl Parts {
    pub(crate) fn new() -> Self {
        let house = House::staffed();
        let settings: Value =
            serde_json::from_slice(&fs::read(house.path("realm/realm.json")).unwrap()).unwrap();
        let root = settings["root"].as_str().unwrap();
        for (folder, name) in [("intake", "door"), ("exam", "exam-room")] {
            house.ok(&format!(
                "--home {folder} bundle station --realm acme --root {root} --key {name} --service"
            ));
        }
        house.ok(
            "key enrol exam-room --public exam/exam-room.public.json --person vera --role examiner --by root-ada --by root-ben",
        );
        for name in ["rollout", "watcher"] {
            house.ok(&format!("key new {name} --service"));
        }
        house.ok(
            "key enrol rollout --person rollout --role rollout --clearance high --by root-ada --by root-ben",
        );
        house.ok(
            "key enrol watcher --person watcher --role monitor --clearance high --by root-ada --by root-ben",
        );
        // A client makes its statements on a copy of the realm: what it signs there is what it would sign anywhere.
        copy(&house.path("realm"), &house.path("client"));
        let before = entries(&house, "realm").len();
        let grant = house.grant();
        house.ok(&format!("--home client propose support --prompt new.md --by trainer --grant {grant}"));
        let statements: Vec<Envelope> = entries(&house, "client").split_off(before);
        let (change, proposal) = statements.iter().find_map(proposed).unwrap();
        let content = fs::read(house.path("new.md")).unwrap();
        Self {
            realm: "acme".parse().unwrap(),
            root: root.parse().unwrap(),
            intake: key(&house, "intake/keys/door.key"),
            examiner: key(&house, "exam/keys/exam-room.key"),
            gateway: key(&house, "realm/keys/rollout.key"),
            monitor: key(&house, "realm/keys/watcher.key"),
            automation: key(&house, "realm/keys/automation.key"),
            trainer: key(&house, "realm/keys/trainer.key"),
            statements,
            about: About { change, proposal },
            content,
            house,
        }
    }

    pub(crate) fn authority(&self) -> Running {
        let line = format!(
            "serve authority --listen authority.sock --intake-key {} --examiner {}=exam.sock",
            id(&self.intake),
            id(&self.examiner)
        );
        Running::start(&self.house, &line)
    }

    pub(crate) fn apart(&self, folder: &str, part: &str, socket: &str) -> Running {
        let line = format!(
            "--home {folder} serve {part} --listen {socket} --authority authority.sock --authority-key {}",
            id(&self.automation)
        );
        Running::start(&self.house, &line)
    }

    /// A statement about the change, signed by whoever.
    pub(crate) fn say(&self, key: &FileKey, body: impl Into<Body>) -> Envelope {
        let tracking = Tracking::Change(self.about.change.clone());
        let statement = Statement::new(self.realm.clone(), tracking, now_ms(), body).signed_by(&[id(key)]);
        sign_statement(key, &statement).unwrap()
    }

    pub(crate) fn header(&self, from: &FileKey, to: KeyId, direction: Direction) -> Header {
        Header {
            about: Some(self.about.clone()),
            answers: None,
            created_ms: now_ms(),
            direction,
            expires_ms: now_ms() + 3_600_000,
            from: id(from),
            head: None,
            leaf: None,
            nonce: Bytes::new(vec![5; 16]),
            realm: self.realm.clone(),
            refused: None,
            root: self.root,
            sections: Vec::new(),
            to,
        }
    }

    /// A submission as a file.
    pub(crate) fn submission(
        &self,
        from: &FileKey,
        to: KeyId,
        statements: &[Envelope],
        content: &[u8],
    ) -> Vec<u8> {
        let mut sections: Vec<(SectionKind, Vec<u8>)> = statements
            .iter()
            .map(|envelope| (SectionKind::Statement, envelope.to_bytes().unwrap()))
            .collect();
        if !content.is_empty() {
            sections.push((SectionKind::Content, content.to_vec()));
        }
        sealed(from, self.header(from, to, Direction::Submission), sections)
    }

    /// The intake's own bundle around a client's.
    fn forwarded(&self, inner: &[u8], statements: &[Envelope], content: &[u8]) -> Vec<u8> {
        let signed = opened(inner);
        let mut sections: Vec<(SectionKind, Vec<u8>)> = statements
            .iter()
            .map(|envelope| (SectionKind::Statement, envelope.to_bytes().unwrap()))
            .collect();
        sections.push((SectionKind::Content, content.to_vec()));
        sections.push((SectionKind::Request, signed.as_bytes().to_vec()));
        let mut header = self.header(&self.intake, id(&self.automation), Direction::Submission);
        header.answers = Some(*signed.id());
        sealed(&self.intake, header, sections)
    }

    /// Brings a file to a socket; answers the code of the refusal.
    #[track_caller]
    pub(crate) fn bring(&self, file: &[u8], socket: &str, receiver: &FileKey) -> Option<String> {
        self.house.write("brought.bundle", file);
        let run = self
            .house
            .run(&format!("submit brought.bundle --socket {socket} --receiver-key {}", id(receiver)));
        if run.code == 0 {
            return None;
        }
        assert!(!run.err.contains("panicked"), "{}", run.err);
        // The receiver's own words where it gave a receipt; else how the connection ended.
        let told = run.err.split("refuses it: `").nth(1).and_then(|rest| rest.split('`').next());
        let code = run.err.split('[').nth(1).and_then(|rest| rest.split(']').next());
        Some(told.or(code).unwrap_or_else(|| panic!("{}", run.err)).to_owned())
    }

    /// Whether any gateway would serve the change.
    #[track_caller]
    fn is_not_released(&self) {
        let run = self.house.run(&format!("admit {}", self.about.change));
        assert_eq!(run.code, 1, "released: {}", run.out);
        let shown = self.house.json(&format!("show {}", self.about.change));
        assert!(!matches!(shown["state"].as_str(), Some("ordered" | "serving")), "{shown}");
    }

    fn verdict(&self) -> Verdict {
        Verdict {
            decider: policy::gate::DECIDER.parse().unwrap(),
            findings: BTreeSet::new(),
            outcome: Outcome::Pass,
            policy: self.root,
            proposal: self.about.proposal,
            reasons: BTreeSet::new(),
            score: Score {
                risk: 0,
                terms: Vec::new(),
                tier: Tier::Minimal,
                tier_reasons: BTreeSet::new(),
                vector: "MIS:1.0".to_owned(),
            },
            tree_size: 1,
        }
    }

    fn approval(&self) -> Approval {
        Approval {
            artefacts: BTreeSet::from([Digest::of(&self.content)]),
            capacity: Capacity::Technical,
            expires_ms: now_ms() + 3_600_000,
            findings: BTreeSet::new(),
            grant: None,
            note: None,
            policy: self.root,
            proposal: self.about.proposal,
            risk: 0,
            target_state: self.target(),
            tier: Tier::Minimal,
            verdict: self.root,
        }
    }

    pub(crate) fn order(&self) -> ReleaseOrder {
        ReleaseOrder {
            admit_before_ms: now_ms() + 3_600_000,
            approvals: BTreeSet::new(),
            checkpoint_age_max_ms: 60_000,
            fallback: self.base(),
            from_state: self.base(),
            policy: self.root,
            proposal: self.about.proposal,
            serve_until_ms: now_ms() + 7_200_000,
            slot: "support".parse().unwrap(),
            tier: Tier::Minimal,
            to_state: self.target(),
            tree_size: 1,
            verdict: self.root,
        }
    }

    pub(crate) fn finding(&self, inputs: BTreeSet<Digest>) -> Finding {
        Finding {
            attested: None,
            boundaries: BTreeSet::new(),
            attachments: BTreeSet::new(),
            evidence: EvidenceKind::Scope,
            examiner: "scope/0.1.0".parse().unwrap(),
            inputs,
            isolation: Isolation::Standard,
            measures: std::collections::BTreeMap::new(),
            outcome: Outcome::Pass,
            proposal: self.about.proposal,
            trace: None,
            violations: BTreeSet::new(),
            violations_left_out: 0,
            worker: None,
        }
    }

    pub(crate) fn proposal(&self) -> statement::kind::Proposal {
        let found = self.statements.iter().find_map(|envelope| {
            let Content::Known(known) = Content::parse(envelope.payload.as_slice()).unwrap() else {
                return None;
            };
            match known.body {
                Body::Proposal(proposal) => Some(*proposal),
                _ => None,
            }
        });
        found.unwrap()
    }

    /// The state and the proposal, as the client has signed them.
    pub(crate) fn bodies(&self) -> (statement::kind::ServedState, statement::kind::Proposal) {
        let states = self.statements.iter().find_map(|envelope| {
            let Content::Known(known) = Content::parse(envelope.payload.as_slice()).unwrap() else {
                return None;
            };
            match known.body {
                Body::ServedState(state) => Some(*state),
                _ => None,
            }
        });
        (states.unwrap(), self.proposal())
    }

    fn target(&self) -> statement::StateId {
        self.proposal().target_state
    }

    fn base(&self) -> statement::StateId {
        self.proposal().base_state
    }
}

pub(crate) fn now_ms() -> u64 {
    translog::system_clock()()
}

pub(crate) fn sealed(
    key: &FileKey,
    mut header: Header,
    mut sections: Vec<(SectionKind, Vec<u8>)>,
) -> Vec<u8> {
    sections.sort_by_key(|(kind, bytes)| (*kind, Digest::of(bytes)));
    header.sections = sections
        .iter()
        .map(|(kind, bytes)| Section { bytes: bytes.len() as u64, kind: *kind, sha256: Digest::of(bytes) })
        .collect();
    let signed = sign_bundle(key, Unsigned::new(header).unwrap()).unwrap();
    let body: Vec<u8> = sections.into_iter().flat_map(|(_, bytes)| bytes).collect();
    [signed.opening(), body].concat()
}

fn opened(file: &[u8]) -> SignedHeader {
    let mut reader = bundle::Reader::new();
    reader.feed(file).unwrap();
    let bytes = reader.finish().unwrap().signed().as_bytes().to_vec();
    SignedHeader::parse(&bytes).unwrap()
}

/// Every envelope of a realm's log.
pub(crate) fn entries(house: &House, home: &str) -> Vec<Envelope> {
    house.ok(&format!("--home {home} export --out {home}.export"));
    let file = fs::read(house.path(&format!("{home}.export"))).unwrap();
    let export = audit::Export::parse(&file).unwrap();
    let entries = audit::export::entries(export.section(audit::Section::Entries).unwrap()).unwrap();
    (0..).zip(entries).map(|(index, entry)| Leaf::parse(index, entry).unwrap().envelope).collect()
}

fn proposed(envelope: &Envelope) -> Option<(ChangeId, StatementId)> {
    let Content::Known(known) = Content::parse(envelope.payload.as_slice()).ok()? else { return None };
    match (&known.body, &known.header.change) {
        (Body::Proposal(_), Tracking::Change(change)) => Some((change.clone(), envelope.id())),
        _ => None,
    }
}

/// A realm's log without the program around it: it takes whatever it is given.
pub(crate) fn opened_log(house: &House) -> translog::Log {
    let settings: Value = serde_json::from_slice(&fs::read(house.path("realm/realm.json")).unwrap()).unwrap();
    let origin = settings["origin"].as_str().unwrap();
    let log_key = LogKey::new(origin, Arc::new(key(house, "realm/keys/log.key"))).unwrap();
    let verifier = log_key.verifier().clone();
    let mut config =
        translog::Config::new(origin, vec![Arc::new(log_key)], vec![verifier], translog::system_clock());
    config.stamper = Arc::new(statement::stamp);
    let disk = translog::Disk::open(house.path("realm/log")).unwrap();
    translog::Log::open(Arc::new(disk), config).unwrap()
}

#[test]
fn one_process_is_everything_on_a_laptop() {
    let parts = Parts::new();
    parts.house.ok("key new bench --service");
    parts.house.ok("key enrol bench --person benno --role examiner --by root-ada --by root-ben");
    let file = parts.submission(&parts.trainer, id(&parts.automation), &parts.statements, &parts.content);
    {
        let mut all = Running::start(&parts.house, "serve all --listen all.sock --examine-by bench");
        assert_eq!(parts.bring(&file, "all.sock", &parts.automation), None);
        assert_eq!(all.line(), format!("examined {}", parts.about.change));
        // It is there already.
        assert!(parts.bring(&file, "all.sock", &parts.automation).is_some());
    }
    let shown = parts.house.json(&format!("show {}", parts.about.change));
    assert_eq!(shown["findings"][0]["body"]["outcome"], "pass", "{shown}");
    parts.is_not_released();
}

#[test]
fn parts_that_are_not_there_and_users_that_cannot_be_are_refused() {
    let house = House::founded();
    for part in ["gateway", "monitor"] {
        let message = house.refused(&format!("serve {part} --listen x.sock"), "CS-CLI-001");
        assert!(message.contains("--config"), "{message}");
        let message = house.refused(&format!("serve {part} --config absent.json"), "CS-CLI-003");
        assert!(message.contains("absent.json"), "{message}");
    }
    house.refused("serve authority --config x.json", "CS-CLI-001");
    house.refused("serve monitor --config x.json --submit", "CS-CLI-001");
    house.refused("serve authority --listen x.sock", "CS-CLI-001");
    // One that is told to examine by itself and to ask others would leave those out.
    let key = house.json("root show")["first"].as_str().unwrap().to_owned();
    house.refused(
        &format!("serve all --listen x.sock --examine-by erik --examiner {key}=y.sock"),
        "CS-CLI-001",
    );
    house.refused(
        &format!("serve authority --listen x.sock --intake-key {key} --examine-by erik"),
        "CS-CLI-001",
    );
    house.refused("serve intake --listen x.sock --user somebody", "CS-CLI-001");
    // As another user, the realm's folder cannot be read: the process is stopped there.
    let run = house.run("serve authority --listen x.sock --user 65531:65531");
    if run.err.contains("CS-SRV-003") {
        println!("SKIPPED becoming another user: this is not root");
        check_refusal("serve --user", &run, "CS-SRV-003");
    } else {
        check_refusal("serve --user", &run, "CS-CLI-003");
    }
}
