//! One main path of the crate, once, for `benches/instructions.py` to count its instructions under callgrind.
//!
//! ```text
//! paths load|encode|encode-again|count|messages|fields|decode TOKENIZER TEXT
//! ```
//!
//! Only what runs inside [`measured`] is counted; the rest prepares it. The text is encoded whole, so on first sight it is fresh
//! in the sense of `benches/peers.py`: no cache has seen it but what the tokenizer filled while loading.

use russet::{EncodeOptions, Input, Keep, OnUnknown, Tokenizer};
use std::hint::black_box;
use std::process::ExitCode;

const MESSAGE_BYTES: usize = 400;
const MESSAGES: usize = 50;

/// The function that callgrind is told to count in; never inlined, so that it has a name.
#[inline(never)]
fn measured<R>(work: impl FnOnce() -> R) -> R {
    black_box(work())
}

fn messages(text: &str) -> Vec<&str> {
    let mut rest = text;
    let mut messages = Vec::new();
    while messages.len() < MESSAGES && rest.len() > MESSAGE_BYTES {
        let end = (MESSAGE_BYTES..rest.len()).find(|&end| rest.is_char_boundary(end)).unwrap_or(rest.len());
        let (message, after) = rest.split_at(end);
        messages.push(message);
        rest = after;
    }
    messages
}

fn run(what: &str, file: &str, text: &str) -> russet::Result<usize> {
    if what == "load" {
        return measured(|| Tokenizer::from_file(file)).map(|tokenizer| tokenizer.vocab_size(true));
    }
    let tokenizer = Tokenizer::from_file(file)?;
    let options = EncodeOptions { add_special_tokens: false, keep: Keep::Nothing, ..EncodeOptions::default() };
    let ids = |text: &str| tokenizer.encode(Input::Text(text), None, &options).map(|encoding| encoding.ids().len());
    match what {
        "encode" => measured(|| ids(text)),
        "encode-again" => {
            ids(text)?;
            measured(|| ids(text))
        }
        "count" => measured(|| tokenizer.count(Input::Text(text), None, &options)),
        "messages" => {
            let messages = messages(text);
            measured(|| messages.iter().map(|message| ids(message)).sum())
        }
        "fields" => {
            let options = EncodeOptions { add_special_tokens: false, ..EncodeOptions::default() };
            measured(|| {
                let encoding = tokenizer.encode(Input::Text(text), None, &options)?;
                Ok(encoding.tokens()?.len() + encoding.offsets()?.len())
            })
        }
        "decode" => {
            let encoding = tokenizer.encode(Input::Text(text), None, &options)?;
            let ids = encoding.ids();
            measured(|| tokenizer.decode(&ids, true, OnUnknown::Error)).map(|text| text.len())
        }
        _ => Err(russet::Error::Internal(format!("there is no path named {what}"))),
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [what, file, text] = arguments.as_slice() else {
        eprintln!("usage: paths load|encode|encode-again|count|messages|fields|decode TOKENIZER TEXT");
        return ExitCode::from(2);
    };
    let outcome = std::fs::read_to_string(text).map_err(|error| error.to_string());
    match outcome.and_then(|text| run(what, file, &text).map_err(|error| error.to_string())) {
        Ok(size) => {
            println!("{size}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("paths: {error}");
            ExitCode::FAILURE
        }
    }
}
