"""How many faces go through the face network at once: buckets, guessed before the count is known."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from vultus.errors import ModelError

__all__ = ["MEMORY", "BucketPlan", "buckets_within"]

MAX_BATCH = 64
MEMORY = 8
"""Frames whose largest count is the guess for the next: a face that comes and goes costs no second pass."""


def buckets_within(least: int, most: int) -> tuple[int, ...]:
    """Return the batch sizes 1, 2, 4 ... 64 that a network for `least` to `most` pictures takes, ends included.

    Raises ModelError when the range is empty or starts above 64.
    """
    top = min(most, MAX_BATCH)
    if least > top or least < 1:
        raise ModelError(
            f"a face network for {least} to {most} pictures at once cannot be used; at most {MAX_BATCH}"
        )
    powers = {1 << power for power in range(7)}
    return tuple(sorted({size for size in powers if least <= size <= top} | {max(least, 1), top}))


class BucketPlan:
    """Guesses the bucket of the next frame and covers the faces that the guess left out."""

    def __init__(self, buckets: tuple[int, ...]) -> None:
        self.buckets = buckets
        self._counts: deque[int] = deque([1], MEMORY)

    def saw(self, count: int) -> None:
        """Remember how many faces a frame had."""
        self._counts.append(count)

    def guess(self) -> int:
        """Return the bucket for a frame whose count is not known; 0 when no frame of late had a face."""
        expected = max(self._counts)
        return self.bucket_for(expected) if expected else 0

    def bucket_for(self, count: int) -> int:
        """Return the smallest bucket that takes `count` faces, or the largest that there is."""
        return next((size for size in self.buckets if size >= count), self.buckets[-1])

    def passes(self, start: int, count: int) -> Iterator[tuple[int, int]]:
        """Yield (first face, bucket) until the faces from `start` to `count` are covered."""
        while start < count:
            bucket = self.bucket_for(count - start)
            yield start, bucket
            start += bucket
