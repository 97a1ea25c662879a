//! A program's functions, blocks and operations.

use super::read::{each, named, text, Depth};
use super::value::{Type, Value};
use crate::wire::{fault, Field};
use crate::Result;

/// A name and the type of what it names.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedType {
    /// The name.
    pub name: String,
    /// The type.
    pub of_type: Type,
}

/// What is given for a parameter of an operation: one binding, or a list of them.
pub type Argument = Vec<Binding>;

/// A value by name, or in place.
#[derive(Clone, Debug, PartialEq)]
pub enum Binding {
    /// The output of an operation before, or an input.
    Name(String),
    /// A constant.
    Value(Value),
}

/// An operation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Operation {
    /// Its type, such as `matmul`.
    pub kind: String,
    /// What it takes, by parameter.
    pub inputs: Vec<(String, Argument)>,
    /// What it gives.
    pub outputs: Vec<NamedType>,
    /// Blocks that it runs: the branches of `cond`, the parts of `while_loop`.
    pub blocks: Vec<Block>,
    /// Attributes: `name`, and for `const` the value `val`.
    pub attributes: Vec<(String, Value)>,
}

/// Operations in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Block {
    /// What it takes.
    pub inputs: Vec<NamedType>,
    /// The names of what it gives.
    pub outputs: Vec<String>,
    /// Its operations; each uses what is given before it.
    pub operations: Vec<Operation>,
}

/// A function.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Function {
    /// What it takes.
    pub inputs: Vec<NamedType>,
    /// The set of operations that it was written for, such as `CoreML8`.
    pub opset: String,
    /// Its block for that set.
    pub block: Block,
}

impl NamedType {
    fn read(field: &Field<'_>, depth: Depth) -> Result<Self> {
        let (mut name, mut of_type) = (String::new(), None);
        each(field.message()?, |field| {
            match field.number {
                1 => name = text(field)?,
                2 => of_type = Some(Type::read(field, depth)?),
                _ => {}
            }
            Ok(())
        })?;
        let of_type = of_type.ok_or_else(|| fault(field.offset, &format!("{name:?} has no type")))?;
        Ok(Self { name, of_type })
    }
}

impl Function {
    pub(super) fn read(field: &Field<'_>, depth: Depth) -> Result<Self> {
        let mut function = Self::default();
        let mut blocks = Vec::new();
        each(field.message()?, |field| {
            match field.number {
                1 => function.inputs.push(NamedType::read(field, depth)?),
                2 => function.opset = text(field)?,
                3 => blocks.push(named(field, |field| Block::read(field, depth))?),
                _ => {}
            }
            Ok(())
        })?;
        let block = blocks.into_iter().find(|(opset, _)| *opset == function.opset);
        let missing = || fault(field.offset, &format!("a function has no block for its operations {:?}", function.opset));
        function.block = block.ok_or_else(missing)?.1;
        Ok(function)
    }
}

impl Block {
    fn read(field: &Field<'_>, depth: Depth) -> Result<Self> {
        let depth = depth.deeper(field.offset)?;
        let mut block = Self::default();
        each(field.message()?, |field| {
            match field.number {
                1 => block.inputs.push(NamedType::read(field, depth)?),
                2 => block.outputs.push(text(field)?),
                3 => block.operations.push(Operation::read(field, depth)?),
                _ => {}
            }
            Ok(())
        })?;
        Ok(block)
    }
}

impl Operation {
    fn read(field: &Field<'_>, depth: Depth) -> Result<Self> {
        let mut operation = Self::default();
        each(field.message()?, |field| {
            match field.number {
                1 => operation.kind = text(field)?,
                2 => operation.inputs.push(named(field, |field| argument(field, depth))?),
                3 => operation.outputs.push(NamedType::read(field, depth)?),
                4 => operation.blocks.push(Block::read(field, depth)?),
                5 => operation.attributes.push(named(field, |field| Value::read(field, depth))?),
                _ => {}
            }
            Ok(())
        })?;
        Ok(operation)
    }
}

fn argument(field: &Field<'_>, depth: Depth) -> Result<Argument> {
    let mut bindings = Vec::new();
    each(field.message()?, |field| {
        if field.number != 1 {
            return Ok(());
        }
        let mut binding = None;
        each(field.message()?, |field| {
            match field.number {
                1 => binding = Some(Binding::Name(text(field)?)),
                2 => binding = Some(Binding::Value(Value::read(field, depth)?)),
                _ => {}
            }
            Ok(())
        })?;
        bindings.push(binding.ok_or_else(|| fault(field.offset, "an argument is empty"))?);
        Ok(())
    })?;
    Ok(bindings)
}
