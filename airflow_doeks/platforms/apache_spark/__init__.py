"""Platform type ``apache_spark``: jobs as SparkApplications of the Apache Spark Kubernetes Operator."""
