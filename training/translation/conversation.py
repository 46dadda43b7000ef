"""A conversation with a server that translates: what is sent and what comes back, for people to read."""

import time
from collections.abc import Sequence

from training.sets.tatoeba import Sentence
from training.translation.bleu import scores_of
from training.translation.pieces import SPACE
from training.translation.remote_interpreter import RemoteInterpreter
from training.translation.translator import END

N_BEAMED = 4


async def converse(
    interpreter: RemoteInterpreter, sentences: Sequence[Sentence], width: int, length_penalty: float
) -> None:
    """Translate sentence after sentence in one session of a server, and print it as it comes.

    Args:
        interpreter: of that session.
        sentences: each is printed with what people say; the first four also with all that a beam finds.
        width, length_penalty: of the beam.
    """
    labels, said = interpreter.vocabulary.labels, []
    spent_s, n_frames = 0.0, 0
    for i, sentence in enumerate(sentences):
        print(f"\n{sentence.english}")
        if i < N_BEAMED:
            await interpreter.read(sentence.english)
            for score, text in await interpreter.beam(width, length_penalty):
                print(f"  beam {score:6.2f}: {text}")
        began_s, tokens = time.perf_counter(), []
        await interpreter.read(sentence.english)  # it begins with the token that forgets
        print(end="  said:")
        async for token in interpreter.greedy():
            tokens.append(token)
            print(end=labels[token].replace(SPACE, " ") if token != END else "", flush=True)
        spent_s += time.perf_counter() - began_s
        n_frames += len(interpreter.vocabulary.source_tokens(sentence.english)) + len(tokens)
        said.append(interpreter.vocabulary.text(tokens))
        print(f"\n  people say: {'; '.join(sentence.french[:3])}")
    chrf, token_ms = scores_of(said, [sentence.french for sentence in sentences]).chrf, 1e3 * spent_s / n_frames
    print(f"\n{len(said)} sentences in one session: chrF {chrf:.1f}, {token_ms:.2f} ms a token, there and back")
