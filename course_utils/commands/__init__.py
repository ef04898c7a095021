"""For those who publish the course: the `course` command and what stands behind it."""

import sys

# JupyterLab's event log brings rfc3987-syntax, and jsonschema, which nbformat and papermill import,
# takes it where it is: to check "iri" addresses, which no notebook and no book.toml has. Its import
# compiles a grammar, which is seven eighths of nbformat's own 3.2 s (measured with rfc3987-syntax
# 1.1, jsonschema 4.26), in every chapter's process. With None here the import is refused, and
# jsonschema leaves that check out, as it does where the package is not installed.
sys.modules.setdefault("rfc3987_syntax", None)
