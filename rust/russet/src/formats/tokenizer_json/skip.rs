//! Values of no interest: read in full, so that a broken one is found, and kept nowhere.
//!
//! serde's own `IgnoredAny` does not count nesting in serde_json and does not look at numbers or escapes; this does.

use super::node::Node;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// The visitor's methods for the values that are neither text nor nested, all with the same result; `$kind` names what was found.
macro_rules! visit_scalars {
    ($value:ty: $kind:pat => $result:expr) => {
        fn visit_unit<E>(self) -> std::result::Result<$value, E> {
            let $kind = "null";
            Ok($result)
        }

        fn visit_bool<E>(self, _: bool) -> std::result::Result<$value, E> {
            let $kind = "a boolean";
            Ok($result)
        }

        fn visit_u64<E>(self, _: u64) -> std::result::Result<$value, E> {
            let $kind = "a number";
            Ok($result)
        }

        fn visit_i64<E>(self, _: i64) -> std::result::Result<$value, E> {
            let $kind = "a number";
            Ok($result)
        }

        fn visit_f64<E>(self, _: f64) -> std::result::Result<$value, E> {
            let $kind = "a number";
            Ok($result)
        }
    };
}
pub(super) use visit_scalars;

/// Reads any value and drops it.
#[derive(Clone, Copy)]
pub(super) struct Skip;

/// Reads any value; arrays and objects come back empty.
#[derive(Clone, Copy)]
pub(super) struct Scalar;

impl<'de> DeserializeSeed<'de> for Skip {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Skip {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a JSON value")
    }

    visit_scalars!((): _ => ());

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while map.next_key_seed(self)?.is_some() {
            map.next_value_seed(self)?;
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Scalar {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Scalar {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Unsigned(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Signed(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Node, A::Error> {
        Skip.visit_seq(items)?;
        Ok(Node::Array(Vec::new()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Node, A::Error> {
        Skip.visit_map(map)?;
        Ok(Node::Object(Vec::new()))
    }
}
