"""One job's pods priced in one go, as tests of the arithmetic want it."""

from airflow_doeks.cost import itemize, total_lines


def price(pods, nodes, card, *, assumed_node=None, started=None, ended=None, now=None, **more):
    """Usage and cost of pods."""
    lines = itemize(pods, nodes, card, assumed_node=assumed_node, started=started, ended=ended, now=now)
    return total_lines(lines, card, assumed_node=assumed_node, now=now, **more)
