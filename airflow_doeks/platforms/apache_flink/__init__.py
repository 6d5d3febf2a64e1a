"""Platform type ``apache_flink``: jobs as FlinkDeployments and FlinkSessionJobs of the Flink Kubernetes Operator."""
