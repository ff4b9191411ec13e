"""Which face of a photograph is edited. Only a base of photographed faces asks for one; for any other the picture is taken whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import gradio as gr
from gradio.components import Component

from core.models.align import frames, takes_aligned_faces
from ui.edit_layout import Controls
from ui.edit_show import Updates
from ui.session import NOTHING_DRAWN, Session
from ui.state import LabImage
from ui.strip import shown

WHOLE = -1  # the choice that is no face


class FaceChoice:
    """The list of faces beside the picture. A picture carries its faces and the chosen one with it, into the history and to other tabs."""

    def __init__(self, lab: Any, controls: Controls) -> None:
        self.lab, self.controls = lab, controls

    def take(self, session: Session, picture: LabImage | None) -> Updates:
        """A new picture: its faces are looked for where the base takes faces, and the most certain one is chosen."""
        session.aligned = takes_aligned_faces(self.lab.base)
        found = tuple(frames(picture.image)) if session.aligned and picture is not None else ()
        if picture is not None and picture.faces != found:
            picture = replace(picture, faces=found, frame=found[0] if found else None)
        session.picture, session.drawing = picture, NOTHING_DRAWN
        return self.show(session)

    def show(self, session: Session) -> Updates:
        """The picture with its chosen face outlined, and the list; nothing is looked for."""
        c, picture = self.controls, session.picture
        if not session.aligned or picture is None:
            return {c.drop: shown(picture), c.face: gr.update(visible=False)}
        found = picture.faces or ((picture.frame,) if picture.frame else ())
        choices = [(f"Face {index + 1} of {len(found)}", index) for index in range(len(found))]
        choices.append(("The whole picture" if found else "No face found: the whole picture", WHOLE))
        chosen = found.index(picture.frame) if picture.frame in found else WHOLE
        return {c.drop: shown(picture), c.face: gr.update(choices=choices, value=chosen, visible=True)}

    def choose(self, values: Mapping[Component, Any], session: Session) -> Updates:
        """Another face, or the whole picture."""
        picture, index = session.picture, values[self.controls.face]
        if picture is not None:
            known = index is not None and 0 <= index < len(picture.faces)
            session.picture = replace(picture, frame=picture.faces[index] if known else None)
            session.drawing = NOTHING_DRAWN
        return self.show(session)

    def refresh(self, session: Session) -> Updates:
        """After the base was switched: what it sees of the picture may be another part."""
        if session.aligned == takes_aligned_faces(self.lab.base):
            return {}
        return self.take(session, session.picture)
