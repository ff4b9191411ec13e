"""What gets loaded: the base, CLIP, faces; weight files and their key mapping."""
