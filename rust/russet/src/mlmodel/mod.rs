//! Core ML models of the type ML Program, as their `.mlmodel` file holds them.
//!
//! [`Model::read`] turns the file's bytes into plain structs that mirror it: a description (inputs, outputs, states, metadata) and
//! a program (functions, blocks, operations, values). Weights are not here: a value in `weight.bin` is its file name and offset.
//! O(bytes) in time and memory: every element takes bytes in the file, nesting is bounded, and the number of elements of a
//! tensor is that of its shape. Names are not resolved and types are not checked; that is for whoever runs the program.
//!
//! The wrong choice for writing models, and for other types of models, which are refused by name.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used)]

mod program;
mod read;
#[cfg(test)]
mod tests;
mod value;

use crate::Result;

pub use program::{Argument, Binding, Block, Function, NamedType, Operation};
pub use value::{Data, DataType, Type, Value};

/// A model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Model {
    /// 6 is iOS 15, 7 is iOS 16, 8 is iOS 17, 9 is iOS 18.
    pub specification_version: i32,
    /// The functions' interfaces. A model of one function has one without a name.
    pub interfaces: Vec<Interface>,
    /// The name of the function that runs if none is named; empty for a model of one function.
    pub default_function: String,
    /// Short description, version, author and license.
    pub about: [String; 4],
    /// What the model's maker added.
    pub metadata: Vec<(String, String)>,
    /// The program's functions by name.
    pub functions: Vec<(String, Function)>,
}

/// What a function takes and gives.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Interface {
    /// The function's name.
    pub name: String,
    /// Arrays that it takes.
    pub inputs: Vec<Feature>,
    /// Arrays that it gives.
    pub outputs: Vec<Feature>,
    /// Arrays that it changes.
    pub states: Vec<Feature>,
}

/// An input, an output or a state.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Feature {
    /// Its name.
    pub name: String,
    /// `None` for what is no array: images, strings, dictionaries.
    pub data_type: Option<DataType>,
    /// The default shape.
    pub shape: Vec<i64>,
    /// The allowed shapes, if they are listed.
    pub enumerated: Vec<Vec<i64>>,
    /// The least and greatest size of each dimension, if they vary; -1 is no upper bound.
    pub ranges: Vec<(i64, i64)>,
    /// Whether it may be left out.
    pub is_optional: bool,
}

impl Model {
    /// Reads an `.mlmodel` file.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Config`] at the byte where the file is damaged, or if the model is no ML Program.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        read::model(bytes)
    }
}
