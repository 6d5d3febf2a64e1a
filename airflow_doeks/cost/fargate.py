"""The size that Fargate bills for a pod's requests.

Source: Amazon EKS user guide, "Understand Fargate Pod configuration details", read November 2026: 256 MiB are added to
the memory request for Kubernetes components, then the next larger combination of vCPU and memory is taken.
"""

from __future__ import annotations

from decimal import Decimal

RESERVED_GIB = Decimal("0.25")
SIZES: tuple[tuple[Decimal, tuple[Decimal, ...]], ...] = (  # vCPU -> memory sizes in GiB
    (Decimal("0.25"), (Decimal("0.5"), Decimal(1), Decimal(2))),
    (Decimal("0.5"), tuple(map(Decimal, range(1, 5)))),
    (Decimal(1), tuple(map(Decimal, range(2, 9)))),
    (Decimal(2), tuple(map(Decimal, range(4, 17)))),
    (Decimal(4), tuple(map(Decimal, range(8, 31)))),
    (Decimal(8), tuple(map(Decimal, range(16, 61, 4)))),
    (Decimal(16), tuple(map(Decimal, range(32, 121, 8)))),
)


def fargate_size(vcpu: Decimal, memory_gib: Decimal) -> tuple[Decimal, Decimal] | None:
    """The smallest (vCPU, GiB) that holds the requests; None if they exceed the largest."""
    needed = memory_gib + RESERVED_GIB
    for size, memories in SIZES:
        if size >= vcpu:
            for memory in memories:
                if memory >= needed:
                    return size, memory
    return None
