use super::{AttributeValue, Data, Dimension, ElementType, Limits, Model, ValueType};

/// A message put together field by field.
#[derive(Clone, Default)]
struct Raw(Vec<u8>);

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap());
}

impl Raw {
    fn number(mut self, field: u64, value: u64) -> Self {
        varint(field << 3, &mut self.0);
        varint(value, &mut self.0);
        self
    }

    fn bytes(mut self, field: u64, bytes: impl AsRef<[u8]>) -> Self {
        varint(field << 3 | 2, &mut self.0);
        varint(bytes.as_ref().len() as u64, &mut self.0);
        self.0.extend(bytes.as_ref());
        self
    }

    fn message(self, field: u64, message: &Self) -> Self {
        self.bytes(field, &message.0)
    }

    fn fixed32(mut self, field: u64, bytes: [u8; 4]) -> Self {
        varint(field << 3 | 5, &mut self.0);
        self.0.extend(bytes);
        self
    }
}

fn value(name: &str, element: u64, dims: &[Option<u64>]) -> Raw {
    let shape = dims.iter().fold(Raw::default(), |shape, dim| {
        shape.message(
            1,
            &dim.map_or_else(|| Raw::default().bytes(2, "n"), |dim| Raw::default().number(1, dim)),
        )
    });
    let tensor = Raw::default().number(1, element).message(2, &shape);
    Raw::default().bytes(1, name).message(2, &Raw::default().message(1, &tensor))
}

fn node(op: &str, inputs: &[&str], outputs: &[&str]) -> Raw {
    let node = inputs.iter().fold(Raw::default(), |node, name| node.bytes(1, name));
    outputs.iter().fold(node, |node, name| node.bytes(2, name)).bytes(4, op)
}

fn tensor(name: &str, element: u64, dims: &[u64]) -> Raw {
    dims.iter().fold(Raw::default(), |tensor, dim| tensor.number(1, *dim)).number(2, element).bytes(8, name)
}

fn model(graph: &Raw) -> Vec<u8> {
    Raw::default()
        .number(1, 8)
        .bytes(2, "made by hand")
        .message(7, graph)
        .message(8, &Raw::default().number(2, 17))
        .0
}

/// `y = x · w`, with the tensor of the caller's.
fn with_tensor(tensor: &Raw) -> Vec<u8> {
    let graph = Raw::default().message(5, tensor).message(11, &value("x", 1, &[None, Some(2)]));
    model(&graph.message(1, &node("MatMul", &["x", "w"], &["y"])).message(12, &value("y", 1, &[])))
}

#[track_caller]
fn refused(file: &[u8], code: &str) {
    match Model::read(file) {
        Err(error) => {
            assert_eq!(error.code(), code, "{error}");
            assert!(!error.hint().is_empty());
        }
        Ok(model) => panic!("the model was read: {model:?}; {code} was expected"),
    }
}

#[track_caller]
fn tensor_refused(tensor: &Raw, code: &str) {
    refused(&with_tensor(tensor), code);
}

fn data_of(tensor: &Raw) -> Vec<u8> {
    let file = with_tensor(tensor);
    Model::read(&file).unwrap().graph.initializers[0].bytes().unwrap().to_vec()
}

#[test]
fn a_model_is_read() {
    let weights: Vec<u8> = [1.0_f32, 2.0].into_iter().flat_map(f32::to_le_bytes).collect();
    let file = with_tensor(&tensor("w", 1, &[2, 1]).bytes(9, &weights));
    let read = Model::read(&file).unwrap();
    assert_eq!((read.ir_version, read.opset(""), read.producer), (8, Some(17), "made by hand"));
    assert_eq!(read.graph.nodes[0].op_type, "MatMul");
    assert_eq!(read.graph.initializer("w").unwrap().shape, [2, 1]);
    assert_eq!(read.graph.initializer("w").unwrap().bytes(), Some(weights.as_slice()));
    let expected = vec![Dimension::Named("n"), Dimension::Size(2)];
    let input = ValueType::Tensor { element: ElementType::Float, shape: Some(expected) };
    assert_eq!(read.graph.inputs[0].value_type, input);
    assert!(read.unread.is_empty());
    // A field that nobody knows is not passed over in silence.
    let more = [file, Raw::default().number(99, 1).0].concat();
    assert_eq!(Model::read(&more).unwrap().unread.into_iter().collect::<Vec<_>>(), [("ModelProto", 99)]);
}

