"""What happens when a model trains: its engine, the loop around the executor, snapshots, resuming, progress."""
