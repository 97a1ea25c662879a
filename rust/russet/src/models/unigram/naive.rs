//! The plain lattice: every token at every place, in the order of their beginnings and lengths; and SentencePiece's own.

use crate::formats::config::UnigramConfig;

/// The tokens of `piece`, or `None` where an unknown token is needed and missing.
pub(super) fn tokenize(config: &UnigramConfig, piece: &str) -> Option<Vec<(u32, usize, usize, bool)>> {
    let id_of = |text: &str| (0..config.pieces.len()).rfind(|&id| config.pieces.get(id) == Some(text));
    let unk_score = config.scores.iter().copied().fold(f64::INFINITY, f64::min) - 10.0;
    let ends = |start: usize| (start + 1..=piece.len()).filter(|&end| piece.is_char_boundary(end));
    // For each place: the sum, the last token's beginning and its id.
    let mut best: Vec<Option<(f64, usize, usize)>> = vec![None; piece.len() + 1];
    for start in (0..piece.len()).filter(|&start| piece.is_char_boundary(start)) {
        let sum = best[start].map_or(0.0, |place| place.0);
        let mut offer = |end: usize, score: f64, id: Option<usize>| {
            if best[end].is_none_or(|place| sum + score > place.0) {
                best[end] = Some((sum + score, start, id?));
            }
            Some(())
        };
        for end in ends(start) {
            if let Some(id) = id_of(&piece[start..end]) {
                offer(end, config.scores[id], Some(id));
            }
        }
        let next = ends(start).next()?;
        if id_of(&piece[start..next]).is_none() {
            offer(next, unk_score, config.unk_id)?;
        }
    }
    let mut path = Vec::new();
    let mut end = piece.len();
    while end > 0 {
        let (_, start, id) = best[end]?;
        match path.last_mut() {
            Some((first, _, true)) if Some(id) == config.unk_id => *first = start,
            _ => path.push((start, end, Some(id) == config.unk_id)),
        }
        end = start;
    }
    let mut tokens = Vec::new();
    for (start, end, _) in path.into_iter().rev() {
        let text = &piece[start..end];
        let byte_ids: Option<Vec<usize>> = text.bytes().map(|byte| id_of(&format!("<0x{byte:02X}>"))).collect();
        match (id_of(text), byte_ids) {
            (Some(id), _) => tokens.push((id as u32, start, end, true)),
            (None, Some(ids)) if config.byte_fallback => tokens.extend(ids.iter().map(|&id| (id as u32, start, end, false))),
            _ => tokens.push((config.unk_id? as u32, start, end, true)),
        }
    }
    Some(tokens)
}

/// The tokens of `piece` by SentencePiece's `EncodeOptimized`, step by step, with bytes or one unknown token for a run of unknown
/// characters. The unknown piece must be there.
pub(super) fn tokenize_sentencepiece(config: &UnigramConfig, piece: &str) -> Option<Vec<(u32, usize, usize, bool)>> {
    let rules = config.sentencepiece.as_ref()?;
    let is_found = |id: u32| !rules.reserved.contains(&id) && !rules.unused.contains(&id);
    let id_of = |text: &str| (0..config.pieces.len()).rfind(|&id| config.pieces.get(id) == Some(text));
    let unk_id = config.unk_id?;
    // For each place: the sum, the last token's beginning and its id.
    let mut best: Vec<Option<(f32, usize, usize)>> = vec![None; piece.len() + 1];
    let mut frontier = 0;
    for (start, character) in piece.char_indices() {
        let mut sum = best[start].map_or(0.0, |place| place.0);
        if sum.abs() > 100_000.0 {
            best[start..=frontier].iter_mut().flatten().for_each(|place| place.0 -= sum);
            sum = 0.0;
        }
        let mut offer = |end: usize, score: f32, id: usize| {
            frontier = frontier.max(end);
            if best[end].is_none_or(|place| sum + score > place.0) {
                best[end] = Some((sum + score, start, id));
            }
        };
        let next = start + character.len_utf8();
        let mut has_single = false;
        for end in (next..=piece.len()).filter(|&end| piece.is_char_boundary(end)) {
            if let Some(id) = id_of(&piece[start..end]).filter(|&id| is_found(id as u32)) {
                offer(end, config.scores[id] as f32, id);
                has_single |= end == next;
            }
        }
        if !has_single {
            offer(next, rules.unk_score, unk_id);
        }
    }
    let mut path = Vec::new();
    let mut end = piece.len();
    while end > 0 {
        let (_, start, id) = best[end]?;
        match path.last_mut() {
            Some((first, _, last)) if *last == unk_id && id == unk_id => *first = start,
            _ => path.push((start, end, id)),
        }
        end = start;
    }
    let mut tokens = Vec::new();
    for (start, end, id) in path.into_iter().rev() {
        let byte_ids: Option<Vec<usize>> = piece[start..end].bytes().map(|byte| id_of(&format!("<0x{byte:02X}>"))).collect();
        match byte_ids.filter(|_| id == unk_id && config.byte_fallback) {
            Some(ids) => tokens.extend(ids.iter().map(|&id| (id as u32, start, end, false))),
            None => tokens.push((id as u32, start, end, true)),
        }
    }
    Some(tokens)
}