#[test]
fn data_in_any_field_becomes_the_same_bytes() {
    let packed: Vec<u8> = [1.5_f32, -2.0].into_iter().flat_map(f32::to_le_bytes).collect();
    assert_eq!(data_of(&tensor("w", 1, &[2]).bytes(9, &packed)), packed);
    assert_eq!(data_of(&tensor("w", 1, &[2]).bytes(4, &packed)), packed);
    let single = tensor("w", 1, &[2]).fixed32(4, 1.5_f32.to_le_bytes()).fixed32(4, (-2.0_f32).to_le_bytes());
    assert_eq!(data_of(&single), packed);
    let mut negative = Vec::new();
    varint(5, &mut negative);
    varint((-5_i64).cast_unsigned(), &mut negative);
    assert_eq!(data_of(&tensor("w", 3, &[2]).bytes(5, &negative)), [5, 0xfb]);
    assert_eq!(data_of(&tensor("w", 6, &[1]).number(5, (-5_i64).cast_unsigned())), (-5_i32).to_le_bytes());
    assert_eq!(data_of(&tensor("w", 7, &[1]).number(7, 7)), 7_i64.to_le_bytes());
    assert_eq!(data_of(&tensor("w", 12, &[1]).number(11, u64::from(u32::MAX))), [0xff; 4]);
    assert_eq!(data_of(&tensor("w", 10, &[1]).number(5, 0x3c00)), [0, 0x3c]);
    assert_eq!(data_of(&tensor("w", 22, &[3]).bytes(9, [0x21, 0x03])), [0x21, 0x03]);
    assert!(data_of(&tensor("w", 1, &[0, 5])).is_empty());
    let file = with_tensor(&tensor("w", 8, &[2]).bytes(6, "a").bytes(6, ""));
    assert_eq!(Model::read(&file).unwrap().graph.initializers[0].data, Data::Strings(vec![b"a", b""]));
    let whole = with_tensor(&tensor("w", 7, &[1]).number(7, 9));
    assert_eq!(Model::read(&whole).unwrap().graph.initializers[0].integers(), Some(vec![9]));
}

#[test]
fn tensors_that_lie_are_refused() {
    tensor_refused(&tensor("w", 1, &[2]).bytes(9, [0; 4]), "CS-TSR-549");
    tensor_refused(&tensor("w", 1, &[2]).bytes(9, [0; 8]).bytes(4, [0; 8]), "CS-TSR-549");
    tensor_refused(&tensor("w", 1, &[2]).bytes(10, [0; 16]), "CS-TSR-549");
    tensor_refused(&tensor("w", 1, &[2]), "CS-TSR-549");
    tensor_refused(&tensor("w", 3, &[1]).number(5, 128), "CS-TSR-549");
    tensor_refused(&tensor("w", 2, &[1]).number(5, 256), "CS-TSR-549");
    tensor_refused(&tensor("w", 9, &[1]).number(5, 2), "CS-TSR-549");
    tensor_refused(&tensor("w", 8, &[2]).bytes(6, "a"), "CS-TSR-549");
    tensor_refused(&tensor("w", 0, &[]), "CS-TSR-547");
    tensor_refused(&tensor("w", 25, &[]), "CS-TSR-547");
    tensor_refused(&tensor("w", 1, &[u64::MAX]), "CS-TSR-548");
    tensor_refused(&tensor("w", 1, &[1 << 40, 1 << 40]), "CS-TSR-548");
    tensor_refused(&tensor("w", 1, &[0, 1 << 40, 1 << 40]), "CS-TSR-548");
    tensor_refused(&tensor("w", 1, &[1; 17]).bytes(9, [0; 4]), "CS-TSR-548");
    tensor_refused(&tensor("w", 1, &[1 << 40]), "CS-TSR-549");
    tensor_refused(&tensor("w", 1, &[1]).bytes(9, [0; 4]).bytes(9, [1; 4]), "CS-TSR-542");
    tensor_refused(&tensor("w\n", 1, &[1]).bytes(9, [0; 4]), "CS-TSR-545");
    tensor_refused(&tensor("w", 1, &[1]).number(9, 1), "CS-TSR-541");
}

