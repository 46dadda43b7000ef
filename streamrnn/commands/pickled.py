"""Files that PyTorch wrote, loaded: tensors safely, anything more only where the user trusts it."""

from __future__ import annotations

import pickle
import sys
import warnings
from pathlib import Path
from typing import Any

from streamrnn.errors import ModelFileError, OptionError, UnsupportedError


def load_pickle(source: Path, is_trusted: bool) -> Any:
    """What torch.save wrote: tensors; a whole module only where it is trusted, since unpickling it runs code.

    Raises:
        OptionError: it holds more than tensors, and is not trusted.
        UnsupportedError: the class of a module is not found.
        ModelFileError: it is damaged.
    """
    import torch

    sys.path.append("")  # a pickle names classes of the user's own modules
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of files that are then refused anyway
            return torch.load(source, map_location="cpu", weights_only=not is_trusted)
    except pickle.UnpicklingError as error:
        if is_trusted or "weights" not in str(error).lower():
            raise ModelFileError(f"{source} is damaged or no file of torch.save: {error}") from error
        raise OptionError(
            f"{source.name} holds more than tensors, and unpickling runs code from the file: "
            "if you trust where it came from, add --trust-pickle"
        ) from None
    except (AttributeError, ModuleNotFoundError) as error:
        raise UnsupportedError(
            f"{source.name} was saved as a whole module, and its class is not found ({error}): "
            "run in the directory that has the class, or save module.state_dict() and give --spec"
        ) from None
    except (RuntimeError, EOFError, ValueError) as error:
        raise ModelFileError(f"{source} is damaged or no file of torch.save: {error}") from error
