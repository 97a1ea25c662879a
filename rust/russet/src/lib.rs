//! Exact and fast tokenizers: everything that a `tokenizer.json` can describe, with the results of Hugging Face's
//! `tokenizers` 0.23.3. And what comes at the other end of a language model: [`sampling`], tokens from logits.
//!
//! A [`Tokenizer`] is read from a file ([`Tokenizer::from_file`] tells the format: tokenizer.json, a SentencePiece model, tiktoken
//! ranks, vocabulary files), compiled once and then shared by any number of threads. [`Tokenizer::encode`] gives an [`Encoding`]:
//! its ids are there at once; tokens, offsets and word ids are computed when first asked for.
//!
//! ```
//! use russet::{EncodeOptions, Input, OnUnknown, Tokenizer};
//!
//! let file = br#"{
//!     "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
//!     "normalizer": {"type": "Lowercase"}, "pre_tokenizer": {"type": "Whitespace"},
//!     "post_processor": null, "decoder": null,
//!     "model": {"type": "WordLevel", "vocab": {"[UNK]": 0, "hello": 1, "world": 2}, "unk_token": "[UNK]"}
//! }"#;
//! let tokenizer = Tokenizer::from_bytes(file)?;
//! let encoding = tokenizer.encode(Input::Text("Hello brave world"), None, &EncodeOptions::default())?;
//! assert_eq!(*encoding.ids(), [1, 0, 2]);
//! assert_eq!(encoding.tokens()?, ["hello", "[UNK]", "world"]);
//! assert_eq!(encoding.offsets()?, [(0, 5), (6, 11), (12, 17)]);
//! assert_eq!(tokenizer.decode(&encoding.ids(), true, OnUnknown::Error)?, "hello [UNK] world");
//! # Ok::<(), russet::Error>(())
//! ```
//!
//! The crate has one folder for each part of a tokenizer file: [`normalizers`], [`pre_tokenizers`], [`models`], [`post_processors`],
//! [`decoders`]; [`formats`] reads and writes the files. Nothing here needs Python, the network or a C compiler.

pub mod added_tokens;
mod batch;
mod cached;
mod compiled;
mod conversation;
mod cuts;
pub mod decoders;
mod decoding;
mod encoding;
mod error;
pub mod formats;
mod hashing;
pub mod kernels;
mod lanes;
mod long_text;
mod memory;
pub mod mlmodel;
pub mod models;
pub mod normalizers;
pub mod padding;
mod piece_cache;
mod pipeline;
pub mod post_processors;
pub mod pre_tokenizers;
pub mod regex;
pub mod sampling;
mod simd;
mod spare;
mod string_index;
mod string_list;
pub mod text;
mod tokenizer;
pub mod transcode;
pub mod truncation;
mod unicode;
mod vocab;
mod walk;
mod wire;
mod words;

pub use batch::thread_count;
#[doc(hidden)]
pub use compiled::seal as seal_compiled;
pub use conversation::Conversation;
pub use decoding::Tokens;
pub use encoding::{Encoding, Fields, Offsets};
#[doc(hidden)] // for the binding
pub use encoding::{TokenRows, TokenRun};
pub use error::{Error, Result};
#[doc(hidden)] // for the binding
pub use memory::prefetch;
#[doc(hidden)] // for the binding
pub use spare::give_back as give_back_ids;
pub use string_list::StringList;
pub use tokenizer::{EncodeOptions, Input, InputPair, Keep, OnUnknown, PieceToken, Tokenizer, Watch};
