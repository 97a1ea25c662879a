//! A bounded reader of the protobuf wire format, for SentencePiece and Core ML models.
//!
//! A message is read field by field from a slice that is already in memory: lengths are checked against what is there, nothing
//! is allocated, and nesting is the caller's (a nested message is a field's bytes, read with a reader of its own). Groups, which
//! no current format uses, are refused. O(bytes). The wrong choice where unknown fields must be written back.

use crate::{Error, Result};

/// The value of a field, by its wire type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value<'b> {
    /// Integers, enumerations, booleans.
    Varint(u64),
    /// `fixed64`, `double`.
    Fixed64([u8; 8]),
    /// Strings, bytes, nested messages, packed lists.
    Bytes(&'b [u8]),
    /// `fixed32`, `float`.
    Fixed32([u8; 4]),
}

/// A field: its number and value, and where it begins in the file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Field<'b> {
    pub number: u32,
    pub value: Value<'b>,
    pub offset: usize,
    /// Where the bytes of a [`Value::Bytes`] begin in the file.
    pub bytes_offset: usize,
}

/// Reads the fields of a message in order.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'b> {
    bytes: &'b [u8],
    position: usize,
    /// Where `bytes` begins in the file, for messages.
    base: usize,
}

impl<'b> Reader<'b> {
    /// A reader of the message `bytes`, which begins at `base` in the file.
    pub fn new(bytes: &'b [u8], base: usize) -> Self {
        Self { bytes, position: 0, base }
    }

    /// The next field, or `None` at the end.
    pub fn next(&mut self) -> Result<Option<Field<'b>>> {
        if self.position == self.bytes.len() {
            return Ok(None);
        }
        let offset = self.base + self.position;
        let key = self.varint()?;
        let number = u32::try_from(key >> 3).ok().filter(|number| (1..1 << 29).contains(number));
        let number = number.ok_or_else(|| fault(offset, "there is no field with this number"))?;
        let mut bytes_offset = offset;
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(self.array()?),
            2 => {
                let length = self.varint()?;
                bytes_offset = self.base + self.position;
                Value::Bytes(self.take(length)?)
            }
            5 => Value::Fixed32(self.array()?),
            kind => return Err(fault(offset, &format!("wire type {kind} is not supported"))),
        };
        Ok(Some(Field { number, value, offset, bytes_offset }))
    }

    fn varint(&mut self) -> Result<u64> {
        let start = self.position;
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            let bits = u64::from(byte & 0x7F);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(fault(self.base + start, "a number has more than 64 bits"))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let rest = self.bytes.get(self.position..).unwrap_or_default();
        let array = rest.first_chunk().copied().ok_or_else(|| self.too_short(N as u64))?;
        self.position += N;
        Ok(array)
    }

    fn take(&mut self, length: u64) -> Result<&'b [u8]> {
        let rest = self.bytes.get(self.position..).unwrap_or_default();
        let taken = usize::try_from(length).ok().and_then(|length| rest.get(..length)).ok_or_else(|| self.too_short(length))?;
        self.position += taken.len();
        Ok(taken)
    }

    fn too_short(&self, length: u64) -> Error {
        let there = self.bytes.len() - self.position;
        fault(self.base + self.position, &format!("{length} bytes are announced, and {there} are there"))
    }
}

/// The error at a byte of the file.
pub(crate) fn fault(offset: usize, message: &str) -> Error {
    Error::config(format!("byte {offset}"), message)
}

impl<'b> Field<'b> {
    /// The error that the field has another type than it should.
    fn wrong_type(&self, expected: &str) -> Error {
        fault(self.offset, &format!("field {} is not {expected}", self.number))
    }

