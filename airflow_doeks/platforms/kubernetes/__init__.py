"""What every platform that runs pods shares: pod templates, what pods and events tell."""
