PyPy 3.11 is supported; the console script gives it a small nursery, so that memory stays bounded whatever is passed on.
