//! Writing out what an export holds, for reading with other tools.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use audit::export::{attachments, entries};
use audit::{Export, Section};
use statement::Leaf;

/// Writes each section under its name, each attachment under `attachments/` and its digest, and the statements that can
/// be read as `statements.jsonl`: index, stamp, id and payload, a line each. The folder must not be there yet.
pub(crate) fn into(file: &[u8], folder: &Path) -> anyhow::Result<()> {
    let export = Export::parse(file)?;
    fs::create_dir(folder).context("the folder must be a new one")?;
    for (name, bytes) in export.sections().filter(|(name, _)| *name != Section::Attachments) {
        fs::write(folder.join(name.name()), bytes)?;
    }
    let mut lines = std::io::BufWriter::new(fs::File::create_new(folder.join("statements.jsonl"))?);
    for (index, entry) in (0..).zip(entries(export.section(Section::Entries).unwrap_or_default())?) {
        let Ok(leaf) = Leaf::parse(index, entry) else { continue };
        write!(lines, r#"{{"index":{index},"stamp_ms":{},"id":"{}","payload":"#, leaf.stamp_ms, leaf.id)?;
        lines.write_all(leaf.envelope.payload.as_slice())?;
        lines.write_all(b"}\n")?;
    }
    lines.flush()?;
    let attachments = attachments(export.section(Section::Attachments).unwrap_or_default())?;
    if !attachments.is_empty() {
        let folder = folder.join("attachments");
        fs::create_dir(&folder)?;
        for (digest, attachment) in attachments {
            fs::write(folder.join(digest.to_string()), attachment.content)?;
        }
    }
    Ok(())
}
