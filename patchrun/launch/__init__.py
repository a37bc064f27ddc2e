"""Files that run in the child: each stands alone, since it must run under any record's python and torch."""
