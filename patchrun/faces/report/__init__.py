"""The static site: pages made from an arena, that open from a file as from any web server."""