fn external(pairs: &[(&str, &str)]) -> Raw {
    pairs.iter().fold(tensor("w", 1, &[2]).number(14, 1), |tensor, (key, value)| {
        tensor.message(13, &Raw::default().bytes(1, key).bytes(2, value))
    })
}

#[test]
fn external_data_stays_beside_the_model() {
    let good = with_tensor(&external(&[("location", "model.onnx.data"), ("offset", "4"), ("length", "8")]));
    let model = Model::read(&good).unwrap();
    let Data::External(place) = model.graph.initializers[0].data else { panic!("{model:?}") };
    assert_eq!((place.file, place.offset, place.bytes), ("model.onnx.data", 4, 8));
    assert_eq!(place.of(&[7; 12]).unwrap(), [7; 8]);
    assert_eq!(place.of(&[7; 11]).unwrap_err().code(), "CS-TSR-550");
    for path in ["", "../w", "/etc/passwd", "a/b", "a\\b", ".hidden", "C:x", "a..b", "ä"] {
        tensor_refused(&external(&[("location", path)]), "CS-TSR-550");
    }
    for (key, text) in [("offset", "-1"), ("offset", "18446744073709551616"), ("offset", ""), ("length", "7")]
    {
        tensor_refused(&external(&[("location", "w"), (key, text)]), "CS-TSR-550");
    }
    tensor_refused(&external(&[("location", "w"), ("location", "v")]), "CS-TSR-550");
    tensor_refused(&external(&[("location", "w")]).bytes(9, [0; 8]), "CS-TSR-549");
    tensor_refused(&tensor("w", 1, &[2]).number(14, 1), "CS-TSR-549");
    tensor_refused(&tensor("w", 1, &[2]).message(13, &Raw::default().bytes(1, "location")), "CS-TSR-549");
}

#[test]
fn the_wire_format_is_held_to() {
    refused(&[0x0a], "CS-TSR-540");
    refused(&[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], "CS-TSR-540");
    refused(&[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02], "CS-TSR-540");
    refused(&[0x08, 0x80], "CS-TSR-540");
    refused(&[0x00, 0x00], "CS-TSR-540");
    refused(&[0x0b], "CS-TSR-540");
    refused(&[0x0d, 0, 0, 0], "CS-TSR-540");
    refused(&[0x3a, 0x05, 0x0a], "CS-TSR-540");
    refused(&[], "CS-TSR-546");
    refused(&Raw::default().number(1, 8).0, "CS-TSR-546");
    refused(&Raw::default().number(1, 8).number(1, 9).0, "CS-TSR-542");
    refused(&Raw::default().number(1, 8).number(7, 1).0, "CS-TSR-541");
    refused(&Raw::default().number(1, 8).bytes(2, [0xff]).0, "CS-TSR-545");
    refused(&model(&Raw::default().message(1, &Raw::default())), "CS-TSR-546");
}

#[test]
fn names_are_defined_once_and_before_use() {
    let graph = |nodes: &[Raw]| {
        let graph = Raw::default().message(11, &value("x", 1, &[]));
        nodes.iter().fold(graph, |graph, node| graph.message(1, node))
    };
    let relu = |from, to| node("Relu", &[from], &[to]);
    assert!(Model::read(&model(&graph(&[relu("x", "y"), relu("y", "z")]))).is_ok());
    refused(&model(&graph(&[relu("y", "z"), relu("x", "y")])), "CS-TSR-552");
    refused(&model(&graph(&[relu("x", "x")])), "CS-TSR-551");
    refused(&model(&graph(&[relu("x", "y"), relu("x", "y")])), "CS-TSR-551");
    refused(&model(&graph(&[]).message(11, &value("x", 1, &[]))), "CS-TSR-551");
    refused(&model(&graph(&[]).message(12, &value("y", 1, &[]))), "CS-TSR-552");
    let zero = tensor("w", 1, &[0]);
    refused(&model(&graph(&[]).message(5, &zero).message(5, &zero)), "CS-TSR-551");
    let shape = value("v", 1, &[Some((-1_i64).cast_unsigned())]);
    refused(&model(&graph(&[]).message(13, &shape)), "CS-TSR-548");

    // A graph within a node sees what is defined around it, and must not define it again.
    let inner = |graph: &Raw| {
        let attribute = Raw::default().bytes(1, "then_branch").message(6, graph).number(20, 5);
        node("If", &["x"], &["out"]).message(5, &attribute)
    };
    assert!(Model::read(&model(&graph(&[inner(&Raw::default().message(1, &relu("x", "y")))]))).is_ok());
    refused(&model(&graph(&[inner(&Raw::default().message(1, &relu("q", "y")))])), "CS-TSR-552");
    refused(&model(&graph(&[inner(&Raw::default().message(1, &relu("x", "x")))])), "CS-TSR-551");
}

