//! Attributes of nodes.

use std::borrow::Cow;

use super::error::OnnxError;
use super::graph::Graph;
use super::message::{Budget, Known, Message, Numbers};
use super::tensor::Tensor;
use crate::error::shown;

/// A named constant of a node.
#[derive(Debug, Clone, PartialEq)]
pub struct Attribute<'a> {
    /// The name.
    pub name: &'a str,
    /// The value.
    pub value: AttributeValue<'a>,
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum AttributeValue<'a> {
    /// A number.
    Float(f32),
    /// A whole number.
    Int(i64),
    /// Bytes, UTF-8 as a rule.
    String(&'a [u8]),
    /// A tensor.
    Tensor(Box<Tensor<'a>>),
    /// A graph, run as the operator says (`If`, `Loop`, `Scan`).
    Graph(Box<Graph<'a>>),
    /// Numbers, as little-endian bytes.
    Floats(Cow<'a, [u8]>),
    /// Whole numbers.
    Ints(Vec<i64>),
    /// Several byte strings.
    Strings(Vec<&'a [u8]>),
    /// Several tensors.
    Tensors(Vec<Tensor<'a>>),
    /// Several graphs.
    Graphs(Vec<Graph<'a>>),
    /// In a function's node: the value of the function's attribute of that name.
    Reference(&'a str),
    /// Of a kind that this reader does not read (sparse tensors, types), by its number.
    Other(u64),
}

impl AttributeValue<'_> {
    /// The numbers of a list of numbers.
    pub fn floats(&self) -> Option<Vec<f32>> {
        match self {
            Self::Floats(bytes) => {
                Some(bytes.as_chunks::<4>().0.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect())
            }
            _ => None,
        }
    }
}

/// What the fields of an attribute say.
#[derive(Default)]
struct Parts<'a> {
    name: &'a str,
    kind: u64,
    float: Option<f32>,
    int: Option<i64>,
    string: Option<&'a [u8]>,
    tensor: Option<Tensor<'a>>,
    graph: Option<Graph<'a>>,
    floats: Numbers<'a>,
    ints: Vec<u64>,
    strings: Vec<&'a [u8]>,
    tensors: Vec<Tensor<'a>>,
    graphs: Vec<Graph<'a>>,
    reference: &'a str,
}

impl<'a> Attribute<'a> {
    pub(super) fn read(budget: &mut Budget<'_>, message: Message<'a>) -> Result<Self, OnnxError> {
        let mut parts = Parts::default();
        message.read(budget, &[1, 2, 3, 4, 5, 6, 13, 20, 21], |budget, field| {
            match field.number() {
                1 => parts.name = field.name(budget)?,
                2 => parts.float = Some(field.float()?),
                3 => parts.int = Some(field.signed()?),
                4 => parts.string = Some(field.bytes()?),
                5 => parts.tensor = Some(Tensor::read(budget, field.message("TensorProto")?)?),
                6 => parts.graph = Some(Graph::read(budget, field.message("GraphProto")?)?),
                7 => field.extend_fixed::<4>(budget, &mut parts.floats)?,
                8 => field.extend_varints(budget, &mut parts.ints)?,
                9 => {
                    budget.spend(1)?;
                    parts.strings.push(field.bytes()?);
                }
                10 => parts.tensors.push(Tensor::read(budget, field.message("TensorProto")?)?),
                11 => parts.graphs.push(Graph::read(budget, field.message("GraphProto")?)?),
                13 => drop(field.text()?),
                20 => parts.kind = field.unsigned()?,
                21 => parts.reference = field.name(budget)?,
                _ => return Ok(Known::No),
            }
            Ok(Known::Yes)
        })?;
        parts.join()
    }
}

impl<'a> Parts<'a> {
    /// The value of the kind that is said, if it is the only one there. A number, string or tensor that is left
    /// out is the zero of its kind, as protobuf has it, except where there is none.
    fn join(self) -> Result<Attribute<'a>, OnnxError> {
        let name = self.name;
        let wrong = || OnnxError::Attribute { name: shown(name) };
        let filled = [
            (1, self.float.is_some()),
            (2, self.int.is_some()),
            (3, self.string.is_some()),
            (4, self.tensor.is_some()),
            (5, self.graph.is_some()),
            (6, !self.floats.bytes.is_empty()),
            (7, !self.ints.is_empty()),
            (8, !self.strings.is_empty()),
            (9, !self.tensors.is_empty()),
            (10, !self.graphs.is_empty()),
        ];
        let stray =
            |(kind, filled): &(u64, bool)| *filled && (*kind != self.kind || !self.reference.is_empty());
        if name.is_empty() || filled.iter().any(stray) {
            return Err(wrong());
        }
        let value = if self.reference.is_empty() {
            match self.kind {
                1 => AttributeValue::Float(self.float.unwrap_or_default()),
                2 => AttributeValue::Int(self.int.unwrap_or_default()),
                3 => AttributeValue::String(self.string.unwrap_or_default()),
                4 => AttributeValue::Tensor(Box::new(self.tensor.ok_or_else(wrong)?)),
                5 => AttributeValue::Graph(Box::new(self.graph.ok_or_else(wrong)?)),
                6 => AttributeValue::Floats(self.floats.bytes),
                7 => AttributeValue::Ints(self.ints.into_iter().map(u64::cast_signed).collect()),
                8 => AttributeValue::Strings(self.strings),
                9 => AttributeValue::Tensors(self.tensors),
                10 => AttributeValue::Graphs(self.graphs),
                other @ 11..=14 => AttributeValue::Other(other),
                _ => return Err(wrong()),
            }
        } else {
            AttributeValue::Reference(self.reference)
        };
        Ok(Attribute { name, value })
    }
}
