"""Finding faces is an answer for every picture, also for those without one."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from core.models import faces


@pytest.mark.parametrize("size", [(8, 8), (3000, 10), (640, 480)])
def test_no_face_is_an_answer(size):
    assert faces.detect(Image.new("RGB", size, "grey")) == []
    assert faces.said([]) == "drawn portrait or no face found"


def test_boxes_lie_in_the_picture(monkeypatch):
    class Detector:
        def detect(self, image, landmarks):
            boxes = np.array([[-5.0, -5.0, 300.0, 300.0], [400.0, 200.0, 800.0, 800.0], [0, 0, 9, 9]])
            return boxes, np.array([0.91, 0.99, 0.2]), np.full((3, 5, 2), 10.0)

    monkeypatch.setattr(faces, "_detector", Detector)
    found = faces.detect(Image.new("RGB", (256, 128)))
    assert [face.box for face in found] == [(200, 100, 256, 128), (0, 0, 150, 128)]
    assert found[0].landmarks == ((5.0, 5.0),) * 5  # the picture was enlarged to 512 px for the search
    assert faces.said(found) == "2 faces (99%)"


def test_boxes_are_drawn_into_a_copy():
    picture = Image.new("RGB", (64, 64))
    drawn = faces.with_boxes(picture, [faces.Face((8, 8, 56, 56), 0.99)], 256)
    assert drawn.size == (256, 256) and drawn.getpixel((34, 100)) != (0, 0, 0)
    assert picture.getextrema() == ((0, 0),) * 3
