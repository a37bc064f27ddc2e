"""Thin edges: processes, git, the sandbox, the text corpus, clusters, model APIs."""
