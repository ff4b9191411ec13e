"""Recipes that train the embedded models, each resumable and run by one command: `python -m core.pretrain.<name>`."""
