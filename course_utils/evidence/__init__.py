"""Evidence for what chapters say: recorded experiments, and claims beside their control."""

from course_utils.evidence.claim import claim
from course_utils.evidence.experiment import evidence

__all__ = ["claim", "evidence"]
