//! Writing out what an export holds, for reading with other tools.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use audit::export::{attachments, entries};
use audit::{Export, Section};
use statement::Leaf;

use crate::fault::Fault;

/// Writes each section under its name, each attachment under `attachments/` and its digest, and the statements that can
/// be read as `statements.jsonl`: index, stamp, id and payload, a line each. The folder must not be there yet.
pub(crate) fn into(file: &[u8], folder: &Path) -> Result<(), Fault> {
    let export = Export::parse(file).map_err(Fault::Refused)?;
    let failed = |source| Fault::Extract { path: folder.to_owned(), source };
    fs::create_dir(folder).map_err(failed)?;
    for (name, bytes) in export.sections().filter(|(name, _)| *name != Section::Attachments) {
        fs::write(folder.join(name.name()), bytes).map_err(failed)?;
    }
    let all = entries(export.section(Section::Entries).unwrap_or_default()).map_err(Fault::Refused)?;
    statements(&all, &folder.join("statements.jsonl")).map_err(failed)?;
    let attachments =
        attachments(export.section(Section::Attachments).unwrap_or_default()).map_err(Fault::Refused)?;
    if !attachments.is_empty() {
        let folder = folder.join("attachments");
        fs::create_dir(&folder).map_err(failed)?;
        for (digest, attachment) in attachments {
            fs::write(folder.join(digest.to_string()), attachment.content).map_err(failed)?;
        }
    }
    Ok(())
}

fn statements(entries: &[&[u8]], path: &Path) -> io::Result<()> {
    let mut lines = io::BufWriter::new(fs::File::create_new(path)?);
    for (index, entry) in (0..).zip(entries) {
        let Ok(leaf) = Leaf::parse(index, entry) else { continue };
        write!(lines, r#"{{"index":{index},"stamp_ms":{},"id":"{}","payload":"#, leaf.stamp_ms, leaf.id)?;
        lines.write_all(leaf.envelope.payload.as_slice())?;
        lines.write_all(b"}\n")?;
    }
    lines.flush()
}
