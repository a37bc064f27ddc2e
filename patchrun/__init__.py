"""patchrun: a git-native diff tournament for AI agents' patches to training code."""

__version__ = "0.1.0"
