"""Airflow 2 fails a task whose event comes through an alias that its metadata has not: instances write it at once."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, String, create_engine, event, text
from sqlalchemy.orm import Session, declarative_base

from airflow_doeks import compat
from airflow_doeks.hooks.aliases import know_alias

Base = declarative_base()


class Alias(Base):
    """As Airflow 2.10 has it."""

    __tablename__ = "alias"
    id = Column(Integer, primary_key=True)
    name = Column(String, unique=True)


def test_two_instances_of_a_mapped_task_write_one_alias(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other was quicker, between the look and the write: the event goes on."""
    engine = create_engine(f"sqlite:///{tmp_path}/metadata.db")
    Base.metadata.create_all(engine)

    @contextlib.contextmanager
    def session():
        with Session(engine) as made:

            @event.listens_for(made, "before_flush")
            def other(*_: object) -> None:
                with engine.begin() as connection:
                    connection.execute(text("INSERT INTO alias (name) VALUES ('doeks/orders/clean')"))

            yield made
            made.commit()

    monkeypatch.setattr(compat, "AliasModel", Alias, raising=False)
    monkeypatch.setattr(compat, "create_session", session, raising=False)
    know_alias("doeks/orders/clean")
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM alias")).scalar() == 1
