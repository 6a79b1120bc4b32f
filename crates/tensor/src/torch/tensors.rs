//! Tensors collected from a pickle, and joined with their storages.

use std::borrow::Cow;
use std::collections::HashMap;

use super::element::ElementType;
use super::error::Error;
use super::view::Tensor;
use super::{Checkpoint, Finding, Limits, Storage, Unread};
use crate::error::shown;
use crate::pickle::{Pickle, ValueId};

/// A storage that a pickle asks for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Need {
    pub(super) key: String,
    pub(super) element: ElementType,
    pub(super) elements: u64,
    /// For a part of another storage (legacy only): that one's elements and the first element of the part.
    pub(super) part: Option<(String, u64, u64)>,
}

/// Walks a pickle's values in search of tensors.
pub(super) struct Collector<'p, 'a> {
    pub(super) pickle: &'p Pickle<'a>,
    pub(super) limits: &'p Limits,
    pub(super) tensors: Vec<Tensor>,
    pub(super) needs: Vec<Need>,
    pub(super) unread: Vec<Unread>,
    keys: HashMap<String, usize>,
    earlier: usize,
}

/// A tensor's place in a call of one of PyTorch's rebuilding functions.
struct Parts {
    storage: ValueId,
    offset: ValueId,
    shape: ValueId,
    strides: ValueId,
    element: Option<ValueId>,
}

impl<'p, 'a> Collector<'p, 'a> {
    pub(super) fn new(pickle: &'p Pickle<'a>, limits: &'p Limits, earlier: usize) -> Self {
        Self {
            pickle,
            limits,
            tensors: Vec::new(),
            needs: Vec::new(),
            unread: Vec::new(),
            keys: HashMap::new(),
            earlier,
        }
    }

    /// Reads the arguments of a rebuilding function, if it is one that makes a tensor from a storage.
    pub(super) fn tensor(
        &mut self,
        name: &str,
        function: &str,
        arguments: &[ValueId],
    ) -> Result<bool, Error> {
        let (parts, quantised) = match (function, arguments) {
            (
                "_rebuild_tensor" | "_rebuild_tensor_v2" | "_rebuild_qtensor",
                [storage, offset, shape, strides, ..],
            ) => (
                Parts { storage: *storage, offset: *offset, shape: *shape, strides: *strides, element: None },
                function == "_rebuild_qtensor",
            ),
            ("_rebuild_tensor_v3", [storage, offset, shape, strides, _, _, element, ..]) => (
                Parts {
                    storage: *storage,
                    offset: *offset,
                    shape: *shape,
                    strides: *strides,
                    element: Some(*element),
                },
                false,
            ),
            _ => return Ok(false),
        };
        let form = |what| Error::Form { name: shown(name), what };
        if self.earlier + self.tensors.len() >= self.limits.tensors {
            return Err(Error::TooMany { what: "tensors", limit: self.limits.tensors });
        }
        let (storage, class) = self.storage(parts.storage).ok_or_else(|| form("the storage"))?;
        let element = match parts.element {
            None => class,
            Some(id) => {
                let names = self.pickle.import(id).and_then(|import| import.names());
                names
                    .filter(|(module, _)| *module == "torch")
                    .and_then(|(_, name)| ElementType::named(name))
                    .ok_or_else(|| form("the element type"))?
            }
        };
        let unsigned = |id| self.pickle.integer(id).and_then(|value| u64::try_from(value).ok());
        let dimensions = |id, what| {
            let items = self.pickle.items(id).filter(|items| items.len() <= 64).ok_or_else(|| form(what))?;
            items.iter().map(|item| unsigned(*item).ok_or_else(|| form(what))).collect::<Result<Vec<_>, _>>()
        };
        let tensor = Tensor {
            name: name.to_owned(),
            element,
            shape: dimensions(parts.shape, "the shape")?,
            strides: dimensions(parts.strides, "the strides")?,
            offset: unsigned(parts.offset).ok_or_else(|| form("the offset"))?,
            storage,
            quantised,
        };
        if tensor.shape.len() != tensor.strides.len() {
            return Err(form("the number of strides"));
        }
        self.tensors.push(tensor);
        Ok(true)
    }

