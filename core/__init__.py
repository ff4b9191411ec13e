"""Shiftlab's core: everything that works without a page. Nothing in here imports gradio."""
