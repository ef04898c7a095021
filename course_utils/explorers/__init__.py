"""Explorers: pieces of a page to play with, in a notebook as in the book, without a kernel.

Each function returns an object that a notebook shows. Its script comes with it, from the .js files
of this folder: shared.js for all, and one for each explorer.
"""

from course_utils.explorers.block import explore_block
from course_utils.explorers.budget import explore_budget
from course_utils.explorers.channels import explore_channels
from course_utils.explorers.columns import explore_columns
from course_utils.explorers.curves import explore_history
from course_utils.explorers.depth import explore_depth
from course_utils.explorers.field import explore_receptive_field
from course_utils.explorers.network import explore_network
from course_utils.explorers.ring import explore_ring
from course_utils.explorers.stack import explore_stack
from course_utils.explorers.window import explore_window

__all__ = [
    "explore_block",
    "explore_budget",
    "explore_channels",
    "explore_columns",
    "explore_depth",
    "explore_history",
    "explore_network",
    "explore_receptive_field",
    "explore_ring",
    "explore_stack",
    "explore_window",
]
