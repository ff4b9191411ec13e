from starlette.applications import Starlette
from starlette.testclient import TestClient

from ui.gradio_repair import REPAIRS, SCRIPTS, repaired, repaired_scripts

FAULTY = "let n=null;if(s.stage===`complete`){n=`closed`,done.forEach(e=>e())}"


def test_only_an_open_stream_is_closed() -> None:
    assert repaired(FAULTY) == "let n=null;if(s.stage===`complete`){n=n&&`closed`,done.forEach(e=>e())}"
    assert repaired(repaired(FAULTY)) == repaired(FAULTY)


def test_a_script_is_served_in_the_place_of_gradio_s_if_it_needs_it(tmp_path) -> None:
    (tmp_path / "Blocks-a.js").write_text(FAULTY)
    (tmp_path / "core-b.js").write_text("let ᾱ=`closed`")
    served = TestClient(Starlette(routes=repaired_scripts(tmp_path)))
    answer = served.get("/assets/Blocks-a.js")
    assert answer.text == repaired(FAULTY) and answer.headers["content-type"].startswith("text/javascript")
    assert served.get("/assets/core-b.js").status_code == 404


def test_no_script_of_the_gradio_that_is_here_escapes() -> None:
    texts = {f"/assets/{path.name}": path.read_text(encoding="utf-8") for path in SCRIPTS.glob("*.js")}
    faulty = {name for name, text in texts.items() if any(statement.search(text) for statement, _ in REPAIRS)}
    assert {route.path for route in repaired_scripts()} == faulty
    assert not any(statement.search(repaired(texts[name])) for name in faulty for statement, _ in REPAIRS)
    assert any(SCRIPTS.glob("Blocks-*.js")), "the scripts lie somewhere else now"
