"""The connection type `emr_on_eks`: an AWS connection, and what a form can say of a virtual cluster and test."""

from __future__ import annotations

from typing import Any

from airflow_doeks.compat import BaseHook
from airflow_doeks.hooks.aws import EMR_ON_EKS, EMR_SERVICE
from airflow_doeks.hooks.clients import clients
from airflow_doeks.model.errors import DoeksError
from airflow_doeks.platforms.aws_calls import AwsCalls, aws_calls
from airflow_doeks.platforms.emr_on_eks.virtual_clusters import describe
from airflow_doeks.provider_info import EMR_FORM, EMR_HOOK_NAME

_CALLS_PER_SECOND = 2.0


def virtual_cluster_calls(region: str | None, connection: str | None, endpoint_url: str | None) -> AwsCalls:
    """Paced calls for what concerns virtual clusters, not jobs."""
    where: dict[str, Any] = {"region": region, "connection": connection, "endpoint_url": endpoint_url}
    return aws_calls(clients(), EMR_SERVICE, per_second=_CALLS_PER_SECOND, **where)


class EmrOnEksHook(BaseHook):
    """Amazon EMR on EKS behind a connection of type ``emr_on_eks``; `connection` of a platform may name one.

    Args:
        emr_on_eks_conn_id: the connection; its extra holds ``aws_conn_id`` (default ``aws_default``), ``endpoint_url``,
            and for the Test button ``region_name`` and ``virtual_cluster``, which a platform says in doeks.yaml.
    """

    conn_name_attr = "emr_on_eks_conn_id"
    default_conn_name = "emr_on_eks_default"
    conn_type = EMR_ON_EKS
    hook_name = EMR_HOOK_NAME

    def __init__(self, emr_on_eks_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.emr_on_eks_conn_id = emr_on_eks_conn_id

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """The form's fields. Until Airflow 3.1 is dropped: later versions read them from provider info."""
        from flask_appbuilder.fieldwidgets import BS3TextFieldWidget
        from flask_babel import lazy_gettext
        from wtforms import StringField

        return {
            name: StringField(lazy_gettext(field["label"]), widget=BS3TextFieldWidget())
            for name, field in EMR_FORM["conn-fields"].items()
        }

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Which of Airflow's own fields are hidden, and examples. Until Airflow 3.1 is dropped, as above."""
        behaviour = EMR_FORM["ui-field-behaviour"]
        return {key.replace("-", "_"): value for key, value in behaviour.items()}

    def get_conn(self) -> Any:
        """A boto3 client of EMR containers."""
        return clients().aws(EMR_SERVICE, connection=self.emr_on_eks_conn_id, region=self._extra("region_name"))

    def test_connection(self) -> tuple[bool, str]:
        """The form's Test button: one DescribeVirtualCluster."""
        virtual_cluster = self._extra("virtual_cluster")
        if not virtual_cluster:
            return False, "name a virtual cluster to test the connection with"
        try:
            calls = virtual_cluster_calls(self._extra("region_name"), self.emr_on_eks_conn_id, None)
            shown = describe(calls, virtual_cluster)
        except DoeksError as error:
            return False, str(error)
        return shown["state"] == "RUNNING", f"virtual cluster {virtual_cluster} is {shown['state']}: {shown['meaning']}"

    def _extra(self, name: str) -> str | None:
        return self.get_connection(self.emr_on_eks_conn_id).extra_dejson.get(name) or None
