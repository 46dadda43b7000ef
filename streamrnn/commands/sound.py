"""Where sound comes from: a WAV file, or a microphone."""

from __future__ import annotations

import asyncio
import wave
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamrnn.errors import OptionError

MIC_BLOCK_S = 0.02
"""Sound comes from the microphone in blocks of this length."""


@dataclass(frozen=True, eq=False)
class Recording:
    """Samples (n,) float32 in [-1, 1] of one channel, `rate_hz` a second."""

    samples: NDArray[np.float32]
    rate_hz: int

    @classmethod
    def read(cls, path: Path) -> Recording:
        """Read a WAV file of 16-bit samples; several channels are averaged.

        Raises:
            OptionError: it is none, or of another form.
        """
        try:
            with wave.open(str(path)) as file:
                width, n_channels, rate_hz = file.getsampwidth(), file.getnchannels(), file.getframerate()
                raw = file.readframes(file.getnframes())
        except (wave.Error, EOFError) as fault:
            raise OptionError(f"expected a WAV file of 16-bit samples, {path.name} is none: {fault}") from fault
        if width != 2:
            raise OptionError(f"expected a WAV file of 16-bit samples, those of {path.name} have {8 * width}")
        whole = raw[: len(raw) // (2 * n_channels) * 2 * n_channels]
        samples = np.frombuffer(whole, "<i2").reshape(-1, n_channels).astype(np.float32) / np.float32(32768)
        return cls(samples.mean(axis=1, dtype=np.float32), rate_hz)


async def microphone(rate_hz: float) -> AsyncIterator[NDArray[np.float32]]:
    """Yield blocks of samples (n,) float32 from the default microphone until cancelled.

    Raises:
        OptionError: there is no microphone, or the extra that reads it is not installed.
    """
    try:
        import sounddevice
    except (ImportError, OSError) as fault:  # OSError: PortAudio is not on this machine
        raise OptionError(f"--mic needs the extra: pip install 'streamrnn[mic]' ({fault})") from fault
    loop = asyncio.get_running_loop()
    blocks: asyncio.Queue[NDArray[np.float32]] = asyncio.Queue()

    def take(block: NDArray[np.float32], n: int, times: Any, status: Any) -> None:
        loop.call_soon_threadsafe(blocks.put_nowait, block[:, 0].copy())

    try:
        source = sounddevice.InputStream(
            samplerate=rate_hz, channels=1, dtype="float32", blocksize=round(MIC_BLOCK_S * rate_hz), callback=take
        )
    except sounddevice.PortAudioError as fault:
        raise OptionError(f"--mic: no microphone can be opened: {fault}") from fault
    with source:
        while True:
            yield await blocks.get()
