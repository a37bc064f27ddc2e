"""What each verdict and state means, in a sentence, for readers of a page."""

VERDICTS = {
    "valid": "it reached the target with the certainty that the track asks for; only this scores",
    "rejected": "the validator refused the diff; nothing was trained",
    "failed": "a run ended in an error, or saved no usable model",
    "timed-out": "a run took longer than the track allows",
    "missed-target": "the mean loss is above the target",
    "unproven": "the mean loss reaches the target, but not with the certainty asked for",
    "stopped": "racing ended it: it could not rank any more",
    "disqualified": "it was taken out, or a run broke a rule; the reason is given",
    "unscorable": "the record itself cannot be scored here; this counts for nobody",
    "pending": "not measured yet",
    "running": "some of its runs are stored, others are missing",
    "stale": "the track or the environment changed since it was measured",
    "done": "decided",
}
