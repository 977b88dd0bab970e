# SPDX-License-Identifier: Apache-2.0
"""The tools in LangChain, and in a graph of LangGraph's with a model that follows a script."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from support.waiting import eventually, processes_with

pytest.importorskip("langgraph")

from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import BaseTool
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition

from sandboxd import Result, Sandbox
from sandboxd.langchain import sandbox_tools


def call(name: str, number: int = 1, **arguments: Any) -> AIMessage:
    """A model's wish to call a tool."""
    wish = {"name": name, "args": arguments, "id": f"call-{number}", "type": "tool_call"}
    return AIMessage(content="", tool_calls=[wish])


def graph(socket: str, *script: AIMessage | str) -> Any:
    """An agent: a model that says what is in the script, and a node with the tools."""
    model = GenericFakeChatModel(messages=iter(script))

    def think(state: MessagesState) -> dict[str, Any]:
        return {"messages": [model.invoke(state["messages"])]}

    builder = StateGraph(MessagesState)
    builder.add_node("think", think)
    builder.add_node("tools", ToolNode(sandbox_tools(socket)))
    builder.add_edge(START, "think")
    builder.add_conditional_edges("think", tools_condition)
    builder.add_edge("tools", "think")
    return builder.compile()


def tool(socket: str, name: str, **options: Any) -> BaseTool:
    """One of the tools."""
    return next(one for one in sandbox_tools(socket, **options) if one.name == name)


QUESTION = {"messages": [HumanMessage("What is six times seven?")]}


def test_a_graph_runs_code_in_the_sandbox(socket: str, sandbox: Sandbox) -> None:
    finished = sandbox.status().finished
    program = "import os; print(6 * 7); print(os.getuid(), os.getcwd())"
    script = [call("run_code", language="python", code=program), "It is 42."]
    ended = graph(socket, *script).invoke(QUESTION)
    _, _, answer, last = ended["messages"]
    assert isinstance(answer, ToolMessage) and answer.status == "success"
    assert answer.content.startswith("verdict: ok, after ")
    assert "stdout:\n42\n1000 /workspace\n" in answer.content
    assert isinstance(answer.artifact, Result) and answer.artifact.receipt.clean
    assert last.content == "It is 42."
    assert sandbox.status().finished == finished + 1


def test_a_graph_on_asyncio_calls_several_tools(socket: str) -> None:
    wishes = [
        call("run_shell", 1, command="echo $((6 * 7))").tool_calls[0],
        call("run_code", 2, language="javascript", code="console.log(6 * 7)").tool_calls[0],
    ]
    script = [AIMessage(content="", tool_calls=wishes), "Both say 42."]
    ended = asyncio.run(graph(socket, *script).ainvoke(QUESTION))
    answers = [one for one in ended["messages"] if isinstance(one, ToolMessage)]
    assert len(answers) == 2 and all("stdout:\n42\n" in one.content for one in answers)


def test_a_model_is_told_what_it_did_wrong_and_can_mend_it(socket: str) -> None:
    ended = graph(
        socket,
        call("run_code", 1, language="cobol", code="x"),
        call("run_code", 2, language="python", code="import nothing_there"),
        call("run_code", 3, language="python", code="print(1)", timeout=80_000),
        call("run_code", 4, language="python", code="print(1)", files={"main.py": ""}),
        "I give up.",
    ).invoke(QUESTION)
    wrong, failed, loose, taken = [
        one for one in ended["messages"] if isinstance(one, ToolMessage)
    ]
    assert wrong.status == "error" and "'python' or 'javascript'" in wrong.content
    assert failed.status == "success" and "exit status 1" in failed.content
    assert "No module named 'nothing_there'" in failed.content
    assert loose.status == "error" and "wall_time" in loose.content
    assert taken.status == "error" and "main.py" in taken.content


def test_the_schemas_say_what_is_wanted(socket: str) -> None:
    schemas = {one.name: one.tool_call_schema.model_json_schema() for one in sandbox_tools(socket)}
    assert set(schemas) == {"run_code", "run_shell", "browse"}
    assert schemas["run_code"]["required"] == ["language", "code"]
    assert schemas["run_code"]["properties"]["language"]["enum"] == ["python", "javascript"]
    assert "eval" in schemas["browse"]["properties"]["command"]["enum"]


def test_files_come_and_long_output_is_cut(socket: str) -> None:
    code = "print(open('a/b.txt').read()); print('x' * 100_000); open('out/f', 'w').write('y')"
    arguments = {"language": "python", "code": code, "files": {"a/b.txt": "hello"}}
    text = tool(socket, "run_code", text_limit=1000).invoke(arguments)
    assert "stdout:\nhello\nxxx" in text and "letters left out" in text and len(text) < 1400
    assert "file: f, 1 bytes, sha256 " in text


def test_a_daemon_that_is_not_there_is_a_message(tmp_path: Any) -> None:
    text = tool(str(tmp_path / "none"), "run_shell").invoke({"command": "true"})
    assert "no daemon answers" in text


def test_cancelling_a_graph_ends_its_run(socket: str) -> None:
    word = "marker-of-a-graph-that-is-cancelled"

    async def main() -> None:
        agent = graph(socket, call("run_shell", command=f": {word}; sleep 100; true"), "never")
        task = asyncio.create_task(agent.ainvoke(QUESTION))
        await asyncio.to_thread(eventually, lambda: processes_with(word))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.to_thread(eventually, lambda: not processes_with(word))

    asyncio.run(main())


def test_a_look_at_a_page(socket: str, sandbox: Sandbox) -> None:
    if not any(one.name == "browser" and one.ready for one in sandbox.profiles()):
        pytest.skip("there is no image for the profile 'browser'")
    browse = tool(socket, "browse")
    page = "<title>T</title><p>Hello, <b>world</b></p><a href='https://a.example/'>there</a>"
    asked = {"url": "page.html", "files": {"page.html": page}}
    assert "page.txt:\nHello, world" in browse.invoke({"command": "text", **asked})
    links = browse.invoke({"command": "links", **asked})
    assert "links.json:\n" in links and "https://a.example/" in links
    value = browse.invoke({"command": "eval", "script": "-document.title.length", **asked})
    assert "eval.json:\n-1\n" in value
    for wrong, words in (
        ({"command": "eval", **asked}, "eval needs it"),
        ({"command": "text", "script": "1", **asked}, "eval needs it"),
        ({"command": "text", "url": "--follow"}, "begins with '-'"),
        ({"command": "text", "url": "file:///etc/passwd"}, "not in /workspace"),
        ({"command": "text", "url": "http://a.example/"}, "no network here"),
    ):
        assert words in browse.invoke(wrong)
