//! BPE as the rule says, over maps: once as "merge the best pair until there is none", once with the reference's queue, in which
//! an outdated entry is one whose pair has another new id.

use crate::formats::config::BpeConfig;
use std::collections::HashMap;

type Symbols = Vec<(u32, usize)>;
type Tokens = Vec<(u32, usize, usize, bool)>;

struct Tables<'a> {
    ids: HashMap<&'a str, u32>,
    merges: HashMap<(u32, u32), (usize, u32)>,
}

fn tables(config: &BpeConfig) -> Tables<'_> {
    let ids: HashMap<&str, u32> = config.vocab.tokens.iter().zip(config.vocab.ids.iter().copied()).collect();
    let prefix = config.continuing_subword_prefix.as_deref().unwrap_or_default().len();
    let parts: Vec<&str> = config.merges.iter().collect();
    let pairs = parts.chunks_exact(2).enumerate();
    let merges = pairs
        .map(|(rank, pair)| ((ids[pair[0]], ids[pair[1]]), (rank, ids[format!("{}{}", pair[0], &pair[1][prefix..]).as_str()])));
    Tables { merges: merges.collect(), ids }
}

/// The symbols before any merge, or `None` where the unknown token is needed and missing.
fn symbols(config: &BpeConfig, ids: &HashMap<&str, u32>, piece: &str) -> Option<Symbols> {
    let mut symbols = Vec::new();
    let mut pending: Option<(u32, usize)> = None;
    for (start, character) in piece.char_indices() {
        let bytes = character.len_utf8();
        let mut text = character.to_string();
        if start > 0 {
            text = config.continuing_subword_prefix.clone().unwrap_or_default() + &text;
        }
        if start + bytes == piece.len() {
            text += config.end_of_word_suffix.as_deref().unwrap_or_default();
        }
        let fallback =
            || text.bytes().map(|byte| ids.get(format!("<0x{byte:02X}>").as_str()).map(|&id| (id, 1))).collect::<Option<Symbols>>();
        if let Some(&id) = ids.get(text.as_str()) {
            symbols.extend(pending.take());
            symbols.push((id, bytes));
        } else if let Some(fallback) = fallback().filter(|_| config.byte_fallback) {
            symbols.extend(fallback);
        } else if let Some(unk_token) = &config.unk_token {
            match &mut pending {
                Some(pending) if config.fuse_unk => pending.1 += bytes,
                _ => {
                    symbols.extend(pending.take());
                    pending = Some((*ids.get(unk_token.as_str())?, bytes));
                }
            }
        }
    }
    symbols.extend(pending);
    Some(symbols)
}

fn whole(config: &BpeConfig, ids: &HashMap<&str, u32>, piece: &str) -> Option<Tokens> {
    let id = *ids.get(piece).filter(|_| config.ignore_merges && !piece.is_empty())?;
    Some(vec![(id, 0, piece.len(), true)])
}

fn finish(symbols: Symbols) -> Tokens {
    let mut start = 0;
    let token = |(id, bytes)| {
        start += bytes;
        (id, start - bytes, start, false)
    };
    symbols.into_iter().map(token).collect()
}

/// The tokens of `piece`: always the pair of the lowest rank, the leftmost of equals.
pub(super) fn by_rank(config: &BpeConfig, piece: &str) -> Option<Tokens> {
    let Tables { ids, merges } = tables(config);
    if let Some(tokens) = whole(config, &ids, piece) {
        return Some(tokens);
    }
    let mut symbols = symbols(config, &ids, piece)?;
    let best = |symbols: &Symbols| {
        let pairs = symbols.windows(2).enumerate();
        pairs.filter_map(|(index, pair)| merges.get(&(pair[0].0, pair[1].0)).map(|&(rank, id)| (rank, index, id))).min()
    };
    while let Some((_, index, id)) = best(&symbols) {
        symbols[index] = (id, symbols[index].1 + symbols[index + 1].1);
        symbols.remove(index + 1);
    }
    Some(finish(symbols))
}

/// The tokens of `piece`, as a queue gives them whose entries are outdated if their pair has another new id.
pub(super) fn by_queue(config: &BpeConfig, piece: &str) -> Option<Tokens> {
    let Tables { ids, merges } = tables(config);
    if let Some(tokens) = whole(config, &ids, piece) {
        return Some(tokens);
    }
    // Each symbol with the place where it began.
    let mut symbols: Vec<(usize, (u32, usize))> = symbols(config, &ids, piece)?.into_iter().enumerate().collect();
    let mut entries = Vec::new();
    let offer = |entries: &mut Vec<(usize, usize, u32)>, symbols: &[(usize, (u32, usize))], index: usize| {
        if let Some([left, right]) = symbols.get(index..index + 2) {
            if let Some(&(rank, id)) = merges.get(&(left.1 .0, right.1 .0)) {
                entries.push((rank, left.0, id));
            }
        }
    };
    for index in 0..symbols.len() {
        offer(&mut entries, &symbols, index);
    }
    while let Some(&top) = entries.iter().min() {
        let position = entries.iter().position(|&entry| entry == top).unwrap();
        entries.remove(position);
        let Some(index) = symbols.iter().position(|symbol| symbol.0 == top.1) else { continue };
        let Some(&(_, right)) = symbols.get(index + 1) else { continue };
        let left = symbols[index].1;
        if merges.get(&(left.0, right.0)).is_none_or(|merge| merge.1 != top.2) {
            continue;
        }
        symbols[index].1 = (top.2, left.1 + right.1);
        symbols.remove(index + 1);
        offer(&mut entries, &symbols, index);
        if index > 0 {
            offer(&mut entries, &symbols, index - 1);
        }
    }
    Some(finish(symbols.into_iter().map(|symbol| symbol.1).collect()))
}
