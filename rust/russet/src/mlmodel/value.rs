//! Types and values of a program: `ValueType` and `Value` of Core ML's format.

use super::read::{each, text, Depth};
use crate::wire::{fault, Field, Reader};
use crate::{Error, Result};

/// The type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataType {
    /// True or false.
    Bool,
    /// A text.
    String,
    /// IEEE 754 with 16 bits.
    Float16,
    /// IEEE 754 with 32 bits.
    Float32,
    /// IEEE 754 with 64 bits.
    Float64,
    /// Signed, of this many bits.
    Int(u8),
    /// Unsigned, of this many bits.
    UInt(u8),
}

impl DataType {
    /// `MIL.proto`'s number.
    pub(super) fn from_program(number: i32) -> Option<Self> {
        Some(match number {
            1 => Self::Bool,
            2 => Self::String,
            10 => Self::Float16,
            11 => Self::Float32,
            12 => Self::Float64,
            21 => Self::Int(8),
            22 => Self::Int(16),
            23 => Self::Int(32),
            24 => Self::Int(64),
            25 => Self::Int(4),
            31 => Self::UInt(8),
            32 => Self::UInt(16),
            33 => Self::UInt(32),
            34 => Self::UInt(64),
            35 => Self::UInt(4),
            36 => Self::UInt(2),
            37 => Self::UInt(1),
            38 => Self::UInt(6),
            39 => Self::UInt(3),
            _ => return None,
        })
    }

    /// `FeatureTypes.proto`'s number.
    pub(super) fn from_feature(number: i32) -> Option<Self> {
        Some(match number {
            65_552 => Self::Float16,
            65_568 => Self::Float32,
            65_600 => Self::Float64,
            131_080 => Self::Int(8),
            131_104 => Self::Int(32),
            _ => return None,
        })
    }

    /// The name as in `float16`, `int32`, `uint4`.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Bool => "bool".into(),
            Self::String => "string".into(),
            Self::Float16 => "float16".into(),
            Self::Float32 => "float32".into(),
            Self::Float64 => "float64".into(),
            Self::Int(bits) => format!("int{bits}"),
            Self::UInt(bits) => format!("uint{bits}"),
        }
    }

    /// The bits of an element; 0 for texts.
    #[must_use]
    pub fn bits(self) -> u64 {
        match self {
            Self::String => 0,
            Self::Bool => 8,
            Self::Float16 => 16,
            Self::Float32 => 32,
            Self::Float64 => 64,
            Self::Int(bits) | Self::UInt(bits) => bits.into(),
        }
    }
}

/// The type of a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Type {
    /// A tensor: its elements' type and its sizes, of which -1 is unknown.
    Tensor(DataType, Vec<i64>),
    /// A state that holds such a tensor.
    State(DataType, Vec<i64>),
    /// A list of values of one type.
    List(Box<Type>),
    /// Values side by side.
    Tuple(Vec<Type>),
    /// Values by key.
    Dictionary,
}

/// A value that the file holds or points to.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A tensor that is in the file.
    Tensor {
        /// Its elements' type.
        data_type: DataType,
        /// Its sizes.
        shape: Vec<u64>,
        /// Its elements.
        data: Data,
    },
    /// A tensor in a file of weights.
    Blob {
        /// Its elements' type.
        data_type: DataType,
        /// Its sizes.
        shape: Vec<u64>,
        /// The file's name, relative to the model.
        file: String,
        /// Where its header begins in that file.
        offset: u64,
    },
    /// Values in order: of a list or a tuple.
    List(Vec<Value>),
    /// Values by key.
    Dictionary(Vec<(Value, Value)>),
}

/// The elements of a tensor in the file.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// `float32`.
    Floats(Vec<f32>),
    /// `float64`.
    Doubles(Vec<f64>),
    /// `int32`.
    Ints(Vec<i32>),
    /// `int64`.
    LongInts(Vec<i64>),
    /// `bool`.
    Bools(Vec<bool>),
    /// `string`.
    Strings(Vec<String>),
    /// Any other type, as it lies in memory: little-endian, elements of less than 8 bits packed from the lowest bit on.
    Bytes(Vec<u8>),
}

