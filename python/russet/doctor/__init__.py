"""Finds what is wrong with a tokenizer's folder, and which stage of it differs from other packages: ``russet doctor PATH``.

    >>> from russet.doctor import examine
    >>> report = examine("folder")                                      # doctest: +SKIP
    >>> for finding in report.findings:                                 # doctest: +SKIP
    ...     print(finding)

``files`` checks what the files say, ``chat`` the chat templates; ``stages`` compares with a reference and names the stage that
differs, with the smallest text that shows it.
"""

from russet.doctor.examination import examine
from russet.doctor.report import Finding, Report
from russet.doctor.stages import Difference, compare

__all__ = ["Difference", "Finding", "Report", "compare", "examine"]
