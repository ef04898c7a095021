"""Evidence for what chapters say: recorded experiments, and claims beside their control."""

from course_utils.evidence.claim import claim
from course_utils.evidence.experiment import evidence
from course_utils.evidence.plot import plot_evidence

__all__ = ["claim", "evidence", "plot_evidence"]
