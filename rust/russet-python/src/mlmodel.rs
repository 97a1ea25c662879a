//! Core ML models as tuples, which `russet.coreml.program` gives names.

use numpy::PyArray1;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};
use russet::mlmodel::{Binding, Block, Data, DataType, Feature, Function, Interface, Model, NamedType, Operation, Type, Value};

use crate::detach;

/// Reads an `.mlmodel` file: (specification version, interfaces, default function, about, metadata, functions).
#[pyfunction]
pub fn read_mlmodel<'py>(py: Python<'py>, bytes: &Bound<'py, PyBytes>) -> PyResult<Bound<'py, PyTuple>> {
    let bytes = bytes.as_bytes();
    let model = detach::run(py, bytes.len(), |_| Model::read(bytes))?;
    let interfaces = model.interfaces.iter().map(|it| interface(py, it)).collect::<PyResult<Vec<_>>>()?;
    let functions = model.functions.iter().map(|(name, it)| Ok((name, function(py, it)?))).collect::<PyResult<Vec<_>>>()?;
    (model.specification_version, interfaces, model.default_function, model.about, model.metadata, functions).into_pyobject(py)
}

fn interface<'py>(py: Python<'py>, it: &Interface) -> PyResult<Bound<'py, PyTuple>> {
    let features = |list: &[Feature]| list.iter().map(|it| feature(py, it)).collect::<PyResult<Vec<_>>>();
    (&it.name, features(&it.inputs)?, features(&it.outputs)?, features(&it.states)?).into_pyobject(py)
}

fn feature<'py>(py: Python<'py>, it: &Feature) -> PyResult<Bound<'py, PyTuple>> {
    let shapes = it.enumerated.iter().map(|shape| PyTuple::new(py, shape)).collect::<PyResult<Vec<_>>>()?;
    let data_type = it.data_type.map(DataType::name);
    let (shape, shapes, ranges) = (PyTuple::new(py, &it.shape)?, PyTuple::new(py, shapes)?, PyTuple::new(py, &it.ranges)?);
    (&it.name, data_type, shape, shapes, ranges, it.is_optional).into_pyobject(py)
}

fn function<'py>(py: Python<'py>, it: &Function) -> PyResult<Bound<'py, PyTuple>> {
    (named_types(py, &it.inputs)?, &it.opset, block(py, &it.block)?).into_pyobject(py)
}

fn block<'py>(py: Python<'py>, it: &Block) -> PyResult<Bound<'py, PyTuple>> {
    let operations = it.operations.iter().map(|it| operation(py, it)).collect::<PyResult<Vec<_>>>()?;
    (named_types(py, &it.inputs)?, &it.outputs, operations).into_pyobject(py)
}

fn operation<'py>(py: Python<'py>, it: &Operation) -> PyResult<Bound<'py, PyTuple>> {
    let inputs = it.inputs.iter().map(|(name, bindings)| {
        let bindings = bindings.iter().map(|it| binding(py, it)).collect::<PyResult<Vec<_>>>()?;
        Ok((name, bindings))
    });
    let inputs = inputs.collect::<PyResult<Vec<_>>>()?;
    let blocks = it.blocks.iter().map(|it| block(py, it)).collect::<PyResult<Vec<_>>>()?;
    let attributes = it.attributes.iter().map(|(name, it)| Ok((name, value(py, it)?))).collect::<PyResult<Vec<_>>>()?;
    (&it.kind, inputs, named_types(py, &it.outputs)?, blocks, attributes).into_pyobject(py)
}

fn named_types<'py>(py: Python<'py>, list: &[NamedType]) -> PyResult<Bound<'py, PyList>> {
    let list = list.iter().map(|it| Ok((&it.name, of_type(py, &it.of_type)?))).collect::<PyResult<Vec<_>>>()?;
    PyList::new(py, list)
}

/// (kind, data type or none, sizes or types).
fn of_type<'py>(py: Python<'py>, it: &Type) -> PyResult<Bound<'py, PyTuple>> {
    match it {
        Type::Tensor(data_type, shape) => ("tensor", data_type.name(), PyTuple::new(py, shape)?).into_pyobject(py),
        Type::State(data_type, shape) => ("state", data_type.name(), PyTuple::new(py, shape)?).into_pyobject(py),
        Type::List(inner) => ("list", None::<String>, (of_type(py, inner)?,)).into_pyobject(py),
        Type::Tuple(types) => {
            let types = types.iter().map(|it| of_type(py, it)).collect::<PyResult<Vec<_>>>()?;
            ("tuple", None::<String>, PyTuple::new(py, types)?).into_pyobject(py)
        }
        Type::Dictionary => ("dictionary", None::<String>, PyTuple::empty(py)).into_pyobject(py),
    }
}

/// A name, or a tuple for a value in place.
fn binding<'py>(py: Python<'py>, it: &Binding) -> PyResult<Bound<'py, PyAny>> {
    Ok(match it {
        Binding::Name(name) => name.into_pyobject(py)?.into_any(),
        Binding::Value(it) => value(py, it)?.into_any(),
    })
}

/// ("tensor", data type, shape, elements), ("blob", data type, shape, file, offset), ("list", values) or ("dictionary", pairs).
fn value<'py>(py: Python<'py>, it: &Value) -> PyResult<Bound<'py, PyTuple>> {
    match it {
        Value::Tensor { data_type, shape, data } => {
            ("tensor", data_type.name(), PyTuple::new(py, shape)?, elements(py, data)?).into_pyobject(py)
        }
        Value::Blob { data_type, shape, file, offset } => {
            ("blob", data_type.name(), PyTuple::new(py, shape)?, file, *offset).into_pyobject(py)
        }
        Value::List(values) => {
            let values = values.iter().map(|it| value(py, it)).collect::<PyResult<Vec<_>>>()?;
            ("list", values).into_pyobject(py)
        }
        Value::Dictionary(pairs) => {
            let pairs = pairs.iter().map(|(key, it)| Ok((value(py, key)?, value(py, it)?))).collect::<PyResult<Vec<_>>>()?;
            ("dictionary", pairs).into_pyobject(py)
        }
    }
}

fn elements<'py>(py: Python<'py>, data: &Data) -> PyResult<Bound<'py, PyAny>> {
    Ok(match data {
        Data::Floats(list) => PyArray1::from_slice(py, list).into_any(),
        Data::Doubles(list) => PyArray1::from_slice(py, list).into_any(),
        Data::Ints(list) => PyArray1::from_slice(py, list).into_any(),
        Data::LongInts(list) => PyArray1::from_slice(py, list).into_any(),
        Data::Bools(list) => PyArray1::from_slice(py, list).into_any(),
        Data::Strings(list) => PyList::new(py, list)?.into_any(),
        Data::Bytes(list) => PyArray1::from_slice(py, list).into_any(),
    })
}
