//! The plain lattice: every token at every place, in the order of their beginnings and lengths.

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
