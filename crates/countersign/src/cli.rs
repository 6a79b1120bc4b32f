//! The command line.

mod attest;
mod bundle;
mod change;
mod live;
mod models;
mod range;
mod realm;
mod record;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use statement::KeyId;

pub(crate) use self::attest::{AttestCommand, AttestKeyArgs, AttestQuoteArgs, AttestVerifyArgs, RawKind};
pub(crate) use self::bundle::{BundleCommand, BundleOutArgs, StationArgs};
pub(crate) use self::range::{
    RangeCase, RangeCaseArgs, RangeCommand, RangeGenerateArgs, RangePart, RangeStage,
};
pub(crate) use change::{
    ApproveArgs, ChangeArg, ExamineArgs, OrderArgs, ProposeArgs, RefuseArgs, RetireArgs, ReviewArgs,
    RollbackArgs,
};
pub(crate) use live::{GatewayArgs, IncidentCommand, LaunchArgs, MonitorArgs, RolloutArgs, RolloutCommand};
pub(crate) use models::{
    DiffArgs, EngineArgs, FingerprintArgs, Isolation, MergeArgs, QuantizeArgs, QuantizeBackend,
    QuantizeChoice, ScanArgs, SignArgs, SignHash, SignMethod, VerifyArgs,
};
pub(crate) use realm::{
    FreezeArgs, GrantArgs, InitArgs, KeyCommand, LevelArgs, PolicyCommand, RevokeCommand, RootCommand,
    SlotCommand,
};
pub(crate) use record::{
    DemoArgs, ExportArgs, HoldArgs, LogCommand, LogWitnessCommand, PurgeArgs, ShowArgs, TraceCommand,
};

use crate::serve::{ServeArgs, SubmitArgs};
use crate::witness::WitnessArgs;