#[test]
fn attributes_are_what_they_say() {
    let with = |attribute: Raw| {
        let node = node("Op", &[], &["y"]).message(5, &attribute);
        model(&Raw::default().message(1, &node))
    };
    let named = || Raw::default().bytes(1, "a");
    let read = |attribute: Raw| {
        let file = with(attribute);
        format!("{:?}", Model::read(&file).unwrap().graph.nodes[0].attribute("a").unwrap())
    };
    assert_eq!(read(named().number(20, 2).number(3, 7)), "Int(7)");
    assert_eq!(read(named().number(20, 2)), "Int(0)");
    assert_eq!(read(named().number(20, 7).bytes(8, [1, 2])), "Ints([1, 2])");
    assert_eq!(read(named().number(20, 3).bytes(4, "s")), "String([115])");
    assert_eq!(read(named().number(20, 7).bytes(21, "outer")), "Reference(\"outer\")");
    let file = with(named().number(20, 6).bytes(7, 2.0_f32.to_le_bytes()));
    let floats = Model::read(&file).unwrap().graph.nodes[0].attribute("a").and_then(AttributeValue::floats);
    assert_eq!(floats, Some(vec![2.0]));
    for wrong in [
        named().number(3, 7),
        named().number(20, 1).number(3, 7),
        named().number(20, 4),
        named().number(20, 15),
        Raw::default().number(20, 2),
        named().number(20, 7).bytes(8, [1]).bytes(21, "outer"),
    ] {
        refused(&with(wrong), "CS-TSR-553");
    }
    let twice = node("Op", &[], &[]).message(5, &named().number(20, 2)).message(5, &named().number(20, 2));
    refused(&model(&Raw::default().message(1, &twice)), "CS-TSR-551");
}

#[test]
fn depth_and_counts_are_bounded() {
    let mut graph = Raw::default();
    for _ in 0..40 {
        let attribute = Raw::default().bytes(1, "body").message(6, &graph).number(20, 5);
        graph = Raw::default().message(1, &node("Loop", &[], &[]).message(5, &attribute));
    }
    refused(&model(&graph), "CS-TSR-543");
    let mut many = Raw::default();
    for number in 0..1000 {
        many = many.message(1, &node("Relu", &[], &[&format!("n{number}")]));
    }
    let file = model(&many);
    assert_eq!(Model::read(&file).unwrap().graph.nodes.len(), 1000);
    let few = Limits { entries: 1000, ..Limits::FORMAT };
    assert_eq!(Model::read_within(&file, &few).unwrap_err().code(), "CS-TSR-544");
}

#[test]
fn many_graphs_within_nodes_take_no_more_time_than_their_bytes() {
    let inner = Raw::default().message(1, &node("Relu", &["x"], &["y"]));
    let attribute = Raw::default().bytes(1, "then_branch").message(6, &inner).number(20, 5);
    let mut graph = Raw::default().message(11, &value("x", 1, &[]));
    for number in 0..100_000 {
        let node = node("If", &["x"], &[&format!("n{number}")]).message(5, &attribute);
        graph = graph.message(1, &node);
    }
    let file = model(&graph);
    assert_eq!(Model::read(&file).unwrap().graph.nodes.len(), 100_000);
}

#[test]
fn cut_and_changed_models_do_not_panic() {
    let file = with_tensor(&tensor("w", 1, &[2]).bytes(9, [0; 8]));
    for cut in 0..file.len() {
        drop(Model::read(&file[..cut]));
    }
    for at in 0..file.len() {
        for flip in [1, 0x80, 0xff] {
            let mut changed = file.clone();
            changed[at] ^= flip;
            drop(Model::read(&changed));
        }
    }
}
