`state FILE` in `upstream{}` reads the servers of a group from a file; the group may be empty.
