"""Amazon EMR on EKS. Light: `doeks lint` imports this package for its checks."""
