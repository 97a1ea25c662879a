//! The parts of SentencePiece's `ModelProto` that decide the tokens. Unknown fields are skipped; the checks are SentencePiece's own.

use crate::formats::limits::Limits;
use crate::wire::{fault, Field, Reader};
use crate::{Error, Result};
use std::collections::HashSet;

/// `ModelProto.SentencePiece.Type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PieceKind {
    Normal,
    Unknown,
    Control,
    UserDefined,
    Unused,
    Byte,
}

/// `ModelProto.SentencePiece`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Piece<'b> {
    pub text: &'b str,
    pub score: f32,
    pub kind: PieceKind,
}

/// `TrainerSpec.ModelType`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ModelKind {
    #[default]
    Unigram,
    Bpe,
    Word,
    Char,
}

/// `NormalizerSpec`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct NormalizerSpec<'b> {
    /// Empty if there is none.
    pub charsmap: &'b [u8],
    pub add_dummy_prefix: bool,
    pub remove_extra_whitespaces: bool,
    pub escape_whitespaces: bool,
}

impl Default for NormalizerSpec<'_> {
    fn default() -> Self {
        Self { charsmap: &[], add_dummy_prefix: true, remove_extra_whitespaces: true, escape_whitespaces: true }
    }
}

impl<'b> NormalizerSpec<'b> {
    fn read(&mut self, field: &Field<'b>) -> Result<()> {
        let mut reader = field.message()?;
        while let Some(field) = reader.next()? {
            match field.number {
                2 => self.charsmap = field.bytes()?,
                3 => self.add_dummy_prefix = field.boolean()?,
                4 => self.remove_extra_whitespaces = field.boolean()?,
                5 => self.escape_whitespaces = field.boolean()?,
                _ => {}
            }
        }
        Ok(())
    }
}

/// `ModelProto`, with the fields of `TrainerSpec` that matter.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ModelFile<'b> {
    /// By id.
    pub pieces: Vec<Piece<'b>>,
    pub kind: ModelKind,
    pub byte_fallback: bool,
    pub treat_whitespace_as_suffix: bool,
    /// What unknown pieces decode to.
    pub unk_surface: &'b str,
    pub normalizer: NormalizerSpec<'b>,
    /// What decoded text goes through, if it has a charsmap.
    pub denormalizer: NormalizerSpec<'b>,
}

impl<'b> ModelFile<'b> {
    /// Reads and checks a model.
    pub fn read(bytes: &'b [u8], limits: &Limits) -> Result<Self> {
        limits.check_file(bytes.len() as u64)?;
        let mut file = Self {
            pieces: Vec::new(),
            kind: ModelKind::default(),
            byte_fallback: false,
            treat_whitespace_as_suffix: false,
            unk_surface: " \u{2047} ",
            normalizer: NormalizerSpec::default(),
            denormalizer: NormalizerSpec::default(),
        };
        let mut reader = Reader::new(bytes, 0);
        while let Some(field) = reader.next()? {
            match field.number {
                1 => {
                    let piece = read_piece(&field).map_err(|error| error.under(&format!("pieces[{}]", file.pieces.len())))?;
                    limits.check_token(piece.text.len())?;
                    limits.check_vocabulary("the size of the vocabulary", file.pieces.len() + 1)?;
                    file.pieces.push(piece);
                }
                2 => file.read_trainer_spec(&field).map_err(|error| error.under("trainer_spec"))?,
                3 => file.normalizer.read(&field).map_err(|error| error.under("normalizer_spec"))?,
                5 => file.denormalizer.read(&field).map_err(|error| error.under("denormalizer_spec"))?,
                _ => {}
            }
        }
        if file.byte_fallback {
            // As SentencePiece does, for models from elsewhere that have the character besides its byte.
            file.pieces.iter_mut().filter(|piece| piece.text == "\0").for_each(|piece| piece.kind = PieceKind::Unused);
        }
        file.check()?;
        Ok(file)
    }

