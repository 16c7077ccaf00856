"""
Codecs shared by several dialects: bytes in, values out.
"""
