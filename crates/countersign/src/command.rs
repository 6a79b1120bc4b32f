//! Carries out the command line: reads arguments, acts, prints.

pub(crate) mod attest;
pub(crate) mod bundle;
pub(crate) mod change;
mod demo;
mod doctor;
mod export;
mod launch;
pub(crate) mod live;
mod log;
pub(crate) mod models;
mod policy;
pub(crate) mod range;
mod realm;
mod record;
mod trace;

pub(crate) use models::{as_worker, diff_page, is_beside_weights};

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use serde_json::json;
use statement::StatementId;
use zeroize::Zeroizing;

use crate::busy::while_busy;
use crate::cli::{Cli, Command};
use crate::failure::{Done, Failure};
use crate::home::Home;
use crate::intact::{self, Survey};
use crate::keys::{Keys, PassphraseSource};
use crate::realm::{Heads as _, Published, Realm};
use crate::rest::Rest;
use crate::served::{Contents, Route, announced};
use crate::show;
use crate::station::Station;
use crate::text::print;
use crate::wait::{self, Wait};

/// How commands answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    /// For people.
    Text,
    /// For scripts.
    Json,
}

/// What every command needs.
pub(crate) struct Setting {
    pub(crate) home: Home,
    pub(crate) output: Output,
    pub(crate) passphrase: PassphraseSource,
    /// The worker program, where it is not the one beside this program.
    pub(crate) worker: Option<PathBuf>,
    /// Where statements are brought to, where that was told.
    pub(crate) route: Option<Route>,
    /// The export to read the record from, where the folder has none of its own.
    pub(crate) record: Option<PathBuf>,
    /// Whether the log may have had no leaf for long.
    pub(crate) rest: Rest,
    /// How long another writer of the log is waited for.
    pub(crate) wait: Wait,
}

impl Setting {
    /// Opens the realm for writing into its log, as soon as nobody else writes.
    pub(crate) fn open(&self) -> Done<Realm> {
        self.wait.until_free(|| self.open_now(), |_| false)
    }

    fn open_now(&self) -> Done<Realm> {
        let realm = Realm::open(self.home.clone(), self.keys()?, translog::system_clock())?;
        self.rest.check(realm.now_ms(), realm.ledger().world().stamp_ms())?;
        Ok(realm)
    }

    /// Opens the realm for writing, after its served files were written anew. Answers which.
    fn rebuild(&self) -> Done<(Realm, Vec<String>)> {
        let rebuild = || Realm::rebuild(self.home.clone(), self.keys()?, translog::system_clock());
        self.wait.until_free(|| while_busy("reading every entry", rebuild), |_| false)
    }

    /// Reads every content that the record names as it was published last. Writes nothing, not even what a process that was
    /// ended has left to publish.
    fn survey(&self) -> Done<Survey> {
        Ok(intact::survey(&self.beside()?))
    }

    /// Opens the realm for reading: without a lock, beside whoever writes.
    ///
    /// What a process that was ended had logged and not published yet is published first, as its successor would do.
    pub(crate) fn read(&self) -> Done<Published> {
        if Station::is_in(&self.home) {
            return Station::open(&self.home, self.passphrase.clone())?.published(self.record.as_deref());
        }
        let open = || Published::open(self.home.clone(), self.keys()?, translog::system_clock());
        let published = open()?;
        if !published.is_behind() {
            return Ok(published);
        }
        match self.open_now().and_then(|realm| realm.publish()) {
            Ok(_) => open(),
            // Whoever writes now publishes by itself, and a copy that cannot be written is read as it is.
            Err(failure) => {
                tracing::debug!(code = %failure.code, "the log is ahead of its checkpoint");
                Ok(published)
            }
        }
    }

    /// Opens the realm to write into: its log, or the process that has the log.
    fn writing(&self) -> Done<Realm> {
        if let Some(route) = &self.route {
            let of_its_own = Station::is_in(&self.home);
            let contents = if of_its_own { Contents::GoAlong } else { Contents::AreThere };
            return Ok(self.beside()?.served(route.clone(), contents));
        }
        if Station::is_in(&self.home) {
            return Err(Failure::usage(
                "in a station's folder, --socket and --receiver-key say where this is brought",
            ));
        }
        // Who serves takes statements, and keeps the log: that is not waited for.
        let serves = |failure: &Failure| announced(&self.home, failure).is_some();
        self.wait.until_free(|| self.open_now(), serves).or_else(|failure| {
            let route = failure.is(wait::LOCKED).then(|| announced(&self.home, &failure)).flatten();
            let route = route.ok_or(failure)?;
            Ok(self.beside()?.served(route, Contents::AreThere))
        })
    }

    /// Reads the realm without asking for its log.
    fn beside(&self) -> Done<Published> {
        if Station::is_in(&self.home) {
            return self.read();
        }
        Published::open(self.home.clone(), self.keys()?, translog::system_clock())
    }

    /// The keys of the realm's folder.
    fn keys(&self) -> Done<Keys> {
        // Asked first, so that a folder without a realm is refused by name and not by its missing keys.
        self.home.settings()?;
        Ok(Keys::new(&self.home, self.passphrase.clone()))
    }

