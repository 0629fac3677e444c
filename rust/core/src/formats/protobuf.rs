//! As much of the protobuf wire format as a `SentencePiece` model needs: fields one after the other, none of them trusted.

use crate::error::{Error, Result};

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'b> {
    /// An integer, an enum or a bool.
    Varint(u64),
    /// Eight bytes.
    Fixed64,
    /// Text, bytes or a message.
    Bytes(&'b [u8]),
    /// Four bytes, little end first.
    Fixed32([u8; 4]),
}

/// A message, read field by field.
#[derive(Clone, Debug)]
pub(super) struct Message<'b> {
    rest: &'b [u8],
    /// Where `rest` begins in the file.
    position: usize,
}

impl<'b> Message<'b> {
    /// A message that is a whole file.
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        Self { rest: bytes, position: 0 }
    }

    /// The message in a field's bytes, which end where this reader stands.
    pub(super) fn inner(&self, bytes: &'b [u8]) -> Self {
        Self { rest: bytes, position: self.position - bytes.len() }
    }

    /// The next field's number and value.
    ///
    /// # Errors
    /// [`Error::Protobuf`] where the message ends early or is none.
    pub(super) fn next_field(&mut self) -> Result<Option<(u64, Value<'b>)>> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => {
                self.take(8)?;
                Value::Fixed64
            }
            2 => {
                let len = self.varint()?;
                Value::Bytes(self.take(usize::try_from(len).unwrap_or(usize::MAX))?)
            }
            5 => Value::Fixed32(self.take(4)?.try_into().expect("four bytes")),
            kind => return Err(self.fail(format!("unknown wire type {kind}"))),
        };
        if key >> 3 == 0 {
            return Err(self.fail("field number 0".to_owned()));
        }
        Ok(Some((key >> 3, value)))
    }

    /// A field that must be text.
    ///
    /// # Errors
    /// [`Error::Protobuf`] where it is not.
    pub(super) fn text(&self, value: Value<'b>) -> Result<&'b str> {
        match value {
            Value::Bytes(bytes) => {
                std::str::from_utf8(bytes).map_err(|_| self.fail("text that is not UTF-8".to_owned()))
            }
            _ => Err(self.fail("expected text".to_owned())),
        }
    }

    fn varint(&mut self) -> Result<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.fail("an integer of more than ten bytes".to_owned()))
    }

    fn take(&mut self, len: usize) -> Result<&'b [u8]> {
        let Some((taken, rest)) = self.rest.split_at_checked(len) else {
            return Err(self.fail("ends early".to_owned()));
        };
        self.rest = rest;
        self.position += len;
        Ok(taken)
    }

    fn fail(&self, message: String) -> Error {
        Error::Protobuf { position: self.position, message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_fields_of_all_kinds() {
        let bytes = [0x08, 0xAC, 0x02, 0x12, 0x01, b'a', 0x1D, 0, 0, 0x80, 0x3F, 0x21, 1, 2, 3, 4, 5, 6, 7, 8];
        let mut message = Message::new(&bytes);
        assert_eq!(message.next_field().unwrap(), Some((1, Value::Varint(300))));
        assert_eq!(message.next_field().unwrap(), Some((2, Value::Bytes(b"a"))));
        assert_eq!(message.next_field().unwrap(), Some((3, Value::Fixed32(1.0f32.to_le_bytes()))));
        assert_eq!(message.next_field().unwrap(), Some((4, Value::Fixed64)));
        assert_eq!(message.next_field().unwrap(), None);
    }

    #[test]
    fn refuses_what_is_no_message() {
        for bytes in
            [&[0x08][..], &[0x12, 5, b'a'], &[0x0B], &[0x00, 0], &[0xFF; 12], &[0x12, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F]]
        {
            assert!(matches!(Message::new(bytes).next_field(), Err(Error::Protobuf { .. })), "{bytes:?}");
        }
    }
}
