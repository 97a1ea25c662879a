"""What an examination found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    ``check``: files, ids, special tokens, merges, chat template or stages. ``place``: the file and the field, or the reference
    that differs. ``details``: for stages, what a program may want to know: stages, text, the first difference, saved forms.
    """

    check: str
    place: str
    message: str
    details: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.check}: {self.place}: {self.message}"


@dataclass
class Report:
    """What was found, what is only worth knowing, and with what the tokenizer was compared on how many texts."""

    path: str
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    references: list[str] = field(default_factory=list)
    texts: int = 0

    def found(self, check: str, place: str, message: str, **details: Any) -> None:
        """Adds a finding."""
        self.findings.append(Finding(check, place, message, details))

    def plain(self) -> dict[str, Any]:
        """The report in lists and dictionaries."""
        findings = [{"check": each.check, "place": each.place, "message": each.message, **each.details} for each in self.findings]
        return {
            "path": self.path,
            "findings": findings,
            "notes": self.notes,
            "compared_with": self.references,
            "texts": self.texts,
        }


def listed(items: list[str], most: int = 3) -> str:
    """The first few of many, and how many there are."""
    shown = ", ".join(items[:most])
    return shown if len(items) <= most else f"{shown} and {len(items) - most} more"
