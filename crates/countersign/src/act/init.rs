//! The founding of a realm.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use signer::{FileScheme, Signer as _};
use statement::kind::{
    Assurance, DirectoryEntry, LogIdentity, Role, RoleRule, RootKey, Tier, TrustRoot, WitnessKey, Witnesses,
};
use statement::{PersonId, RealmId, Statement, StatementId, Tracking};
use translog::Clock;

use super::{DAY_MS, say_together};
use crate::failure::{Done, Failure};
use crate::home::{Home, Settings};
use crate::keys::{Keys, PassphraseSource, id};
use crate::realm::{AUTOMATION_KEY, LOG_KEY, Realm, WITNESS_KEY};
use crate::worker::Worker;

/// What a realm is founded with.
pub(crate) struct Founding<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// Who holds root keys.
    pub(crate) officers: &'a [String],
    /// How long the first trust root lasts.
    pub(crate) days: u64,
    /// How many monitors must agree to go back.
    pub(crate) monitor_quorum: u32,
    /// The worker whose findings count.
    pub(crate) worker: Option<&'a Path>,
}

/// Makes keys, log, vault, trust root, policy and the automation's directory entry.
pub(crate) fn found(
    home: &Home,
    source: PassphraseSource,
    founding: &Founding<'_>,
    clock: Clock,
) -> Done<Realm> {
    let worker = Worker::find(founding.worker)?;
    let officers: BTreeSet<PersonId> =
        founding.officers.iter().map(|officer| officer.parse()).collect::<Result<_, _>>()?;
    if officers.len() < 2 {
        return Err(Failure::usage("a realm needs at least two officers, who are different persons"));
    }
    let realm: RealmId = founding.name.parse()?;
    home.vacant()?;
    let keys = Keys::new(home, source);
    // Asked for before anything is made.
    let mut sealed = Vec::new();
    for officer in officers {
        let name = format!("root-{officer}");
        let generated = keys.generate(&name, FileScheme::Ed25519, Assurance::Sealed)?;
        sealed.push((officer, name, generated));
    }
    let unfinished = home.create()?;
    let origin = format!("countersign/{realm}");
    let log_key = keys.create(LOG_KEY, FileScheme::Ed25519, Assurance::Unsealed)?;
    keys.create(WITNESS_KEY, FileScheme::Ed25519, Assurance::Unsealed)?;
    keys.create(AUTOMATION_KEY, FileScheme::Ed25519, Assurance::Unsealed)?;
    let mut root_keys = BTreeMap::new();
    let mut names = Vec::new();
    let first = sealed.first().map(|(officer, ..)| officer.clone());
    let first = first.ok_or_else(|| Failure::usage("no officer"))?;
    for (officer, name, generated) in sealed {
        let key = keys.keep(generated)?;
        let entry = RootKey { assurance: Assurance::Sealed, key: key.public_key().clone(), person: officer };
        root_keys.insert(id(&key), entry);
        names.push(name);
    }
    let log_verifier = signer::LogKey::new(&origin, log_key)?.verifier().to_string();
    let witness = crate::witness::local_verifier(realm.as_str(), &keys)?.to_string();
    let root = TrustRoot {
        epoch: 1,
        expires_ms: clock().saturating_add(founding.days.saturating_mul(DAY_MS)),
        keys: root_keys.clone(),
        log: LogIdentity { key: log_verifier.clone(), origin: origin.clone() },
        previous: None,
        roles: roles(&root_keys.keys().copied().collect(), founding.monitor_quorum),
        witnesses: Witnesses {
            keys: BTreeSet::from([WitnessKey { key: witness.clone(), person: first.clone() }]),
            threshold: 1,
        },
    };
    let statement = Statement::new(realm.clone(), Tracking::Realm, clock(), root);
    let root_id: StatementId = statement.to_envelope()?.id();
    let settings = Settings {
        log_key: log_verifier,
        local_witness: witness,
        origin,
        realm,
        root: root_id,
        witnesses: Vec::new(),
    };
    let mut opened = Realm::create(home.clone(), settings, keys, clock)?;
    submit_root(&mut opened, &statement, &names)?;
    let kinds = BTreeSet::from(policy::rules::WORKER_EVIDENCE);
    let policy = policy::rules::default_policy(BTreeMap::from([(worker.digest(), kinds)]))?;
    say_together(&mut opened, &names, Tracking::Realm, policy)?;
    enrol_automation(&mut opened, &names, first, founding.days)?;
    opened.publish()?;
    unfinished.keep();
    Ok(opened)
}

/// Roles of the trust root: quorums of two for what officers sign, of monitors for going back, one for what else the
/// directory gives.
fn roles(officers: &BTreeSet<statement::KeyId>, monitor_quorum: u32) -> BTreeMap<Role, RoleRule> {
    let mut roles = BTreeMap::new();
    for role in [Role::Root, Role::DirectoryOfficer, Role::PolicyOfficer] {
        roles.insert(role, RoleRule { keys: officers.clone(), threshold: 2 });
    }
    for role in Role::ALL.into_iter().filter(|role| role.delegable()) {
        let threshold = if role == Role::Monitor { monitor_quorum } else { 1 };
        roles.insert(role, RoleRule { keys: BTreeSet::new(), threshold });
    }
    roles
}

fn submit_root(realm: &mut Realm, statement: &Statement, names: &[String]) -> Done {
    let mut envelope = statement.to_envelope()?;
    for name in names {
        let key = realm.keys.open(name)?;
        let reviewed = signer::review(&envelope)?;
        signer::countersign(key.as_ref(), reviewed, &mut envelope)?;
    }
    realm.submit(&envelope).map(drop)
}

fn enrol_automation(realm: &mut Realm, officers: &[String], person: PersonId, days: u64) -> Done {
    let (key, assurance) = realm.keys.public(AUTOMATION_KEY)?;
    let entry = DirectoryEntry {
        assurance,
        capacities: BTreeSet::from([statement::kind::Capacity::Automation]),
        clearance: Tier::Low,
        key,
        not_after_ms: realm.log_time_ms().saturating_add(days.saturating_mul(DAY_MS)),
        person,
        profile: None,
        roles: BTreeSet::from([Role::Automation]),
    };
    say_together(realm, officers, Tracking::Realm, entry).map(drop)
}
