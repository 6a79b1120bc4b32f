//! What commands do, without what they print: each act makes statements, signs them and submits them.

mod approve;
mod destroy;
mod examination;
mod examine;
mod foresee;
mod import;
mod init;
mod order;
mod propose;
mod realm_acts;
mod rotate;
mod word;

use signer::{countersign, review};
use statement::{Body, Envelope, KeyId, StatementId, Tracking};

pub(crate) use approve::{ApprovalRequest, Approved, approve, prepare_approval, reject};
pub(crate) use destroy::{hold, purge};
pub(crate) use examination::{How, examined};
pub(crate) use examine::{ReviewRequest, decide, examine, found_out, measured, review as sign_review};
pub(crate) use foresee::Warning;
pub(crate) use import::{ImportRequest, import};
pub(crate) use init::{Founding, found};
pub(crate) use order::{Window, admit, bind, order, retire, rollback, sign_off};
pub(crate) use propose::{
    ArtefactSource, AsModel, ProposalRequest, base_component, propose, rebuild_artefact,
};
pub(crate) use realm_acts::{
    EnrolledKey, Enrolment, GrantRequest, SlotRequest, define_slot, enrol, freeze, grant, replace_policy,
    revoke, revoke_key, set_level,
};
pub(crate) use rotate::{Rotation, rotate};
pub(crate) use word::{word, words};

use crate::failure::{Done, Failure};
use crate::keys::id;
use crate::realm::{Realm, Record};

/// A day in milliseconds.
pub(crate) const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Signs a statement with several keys of this machine and submits it.
pub(crate) fn say_together(
    realm: &mut Realm,
    by: &[String],
    change: Tracking,
    body: impl Into<Body>,
) -> Done<StatementId> {
    let envelope = sign_together(realm, by, change, body)?;
    realm.submit(&envelope)
}

/// A statement of these signers, not submitted yet.
pub(crate) fn sign_together(
    realm: &Realm,
    by: &[String],
    change: Tracking,
    body: impl Into<Body>,
) -> Done<Envelope> {
    let keys = by.iter().map(|name| realm.keys.open(name)).collect::<Done<Vec<_>>>()?;
    let signers: Vec<KeyId> = keys.iter().map(|key| id(key)).collect();
    let mut envelope = realm.statement(change, body, &signers).to_envelope()?;
    for key in keys {
        let reviewed = review(&envelope)?;
        countersign(key.as_ref(), reviewed, &mut envelope)?;
    }
    Ok(envelope)
}

/// A key id: of a key by the name that it has on this machine, or was enrolled under from here, or written out.
pub(crate) fn key_id<L>(realm: &Record<L>, name: &str) -> Done<KeyId> {
    if let Ok(id) = name.parse::<KeyId>() {
        return Ok(id);
    }
    match realm.keys.public(name) {
        Ok((public, _)) => Ok(public.id()),
        Err(failure) => realm.keys.elsewhere(name)?.map(|public| public.id()).ok_or(failure),
    }
}

/// A grant by its id or an unambiguous beginning of it.
pub(crate) fn grant_id(realm: &Realm, text: &str) -> Done<StatementId> {
    let grants = realm.ledger().world().grants().map(|record| record.grant.id);
    let mut found = grants.filter(|id| id.to_string().starts_with(text));
    match (found.next(), found.next()) {
        (Some(id), None) => Ok(id),
        (Some(_), Some(_)) => Err(Failure::usage(format!("`{text}` begins more than one grant's id"))),
        (None, _) => text.parse().map_err(|_| Failure::missing("grant", text)),
    }
}
