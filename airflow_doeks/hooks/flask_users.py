"""Users of Airflow 2's web server, which has them in the metadata database."""

from __future__ import annotations


def make_admin(password: str) -> None:
    """Give the user `admin` this password; the user is made if there is none."""
    from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder

    with get_application_builder() as builder:
        users = builder.sm
        user = users.find_user("admin")
        if user:
            users.reset_password(user.id, password)
        else:
            users.add_user("admin", "Admin", "Admin", "admin@localhost", users.find_role("Admin"), password)