    /// A nested message.
    pub fn message(&self) -> Result<Reader<'b>> {
        Ok(Reader::new(self.bytes()?, self.bytes_offset))
    }

    /// Bytes.
    pub fn bytes(&self) -> Result<&'b [u8]> {
        match self.value {
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err(self.wrong_type("a sequence of bytes")),
        }
    }

    /// A string.
    pub fn string(&self) -> Result<&'b str> {
        let bytes = self.bytes()?;
        std::str::from_utf8(bytes).map_err(|error| fault(self.bytes_offset + error.valid_up_to(), "a string is not UTF-8"))
    }

    /// A `float`.
    pub fn float(&self) -> Result<f32> {
        match self.value {
            Value::Fixed32(bytes) => Ok(f32::from_le_bytes(bytes)),
            _ => Err(self.wrong_type("a float")),
        }
    }

    /// An `int32` or an enumeration, which are written with their sign extended to 64 bits.
    pub fn int32(&self) -> Result<i32> {
        match self.value {
            Value::Varint(value) => Ok(value as i32),
            _ => Err(self.wrong_type("an integer")),
        }
    }

    /// An `int64` or a `uint64`, the same bits.
    pub fn bits64(&self) -> Result<u64> {
        match self.value {
            Value::Varint(value) => Ok(value),
            _ => Err(self.wrong_type("an integer")),
        }
    }

    /// Appends the elements of a repeated field of integers, packed or one by one.
    pub fn integers<T>(&self, list: &mut Vec<T>, convert: impl Fn(u64) -> T) -> Result<()> {
        if let Value::Varint(value) = self.value {
            list.push(convert(value));
            return Ok(());
        }
        let mut reader = self.message()?;
        while reader.position < reader.bytes.len() {
            list.push(convert(reader.varint()?));
        }
        Ok(())
    }

    /// Appends the elements of a repeated field of `float`, packed or one by one.
    pub fn floats(&self, list: &mut Vec<f32>) -> Result<()> {
        self.fixed(list, |value| matches!(value, Value::Fixed32(_)).then(|| self.float()), f32::from_le_bytes)
    }

    /// Appends the elements of a repeated field of `double`, packed or one by one.
    pub fn doubles(&self, list: &mut Vec<f64>) -> Result<()> {
        let single = |value| match value {
            Value::Fixed64(bytes) => Some(Ok(f64::from_le_bytes(bytes))),
            _ => None,
        };
        self.fixed(list, single, f64::from_le_bytes)
    }

    /// Appends numbers of `N` bytes: the one that `single` finds in the value, or those packed in it.
    fn fixed<T, const N: usize>(
        &self,
        list: &mut Vec<T>,
        single: impl Fn(Value<'b>) -> Option<Result<T>>,
        convert: impl Fn([u8; N]) -> T,
    ) -> Result<()> {
        if let Some(number) = single(self.value) {
            list.push(number?);
            return Ok(());
        }
        let (numbers, rest) = self.bytes()?.as_chunks::<N>();
        if !rest.is_empty() {
            return Err(fault(self.bytes_offset, &format!("a list of numbers of {N} bytes has {} bytes too many", rest.len())));
        }
        list.extend(numbers.iter().copied().map(convert));
        Ok(())
    }

    /// A `bool`.
    pub fn boolean(&self) -> Result<bool> {
        match self.value {
            Value::Varint(value) => Ok(value != 0),
            _ => Err(self.wrong_type("a boolean")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(bytes: &[u8]) -> Result<Vec<Field<'_>>> {
        let mut reader = Reader::new(bytes, 100);
        let mut fields = Vec::new();
        while let Some(field) = reader.next()? {
            fields.push(field);
        }
        Ok(fields)
    }

    #[test]
    fn reads_each_wire_type() {
        let bytes = b"\x08\x96\x01\x12\x03abc\x1D\x00\x00\x80\x3F\x21\x01\x02\x03\x04\x05\x06\x07\x08";
        let fields = all(bytes).expect("a valid message");
        let values: Vec<(u32, Value<'_>)> = fields.iter().map(|field| (field.number, field.value)).collect();
        assert_eq!(
            values,
            [
                (1, Value::Varint(150)),
                (2, Value::Bytes(b"abc")),
                (3, Value::Fixed32([0, 0, 0x80, 0x3F])),
                (4, Value::Fixed64([1, 2, 3, 4, 5, 6, 7, 8])),
            ]
        );
        assert_eq!(fields.get(1).map(|field| (field.offset, field.bytes_offset)), Some((103, 105)));
        assert_eq!(fields.get(2).and_then(|field| field.float().ok()), Some(1.0));
    }

    #[test]
    fn negative_integers_have_ten_bytes() {
        let fields = all(b"\x08\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01").expect("a valid message");
        assert_eq!(fields.first().and_then(|field| field.int32().ok()), Some(-1));
    }

    #[test]
    fn refuses_what_is_not_there() {
        let broken: [&[u8]; 7] = [
            b"\x08",
            b"\x0A\x05abcd",
            b"\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01",
            b"\x08\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x02",
            b"\x0D\x00\x00\x00",
            b"\x0B",
            b"\x02\x00",
        ];
        for bytes in broken {
            assert!(matches!(all(bytes), Err(Error::Config { place, .. }) if place.starts_with("byte 1")), "{bytes:?}");
        }
    }

    #[test]
    fn names_a_wrong_type() {
        let fields = all(b"\x08\x01\x12\x02\xC3\x28").expect("a valid message");
        let [number, text] = fields.as_slice() else { panic!("expected two fields") };
        assert!(number.bytes().is_err() && number.float().is_err() && text.int32().is_err() && text.boolean().is_err());
        assert_eq!(text.string().map_err(|error| error.to_string()), Err("byte 104: a string is not UTF-8".to_owned()));
    }

    #[test]
    fn lists_are_packed_or_not() {
        let fields = all(b"\x08\x01\x0A\x03\x02\xAC\x02\x0D\x00\x00\x80\x3F\x0A\x08\x00\x00\x80\x3F\x00\x00\x00\x40\x0A\x01\x80");
        let fields = fields.expect("a valid message");
        let [one, packed, float, floats, broken] = fields.as_slice() else { panic!("expected five fields") };
        let mut integers = Vec::new();
        one.integers(&mut integers, |value| value).expect("an integer");
        packed.integers(&mut integers, |value| value).expect("integers");
        assert_eq!(integers, [1, 2, 300]);
        let mut numbers = Vec::new();
        float.floats(&mut numbers).expect("a float");
        floats.floats(&mut numbers).expect("floats");
        assert_eq!(numbers, [1.0, 1.0, 2.0]);
        let mut doubles = Vec::new();
        floats.doubles(&mut doubles).expect("eight bytes");
        assert_eq!(doubles, [f64::from_le_bytes([0, 0, 0x80, 0x3F, 0, 0, 0, 0x40])]);
        assert!(broken.integers(&mut integers, |value| value).is_err() && broken.floats(&mut numbers).is_err());
        assert!(one.floats(&mut numbers).is_err() && matches!(one.bits64(), Ok(1)));
    }

    proptest! {
        #[test]
        fn never_panics_and_always_ends(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(fields) = all(&bytes) {
                prop_assert!(fields.len() * 2 <= bytes.len());
            }
        }
    }
}
