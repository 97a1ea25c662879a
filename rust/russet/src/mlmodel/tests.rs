#![allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used)]

use super::read::{GREATEST_DEPTH, GREATEST_SIZE};
use super::*;
use crate::Error;
use proptest::prelude::*;

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 128 {
        bytes.push(value as u8 | 128);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

fn number(field: u32, value: i64) -> Vec<u8> {
    [varint(u64::from(field) << 3), varint(value as u64)].concat()
}

fn bytes(field: u32, value: impl AsRef<[u8]>) -> Vec<u8> {
    let value = value.as_ref();
    [varint(u64::from(field) << 3 | 2), varint(value.len() as u64), value.to_vec()].concat()
}

fn entry(name: &str, value: impl AsRef<[u8]>) -> Vec<u8> {
    [bytes(1, name), bytes(2, value)].concat()
}

/// The type of a tensor; a size of -1 is not known.
fn tensor_type(data_type: i64, shape: &[i64]) -> Vec<u8> {
    let sizes = shape.iter().map(|&size| if size < 0 { bytes(2, b"") } else { bytes(1, number(1, size)) });
    let sizes: Vec<u8> = sizes.flat_map(|size| bytes(3, size)).collect();
    bytes(1, [number(1, data_type), number(2, shape.len() as i64), sizes].concat())
}

fn value(of_type: &[u8], data: &[u8]) -> Vec<u8> {
    [bytes(2, of_type), bytes(3, bytes(1, data))].concat()
}

/// A `const` with this value, in a model of this function alone.
fn with_constant(value: &[u8]) -> Vec<u8> {
    let output = [bytes(1, "c"), bytes(2, tensor_type(11, &[]))].concat();
    with_operation(&[bytes(1, "const"), bytes(3, output), bytes(5, entry("val", value))].concat())
}

fn with_operation(operation: &[u8]) -> Vec<u8> {
    with_block(&bytes(3, operation))
}

fn with_block(block: &[u8]) -> Vec<u8> {
    with_function(&[bytes(2, "CoreML7"), bytes(3, entry("CoreML7", block))].concat())
}

fn with_function(function: &[u8]) -> Vec<u8> {
    with_program(&bytes(2, entry("main", function)))
}

fn with_program(program: &[u8]) -> Vec<u8> {
    [number(1, 8), bytes(2, b""), bytes(502, program)].concat()
}

fn with_array(array: &[u8]) -> Vec<u8> {
    let feature = [bytes(1, "x"), bytes(3, bytes(5, array))].concat();
    [bytes(2, bytes(1, feature)), with_block(b"")].concat()
}

fn refused(model: &[u8]) -> String {
    match Model::read(model) {
        Err(Error::Config { place, message }) => {
            assert!(place.is_empty() || place.starts_with("byte "), "{place}");
            message
        }
        other => panic!("{other:?}"),
    }
}

fn constant(model: &[u8]) -> Value {
    let model = Model::read(model).unwrap();
    model.functions[0].1.block.operations[0].attributes[0].1.clone()
}

const FLOAT: i64 = 11;

#[test]
fn reads_values_of_each_kind() {
    let read = |data_type, shape: &[i64], data: &[u8]| constant(&with_constant(&value(&tensor_type(data_type, shape), data)));
    let data = |value| match value {
        Value::Tensor { data, .. } => data,
        other => panic!("{other:?}"),
    };
    assert_eq!(data(read(FLOAT, &[2], &bytes(1, bytes(1, [0, 0, 128, 63, 0, 0, 0, 64])))), Data::Floats(vec![1.0, 2.0]));
    assert_eq!(data(read(23, &[2], &bytes(2, bytes(1, [1, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F])))), Data::Ints(vec![1, -1]));
    assert_eq!(data(read(1, &[], &bytes(3, number(1, 1)))), Data::Bools(vec![true]));
    assert_eq!(data(read(2, &[], &bytes(4, bytes(1, "same")))), Data::Strings(vec!["same".into()]));
    assert_eq!(data(read(24, &[1], &bytes(5, number(1, 1 << 40)))), Data::LongInts(vec![1 << 40]));
    assert_eq!(data(read(12, &[1], &bytes(6, bytes(1, 1.5_f64.to_le_bytes())))), Data::Doubles(vec![1.5]));
    assert_eq!(data(read(10, &[2], &bytes(7, bytes(1, [1, 2, 3, 4])))), Data::Bytes(vec![1, 2, 3, 4]));
    // Three elements of four bits take two bytes.
    assert_eq!(data(read(35, &[3], &bytes(7, bytes(1, [0x21, 0x03])))), Data::Bytes(vec![0x21, 0x03]));
    assert_eq!(data(read(FLOAT, &[0, 5], b"")), Data::Floats(Vec::new()));
    let blob = [bytes(2, tensor_type(10, &[2, 3])), bytes(5, [bytes(1, "@model_path/w.bin"), number(2, -1)].concat())].concat();
    let expected =
        Value::Blob { data_type: DataType::Float16, shape: vec![2, 3], file: "@model_path/w.bin".into(), offset: u64::MAX };
    assert_eq!(constant(&with_constant(&blob)), expected);
}

#[test]
fn says_what_is_wrong_with_a_value() {
    let float = tensor_type(FLOAT, &[2]);
    let one = bytes(1, bytes(1, [0, 0, 128, 63]));
    let cases: [(Vec<u8>, &str); 14] = [
        (value(&float, &one), "the elements of a tensor float32[2] are not these"),
        (value(&tensor_type(23, &[1]), &one), "the elements of a tensor int32[1] are not these"),
        (
            value(&tensor_type(FLOAT, &[1 << 40, 1 << 40]), &one),
            "the elements of a tensor float32[1099511627776, 1099511627776] are not these",
        ),
        (value(&tensor_type(2, &[1]), &bytes(7, bytes(1, b""))), "the elements of a tensor string[1] are not these"),
        (value(&tensor_type(FLOAT, &[-1]), &one), "a value's shape is not known"),
        (value(&tensor_type(99, &[1]), &one), "data type 99 is not supported"),
        (value(&bytes(1, number(2, 0)), &one), "a tensor has no data type"),
        (value(&bytes(1, [number(1, 11), number(2, 3)].concat()), &one), "a tensor of rank 3 has 0 dimensions"),
        (value(&tensor_type(FLOAT, &[GREATEST_SIZE + 1]), &one), "a dimension has the size 281474976710657"),
        (value(&float, &bytes(9, b"")), "values of kind 9 are not known"),
        (value(b"", &one), "a type is missing"),
        (value(&bytes(6, b""), &one), "types of kind 6 are not known"),
        (bytes(2, &float), "a value has no content, or one that does not fit its type"),
        ([bytes(2, &float), bytes(3, b"")].concat(), "a value has no content"),
    ];
    for (value, message) in cases {
        assert_eq!(refused(&with_constant(&value)), message);
    }
    let cases: [(Vec<u8>, &str); 3] = [
        ([bytes(2, bytes(4, b"")), bytes(3, bytes(1, b""))].concat(), "a value of kind 1 does not fit its type"),
        ([bytes(2, bytes(4, b"")), bytes(3, bytes(4, bytes(1, b"")))].concat(), "a key or its value is missing"),
        ([bytes(2, bytes(5, bytes(1, bytes(4, b"")))), bytes(3, b"")].concat(), "a state holds something else than a tensor"),
    ];
    for (value, message) in cases {
        assert_eq!(refused(&with_constant(&value)), message);
    }
}

#[test]
fn says_what_is_wrong_with_a_program() {
    let undescribed = bytes(502, bytes(2, entry("main", [bytes(2, "A"), bytes(3, entry("A", b""))].concat())));
    let cases: [(Vec<u8>, &str); 8] = [
        (undescribed, "the model has no description"),
        (with_program(b""), "the program has no function"),
        (with_program(&bytes(2, bytes(1, "main"))), "there is nothing under the name \"main\""),
        (with_function(&bytes(2, "CoreML9")), "a function has no block for its operations \"CoreML9\""),
        (with_block(&bytes(1, bytes(1, "x"))), "\"x\" has no type"),
        (with_operation(&bytes(2, entry("x", bytes(1, b"")))), "an argument is empty"),
        (with_operation(&number(1, 3)), "field 1 is not a sequence of bytes"),
        (with_block(&[0x1A, 0x7F]), "127 bytes are announced, and 0 are there"),
    ];
    for (model, message) in cases {
        assert_eq!(refused(&model), message);
    }
}

#[test]
fn says_what_a_file_is_that_is_no_program() {
    let cases = [
        (b"".to_vec(), "no model"),
        (bytes(500, b""), "a neural network"),
        (bytes(202, b""), "a pipeline"),
        (bytes(556, b""), "a model of another type"),
    ];
    for (model, what) in cases {
        assert_eq!(refused(&model), format!("the file is {what}; only models of the type ML Program are read"));
    }
    assert_eq!(refused(b"\xFF\xFF"), "2 bytes are announced, and 0 are there".replace("2 bytes", "1 bytes"));
}

#[test]
fn says_what_is_wrong_with_a_description() {
    assert_eq!(refused(&with_array(&number(2, 7))), "arrays of data type 7 are not supported");
    assert_eq!(refused(&with_array(&number(1, -1))), "a dimension has the size -1");
    let range = bytes(31, bytes(1, [number(1, 1), number(2, GREATEST_SIZE + 1)].concat()));
    assert_eq!(refused(&with_array(&range)), "a dimension has the size 281474976710657");
    let open = Model::read(&with_array(&bytes(31, bytes(1, [number(1, 1), number(2, -1)].concat())))).unwrap();
    assert_eq!(open.interfaces[0].inputs[0].ranges, [(1, -1)]);
}

/// Blocks within operations within blocks.
fn nested_blocks(depth: u32) -> Vec<u8> {
    let mut block = Vec::new();
    for _ in 1..depth {
        block = bytes(3, bytes(4, &block));
    }
    with_block(&block)
}

#[test]
fn nesting_is_bounded() {
    assert!(Model::read(&nested_blocks(GREATEST_DEPTH)).is_ok());
    let message = format!("messages lie in one another more than {GREATEST_DEPTH} deep");
    assert_eq!(refused(&nested_blocks(GREATEST_DEPTH + 1)), message);
    assert_eq!(refused(&nested_blocks(2000)), message);
    let mut list = tensor_type(FLOAT, &[]);
    for _ in 0..2000 {
        list = bytes(2, bytes(1, list));
    }
    assert_eq!(refused(&with_constant(&value(&list, b""))), message);
    let mut inner = value(&tensor_type(FLOAT, &[]), &bytes(1, bytes(1, [0; 4])));
    for _ in 0..2000 {
        inner = [bytes(2, bytes(4, b"")), bytes(3, bytes(3, bytes(1, inner)))].concat();
    }
    assert_eq!(refused(&with_constant(&inner)), message);
}

#[test]
fn a_state_and_unknown_sizes_are_read() {
    let state = [bytes(1, "s"), bytes(2, bytes(5, bytes(1, tensor_type(10, &[1, 2]))))].concat();
    let input = [bytes(1, "x"), bytes(2, tensor_type(FLOAT, &[1, -1]))].concat();
    let function = [bytes(1, state), bytes(1, input), bytes(2, "A"), bytes(3, entry("A", b""))].concat();
    let model = Model::read(&with_function(&function)).unwrap();
    let types: Vec<&Type> = model.functions[0].1.inputs.iter().map(|input| &input.of_type).collect();
    assert_eq!(types, [&Type::State(DataType::Float16, vec![1, 2]), &Type::Tensor(DataType::Float32, vec![1, -1])]);
}

/// A model with an operation of each form of argument.
fn small() -> Vec<u8> {
    let constant = value(&tensor_type(FLOAT, &[2]), &bytes(1, bytes(1, [0; 8])));
    let inputs = [bytes(2, entry("x", bytes(1, bytes(1, "x")))), bytes(2, entry("y", bytes(1, bytes(2, constant))))].concat();
    let output = bytes(3, [bytes(1, "z"), bytes(2, tensor_type(FLOAT, &[2]))].concat());
    let operation = [bytes(1, "add"), inputs, output, bytes(4, bytes(2, "z"))].concat();
    [with_array(&[number(1, 2), number(2, 65_568)].concat()), with_operation(&operation)].concat()
}

#[test]
fn every_prefix_is_read_or_refused() {
    let model = small();
    assert!(Model::read(&model).is_ok());
    let whole = (0..model.len()).filter(|&end| Model::read(&model[..end]).is_ok()).count();
    assert!(whole < model.len() / 4, "{whole} prefixes of {} bytes are models", model.len());
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Model::read(&bytes);
        let _ = Model::read(&with_block(&bytes));
        let _ = Model::read(&with_operation(&bytes));
        let _ = Model::read(&with_constant(&bytes));
        let _ = Model::read(&with_array(&bytes));
    }

    #[test]
    fn changed_bytes_are_read_or_refused(changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut model = small();
        for (place, byte) in changes {
            let place = place.index(model.len());
            model[place] = byte;
        }
        let _ = Model::read(&model);
    }
}