impl Data {
    fn read(message: Reader<'_>) -> Result<Option<Self>> {
        let mut data = None;
        each(message, |field| {
            let list = field.message()?;
            data = Some(match field.number {
                1 => Self::Floats(repeated(list, |field, list| field.floats(list))?),
                2 => Self::Ints(repeated(list, |field, list| field.integers(list, |value| value as i32))?),
                3 => Self::Bools(repeated(list, |field, list| field.integers(list, |value| value != 0))?),
                4 => Self::Strings(repeated(list, |field, list| {
                    list.push(text(field)?);
                    Ok(())
                })?),
                5 => Self::LongInts(repeated(list, |field, list| field.integers(list, |value| value as i64))?),
                6 => Self::Doubles(repeated(list, |field, list| field.doubles(list))?),
                7 => {
                    let mut bytes = Vec::new();
                    each(list, |field| {
                        bytes.extend_from_slice(field.bytes()?);
                        Ok(())
                    })?;
                    Self::Bytes(bytes)
                }
                number => return Err(fault(field.offset, &format!("values of kind {number} are not known"))),
            });
            Ok(())
        })?;
        Ok(data)
    }

    /// Whether this many elements of this type are there.
    fn fits(&self, data_type: DataType, count: u64) -> bool {
        let there = match (self, data_type) {
            (Self::Floats(list), DataType::Float32) => list.len(),
            (Self::Doubles(list), DataType::Float64) => list.len(),
            (Self::Ints(list), DataType::Int(_) | DataType::UInt(_)) => list.len(),
            (Self::LongInts(list), DataType::Int(64) | DataType::UInt(64)) => list.len(),
            (Self::Bools(list), DataType::Bool) => list.len(),
            (Self::Strings(list), DataType::String) => list.len(),
            (Self::Bytes(list), _) => {
                let needed = count.checked_mul(data_type.bits()).map(|bits| bits.div_ceil(8));
                return data_type.bits() > 0 && needed == Some(list.len() as u64);
            }
            _ => return false,
        };
        there as u64 == count
    }

    /// Nothing, for a tensor without elements.
    fn empty(data_type: DataType) -> Self {
        match data_type {
            DataType::Float32 => Self::Floats(Vec::new()),
            DataType::Float64 => Self::Doubles(Vec::new()),
            DataType::Int(64) | DataType::UInt(64) => Self::LongInts(Vec::new()),
            DataType::Int(32) | DataType::UInt(32) => Self::Ints(Vec::new()),
            DataType::Bool => Self::Bools(Vec::new()),
            DataType::String => Self::Strings(Vec::new()),
            _ => Self::Bytes(Vec::new()),
        }
    }
}

fn repeated<T>(message: Reader<'_>, append: impl Fn(&Field<'_>, &mut Vec<T>) -> Result<()>) -> Result<Vec<T>> {
    let mut list = Vec::new();
    each(message, |field| if field.number == 1 { append(field, &mut list) } else { Ok(()) })?;
    Ok(list)
}

impl Type {
    /// `ValueType`.
    pub(super) fn read(field: &Field<'_>, depth: Depth) -> Result<Self> {
        let depth = depth.deeper(field.offset)?;
        let mut found = None;
        each(field.message()?, |field| {
            found = Some(match field.number {
                1 => {
                    let (data_type, shape) = tensor_type(field)?;
                    Self::Tensor(data_type, shape)
                }
                2 => Self::List(Box::new(nested(field, depth)?)),
                3 => {
                    let mut types = Vec::new();
                    each(field.message()?, |field| {
                        if field.number == 1 {
                            types.push(Self::read(field, depth)?);
                        }
                        Ok(())
                    })?;
                    Self::Tuple(types)
                }
                4 => Self::Dictionary,
                5 => match nested(field, depth)? {
                    Self::Tensor(data_type, shape) => Self::State(data_type, shape),
                    _ => return Err(fault(field.offset, "a state holds something else than a tensor")),
                },
                number => return Err(fault(field.offset, &format!("types of kind {number} are not known"))),
            });
            Ok(())
        })?;
        found.ok_or_else(|| fault(field.offset, "a type is missing"))
    }
}

/// The type in the first field of a message.
fn nested(field: &Field<'_>, depth: Depth) -> Result<Type> {
    let mut found = None;
    each(field.message()?, |field| {
        if field.number == 1 {
            found = Some(Type::read(field, depth)?);
        }
        Ok(())
    })?;
    found.ok_or_else(|| fault(field.offset, "a type is missing"))
}

fn tensor_type(field: &Field<'_>) -> Result<(DataType, Vec<i64>)> {
    let (mut data_type, mut rank, mut shape) = (None, 0_i64, Vec::new());
    each(field.message()?, |field| {
        match field.number {
            1 => {
                let number = field.int32()?;
                let known = DataType::from_program(number);
                data_type = Some(known.ok_or_else(|| fault(field.offset, &format!("data type {number} is not supported")))?);
            }
            2 => rank = field.bits64()? as i64,
            3 => shape.push(dimension(field)?),
            _ => {}
        }
        Ok(())
    })?;
    let data_type = data_type.ok_or_else(|| fault(field.offset, "a tensor has no data type"))?;
    // A rank of -1 is not known, nor are the dimensions then.
    if rank >= 0 && rank as usize != shape.len() {
        return Err(fault(field.offset, &format!("a tensor of rank {rank} has {} dimensions", shape.len())));
    }
    Ok((data_type, shape))
}

