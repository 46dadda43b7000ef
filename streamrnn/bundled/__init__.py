"""Small trained models and recordings, there from the start for the demo, the tutorial and the tests.

- `temperature_anomaly`: predicts a machine's next temperature; its card's provenance holds under `anomaly` the settings
  of the score that goes with it: `AnomalyScore(AnomalySettings(**model.card.provenance["anomaly"]))`, then
  `.frame(value, output)` with the raw value of each frame and the model's output for it.
- `char_lm`: log-probabilities of the next character of Shakespeare; its labels are the 65 characters, a frame is the
  index of one.
- `digits`: hears English digits; a frame is 160 samples of 8 kHz, an output the log-probabilities of a blank and ten
  words.
- `commands`: probabilities of yes, no, stop, another word or none to have just been said, from 320 samples; its
  card's provenance holds under `keywords` when an event is one.
- `commands_recording`: wav of 8 s, 16 kHz, synthetic speech: yes, another word, no, noise, stop; `commands_times` is
  the text with their starts, ends (in seconds) and labels.
- `temperature_recording`: csv with the columns timestamp, value, fault; the faults are injected.
- `digits_recording`: wav, 8 kHz, a synthetic voice that says digits; `digits_words`: txt, which ones, one utterance a
  line.

`ATTRIBUTION.md` says what they were made from.
"""

from pathlib import Path

from streamrnn.errors import OptionError

_FILES = {
    "temperature_anomaly": "temperature_anomaly.safetensors",
    "char_lm": "char_lm.safetensors",
    "digits": "digits.safetensors",
    "temperature_recording": "temperature_recording.csv",
    "digits_recording": "digits_recording.wav",
    "digits_words": "digits_recording.txt",
    "commands": "commands.safetensors",
    "commands_recording": "commands_recording.wav",
    "commands_times": "commands_recording.txt",
}


def names() -> tuple[str, ...]:
    """Name everything bundled."""
    return tuple(_FILES)


def path(name: str) -> Path:
    """Find a bundled file by its name.

    Raises:
        OptionError: nothing of that name is bundled; says what is.
    """
    if name not in _FILES:
        raise OptionError(f"nothing bundled is named {name!r}; there are {', '.join(_FILES)}", name=name)
    return Path(__file__).parent / _FILES[name]
