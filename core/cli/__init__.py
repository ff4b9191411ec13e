"""The command line beside the page: `python -m core`, for machines without a browser. Everything it does, it does with the same classes."""
