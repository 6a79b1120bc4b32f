//! Writing GGUF files, piece by piece.

use super::error::GgufError;
use super::kind::GgmlType;
use super::value::{Value, encode_text};
use super::{Limits, RANK_MAX, alignment_of, padding_of};
use crate::error::shown;
use crate::safetensors::is_tensor_name;

/// What a file says of a tensor before its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TensorInfo<'a> {
    /// The name.
    pub name: &'a str,
    /// The type of its blocks.
    pub kind: GgmlType,
    /// Its dimensions in row-major order, the slowest first.
    pub shape: &'a [usize],
}

/// Writes a file of version 3 through a sink: the head at once, then the tensors' bytes as they are made.
///
/// Tensors stand in the order given, each on the alignment that `general.alignment` asks for, and the last is
/// padded too, as ggml's own writer does.
#[derive(Debug)]
pub struct Writer<S> {
    sink: S,
    alignment: u64,
    /// Names and lengths of the tensors still to come, the next one last.
    ahead: Vec<(String, u64)>,
    /// Bytes that the tensor being written still needs.
    left: u64,
    written: u64,
}

impl<S: FnMut(&[u8])> Writer<S> {
    /// Writes everything in front of the data.
    ///
    /// # Errors
    /// [`GgufError::Write`], [`GgufError::Shape`], [`GgufError::Alignment`] and [`GgufError::Repeated`] for what
    /// could not be read back.
    pub fn begin(
        metadata: &[(&str, Value<'_>)],
        tensors: &[TensorInfo<'_>],
        mut sink: S,
    ) -> Result<Self, GgufError> {
        let limits = Limits::FORMAT;
        let alignment = alignment_of(metadata)?;
        if let Some(key) = crate::json::repeated(metadata.iter().map(|(key, _)| *key)) {
            return Err(GgufError::Repeated { what: "key", name: shown(key) });
        }
        if let Some(name) = crate::json::repeated(tensors.iter().map(|tensor| tensor.name)) {
            return Err(GgufError::Repeated { what: "tensor", name: shown(name) });
        }
        let mut head = b"GGUF".to_vec();
        head.extend(3_u32.to_le_bytes());
        head.extend((tensors.len() as u64).to_le_bytes());
        head.extend((metadata.len() as u64).to_le_bytes());
        for (key, value) in metadata {
            if !is_tensor_name(key, limits.key_bytes) {
                return Err(GgufError::Write { name: shown(key), reason: "the key could not be read back" });
            }
            encode_text(key, &mut head);
            value.encode_typed(&mut head);
        }
        let (mut offset, mut ahead) = (0_u64, Vec::with_capacity(tensors.len()));
        for tensor in tensors {
            if !is_tensor_name(tensor.name, limits.name_bytes) {
                let reason = "the name could not be read back";
                return Err(GgufError::Write { name: shown(tensor.name), reason });
            }
            let shape = || GgufError::Shape { tensor: shown(tensor.name) };
            let rank = u32::try_from(tensor.shape.len()).map_err(|_| shape())?;
            let bytes = tensor.kind.bytes_of(tensor.shape).ok_or_else(shape)? as u64;
            if tensor.shape.len() > RANK_MAX {
                return Err(shape());
            }
            encode_text(tensor.name, &mut head);
            head.extend(rank.to_le_bytes());
            for &dimension in tensor.shape.iter().rev() {
                head.extend((dimension as u64).to_le_bytes());
            }
            head.extend(tensor.kind.number().to_le_bytes());
            head.extend(offset.to_le_bytes());
            let end = offset.checked_add(bytes).ok_or_else(shape)?;
            offset = end.checked_add(padding_of(end, alignment)).ok_or_else(shape)?;
            ahead.push((tensor.name.to_owned(), bytes));
        }
        let padding = usize::try_from(padding_of(head.len() as u64, alignment)).unwrap_or(0);
        head.resize(head.len() + padding, 0);
        sink(&head);
        ahead.reverse();
        let mut writer = Self { sink, alignment, ahead, left: 0, written: 0 };
        writer.skip_empty();
        Ok(writer)
    }

    /// Begins the next tensor that has bytes.
    fn skip_empty(&mut self) {
        while self.left == 0 {
            match self.ahead.last() {
                Some((_, bytes)) if *bytes == 0 => drop(self.ahead.pop()),
                Some((_, bytes)) => self.left = *bytes,
                None => return,
            }
        }
    }

    /// Writes the next bytes of data. They may hold part of a tensor, or several.
    ///
    /// # Errors
    /// [`GgufError::Write`] where more comes than the tensors hold.
    pub fn data(&mut self, mut bytes: &[u8]) -> Result<(), GgufError> {
        while !bytes.is_empty() {
            let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
            if most == 0 {
                let name = format!("{} bytes", bytes.len());
                return Err(GgufError::Write { name, reason: "no tensor is left that they could belong to" });
            }
            let (part, rest) = bytes.split_at_checked(most).unwrap_or((bytes, &[]));
            (self.sink)(part);
            bytes = rest;
            self.left -= part.len() as u64;
            self.written += part.len() as u64;
            if self.left == 0 {
                self.pad();
                self.ahead.pop();
                self.skip_empty();
            }
        }
        Ok(())
    }

    fn pad(&mut self) {
        const ZEROS: [u8; 64] = [0; 64];
        let mut padding = padding_of(self.written, self.alignment);
        self.written += padding;
        while padding > 0 {
            let part = usize::try_from(padding).unwrap_or(usize::MAX).min(ZEROS.len());
            (self.sink)(ZEROS.get(..part).unwrap_or_default());
            padding -= part as u64;
        }
    }

    /// Ends the file.
    ///
    /// # Errors
    /// [`GgufError::Write`] names the first tensor whose bytes have not all come.
    pub fn finish(self) -> Result<(), GgufError> {
        match self.ahead.last() {
            Some((name, _)) => {
                Err(GgufError::Write { name: shown(name), reason: "its bytes have not all come" })
            }
            None => Ok(()),
        }
    }
}

/// Writes a whole file at once, each tensor with its bytes.
///
/// # Errors
/// As [`Writer::begin`]; [`GgufError::Write`] where bytes do not fit a tensor's shape and type.
pub fn write(
    metadata: &[(&str, Value<'_>)],
    tensors: &[(TensorInfo<'_>, &[u8])],
) -> Result<Vec<u8>, GgufError> {
    let infos: Vec<TensorInfo<'_>> = tensors.iter().map(|(info, _)| *info).collect();
    let mut file = Vec::new();
    let mut writer = Writer::begin(metadata, &infos, |bytes: &[u8]| file.extend_from_slice(bytes))?;
    for (info, bytes) in tensors {
        if info.kind.bytes_of(info.shape) != Some(bytes.len()) {
            let reason = "its bytes do not fit its shape and type";
            return Err(GgufError::Write { name: shown(info.name), reason });
        }
        writer.data(bytes)?;
    }
    writer.finish()?;
    Ok(file)
}
