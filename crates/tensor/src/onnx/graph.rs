//! Graphs and nodes.

use std::collections::BTreeSet;

use super::attribute::{Attribute, AttributeValue};
use super::element::ElementType;
use super::error::OnnxError;
use super::message::{Budget, Known, Message};
use super::read_pair;
use super::tensor::Tensor;
use crate::error::shown;

/// A graph: nodes in the order in which they can be run.
#[derive(Debug, Clone, PartialEq)]
pub struct Graph<'a> {
    /// The name.
    pub name: &'a str,
    /// The nodes.
    pub nodes: Vec<Node<'a>>,
    /// Constant tensors, each under its own name.
    pub initializers: Vec<Tensor<'a>>,
    /// What goes in. An input that is an initialiser too has a default.
    pub inputs: Vec<Value<'a>>,
    /// What comes out.
    pub outputs: Vec<Value<'a>>,
    /// Types and shapes of values in between, where the file says them.
    pub values: Vec<Value<'a>>,
}

/// One use of an operator.
#[derive(Debug, Clone, PartialEq)]
pub struct Node<'a> {
    /// The node's name; it may be empty.
    pub name: &'a str,
    /// The operator's domain; empty for ONNX's own.
    pub domain: &'a str,
    /// The operator.
    pub op_type: &'a str,
    /// Names of what goes in; empty where an optional input is left out.
    pub inputs: Vec<&'a str>,
    /// Names of what comes out; empty where an output is not wanted.
    pub outputs: Vec<&'a str>,
    /// Its constants, each name once.
    pub attributes: Vec<Attribute<'a>>,
}

/// A named value with what is said of its type.
#[derive(Debug, Clone, PartialEq)]
pub struct Value<'a> {
    /// The name.
    pub name: &'a str,
    /// The type.
    pub value_type: ValueType<'a>,
}

/// The type of a value.
#[derive(Debug, Clone, PartialEq)]
pub enum ValueType<'a> {
    /// A tensor, with its shape where that is said.
    Tensor {
        /// The type of its elements.
        element: ElementType,
        /// Its dimensions, the slowest first.
        shape: Option<Vec<Dimension<'a>>>,
    },
    /// A sequence, map, optional or sparse tensor.
    Other,
    /// Nothing is said.
    Unsaid,
}

/// A dimension of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dimension<'a> {
    /// That many.
    Size(usize),
    /// As many as wherever else the name stands.
    Named(&'a str),
    /// Any.
    Unknown,
}

impl<'a> Graph<'a> {
    pub(super) fn read(budget: &mut Budget<'_>, message: Message<'a>) -> Result<Self, OnnxError> {
        let mut graph = Self {
            name: "",
            nodes: Vec::new(),
            initializers: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            values: Vec::new(),
        };
        message.read(budget, &[2, 10], |budget, field| {
            match field.number() {
                1 => graph.nodes.push(Node::read(budget, field.message("NodeProto")?)?),
                2 => graph.name = field.name(budget)?,
                5 => graph.initializers.push(Tensor::read(budget, field.message("TensorProto")?)?),
                10 => drop(field.text()?),
                11 => graph.inputs.push(read_value(budget, field.message("ValueInfoProto")?)?),
                12 => graph.outputs.push(read_value(budget, field.message("ValueInfoProto")?)?),
                13 => graph.values.push(read_value(budget, field.message("ValueInfoProto")?)?),
                16 => drop(read_pair(budget, field.message("StringStringEntryProto")?)?),
                _ => return Ok(Known::No),
            }
            Ok(Known::Yes)
        })?;
        Ok(graph)
    }

    /// The initialiser of that name.
    pub fn initializer(&self, name: &str) -> Option<&Tensor<'a>> {
        self.initializers.iter().find(|tensor| tensor.name == name)
    }

    /// Everything is defined once, and before it is used. `outer` is what the graphs around this one define.
    pub(super) fn check(&self, outer: Option<&Scope<'_>>) -> Result<(), OnnxError> {
        let repeated = |name: &str| OnnxError::Repeated { graph: shown(self.name), name: shown(name) };
        let mut scope = Scope { names: BTreeSet::new(), outer };
        for input in &self.inputs {
            if input.name.is_empty() || !scope.names.insert(input.name) {
                return Err(repeated(input.name));
            }
        }
        let mut constants = BTreeSet::new();
        for tensor in &self.initializers {
            if tensor.name.is_empty() || !constants.insert(tensor.name) {
                return Err(repeated(tensor.name));
            }
        }
        scope.names.append(&mut constants);
        let undefined = |name: &str| OnnxError::Undefined { graph: shown(self.name), name: shown(name) };
        for node in &self.nodes {
            if let Some(name) = node.inputs.iter().find(|name| !name.is_empty() && !scope.defines(name)) {
                return Err(undefined(name));
            }
            for graph in node.graphs() {
                graph.check(Some(&scope))?;
            }
            for name in node.outputs.iter().filter(|name| !name.is_empty()) {
                if scope.defines(name) {
                    return Err(repeated(name));
                }
                scope.names.insert(name);
            }
        }
        match self.outputs.iter().find(|output| !scope.defines(output.name)) {
            Some(output) => Err(undefined(output.name)),
            None => Ok(()),
        }
    }
}

/// The names that a graph defines, and the scope around it. Looking a name up takes as many steps as graphs nest.
#[derive(Debug)]
pub(super) struct Scope<'s> {
    names: BTreeSet<&'s str>,
    outer: Option<&'s Scope<'s>>,
}

impl Scope<'_> {
    fn defines(&self, name: &str) -> bool {
        let mut scope = Some(self);
        while let Some(here) = scope {
            if here.names.contains(name) {
                return true;
            }
            scope = here.outer;
        }
        false
    }
}

