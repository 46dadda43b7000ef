"""Learning curves: one picture of a run."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # a file, never a window: training runs on machines without a screen

from matplotlib import pyplot

from training.fit import History


def plot_history(history: History, path: Path, title: str, loss_name: str) -> None:
    """Draw training and validation loss over epochs, with the kept epoch marked, into a PNG file at `path`.

    Args:
        history: at least one epoch.
        path: written anew.
        title: over the picture.
        loss_name: of the vertical axis, with its unit.
    """
    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    epochs = range(len(history.train_loss))
    axes.plot(epochs, history.train_loss, label="training")
    axes.plot(epochs, history.validation_loss, label="validation")
    axes.axvline(history.best_epoch, linestyle=":", color="grey", label=f"kept: epoch {history.best_epoch}")
    axes.set(title=title, xlabel="epoch", ylabel=loss_name)
    axes.legend()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
