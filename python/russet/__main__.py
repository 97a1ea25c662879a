"""``python -m russet``."""

import sys

from russet.cli import main

sys.exit(main())
