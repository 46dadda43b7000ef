"""`streamrnn generate`: let a served model go on with a text, and print it as it comes."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import Annotated, TextIO

import typer

from streamrnn.commands.loop import run_punctually
from streamrnn.commands.stream import BROKEN_PIPE, INTERRUPTED, silence
from streamrnn.decode.posteriors import INPUTS
from streamrnn.errors import OptionError

WINDOW_FRAMES = 256


@dataclass
class Wish:
    """What the user asked for, and what came of it.

    Attributes:
        started_ns: when the prompt was sent, by `time.perf_counter_ns`.
        n_told: tokens printed.
    """

    url: str
    model: str
    prompt: str
    n: int
    temperature: float
    top_k: int
    seed: int
    stop: str | None
    input: str
    started_ns: int = 0
    n_told: int = 0


def generate(
    url: Annotated[str, typer.Argument(metavar="URL", help="Address of the server, such as ws://localhost:8765.")],
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Name under which the model is served.")],
    prompt: Annotated[str, typer.Option(metavar="TEXT", help="What comes first; each character is a label.")],
    n: Annotated[int, typer.Option("--tokens", "-n", min=1, metavar="N", help="Most tokens.")] = 200,
    temperature: Annotated[
        float, typer.Option(min=0.0, metavar="T", help="0: always the most probable; 1: as the model says.")
    ] = 1.0,
    top_k: Annotated[
        int, typer.Option(min=0, metavar="K", help="Draw among so many of the most probable ones; 0: all.")
    ] = 0,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="The same seed gives the same text.")] = 0,
    stop: Annotated[
        str | None, typer.Option(metavar="CHAR", help="Label that ends the text, itself included (default: none).")
    ] = None,
    input: Annotated[
        str, typer.Option(metavar="KIND", help="What the model's outputs are: log probabilities, probability or logit.")
    ] = "log",
) -> None:
    """Let a served model of tokens go on with a text.

    The server draws each token from the output before it and feeds the session with it. The text goes to standard
    output as it comes, a summary to standard error.

    Example: streamrnn generate ws://localhost:8765 chars --prompt "ROMEO:" -n 200 --temperature 0.8
    """
    if not prompt:
        raise typer.BadParameter("expected a prompt of at least one character: the first token is drawn behind it")
    if input not in INPUTS:
        raise typer.BadParameter(f"expected --input as one of {', '.join(INPUTS)}, got {input!r}")
    wish = Wish(url, model, prompt, n, temperature, top_k, seed, stop, input)
    raise typer.Exit(_run(wish))


def _run(wish: Wish) -> int:
    exit_code = 0
    try:
        run_punctually(_generate(wish, sys.stdout))
    except BrokenPipeError:
        silence(sys.stdout)
        exit_code = BROKEN_PIPE
    except KeyboardInterrupt:
        exit_code = INTERRUPTED
    finally:
        if wish.n_told:
            _summarise(wish)
    return exit_code


async def _generate(wish: Wish, out: TextIO) -> None:
    import streamrnn_client

    async with streamrnn_client.connect(wish.url) as client:
        decoder = {"kind": "sampler", "input": wish.input}
        session = await client.open(wish.model, window=WINDOW_FRAMES, decoder=decoder)
        if not session.labels:
            raise OptionError(
                f"expected a model with labels, {wish.model!r} has none: no text can be made of its tokens"
            )
        tokens = session.generate(
            wish.n,
            wish.prompt,
            temperature=wish.temperature,
            top_k=wish.top_k,
            seed=wish.seed,
            stop=wish.stop,
        )
        wish.started_ns = time.perf_counter_ns()
        async for token in tokens:
            out.write(token.text)
            out.flush()
            wish.n_told += 1
        out.write("\n")
        out.flush()
        await session.close()


def _summarise(wish: Wish) -> None:
    seconds = (time.perf_counter_ns() - wish.started_ns) / 1e9
    rate = wish.n_told / seconds
    how = f"temperature {wish.temperature:g}, top_k {wish.top_k}, seed {wish.seed}"
    print(f"{wish.n_told} tokens in {seconds:.2f} s, {rate:.0f} tokens/s; {how}", file=sys.stderr)
