"""One file a paper. METHODS is what the lab offers, by the name that stands in settings and cards."""

from core.methods.diffusionclip import DiffusionCLIP
from core.types import Method

METHODS: dict[str, Method] = {"diffusionclip": DiffusionCLIP()}
