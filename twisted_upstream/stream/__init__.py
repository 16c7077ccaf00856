"""
C{stream{}}: connections and datagrams passed on as they are.
"""
