//! Post-processors: the special tokens around a sequence or a pair.
