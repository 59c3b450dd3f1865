"""What the tests of plugins share."""

from tests.extending.packages import install

__all__ = ["install"]
