"""Text that others wrote, made harmless for terminals, XML and whoever reads it."""

import re

COLOUR_CODES = re.compile(r"\x1b\[[0-9;]*m")
# Control characters, with which text could move the cursor or worse (also the C1 set, where one
# character begins a command); those that reverse the order of letters; lone surrogates.
_UNSEEN = re.compile(
    "[^\t\n\u0020-\u007e\u00a0-\u2029\u202f-\u2065\u206a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
)


def plain(text):
    """Text without colours and without what neither XML, UTF-8 nor a terminal should get."""
    text = COLOUR_CODES.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    return _UNSEEN.sub("", text)
