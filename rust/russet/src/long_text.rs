//! Long texts on several threads.
//!
//! A long text is divided at cuts ([`Places`]) into parts of about 64 to 128 KiB. The threads take one part after the other, so a
//! part that takes longer holds up no other, and the ids of the parts, end to end, are those of the text. The extra work is one
//! search for each cut and one copy of the ids, some thousandths of the whole.
//!
//! The wrong choice for texts without cuts near where a part should end: such a part just becomes longer.

use crate::batch;
use crate::cached::IdSink;
use crate::cuts::{Begin, Places};
use crate::pipeline;
use crate::tokenizer::{Core, Input, Watch};
use crate::Result;

/// Shorter texts are not divided: two threads would gain less than the start of one costs when all is in the caches.
const LONG_TEXT_BYTES: usize = 1 << 18;

/// A part is not shorter than this, but for the last of its text.
const MIN_PART_BYTES: usize = 1 << 16;

/// A part is not longer than this if there is a cut.
const MAX_PART_BYTES: usize = 1 << 17;

/// How many parts each thread gets at least, where they do not become too short.
const PARTS_PER_THREAD: usize = 8;

/// The longest part whose pieces have 32-bit ends.
const MAX_SCANNED_BYTES: usize = u32::MAX as usize;

impl Input<'_> {
    /// Whether more than one thread may work on this.
    pub(crate) fn is_long(&self) -> bool {
        matches!(self, Input::Text(text) if text.len() >= LONG_TEXT_BYTES)
    }
}

/// How many threads are to work on the parts of the long texts of `core`, if any is long.
pub(crate) fn threads(core: &Core, is_any_long: bool) -> usize {
    if is_any_long && Places::of(core).has_cuts() {
        batch::thread_count()
    } else {
        1
    }
}

/// A part of a text: which text it is of, and what it is.
struct Part<'t> {
    text_index: usize,
    text: &'t str,
    begin: Begin,
}

/// Appends the parts of a text, which are at least `part_bytes` long but for the last.
fn divide<'t>(places: Places<'_>, text: &'t str, begin: Begin, part_bytes: usize, text_index: usize, parts: &mut Vec<Part<'t>>) {
    let first_part = parts.len();
    let (mut start, mut part_begin) = (0, begin);
    while let Some(cut) = places.first_cut(text, start + part_bytes) {
        parts.push(Part { text_index, text: &text[start..cut], begin: part_begin });
        (start, part_begin) = (cut, Begin::Inside);
    }
    parts.push(Part { text_index, text: &text[start..], begin: part_begin });
    if parts[first_part..].iter().any(|part| part.text.len() > MAX_SCANNED_BYTES) {
        // Only the whole is worked out in one way however long it is.
        parts.truncate(first_part);
        parts.push(Part { text_index, text, begin });
    }
}

/// The ids of each of the texts, or their number, without special tokens: a list of those of its parts.
pub(crate) fn ids<S: IdSink + Send>(
    core: &Core,
    texts: &[&str],
    begin: Begin,
    split_special_tokens: bool,
    threads: usize,
    watch: Option<&dyn Watch>,
) -> Result<Vec<Vec<S>>> {
    let bytes: usize = texts.iter().map(|text| text.len()).sum();
    let part_bytes = (bytes / (threads * PARTS_PER_THREAD)).clamp(MIN_PART_BYTES, MAX_PART_BYTES);
    ids_of_parts(core, texts, begin, split_special_tokens, threads, part_bytes, watch)
}

