//! A small JSON tree for the parts of a tokenizer file that are not its vocabulary, and typed access to it.
//!
//! Most parts come in several shapes (with and without `type`, fields in any order, objects or arrays of fields), so they are
//! read into a tree first and then matched. The tree is bounded: the number of values is limited, and the depth is limited
//! by serde_json. Access errors name the place relative to the node; callers add their own with [`Error::under`].

use super::Failure;
use crate::formats::limits::check;
use crate::{Error, Result};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::fmt;

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    String(String),
    Array(Vec<Node>),
    Object(Vec<(String, Node)>),
}

/// What to do with a key that an object has twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeats {
    /// Keep both, so that [`fields`] refuses them.
    Keep,
    /// Keep the last below the outermost value; there both stay, for the reader to decide.
    LastBelow,
    /// Keep the last.
    Last,
}

/// Reads a [`Node`].
#[derive(Clone, Copy)]
pub(super) struct NodeSeed<'c> {
    pub failure: &'c Failure,
    pub repeats: Repeats,
    /// How many values were read.
    pub values: &'c Cell<u64>,
}

impl NodeSeed<'_> {
    fn below(self) -> Self {
        let repeats = match self.repeats {
            Repeats::Keep => Repeats::Keep,
            Repeats::LastBelow | Repeats::Last => Repeats::Last,
        };
        Self { repeats, ..self }
    }
}

impl<'de> DeserializeSeed<'de> for NodeSeed<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<Node, D::Error> {
        self.values.set(self.values.get() + 1);
        let checked =
            check("the number of JSON values in a part of the file", self.values.get(), self.failure.limits.component_values);
        self.failure.hold(checked)?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for NodeSeed<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> std::result::Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> std::result::Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> std::result::Result<Node, E> {
        Ok(Node::Unsigned(value))
    }

    fn visit_i64<E>(self, value: i64) -> std::result::Result<Node, E> {
        Ok(Node::Signed(value))
    }

