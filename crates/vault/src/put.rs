//! Storing: content first, durable and invisible; then the record, which makes it visible in one step.

use std::fs::File;
use std::path::Path;

use bytes::Bytes;
use object_store::{MultipartUpload, ObjectStoreExt as _, PutPayload};
use statement::Digest;
use tokio::io::AsyncRead;
use tokio::task::JoinSet;

use crate::encode::{Encoded, Encoder, Target, WINDOW, stored_content_len, stored_len};
use crate::error::{Error, Result};
use crate::folder::hash_file;
use crate::intake::{Blocking, Flowing, Intake};
use crate::quota::Reservation;
use crate::record::{ContentId, ContentRecord, Place, Record, content_path};
use crate::secret::{DataKey, random};
use crate::tenant::Tenant;
use crate::tree::Blake3Root;
use crate::vault::{Created, Deletion, Vault, in_background};

/// Parts of one content on their way to storage at the same time.
const PARTS_IN_FLIGHT: usize = 2;

/// The longest content: 1 TiB. While it is stored, its tree (1/4096 of it) is in memory.
pub(crate) const LENGTH_LIMIT: u64 = 1 << 40;

/// What a put did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The content is new to this tenant.
    New,
    /// The tenant had it already; nothing was changed.
    AlreadyThere,
}

/// What was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// The artefact's name: SHA-256 of its content.
    pub digest: Digest,
    /// BLAKE3 of its content.
    pub root: Blake3Root,
    /// Its length in bytes.
    pub length: u64,
    /// Whether it is new.
    pub outcome: Outcome,
}

impl Vault {
    /// Stores what `source` yields until its end, in at most 50 MB of memory plus 1/4096 of the content.
    ///
    /// Nothing is visible before the whole is durable; dropping the future stores nothing. Storing what is there
    /// already changes nothing (a damaged copy is not mended: remove it first). What was purged stays purged.
    ///
    /// # Errors
    /// [`Error::Quota`], [`Error::Purged`] (this content was purged before), [`Error::TenantUnknown`],
    /// [`Error::TenantDestroyed`], [`Error::TooLong`] (over 1 TiB), [`Error::Source`], [`Error::Store`].
    pub async fn put(&self, tenant: &Tenant, source: impl AsyncRead + Unpin + Send) -> Result<Stored> {
        self.put_intake(tenant, Flowing(source), 0).await
    }

    /// Stores what a blocking `source` yields; otherwise as [`Vault::put`].
    ///
    /// # Errors
    /// As [`Vault::put`].
    pub async fn put_reader(
        &self,
        tenant: &Tenant,
        source: impl std::io::Read + Send + 'static,
    ) -> Result<Stored> {
        self.put_intake(tenant, Blocking(Some(source)), 0).await
    }

    /// Stores `content`; otherwise as [`Vault::put`].
    ///
    /// # Errors
    /// As [`Vault::put`].
    pub async fn put_bytes(&self, tenant: &Tenant, content: &[u8]) -> Result<Stored> {
        self.put_intake(tenant, Flowing(content), content.len() as u64).await
    }

    /// Stores a local file. Its quota is reserved before the first byte is stored; where the quota does not
    /// suffice but the tenant has the content already, that is found out and answered.
    ///
    /// # Errors
    /// As [`Vault::put`], and [`Error::File`].
    pub async fn put_file(&self, tenant: &Tenant, path: &Path) -> Result<Stored> {
        let owned = path.to_owned();
        let (file, length) = in_background("opening a file", move || {
            let failed = |source| Error::file(&owned, "opened", source);
            let file = File::open(&owned).map_err(failed)?;
            let length = file.metadata().map_err(failed)?.len();
            Ok((file, length))
        })
        .await?;
        match self.put_intake(tenant, Blocking(Some(file)), length).await {
            Err(Error::Quota { tenant, limit, used, wanted }) => {
                let owned = path.to_owned();
                let (digest, _) = in_background("hashing a file", move || hash_file(&owned)).await?;
                match self.record(&tenant, &digest).await {
                    Ok(record) => Ok(already(&record)),
                    Err(_) => Err(Error::Quota { tenant, limit, used, wanted }),
                }
            }
            outcome => outcome,
        }
    }

    /// `expected` bytes of content are reserved at once; more as they come.
    pub(crate) async fn put_intake(
        &self,
        tenant: &Tenant,
        mut intake: impl Intake,
        expected: u64,
    ) -> Result<Stored> {
        let protection = self.shared.protection;
        let key = self.key(tenant).await?;
        self.used(tenant).await?;
        let mut reservation = self.shared.ledger.reserve(tenant);
        reservation.raise_to(stored_len(protection, expected.min(LENGTH_LIMIT)))?;

        let content: ContentId = random()?;
        let target = Target { tenant: tenant.clone(), content, key: DataKey::generate()?, protection };
        let path = content_path(tenant, &content);
        let mut upload = Upload::new(self, &path);
        let sent = send(&mut upload, &mut intake, &mut reservation, Encoder::new(target)?).await;
        let encoded = match sent {
            Ok(encoded) => encoded,
            Err(error) => {
                upload.abort().await;
                return Err(error);
            }
        };
        let stored = self.commit(tenant, &key, encoded).await;
        match &stored {
            Ok(Stored { outcome: Outcome::New, .. }) => reservation.keep(),
            // The content that nothing names goes again; if that fails too, `sweep` finds it.
            Ok(_) => self.delete(&path, Deletion::Unlink).await?,
            Err(_) => drop(self.delete(&path, Deletion::Unlink).await),
        }
        stored
    }

