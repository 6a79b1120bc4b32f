//! Blocks of PEM (RFC 7468).

use statement::Bytes;

/// Largest PEM file, in bytes.
pub const PEM_BYTES_MAX: usize = 1 << 20;

/// The contents of every block with that label; none where a block is damaged. Text between blocks is passed over.
pub fn blocks(text: &[u8], label: &str) -> Option<Vec<Vec<u8>>> {
    if text.len() > PEM_BYTES_MAX {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?;
    let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    let mut blocks = Vec::new();
    let mut open: Option<String> = None;
    for line in text.lines().map(str::trim) {
        match &mut open {
            None if line == begin => open = Some(String::new()),
            None => {}
            Some(body) if line == end => {
                blocks.push(Bytes::from_base64(body).ok()?.into_vec());
                open = None;
            }
            Some(body) => body.push_str(line),
        }
    }
    open.is_none().then_some(blocks)
}
