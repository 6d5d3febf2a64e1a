"""The kept logs, which lie with the tests of lineage."""

from tests.lineage.conftest import folder_store, kept_logs, plain_log, pytest_generate_tests

__all__ = ["folder_store", "kept_logs", "plain_log", "pytest_generate_tests"]
