"""Platform type ``kubeflow_spark``: jobs as SparkApplications of the Kubeflow Spark Operator."""
