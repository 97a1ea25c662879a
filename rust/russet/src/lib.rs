//! Exact and fast tokenizers: everything that a `tokenizer.json` can describe.

pub mod added_tokens;
mod batch;
pub mod decoders;
mod encoding;
mod error;
pub mod formats;
pub mod models;
pub mod normalizers;
pub mod padding;
mod pipeline;
pub mod post_processors;
pub mod pre_tokenizers;
pub mod regex;
mod string_list;
pub mod text;
mod tokenizer;
pub mod truncation;
mod unicode;

pub use batch::thread_count;
pub use encoding::{Encoding, Offsets};
pub use error::{Error, Result};
pub use string_list::StringList;
pub use tokenizer::{EncodeOptions, Input, InputPair, Keep, OnUnknown, Tokenizer, Watch};