    /// Acts on the realm, then publishes the log's head, also when the act was refused: the attempt is in the log.
    ///
    /// Where another process has the log, what was signed is brought to it, and its receipt waited for.
    pub(crate) fn act<T>(&self, act: impl FnOnce(&mut Realm) -> Done<T>) -> Done<T> {
        let mut realm = self.writing()?;
        if realm.is_served() {
            let done = act(&mut realm)?;
            if let Some(leaf) = realm.settle()?
                && self.output == Output::Text
            {
                print(&format!("brought and taken: leaf {leaf}\n"));
            }
            return Ok(done);
        }
        let before = realm.log().size();
        let done = act(&mut realm);
        let logged = realm.log().size().saturating_sub(before);
        match (done, realm.publish()) {
            (done, Ok(_)) => done,
            (Err(failure), Err(unpublished)) => Err(failure.and(unpublished)),
            (Ok(_), Err(unpublished)) => Err(unpublished.after(logged)),
        }
    }

    /// Says that a statement is in the log.
    pub(crate) fn said(&self, what: &str, id: StatementId) {
        match self.output {
            Output::Json => print(&format!("{}\n", json!({ "statement": id, "what": what }))),
            Output::Text => print(&format!("{what}: statement {id}\n")),
        }
    }

    /// Prints a value for scripts, or a text for people.
    pub(crate) fn print(&self, value: &serde_json::Value, text: &str) {
        match self.output {
            Output::Json => print(&format!("{value}\n")),
            Output::Text => print(text),
        }
    }
}

/// Runs a command. Most answer 0 where they are not refused; those that judge files have a code for each judgement.
pub(crate) fn run(cli: Cli) -> Done<ExitCode> {
    let passphrase = match (cli.passphrase_file, std::env::var("COUNTERSIGN_PASSPHRASE")) {
        (Some(path), _) => PassphraseSource::File(path),
        (None, Ok(text)) => PassphraseSource::Known(Arc::new(Zeroizing::new(text))),
        (None, Err(_)) => PassphraseSource::Terminal,
    };
    let output = if cli.json { Output::Json } else { Output::Text };
    let route = cli.socket.zip(cli.receiver_key).map(|(socket, receiver)| Route { socket, receiver });
    let (home, worker, record) = (Home::new(&cli.home), cli.worker, cli.record);
    let rest = if cli.rested { Rest::Confirmed } else { Rest::Unusual };
    let wait = Wait::of(cli.wait);
    let setting = Setting { home, output, passphrase, worker, route, record, rest, wait };
    let done = match cli.command {
        Command::Scan(args) => return models::scan(&setting, &args),
        Command::Diff(args) => return models::diff(&setting, &args),
        Command::Merge(args) => return models::merge(&setting, &args),
        Command::Fingerprint(args) => models::fingerprint(&setting, &args),
        Command::Quantize(args) => models::quantize(&setting, &args),
        Command::Engine(args) => models::engine(&setting, &args),
        Command::Gateway(args) => live::gateway(&setting, &args),
        Command::Launch(args) => launch::launch(&setting, &args),
        Command::Monitor(args) => live::monitor(&setting, &args),
        Command::Rollout(command) => live::rollout(&setting, &command),
        Command::Sign(args) => models::sign(&setting, &args),
        Command::Verify(args) => models::verify(&setting, &args),
        Command::Range(command) => return range::run(&setting, &command),
        Command::Init(args) => realm::init(&setting, &args),
        Command::Root(command) => realm::root(&setting, &command),
        Command::Key(command) => realm::key(&setting, command),
        Command::Slot(command) => realm::slot(&setting, command),
        Command::Policy(command) => return policy::policy(&setting, command),
        Command::Grant(args) => realm::grant(&setting, &args),
        Command::Revoke(command) => realm::revoke(&setting, &command),
        Command::Level(args) => realm::level(&setting, &args),
        Command::Freeze(args) => realm::freeze(&setting, &args),
        Command::Propose(args) => change::propose(&setting, &args),
        Command::Examine(args) => match &args.base {
            Some(base) => return models::examine(&setting, &args, base),
            None => change::examine(&setting, &args),
        },
        Command::Review(args) => change::review(&setting, &args),
        Command::Decide(args) => change::decide(&setting, &args),
        Command::Approve(args) => change::approve(&setting, &args),
        Command::Refuse(args) => change::refuse(&setting, &args),
        Command::Order(args) => change::order(&setting, &args),
        Command::Rollback(args) => change::rollback(&setting, &args),
        Command::Retire(args) => change::retire(&setting, &args),
        Command::Admit(args) => change::admit(&setting, &args),
        Command::Attest(command) => attest::attest(&setting, &command),
        Command::Doctor => doctor::doctor(&setting),
        Command::List => show::list(&setting),
        Command::Incident(command) => live::incident(&setting, &command),
        Command::Show(args) => show::show(&setting, &args),
        Command::Log(command) => log::run(&setting, command),
        Command::Witness(args) => crate::witness::run(&args),
        Command::Trace(command) => trace::run(&setting, &command),
        Command::Hold(args) => record::hold(&setting, &args),
        Command::Purge(args) => record::purge(&setting, &args),
        Command::Bundle(command) => bundle::run(&setting, command),
        Command::Serve(args) => crate::serve::run(&setting, &args),
        Command::Submit(args) => crate::serve::submit(&setting, &args),
        Command::Export(args) => export::run(&setting, &args),
        Command::Demo(args) => demo::run(&setting, &args),
    };
    done.map(|()| ExitCode::SUCCESS)
}
