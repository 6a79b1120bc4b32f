//! Content on its way in, window by window.

use std::io::Read;

use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::encode::WINDOW;
use crate::error::{Error, Result};

/// A source of content that fills one window at a time.
pub(crate) trait Intake: Send {
    /// Fills `buffer` (cleared first) with the next [`WINDOW`] bytes; fewer only at the end.
    fn fill(&mut self, buffer: Vec<u8>) -> impl Future<Output = Result<Vec<u8>>> + Send;
}

/// An asynchronous source.
pub(crate) struct Flowing<R>(pub(crate) R);

impl<R: AsyncRead + Unpin + Send> Intake for Flowing<R> {
    async fn fill(&mut self, mut buffer: Vec<u8>) -> Result<Vec<u8>> {
        buffer.clear();
        let mut window = (&mut self.0).take(WINDOW as u64);
        window.read_to_end(&mut buffer).await.map_err(|source| Error::Source { source })?;
        Ok(buffer)
    }
}

/// A blocking source, read on the blocking pool. `None` once reading it failed.
pub(crate) struct Blocking<R>(pub(crate) Option<R>);

impl<R: Read + Send + 'static> Intake for Blocking<R> {
    async fn fill(&mut self, mut buffer: Vec<u8>) -> Result<Vec<u8>> {
        let lost = Error::Task { task: "reading content" };
        let Some(mut reader) = self.0.take() else { return Err(lost) };
        let reading = tokio::task::spawn_blocking(move || {
            buffer.clear();
            let outcome = (&mut reader).take(WINDOW as u64).read_to_end(&mut buffer);
            (reader, buffer, outcome)
        });
        let (reader, buffer, outcome) = reading.await.map_err(|_| lost)?;
        outcome.map_err(|source| Error::Source { source })?;
        self.0 = Some(reader);
        Ok(buffer)
    }
}
