"""A Spark job that is a custom resource of an operator: what its platform types share; they add the resource."""
