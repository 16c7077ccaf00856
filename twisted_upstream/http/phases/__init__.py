"""
What a location may do before and around its content; one file per feature.
"""
