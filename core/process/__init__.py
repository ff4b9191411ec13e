"""The diffusion process itself: schedule, timesteps, steps, walks, mixtures. Pure functions on tensors; no files, no models' names."""
