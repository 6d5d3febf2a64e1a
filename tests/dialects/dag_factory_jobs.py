"""Hypothesis strategies for the arguments of dag-factory's tasks that run a Spark job."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.dialects.dag_factory_values import anything, number, some, text

parameters = st.lists(
    st.sampled_from(
        [
            "--verbose",
            "--supervise",
            "--conf spark.a<n>=<n>",
            "--conf=spark.b<n>=<n>",
            "-c spark.c<n>='<n> x'",
            "-cspark.d<n>",
            "--conf spark.executor.memory=<n>g",
            "--conf spark.executor.memory=<n>m",
            "--conf spark.dynamicAllocation.minExecutors=<n>",
            "--num-executors <n>",
            "--executor-cores=<n>",
            "--driver-cores <n>",
            "--driver-memory <n>g",
            "--class com.C<n>",
            "--jars s3://b/<n>.jar,s3://b/<n>.jar",
            "--archives s3://b/<n>#env",
            "--properties-file s3://b/<n>",
            "--repositories https://r/<n>",
            "--hivevar day=<n>",
            "-hivevar day=<n>",
            "--master <n>",
            "--odd<n> <n>",
            "--name {{ <n> }}",
            "<n>",
        ]
    ),
    max_size=6,
).map(" ".join)
emr_arguments = some(
    {
        "operator": st.just("airflow.providers.amazon.aws.operators.emr.EmrContainerOperator"),
        "job_driver": st.one_of(
            some(
                {"entryPoint": text("s3://b/"), "sparkSubmitParameters": parameters},
                {"entryPointArguments": st.lists(text(), max_size=2), "odd<n>": anything},
            ).map(lambda part: {"sparkSubmitJobDriver": part}),
            parameters.map(
                lambda words: {"sparkSqlJobDriver": {"entryPoint": "s3://b/<n>", "sparkSqlParameters": words}}
            ),
            text("{{ x"),
        ),
    },
    {
        "name": text(),
        "virtual_cluster_id": st.one_of(text("abc"), text("{{ ")),
        "execution_role_arn": text("arn:aws:iam::123456789012:role/r"),
        "release_label": text("emr-"),
        "aws_conn_id": text(),
        "region_name": text("eu-west-"),
        "tags": st.dictionaries(text("tag"), text(), max_size=2),
        "wait_for_completion": st.booleans(),
        "deferrable": st.booleans(),
        "job_retry_max_attempts": number,
        "poll_interval": number,
        "configuration_overrides": some(
            {},
            {
                "applicationConfiguration": st.lists(
                    some(
                        {
                            "classification": st.sampled_from(["spark-defaults", "spark-log4j", "odd<n>"]),
                            "properties": st.dictionaries(text("spark.p"), text(), min_size=1, max_size=2),
                        },
                        {"configurations": st.just([{"classification": "export", "properties": {"K<n>": "<n>"}}])},
                    ),
                    max_size=2,
                ),
                "monitoringConfiguration": some(
                    {},
                    {
                        "persistentAppUI": st.sampled_from(["ENABLED", "odd<n>"]),
                        "s3MonitoringConfiguration": st.just({"logUri": "s3://logs/<n>"}),
                        "cloudWatchMonitoringConfiguration": some(
                            {"logGroupName": text("/g")}, {"logStreamNamePrefix": text(), "odd<n>": text()}
                        ),
                        "managedLogs": st.just({"allowAWSToRetainLogs": "<n>"}),
                    },
                ),
            },
        ),
    },
)
submit_arguments = some(
    {
        "operator": st.just("airflow.providers.apache.spark.operators.spark_submit.SparkSubmitOperator"),
        "application": text("s3://b/"),
    },
    {
        "application_args": st.lists(text(), max_size=2),
        "conf": st.dictionaries(text("spark.q"), st.one_of(text(), number), max_size=2),
        "conn_id": text(),
        "py_files": text(),
        "num_executors": number,
        "executor_memory": st.just("<n>g"),
        "env_vars": st.dictionaries(text("E"), text(), max_size=2),
        "verbose": st.just(True),  # noqa: FBT003 - false is what there is without it
        "yarn_queue": text(),
        "expand": st.just({"application_args": [["<n>"], ["<n>"]]}),
    },
)