impl<'a> Node<'a> {
    pub(super) fn read(budget: &mut Budget<'_>, message: Message<'a>) -> Result<Self, OnnxError> {
        let mut node = Self {
            name: "",
            domain: "",
            op_type: "",
            inputs: Vec::new(),
            outputs: Vec::new(),
            attributes: Vec::new(),
        };
        message.read(budget, &[3, 4, 6, 7, 8], |budget, field| {
            match field.number() {
                1 => {
                    budget.spend(1)?;
                    node.inputs.push(field.name(budget)?);
                }
                2 => {
                    budget.spend(1)?;
                    node.outputs.push(field.name(budget)?);
                }
                3 => node.name = field.name(budget)?,
                4 => node.op_type = field.name(budget)?,
                5 => node.attributes.push(Attribute::read(budget, field.message("AttributeProto")?)?),
                6 => drop(field.text()?),
                7 => node.domain = field.name(budget)?,
                9 => drop(read_pair(budget, field.message("StringStringEntryProto")?)?),
                _ => return Ok(Known::No),
            }
            Ok(Known::Yes)
        })?;
        if node.op_type.is_empty() {
            return Err(OnnxError::Missing { message: "NodeProto", field: "op_type" });
        }
        match crate::json::repeated(node.attributes.iter().map(|attribute| attribute.name)) {
            Some(name) => Err(OnnxError::Repeated { graph: shown(node.name), name: shown(name) }),
            None => Ok(node),
        }
    }

    /// The value of an attribute.
    pub fn attribute(&self, name: &str) -> Option<&AttributeValue<'a>> {
        self.attributes.iter().find(|attribute| attribute.name == name).map(|attribute| &attribute.value)
    }

    /// The graphs among its attributes.
    pub fn graphs(&self) -> impl Iterator<Item = &Graph<'a>> {
        self.attributes.iter().flat_map(|attribute| match &attribute.value {
            AttributeValue::Graph(graph) => std::slice::from_ref(graph.as_ref()).iter(),
            AttributeValue::Graphs(graphs) => graphs.iter(),
            _ => [].iter(),
        })
    }
}

fn read_value<'a>(budget: &mut Budget<'_>, message: Message<'a>) -> Result<Value<'a>, OnnxError> {
    let (mut name, mut value_type) = ("", ValueType::Unsaid);
    let mut place = None;
    message.read(budget, &[1, 2, 3], |budget, field| {
        match field.number() {
            1 => name = field.name(budget)?,
            2 => place = Some(field.message("TypeProto")?),
            3 => drop(field.text()?),
            4 => drop(read_pair(budget, field.message("StringStringEntryProto")?)?),
            _ => return Ok(Known::No),
        }
        Ok(Known::Yes)
    })?;
    if let Some(place) = place {
        value_type = read_type(budget, place, name)?;
    }
    Ok(Value { name, value_type })
}

fn read_type<'a>(
    budget: &mut Budget<'_>,
    message: Message<'a>,
    name: &str,
) -> Result<ValueType<'a>, OnnxError> {
    let mut value_type = ValueType::Unsaid;
    message.read(budget, &[1, 4, 5, 6, 7, 8, 9], |budget, field| {
        match field.number() {
            1 => value_type = read_tensor_type(budget, field.message("TypeProto.Tensor")?, name)?,
            4 | 5 | 7 | 8 | 9 => value_type = ValueType::Other,
            6 => drop(field.text()?),
            _ => return Ok(Known::No),
        }
        Ok(Known::Yes)
    })?;
    Ok(value_type)
}

fn read_tensor_type<'a>(
    budget: &mut Budget<'_>,
    message: Message<'a>,
    name: &str,
) -> Result<ValueType<'a>, OnnxError> {
    let (mut number, mut shape) = (0, None);
    message.read(budget, &[1, 2], |budget, field| {
        match field.number() {
            1 => number = field.unsigned()?,
            2 => shape = Some(read_shape(budget, field.message("TensorShapeProto")?, name)?),
            _ => return Ok(Known::No),
        }
        Ok(Known::Yes)
    })?;
    let unknown = || OnnxError::ElementType { tensor: shown(name), number };
    Ok(ValueType::Tensor { element: ElementType::from_number(number).ok_or_else(unknown)?, shape })
}

fn read_shape<'a>(
    budget: &mut Budget<'_>,
    message: Message<'a>,
    name: &str,
) -> Result<Vec<Dimension<'a>>, OnnxError> {
    let wrong = || OnnxError::Shape { tensor: shown(name) };
    let mut shape = Vec::new();
    message.read(budget, &[], |budget, field| {
        if field.number() != 1 {
            return Ok(Known::No);
        }
        if shape.len() == budget.limits.rank {
            return Err(wrong());
        }
        let mut dimension = Dimension::Unknown;
        field.message("TensorShapeProto.Dimension")?.read(budget, &[1, 2, 3], |budget, field| {
            match (field.number(), dimension) {
                (1, Dimension::Unknown) => {
                    let size = usize::try_from(field.signed()?).map_err(|_| wrong())?;
                    dimension = Dimension::Size(size);
                }
                (2, Dimension::Unknown) => dimension = Dimension::Named(field.name(budget)?),
                // Size and name are alternatives.
                (1 | 2, _) => return Err(wrong()),
                (3, _) => drop(field.text()?),
                _ => return Ok(Known::No),
            }
            Ok(Known::Yes)
        })?;
        shape.push(dimension);
        Ok(Known::Yes)
    })?;
    Ok(shape)
}