    fn read_trainer_spec(&mut self, field: &Field<'b>) -> Result<()> {
        let mut reader = field.message()?;
        while let Some(field) = reader.next()? {
            match field.number {
                3 => {
                    self.kind = match field.int32()? {
                        1 => ModelKind::Unigram,
                        2 => ModelKind::Bpe,
                        3 => ModelKind::Word,
                        4 => ModelKind::Char,
                        other => return Err(fault(field.offset, &format!("there is no model type {other}"))),
                    }
                }
                24 => self.treat_whitespace_as_suffix = field.boolean()?,
                35 => self.byte_fallback = field.boolean()?,
                44 => self.unk_surface = field.string()?,
                _ => {}
            }
        }
        Ok(())
    }

    /// What SentencePiece checks when it loads a model.
    fn check(&self) -> Result<()> {
        let mut texts = HashSet::with_capacity(self.pieces.len());
        let mut bytes = [false; 256];
        let mut unknown = None;
        for (id, piece) in self.pieces.iter().enumerate() {
            let wrong = |message: &str| Err(Error::config(format!("pieces[{id}]"), format!("{:?} {message}", piece.text)));
            let is_unused_nul = piece.text == "\0" && piece.kind == PieceKind::Unused;
            if piece.text.is_empty() || piece.text.contains('\0') && !is_unused_nul {
                return wrong("must have at least one character and no U+0000");
            }
            if !texts.insert(piece.text) {
                return wrong("is the text of two pieces");
            }
            if !piece.score.is_finite() {
                return wrong("has a score that is no number");
            }
            match piece.kind {
                PieceKind::Unknown if unknown.replace(id).is_some() => return wrong("is a second unknown piece"),
                PieceKind::Byte => match byte_of(piece.text).and_then(|byte| bytes.get_mut(usize::from(byte))) {
                    Some(found) if self.byte_fallback => *found = true,
                    Some(_) => return wrong("is a byte, and byte_fallback is off"),
                    None => return wrong("is not the name of a byte, such as <0x0A>"),
                },
                _ => {}
            }
        }
        if unknown.is_none() {
            return Err(Error::config("pieces", "there is no unknown piece"));
        }
        match bytes.iter().position(|found| !found) {
            Some(byte) if self.byte_fallback => {
                Err(Error::config("pieces", format!("byte_fallback is on, and there is no piece <0x{byte:02X}>")))
            }
            _ => Ok(()),
        }
    }
}

fn read_piece<'b>(field: &Field<'b>) -> Result<Piece<'b>> {
    let mut piece = Piece { text: "", score: 0.0, kind: PieceKind::Normal };
    let mut reader = field.message()?;
    while let Some(field) = reader.next()? {
        match field.number {
            1 => piece.text = field.string()?,
            2 => piece.score = field.float()?,
            3 => {
                piece.kind = match field.int32()? {
                    1 => PieceKind::Normal,
                    2 => PieceKind::Unknown,
                    3 => PieceKind::Control,
                    4 => PieceKind::UserDefined,
                    5 => PieceKind::Unused,
                    6 => PieceKind::Byte,
                    other => return Err(fault(field.offset, &format!("there is no piece type {other}"))),
                }
            }
            _ => {}
        }
    }
    Ok(piece)
}

/// The byte that `<0x0A>` and the like name.
fn byte_of(text: &str) -> Option<u8> {
    let byte = u8::from_str_radix(text.strip_prefix("<0x")?.strip_suffix('>')?, 16).ok()?;
    (text == format!("<0x{byte:02X}>")).then_some(byte)
}

/// Whether the bytes begin as a model does: with a piece.
pub(in crate::formats) fn begins_like_a_model(bytes: &[u8]) -> bool {
    let piece = Reader::new(bytes, 0).next().ok().flatten().filter(|field| field.number == 1);
    piece.is_some_and(|field| read_piece(&field).is_ok_and(|piece| !piece.text.is_empty()))
}