    /// Makes a durable content visible, unless the tenant has it or had it purged.
    async fn commit(
        &self,
        tenant: &Tenant,
        key: &crate::secret::TenantKey,
        encoded: Encoded,
    ) -> Result<Stored> {
        let Encoded { target, digest, root, length, .. } = encoded;
        let Target { content, key: data_key, protection, .. } = target;
        let place = Place::of(tenant, key, &digest)?;
        let record = ContentRecord { digest, root, length, content, protection, key: data_key };
        let sealed = Record::Content(record).seal(&place)?;
        loop {
            if self.create(&place.path(), sealed.clone()).await? == Created::New {
                return Ok(Stored { digest, root, length, outcome: Outcome::New });
            }
            match self.find(&place).await? {
                Some(Record::Content(record)) => return Ok(already(&record)),
                Some(Record::Tombstone { .. }) => return Err(Error::Purged { digest }),
                // It was removed between the two looks, so the place is free.
                None => {}
            }
        }
    }
}

fn already(record: &ContentRecord) -> Stored {
    let ContentRecord { digest, root, length, .. } = *record;
    Stored { digest, root, length, outcome: Outcome::AlreadyThere }
}

/// Reads, encodes and uploads; reading the next window and encoding this one go on together.
async fn send(
    upload: &mut Upload<'_>,
    intake: &mut impl Intake,
    reservation: &mut Reservation,
    mut encoder: Encoder,
) -> Result<Encoded> {
    let protection = upload.vault.shared.protection;
    let mut window = intake.fill(Vec::with_capacity(WINDOW + 64)).await?;
    let mut spare = Vec::with_capacity(WINDOW + 64);
    let mut length = 0_u64;
    loop {
        length += window.len() as u64;
        if length > LENGTH_LIMIT {
            return Err(Error::TooLong { what: "content".to_owned(), limit: LENGTH_LIMIT });
        }
        let last = window.len() < WINDOW;
        let promised =
            if last { stored_len(protection, length) } else { stored_content_len(protection, length) };
        reservation.raise_to(promised)?;
        let encoding = in_background("encoding content", move || {
            let part = encoder.push(&window)?;
            Ok((encoder, window, part))
        });
        if last {
            let (encoder, _, mut part) = encoding.await?;
            let mut encoded = in_background("ending content", move || encoder.finish()).await?;
            part.append(&mut encoded.tree);
            upload.last(part).await?;
            return Ok(encoded);
        }
        let (encoded, read) = tokio::join!(encoding, intake.fill(spare));
        let part;
        (encoder, spare, part) = encoded?;
        window = read?;
        upload.part(part).await?;
    }
}

/// One content on its way: a single put where it fits one window, parts otherwise.
struct Upload<'a> {
    vault: &'a Vault,
    path: &'a object_store::path::Path,
    parts: Option<Box<dyn MultipartUpload>>,
    in_flight: JoinSet<object_store::Result<()>>,
}

impl<'a> Upload<'a> {
    fn new(vault: &'a Vault, path: &'a object_store::path::Path) -> Self {
        Self { vault, path, parts: None, in_flight: JoinSet::new() }
    }

    async fn part(&mut self, bytes: Vec<u8>) -> Result<()> {
        let failed = |source| Error::store(self.path, source);
        let upload = match &mut self.parts {
            Some(upload) => upload,
            none => none.insert(self.vault.shared.store.put_multipart(self.path).await.map_err(failed)?),
        };
        self.in_flight.spawn(upload.put_part(PutPayload::from(Bytes::from(bytes))));
        while self.in_flight.len() >= PARTS_IN_FLIGHT {
            self.landed().await?;
        }
        Ok(())
    }

    async fn last(&mut self, bytes: Vec<u8>) -> Result<()> {
        let failed = |source| Error::store(self.path, source);
        if self.parts.is_none() {
            let whole = self.vault.shared.store.put(self.path, PutPayload::from(Bytes::from(bytes)));
            return whole.await.map(|_| ()).map_err(failed);
        }
        self.part(bytes).await?;
        while !self.in_flight.is_empty() {
            self.landed().await?;
        }
        match self.parts.take() {
            Some(mut upload) => upload.complete().await.map(|_| ()).map_err(failed),
            None => Ok(()),
        }
    }

    async fn landed(&mut self) -> Result<()> {
        match self.in_flight.join_next().await {
            None => Ok(()),
            Some(Err(_)) => Err(Error::Task { task: "uploading a part" }),
            Some(Ok(outcome)) => outcome.map_err(|source| Error::store(self.path, source)),
        }
    }

    /// Leaves nothing behind where the store allows it; the caller has an error to tell already.
    async fn abort(&mut self) {
        self.in_flight.shutdown().await;
        if let Some(mut upload) = self.parts.take() {
            drop(upload.abort().await);
        }
    }
}
