"""For those who publish the course: the `course` command and what stands behind it."""

import sys

# jsonschema, which nbformat imports, uses this package if it is there, to check a kind of address
# that no notebook has. Importing it compiles a grammar: 1.2 s of every chapter's process.
sys.modules.setdefault("rfc3987_syntax", None)
