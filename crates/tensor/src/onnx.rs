//! ONNX models: the graph, its weights, and what they are made of.
//!
//! Source: `onnx/onnx.proto` and `docs/IR.md` of onnx/onnx. The wire format is read here, by hand and bounded; of
//! the schema, what weights and graphs need. Fields that this reader does not know are listed in
//! [`Model::unread`], by message and number, so that nothing passes unseen.
//!
//! Protobuf lets a later field replace an earlier one, and readers differ in whether they look. So a field that
//! may stand once is refused when it stands again. Names are defined once in a graph and used after that, as the
//! format asks.
//!
//! What this module does not do: know operators, infer shapes, evaluate anything, or open files.

mod attribute;
mod element;
mod error;
mod graph;
mod message;
mod tensor;
mod wire;

use std::collections::BTreeSet;

pub use attribute::{Attribute, AttributeValue};
pub use element::ElementType;
pub use error::OnnxError;
pub use graph::{Dimension, Graph, Node, Value, ValueType};
pub use tensor::{Data, External, Tensor};

use message::{Budget, Known, Message};

/// The bounds within which a model is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How deep messages may nest: a graph within an attribute of a node takes three.
    pub depth: usize,
    /// Most messages and entries of lists that are not packed.
    pub entries: usize,
    /// Most bytes of a name.
    pub name_bytes: usize,
    /// Most dimensions of a tensor.
    pub rank: usize,
}

impl Limits {
    /// What no known model exceeds.
    pub const FORMAT: Self = Self { depth: 64, entries: 8_000_000, name_bytes: 4096, rank: 16 };
}

/// A model.
#[derive(Debug, Clone)]
pub struct Model<'a> {
    /// The version of the format.
    pub ir_version: i64,
    /// Which sets of operators the graph uses: domain (empty for ONNX's own) and version.
    pub opsets: Vec<(&'a str, i64)>,
    /// Who wrote the file.
    pub producer: &'a str,
    /// The graph.
    pub graph: Graph<'a>,
    /// Operators defined in the model itself, by domain and name, with their nodes.
    pub functions: Vec<Function<'a>>,
    /// Keys and values that the format gives no meaning.
    pub metadata: Vec<(&'a str, &'a str)>,
    /// Fields that this reader does not know: the message they stand in, and their number.
    pub unread: BTreeSet<(&'static str, u32)>,
}

/// An operator that a model defines.
#[derive(Debug, Clone)]
pub struct Function<'a> {
    /// The domain.
    pub domain: &'a str,
    /// The operator's name.
    pub name: &'a str,
    /// Formal inputs.
    pub inputs: Vec<&'a str>,
    /// Formal outputs.
    pub outputs: Vec<&'a str>,
    /// What it does.
    pub nodes: Vec<Node<'a>>,
}

impl<'a> Model<'a> {
    /// Reads a model within [`Limits::FORMAT`].
    ///
    /// # Errors
    /// Every way in which the file breaks the format has its own [`OnnxError`].
    pub fn read(file: &'a [u8]) -> Result<Self, OnnxError> {
        Self::read_within(file, &Limits::FORMAT)
    }

    /// Reads a model within the caller's limits.
    ///
    /// # Errors
    /// As [`Model::read`].
    pub fn read_within(file: &'a [u8], limits: &Limits) -> Result<Self, OnnxError> {
        let mut budget = Budget::new(limits);
        let (mut ir_version, mut graph, mut producer) = (None, None, "");
        let (mut opsets, mut functions, mut metadata) = (Vec::new(), Vec::new(), Vec::new());
        let message = Message { name: "ModelProto", bytes: file, at: 0, depth: 0 };
        message.read(&mut budget, &[1, 2, 3, 4, 5, 6, 7], |budget, field| {
            match field.number() {
                1 => ir_version = Some(field.signed()?),
                2 => producer = field.text()?,
                // Producer's version, domain, model's version, documentation.
                3 | 4 | 6 => drop(field.text()?),
                5 => drop(field.signed()?),
                7 => graph = Some(Graph::read(budget, field.message("GraphProto")?)?),
                8 => opsets.push(read_opset(budget, field.message("OperatorSetIdProto")?)?),
                14 => metadata.push(read_pair(budget, field.message("StringStringEntryProto")?)?),
                25 => functions.push(read_function(budget, field.message("FunctionProto")?)?),
                _ => return Ok(Known::No),
            }
            Ok(Known::Yes)
        })?;
        let lacks = |field| OnnxError::Missing { message: "ModelProto", field };
        let graph = graph.ok_or_else(|| lacks("graph"))?;
        graph.check(None)?;
        Ok(Self {
            ir_version: ir_version.ok_or_else(|| lacks("ir_version"))?,
            opsets,
            producer,
            graph,
            functions,
            metadata,
            unread: budget.unread,
        })
    }

    /// The version of the operators of that domain; ONNX's own have the empty one.
    pub fn opset(&self, domain: &str) -> Option<i64> {
        self.opsets.iter().find(|(known, _)| *known == domain).map(|(_, version)| *version)
    }
}

fn read_opset<'a>(budget: &mut Budget<'_>, message: Message<'a>) -> Result<(&'a str, i64), OnnxError> {
    let (mut domain, mut version) = ("", None);
    message.read(budget, &[1, 2], |budget, field| {
        match field.number() {
            1 => domain = field.name(budget)?,
            2 => version = Some(field.signed()?),
            _ => return Ok(Known::No),
        }
        Ok(Known::Yes)
    })?;
    let version = version.ok_or(OnnxError::Missing { message: "OperatorSetIdProto", field: "version" })?;
    Ok((domain, version))
}

/// A key and a value.
fn read_pair<'a>(budget: &mut Budget<'_>, message: Message<'a>) -> Result<(&'a str, &'a str), OnnxError> {
    let (mut key, mut value) = ("", "");
    message.read(budget, &[1, 2], |_, field| {
        match field.number() {
            1 => key = field.text()?,
            2 => value = field.text()?,
            _ => return Ok(Known::No),
        }
        Ok(Known::Yes)
    })?;
    Ok((key, value))
}

fn read_function<'a>(budget: &mut Budget<'_>, message: Message<'a>) -> Result<Function<'a>, OnnxError> {
    let (mut domain, mut name) = ("", "");
    let (mut inputs, mut outputs, mut nodes) = (Vec::new(), Vec::new(), Vec::new());
    message.read(budget, &[1, 8, 10, 13], |budget, field| {
        match field.number() {
            1 => name = field.name(budget)?,
            4 => inputs.push(field.name(budget)?),
            5 => outputs.push(field.name(budget)?),
            7 => nodes.push(Node::read(budget, field.message("NodeProto")?)?),
            8 => drop(field.text()?),
            10 => domain = field.name(budget)?,
            _ => return Ok(Known::No),
        }
        Ok(Known::Yes)
    })?;
    Ok(Function { domain, name, inputs, outputs, nodes })
}

#[cfg(test)]
mod tests;
