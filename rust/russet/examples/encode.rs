//! Tokenizes texts and prints what comes out.
//!
//! ```text
//! cargo run --package russet --example encode -- tests/data/tokenizers/bpe-gpt2.json "Where two rivers meet" "é"
//! ```

use russet::{EncodeOptions, Input, OnUnknown, Tokenizer};
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(path) = arguments.next() else {
        eprintln!("usage: encode FILE [TEXT ...]");
        return ExitCode::from(2);
    };
    let texts: Vec<String> = arguments.collect();
    match show(&path, &texts) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("encode: {error}");
            ExitCode::FAILURE
        }
    }
}

fn show(path: &str, texts: &[String]) -> russet::Result<()> {
    let tokenizer = Tokenizer::from_file(path)?;
    println!("{path}: {} tokens", tokenizer.vocab_size(true));
    for text in texts {
        // Ids are computed here; tokens and offsets by the calls that ask for them.
        let encoding = tokenizer.encode(Input::Text(text), None, &EncodeOptions::default())?;
        println!("\n{text:?}");
        for ((id, token), (start, end)) in encoding.ids().iter().zip(encoding.tokens()?).zip(encoding.byte_offsets()?) {
            println!("{id:>8}  {:<24} {:?}", format!("{token:?}"), text.get(start..end).unwrap_or_default());
        }
        println!("decoded: {:?}", tokenizer.decode(&encoding.ids(), true, OnUnknown::Error)?);
    }
    Ok(())
}