    /// The storage that a persistent id names: `("storage", class, key, location, elements)`, in legacy files
    /// with `None` or `(key of the part, first element, elements)` after it.
    fn storage(&mut self, value: ValueId) -> Option<(usize, ElementType)> {
        let crate::pickle::Value::Persistent(id) = *self.pickle.value(value) else { return None };
        let [mark, class, key, _location, elements, rest @ ..] = self.pickle.items(id)? else { return None };
        if self.pickle.text(*mark)? != "storage" {
            return None;
        }
        let (module, class) = self.pickle.import(*class)?.names()?;
        if !matches!(module, "torch" | "torch.storage" | "torch.cuda") {
            return None;
        }
        let element = ElementType::of_class(class)?;
        let key = self.key(*key)?;
        let elements = u64::try_from(self.pickle.integer(*elements)?).ok()?;
        let part = rest.first().and_then(|part| self.pickle.items(*part));
        let need = match part {
            None => Need { key, element, elements, part: None },
            Some([part, offset, size]) => {
                let offset = u64::try_from(self.pickle.integer(*offset)?).ok()?;
                let size = u64::try_from(self.pickle.integer(*size)?).ok()?;
                Need { key: self.key(*part)?, element, elements: size, part: Some((key, elements, offset)) }
            }
            Some(_) => return None,
        };
        if let Some(known) = self.keys.get(&need.key).copied() {
            // The same key with another type or size is two opinions about the same bytes.
            return (self.needs.get(known) == Some(&need)).then_some((known, element));
        }
        let place = self.needs.len();
        self.keys.insert(need.key.clone(), place);
        self.needs.push(need);
        Some((place, element))
    }

    fn key(&self, id: ValueId) -> Option<String> {
        match self.pickle.text(id) {
            Some(text) => Some(text.to_owned()),
            None => self.pickle.integer(id).map(|key| key.to_string()),
        }
    }
}

impl<'a> Checkpoint<'a> {
    pub(super) fn add_storage(
        &mut self,
        need: Need,
        bytes: Cow<'a, [u8]>,
        at: Option<u64>,
    ) -> Result<(), Error> {
        let missing = || Error::storage_missing(&need.key);
        let needed = need.elements.checked_mul(need.element.bytes).ok_or_else(missing)?;
        let needed = usize::try_from(needed).map_err(|_| missing())?;
        let longer = bytes.len().checked_sub(needed).ok_or_else(missing)?;
        if longer > 0 {
            let bytes = u64::try_from(longer).unwrap_or(u64::MAX);
            self.findings.push(Finding::Longer { key: shown(&need.key), bytes });
        }
        let bytes = match bytes {
            Cow::Borrowed(bytes) => Cow::Borrowed(bytes.get(..needed).unwrap_or_default()),
            Cow::Owned(mut bytes) => {
                bytes.truncate(needed);
                Cow::Owned(bytes)
            }
        };
        self.storages.push(Storage {
            key: need.key,
            element: need.element,
            elements: need.elements,
            bytes,
            at,
        });
        Ok(())
    }

    /// Adds tensors whose storages were added after the first `shift`, checking that each stays inside.
    pub(super) fn add_tensors(&mut self, tensors: Vec<Tensor>, shift: usize) -> Result<(), Error> {
        let mut names: HashMap<String, usize> =
            self.tensors.iter().enumerate().map(|(place, tensor)| (tensor.name.clone(), place)).collect();
        for mut tensor in tensors {
            tensor.storage += shift;
            let bytes = self.storages.get(tensor.storage).map_or(0, |storage| storage.bytes.len());
            tensor.check(u64::try_from(bytes).unwrap_or(u64::MAX))?;
            if let Some(place) = names.get(&tensor.name).copied() {
                self.findings.push(Finding::Repeated { name: shown(&tensor.name) });
                if let Some(earlier) = self.tensors.get_mut(place) {
                    *earlier = tensor;
                }
            } else {
                names.insert(tensor.name.clone(), self.tensors.len());
                self.tensors.push(tensor);
            }
        }
        Ok(())
    }
}
