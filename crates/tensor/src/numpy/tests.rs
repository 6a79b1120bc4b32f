use proptest::prelude::*;

use super::{Array, ByteOrder, ElementType, Order};
use crate::safetensors::Dtype;

/// A file of version 1 with that header and data.
fn file(header: &str, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(header.len()).unwrap().to_le_bytes();
    [b"\x93NUMPY\x01\x00".as_slice(), &length, header.as_bytes(), data].concat()
}

#[track_caller]
fn refused(file: &[u8], code: &str) {
    match Array::read(file) {
        Err(error) => {
            assert_eq!(error.code(), code, "{error}");
            assert!(!error.hint().is_empty());
        }
        Ok(array) => panic!("{array:?} was read; {code} was expected"),
    }
}

#[track_caller]
fn header_refused(header: &str, code: &str) {
    refused(&file(header, &[0; 8]), code);
}

#[test]
fn arrays_as_numpy_writes_them_are_read() {
    // `numpy.save` of `numpy.array([[1, 2, 3], [4, 5, 6]], dtype='>i2', order='F')`, NumPy 2.4.
    let header = format!("{:<117}\n", "{'descr': '>i2', 'fortran_order': True, 'shape': (2, 3), }");
    let bytes = file(&header, &[0, 1, 0, 4, 0, 2, 0, 5, 0, 3, 0, 6]);
    let array = Array::read(&bytes).unwrap();
    assert_eq!(array.element, ElementType::Plain(Dtype::I16));
    assert_eq!((array.byte_order, array.order), (ByteOrder::Big, Order::ColumnMajor));
    assert_eq!((array.shape.as_slice(), array.elements_len()), ([2, 3].as_slice(), 6));
    assert_eq!(array.elements().unwrap(), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    assert_eq!(array.write().unwrap(), bytes);
    let scalar = file("{'descr': '<f4', 'fortran_order': False, 'shape': ()}", &1.5_f32.to_le_bytes());
    assert_eq!(Array::read(&scalar).unwrap().elements().unwrap(), [1.5]);
    let other_order = file("{\"shape\":(0,7,),\"fortran_order\":False,\"descr\":\"|b1\"}\n", &[]);
    assert_eq!(Array::read(&other_order).unwrap().shape, [0, 7]);
    let complex = file("{'descr': '<c8', 'fortran_order': False, 'shape': (1,)}", &[0; 8]);
    assert_eq!(Array::read(&complex).unwrap().elements(), None);
    let header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (1,)}";
    let later = [b"\x93NUMPY\x03\x00".as_slice(), &55_u32.to_le_bytes(), header, &[7]].concat();
    assert_eq!(Array::read(&later).unwrap().data, [7]);
}

#[test]
fn every_malformation_has_its_code() {
    refused(b"", "CS-TSR-530");
    refused(b"\x93NUMPY", "CS-TSR-530");
    refused(b"\x93NUMPY\x04\x00\0\0\0\0", "CS-TSR-530");
    refused(b"\x93NUMPY\x01\x01\0\0", "CS-TSR-530");
    refused(b"\x93NUMPY\x01\x00\0", "CS-TSR-531");
    refused(b"\x93NUMPY\x01\x00\x10\x00{}", "CS-TSR-531");
    refused(b"\x93NUMPY\x02\x00\xff\xff\xff\xff{}", "CS-TSR-531");
    let whole = "{'descr': '<f8', 'fortran_order': False, 'shape': (1,)}";
    assert!(Array::read(&file(whole, &[0; 8])).is_ok());
    for broken in [
        "",
        "{}",
        "{'descr': '<f8', 'fortran_order': False}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1,)",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1,), 'x': 1}",
        "{'descr': '<f8', 'descr': '<f8', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f8', 'fortran_order': 0, 'shape': (1,)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (01,)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': [1]}",
        "{'descr': '<f\\x38', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': __import__('os'), 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1,)}()",
    ] {
        header_refused(broken, "CS-TSR-532");
    }
    let of = |descr: &str| format!("{{'descr': {descr}, 'fortran_order': False, 'shape': (1,)}}");
    for objects in ["'|O'", "'O'", "'<O8'", "[('a', '<f4'), ('b', '|O')]"] {
        header_refused(&of(objects), "CS-TSR-533");
    }
    for other in
        ["'<U4'", "'|S8'", "'<M8[s]'", "'|V8'", "''", "'f8'", "'<f3'", "'|f8'", "'=f8'", "[('a', '<f4')]"]
    {
        header_refused(&of(other), "CS-TSR-534");
    }
    for shape in ["(18446744073709551616,)", "(4294967296, 4294967296)", "(0, 18446744073709551615, 2)"] {
        header_refused(
            &format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}}}"),
            "CS-TSR-535",
        );
    }
    let deep = "1, ".repeat(65);
    header_refused(&format!("{{'descr': '<f8', 'fortran_order': False, 'shape': ({deep})}}"), "CS-TSR-535");
    refused(&file(whole, &[0; 7]), "CS-TSR-536");
    refused(&file(whole, &[0; 9]), "CS-TSR-536");
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        shape in proptest::collection::vec(0..5_usize, 0..5),
        at in 0..super::TABLE.len(),
        big in any::<bool>(),
        columns in any::<bool>(),
    ) {
        let element = super::TABLE[at].1;
        let data = vec![1; shape.iter().product::<usize>() * element.bytes()];
        let array = Array {
            element,
            byte_order: if big && element.bytes() > 1 { ByteOrder::Big } else { ByteOrder::Little },
            order: if columns { Order::ColumnMajor } else { Order::RowMajor },
            shape,
            data: &data,
        };
        let file = array.write().unwrap();
        prop_assert_eq!(Array::read(&file).unwrap(), array);
        prop_assert_eq!((file.len() - data.len()) % 64, 0);
    }
}