    fn visit_f64<E>(self, value: f64) -> std::result::Result<Node, E> {
        Ok(Node::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> std::result::Result<Node, E> {
        Ok(Node::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> std::result::Result<Node, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = items.next_element_seed(self.below())? {
            nodes.push(node);
        }
        Ok(Node::Array(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            entries.push((key, map.next_value_seed(self.below())?));
        }
        if self.repeats == Repeats::Last {
            keep_last(&mut entries);
        }
        Ok(Node::Object(entries))
    }
}

/// Whether a key comes more than once.
pub(super) fn has_repeats(entries: &[(String, Node)]) -> bool {
    let mut keys = HashSet::with_capacity(entries.len());
    !entries.iter().all(|(key, _)| keys.insert(key))
}

/// Removes every entry whose key comes again later.
pub(super) fn keep_last(entries: &mut Vec<(String, Node)>) {
    if has_repeats(entries) {
        let mut last = HashMap::with_capacity(entries.len());
        for (index, (key, _)) in entries.iter().enumerate() {
            last.insert(key.clone(), index);
        }
        let mut index = 0..;
        entries.retain(|(key, _)| last.get(key) == index.next().as_ref());
    }
}

impl Node {
    /// What the value is, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Node::Null => "null",
            Node::Bool(_) => "a boolean",
            Node::Unsigned(_) | Node::Signed(_) => "an integer",
            Node::Float(_) => "a number with a fraction",
            Node::String(_) => "a string",
            Node::Array(_) => "an array",
            Node::Object(_) => "an object",
        }
    }

    /// The error that something else was expected here.
    pub fn expected(&self, what: &str) -> Error {
        Error::config("", format!("expected {what}, found {}", self.kind()))
    }
}

/// A boolean.
pub(super) fn boolean(node: &Node) -> Result<bool> {
    match node {
        Node::Bool(value) => Ok(*value),
        other => Err(other.expected("a boolean")),
    }
}

/// A string.
pub(super) fn string(node: &Node) -> Result<String> {
    match node {
        Node::String(value) => Ok(value.clone()),
        other => Err(other.expected("a string")),
    }
}

/// A string of one character.
pub(super) fn character(node: &Node) -> Result<char> {
    let Node::String(value) = node else { return Err(node.expected("a string of one character")) };
    let mut characters = value.chars();
    match (characters.next(), characters.next()) {
        (Some(character), None) => Ok(character),
        _ => Err(Error::config("", format!("expected a string of one character, found {value:?}"))),
    }
}

/// An id.
pub(super) fn id(node: &Node) -> Result<u32> {
    match node {
        Node::Unsigned(value) => u32::try_from(*value).map_err(|_| too_large(*value, u64::from(u32::MAX))),
        other => Err(other.expected("an integer from 0 to 4294967295")),
    }
}

/// A size.
pub(super) fn size(node: &Node) -> Result<usize> {
    match node {
        Node::Unsigned(value) => usize::try_from(*value).map_err(|_| too_large(*value, usize::MAX as u64)),
        other => Err(other.expected("an integer that is not negative")),
    }
}

fn too_large(value: u64, limit: u64) -> Error {
    Error::config("", format!("{value} is above {limit}"))
}

/// An array of what `item` reads.
pub(super) fn array<T>(node: &Node, item: impl Fn(&Node) -> Result<T>) -> Result<Vec<T>> {
    let Node::Array(nodes) = node else { return Err(node.expected("an array")) };
    let numbered = nodes.iter().enumerate();
    numbered.map(|(index, node)| item(node).map_err(|error| error.under(&format!("[{index}]")))).collect()
}

/// A token and its id: `["[CLS]", 101]`.
pub(super) fn token_and_id(node: &Node) -> Result<(String, u32)> {
    match node {
        Node::Array(items) => match items.as_slice() {
            [token, number] => {
                Ok((string(token).map_err(|error| error.under("[0]"))?, id(number).map_err(|error| error.under("[1]"))?))
            }
            _ => Err(Error::config("", format!("expected a token and its id, found {} values", items.len()))),
        },
        other => Err(other.expected("a token and its id")),
    }
}

/// One of a few names: a string, or, as serde allows, an object that has the name as its only key, with the value null.
pub(super) fn one_of<T: Copy>(node: &Node, names: &[(&str, T)]) -> Result<T> {
    let name = match node {
        Node::String(name) => name,
        Node::Object(entries) => match entries.as_slice() {
            [(name, Node::Null)] => name,
            _ => return Err(node.expected("a string")),
        },
        _ => return Err(node.expected("a string")),
    };
    match names.iter().find(|(known, _)| known == name) {
        Some((_, value)) => Ok(*value),
        None => {
            let known: Vec<&str> = names.iter().map(|(known, _)| *known).collect();
            Err(Error::config("", format!("unknown value {name:?} (known: {})", known.join(", "))))
        }
    }
}

/// An object with one key, which says what its value is: `{"Regex": "…"}`.
pub(super) fn tagged_value(node: &Node) -> Result<(&str, &Node)> {
    match node {
        Node::Object(entries) => match entries.as_slice() {
            [(key, value)] => Ok((key, value)),
            _ => Err(Error::config("", format!("expected an object with one key, found {} keys", entries.len()))),
        },
        other => Err(other.expected("an object with one key")),
    }
}

/// A field of an object, there or not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field<'n> {
    pub name: &'static str,
    pub node: Option<&'n Node>,
}

impl Field<'_> {
    /// The value, which must be there.
    pub fn required<T>(self, read: impl Fn(&Node) -> Result<T>) -> Result<T> {
        match self.node {
            Some(node) => read(node).map_err(|error| error.under(self.name)),
            None => Err(Error::config("", format!("missing field {:?}", self.name))),
        }
    }

    /// The value, or `default` where the field is missing.
    pub fn or<T>(self, default: T, read: impl Fn(&Node) -> Result<T>) -> Result<T> {
        match self.node {
            Some(_) => self.required(read),
            None => Ok(default),
        }
    }

    /// The value, or `None` where the field is missing or null.
    pub fn optional<T>(self, read: impl Fn(&Node) -> Result<T>) -> Result<Option<T>> {
        match self.node {
            None | Some(Node::Null) => Ok(None),
            Some(_) => self.required(read).map(Some),
        }
    }
}

/// The fields `names` of an object; other keys are ignored, a repeated one is refused.
pub(super) fn object_fields<'n, const N: usize>(node: &'n Node, names: [&'static str; N]) -> Result<[Field<'n>; N]> {
    let Node::Object(entries) = node else { return Err(node.expected("an object")) };
    let mut fields = names.map(|name| Field { name, node: None });
    for (key, value) in entries {
        if let Some(field) = fields.iter_mut().find(|field| field.name == key) {
            if field.node.replace(value).is_some() {
                return Err(Error::config("", format!("repeated field {key:?}")));
            }
        }
    }
    Ok(fields)
}

/// The fields `names` of an object, or of an array that has them in that order and no others.
pub(super) fn fields<'n, const N: usize>(node: &'n Node, names: [&'static str; N]) -> Result<[Field<'n>; N]> {
    let Node::Array(items) = node else { return object_fields(node, names) };
    if items.len() != N {
        return Err(Error::config("", format!("expected the {N} fields {}, found {} values", names.join(", "), items.len())));
    }
    let mut nodes = items.iter();
    Ok(names.map(|name| Field { name, node: nodes.next() }))
}
