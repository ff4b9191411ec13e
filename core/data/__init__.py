"""Images, edits, checkpoints and trajectories in and out of files. On the ground: knows nothing of the process."""
