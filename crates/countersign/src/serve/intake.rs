//! The intake: takes what clients bring, checks it, and sends it on under its own name beside the author's.
//!
//! Each submission is sent on by a thread of its own, which waits for the authority's receipt; there are no more of them
//! than the door has rooms.

use std::convert::Infallible;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;

use bundle::{Direction, Header, Section, SectionKind};
use signer::FileKey;
use statement::{Digest, KeyId};

use super::channel::{Arrived, Receipt, Receipts, ended, header_like, seal, send};
use super::door::{self, Came};
use super::{ServeArgs, wanted};
use crate::command::Setting;
use crate::command::bundle::take;
use crate::failure::Done;
use crate::station::{Setup, Station};

/// What every thread needs.
struct Desk {
    setup: Setup,
    key: Arc<FileKey>,
    receipts: Receipts,
    authority: (PathBuf, KeyId),
}

/// Runs until it is ended.
pub(super) fn run(setting: &Setting, args: &ServeArgs) -> Done {
    let listen = args.listen()?;
    let station = Station::open(&setting.home, setting.passphrase.clone())?;
    let key = station.keys.open(&station.setup.key_name)?;
    let authority = wanted(args.authority.clone(), "--authority")?;
    let authority_key = wanted(args.authority_key, "--authority-key")?;
    let receipts = Receipts::new(&key);
    let desk = Desk {
        setup: station.setup.clone(),
        key,
        receipts: receipts.clone(),
        authority: (authority, authority_key),
    };
    let desk = Arc::new(desk);
    let may_bring = Arc::new(|header: &Header| header.direction == Direction::Submission);
    let spool = setting.home.path().join("spool");
    let opened = door::open::<Infallible>(listen, &spool, may_bring, receipts)?;
    drop(opened.tell);
    door::told(listen);
    for came in opened.comes {
        match came {
            Came::Bundle(arrived) => {
                let desk = Arc::clone(&desk);
                // Where the system has no thread for it, the connection ends, and it is brought again.
                let begun = std::thread::Builder::new().spawn(move || desk.pass_on(*arrived));
                if let Err(error) = begun {
                    tracing::warn!(%error, "a submission was not passed on");
                }
            }
            Came::Ended => break,
            Came::Told(never) => match never {},
        }
    }
    Err(ended(listen))
}

impl Desk {
    fn pass_on(&self, arrived: Arrived) {
        let receipt = self.forward(&arrived).unwrap_or_else(Receipt::refusal);
        arrived.answer(&self.receipts, &receipt);
    }

    /// Checks a submission and sends it on, its author's header beside it.
    fn forward(&self, arrived: &Arrived) -> Done<Receipt> {
        let now_ms = translog::system_clock()();
        let here = (&self.setup.realm, self.setup.root, self.setup.key);
        take::submission(&arrived.whole, &arrived.file, here, now_ms)?;
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
        let (socket, authority) = &self.authority;
        let header =
            Header { answers: Some(*signed.id()), sections, to: *authority, ..header_like(asked, now_ms) };
        let outer = seal(&self.key, header)?;
        // The author's header comes first among the sections, before what it was read with.
        let opening = outer.opening();
        let mut all = opening.as_slice().chain(inner).chain(take::body(&arrived.whole, &arrived.file));
        send(socket, &outer, &mut all, *authority)
    }
}
