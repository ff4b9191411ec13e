"""Everything that takes long: one worker thread, one lock on the device, one SQLite table, and a folder for each run."""
