"""One file a paper. METHODS is what the lab offers, by the name that stands in settings and cards."""

from collections.abc import Mapping

from core.methods.asyrp import Asyrp
from core.methods.datum import Datum
from core.methods.ddib import DDIB
from core.methods.diffusionclip import DiffusionCLIP
from core.methods.domainstudio import DomainStudio
from core.methods.egsde import EGSDE
from core.methods.sdedit import SDEdit
from core.methods.sdft import SDFT
from core.types import Method

METHODS: dict[str, Method] = {
    "diffusionclip": DiffusionCLIP(),
    "asyrp": Asyrp(),
    "sdedit": SDEdit(),
    "egsde": EGSDE(),
    "ddib": DDIB(),
    "sdft": SDFT(),
    "domainstudio": DomainStudio(),
    "datum": Datum(),
}


def that_edit(methods: Mapping[str, Method] = METHODS) -> dict[str, Method]:
    """Those of the methods that carry images across."""
    return {name: method for name, method in methods.items() if method.edit_settings is not None}


def that_train(methods: Mapping[str, Method] = METHODS) -> dict[str, Method]:
    """Those of the methods that learn something."""
    return {name: method for name, method in methods.items() if method.train_settings is not None}
