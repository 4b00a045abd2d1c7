"""Model directories, in the layout that MLflow reads and writes."""
