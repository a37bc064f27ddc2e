"""A model as a graph: read as data, checked operator by operator, its shapes and costs inferred here."""
