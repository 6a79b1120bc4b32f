//! ONNX: operators that are not ONNX's own, files that the model draws in, and its weights.

use std::collections::BTreeSet;

use tensor::onnx::{AttributeValue, Data, ElementType, Graph, Model, Node, Tensor};
use tensor::safetensors::{Dtype, View};

use super::notes::{Notes, shown};
use super::tensors;
use crate::artefact::{Artefact, Entry};
use crate::finding::Place;
use crate::report::Examined;

/// Looks at a model.
pub(super) fn look(
    artefact: &Artefact<'_>,
    entry: &Entry<'_>,
    bytes: &[u8],
    notes: &mut Notes<'_>,
) -> Examined {
    let model = match Model::read(bytes) {
        Ok(model) => model,
        Err(error) => {
            let message = format!("the file breaks the ONNX format: {error}");
            notes.find("SCAN-FIL-009", Place::File, message, [error.code().to_owned()]);
            notes.unexamined("a model that breaks its format");
            return Examined::Part;
        }
    };
    let mut parts = Parts::default();
    parts.graph(&model.graph);
    for function in &model.functions {
        parts.nodes(&function.nodes);
    }
    let own: BTreeSet<(&str, &str)> =
        model.functions.iter().map(|function| (function.domain, function.name)).collect();
    let known = notes.rules.list("SCAN-ONX-001", "domains");
    for (domain, operator) in parts.operators.difference(&own) {
        if !domain.is_empty() && !known.iter().any(|known| known == domain) {
            let message = format!(
                "the operator `{}` is of `{}`: a library that the engine must load",
                shown(operator),
                shown(domain)
            );
            notes.find("SCAN-ONX-001", Place::Key((*domain).to_owned()), message, []);
        } else if notes.rules.list("SCAN-ONX-002", "operators").iter().any(|name| name == operator) {
            let message =
                format!("the operator `{}` runs code that the model carries or names", shown(operator));
            notes.find("SCAN-ONX-002", Place::Key((*operator).to_owned()), message, []);
        }
    }
    if !model.unread.is_empty() {
        let fields: Vec<String> =
            model.unread.iter().map(|(message, number)| format!("{message} {number}")).collect();
        notes.unexamined(&format!("fields of the model that are not known here: {}", fields.join(", ")));
    }
    values(artefact, entry, &parts.tensors, notes)
}

/// What stands anywhere in a model.
#[derive(Default)]
struct Parts<'m> {
    operators: BTreeSet<(&'m str, &'m str)>,
    tensors: Vec<&'m Tensor<'m>>,
}

impl<'m> Parts<'m> {
    // The reader bounds how deep graphs nest.
    fn graph(&mut self, graph: &'m Graph<'m>) {
        self.tensors.extend(&graph.initializers);
        self.nodes(&graph.nodes);
    }

    fn nodes(&mut self, nodes: &'m [Node<'m>]) {
        for node in nodes {
            self.operators.insert((node.domain, node.op_type));
            for graph in node.graphs() {
                self.graph(graph);
            }
            for attribute in &node.attributes {
                if let AttributeValue::Tensor(tensor) = &attribute.value {
                    self.tensors.push(tensor);
                }
            }
        }
    }
}

/// The values of the tensors, those in files beside the model too.
fn values(
    artefact: &Artefact<'_>,
    entry: &Entry<'_>,
    list: &[&Tensor<'_>],
    notes: &mut Notes<'_>,
) -> Examined {
    let mut examined = Examined::Whole;
    let mut views = Vec::new();
    for tensor in list {
        let name = if tensor.name.is_empty() { "(a constant)" } else { tensor.name };
        let data = match &tensor.data {
            Data::Bytes(bytes) => bytes.as_ref(),
            Data::Strings(_) => continue,
            Data::External(external) => {
                let file = artefact.beside(entry.folder(), external.file).and_then(Entry::bytes);
                let Some(data) = file.and_then(|file| external.of(file).ok()) else {
                    let message = format!(
                        "tensor `{}` is in `{}`, which is not beside the model or too short",
                        shown(name),
                        shown(external.file)
                    );
                    notes.find("SCAN-ONX-003", Place::Tensor(name.to_owned()), message, []);
                    notes.unexamined(&format!("the values of tensor `{}`", shown(name)));
                    examined = Examined::Part;
                    continue;
                };
                data
            }
        };
        let Some(dtype) = dtype(tensor.element) else { continue };
        views.push(View { name, dtype, shape: &tensor.shape, data });
    }
    tensors::all(&views, notes);
    examined
}

const fn dtype(element: ElementType) -> Option<Dtype> {
    match element {
        ElementType::Float => Some(Dtype::F32),
        ElementType::Double => Some(Dtype::F64),
        ElementType::Float16 => Some(Dtype::F16),
        ElementType::Bfloat16 => Some(Dtype::BF16),
        ElementType::Int8 => Some(Dtype::I8),
        ElementType::Uint8 => Some(Dtype::U8),
        ElementType::Int32 => Some(Dtype::I32),
        ElementType::Int64 => Some(Dtype::I64),
        _ => None,
    }
}
