//! The way without vectors, which compilers turn into some: runs of ASCII are narrowed 16 characters at a time.

use super::{NotACharacter, Unit};

const RUN: usize = 16;

/// Appends characters up to the first that is none.
pub(super) fn append<U: Unit>(units: &[U], text: &mut String) -> Result<(), NotACharacter> {
    let mut start = 0;
    for run in units.chunks(RUN) {
        let mut bytes = [0; RUN];
        let mut all = U::default();
        for (byte, unit) in bytes.iter_mut().zip(run) {
            all = all | *unit;
            *byte = unit.low_byte();
        }
        let narrowed = bytes.get(..run.len()).filter(|_| all.into() < 0x80).and_then(|ascii| std::str::from_utf8(ascii).ok());
        if let Some(ascii) = narrowed {
            text.push_str(ascii);
        } else {
            for (index, unit) in (start..).zip(run) {
                text.push(char::from_u32((*unit).into()).ok_or(NotACharacter { index })?);
            }
        }
        start += RUN;
    }
    Ok(())
}
