"""`python -m course_utils.commands …` is `course …`: so torch's launcher starts `course train`."""

import sys

from course_utils.commands.cli import main

sys.exit(main())
