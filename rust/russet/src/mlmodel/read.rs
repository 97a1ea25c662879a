//! The model's outer messages, and the loops over fields that all of them share.

use super::{DataType, Feature, Function, Interface, Model};
use crate::wire::{fault, Field, Reader};
use crate::{Error, Result};

/// Blocks, types and values lie in one another at most this deep.
pub(super) const GREATEST_DEPTH: u32 = 64;
/// No dimension is greater: sizes can be added and negated without a check.
pub(super) const GREATEST_SIZE: i64 = 1 << 48;

/// How deep the reader is in nested messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Depth(u32);

impl Depth {
    pub fn deeper(self, offset: usize) -> Result<Self> {
        if self.0 == GREATEST_DEPTH {
            return Err(fault(offset, &format!("messages lie in one another more than {GREATEST_DEPTH} deep")));
        }
        Ok(Self(self.0 + 1))
    }
}

/// Calls `take` for every field of a message.
pub(super) fn each<'b>(mut message: Reader<'b>, mut take: impl FnMut(&Field<'b>) -> Result<()>) -> Result<()> {
    while let Some(field) = message.next()? {
        take(&field)?;
    }
    Ok(())
}

/// A string of its own.
pub(super) fn text(field: &Field<'_>) -> Result<String> {
    field.string().map(str::to_owned)
}

/// An entry of a map from names.
pub(super) fn named<'b, T>(field: &Field<'b>, read: impl Fn(&Field<'b>) -> Result<T>) -> Result<(String, T)> {
    let (mut name, mut value) = (String::new(), None);
    each(field.message()?, |field| {
        match field.number {
            1 => name = text(field)?,
            2 => value = Some(read(field)?),
            _ => {}
        }
        Ok(())
    })?;
    let value = value.ok_or_else(|| fault(field.offset, &format!("there is nothing under the name {name:?}")))?;
    Ok((name, value))
}

/// The types of models that are no programs, by the number of their field.
fn other_type(number: u32) -> Option<&'static str> {
    match number {
        200..=202 => Some("a pipeline"),
        303 | 403 | 500 => Some("a neural network"),
        300..=3000 => Some("a model of another type"),
        _ => None,
    }
}

pub(super) fn model(bytes: &[u8]) -> Result<Model> {
    let mut model = Model::default();
    let mut other = None;
    let mut has_program = false;
    each(Reader::new(bytes, 0), |field| {
        match field.number {
            1 => model.specification_version = field.int32()?,
            2 => description(field, &mut model)?,
            502 => {
                has_program = true;
                each(field.message()?, |field| {
                    if field.number == 2 {
                        model.functions.push(named(field, |field| Function::read(field, Depth(0)))?);
                    }
                    Ok(())
                })?;
            }
            number => other = other.or_else(|| other_type(number)),
        }
        Ok(())
    })?;
    if !has_program {
        let what = other.unwrap_or("no model");
        return Err(Error::config("", format!("the file is {what}; only models of the type ML Program are read")));
    }
    if model.functions.is_empty() {
        return Err(Error::config("", "the program has no function"));
    }
    if model.interfaces.is_empty() {
        return Err(Error::config("", "the model has no description"));
    }
    Ok(model)
}

fn description(field: &Field<'_>, model: &mut Model) -> Result<()> {
    let mut only = Interface::default();
    each(field.message()?, |field| {
        match field.number {
            1 => only.inputs.push(feature(field)?),
            10 => only.outputs.push(feature(field)?),
            13 => only.states.push(feature(field)?),
            20 => model.interfaces.push(interface(field)?),
            21 => model.default_function = text(field)?,
            100 => metadata(field, model)?,
            _ => {}
        }
        Ok(())
    })?;
    if model.interfaces.is_empty() {
        model.interfaces.push(only);
    }
    Ok(())
}

fn interface(field: &Field<'_>) -> Result<Interface> {
    let mut interface = Interface::default();
    each(field.message()?, |field| {
        match field.number {
            1 => interface.name = text(field)?,
            2 => interface.inputs.push(feature(field)?),
            3 => interface.outputs.push(feature(field)?),
            6 => interface.states.push(feature(field)?),
            _ => {}
        }
        Ok(())
    })?;
    Ok(interface)
}

fn metadata(field: &Field<'_>, model: &mut Model) -> Result<()> {
    each(field.message()?, |field| {
        match field.number {
            number @ 1..=4 => {
                if let Some(about) = model.about.get_mut(number as usize - 1) {
                    *about = text(field)?;
                }
            }
            100 => {
                // A value that is empty is not written.
                let (mut key, mut value) = (String::new(), String::new());
                each(field.message()?, |field| {
                    match field.number {
                        1 => key = text(field)?,
                        2 => value = text(field)?,
                        _ => {}
                    }
                    Ok(())
                })?;
                model.metadata.push((key, value));
            }
            _ => {}
        }
        Ok(())
    })
}

fn feature(field: &Field<'_>) -> Result<Feature> {
    let mut feature = Feature::default();
    each(field.message()?, |field| {
        match field.number {
            1 => feature.name = text(field)?,
            3 => each(field.message()?, |field| {
                match field.number {
                    5 => array(field, &mut feature)?,
                    8 => each(field.message()?, |field| if field.number == 1 { array(field, &mut feature) } else { Ok(()) })?,
                    1000 => feature.is_optional = field.boolean()?,
                    _ => {}
                }
                Ok(())
            })?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(feature)
}

/// `ArrayFeatureType`.
fn array(field: &Field<'_>, feature: &mut Feature) -> Result<()> {
    each(field.message()?, |field| {
        match field.number {
            1 => sizes(field, &mut feature.shape)?,
            2 => {
                let number = field.int32()?;
                feature.data_type = DataType::from_feature(number);
                if feature.data_type.is_none() {
                    return Err(fault(field.offset, &format!("arrays of data type {number} are not supported")));
                }
            }
            21 => each(field.message()?, |field| {
                let mut shape = Vec::new();
                each(field.message()?, |field| if field.number == 1 { sizes(field, &mut shape) } else { Ok(()) })?;
                feature.enumerated.push(shape);
                Ok(())
            })?,
            31 => each(field.message()?, |field| {
                let (mut low, mut high) = (0, 0);
                each(field.message()?, |field| {
                    match field.number {
                        1 => low = size(field.bits64()?, field)?,
                        2 => high = field.bits64()? as i64,
                        _ => {}
                    }
                    Ok(())
                })?;
                feature.ranges.push((low, if high < 0 { -1 } else { size(high as u64, field)? }));
                Ok(())
            })?,
            _ => {}
        }
        Ok(())
    })
}

fn sizes(field: &Field<'_>, list: &mut Vec<i64>) -> Result<()> {
    let mut given = Vec::new();
    field.integers(&mut given, |value| value)?;
    for value in given {
        list.push(size(value, field)?);
    }
    Ok(())
}

fn size(value: u64, field: &Field<'_>) -> Result<i64> {
    let size = i64::try_from(value).ok().filter(|size| *size <= GREATEST_SIZE);
    size.ok_or_else(|| fault(field.offset, &format!("a dimension has the size {}", value as i64)))
}
