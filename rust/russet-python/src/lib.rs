//! The Python binding of russet.
