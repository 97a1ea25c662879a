"""Russet inside other packages: each module is for the package of its name, and imports it."""
