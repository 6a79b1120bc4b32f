//! `tensor`: containers of tensors that are not text.

use tensor::gguf::{self, Gguf, TensorInfo};
use tensor::numpy::Array;
use tensor::onnx::{Data, Graph, Model};
use tensor::weights::{Family, Weights};

pub(crate) fn gguf(data: &[u8]) {
    let Ok(file) = Gguf::read(data) else { return };
    let tensors: Vec<_> = file
        .in_file_order()
        .map(|view| (TensorInfo { name: view.name, kind: view.kind, shape: view.shape }, view.data))
        .collect();
    for (key, value) in file.metadata() {
        // Not by `==`: a value may be NaN.
        assert_eq!(format!("{:?}", file.value(key)), format!("{:?}", Some(value)));
        if let Some(array) = value.as_array() {
            assert_eq!(array.values().count() as u64, array.len());
        }
    }
    // Written anew it holds the same. An alignment beyond what a test can hold is left alone.
    if file.alignment() <= 4096 {
        let again = gguf::write(file.metadata(), &tensors).expect("what was read is written");
        let again = Gguf::read(&again).expect("what is written is read");
        assert_eq!(format!("{:?}", again.metadata()), format!("{:?}", file.metadata()));
        let read: Vec<_> =
            again.in_file_order().map(|view| (view.name, view.kind, view.shape, view.data)).collect();
        let given: Vec<_> =
            tensors.iter().map(|(info, data)| (info.name, info.kind, info.shape, *data)).collect();
        assert_eq!(read, given);
    }
    let weights = Weights::from(&file);
    assert_eq!(weights.len(), file.len());
    for tensor in weights.tensors() {
        assert_eq!(tensor.decode().is_ok(), tensor.element().is_decodable());
        if let Some((name, transform)) = Family::Llama.to_hugging_face(tensor.name()) {
            assert_eq!(Family::Llama.to_gguf(&name), Some((tensor.name().to_owned(), transform)));
        }
    }
}

pub(crate) fn npy(data: &[u8]) {
    let Ok(array) = Array::read(data) else { return };
    if let Some(elements) = array.elements() {
        assert_eq!(elements.len(), array.elements_len());
    }
    let again = array.write().expect("what was read is written");
    assert_eq!(Array::read(&again).expect("what is written is read"), array);
}

pub(crate) fn onnx(data: &[u8]) {
    if let Ok(model) = Model::read(data) {
        walk(&model.graph);
    }
}

fn walk(graph: &Graph<'_>) {
    for tensor in &graph.initializers {
        match &tensor.data {
            Data::Bytes(bytes) => {
                assert_eq!(bytes.len(), (tensor.elements_len() * tensor.element.bits()).div_ceil(8));
            }
            Data::Strings(strings) => assert_eq!(strings.len(), tensor.elements_len()),
            Data::External(place) => {
                assert!(!place.file.contains(['/', '\\']) && !place.file.contains(".."));
                assert!(place.of(&[]).is_ok() == (place.bytes == 0 && place.offset == 0));
            }
        }
        if let Some(integers) = tensor.integers() {
            assert_eq!(integers.len(), tensor.elements_len());
        }
    }
    graph.nodes.iter().flat_map(|node| node.graphs()).for_each(walk);
}
