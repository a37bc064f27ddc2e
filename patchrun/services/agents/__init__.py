"""Agents: what turns a workspace and a budget into a diff, one small protocol for all of them."""
