"""One job's pods priced in one go, as tests of the arithmetic want it."""

from airflow_doeks.cost import itemize, total_lines


def price(pods, nodes, card, *, assumed_node=None, assumed_by_role=None, started=None, ended=None, now=None, **more):
    """Usage and cost of pods."""
    assumed = {"assumed_node": assumed_node, "assumed_by_role": assumed_by_role}
    lines = itemize(pods, nodes, card, **assumed, started=started, ended=ended, now=now)
    return total_lines(lines, card, now=now, **more)
