"""What the chapters of *Classic ConvNets, Hands-On* import.

Start at `course_utils.data` (loaders), `course_utils.training.trainer` (`train_ch6`) and
`course_utils.nets` (every network of the course by name).
"""

__version__ = "0.1.0"
