"""The page: Gradio only, no torch arithmetic. One file a tab, each with one `build(lab, shared)`."""