fn ids_of_parts<S: IdSink + Send>(
    core: &Core,
    texts: &[&str],
    begin: Begin,
    split_special_tokens: bool,
    threads: usize,
    part_bytes: usize,
    watch: Option<&dyn Watch>,
) -> Result<Vec<Vec<S>>> {
    let places = Places::of(core);
    let mut parts = Vec::new();
    for (text_index, text) in texts.iter().enumerate() {
        divide(places, text, begin, part_bytes, text_index, &mut parts);
    }
    let work = |first: usize, _: usize| {
        watch.map_or(Ok(()), Watch::check)?;
        let Part { text, begin, .. } = parts[first];
        let mut ids = pipeline::ids_of_text::<S>(core, text, begin, split_special_tokens, watch)?;
        ids.shrink();
        Ok(ids)
    };
    let mut ids: Vec<Vec<S>> = texts.iter().map(|_| Vec::new()).collect();
    for (part, ids_of_part) in parts.iter().zip(batch::share(parts.len(), 1, threads, &work)?) {
        ids[part.text_index].push(ids_of_part);
    }
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cuts::tests::{fixtures, parts, text_for};
    use crate::{EncodeOptions, Error, Tokenizer};
    use proptest::prelude::*;

    fn whole(tokenizer: &Tokenizer, text: &str) -> Option<Vec<u32>> {
        pipeline::ids_of_text(&tokenizer.core, text, Begin::Input, false, None).ok()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn parts_have_the_ids_of_the_whole(parts in parts(0..40), part_bytes in 1usize..60) {
            for (name, tokenizer) in fixtures().iter().filter(|(_, tokenizer)| !tokenizer.core.model.is_random()) {
                let text = text_for(tokenizer, &parts);
                let texts = [text.as_str(), "the mill"];
                let ids = ids_of_parts::<Vec<u32>>(&tokenizer.core, &texts, Begin::Input, false, 1, part_bytes, None);
                let ids = ids.ok().map(|ids| ids.into_iter().map(|parts| parts.concat()).collect::<Vec<_>>());
                let expected: Option<Vec<_>> = texts.iter().map(|text| whole(tokenizer, text)).collect();
                prop_assert_eq!(ids, expected, "{} {:?}", name, text);
                let counts = ids_of_parts::<usize>(&tokenizer.core, &texts[..1], Begin::Input, false, 2, part_bytes, None);
                let count = counts.ok().map(|counts| counts.into_iter().flatten().sum::<usize>());
                prop_assert_eq!(count, whole(tokenizer, &text).map(|ids| ids.len()), "{} {:?}", name, text);
            }
        }
    }

    #[test]
    fn parts_are_of_the_wanted_length() {
        let (_, tokenizer) = fixtures().iter().find(|(name, _)| name == "bpe-gpt2").unwrap();
        let text = "The mill stands where two rivers meet. ".repeat(30_000);
        let mut parts = Vec::new();
        divide(Places::of(&tokenizer.core), &text, Begin::Input, MIN_PART_BYTES, 0, &mut parts);
        assert!(parts.len() > 16);
        assert!(parts[..parts.len() - 1].iter().all(|part| (MIN_PART_BYTES..MIN_PART_BYTES + 64).contains(&part.text.len())));
        assert_eq!(parts.iter().map(|part| part.text).collect::<String>(), text);
    }

    #[test]
    fn long_texts_of_a_batch_keep_their_places() {
        let text = "The mill stands where two rivers meet, 7 days a week. ".repeat(LONG_TEXT_BYTES / 50);
        for (name, tokenizer) in
            fixtures().iter().filter(|(name, _)| ["bpe-llama3", "wordpiece-bert-uncased"].contains(&name.as_str()))
        {
            let (long, short, words) = (Input::Text(&text), Input::Text("the mill"), Input::Words(&["the", "mill"]));
            let inputs =
                [(short, None), (long, Some(short)), (words, Some(long)), (words, None), (long, None), (short, Some(short))];
            let options = EncodeOptions::default();
            let encodings = tokenizer.encode_batch(&inputs, &options).unwrap();
            for ((first, second), encoding) in inputs.iter().zip(encodings) {
                // One after the other, and with the record of everything, which is not divided.
                assert_eq!(encoding.tokens().unwrap().len(), encoding.len(), "{name}");
                assert_eq!(encoding.ids(), tokenizer.encode(*first, *second, &options).unwrap().ids(), "{name}");
                assert_eq!(encoding.len(), tokenizer.count(*first, *second, &options).unwrap(), "{name}");
            }
        }
    }

    #[test]
    fn the_watch_is_asked_for_each_part() {
        struct Stop;
        impl Watch for Stop {
            fn check(&self) -> Result<()> {
                Err(Error::Interrupted)
            }
        }
        let (_, tokenizer) = fixtures().iter().find(|(name, _)| name == "bpe-gpt2").unwrap();
        let text = "The mill stands. ".repeat(LONG_TEXT_BYTES / 8);
        let result = ids::<Vec<u32>>(&tokenizer.core, &[&text], Begin::Input, false, 2, Some(&Stop));
        assert!(matches!(result, Err(Error::Interrupted)));
    }
}