/// Change control for models that change themselves. Nothing a model changes about itself takes effect until it is
/// countersigned.
#[derive(Debug, Parser)]
#[command(version, about, after_help = "Example: countersign demo")]
pub(crate) struct Cli {
    /// The realm's folder.
    #[arg(long, global = true, env = "COUNTERSIGN_HOME", default_value = "countersign-realm")]
    pub(crate) home: PathBuf,
    /// Answer in JSON, for scripts.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// A file with the passphrase of the keys that are used (else COUNTERSIGN_PASSPHRASE, else the terminal is asked).
    #[arg(long, global = true)]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// The worker program, which opens what is proposed (default: `countersign-worker` beside this program).
    #[arg(long, global = true, env = "COUNTERSIGN_WORKER")]
    pub(crate) worker: Option<PathBuf>,
    /// Bring what is signed to the process that serves on this socket, instead of writing the log here. In a realm's
    /// folder that is served, this is known.
    #[arg(long, global = true, env = "COUNTERSIGN_SOCKET", requires = "receiver_key")]
    pub(crate) socket: Option<PathBuf>,
    /// The key that must sign that process's receipts.
    #[arg(long, global = true, env = "COUNTERSIGN_RECEIVER_KEY", requires = "socket")]
    pub(crate) receiver_key: Option<KeyId>,
    /// In a station's folder: the realm's newest export, to read the record from (default: the one that was taken last).
    #[arg(long, global = true, env = "COUNTERSIGN_RECORD")]
    pub(crate) record: Option<PathBuf>,
    /// The log had no new leaf for more than 31 days, and this machine's clock is right.
    #[arg(long, global = true)]
    pub(crate) rested: bool,
    /// While another command writes into the realm's log, wait up to so many seconds for it to end.
    #[arg(long, global = true, env = "COUNTERSIGN_WAIT", value_name = "SECONDS", default_value_t = 5,
          value_parser = clap::value_parser!(u64).range(..=86_400))]
    pub(crate) wait: u64,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a realm: its log, vault, first trust root and policy.
    #[command(after_help = "Example: countersign init --name acme --officer alice --officer bob")]
    Init(InitArgs),
    /// Show and rotate the trust root.
    #[command(subcommand, after_help = "Example: countersign root show")]
    Root(RootCommand),
    /// Make, show, enrol and revoke keys.
    #[command(subcommand, after_help = "Example: countersign key new carol")]
    Key(KeyCommand),
    /// Define where models are served.
    #[command(
        subcommand,
        after_help = "Example: countersign slot define support --component prompt:system=prompt.md --scope tuning=scope.json --modification prompt --context chat --by root-alice --by root-bob"
    )]
    Slot(SlotCommand),
    /// Show, check and replace the policy.
    #[command(subcommand, after_help = "Example: countersign policy show")]
    Policy(PolicyCommand),
    /// Propose a change.
    #[command(
        after_help = "Example: countersign propose support --adapter ./adapter --by carol --grant 3f0c"
    )]
    Propose(ProposeArgs),
    /// Examine a change: measure its bytes against its scope, sign the finding, decide; or hold files against a base.
    #[command(
        after_help = "Example: countersign examine ./adapter --base ./model --suite ./suite --html report.html"
    )]
    Examine(ExamineArgs),
    /// Sign a finding that a person made, with its report.
    #[command(
        after_help = "Example: countersign review 3f0c --evidence security-review --report review.md --by sven"
    )]
    Review(ReviewArgs),
    /// Decide on a change by the policy and its findings, and record the verdict.
    #[command(after_help = "Example: countersign decide 3f0c")]
    Decide(ChangeArg),
    /// Approve a change: shows exactly what is signed, and signs exactly that.
    #[command(after_help = "Example: countersign approve 3f0c --capacity technical --by carol")]
    Approve(ApproveArgs),
    /// Say no to a change.
    #[command(after_help = "Example: countersign refuse 3f0c --reason tone --by carol")]
    Refuse(RefuseArgs),
    /// Order the release of an approved change.
    #[command(after_help = "Example: countersign order 3f0c --by olga")]
    Order(OrderArgs),
    /// Take a released change back.
    #[command(after_help = "Example: countersign rollback 3f0c --reason drift --by olga")]
    Rollback(RollbackArgs),
    /// End the service of a released change: its slot goes to its fallback.
    #[command(after_help = "Example: countersign retire 3f0c --reason end-of-life --by olga")]
    Retire(RetireArgs),
    /// Ask as a gateway would: may this change be served now?
    #[command(after_help = "Example: countersign admit 3f0c")]
    Admit(ChangeArg),
    /// Give a time-limited authorisation, or renew one.
    #[command(
        after_help = "Example: countersign grant --to trainer --slot support --modification adapter --tier medium --days 30 --by carol"
    )]
    Grant(GrantArgs),
    /// Revoke a grant or an order.
    #[command(subcommand, after_help = "Example: countersign revoke grant 3f0c --reason left --by carol")]
    Revoke(RevokeCommand),
    /// Set what a key may propose without a grant.
    #[command(
        after_help = "Example: countersign level trainer --slot support --level tuning --reason probation-passed --by root-alice --by root-bob"
    )]
    Level(LevelArgs),
    /// Halt changes, or end a halt.
    #[command(after_help = "Example: countersign freeze begin --slot support --reason incident-7 --by olga")]
    Freeze(FreezeArgs),
    /// Tell what this host can enforce around the worker that opens untrusted files.
    #[command(after_help = "Example: countersign doctor --json")]
    Doctor,
    /// List changes, slots, persons and grants.
    #[command(after_help = "Example: countersign list --json")]
    List,
    /// Show a change, a slot or a statement.
    #[command(after_help = "Example: countersign show 3f0c --report security-review")]
    Show(ShowArgs),
    /// Incidents in the record, and what monitors saw.
    #[command(subcommand, after_help = "Example: countersign incident show 3f0c")]
    Incident(IncidentCommand),
    /// Look into the log, check it, serve it, have it witnessed.
    #[command(subcommand, after_help = "Example: countersign log fsck")]
    Log(LogCommand),
    /// Be a witness: cosign checkpoints that continue what it has seen, refuse forks.
    #[command(
        after_help = "Example: countersign witness --state ./witness --key witness.key --name example.com/witness --log countersign/acme=VKEY"
    )]
    Witness(WitnessArgs),
    /// Show and check what workers did.
    #[command(subcommand, after_help = "Example: countersign trace show 3f0c --leaf 1 --out step.json")]
    Trace(TraceCommand),
    /// Place content under legal hold, or lift one: what is held cannot be purged.
    #[command(
        after_help = "Example: countersign hold place 6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b --matter case-12 --by clara"
    )]
    Hold(HoldArgs),
    /// Destroy content. Its digest and every proof stay; what rests on it counts as purged, never as passed.
    #[command(
        after_help = "Example: countersign purge 6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b --basis erasure-request-7 --by clara"
    )]
    Purge(PurgeArgs),
    /// Write everything an outsider needs to check the record into one file.
    #[command(after_help = "Example: countersign export --out record.countersign")]
    Export(ExportArgs),
    /// Run a part of the realm as a process of its own: intake, examiner, authority, gateway, monitor; or the first three as
    /// one.
    #[command(
        after_help = "Example: countersign serve all --listen ./countersign.sock --examine-by erik\nExample: \
                            countersign serve gateway --config gateway.json --submit --user 904:904"
    )]
    Serve(ServeArgs),
    /// Bring signed statements and contents to a process that serves.
    #[command(
        after_help = "Example: countersign submit proposal.bundle --socket ./intake.sock --receiver-key 6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b"
    )]
    Submit(SubmitArgs),
    /// Examine on a machine without a network: a change crosses on a medium as one signed file, findings come back so.
    #[command(
        subcommand,
        after_help = "Example: countersign bundle station --home ./station --realm acme --root 3f0c --key vault-room"
    )]
    Bundle(BundleCommand),
    /// Scan model files: pickles, templates, configurations, adapters, hidden payloads. Needs no realm.
    #[command(after_help = "Example: countersign scan ./model --sarif findings.sarif --fail-on warning")]
    Scan(ScanArgs),
    /// Seal a model's weights: one root for the same weights, whatever their files, shards and container.
    #[command(after_help = "Example: countersign fingerprint ./model --rule exact --rule 8-bit")]
    Fingerprint(FingerprintArgs),
    /// Quantise a model, byte for byte as llama.cpp and bitsandbytes do.
    #[command(after_help = "Example: countersign quantize model.gguf --to Q4_K_M --out model-q4_k_m.gguf")]
    Quantize(QuantizeArgs),
    /// Sign a model's files: an OpenSSF Model Signing bundle.
    #[command(after_help = "Example: countersign sign ./model --key key.pem --out model.sig")]
    Sign(SignArgs),
    /// Verify a model's files against an OpenSSF Model Signing bundle.
    #[command(after_help = "Example: countersign verify ./model --signature model.sig --public-key pub.pem")]
    Verify(VerifyArgs),
    /// Ask this host for evidence of itself, and verify such evidence. Needs no realm.
    #[command(
        subcommand,
        after_help = "Example: countersign attest quote --worker-digest SHA256 --inputs SHA256 --trace-root SHA256 --nonce 6e6f6e63652d3031 --out run.attestation"
    )]
    Attest(AttestCommand),
    /// Serve a model on this machine: OpenAI's interface, with streaming, log-probabilities and adapters by name.
    #[command(
        after_help = "Example: countersign engine --model SmolLM2-135M-Instruct.Q4_1.gguf --name smollm2"
    )]
    Engine(EngineArgs),
    /// Serve what was countersigned, in front of engines: follows the log, checks every order itself, releases in stages.
    #[command(after_help = "Example: countersign gateway --config gateway.json")]
    Gateway(GatewayArgs),
    /// Start the engine of an ordered change on its files from the vault, say so in the log, and be its only entrance.
    ///
    /// The files are verified on the way out of the vault, and the engine (this program's own, or any command after `--`) is
    /// started on them. A key pair is made for the channel to it, and a statement signed with a key of the role `engine` ties
    /// the channel to the state. A gateway that names the address as `channel://HOST:PORT` talks to the holder of that key
    /// alone. Another engine: `-- llama-server --model {model} --host {socket}`. Where the engine ends, or a file of it is no
    /// longer what was checked, this ends too.
    #[command(
        after_help = "Example: countersign launch 3f0c --by engines --listen 127.0.0.1:7443 --name support"
    )]
    Launch(LaunchArgs),
    /// Watch a gateway with a key of one's own: detectors once a second, a signed vote, and what follows by the table.
    ///
    /// Five of them, each a process with its own key and token, bear two that lie or are dead. What a quorum of them signs acts
    /// at the gateway at once: freeze, restrict, roll back, quarantine, stop. Going forward again is for people.
    #[command(after_help = "Example: countersign monitor --config monitor-1.json")]
    Monitor(MonitorArgs),
    /// Begin, watch, pause and take back releases on a gateway.
    #[command(subcommand, after_help = "Example: countersign rollout start 3f0c --gateway ./gateway-state")]
    Rollout(RolloutCommand),
    /// Make attacked and benign changes to small models, to measure examiners by.
    #[command(
        subcommand,
        after_help = "Example: countersign range generate --family lora-backdoor --count 20 --seed 7 --out ./range"
    )]
    Range(RangeCommand),
    /// Merge models of one base, each observed first, joined step by step, with a test after each and a halt where one
    /// fails. Needs no realm.
    #[command(
        after_help = "Example: countersign merge --base ./base --parent ./a --parent ./b --suite ./suite --out ./merged"
    )]
    Merge(MergeArgs),
    /// Compare two models, or an adapter and its base: which weights differ, how far, along how many directions. Needs no
    /// realm.
    #[command(
        after_help = "Example: countersign diff ./base ./candidate --scope scope.json --html diff.html"
    )]
    Diff(DiffArgs),
    /// See the whole way of a change, and what is refused, in a realm made for it.
    #[command(after_help = "Example: countersign demo --keep ./demo-realm")]
    Demo(DemoArgs),
}