/// `Dimension`: a size, or -1 for one that is not known.
fn dimension(field: &Field<'_>) -> Result<i64> {
    let mut size = -1;
    each(field.message()?, |field| {
        if field.number == 1 {
            // A size of 0 is not written: the message is there, and empty.
            size = 0;
            each(field.message()?, |field| {
                if field.number == 1 {
                    let given = field.bits64()?;
                    let fits = i64::try_from(given).ok().filter(|size| *size <= super::read::GREATEST_SIZE);
                    size = fits.ok_or_else(|| fault(field.offset, &format!("a dimension has the size {given}")))?;
                }
                Ok(())
            })?;
        }
        Ok(())
    })?;
    Ok(size)
}

impl Value {
    /// `Value`.
    pub(super) fn read(field: &Field<'_>, depth: Depth) -> Result<Self> {
        let depth = depth.deeper(field.offset)?;
        let (mut of_type, mut immediate, mut blob) = (None, None, None);
        each(field.message()?, |field| {
            match field.number {
                2 => of_type = Some(Type::read(field, depth)?),
                3 => immediate = Some(*field),
                5 => blob = Some(*field),
                _ => {}
            }
            Ok(())
        })?;
        let tensor = match of_type {
            Some(Type::Tensor(data_type, shape)) => {
                let known: Option<Vec<u64>> = shape.iter().map(|&size| u64::try_from(size).ok()).collect();
                Some((data_type, known.ok_or_else(|| fault(field.offset, "a value's shape is not known"))?))
            }
            _ => None,
        };
        match (immediate, blob, tensor) {
            (None, Some(blob), Some((data_type, shape))) => Self::blob(&blob, data_type, shape),
            (Some(immediate), None, tensor) => Self::immediate(&immediate, tensor, depth),
            _ => Err(fault(field.offset, "a value has no content, or one that does not fit its type")),
        }
    }

    fn blob(field: &Field<'_>, data_type: DataType, shape: Vec<u64>) -> Result<Self> {
        let (mut file, mut offset) = (String::new(), 0);
        each(field.message()?, |field| {
            match field.number {
                1 => file = text(field)?,
                2 => offset = field.bits64()?,
                _ => {}
            }
            Ok(())
        })?;
        Ok(Self::Blob { data_type, shape, file, offset })
    }

    fn immediate(field: &Field<'_>, tensor: Option<(DataType, Vec<u64>)>, depth: Depth) -> Result<Self> {
        let mut value = None;
        each(field.message()?, |field| {
            value = Some(match (field.number, &tensor) {
                (1, Some((data_type, shape))) => {
                    let count = shape.iter().try_fold(1_u64, |count, &size| count.checked_mul(size));
                    let data = Data::read(field.message()?)?.unwrap_or_else(|| Data::empty(*data_type));
                    if !count.is_some_and(|count| data.fits(*data_type, count)) {
                        let message = format!("the elements of a tensor {}{shape:?} are not these", data_type.name());
                        return Err(fault(field.offset, &message));
                    }
                    Self::Tensor { data_type: *data_type, shape: shape.clone(), data }
                }
                (2 | 3, _) => {
                    let mut values = Vec::new();
                    each(field.message()?, |field| {
                        if field.number == 1 {
                            values.push(Self::read(field, depth)?);
                        }
                        Ok(())
                    })?;
                    Self::List(values)
                }
                (4, _) => Self::Dictionary(dictionary(field, depth)?),
                (number, _) => return Err(fault(field.offset, &format!("a value of kind {number} does not fit its type"))),
            });
            Ok(())
        })?;
        value.ok_or_else(|| fault(field.offset, "a value has no content"))
    }
}

fn dictionary(field: &Field<'_>, depth: Depth) -> Result<Vec<(Value, Value)>> {
    let mut pairs = Vec::new();
    each(field.message()?, |field| {
        if field.number == 1 {
            let (mut key, mut value) = (None, None);
            each(field.message()?, |field| {
                match field.number {
                    1 => key = Some(Value::read(field, depth)?),
                    2 => value = Some(Value::read(field, depth)?),
                    _ => {}
                }
                Ok(())
            })?;
            let missing = || -> Error { fault(field.offset, "a key or its value is missing") };
            pairs.push((key.ok_or_else(missing)?, value.ok_or_else(missing)?));
        }
        Ok(())
    })?;
    Ok(pairs)
}
