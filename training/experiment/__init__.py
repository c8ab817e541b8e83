"""What an experiment found: outcomes of readers, estimates with intervals, the verdict."""
