"""Pure middle: values in, values out. No git, no subprocess, no torch, no files."""
