"""Per-session post-processing with explicit state: what turns a model's outputs into events."""

from streamrnn.decode.anomaly import AnomalyScore, AnomalySettings, Verdict

__all__ = ["AnomalyScore", "AnomalySettings", "Verdict"]
