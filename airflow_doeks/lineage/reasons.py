"""Why lineage is not complete: sentences, each once, and no more than anybody reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

MOST = 20


@dataclass
class Reasons:
    """The first of what is told; a stream without end may fail without end."""

    told: dict[str, None] = field(default_factory=dict)

    def add(self, sentence: str) -> None:
        """Tell once more why something is missing."""
        if len(self.told) < MOST:
            self.told[sentence] = None

    def extend(self, sentences: Iterable[str]) -> None:
        """Tell several."""
        for sentence in sentences:
            self.add(sentence)

    def __iter__(self) -> Iterator[str]:
        return iter(self.told)
