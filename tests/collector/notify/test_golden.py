"""What readers get, word for word. To change it: run this file with WATCHDESK_UPDATE_GOLDEN=1 in the environment, and read what it wrote."""

import json
import os
from pathlib import Path

import pytest
from collector.notify.samples import KEY, firing, note, resolved
from watchdesk_collector.notify.email import render_html, render_text
from watchdesk_collector.notify.webhook import body_of

GOLDEN = Path(__file__).parents[2] / "golden"
MESSAGES = {
    "firing": firing(),
    "resolved": resolved(),
    "many": firing(note(), note(2, host="web2"), note(3, host="db1", rule="host-silent"), more=9),
}


@pytest.mark.parametrize("name", MESSAGES)
@pytest.mark.parametrize("kind", ["txt", "html", "json"])
def test_a_message_reads_as_it_is_meant_to(name: str, kind: str) -> None:
    message = MESSAGES[name]
    rendered = {"txt": render_text(message), "html": render_html(message), "json": body_of(message, KEY).decode()}[kind]
    path = GOLDEN / f"message-{name}.{kind}"
    if os.environ.get("WATCHDESK_UPDATE_GOLDEN"):
        path.write_text(rendered, encoding="utf-8")
    assert rendered == path.read_text(encoding="utf-8")


def test_docs_name_every_key_of_the_json() -> None:
    text = (Path(__file__).parents[3] / "docs" / "notifications.md").read_text(encoding="utf-8")
    document = json.loads(body_of(firing(), KEY))
    for key in document:
        assert f"| `{key}` |" in text
    for key in document["alerts"][0]:
        assert f"`{key}`" in text
