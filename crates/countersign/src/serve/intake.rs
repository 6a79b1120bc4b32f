//! The intake: takes what clients bring, checks it, and sends it on under its own name beside the author's.

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use bundle::{Direction, Header, Section, SectionKind};
use statement::{Digest, KeyId};

use super::channel::{Arrived, ended, header_like, listen, seal, send};
use super::{ServeArgs, wanted};
use crate::command::Setting;
use crate::command::bundle::take;
use crate::failure::Done;
use crate::station::Station;

/// Runs until it is ended.
pub(super) fn run(setting: &Setting, args: &ServeArgs) -> Done {
    let station = Station::open(&setting.home, setting.passphrase.clone())?;
    let key = station.keys.open(&station.setup.key_name)?;
    let authority = wanted(args.authority.as_deref(), "--authority")?;
    let authority_key = wanted(args.authority_key, "--authority-key")?;
    let may_bring = Arc::new(|header: &Header| header.direction == Direction::Submission);
    let arrivals = listen(&args.listen, &setting.home.path().join("spool"), &(may_bring as _))?;
    for arrived in arrivals {
        let done = forward(&station, &key, &arrived, (authority, authority_key));
        let code = match done {
            Ok(code) => code,
            Err(failure) => {
                tracing::warn!(code = %failure.code, "{}", failure.message);
                Some(failure.code)
            }
        };
        arrived.answer(&key, station.now_ms(), code.as_deref());
    }
    Err(ended(&args.listen))
}

/// Checks a submission and sends it on, its author's header beside it.
fn forward(
    station: &Station,
    key: &signer::FileKey,
    arrived: &Arrived,
    authority: (&Path, KeyId),
) -> Done<Option<String>> {
    let here = (&station.setup.realm, station.setup.root, station.setup.key);
    take::submission(&arrived.whole, &arrived.file, here, station.now_ms())?;
    let signed = arrived.whole.signed();
    let asked = signed.header();
    let inner = signed.as_bytes();
    let mut sections = asked.sections.clone();
    sections.push(Section {
        bytes: u64::try_from(inner.len()).unwrap_or(u64::MAX),
        kind: SectionKind::Request,
        sha256: Digest::of(inner),
    });
    sections.sort_by_key(|section| (section.kind, section.sha256));
    let header = Header {
        answers: Some(*signed.id()),
        sections,
        to: authority.1,
        ..header_like(asked, station.now_ms())
    };
    let outer = seal(key, header)?;
    // The author's header comes first among the sections, before what it was read with.
    let opening = outer.opening();
    let mut all = opening.as_slice().chain(inner).chain(take::body(&arrived.whole, &arrived.file));
    send(authority.0, &outer, &mut all, authority.1)
}
